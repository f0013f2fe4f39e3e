"""Backups of a data folder in use, and back again."""

import asyncio
import hashlib
import io
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from datetime import UTC, datetime

import pytest

from bot.core.errors import StorageError
from bot.core.messages import Address, Question
from bot.storage import archive as archives
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
    """Questions accepted before it began are in it; half-written ones are not."""
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


async def test_a_second_bot_is_kept_out_though_the_lock_file_was_deleted(tmp_path):
    """By whoever cleans up: another file by its name would be locked by another bot."""
    script = (
        f"from pathlib import Path; from bot.storage.data_folder import *\nwith alone_in(Path({str(tmp_path)!r})): pass"
    )
    with alone_in(tmp_path):
        (tmp_path / "bot.lock").unlink()
        second = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script], capture_output=True)
    assert b"Another bot is running" in second.stderr
    with alone_in(tmp_path):  # once the first has ended
        pass


def database(*statements: str) -> bytes:
    with closing(sqlite3.connect(":memory:")) as db:
        for statement in ("CREATE TABLE other (a)", *statements):
            db.execute(statement)
        return db.serialize()


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"notes.txt": b"x"}, "neither a journal nor an index"),
        ({"journal.sqlite3": b""}, "written by another program"),
        ({"journal.sqlite3": database()}, "written by another program"),
        ({"index.sqlite3": database("PRAGMA user_version = 1")}, "written by another program"),
        ({"journal.sqlite3": database("PRAGMA user_version = 99")}, "written by a newer version"),
    ],
)
async def test_only_databases_of_this_program_are_restored(tmp_path, files, told):
    """A bot that starts with others ends at once, and what stood there would be set aside for nothing."""
    data, archive = tmp_path / "data", tmp_path / "backup.tar.gz"
    await (await SqliteJournal.open(data)).close()
    archive.write_bytes(whole_archive_of(files))
    with pytest.raises(StorageError, match=told):
        await asyncio.to_thread(restore, archive, data)
    assert {file.name for file in data.iterdir()} == {"journal.sqlite3", "bot.lock"}


