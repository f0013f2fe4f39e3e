"""Questions by HTTP: each is answered once, to whoever waits for it, and to nobody who has gone away."""

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import httpx
import pytest
from http_application import TLS, HttpApplication, until

from bot.adapters.http import incoming
from bot.core.errors import IndexUnavailable
from bot.core.messages import Address, Question, Turn
from bot.core.settings import QueueSettings


def texts_kept(application: HttpApplication) -> list[str]:
    with closing(sqlite3.connect(application.folder / "journal.sqlite3")) as db:
        rows = db.execute("SELECT question FROM questions WHERE question IS NOT NULL").fetchall()
        return [json.loads(row[0])["text"] for row in rows]


async def events_of(response: httpx.Response) -> list[tuple[str, dict[str, object]]]:
    events, name = [], ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            events.append((name, json.loads(line.removeprefix("data: "))))
    return events


# --- answers ----------------------------------------------------------------------------------------------------------


async def test_a_question_gets_the_object_that_ask_json_prints(application):
    """Nothing more and nothing less."""
    response = await application.ask("how hot?")
    assert response.status_code == 200
    told = response.json()
    assert told["answer"] == "re: how hot?\nsecond line"
    stored = await application.journal.answers.stored("http", told["reference"])
    assert told == json.loads(json.dumps(stored.answer.to_json()))


async def test_a_suggestion_is_no_answer_but_shows_what_may_be_one(application):
    """With its source and the rest of the section, in the documented form."""
    told = (await application.ask("unsure")).json()
    assert (told["outcome"], told["answered"]) == ("suggested", False)
    assert told["answer"] == "I'm not sure this is it:\n\nre: unsure\nsecond line"
    assert told["citations"][0]["document"] == "guide.md"
    assert told["more"] == "third line"
    description = (await application.client.get("/openapi.json")).json()
    described = description["paths"]["/v1/answers"]["post"]["responses"]["200"]["content"]["application/json"]
    for example in described["examples"].values():  # FastAPI leaves out what is null
        assert told.keys() >= example["value"].keys() >= {name for name in told if told[name] is not None}


async def test_a_stream_tells_how_far_it_is_and_then_the_answer(application):
    """As events with names."""
    application.engine.may_answer.clear()
    request = application.client.stream(
        "POST", "/v1/answers", json={"question": "how hot?"}, headers={"Accept": "text/event-stream"}
    )
    async with request as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        await until(lambda: application.engine.asked)
        await asyncio.sleep(0.05)
        application.engine.may_answer.set()
        events = await events_of(response)
    assert events[0] == ("progress", {"stage": "searching", "text": ""})
    assert [name for name, _ in events].count("answer") == 1
    assert events[-1][0] == "answer"
    assert events[-1][1]["outcome"] == "answered"


async def test_a_silent_stream_shows_that_it_lives(application, monkeypatch):
    """By comments, which clients pass over and proxies count as traffic."""
    monkeypatch.setattr("bot.adapters.http.incoming._KEEP_ALIVE", 0.02)
    application.engine.may_answer.clear()
    request = application.client.stream(
        "POST", "/v1/answers", json={"question": "q"}, headers={"Accept": "text/event-stream"}
    )
    async with request as response:
        lines = []
        async for line in response.aiter_lines():
            lines.append(line)
            if lines.count(": still here") == 3:
                application.engine.may_answer.set()
    assert any(line == "event: answer" for line in lines)


async def test_no_name_of_user_and_conversation_is_that_of_others(application):
    """Also with characters that separate the parts of a key."""
    names = [("team:alice", "secret"), ("team", "alice:secret"), ("", "team:alice:secret"), ('team", "alice', "secret")]
    for user, conversation in names:
        await application.ask("q", user=user, conversation=conversation)
    assert len({question.conversation for question in application.engine.asked}) == len(names)


async def test_a_named_conversation_is_one_and_the_others_are_apart(application):
    """What a follow-up refers to; the same name of another user is another conversation."""
    for more in ({"conversation": "a"}, {"conversation": "a"}, {"conversation": "a", "user": "u"}, {}, {}):
        await application.ask("q", **more)
    named, again, other, *without = [question.conversation for question in application.engine.asked]
    assert named == again
    assert len({named, other, *without}) == 4


