"""The journal: no question is lost or taken twice, and nothing of it is kept longer than needed."""

import asyncio
import json
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.core.errors import StorageError
from bot.core.messages import Address, Answer, Citation, Outcome, Policy, Question, Superseded, Turn
from bot.storage.base import Declined, Forgotten, KeptAnswer, PartState, Pending
from bot.storage.base.history import HistoryFilter
from bot.storage.sqlite.connection import damage
from bot.storage.sqlite.journal import MIGRATIONS, SqliteJournal

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
    entry = await journal.questions.accept(question())
    assert entry is not None
    return entry


def rows(folder: Path, table: str) -> list[tuple[object, ...]]:
    """The rows of the file itself."""
    db = sqlite3.connect(folder / "journal.sqlite3")
    try:
        return db.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608  (the names are our own)
    finally:
        db.close()


# --- questions --------------------------------------------------------------------------------------------------------


async def test_an_accepted_question_is_pending_until_it_is_done(journal):
    """With everything that its answer needs."""
    asked = replace(question(), received_at=datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=5))))
    entry = await journal.questions.accept(asked)
    assert await journal.questions.pending() == [Pending(entry, asked, None)]
    await journal.questions.answered(entry, 0, ANSWER)
    assert await journal.questions.pending() == [Pending(entry, asked, ANSWER)]
    await journal.questions.done(entry, 0, keep=True)
    assert await journal.questions.pending() == []


async def test_pending_questions_come_in_the_order_they_were_accepted(journal):
    """The oldest first, whichever were done in between."""
    entries = [await journal.questions.accept(question(str(n))) for n in range(5)]
    await journal.questions.done(entries[1], 0, keep=False)
    await journal.questions.answered(entries[3], 0, ANSWER)
    assert [pending.id for pending in await journal.questions.pending()] == [entries[0], *entries[2:]]


async def test_a_message_is_accepted_once(journal, entry):
    """Also when it is done, and when its text was edited; platform, chat and message together name it."""
    assert await journal.questions.accept(question()) is None
    assert await journal.questions.accept(question(text="edited")) is None
    await journal.questions.done(entry, 0, keep=False)
    assert await journal.questions.accept(question()) is None
    others = [question("2"), question(chat="other"), question(platform="other")]
    assert len({await journal.questions.accept(other) for other in others} - {None, entry}) == 3


async def test_one_of_many_repeats_is_accepted(journal):
    """However close together they come."""
    entries = await asyncio.gather(*(journal.questions.accept(question()) for _ in range(20)))
    assert len([entry for entry in entries if entry is not None]) == 1


async def test_everything_survives_a_restart(journal, entry, tmp_path):
    """Without a clean end: another journal on the same file finds all of it."""
    await journal.questions.answered(entry, 0, ANSWER)
    await journal.parts.part_begins(entry, 0, 0)
    await journal.conversations.add_turn("c", Turn("q", "a"), at=100)
    again = await SqliteJournal.open(tmp_path)
    assert await again.questions.pending() == [Pending(entry, question(), ANSWER)]
    assert await again.parts.part_begins(entry, 0, 0) == PartState(None, False, repeated=True)
    assert await again.conversations.turns("c", newer_than=0, limit=5) == [Turn("q", "a")]
    assert await again.questions.accept(question()) is None
    await again.close()


async def test_ids_are_never_used_again(journal, entry):
    """An old id in somebody's hands must not mean a new question."""
    await journal.questions.done(entry, 0, keep=False)
    second = await journal.questions.accept(question("2"))
    assert second is not None and second > entry


# --- parts ------------------------------------------------------------------------------------------------------------


async def test_a_part_is_unknown_then_in_doubt_then_sent(journal, entry):
    """In doubt means: it may have arrived."""
    assert await journal.parts.part_begins(entry, 0, 0) is None
    assert await journal.parts.part_begins(entry, 0, 0) == PartState(None, False, repeated=True)
    await journal.parts.part_sent(entry, 0, 0, "message 7")
    assert await journal.parts.part_begins(entry, 0, 0) == PartState("message 7", True, repeated=True)
    assert await journal.parts.part_begins(entry, 0, 1) is None


