"""The journal: no question is lost or taken twice, and nothing of it is kept longer than needed."""

import asyncio
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from bot.messages import Address, Answer, Citation, Outcome, Question, Turn
from bot.storage.base import PartState, Pending
from bot.storage.sqlite_journal import SqliteJournal

ANSWER = Answer(
    Outcome.ANSWERED,
    "the secret answer",
    "ref",
    span="secret",
    confidence=0.9,
    citations=(Citation("a.md", "A", ("H",), (1, 2), None, None, "the secret quote", None),),
    retrieved=("a.md",),
    timings_ms={"total": 1.5},
)


def question(
    message: str = "1", chat: str = "chat", platform: str = "test", text: str = "the secret question"
) -> Question:
    address = Address(platform, chat, message, {"thread": 5, "names": ["é", None]})
    return Question(text, f"{platform}:{chat}", "author", address, datetime(2026, 1, 2, 3, 4, 5, 6, UTC), "earlier")


@pytest.fixture
async def journal(tmp_path: Path):
    journal = await SqliteJournal.open(tmp_path)
    yield journal
    await journal.close()


@pytest.fixture
async def entry(journal: SqliteJournal) -> int:
    entry = await journal.accept(question())
    assert entry is not None
    return entry


def rows(folder: Path, table: str) -> list[tuple[object, ...]]:
    """What really stands in the file."""
    db = sqlite3.connect(folder / "journal.sqlite3")
    try:
        return db.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608  (the names are our own)
    finally:
        db.close()


# --- questions --------------------------------------------------------------------------------------------------------


async def test_an_accepted_question_is_pending_until_it_is_done(journal):
    """With everything that its answer needs."""
    asked = replace(question(), received_at=datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=5))))
    entry = await journal.accept(asked)
    assert await journal.pending() == [Pending(entry, asked, None)]
    await journal.answered(entry, ANSWER)
    assert await journal.pending() == [Pending(entry, asked, ANSWER)]
    await journal.done(entry)
    assert await journal.pending() == []


async def test_pending_questions_come_in_the_order_they_were_accepted(journal):
    """The oldest first, whichever were done in between."""
    entries = [await journal.accept(question(str(n))) for n in range(5)]
    await journal.done(entries[1])
    await journal.answered(entries[3], ANSWER)
    assert [pending.id for pending in await journal.pending()] == [entries[0], *entries[2:]]


async def test_a_message_is_accepted_once(journal, entry):
    """Also when it is done, and when its text was edited; platform, chat and message together name it."""
    assert await journal.accept(question()) is None
    assert await journal.accept(question(text="edited")) is None
    await journal.done(entry)
    assert await journal.accept(question()) is None
    others = [question("2"), question(chat="other"), question(platform="other")]
    assert len({await journal.accept(other) for other in others} - {None, entry}) == 3


async def test_one_of_many_repeats_is_accepted(journal):
    """However close together they come."""
    entries = await asyncio.gather(*(journal.accept(question()) for _ in range(20)))
    assert len([entry for entry in entries if entry is not None]) == 1


async def test_everything_survives_a_restart(journal, entry, tmp_path):
    """Without a clean end: another journal on the same file finds all of it."""
    await journal.answered(entry, ANSWER)
    await journal.part_begins(entry, 0)
    await journal.add_turn("c", Turn("q", "a"), at=100)
    again = await SqliteJournal.open(tmp_path)
    assert await again.pending() == [Pending(entry, question(), ANSWER)]
    assert await again.part(entry, 0) == PartState(None)
    assert await again.turns("c", newer_than=0, limit=5) == [Turn("q", "a")]
    assert await again.accept(question()) is None
    await again.close()


async def test_ids_are_never_used_again(journal, entry):
    """An old id in somebody's hands must not mean a new question."""
    await journal.done(entry)
    second = await journal.accept(question("2"))
    assert second is not None and second > entry


# --- parts ------------------------------------------------------------------------------------------------------------


async def test_a_part_is_unknown_then_in_doubt_then_sent(journal, entry):
    """In doubt means: it may have arrived."""
    assert await journal.part(entry, 0) is None
    await journal.part_begins(entry, 0)
    assert await journal.part(entry, 0) == PartState(None)
    await journal.part_sent(entry, 0, "message 7")
    assert await journal.part(entry, 0) == PartState("message 7")
    assert await journal.part(entry, 1) is None


