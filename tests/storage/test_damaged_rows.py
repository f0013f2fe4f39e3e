"""Rows and descriptions with other bytes: they are left out, or the error names the mend."""

import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from bot.core.clock import utc_now
from bot.core.documents import Block, Document, Form, Passage
from bot.core.errors import StorageError
from bot.core.messages import Address, Answer, Outcome, Question
from bot.storage.base import Cursor, FileState, HistoryFilter, IndexedFile, SearchQuery
from bot.storage.data_folder import back_up, inspect
from bot.storage.sqlite.journal import SqliteJournal
from bot.storage.sqlite.knowledge import SqliteKnowledge

VECTORS = {
    "too short": b"\x00\x3c",
    "odd": b"\x00\x3c\x00",
    "empty": b"",
    "too long": bytes(64),
    "not a number": b"\x00\x7e" * 4,
    "huge": b"\xff\x7b" * 4,
    "text": "vector",
    "a number": 7,
}


def change(file: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(file)) as db:
        db.execute(statement, values)
        db.commit()


@pytest.fixture
async def store(tmp_path: Path):
    """An index of three passages, each of a direction of its own."""
    texts = ("red apples", "green pears", "blue plums")
    passages = tuple(Passage((Block(Form.PARAGRAPH, text, ()),), (), text) for text in texts)
    document = Document("fruit.md", "Fruit", tuple(block for passage in passages for block in passage.blocks))
    store = await SqliteKnowledge.open(tmp_path)
    await store.add_vectors(
        "encoder", {text: np.eye(4, dtype=np.float32)[[row, row]] for row, text in enumerate(texts)}
    )
    file = IndexedFile(FileState("fruit.md", 1, 1, "hash", "recipe"), document, passages, texts)
    await store.change("encoder", [file], [], [])
    yield store
    await store.close()


def about(row: int, *words: str) -> SearchQuery:
    return SearchQuery(np.eye(4, dtype=np.float32)[row], words)


@pytest.mark.parametrize("column", ["vector", "sentences"])
@pytest.mark.parametrize("stored", VECTORS.values(), ids=VECTORS)
async def test_a_passage_whose_vector_is_damaged_is_found_by_its_words(store, tmp_path, column, stored):
    """All others as before, and the log says how to mend it."""
    change(tmp_path / "index.sqlite3", f"UPDATE vectors SET {column} = ? WHERE key = 'green pears'", stored)  # noqa: S608
    with warnings.catch_warnings(), capture_logs() as log:
        warnings.simplefilter("error")
        found = await store.candidates("encoder", [about(2, "pears")], 3)
    passages = await store.passages_of(found.ids.tolist(), found.generation)
    assert [one.passage.body for one in passages] == ["red apples", "green pears", "blue plums"]
    np.testing.assert_allclose(found.cosines, [[0, 0, 1]])
    assert np.isfinite(found.sentences).all()
    assert found.bm25[0, 1] > 0
    # Bytes of the right number may be a vector of sentences.
    told = column == "vector" or not isinstance(stored, bytes) or len(stored) % 4 > 0
    assert ["delete index.sqlite3" in line["event"] for line in log] == [True] * told


@pytest.mark.parametrize(
    "blocks", ["{", "[]x", "7", b"\x93\xff", '[["paragraph"]]', '[["odd", "text", [], null, null, null, null, []]]']
)
async def test_a_damaged_passage_is_told_with_the_mend(store, tmp_path, blocks):
    """Wherever passages are read."""
    change(tmp_path / "index.sqlite3", "UPDATE passages SET blocks = ? WHERE id = 2", blocks)
    found = await store.candidates("encoder", [about(1, "pears")], 3)
    for reading in (
        store.passages_of(found.ids.tolist(), found.generation),
        store.passages("fruit.md", 0, 2),
        store.stored(),
    ):
        with (
            capture_logs() as log,
            pytest.raises(StorageError, match=r"index is damaged .* delete index\.sqlite3 .* knowledge-bot index"),
        ):
            await reading
        assert [line["event"] for line in log] == ["an entry of the index can't be read"]