async def test_a_part_that_was_not_sent_after_all_is_not_in_doubt(journal, entry):
    """But one that was sent stays so."""
    await journal.parts.part_begins(entry, 0, 0)
    await journal.parts.part_unsent(entry, 0)
    assert await journal.parts.part_begins(entry, 0, 0) is None
    await journal.parts.part_sent(entry, 0, 0, "message 7")
    await journal.parts.part_unsent(entry, 0)
    assert await journal.parts.part_begins(entry, 0, 0) == PartState("message 7", True)


async def test_parts_belong_to_their_question(journal, entry):
    """Another question has its own."""
    other = await journal.questions.accept(question("2"))
    await journal.parts.part_begins(entry, 0, 0)
    assert await journal.parts.part_begins(other, 0, 0) is None
    await journal.questions.done(other, 0, keep=False)
    assert await journal.parts.part_begins(entry, 0, 0) == PartState(None, False, repeated=True)


async def test_a_placeholder_is_what_the_first_part_replaces(journal, entry):
    """Also after a crash, as often as the edit is tried; once part of the answer is there, it takes no placeholder."""
    assert await journal.parts.takes_placeholder(question().address)
    await journal.parts.placed(question().address, "placeholder")
    assert not await journal.parts.takes_placeholder(question().address)
    assert await journal.parts.part_begins(entry, 0, 0) == PartState("placeholder", False)
    assert await journal.parts.part_begins(entry, 0, 0) == PartState("placeholder", False)
    await journal.parts.part_sent(entry, 0, 0, "placeholder")
    await journal.parts.placed(question().address, "late")
    assert await journal.parts.part_begins(entry, 0, 0) == PartState("placeholder", True)


async def test_beside_a_part_in_doubt_no_placeholder_is_sent(journal, entry):
    """It would never be replaced: the part is sent again as a message of its own."""
    await journal.parts.part_begins(entry, 0, 0)
    assert not await journal.parts.takes_placeholder(question().address)
    await journal.parts.part_unsent(entry, 0)
    assert await journal.parts.takes_placeholder(question().address)


async def test_a_question_that_was_deleted_takes_no_placeholder(journal, entry):
    """Its deletion may come while the progress is being shown."""
    await journal.erasure.withdraw(question().address)
    assert not await journal.parts.takes_placeholder(question().address)


# --- edited and deleted questions -------------------------------------------------------------------------------------


async def sent(journal: SqliteJournal, entry: int, revision: int, *messages: str) -> None:
    """An answer is delivered in these messages."""
    await journal.questions.answered(entry, revision, ANSWER)
    for part, message in enumerate(messages):
        await journal.parts.part_begins(entry, revision, part)
        await journal.parts.part_sent(entry, revision, part, message)
    await journal.questions.done(entry, revision, keep=True)


async def test_an_edited_question_is_pending_again_and_its_parts_are_to_be_edited(journal, entry, tmp_path):
    """Parts that the new answer doesn't need are left over; they are forgotten with the next end."""
    await sent(journal, entry, 0, "m0", "m1")
    edited = question(text="edited")
    assert await journal.questions.revise(edited) == Pending(entry, edited, None, 1)
    assert await journal.questions.pending() == [Pending(entry, edited, None, 1)]
    assert await journal.parts.part_begins(entry, 1, 0) == PartState("m0", False)
    await journal.parts.part_sent(entry, 1, 0, "m0")
    assert await journal.parts.left_over(entry, 1) == ["m1"]
    await journal.questions.done(entry, 1, keep=True)
    assert [row[:3] for row in rows(tmp_path, "parts")] == [(entry, 0, "m0")]


async def test_only_a_changed_text_that_is_kept_can_be_revised(journal, entry):
    """Platforms call many things an edit."""
    assert await journal.questions.revise(question()) is None
    assert await journal.questions.revise(question("never accepted")) is None
    await journal.questions.done(entry, 0, keep=False)
    assert await journal.questions.revise(question(text="edited")) is None