def packed(*entries: tuple[str | tarfile.TarInfo, bytes]) -> bytes:
    """An archive of these entries, in this order."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in entries:
            entry = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def archive_of(files: dict[str, bytes], manifest: object) -> bytes:
    return packed(("manifest.json", json.dumps(manifest).encode()), *files.items())


def whole_archive_of(files: dict[str, bytes]) -> bytes:
    """An archive whose manifest is right."""
    return archive_of(files, {"files": {name: sum_of(content) for name, content in files.items()}})


def sum_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def link(name: str, kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, "/etc/passwd"
    return entry


def with_remark(size: int) -> bytes:
    """An archive with a remark on an entry that is as large as a file."""
    entry = tarfile.TarInfo("manifest.json")
    entry.pax_headers = {"comment": "x" * size}
    return packed((entry, b"{}"))


SUMS = {"files": {"notes.txt": sum_of(b"x")}}
MANIFEST = ("manifest.json", json.dumps(SUMS).encode())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        archive_of({"journal.sqlite3": b"x"}, {"files": {"journal.sqlite3": sum_of(b"y")}}),
        *(
            whole_archive_of({name: b"x"})
            for name in ("../evil", "generators/../../evil", "elsewhere/evil", "/evil", "", ".", "a\0b", "x" * 300)
        ),
        *(
            whole_archive_of({name: b"x"})
            for name in (
                "generators",
                "bot.lock",
                "candidate-x",
                "before-restore-x",
                "journal.sqlite3-wal",
                "manifest.json",
            )
        ),
        whole_archive_of({"generators/a": b"x", "generators/a/b": b"x"}),
        archive_of({}, SUMS),
        *(archive_of({}, manifest) for manifest in ("", [], None, 7, {}, {"files": []}, {"files": ""}, {"files": {}})),
        *(archive_of({"notes.txt": b"x"}, {"files": {"notes.txt": digest}}) for digest in (None, 7, [], "sum")),
        packed(("manifest.json", b"[" * 100_000)),
        packed(("manifest.json", b"\xff")),
        packed(("notes.txt", b"x"), MANIFEST),
        packed(MANIFEST, ("notes.txt", b"x"), ("notes.txt", b"y")),
        packed(MANIFEST, ("notes.txt", b"x"), ("other.txt", b"y")),
        *(
            packed(MANIFEST, (link("notes.txt", kind), b""))
            for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE)
        ),
        whole_archive_of({"notes.txt": random.Random(1).randbytes(100_000)})[:-20_000],
        whole_archive_of({"notes.txt": bytes(300_000_000)}),
        with_remark(50_000_000),
        packed(("manifest.json", b" " * 50_000_000)),
    ],
)
async def test_what_is_no_whole_backup_changes_nothing(tmp_path, content):
    """The message names the archive."""
    data, archive = tmp_path / "data", tmp_path / "backup.tar.gz"
    journal = await SqliteJournal.open(data)
    await journal.questions.accept(question(1))
    await journal.close()
    archive.write_bytes(content)
    with pytest.raises(StorageError, match=r"backup\.tar\.gz.* [Uu]se another backup"):
        await asyncio.to_thread(restore, archive, data)
    assert await questions(data) == ["question 1"]
    assert not (tmp_path / "evil").exists()
    assert {file.name for file in data.iterdir()} <= {"journal.sqlite3", "bot.lock"}


@pytest.mark.slow
def test_a_bomb_takes_no_place_on_the_disk(tmp_path, monkeypatch):
    """Nothing of what it unpacks to is written beyond the limit."""
    archive, most = tmp_path / "backup.tar.gz", 0
    archive.write_bytes(whole_archive_of({f"notes-{n}.txt": bytes(30_000_000) for n in range(4)}))

    def measured(*_: object) -> None:
        nonlocal most
        most = max(most, sum(file.stat().st_size for file in (tmp_path / "data").rglob("*") if file.is_file()))

    checked = archives._Bounded._check
    monkeypatch.setattr(archives._Bounded, "_check", lambda self, at: (measured(), checked(self, at)))
    with pytest.raises(StorageError, match=r"unpacks to more than 64 MiB.*unpack it with tar"):
        restore(archive, tmp_path / "data")
    assert 0 < most <= 64 * 2**20
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["bot.lock"]


def test_a_backup_of_a_database_that_was_emptied_is_not_taken_for_a_bomb(tmp_path):
    """Its erased rows are zeros, which are packed to nothing: they don't get into the backup."""
    data, archive = tmp_path / "data", tmp_path / "backup.tar.gz"
    asyncio.run(questions(data))
    before = (data / "journal.sqlite3").stat().st_size
    with closing(sqlite3.connect(data / "journal.sqlite3")) as db:
        db.executescript("PRAGMA secure_delete = ON; CREATE TABLE kept (text)")
        db.execute("INSERT INTO kept VALUES (zeroblob(70000000))")
        db.commit()
        db.execute("DELETE FROM kept")
        db.commit()
    assert (data / "journal.sqlite3").stat().st_size > 64 * 2**20
    back_up(data, archive)
    restore(archive, tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "journal.sqlite3").stat().st_size <= before + 2 * 4096  # bytes: the table


def test_a_backup_that_does_not_fit_on_the_disk_says_so(tmp_path, monkeypatch):
    """Before the disk is full."""
    archive = tmp_path / "backup.tar.gz"
    archive.write_bytes(whole_archive_of({"notes.txt": b"x" * 1_000}))
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1_000))
    with pytest.raises(StorageError, match="Free some space"):
        restore(archive, tmp_path / "data")


async def test_a_file_called_generators_does_not_break_a_restore(tmp_path):
    """An earlier program has let one in."""
    data, archive = tmp_path / "data", tmp_path / "backup.tar.gz"
    await (await SqliteJournal.open(data)).close()
    back_up(data, archive)
    (data / "generators").write_text("no folder")
    before = restore(archive, data)
    assert (before / "generators").read_text() == "no folder"
    assert (data / "journal.sqlite3").exists()


async def test_a_restore_that_can_not_move_a_file_moves_none(tmp_path):
    """A folder of its name is in the way."""
    data, archive = tmp_path / "data", tmp_path / "backup.tar.gz"
    journal = await SqliteJournal.open(data)
    (data / "notes").write_text("of the backup")
    back_up(data, archive)
    (data / "notes").unlink()
    (data / "notes").mkdir()
    await journal.questions.accept(question(1))
    await journal.close()
    with pytest.raises(StorageError, match=r"notes: stands in the way.* Nothing was restored"):
        restore(archive, data)
    assert await questions(data) == ["question 1"]
    assert {file.name for file in data.iterdir()} <= {"journal.sqlite3", "bot.lock", "notes"}


async def test_two_restores_in_one_second_keep_both_states(tmp_path):
    """Each in a folder of its own."""
    data, archive = tmp_path / "data", tmp_path / "backup.tar.gz"
    await (await SqliteJournal.open(data)).close()
    back_up(data, archive)
    assert restore(archive, data) != restore(archive, data)


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
