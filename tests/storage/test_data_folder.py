"""Backups of a data folder in use, and back again."""

import asyncio
import io
import json
import tarfile
from datetime import UTC, datetime

import pytest

from bot.core.errors import StorageError
from bot.core.messages import Address, Question
from bot.storage.data_folder import alone_in, back_up, inspect, restore
from bot.storage.sqlite.journal import SqliteJournal


def question(number: int) -> Question:
    return Question(f"question {number}", "c", "ann", Address("test", "chat", str(number)), datetime.now(UTC))


async def questions(folder) -> list[str]:
    journal = await SqliteJournal.open(folder)
    found = [pending.question.text for pending in await journal.questions.pending()]
    await journal.close()
    return found


async def test_a_backup_is_made_while_the_bot_writes_and_is_as_at_one_moment(tmp_path):
    """What was accepted before it began is in it; what is half written is not."""
    data, archive = tmp_path / "data", tmp_path / "backup.tar.gz"
    journal = await SqliteJournal.open(data)
    for number in range(50):
        await journal.questions.accept(question(number))
    with alone_in(data):  # as a running bot does
        (data / "terminal_history").write_text("typed")

        async def go_on() -> None:
            for number in range(50, 150):
                await journal.questions.accept(question(number))

        writing = asyncio.create_task(go_on())
        names = await asyncio.to_thread(back_up, data, archive)
        await writing
    await journal.close()
    assert names == ["journal.sqlite3", "terminal_history"]
    assert archive.stat().st_mode & 0o777 == 0o600
    before = restore(archive, tmp_path / "elsewhere")
    assert before is None
    kept = await questions(tmp_path / "elsewhere")
    assert 50 <= len(kept) <= 150
    assert kept == [f"question {n}" for n in range(len(kept))]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.tar.gz", "data", "elsewhere"]


async def test_restoring_keeps_what_stood_there(tmp_path):
    """In a folder beside it, so that a mistake can be undone."""
    data, archive = tmp_path / "data", tmp_path / "backup.tar.gz"
    journal = await SqliteJournal.open(data)
    await journal.questions.accept(question(1))
    await journal.close()
    back_up(data, archive)
    journal = await SqliteJournal.open(data)
    await journal.questions.accept(question(2))
    await journal.close()
    before = restore(archive, data)
    assert await questions(data) == ["question 1"]
    assert before is not None
    assert await questions(before) == ["question 1", "question 2"]


async def test_a_running_bot_is_not_restored_under_its_feet(tmp_path):
    """The folder stays as it is."""
    data, archive = tmp_path / "data", tmp_path / "backup.tar.gz"
    await (await SqliteJournal.open(data)).close()
    back_up(data, archive)
    with alone_in(data), pytest.raises(StorageError, match="Another bot is running"):
        restore(archive, data)


def archive_of(files: dict[str, bytes], manifest: object) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in {"manifest.json": json.dumps(manifest).encode(), **files}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        archive_of({"journal.sqlite3": b"x"}, {"files": {"journal.sqlite3": "another sum"}}),
        archive_of({"../evil": b"x"}, {"files": {"../evil": "sum"}}),
        archive_of({"generators/../../evil": b"x"}, {"files": {"generators/../../evil": "sum"}}),
        archive_of({"elsewhere/evil": b"x"}, {"files": {"elsewhere/evil": "sum"}}),
        archive_of({}, {"files": {"journal.sqlite3": "sum"}}),
        archive_of({}, []),
    ],
    ids=["empty", "foreign", "changed", "leads out", "leads far out", "another folder", "incomplete", "no manifest"],
)
async def test_what_is_no_whole_backup_changes_nothing(tmp_path, content):
    """The message names the archive."""
    data, archive = tmp_path / "data", tmp_path / "backup.tar.gz"
    journal = await SqliteJournal.open(data)
    await journal.questions.accept(question(1))
    await journal.close()
    archive.write_bytes(content)
    with pytest.raises(StorageError, match=r"backup\.tar\.gz"):
        restore(archive, data)
    assert await questions(data) == ["question 1"]
    assert not (tmp_path / "evil").exists()


def test_nothing_to_back_up_and_a_file_in_the_way_are_told(tmp_path):
    """Nothing is overwritten."""
    with pytest.raises(StorageError, match=r"storage\.folder"):
        back_up(tmp_path, tmp_path / "a.tar.gz")
    (tmp_path / "journal.sqlite3").touch()
    (tmp_path / "a.tar.gz").write_text("mine")
    with pytest.raises(StorageError, match="exists already"):
        back_up(tmp_path, tmp_path / "a.tar.gz")
    assert (tmp_path / "a.tar.gz").read_text() == "mine"


def test_what_a_killed_process_left_is_taken_away(tmp_path):
    """Copies of the index as large as itself."""
    (tmp_path / "candidate-abc").mkdir()
    (tmp_path / "candidate-abc" / "index.sqlite3").touch()
    inspect(tmp_path)
    assert list(tmp_path.iterdir()) == []