async def test_what_comes_for_an_older_revision_is_superseded(journal, entry):
    """The engine, or a delivery, may still be at work on it."""
    await journal.parts.part_begins(entry, 0, 0)
    await journal.questions.revise(question(text="edited"))
    with pytest.raises(Superseded):
        await journal.questions.answered(entry, 0, ANSWER)
    with pytest.raises(Superseded):
        await journal.parts.part_begins(entry, 0, 1)
    await journal.parts.part_sent(entry, 0, 0, "sent just then")
    await journal.questions.done(entry, 0, keep=True)
    [pending] = await journal.questions.pending()
    assert (pending.question.text, pending.answer) == ("edited", None)
    assert await journal.parts.part_begins(entry, 1, 0) == PartState("sent just then", False)


async def test_a_deleted_question_leaves_no_text(journal, entry, tmp_path):
    """Its answer, its turn and what was thought of it go too; the ids of what was sent are handed out once."""
    await sent(journal, entry, 0, "m0", "m1")
    await journal.conversations.add_turn("c", Turn("secret", "secret"), 100, question())
    await journal.answers.add_feedback("test", "ref", "someone", helpful=False, reason="secret")
    assert await journal.erasure.withdraw(question().address) == entry
    assert await journal.erasure.take_parts(entry, question().address) == ["m0", "m1"]
    assert await journal.erasure.take_parts(entry, question().address) == []
    assert await journal.conversations.turns("c", newer_than=0, limit=9) == []
    assert await journal.answers.feedback(9) == []
    assert await journal.questions.accept(question()) is None
    assert await journal.questions.revise(question(text="edited")) is None
    assert await journal.erasure.withdraw(question("unknown").address) is None
    with pytest.raises(Superseded):
        await journal.parts.part_begins(entry, 0, 2)
    await journal.close()
    assert b"secret" not in (tmp_path / "journal.sqlite3").read_bytes()


# --- kept answers -----------------------------------------------------------------------------------------------------


async def test_a_delivered_answer_is_found_by_its_reference_until_it_is_erased(journal, entry, tmp_path):
    """On its own platform only."""
    await sent(journal, entry, 0, "m0")
    assert await journal.answers.stored("test", "ref") == KeptAnswer(question(), ANSWER)
    assert await journal.answers.stored("other", "ref") is None
    await journal.erasure.erase_before(time.time() - 60, keys_before=0)
    assert await journal.answers.stored("test", "ref") is not None
    await journal.erasure.erase_before(time.time() + 1, keys_before=0)
    assert await journal.answers.stored("test", "ref") is None
    assert await journal.questions.known(question().address)
    await journal.close()
    assert b"secret" not in (tmp_path / "journal.sqlite3").read_bytes()


async def test_the_question_behind_a_message_is_found(journal, entry):
    """Any part of its answer; on its own platform only, and as long as it is kept."""
    await sent(journal, entry, 0, "m0", "m1")
    assert await journal.answers.answered_by("test", "m1") == question()
    assert await journal.answers.answered_by("other", "m1") is None
    await journal.erasure.erase_before(time.time() + 1, keys_before=0)
    assert await journal.answers.answered_by("test", "m1") is None


async def test_what_is_unanswered_is_not_erased_by_time(journal, entry):
    """Its author is still waiting."""
    await journal.erasure.erase_before(time.time() + 1, keys_before=0)
    assert [pending.id for pending in await journal.questions.pending()] == [entry]


async def test_the_last_word_of_each_person_counts_as_feedback(journal, entry):
    """On an answer that is kept."""
    await sent(journal, entry, 0, "m0")
    assert await journal.answers.add_feedback("test", "ref", "one", helpful=True, reason="")
    assert await journal.answers.add_feedback("test", "ref", "one", helpful=False, reason="outdated")
    assert await journal.answers.add_feedback("test", "ref", "two", helpful=True, reason="")
    assert not await journal.answers.add_feedback("test", "unknown", "one", helpful=True, reason="")
    assert await journal.answers.feedback_counts() == (1, 1)
    said = {feedback.author: feedback for feedback in await journal.answers.feedback(9)}
    assert (said["one"].helpful, said["one"].reason, said["one"].stored) == (
        False,
        "outdated",
        KeptAnswer(question(), ANSWER),
    )
    assert len(await journal.answers.feedback(1)) == 1