async def test_beginning_again_forgets_nothing(journal, entry):
    """A part that was sent stays sent."""
    await journal.part_begins(entry, 0)
    await journal.part_begins(entry, 0)
    await journal.part_sent(entry, 0, "7")
    await journal.part_begins(entry, 0)
    assert await journal.part(entry, 0) == PartState("7")


async def test_parts_belong_to_their_question(journal, entry):
    """Another question has its own."""
    other = await journal.accept(question("2"))
    await journal.part_begins(entry, 0)
    assert await journal.part(other, 0) is None
    await journal.done(other)
    assert await journal.part(entry, 0) == PartState(None)


# --- erasing ----------------------------------------------------------------------------------------------------------


async def test_what_is_done_is_erased_but_for_its_key(journal, entry, tmp_path):
    """No text stays, not even a sent part's id; the file itself doesn't hold it any more after the end."""
    await journal.answered(entry, ANSWER)
    await journal.part_begins(entry, 0)
    await journal.part_sent(entry, 0, "secret id")
    await journal.done(entry)
    [(id_, platform, chat, message, _accepted_at, kept_question, kept_answer)] = rows(tmp_path, "questions")
    assert (id_, platform, chat, message, kept_question, kept_answer) == (entry, "test", "chat", "1", None, None)
    assert rows(tmp_path, "parts") == []
    await journal.close()
    assert b"secret" not in (tmp_path / "journal.sqlite3").read_bytes()


async def test_an_answer_that_comes_too_late_is_not_kept(journal, entry, tmp_path):
    """The question was given up meanwhile: its answer would never be erased."""
    await journal.done(entry)
    await journal.answered(entry, ANSWER)
    assert rows(tmp_path, "questions")[0][-1] is None
    assert await journal.pending() == []


async def test_done_may_be_said_twice_and_of_nothing(journal, entry):
    """After a crash nobody knows."""
    await journal.done(entry)
    await journal.done(entry)
    await journal.done(12345)


# --- conversations ----------------------------------------------------------------------------------------------------


async def said(journal: SqliteJournal, conversation: str = "c", newer_than: float = 0, limit: int = 10) -> list[str]:
    return [turn.question for turn in await journal.turns(conversation, newer_than=newer_than, limit=limit)]


async def test_turns_come_oldest_first_and_the_latest_are_kept(journal):
    """A follow-up refers to what was said last."""
    for n in range(5):
        await journal.add_turn("c", Turn(f"q{n}", f"a{n}"), at=100 + n)
    await journal.add_turn("other", Turn("x", "y"), at=110)
    assert await said(journal) == ["q0", "q1", "q2", "q3", "q4"]
    assert await said(journal, limit=2) == ["q3", "q4"]
    assert await said(journal, limit=0) == []
    assert await journal.turns("other", newer_than=0, limit=9) == [Turn("x", "y")]


async def test_turns_expire(journal):
    """At the very second."""
    await journal.add_turn("c", Turn("old", "a"), at=100)
    await journal.add_turn("c", Turn("new", "a"), at=101)
    assert await said(journal, newer_than=100) == ["new"]
    assert await said(journal, newer_than=99.9) == ["old", "new"]
    await journal.forget_older(100)
    assert await said(journal) == ["new"]


async def test_a_conversation_can_be_forgotten(journal, tmp_path):
    """Only this one, and from the file too."""
    await journal.add_turn("c", Turn("secret", "secret"), at=100)
    await journal.add_turn("other", Turn("kept", "a"), at=100)
    await journal.forget("c")
    assert await said(journal) == []
    assert await said(journal, "other") == ["kept"]
    await journal.close()
    content = (tmp_path / "journal.sqlite3").read_bytes()
    assert b"secret" not in content and b"kept" in content


async def test_a_second_journal_sees_the_changes_of_the_first(journal, entry, tmp_path):
    """And the other way round, without either being closed."""
    other = await SqliteJournal.open(tmp_path)
    await journal.answered(entry, ANSWER)
    [pending] = await other.pending()
    assert pending.answer == ANSWER
    await other.done(entry)
    assert await journal.pending() == []
    await other.close()
    await other.close()
