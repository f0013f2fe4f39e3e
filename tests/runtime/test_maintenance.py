"""Regular work beside the answering: what is erased when, and vectors of questions that are there before somebody asks."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, closing

import pytest
from structlog.testing import capture_logs

from bot.core import clock
from bot.core.messages import Address, Answer, Outcome, Question, Turn
from bot.runtime import maintenance
from bot.runtime.application import Application, administration_of, open_application
from bot.runtime.maintenance import keep_erasing, keep_grouping

DAY = 86_400.0


@pytest.fixture
def impatient(monkeypatch) -> None:
    """Wait for a database that is locked for a moment only."""
    monkeypatch.setattr("bot.storage.sqlite.connection._BUSY_TIMEOUT", 0.1)


@pytest.fixture
async def application(settings, models):
    async with open_application(settings, models) as application:
        yield application


@pytest.fixture
def days_pass(monkeypatch) -> Callable[[float], None]:
    """Put the clock forward."""

    def put(days: float) -> None:
        before = clock.now
        monkeypatch.setattr(clock, "now", lambda: before() + days * DAY)

    return put


@asynccontextmanager
async def beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Let work that never ends run for a while."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await holds():  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.01)


async def declined(application: Application, text: str) -> Question:
    """A question that was asked, declined, and followed up no more."""
    question = Question(text, text, "someone", Address("test", "chat", text), clock.utc_now())
    answer, journal = Answer(Outcome.DECLINED, "The documents don't say.", text), application.stores.journal
    number = await journal.questions.accept(question)
    assert number is not None
    await journal.questions.answered(number, 0, answer)
    await journal.questions.done(number, 0, keep=True)
    await journal.conversations.add_turn(text, Turn(text, answer.text), clock.now(), question)
    return question


async def test_answers_go_after_their_days_and_what_tells_a_repetition_a_month_later(application, days_pass):
    """An answer of yesterday stays, and so does a conversation that may still be followed up."""
    answers, questions = application.stores.journal.answers, application.stores.journal.questions
    days = application.settings.storage.answer_days
    old = await declined(application, "old")
    days_pass(days - 1)
    young = await declined(application, "young")
    days_pass(1.01)

    async def forgotten() -> bool:
        return await answers.stored("test", "old") is None

    assert not await forgotten()
    async with beside(keep_erasing(application)):
        await until(forgotten)
    assert await answers.stored("test", "young") is not None
    assert await questions.known(old.address)
    turns = application.stores.journal.conversations.turns
    assert await turns("old", newer_than=0, limit=9) == []
    days_pass(30)

    async def repeatable() -> bool:
        return not await questions.known(old.address)

    async with beside(keep_erasing(application)):
        await until(repeatable)
    assert await questions.known(young.address)


@pytest.mark.usefixtures("impatient")
async def test_what_a_busy_database_does_not_let_go_is_erased_later(application, days_pass, monkeypatch):
    """It is logged; the bot goes on."""
    monkeypatch.setattr(maintenance, "_BETWEEN_ERASURES", 0.05)
    await declined(application, "old")
    days_pass(application.settings.storage.answer_days + 1)
    file = application.settings.storage.folder / "journal.sqlite3"

    async def forgotten() -> bool:
        return await application.stores.journal.answers.stored("test", "old") is None

    async def failed() -> bool:
        return any(line["event"] == "not erased, to be tried again" for line in lines)

    with capture_logs() as lines, closing(sqlite3.connect(file, isolation_level=None)) as another:
        another.execute("BEGIN IMMEDIATE")
        async with beside(keep_erasing(application)):
            await until(failed)
            another.execute("ROLLBACK")
            await until(forgotten)


async def test_whoever_asks_for_the_gaps_waits_for_no_model(application):
    """The questions are encoded before: they are grouped although the models are gone."""
    administration = administration_of(application)
    for text in ("Who won the football match?", "who has won the football match"):
        await declined(application, text)
    answers, encoder = application.stores.journal.answers, application.inference.encoder.identity
    numbers = [one.id for one in await answers.declined(9)]

    async def encoded() -> bool:
        return len(await answers.vectors(numbers, encoder)) == 2

    async with beside(keep_grouping(administration)):
        await until(encoded)
    await application.inference.worker.close()
    [gap] = await administration.gaps()
    assert len(gap.questions) == 2