async def declined(journal: SqliteJournal, message: str, outcome: Outcome = Outcome.DECLINED) -> Answer:
    """A question that was answered and delivered with this outcome."""
    answer = Answer(outcome, "the secret reply", f"ref {message}", confidence=0.25, retrieved=("a.md", "b.md"))
    entry = await journal.questions.accept(question(message))
    assert entry is not None
    await journal.questions.answered(entry, 0, answer)
    await journal.questions.done(entry, 0, keep=True)
    return answer


async def test_what_was_declined_can_be_read_newest_first(journal):
    """With question, answer and the time it was asked, and no more than wanted; what was answered is not among it."""
    before = time.time()
    answers = [await declined(journal, str(number)) for number in range(3)]
    for outcome in set(Outcome) - {Outcome.DECLINED}:
        await declined(journal, outcome, outcome)
    await journal.questions.accept(question("unanswered"))
    read = await journal.answers.declined(9)
    assert [(one.question, one.answer) for one in read] == [(question(str(n)), answers[n]) for n in (2, 1, 0)]
    assert before <= read[2].at <= read[1].at <= read[0].at <= time.time()
    assert await journal.answers.declined(2) == read[:2]
    assert isinstance(read[0], Declined)


async def test_a_suggestion_that_somebody_rejects_counts_as_declined(journal):
    """One that helped, or that nobody has rated, does not; nor does an answer."""
    given = [
        await declined(journal, f"{outcome} {number}", outcome)
        for outcome in (Outcome.SUGGESTED, Outcome.ANSWERED)
        for number in range(3)
    ]
    for answer, helpful in ((given[0], False), (given[1], True), (given[3], False)):
        await journal.answers.add_feedback("test", answer.reference, "ann", helpful=helpful, reason="")
        await journal.answers.add_feedback("other", answer.reference, "ann", helpful=False, reason="")
    assert [one.answer for one in await journal.answers.declined(9)] == [given[0]]
    await journal.answers.add_feedback("test", given[0].reference, "ann", helpful=True, reason="")
    assert await journal.answers.declined(9) == []


async def test_a_declined_question_is_read_only_as_long_as_it_is_kept(journal):
    """Until it is edited, erased by time, or its author is forgotten; one that is not kept at all is never read."""
    await declined(journal, "edited")
    await journal.questions.revise(question("edited", text="another question"))
    assert await journal.answers.declined(9) == []
    await declined(journal, "old")
    await journal.erasure.erase_before(time.time() + 1, keys_before=0)
    assert await journal.answers.declined(9) == []
    await declined(journal, "theirs")
    await journal.erasure.forget_author("test", "author")
    assert await journal.answers.declined(9) == []
    entry = await journal.questions.accept(question("fleeting"))
    await journal.questions.answered(entry, 0, replace(ANSWER, outcome=Outcome.DECLINED))
    await journal.questions.done(entry, 0, keep=False)
    assert await journal.answers.declined(9) == []