async def test_what_the_engine_could_not_do_is_a_problem_with_its_reference(application):
    """A program looks at the status first."""
    application.engine.errors["q"] = IndexUnavailable("There is no index yet.")
    response = await application.ask("q")
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["detail"].startswith("There is no index yet.")
    assert problem["reference"] in problem["detail"]


async def test_a_full_queue_is_a_problem_that_says_when_to_come_again(tmp_path):
    """Nothing is kept of a refused question."""
    async with HttpApplication(tmp_path, queue={"capacity": 1}) as application:
        application.engine.may_answer.clear()
        first = asyncio.create_task(application.ask("one"))
        await until(lambda: application.engine.asked)
        refused = await application.ask("two")
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        application.engine.may_answer.set()
        assert (await first).status_code == 200
        assert [question.text for question in application.engine.asked] == ["one"]


async def test_limits_count_for_each_user_that_is_named_and_for_nobody_else(tmp_path):
    """A program that asks for many people names them, and one that asks for itself isn't a person."""
    async with HttpApplication(tmp_path, limits={"author_questions": 2}) as application:
        assert [(await application.ask("q", user="ann")).status_code for _ in range(3)] == [200, 200, 429]
        assert int((await application.ask("q", user="ann")).headers["retry-after"]) > 0
        assert (await application.ask("q", user="bob")).status_code == 200
        assert [(await application.ask("q")).status_code for _ in range(4)] == [200] * 4


async def test_a_named_user_can_be_forgotten(application):
    """By the name that was given."""
    await application.ask("of ann", user="ann")
    await application.ask("of bob", user="bob")
    assert (await application.dispatcher.admission.forget("http", "ann")).questions == 1
    assert texts_kept(application) == ["of bob"]


# --- who goes away ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_who_goes_away_takes_the_question_along(application, accept):
    """The engine stops, and nothing of it is kept."""
    application.engine.may_answer.clear()
    asking = asyncio.create_task(application.ask("never mind", headers={"Accept": accept}))
    await until(lambda: application.engine.asked)
    asking.cancel()
    await until(lambda: application.engine.cancelled == ["never mind"])
    await until(lambda: not application.dispatcher.admission.unfinished)
    await until(lambda: texts_kept(application) == [])
    assert application.adapter.requests._waiting == {}


async def test_a_request_that_takes_too_long_is_given_up(tmp_path, monkeypatch):
    """With its question: after the deadline of a question and the time for loading models."""
    monkeypatch.setattr(incoming, "_FOR_LOADING", 0.1 - QueueSettings().deadline_seconds)
    async with HttpApplication(tmp_path) as application:
        application.engine.may_answer.clear()
        response = await application.ask("slow")
        assert response.status_code == 504
        assert response.json()["detail"] == "There was no answer within 0.1 seconds."
        await until(lambda: application.engine.cancelled == ["slow"])


async def test_a_stop_answers_what_it_can_and_tells_the_others(tmp_path):
    """Within the grace; nobody is left with a broken connection."""
    async with HttpApplication(tmp_path) as application:
        application.engine.may_answer.clear()
        application.engine.stuck.add("slow")
        quick, slow = asyncio.create_task(application.ask("quick")), asyncio.create_task(application.ask("slow"))
        await until(lambda: len(application.engine.asked) == 2)
        stopping = asyncio.create_task(application.stop(grace_seconds=0.5))
        await asyncio.sleep(0.2)
        with pytest.raises(httpx.ConnectError):
            await httpx.AsyncClient(verify=TLS).get(application.address)
        application.engine.may_answer.set()
        assert (await quick).status_code == 200
        told = await slow
        await stopping
        assert told.status_code == 503
        assert "being stopped" in told.json()["detail"]
        assert texts_kept(application) == ["quick"]


# --- keys -------------------------------------------------------------------------------------------------------------


async def test_a_key_asks_once_however_often_it_is_sent(application):
    """At the same time and later; everybody gets the same answer."""
    key = {"Idempotency-Key": "k1"}
    application.engine.may_answer.clear()
    asking = [asyncio.create_task(application.ask("once", headers=key)) for _ in range(3)]
    await until(lambda: application.engine.asked)
    await asyncio.sleep(0.1)
    application.engine.may_answer.set()
    answers = [(await one).json() for one in asking]
    answers.append((await application.ask("once", headers=key)).json())
    assert len({answer["reference"] for answer in answers}) == 1
    assert len(application.engine.asked) == 1


