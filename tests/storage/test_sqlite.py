"""A connection with a thread of its own: transactions, schema versions, and errors that say what to do."""

import asyncio
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from bot.core.errors import StorageError
from bot.storage.sqlite.connection import Connection

MIGRATIONS = (
    "CREATE TABLE notes (\n    id INTEGER PRIMARY KEY, -- ends here; or not\n    note TEXT\n);",
    """
    ALTER TABLE notes ADD COLUMN mark TEXT DEFAULT 'a;b';
    CREATE TRIGGER marked AFTER INSERT ON notes BEGIN
        UPDATE notes SET mark = 'new;' WHERE id = new.id;
    END;
    CREATE INDEX notes_by_mark ON notes (mark)  -- the last one may end without a semicolon
    """,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "notes.sqlite3"


@pytest.fixture
async def connection(file: Path):
    connection = await Connection.open(file, MIGRATIONS)
    yield connection
    await connection.close()


def add(note: str):
    return lambda db: db.execute("INSERT INTO notes (note) VALUES (?)", (note,)).rowcount


def notes(db: sqlite3.Connection) -> list[str]:
    return [note for (note,) in db.execute("SELECT note FROM notes ORDER BY id")]


def version(file: Path) -> int:
    db = sqlite3.connect(file)
    try:
        return db.execute("PRAGMA user_version").fetchone()[0]
    finally:
        db.close()


# --- jobs -------------------------------------------------------------------------------------------------------------


async def test_a_job_runs_in_the_connection_s_own_thread(connection):
    """Never on the event loop, and always in the same one."""
    names = {await connection.run(lambda _: threading.current_thread().name) for _ in range(3)}
    assert names == {"sqlite-notes_0"}


async def test_a_job_is_one_transaction(connection):
    """Its result comes back, and what it wrote is there."""
    assert await connection.run(add("a")) == 1
    assert await connection.run(notes) == ["a"]


class _OddError(BaseException):
    pass


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("y"), _OddError("z"), asyncio.CancelledError()])
async def test_a_job_that_raises_changes_nothing(connection, error):
    """Its error is raised to the caller, and the next job works."""

    def job(db: sqlite3.Connection) -> None:
        add("lost")(db)
        raise error

    with pytest.raises(type(error)):
        await connection.run(job)
    await connection.run(add("kept"))
    assert await connection.run(notes) == ["kept"]


async def test_a_job_that_breaks_a_rule_of_the_database_changes_nothing(connection, file):
    """It is a StorageError that names the file."""

    def job(db: sqlite3.Connection) -> None:
        add("lost")(db)
        db.execute("INSERT INTO notes (id) VALUES (1), (1)")

    with pytest.raises(StorageError, match=f"^{file}: UNIQUE constraint failed"):
        await connection.run(job)
    assert await connection.run(notes) == []


async def test_a_job_that_raises_stop_iteration_does_not_hang(connection):
    """Python would leave its awaiter waiting for ever."""

    def job(db: sqlite3.Connection) -> None:
        add("lost")(db)
        next(iter(()))

    async with asyncio.timeout(5):
        with pytest.raises(RuntimeError, match="StopIteration"):
            await connection.run(job)
    assert await connection.run(notes) == []


async def test_a_cancelled_waiter_does_not_stop_a_job_that_has_begun(connection):
    """Its transaction is done as a whole."""
    begun, go_on = threading.Event(), threading.Event()

    def job(db: sqlite3.Connection) -> None:
        add("a")(db)
        begun.set()
        go_on.wait(5)

    waiter = asyncio.create_task(connection.run(job))
    await asyncio.to_thread(begun.wait, 5)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    go_on.set()
    assert await connection.run(notes) == ["a"]


async def test_jobs_run_in_the_order_they_came(connection):
    """One after the other."""
    await asyncio.gather(*(connection.run(add(str(n))) for n in range(50)))
    assert await connection.run(notes) == [str(n) for n in range(50)]


# --- closing ----------------------------------------------------------------------------------------------------------


async def test_closing_waits_for_the_jobs_handed_in(file):
    """Their changes are written; closing again does nothing."""
    connection = await Connection.open(file, MIGRATIONS)
    jobs = [asyncio.create_task(connection.run(add(str(n)))) for n in range(20)]
    await asyncio.sleep(0)
    await connection.close()
    await connection.close()
    assert [await job for job in jobs] == [1] * 20
    again = await Connection.open(file, MIGRATIONS)
    assert len(await again.run(notes)) == 20
    await asyncio.gather(again.close(), again.close())