async def test_forgetting_a_person_erases_all_of_theirs_and_nothing_else(journal, entry, tmp_path):
    """Answered and unanswered questions, turns, feedback, on one platform."""
    await sent(journal, entry, 0, "m0")
    await journal.questions.accept(question("2"))
    other = replace(question("3", text="kept"), author="other")
    await journal.questions.accept(other)
    elsewhere = await journal.questions.accept(question(platform="elsewhere", text="kept"))
    await journal.conversations.add_turn("c", Turn("secret", "secret"), 100, question())
    await journal.conversations.add_turn("c", Turn("kept", "kept"), 100, other)
    await journal.answers.add_feedback("test", "ref", "author", helpful=False, reason="secret")
    await journal.answers.add_feedback("test", "ref", "other", helpful=True, reason="")
    assert await journal.erasure.forget_author("test", "author") == Forgotten(2, 1, 1)
    assert await journal.erasure.forget_author("test", "author") == Forgotten(0, 0, 0)
    assert [pending.question.text for pending in await journal.questions.pending()] == ["kept", "kept"]
    assert elsewhere in [pending.id for pending in await journal.questions.pending()]
    assert [turn.question for turn in await journal.conversations.turns("c", newer_than=0, limit=9)] == ["kept"]
    assert await journal.questions.accept(question()) is None
    await journal.close()
    assert b"secret" not in (tmp_path / "journal.sqlite3").read_bytes()


async def test_an_edited_question_has_one_turn(journal):
    """The new one, in place of the old."""
    await journal.conversations.add_turn("c", Turn("old", "a"), 100, question())
    await journal.conversations.add_turn("c", Turn("new", "a"), 101, question())
    assert [turn.question for turn in await journal.conversations.turns("c", newer_than=0, limit=9)] == ["new"]


# --- platforms --------------------------------------------------------------------------------------------------------


async def test_the_policy_of_the_nearest_chat_counts(journal):
    """A thread's before its channel's; None takes one away."""
    await journal.platforms.set_policy("test", "channel", Policy.ALWAYS)
    await journal.platforms.set_policy("test", "thread", Policy.OFF)
    assert await journal.platforms.policy("test", ["thread", "channel"]) is Policy.OFF
    assert await journal.platforms.policy("test", ["other", "channel"]) is Policy.ALWAYS
    assert await journal.platforms.policy("other", ["channel"]) is None
    await journal.platforms.set_policy("test", "thread", None)
    assert await journal.platforms.policy("test", ["thread"]) is None
    assert await journal.platforms.policies("test") == {"channel": Policy.ALWAYS}


async def test_a_policy_moves_with_its_chat(journal):
    """Over whatever stood there; a chat without one moves nothing."""
    await journal.platforms.set_policy("test", "old", Policy.ALWAYS)
    await journal.platforms.set_policy("test", "new", Policy.OFF)
    await journal.platforms.move_chat("test", "old", "new")
    await journal.platforms.move_chat("test", "unknown", "new")
    assert await journal.platforms.policies("test") == {"new": Policy.ALWAYS}


async def test_notes_are_kept_by_platform_and_key(journal):
    """Until they are taken away."""
    await journal.platforms.set_note("test", "k", "1")
    await journal.platforms.set_note("test", "k", "2")
    assert (await journal.platforms.note("test", "k"), await journal.platforms.note("other", "k")) == ("2", None)
    await journal.platforms.set_note("test", "k", None)
    assert await journal.platforms.note("test", "k") is None


async def test_a_journal_of_the_first_version_is_taken_over(tmp_path):
    """Pending questions are pending, a done message is known and stays erased, and a part in doubt is in doubt."""
    asked = json.dumps(question().to_json())
    db = sqlite3.connect(tmp_path / "journal.sqlite3")
    for statement in MIGRATIONS[0].split(";"):
        db.execute(statement)
    db.execute("INSERT INTO questions VALUES (1, 'test', 'chat', '0', 5, NULL, NULL)")
    db.execute("INSERT INTO questions VALUES (2, 'test', 'chat', '1', 6, ?, NULL)", (asked,))
    db.execute("INSERT INTO parts VALUES (2, 0, NULL), (2, 1, 'sent')")
    db.execute("INSERT INTO turns VALUES (1, 'c', 100, 'q', 'a')")
    db.execute("PRAGMA user_version = 1")
    db.commit()
    db.close()
    journal = await SqliteJournal.open(tmp_path)
    assert await journal.questions.pending() == [Pending(2, question(), None)]
    assert await journal.questions.accept(question("0")) is None
    assert await journal.parts.part_begins(2, 0, 0) == PartState(None, False, repeated=True)
    assert await journal.parts.part_begins(2, 0, 1) == PartState("sent", True)
    assert len(await journal.conversations.turns("c", newer_than=0, limit=9)) == 1
    assert (await journal.erasure.forget_author("test", "author")).questions == 1
    await journal.close()


