"""The history of questions: found by every filter, page by page, and gone once it is erased."""

import json
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime

import pytest

from bot.core.messages import Address, Answer, Citation, Outcome, Question
from bot.storage.base import Cursor, HistoryFilter, Rating
from bot.storage.sqlite.journal import FILE, MIGRATIONS, SqliteJournal


@pytest.fixture
async def journal(tmp_path):
    journal = await SqliteJournal.open(tmp_path)
    yield journal
    await journal.close()


async def ask(
    journal, text, outcome=Outcome.ANSWERED, *, platform="discord", chat="7", confidence=0.5, keep=True, **more
):
    address = Address(platform, chat, text)
    entry = await journal.questions.accept(Question(text, "c", "author", address, datetime.now(UTC)))
    answer = Answer(outcome, f"answer to {text}", f"ref-{entry}", confidence=confidence, **more)
    await journal.questions.answered(entry, 0, answer)
    await journal.questions.done(entry, 0, keep=keep)
    return entry


def texts(found):
    return [asked.question.text for asked in found]


async def test_each_filter_finds_what_has_it_and_nothing_else(journal):
    """Newest first."""
    await ask(journal, "How do I start?")
    declined = await ask(journal, "What costs 100%?", Outcome.DECLINED, platform="telegram")
    await ask(journal, "HOW do I stop?", Outcome.SUGGESTED, chat="8")
    await journal.answers.add_feedback("telegram", f"ref-{declined}", "a", helpful=False, reason="")
    await journal.answers.add_feedback("telegram", f"ref-{declined}", "b", helpful=True, reason="")
    await journal.questions.accept(Question("waits", "c", "a", Address("http", "1", "w"), datetime.now(UTC)))
    found = {
        "all": (HistoryFilter(), ["waits", "HOW do I stop?", "What costs 100%?", "How do I start?"]),
        "outcome": (HistoryFilter(outcome=Outcome.DECLINED), ["What costs 100%?"]),
        "platform": (HistoryFilter(platform="discord"), ["HOW do I stop?", "How do I start?"]),
        "chat": (HistoryFilter(platform="discord", chat="8"), ["HOW do I stop?"]),
        "wrong": (HistoryFilter(rating=Rating.WRONG), ["What costs 100%?"]),
        "helpful": (HistoryFilter(rating=Rating.HELPFUL, text="start"), []),
        "text": (HistoryFilter(text="how DO"), ["HOW do I stop?", "How do I start?"]),
        "percent": (HistoryFilter(text="0%?"), ["What costs 100%?"]),
        "underscore": (HistoryFilter(text="_"), []),
        "future": (HistoryFilter(since=time.time() + 60), []),
        "past": (HistoryFilter(since=time.time() - 60, outcome=Outcome.ANSWERED), ["How do I start?"]),
    }
    for name, (wanted, expected) in found.items():
        assert texts(await journal.history.page(wanted, 10)) == expected, name
    [asked] = await journal.history.page(HistoryFilter(rating=Rating.WRONG), 10)
    assert (asked.helpful, asked.wrong) == (1, 1)
    assert asked == await journal.history.one(declined)
    assert "author" not in str(asked.to_json())
    assert asked.to_json()["outcome"] == "declined"


async def test_pages_follow_each_other_also_where_many_came_at_the_same_time(journal, tmp_path):
    for number in range(25):
        await ask(journal, f"question {number}")
    with sqlite3.connect(tmp_path / "journal.sqlite3") as db:
        db.execute("UPDATE questions SET accepted_at = 5.0 WHERE id > 4")
    seen, after = [], None
    while page := await journal.history.page(HistoryFilter(text="question"), 10, after):
        seen += [asked.id for asked in page]
        after = Cursor(page[-1].at, page[-1].id)
    assert seen == [4, 3, 2, 1, *range(25, 4, -1)]


async def test_what_is_erased_is_not_in_the_history(journal):
    await ask(journal, "not kept", keep=False)
    entry = await ask(journal, "forgotten")
    await journal.erasure.forget_author("discord", "author")
    assert await journal.history.page(HistoryFilter(), 10) == []
    assert await journal.history.one(entry) is None
    assert await journal.history.days(0) == []
    assert await journal.history.confidences(10) == []