async def test_opening_and_closing_leaves_no_thread_behind(file, tmp_path):
    """Nor does an opening that fails."""
    (tmp_path / "garbage.sqlite3").write_bytes(b"x" * 5000)
    before = set(threading.enumerate())
    for _ in range(10):
        connection = await Connection.open(file, MIGRATIONS)
        await connection.run(notes)
        await connection.close()
        with pytest.raises(StorageError):
            await Connection.open(tmp_path / "garbage.sqlite3", MIGRATIONS)
    left = set(threading.enumerate()) - before
    for thread in left:
        thread.join(5)
    assert not any(thread.is_alive() for thread in left)


# --- several connections ----------------------------------------------------------------------------------------------


async def test_reading_goes_on_beside_a_write(connection, file):
    """The reader sees what was there before the write, until that is done."""
    reader = await Connection.open(file, read_only=True)
    await connection.run(add("old"))
    begun, go_on = threading.Event(), threading.Event()

    def job(db: sqlite3.Connection) -> None:
        add("new")(db)
        begun.set()
        go_on.wait(5)

    writing = asyncio.create_task(connection.run(job))
    await asyncio.to_thread(begun.wait, 5)
    assert await reader.run(notes) == ["old"]
    go_on.set()
    await writing
    assert await reader.run(notes) == ["old", "new"]
    await reader.close()


async def test_a_read_only_connection_changes_nothing(connection, file):
    """It refuses, and doesn't bring the schema up to date either."""
    reader = await Connection.open(file, (*MIGRATIONS, "CREATE TABLE more (id);"), read_only=True)
    with pytest.raises(StorageError, match="can't be written"):
        await reader.run(add("x"))
    await reader.close()
    assert version(file) == 2


async def test_two_writers_wait_for_each_other(connection, file):
    """Nobody loses a write."""
    other = await Connection.open(file, MIGRATIONS)
    await asyncio.gather(*(writer.run(add("x")) for writer in (connection, other) for _ in range(20)))
    assert len(await other.run(notes)) == 40
    await other.close()


async def test_a_lock_held_for_too_long_is_an_error_that_says_so(file, monkeypatch):
    """The other program is at fault, and is named as such."""
    monkeypatch.setattr("bot.storage.sqlite.connection._BUSY_TIMEOUT", 0.05)
    connection = await Connection.open(file, MIGRATIONS)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="Another program has held the file locked for too long"):
        await connection.run(add("x"))
    other.execute("ROLLBACK")
    assert await connection.run(add("x")) == 1
    other.close()
    await connection.close()


# --- schema versions --------------------------------------------------------------------------------------------------


async def test_a_new_file_gets_the_newest_schema(connection, file):
    """Semicolons in comments, values and triggers end no statement."""
    await connection.run(add("a"))
    assert await connection.run(lambda db: db.execute("SELECT note, mark FROM notes").fetchall()) == [("a", "new;")]
    assert await connection.run(lambda db: db.execute("PRAGMA index_list(notes)").fetchone()[1]) == "notes_by_mark"
    assert version(file) == 2


async def test_an_older_file_is_brought_up_to_date_and_keeps_its_content(file):
    """Step by step, from whichever version it has."""
    old = await Connection.open(file, MIGRATIONS[:1])
    await old.run(add("a"))
    await old.close()
    new = await Connection.open(file, MIGRATIONS)
    assert await new.run(lambda db: db.execute("SELECT note, mark FROM notes").fetchall()) == [("a", "a;b")]
    await new.close()


async def test_a_migration_that_fails_leaves_the_file_as_it_was(file):
    """All of its steps are undone, and the old program can still use it."""
    await (await Connection.open(file, MIGRATIONS[:1])).close()
    broken = (*MIGRATIONS, "CREATE TABLE more (id);\nCREATE TABLE notes (id);")
    with pytest.raises(StorageError, match="table notes already exists"):
        await Connection.open(file, broken)
    assert version(file) == 1
    old = await Connection.open(file, MIGRATIONS[:1])
    assert await old.run(lambda db: db.execute("SELECT name FROM sqlite_master").fetchall()) == [("notes",)]
    await old.close()


async def test_a_file_of_a_newer_program_is_refused(file):
    """It is left alone, and usable for the newer program at once."""
    await (await Connection.open(file, MIGRATIONS)).close()
    with pytest.raises(StorageError, match="was written by a newer version of this program; update the program"):
        await Connection.open(file, MIGRATIONS[:1])
    newer = await Connection.open(file, MIGRATIONS)
    assert await newer.run(add("x")) == 1
    await newer.close()


async def test_many_programs_may_open_a_new_file_at_once(tmp_path):
    """Each finds the schema made, whoever made it."""
    for attempt in range(10):
        opening = (Connection.open(tmp_path / str(attempt) / "a.sqlite3", MIGRATIONS) for _ in range(6))
        connections = await asyncio.gather(*opening)
        for connection in connections:
            await connection.run(add("x"))
        assert len(await connections[0].run(notes)) == 6
        for connection in connections:
            await connection.close()