# --- erasing ----------------------------------------------------------------------------------------------------------


async def test_what_is_done_is_erased_but_for_its_key(journal, entry, tmp_path):
    """No text stays, not even a sent part's id; the file itself doesn't hold it any more after the end."""
    await journal.questions.answered(entry, 0, ANSWER)
    await journal.parts.part_begins(entry, 0, 0)
    await journal.parts.part_sent(entry, 0, 0, "secret id")
    await journal.questions.done(entry, 0, keep=False)
    [(id_, platform, chat, message, _accepted_at, *texts, _revision, _done_at, asked, outcome, confidence)] = rows(
        tmp_path, "questions"
    )
    assert (id_, platform, chat) == (entry, "test", "") and len(message) == 64  # a fingerprint
    assert texts == [None, None, None, None]  # question, answer, author, reference
    assert (asked, outcome, confidence) == (None, None, None)
    assert rows(tmp_path, "parts") == []
    await journal.close()
    assert b"secret" not in (tmp_path / "journal.sqlite3").read_bytes()


async def test_an_answer_that_comes_too_late_is_not_kept(journal, entry, tmp_path):
    """The question was given up meanwhile: its answer would never be erased."""
    await journal.questions.done(entry, 0, keep=False)
    with pytest.raises(Superseded):
        await journal.questions.answered(entry, 0, ANSWER)
    assert rows(tmp_path, "questions")[0][6] is None
    assert await journal.questions.pending() == []


async def test_done_may_be_said_twice_and_of_nothing(journal, entry):
    """After a crash nobody knows."""
    await journal.questions.done(entry, 0, keep=False)
    await journal.questions.done(entry, 0, keep=False)
    await journal.questions.done(12345, 0, keep=False)


async def ask_and_answer(journal: SqliteJournal, user: str, number: int) -> None:
    """What a question by HTTP leaves, with an Idempotency-Key."""
    address = Address("http", user, f"key:{user}-order-{number}")
    asked = Question(f"Where is {user}'s parcel?", f'http:["{user}", "c"]', user, address, datetime.now(UTC))
    entry = await journal.questions.accept(asked)
    assert entry is not None
    answer = replace(ANSWER, text=f"{user}'s parcel is here. " * 20, reference=f"{user}{number}")
    await journal.questions.answered(entry, 0, answer)
    await journal.parts.part_begins(entry, 0, 0)
    await journal.parts.part_sent(entry, 0, 0, address.message)
    await journal.questions.done(entry, 0, keep=True)
    await journal.conversations.add_turn(asked.conversation, Turn(asked.text, answer.text), time.time(), asked)
    await journal.answers.add_feedback("http", answer.reference, user, helpful=True, reason=f"{user} liked it")


def holding(folder: Path, text: bytes) -> list[str]:
    """The files of a folder that hold a text."""
    return [file.name for file in folder.iterdir() if text in file.read_bytes()]


async def test_what_is_forgotten_is_in_no_file_while_the_journal_is_open(journal, tmp_path):
    """Neither the texts nor names that stand in a chat or in a key; not in the log of the database either."""
    for number in range(60):
        await ask_and_answer(journal, ("alice", "bob", "carol")[number % 3], number)
    await journal.erasure.erase_before(time.time(), keys_before=0)
    for number in range(60, 120):
        await ask_and_answer(journal, ("alice", "bob", "carol")[number % 3], number)
    assert holding(tmp_path, b"alice")
    assert await journal.erasure.forget_author("http", "alice") == Forgotten(20, 40, 20)
    assert holding(tmp_path, b"alice") == []
    assert holding(tmp_path, b"bob's parcel")
    assert await journal.questions.known(Address("http", "alice", "key:alice-order-0"))
    assert await journal.questions.known(Address("http", "alice", "key:alice-order-60"))
    assert not await journal.questions.known(Address("http", "alice", "key:alice-order-1"))