async def test_who_gave_a_key_may_go_away_and_come_back(application):
    """The question is finished meanwhile."""
    key = {"Idempotency-Key": "k1"}
    application.engine.may_answer.clear()
    asking = asyncio.create_task(application.ask("later", headers=key))
    await until(lambda: application.engine.asked)
    asking.cancel()
    await until(lambda: application.adapter.requests._waiting == {})
    application.engine.may_answer.set()
    await until(lambda: not application.dispatcher.admission.unfinished)
    assert (await application.ask("later", headers=key)).json()["answer"].startswith("re: later")
    assert len(application.engine.asked) == 1


async def test_a_key_survives_a_restart(tmp_path):
    """What was accepted is answered by the next start; what had no key is given up, for nobody can come back for it."""
    async with HttpApplication(tmp_path) as application:
        application.engine.may_answer.clear()
        asking = [asyncio.create_task(application.ask("kept", headers={"Idempotency-Key": "k1"}))]
        await until(lambda: application.engine.asked)
        for task in application.dispatcher.queue._tasks:  # as a kill does: nothing is tidied up
            task.cancel()
        asking[0].cancel()
    async with HttpApplication(tmp_path) as application:
        await until(lambda: not application.dispatcher.admission.unfinished)
        assert (
            (await application.ask("kept", headers={"Idempotency-Key": "k1"})).json()["answer"].startswith("re: kept")
        )
        assert len(application.engine.asked) == 1


async def test_what_was_left_without_a_key_is_given_up_at_the_next_start(tmp_path):
    """Nobody can come back for it."""
    async with HttpApplication(tmp_path) as application:
        question = Question("lost", "c", "", Address("http", "", "m", {"keyed": False}), datetime.now(UTC))
        await application.journal.questions.accept(question)
    async with HttpApplication(tmp_path) as application:
        await until(lambda: not application.dispatcher.admission.unfinished)
        assert application.dispatcher.counts["undelivered"] == 1
        assert texts_kept(application) == []


async def test_a_key_of_another_question_is_refused(application):
    """It is a mistake of the program that asks. Keys of different users have nothing to do with each other."""
    key = {"Idempotency-Key": "k1"}
    await application.ask("one", headers=key)
    assert (await application.ask("two", headers=key)).status_code == 422
    assert (await application.ask("two", headers=key, user="ann")).status_code == 200


async def test_a_key_whose_answer_is_erased_is_refused(application):
    """The question isn't asked again under it."""
    key = {"Idempotency-Key": "k1"}
    await application.ask("one", headers=key, user="ann")
    await application.dispatcher.admission.forget("http", "ann")
    response = await application.ask("one", headers=key, user="ann")
    assert response.status_code == 409
    assert len(application.engine.asked) == 1


# --- what is wrong ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "question: Field required"),
        ({"question": " \n"}, "question: "),
        ({"question": 7}, "question: "),
        ({"question": "q", "temprature": 1}, "temprature: "),
        ({"question": "q", "user": "u" * 201}, "user: "),
        ([], "dictionary"),
    ],
)
async def test_what_is_wrong_with_a_request_is_said(application, body, told):
    """With its place; what was sent is not repeated."""
    response = await application.client.post("/v1/answers", json=body)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert told in response.json()["detail"]
    assert not application.engine.asked


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"question": "\\ud800"}', b"[" * 100_000, b'"' + b"x" * 1000])
async def test_no_body_makes_an_error_of_ours(application, body):
    """Not even one that is no JSON, no text, or nested without end."""
    response = await application.client.post("/v1/answers", content=body, headers={"Content-Type": "application/json"})
    assert 400 <= response.status_code < 500
    assert response.headers["content-type"] == "application/problem+json"


async def test_earlier_turns_survive_the_journal(application):
    """A question that is taken up again after a restart refers to the same as before."""
    question = Question("q", "c", "", Address("http", "", "m"), datetime.now(UTC), earlier=(Turn("a", "b"),))
    await application.journal.questions.accept(question)
    [pending] = await application.journal.questions.pending()
    assert pending.question == question
