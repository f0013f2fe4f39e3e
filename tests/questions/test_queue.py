"""The queue: order within a conversation, one task a question, deadlines, and what is taken up again."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from questions_parts import question, until

from bot.core.errors import EngineBusy, IndexUnavailable, StorageError
from bot.core.messages import Answer, Outcome, Stage
from bot.core.settings import QueueSettings
from bot.questions import queue
from bot.questions.dispatcher import Dispatcher


async def test_an_accepted_question_is_answered_and_leaves_the_journal(dispatcher, adapter, journal):
    """The texts are erased once the answer has arrived."""
    assert await dispatcher.admission.accept(question("one"))
    await dispatcher.queue.idle()
    assert adapter.sent == [("one", "re: one", False)]
    assert await journal.questions.pending() == []
    assert dispatcher.admission.unfinished == 0


async def test_one_conversation_keeps_its_order(dispatcher, engine, adapter):
    """The second question waits for the first, even if it would be quicker."""
    for n in range(5):
        await dispatcher.admission.accept(question(str(n)))
    await dispatcher.queue.idle()
    assert adapter.texts == [f"re: {n}" for n in range(5)]
    assert engine.most_running == 1


async def test_conversations_run_side_by_side_up_to_the_limit(dispatcher, engine, adapter):
    """One slow conversation holds up no other."""
    engine.may_answer.clear()
    for n in range(5):
        await dispatcher.admission.accept(question(str(n), conversation=str(n)))
    await asyncio.sleep(0.05)
    assert engine.running == 3
    engine.may_answer.set()
    await dispatcher.queue.idle()
    assert sorted(adapter.texts) == [f"re: {n}" for n in range(5)]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (IndexUnavailable("Make it: knowledge-bot index"), "Make it: knowledge-bot index (reference "),
        (ZeroDivisionError("secret internals"), "Something went wrong on our side."),
    ],
)
async def test_a_failure_is_told_with_a_reference_and_hurts_no_other(dispatcher, engine, adapter, error, told):
    """Errors of ours are readable; bugs are neutral and show nothing of their inside."""
    engine.errors["bad"] = error
    await dispatcher.admission.accept(question("bad"))
    await dispatcher.admission.accept(question("good"))
    await dispatcher.queue.idle()
    failed, good = adapter.texts
    assert failed.startswith(told)
    assert "reference" in failed
    assert "secret" not in failed
    assert good == "re: good"


async def test_a_question_that_takes_too_long_is_given_up_and_told(engine, adapter, journal):
    """Nobody waits for ever."""
    dispatcher = Dispatcher(engine, journal, QueueSettings(deadline_seconds=0.05))
    dispatcher.register([adapter])
    engine.may_answer.clear()
    await dispatcher.admission.accept(question("slow"))
    await dispatcher.queue.idle()
    assert "longer than 0.05 seconds" in adapter.texts[0]


async def test_what_runs_at_a_stop_is_answered_after_the_next_start(engine, adapter, journal):
    """Closing waits for the grace only, and loses nothing."""
    first = Dispatcher(engine, journal, QueueSettings())
    first.register([adapter])
    engine.may_answer.clear()
    await first.admission.accept(question("one"))
    await first.admission.accept(question("two"))
    await first.close(grace_seconds=0.05)
    with pytest.raises(EngineBusy):
        await first.admission.accept(question("three"))

    engine.may_answer.set()
    second = Dispatcher(engine, journal, QueueSettings())
    second.register([adapter])
    assert await second.resume() == 2
    assert second.counts["resumed"] == 2
    await second.queue.idle()
    assert adapter.texts == ["re: one", "re: two"]


async def test_a_full_disk_puts_the_question_off_and_serves_the_next(dispatcher, adapter, journal, monkeypatch):
    """Its answer is noted at the next start."""
    answered = journal.questions.answered
    calls = 0

    async def full_once(*args):
        nonlocal calls
        calls += 1
        if calls == 1:
            raise IndexUnavailable("disk full")
        await answered(*args)

    monkeypatch.setattr(journal.questions, "answered", full_once)
    await dispatcher.admission.accept(question("one"))
    await dispatcher.admission.accept(question("two"))
    await dispatcher.queue.idle()
    assert adapter.texts == ["re: two"]
    assert [pending.question.text for pending in await journal.questions.pending()] == ["one"]


async def test_what_could_not_be_noted_is_taken_up_again_without_a_restart(dispatcher, adapter, journal, monkeypatch):
    """A disk that was full for a while; the others are served meanwhile."""
    monkeypatch.setattr(queue, "_PUT_OFF", 0.05)
    answered = journal.questions.answered
    full = True

    async def full_for_a_while(entry, revision, answer):
        if full and answer.text == "re: one":
            raise StorageError("disk full")
        await answered(entry, revision, answer)

    monkeypatch.setattr(journal.questions, "answered", full_for_a_while)
    await dispatcher.admission.accept(question("one"))
    await dispatcher.admission.accept(question("two"))
    await asyncio.sleep(0.2)
    assert adapter.texts == ["re: two"]
    full = False
    await until(lambda: len(adapter.texts) == 2)
    assert adapter.texts == ["re: two", "re: one"]
    assert dispatcher.counts["put_off"] >= 1


# --- deadlines, lateness ----------------------------------------------------------------------------------------------


async def test_waiting_counts_towards_the_deadline(engine, adapter, journal):
    """Also in line nobody waits longer than was said."""
    dispatcher = Dispatcher(engine, journal, QueueSettings(parallel=1, deadline_seconds=0.2))
    dispatcher.register([adapter])
    engine.may_answer.clear()
    await dispatcher.admission.accept(question("first", conversation="a"))
    await dispatcher.admission.accept(question("second", conversation="b"))
    async with asyncio.timeout(2):
        await dispatcher.queue.idle()
    assert all("longer than 0.2 seconds" in text for text in adapter.texts)
    assert len(adapter.texts) == 2


async def test_the_engine_is_told_until_when_an_answer_is_worth_having(engine, adapter, journal):
    """The deadline is counted from the acceptance, also for a question that waits for another."""
    dispatcher = Dispatcher(engine, journal, QueueSettings(parallel=1, deadline_seconds=30))
    dispatcher.register([adapter])
    accepted: dict[str, tuple[float, float]] = {}
    ends: dict[str, float] = {}

    async def look(question, progress):
        ends[question.text] = question.deadline
        await asyncio.sleep(0.1)
        return Answer(Outcome.ANSWERED, question.text, "ref")

    engine.answer = look
    for text in ("first", "second"):
        before = time.monotonic()
        await dispatcher.admission.accept(question(text, conversation=text))
        accepted[text] = before, time.monotonic()
    await dispatcher.queue.idle()
    for text, (before, after) in accepted.items():
        assert before + 30 <= ends[text] <= after + 30


@pytest.mark.parametrize("jump", [-86_400, 86_400])
async def test_a_clock_that_is_set_anew_expires_nothing(dispatcher, engine, adapter, monkeypatch, jump):
    """By a day, while one question is with the engine and another waits behind it; a third one comes after."""
    engine.may_answer.clear()
    for text in ("one", "two"):
        await dispatcher.admission.accept(question(text))
    await until(lambda: engine.asked)
    set_anew = time.time() + jump
    monkeypatch.setattr(time, "time", lambda: set_anew)
    engine.may_answer.set()
    await dispatcher.admission.accept(question("three"))
    await dispatcher.queue.idle()
    assert adapter.texts == ["re: one", "re: two", "re: three"]
    assert dispatcher.counts["late"] == dispatcher.counts["expired"] == 0


async def test_an_answer_that_comes_late_says_so_and_an_expired_question_is_closed(engine, adapter, journal):
    """After a stop of minutes, and of days; the clock of the question is that of the wall, which may also step back."""
    settings = QueueSettings(expire_seconds=3600)
    for name, minutes in (("soon", 0), ("late", 11), ("too late", 120), ("from the future", -600)):
        asked = replace(question(name, conversation=name), received_at=datetime.now(UTC) - timedelta(minutes=minutes))
        await journal.questions.accept(asked)
    late: dict[str, bool] = {}
    deliver = adapter.deliver

    async def look(address, answer, delivery):
        late[address.message] = answer.late
        await deliver(address, answer, delivery)

    adapter.deliver = look
    dispatcher = Dispatcher(engine, journal, settings)
    dispatcher.register([adapter])
    await dispatcher.resume()
    await dispatcher.queue.idle()
    assert (late["soon"], late["late"], late["from the future"]) == (False, True, False)
    assert "too late" not in engine.asked
    [closed] = [text for message, text, _ in adapter.sent if message == "too late"]
    assert closed.startswith("You asked this long ago")
    assert (dispatcher.counts["late"], dispatcher.counts["expired"]) == (1, 1)


async def test_questions_wait_until_the_engine_is_ready_and_no_deadline_begins_before(engine, adapter, journal):
    """While models are loaded and the first index is made."""
    ready = asyncio.Event()
    dispatcher = Dispatcher(engine, journal, QueueSettings(deadline_seconds=0.2), ready=ready)
    dispatcher.register([adapter])
    await dispatcher.admission.accept(question("early"))
    await asyncio.sleep(0.4)
    assert (engine.asked, adapter.updates) == ([], [Stage.STARTING])
    ready.set()
    await dispatcher.queue.idle()
    assert adapter.texts == ["re: early"]