async def test_what_is_forgotten_is_in_no_file_of_a_large_journal_in_use(journal, tmp_path, monkeypatch):
    """Which is looked through in pieces, while others ask; each waits for one piece at most."""
    monkeypatch.setattr("bot.storage.sqlite.scrubbing.WIPED_PAGES", 5)
    for number in range(200):
        await ask_and_answer(journal, ("alice", "bob")[number % 2], number)

    async def others() -> None:
        for number in range(1000, 1100):
            await ask_and_answer(journal, "carol", number)

    forgotten, _ = await asyncio.gather(journal.erasure.forget_author("http", "alice"), others())
    assert forgotten == Forgotten(100, 100, 100)
    assert holding(tmp_path, b"alice") == []
    assert not await asyncio.to_thread(damage, tmp_path / "journal.sqlite3")
    assert len(await journal.history.page(HistoryFilter(), 1000)) == 200


async def test_while_another_program_reads_the_log_what_is_forgotten_is_told_and_tried_again(
    journal, tmp_path, monkeypatch
):
    """ "At once" must be true, and a backup may take its time."""
    monkeypatch.setattr("bot.storage.sqlite.erasure._BETWEEN_TRIES", 0.01)
    await ask_and_answer(journal, "alice", 1)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM questions").fetchone()
        with pytest.raises(StorageError, match="another program reads the journal"):
            await journal.erasure.forget_author("http", "alice")
    assert await journal.erasure.scrub(rewrite=True)
    assert holding(tmp_path, b"alice") == []


async def test_the_names_in_an_earlier_journal_are_erased_when_it_is_opened(tmp_path):
    """What was erased by the version before left the chat and the key, by which it is known on."""
    with closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as db:
        for script in MIGRATIONS[:2]:
            db.executescript(script)
        db.execute("INSERT INTO questions (platform, chat, message, accepted_at) VALUES ('http', 'alice', 'key:1', 1)")
        db.execute("PRAGMA user_version = 2")
        db.commit()
    journal = await SqliteJournal.open(tmp_path)
    assert await journal.questions.known(Address("http", "alice", "key:1"))
    assert rows(tmp_path, "questions")[0][2] == ""
    await journal.close()


# --- the file ---------------------------------------------------------------------------------------------------------


async def pending_texts(journal: SqliteJournal) -> list[str]:
    return [pending.question.text for pending in await journal.questions.pending()]


@pytest.mark.parametrize("deleted", ["*", "journal.sqlite3", "journal.sqlite3-*"])
async def test_a_journal_that_is_deleted_while_it_is_open_is_written_again(journal, tmp_path, deleted):
    """With all that was accepted, before and after; a copy that another process opens has it."""
    await journal.questions.accept(question("1", text="before"))
    assert not await journal.put_back()
    for file in tmp_path.glob(deleted):
        file.unlink()
    await journal.questions.accept(question("2", text="after"))
    assert await journal.put_back()
    await journal.questions.accept(question("3", text="later"))
    assert not await journal.put_back()
    again = await SqliteJournal.open(tmp_path)
    assert await pending_texts(again) == ["before", "after", "later"]
    await again.close()


async def test_the_whole_folder_may_be_deleted(tmp_path):
    """It is made again, for its owner only."""
    journal = await SqliteJournal.open(tmp_path / "data")
    await journal.questions.accept(question(text="kept"))
    shutil.rmtree(tmp_path / "data")
    assert await journal.put_back()
    assert await pending_texts(journal) == ["kept"]
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "data" / "journal.sqlite3").stat().st_mode & 0o777 == 0o600
    await journal.close()


