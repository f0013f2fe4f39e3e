"""Wiping the unused bytes of a file while it is written to: nothing that SQLite moves meanwhile is missed."""

import sqlite3
from contextlib import closing

import pytest

from bot.storage.sqlite.scrubbing import Busy, Scrubber


@pytest.fixture
def file(tmp_path):
    """A file in WAL mode, of some pages."""
    file = tmp_path / "texts.sqlite3"
    with closing(connected(file)) as db:
        db.execute("CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT)")
        db.executemany(
            "INSERT INTO texts VALUES (?, ?)", ((number, f"bob said {number}" * 20) for number in range(500))
        )
    return file


@pytest.fixture
def db(file):
    with closing(connected(file)) as db:
        yield db


@pytest.fixture
def scrubber(file, db):
    scrubber = Scrubber(file, db)
    yield scrubber
    scrubber.close()


def connected(file) -> sqlite3.Connection:
    db = sqlite3.connect(file, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA secure_delete = ON")
    return db


def leave_traces(db) -> None:
    """Fill pages in the middle until SQLite divides them, and delete half of what filled them."""
    db.execute("CREATE TABLE more (name TEXT PRIMARY KEY, text TEXT) WITHOUT ROWID")
    texts = [(f"{number * 7919 % 3000:05}", ("alice", "bob")[number % 2] + " said " * 20) for number in range(3000)]
    db.executemany("INSERT INTO more VALUES (?, ?)", texts)
    db.execute("DELETE FROM more WHERE text LIKE 'alice%'")


def wipe_all(scrubber) -> None:
    page = 1
    while page:
        page = scrubber.wipe(page)


def test_pages_that_were_written_after_they_were_wiped_are_wiped_again(file, db, scrubber):
    """They are taken from the WAL."""
    version = scrubber.begin_wiping()
    wipe_all(scrubber)
    leave_traces(db)
    assert scrubber.empty_wal(always=True)
    assert b"alice" in file.read_bytes()
    scrubber.wipe_written(version)
    scrubber.end_wiping(done=True)
    assert b"alice" not in file.read_bytes()
    assert not scrubber.scattered
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert db.execute("SELECT count(*) FROM texts").fetchone() == (500,)


def test_where_another_process_writes_meanwhile_all_is_to_be_wiped_again(file, db, scrubber):
    """It may have emptied the WAL, from which the written pages would be known."""
    version = scrubber.begin_wiping()
    wipe_all(scrubber)
    with closing(connected(file)) as other:
        leave_traces(other)
    with pytest.raises(Busy):
        scrubber.wipe_written(version)
    scrubber.end_wiping(done=False)
    assert scrubber.scattered


def test_the_wal_is_emptied_by_itself_again_afterwards(file, db, scrubber):
    """It would grow without end otherwise."""
    scrubber.begin_wiping()
    scrubber.end_wiping(done=True)
    for _ in range(20):
        db.execute("UPDATE texts SET text = text || 'x'")
    assert file.with_name("texts.sqlite3-wal").stat().st_size < 2 * 1000 * 4096