async def test_figures_for_the_charts(journal, tmp_path):
    first = await ask(journal, "a", confidence=0.9)
    second = await ask(journal, "b", Outcome.DECLINED, confidence=0.1)
    await ask(journal, "hello", Outcome.SMALL_TALK)
    with sqlite3.connect(tmp_path / "journal.sqlite3") as db:
        db.execute("UPDATE questions SET accepted_at = 86400.0 * 10 WHERE id = ?", (first,))
        db.execute("UPDATE questions SET accepted_at = 86400.0 * 12 + 5 WHERE id > ?", (first,))
    await journal.answers.add_feedback("discord", f"ref-{first}", "a", helpful=True, reason="")
    await journal.answers.add_feedback("discord", f"ref-{second}", "a", helpful=False, reason="")
    assert await journal.history.days(0) == [
        ("1970-01-11", {Outcome.ANSWERED: 1}),
        ("1970-01-12", {}),
        ("1970-01-13", {Outcome.DECLINED: 1, Outcome.SMALL_TALK: 1}),
    ]
    assert await journal.history.days(86400.0 * 12) == [("1970-01-13", {Outcome.DECLINED: 1, Outcome.SMALL_TALK: 1})]
    assert [(one.text, one.confidence) for one in await journal.history.confidences(10)] == [("b", 0.1), ("a", 0.9)]
    assert sorted(await journal.history.ratings(10)) == [(0.1, False), (0.9, True)]


async def test_entries_wait_until_they_are_removed(journal):
    first, second = await journal.entries.add("q", "a"), await journal.entries.add("q2", "a2")
    assert [(entry.id, entry.question) for entry in await journal.entries.all()] == [(first, "q"), (second, "q2")]
    assert await journal.entries.change(first, "q!", "a!")
    entry = await journal.entries.one(first)
    assert (entry.question, entry.answer) == ("q!", "a!")
    assert await journal.entries.remove(first)
    assert not await journal.entries.remove(first)
    assert not await journal.entries.change(first, "", "")
    assert await journal.entries.one(first) is None


async def test_an_earlier_journal_has_its_history_too(tmp_path):
    """One of a version that had none."""
    with sqlite3.connect(tmp_path / "journal.sqlite3") as db:
        for script in MIGRATIONS[:2]:
            db.executescript(script)
        db.execute("PRAGMA user_version = 2")
        address = Address("p", "c", "m")
        question = json.dumps(Question("old", "c", "a", address, datetime.now(UTC)).to_json())
        answer = json.dumps(Answer(Outcome.DECLINED, "no", "r", confidence=0.2).to_json())
        db.execute(
            "INSERT INTO questions (platform, chat, message, accepted_at, question, answer, reference, done_at) "
            "VALUES ('p', 'c', 'm', 5, ?, ?, 'r', 6)",
            (question, answer),
        )
    journal = await SqliteJournal.open(tmp_path)
    [asked] = await journal.history.page(HistoryFilter(outcome=Outcome.DECLINED, text="OLD"), 10)
    assert (asked.answer.reference, asked.answer.confidence) == ("r", 0.2)
    await journal.close()


async def test_citations_are_counted_once_a_question_and_gone_with_the_answer(journal):
    def cited(*documents):
        return tuple(Citation(document, "T", (), None, None, None, "q", None) for document in documents)

    await ask(journal, "one", citations=cited("a.md", "b.md", "a.md"))
    await ask(journal, "two", citations=cited("a.md"))
    await ask(journal, "three", Outcome.DECLINED)
    found = await journal.history.citations()
    assert {document: one.questions for document, one in found.items()} == {"a.md": 2, "b.md": 1}
    assert time.time() - 60 < found["b.md"].last <= found["a.md"].last <= time.time()
    question = Question("again", "c", "author", Address("discord", "7", "again"), datetime.now(UTC))
    entry = await journal.questions.accept(question)
    for document in ("a.md", "b.md"):  # answered once more, after a restart
        await journal.questions.answered(entry, 0, Answer(Outcome.ANSWERED, "x", "r", citations=cited(document)))
    found = await journal.history.citations()
    assert {document: one.questions for document, one in found.items()} == {"a.md": 2, "b.md": 2}
    await journal.erasure.forget_author("discord", "author")
    assert await journal.history.citations() == {}


async def test_citations_of_before_are_counted_too(tmp_path):
    """In a journal of an earlier version; a damaged answer cites nothing."""
    journal = await SqliteJournal.open(tmp_path)
    for text in ("good", "damaged"):
        await ask(journal, text, citations=(Citation("a.md", "T", (), None, None, None, "q", None),))
    await journal.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as db, db:
        for name in ("answer_inserted", "answer_changed", "question_deleted", "question_changed", "vector_deleted"):
            db.execute(f"DROP TRIGGER {name}")
        for name in ("citations", "question_vectors"):
            db.execute(f"DROP TABLE {name}")
        db.execute("UPDATE questions SET answer = '{' WHERE message = 'damaged'")
        db.execute("PRAGMA user_version = 5")
    journal = await SqliteJournal.open(tmp_path)
    assert [(document, one.questions) for document, one in (await journal.history.citations()).items()] == [("a.md", 1)]
    await journal.close()