async def test_nothing_is_written_into_a_journal_that_was_replaced(journal, tmp_path):
    """Such as by a copy of a backup: which of the two is wanted nobody but the operator knows, and both are there."""
    await journal.questions.accept(question(text="before"))
    (tmp_path / "other").write_bytes((tmp_path / "journal.sqlite3").read_bytes())
    (tmp_path / "other").rename(tmp_path / "journal.sqlite3")
    for _ in range(2):
        with pytest.raises(StorageError, match="was replaced by another file"):
            await journal.put_back()
    with pytest.raises(StorageError, match="was replaced by another file"):
        await journal.questions.accept(question("2"))
    [kept] = tmp_path.glob("journal.sqlite3.before-*")
    kept.rename(tmp_path / "journal.sqlite3")
    for log in tmp_path.glob("journal.sqlite3-*"):
        log.unlink()
    again = await SqliteJournal.open(tmp_path)
    assert await pending_texts(again) == ["before"]
    await again.close()


@pytest.mark.parametrize("stored", ["{", "[]", "{}", "\udcff", '{"text": 1}'])
async def test_a_question_that_can_not_be_read_any_more_keeps_no_other_back(journal, tmp_path, stored):
    """A bad sector, of which SQLite knows nothing: the text of a row is other bytes."""
    for number in range(3):
        entry = await journal.questions.accept(question(str(number), text=f"question {number}"))
        await journal.questions.answered(entry, 0, replace(ANSWER, outcome=Outcome.DECLINED))
    content = stored.encode(errors="surrogateescape")
    with closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as db:
        db.execute("UPDATE questions SET question = CAST(? AS TEXT) WHERE id = 2", (content,))
        db.commit()
    with capture_logs() as log:
        assert await pending_texts(journal) == ["question 0", "question 2"]
    assert [line["event"] for line in log] == ["a damaged entry of the journal was left out"]
    assert [one.question.text for one in await journal.answers.declined(9)] == ["question 2", "question 0"]


# --- conversations ----------------------------------------------------------------------------------------------------


async def said(journal: SqliteJournal, conversation: str = "c", newer_than: float = 0, limit: int = 10) -> list[str]:
    return [
        turn.question for turn in await journal.conversations.turns(conversation, newer_than=newer_than, limit=limit)
    ]


async def test_turns_come_oldest_first_and_the_latest_are_kept(journal):
    """A follow-up refers to what was said last."""
    for n in range(5):
        await journal.conversations.add_turn("c", Turn(f"q{n}", f"a{n}"), at=100 + n)
    await journal.conversations.add_turn("other", Turn("x", "y"), at=110)
    assert await said(journal) == ["q0", "q1", "q2", "q3", "q4"]
    assert await said(journal, limit=2) == ["q3", "q4"]
    assert await said(journal, limit=0) == []
    assert await journal.conversations.turns("other", newer_than=0, limit=9) == [Turn("x", "y")]


async def test_turns_expire(journal):
    """At the very second."""
    await journal.conversations.add_turn("c", Turn("old", "a"), at=100)
    await journal.conversations.add_turn("c", Turn("new", "a"), at=101)
    assert await said(journal, newer_than=100) == ["new"]
    assert await said(journal, newer_than=99.9) == ["old", "new"]
    await journal.conversations.forget_before(100)
    assert await said(journal) == ["new"]


async def test_a_conversation_can_be_forgotten(journal, tmp_path):
    """Only this one, and from the file too."""
    await journal.conversations.add_turn("c", Turn("secret", "secret"), at=100)
    await journal.conversations.add_turn("other", Turn("kept", "a"), at=100)
    await journal.conversations.forget("c")
    assert await said(journal) == []
    assert await said(journal, "other") == ["kept"]
    await journal.close()
    content = (tmp_path / "journal.sqlite3").read_bytes()
    assert b"secret" not in content and b"kept" in content


async def test_a_second_journal_sees_the_changes_of_the_first(journal, entry, tmp_path):
    """And the other way round, without either being closed."""
    other = await SqliteJournal.open(tmp_path)
    await journal.questions.answered(entry, 0, ANSWER)
    [pending] = await other.questions.pending()
    assert pending.answer == ANSWER
    await other.questions.done(entry, 0, keep=False)
    assert await journal.questions.pending() == []
    await other.close()
    await other.close()