# --- files that can't be used -----------------------------------------------------------------------------------------


async def test_the_folder_is_made(file):
    """With the folders above it."""
    connection = await Connection.open(file.parent / "deep" / "er" / "a.sqlite3", MIGRATIONS)
    await connection.close()
    assert (file.parent / "deep" / "er" / "a.sqlite3").is_file()


async def test_only_the_owner_can_read_a_file(file):
    """It holds what people ask, and so do the files that SQLite makes beside it."""
    connection = await Connection.open(file, ["CREATE TABLE t (x);"])
    await connection.run(lambda db: db.execute("INSERT INTO t VALUES (1)").close())
    assert {path.stat().st_mode & 0o777 for path in file.parent.glob(f"{file.name}*")} == {0o600}
    await connection.close()


async def test_a_file_that_is_no_database_is_refused_with_what_to_do(file):
    """And is not overwritten."""
    file.parent.mkdir()
    file.write_bytes(b"This is a letter. " * 500)
    with pytest.raises(StorageError, match=f"^{file}: .*This is not a database file: restore a backup"):
        await Connection.open(file, MIGRATIONS)
    assert file.read_bytes() == b"This is a letter. " * 500


async def test_a_folder_in_place_of_the_file_is_refused_with_what_to_do(file):
    """It can't be opened."""
    file.mkdir(parents=True)
    with pytest.raises(StorageError, match=f"^{file}: .*check that its folder can be written"):
        await Connection.open(file, MIGRATIONS)


async def test_a_file_in_place_of_the_folder_is_refused_with_its_name(file):
    """The folder can't be made."""
    file.parent.write_text("I am a file")
    with pytest.raises(StorageError, match=f"^{file}: .*File exists.*Check the disk and the permissions"):
        await Connection.open(file, MIGRATIONS)


async def test_a_damaged_file_is_refused_with_what_to_do(file):
    """A backup helps, or starting anew."""
    connection = await Connection.open(file, MIGRATIONS)
    for _ in range(20):
        await connection.run(add("x" * 3000))
    await connection.close()
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)
    connection = await Connection.open(file, MIGRATIONS)
    with pytest.raises(
        StorageError,
        match=r"The file is damaged: restore a backup \(knowledge-bot restore\), or start with --set-damaged-aside",
    ):
        await connection.run(notes)
    await connection.close()


async def test_a_full_disk_is_said_to_be_full(connection):
    """Earlier rows stay."""
    await connection.run(add("before"))
    await connection.run(lambda db: db.execute("PRAGMA max_page_count = 1").fetchone())
    with pytest.raises(StorageError, match="The disk is full: free some space"):
        await connection.run(add("x" * 100_000))
    assert await connection.run(notes) == ["before"]


async def test_what_is_deleted_leaves_no_trace_in_the_file(file):
    """Short or long: an erased question can't be read back from the disk."""
    connection = await Connection.open(file, MIGRATIONS)
    for note in ("short secret", "long secret " * 2000, "kept"):
        await connection.run(add(note))
    await connection.run(lambda db: db.execute("UPDATE notes SET note = NULL WHERE note LIKE '%secret%'").close())
    await connection.close()
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert b"secret" not in file.read_bytes()
    assert b"kept" in file.read_bytes()


async def test_what_was_erased_gives_its_space_back_to_the_disk(file):
    """A piece at a time, so that nobody has to wait for long; also a file that an earlier version has made."""
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as old:
        old.execute("CREATE TABLE notes (note TEXT)")
        old.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        old.commit()
    connection = await Connection.open(file, MIGRATIONS)
    await connection.run(lambda db: db.executemany("INSERT INTO notes VALUES (?)", [("x" * 4000,)] * 2500).close())
    await connection.run(lambda db: db.execute("DELETE FROM notes").close())
    given_back = [await connection.reclaim() for _ in range(5)]
    assert [round(size / 2**20) for size in given_back] == [4, 4, 2, 0, 0]
    await connection.close()
    assert file.stat().st_size < 100_000


async def test_what_need_not_wait_for_the_disk_is_there_for_the_next_program(file):
    """A killed process loses nothing that it has written, be it durable or not."""
    script = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from bot.storage.sqlite.connection import Connection\n"
        "async def main():\n"
        "    schema = 'CREATE TABLE notes (id INTEGER PRIMARY KEY, note TEXT);'\n"
        "    connection = await Connection.open(Path(sys.argv[1]), (schema,))\n"
        "    await connection.run(lambda db: db.execute(\"INSERT INTO notes (note) VALUES ('a')\"), durable=False)\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(file))
    assert await process.wait() == -9
    connection = await Connection.open(file)
    assert await connection.run(notes) == ["a"]
    await connection.close()
