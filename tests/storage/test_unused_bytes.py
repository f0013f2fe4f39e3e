"""What SQLite leaves behind in its pages is overwritten, and the file stays whole."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.storage.sqlite.unused_bytes import wipe


def with_left_overs(file: Path, page_size: int, auto_vacuum: str, seed: int) -> list[tuple[object, ...]]:
    """A file whose rows were inserted, grown and deleted at random, so that pages were divided and joined; what it holds."""
    chance = random.Random(seed)
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute(f"PRAGMA page_size = {page_size}")
        db.execute(f"PRAGMA auto_vacuum = {auto_vacuum}")
        db.execute("PRAGMA secure_delete = ON")
        db.execute("CREATE TABLE texts (id INTEGER PRIMARY KEY, name TEXT, text TEXT)")
        db.execute("CREATE INDEX by_name ON texts (name, text)")
        db.execute("BEGIN")
        for _ in range(3000):
            key, who = chance.randrange(1500), chance.choice(("alice", "bob"))
            text = f"{who} said " * chance.choice((1, 5, 20, 300))
            db.execute("INSERT OR REPLACE INTO texts VALUES (?, ?, ?)", (key, f"{who} {chance.random()}", text))
        db.execute("DELETE FROM texts WHERE name LIKE 'alice%'")
        db.execute("COMMIT")
        return db.execute("SELECT * FROM texts ORDER BY id").fetchall()


@pytest.mark.parametrize("auto_vacuum", ["NONE", "INCREMENTAL"])
@pytest.mark.parametrize("page_size", [512, 4096, 65_536])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_left_of_what_was_deleted_and_nothing_else_is_changed(tmp_path, page_size, auto_vacuum, seed):
    """With pages of all sizes, with pages that map others, and in pieces."""
    file = tmp_path / "texts.sqlite3"
    rows = with_left_overs(file, page_size, auto_vacuum, seed)
    if page_size == 4096:
        assert b"alice" in file.read_bytes()
    with file.open("r+b", buffering=0) as stream:
        first = 1
        while wipe(stream, first, 100):
            first += 100
    assert b"alice" not in file.read_bytes()
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("SELECT * FROM texts ORDER BY id").fetchall() == rows
        assert db.execute("SELECT count(*) FROM texts INDEXED BY by_name WHERE name > ''").fetchone() == (len(rows),)


def test_what_is_no_database_is_left_alone(tmp_path):
    """Random bytes have no pages whose unused bytes could be known."""
    for seed in range(200):
        content = random.Random(seed).randbytes(8192)
        header = b"SQLite format 3\0" + (4096).to_bytes(2, "big") + bytes(82)
        (tmp_path / "file").write_bytes(header + content[100:])
        with (tmp_path / "file").open("r+b", buffering=0) as stream:
            wipe(stream, 1, 10)
        assert (tmp_path / "file").stat().st_size == 8192