async def test_an_index_that_lost_the_words_of_a_passage_is_told_with_the_mend(store, tmp_path):
    """Its words stand in another table."""
    change(tmp_path / "index.sqlite3", "DELETE FROM words WHERE rowid = 2")
    found = await store.candidates("encoder", [about(1)], 3)
    with pytest.raises(StorageError, match=r"delete index\.sqlite3"):
        await store.passages_of(found.ids.tolist(), found.generation)


@pytest.mark.parametrize("column", ["question", "answer"])
@pytest.mark.parametrize("stored", ["{", "[]", "{}", '{"text": 1, "outcome": "odd", "confidence": "high"}'])
async def test_a_damaged_question_is_left_out_of_all_that_looks_back(tmp_path, column, stored):
    """The pages of the console, the buttons and the lists show the others."""
    journal = await SqliteJournal.open(tmp_path)
    try:
        for number in range(3):
            address = Address("discord", "chat", str(number))
            entry = await journal.questions.accept(Question(f"question {number}", "c", "alice", address, utc_now()))
            await journal.questions.answered(entry, 0, Answer(Outcome.ANSWERED, "Yes.", f"ref-{number}"))
            await journal.answers.add_feedback("discord", f"ref-{number}", "alice", helpful=True, reason="")
        change(tmp_path / "journal.sqlite3", f"UPDATE questions SET {column} = ? WHERE id = 2", stored)  # noqa: S608
        kept = await journal.history.page(HistoryFilter(), 9)
        assert [one.question.text for one in kept] == ["question 2", "question 0"]
        assert await journal.history.page(HistoryFilter(), 2) == kept  # not one row, which would be the last page
        assert (await journal.history.page(HistoryFilter(), 1, Cursor(kept[0].at, kept[0].id))) == kept[1:]
        assert await journal.history.one(2) is None
        # These are read from the answer's columns alone.
        ids = [3, 1] if column == "answer" else [3, 2, 1]
        assert [one.id for one in await journal.history.confidences(9)] == ids
        assert [sum(day.values()) for _, day in await journal.history.days(0)] == [len(ids)]
        assert await journal.history.ratings(9) == [(0.0, True)] * len(ids)
        assert await journal.answers.stored("discord", "ref-1") is None
        assert await journal.answers.asked(Address("discord", "chat", "1")) is None
        latest = [one.text for one in await journal.answers.latest("discord", "", 9)]
        assert latest == [f"question {n}" for n in (2, 1, 0) if column == "answer" or n != 1]
        if column == "question":  # an edit mends it
            edited = Question("asked anew", "c", "alice", Address("discord", "chat", "1"), utc_now())
            assert await journal.questions.revise(edited) is not None
            mended = await journal.history.one(2)
            assert mended is not None and mended.question.text == "asked anew"
        assert len(await journal.answers.feedback(9)) == 3
        assert (await journal.erasure.forget_author("discord", "alice")).questions == 3
        assert await journal.history.page(HistoryFilter(), 9) == []
    finally:
        await journal.close()


@pytest.mark.parametrize("name", ["journal.sqlite3", "index.sqlite3"])
async def test_a_database_whose_tables_are_described_in_no_text_is_told_as_damaged(tmp_path, name):
    """SQLite quotes the bytes in its error, and Python can't read that."""
    store = SqliteJournal if name == "journal.sqlite3" else SqliteKnowledge
    await (await store.open(tmp_path)).close()
    file = tmp_path / name
    file.write_bytes(file.read_bytes().replace(b"CREATE TABLE", b"CREATE \x93\xffBLE"))
    with pytest.raises(StorageError, match=r"The file is damaged: restore a backup .* --set-damaged-aside"):
        await store.open(tmp_path)
    with pytest.raises(StorageError, match="The file is damaged"):
        inspect(tmp_path)
    with pytest.raises(StorageError, match="The file is damaged"):
        back_up(tmp_path, tmp_path / "backup.tar.gz")
    inspect(tmp_path, set_damaged_aside=True)
    await (await store.open(tmp_path)).close()
