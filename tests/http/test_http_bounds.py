"""Requests of strangers are bounded before any work is done on them."""

import json

import httpx
import pytest
from adapters.http.http_application import TLS, HttpApplication

from bot.core.messages import Turn
from tests.slowness import Held

JSON = {"Content-Type": "application/json"}
OPENAI, OWN = "/v1/chat/completions", "/v1/answers"


@pytest.fixture
async def application(tmp_path):
    async with HttpApplication(tmp_path) as application:
        yield application


def said(*texts: str) -> dict[str, object]:
    """A conversation in which user and bot speak in turn; the last text is the question."""
    roles = ("user", "assistant")
    return {
        "model": "knowledge-bot",
        "messages": [{"role": roles[number % 2], "content": text} for number, text in enumerate(texts)],
    }


@pytest.mark.parametrize(
    ("path", "body", "which"),
    [
        (OWN, {"question": "a" * 20_001}, "The question"),
        (OPENAI, said("a" * 20_001), "The question"),
        (OPENAI, said("a" * 20_001, "b", "q"), "An earlier message"),
        (OPENAI, said("a", "b" * 20_001, "q"), "An earlier message"),
        (OPENAI, said("a" * 450_000, "b" * 450_000, "q"), "An earlier message"),
    ],
)
async def test_texts_that_are_too_long_are_refused(application, path, body, which):
    """The response names the limit, and no engine has seen the question."""
    response = await application.client.post(path, json=body)
    assert response.status_code == 413
    assert which in response.json()["detail"]
    assert "000 characters" in response.json()["detail"]
    assert not application.engine.asked


async def test_callers_without_a_name_are_limited_by_their_address(tmp_path):
    """Those with a name are not hindered by them; a repeated request doesn't count; the refusal says when to come back."""
    async with HttpApplication(tmp_path, limits={"author_questions": 0, "chat_questions": 3}) as application:
        again = {"headers": {"Idempotency-Key": "one"}}
        statuses = [(await application.ask("q", **again)).status_code for _ in range(3)]
        statuses += [(await application.ask("q")).status_code for _ in range(3)]
        assert statuses == [200] * 5 + [429]
        refused = await application.client.post(OPENAI, json=said("q"))
        assert refused.status_code == 429
        assert 0 < int(refused.headers["Retry-After"]) <= 60
        assert (await application.ask("q", user="alice")).status_code == 200
        async with httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(local_address="127.0.0.2", verify=TLS), base_url=application.address
        ) as elsewhere:
            assert (await elsewhere.post(OWN, json={"question": "q"})).status_code == 200


MEMBERS = ",".join(f'"k{number}":1' for number in range(70_000))
PARTS = ",".join(['{"type":"text","text":""}'] * 36_000)
HOSTILE = [
    (OWN, json.dumps({"question": "a" * 990_000})),
    (OWN, json.dumps({"question": "what? " * 3_000})),
    (OWN, json.dumps({"question": "\0" * 160_000})),
    (OWN, json.dumps({"question": '"' * 19_000})),
    (OWN, "[" * 990_000),
    (OWN, "[" + "[]," * 300_000 + "[]]"),
    (OWN, "[" + "1," * 490_000 + "1]"),
    (OWN, '{"question":"q",' + MEMBERS + "}"),
    (OWN, '{"question":"q",' + MEMBERS[:100_000] + ":1}"),
    (OPENAI, json.dumps(said("a" * 450_000, "b" * 200_000, "q"))),
    (OPENAI, json.dumps(said(*["word " * 90] * 1_999))),
    (OPENAI, '{"model":"knowledge-bot","messages":[' + "{}," * 300_000 + "{}]}"),
    (OPENAI, '{"model":"knowledge-bot","messages":[' + "{}," * 15_000 + "{}]}"),
    (OPENAI, '{"model":"knowledge-bot","messages":[{"role":"user","content":[' + PARTS + "]}]}"),
]


async def test_bodies_of_hostile_sizes_hold_nobody_up(application):
    """Three times each, one after the other, with others in between: 10 ms of computing in 99 of 100 cases, 30 at most."""
    bodies = [(path, body.encode()) for path, body in HOSTILE]
    async with Held() as held:
        for path, body in bodies * 3:
            response = await application.client.post(path, content=body, headers=JSON)
            assert response.status_code in (200, 400, 413, 422)
    assert held.within_bounds, str(held)


async def test_texts_may_be_made_of_what_parts_values(application):
    """A log in JSON, within the limit of a text."""
    assert (await application.ask('{"a": [1, "b"], ' * 1_200)).status_code == 200


async def test_many_messages_of_one_side_take_no_time(application):
    """2,000 are joined at once; the test fails where the event loop is blocked."""
    body = said("q", "a")
    body["messages"][1:1] = [{"role": "assistant", "content": "b" * 400}] * 1_990
    body["messages"].append({"role": "user", "content": "last"})
    assert (await application.client.post(OPENAI, json=body)).status_code == 413


async def test_what_is_long_but_within_the_limits_is_asked(application):
    """Of a very long conversation the last turns."""
    texts = [f"{word} {number} " + "x" * 2_000 for number in range(100) for word in ("q", "a")]
    response = await application.client.post(OPENAI, json=said(*texts, "last"))
    assert response.status_code == 200
    [asked] = application.engine.asked
    assert asked.earlier[-1] == Turn(*texts[-2:])
    assert len(asked.earlier) == 9
    assert sum(len(turn.question) + len(turn.answer) for turn in asked.earlier) <= 40_000
    assert (await application.ask("a" * 20_000)).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (OWN, {"question": "a\ud800b"}),
        (OWN, {"question": "q", "user": "\udfff"}),
        (OWN, {"question": "q", "conversation": "\udfff"}),
        (OWN, {"question": "q", "\ud800": 1}),
        (OPENAI, said("a\ud800b")),
        (OPENAI, said("a", "\ud800", "q")),
        (OPENAI, said("q") | {"user": "\ud800"}),
        (OPENAI, said("q") | {"response_format": {"type": "\ud800"}}),
        (OPENAI, said("q") | {"tool_choice": "\ud800"}),
        (OPENAI, {"model": "\ud800", "messages": [{"role": "user", "content": "q"}]}),
        (OPENAI, {"model": "knowledge-bot", "messages": [{"role": "\ud800", "content": "q"}]}),
        (OPENAI, {"model": "knowledge-bot", "messages": [{"role": "user", "content": [{"type": "\ud800"}]}]}),
    ],
)
async def test_half_a_surrogate_pair_is_refused(application, path, body):
    """It is no text, and can't be stored or sent."""
    response = await application.client.post(path, content=json.dumps(body).encode(), headers=JSON)
    assert response.status_code == 422
    assert response.json()["status"] == 422
    assert not application.engine.asked


async def test_the_refusal_of_a_large_body_reaches_a_client_that_still_sends(application):
    """The connection is not reset while the client writes."""
    for _ in range(20):
        response = await application.client.post(OWN, content=b"x" * 3_000_000, headers=JSON)
        assert response.status_code == 413
