"""A SQLite connection with a thread of its own, and the schema versions of the files.

SQLite never runs on the event loop: `Connection.run` runs a function in the connection's thread and awaits its result.
"""

import asyncio
import math
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import quote

from bot.core.errors import StorageError
from bot.storage.sqlite.scrubbing import Busy, Scrubber

T = TypeVar("T")
Transaction = Callable[[sqlite3.Connection], T]
"""The statements of one transaction; returns their result."""

# Longest wait for the write lock of another process (an `index` beside the daemon), in seconds.
_BUSY_TIMEOUT = 30.0
# Pages that one call returns to the disk, in some milliseconds.
_RECLAIMED_PAGES = 1024
# KiB of pages that are kept in memory. What one transaction changes should fit: SQLite writes the rest out, and reads it again.
_CACHE, _READ_CACHE = 16_384, 2048
_CREATED, _DROPPED = re.compile(r"CREATE (?:VIRTUAL )?TABLE (\w+)"), re.compile(r"DROP TABLE (\w+)")
# Steps of SQLite's machine between two looks at the clock while a file is checked: a millisecond or less.
_BETWEEN_LOOKS = 1000
# Where SQLite's error quotes bytes of the file that are no text, Python raises UnicodeDecodeError instead of it.
NO_TEXT = "the descriptions of its tables can't be read"
_LARGEST_REWRITTEN = 256 * 2**20  # bytes, at the start
_START_ANEW = (
    "restore a backup (knowledge-bot restore), or start with --set-damaged-aside, which keeps it beside a new one."
)


class Connection:
    """One connection to one file. Each piece of work is one transaction, which is done as a whole or not at all."""

    def __init__(
        self, file: Path, connect: Callable[[], sqlite3.Connection], executor: ThreadPoolExecutor, begin: str
    ) -> None:
        """`connect` opens the file. Called in the thread of the executor, as is everything that touches the file."""
        self._file = file
        self._connect = connect
        self._connection = connect()
        self._opened = _identity(file)
        # Raised by everything, once another file stands in the place of this one.
        self._replaced: StorageError | None = None
        self._executor = executor
        self._begin = begin
        self._durable = True  # how `synchronous` is set; touched by the connection's thread only
        self._scrubber = Scrubber(file, self._connection)
        self._rewriting = asyncio.Lock()

    @classmethod
    async def open(
        cls,
        file: Path,
        migrations: Sequence[str] = (),
        *,
        read_only: bool = False,
        functions: Mapping[str, Callable[..., str]] | None = None,
    ) -> Self:
        """Open the file, made anew if it doesn't exist, and bring its schema up to date. Raises StorageError.

        `migrations[n]` is the script from schema version n to n + 1. A read-only connection changes nothing. `functions` are
        those of Python that statements call, by their names in SQL.
        """
        executor = ThreadPoolExecutor(1, thread_name_prefix=f"sqlite-{file.stem}")
        connect = partial(_open, file, () if read_only else migrations, read_only, functions or {})
        make = partial(cls, file, connect, executor, "BEGIN" if read_only else "BEGIN IMMEDIATE")
        try:
            return await asyncio.get_running_loop().run_in_executor(executor, make)
        except BaseException:
            executor.shutdown(wait=False)
            raise

    async def run(self, work: Transaction[T], *, durable: bool = True, erases: bool = False) -> T:
        """Run the work in a transaction and return its result. If it raises, the transaction is rolled back.

        Durable writes survive a power failure once this returns. Others don't wait for the disk: they survive a crash of the
        process, and a power failure from the next durable write on. Cancelling the caller does not stop work that has begun.
        Raises StorageError for database errors. A transaction that `erases` leaves copies in the WAL until the next `scrub`.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, self._transaction, work, durable, erases
        )

    async def write(self, statement: str, *values: object, durable: bool = True) -> None:
        """Execute one statement with these parameters, in a transaction of its own; see `run`."""
        await self.run(lambda db: db.execute(statement, values).close(), durable=durable)

    async def reclaim(self) -> int:
        """Return the space of deleted rows to the disk, up to some megabytes a call. Returns the number of bytes.

        A call takes milliseconds, so that other work isn't delayed; call it again until it returns 0.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, _reclaim, self._file, self._connection)

    async def scrub(self, *, rewrite: bool = False) -> bool:
        """Empty the WAL if it holds erased data. Returns False while another process reads: try again.

        `rewrite`: also overwrite the remains in unused bytes of pages that SQLite has split. Other work runs in between.
        """
        if rewrite and not await self._rewrite():
            return False
        return await self._scrub_by(Scrubber.empty_wal)

    async def _rewrite(self) -> bool:
        """Wipe the unused bytes of all pages. Returns False while another process works with the file: try again."""
        async with self._rewriting:
            if not self._scrubber.scattered:
                return True
            done = False
            try:
                version, page = await self._scrub_by(Scrubber.begin_wiping), 1
                while page:
                    page = await self._scrub_by(Scrubber.wipe, page)
                await self._scrub_by(Scrubber.wipe_written, version)
                done = True
            except Busy:
                pass
            finally:
                await self._scrub_by(partial(Scrubber.end_wiping, done=done))
            return done

    async def _scrub_by(self, step: Callable[..., T], *values: object) -> T:
        """Take one step of scrubbing in the connection's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._scrubbing, step, *values)

    async def put_back(self) -> bool:
        """Write the file again, with all that is in it, if it or its WAL was deleted while open. Returns whether it was.

        Raises StorageError if the path holds another file; the old data is saved beside it, and later calls raise the same
        error, so that nothing is written where nobody finds it.
        """
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._put_back)

    async def reopen(self) -> None:
        """Open the file anew, after another connection has put it back."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._reopen)

    async def back_up(self, copy: Path) -> None:
        """Write a consistent copy of the file while others go on reading and writing."""
        await asyncio.get_running_loop().run_in_executor(self._executor, _back_up, self._connection, copy)

    async def close(self) -> None:
        """Wait for the work handed in so far, then close. Closing twice does nothing."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._close)
        except RuntimeError:  # the executor is shut down already
            return
        self._executor.shutdown(wait=False)

    def _close(self) -> None:
        self._connection.close()
        self._scrubber.close()

    def _put_back(self) -> bool:
        if self._replaced:
            raise self._replaced
        there, wal = _identity(self._file), _companion(self._file, "-wal")
        if there == self._opened and wal.exists():
            return False
        try:
            if there == self._opened:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
                self._reopen()
            elif there is None:
                self._reopen(_copy_of(self._connection, _companion(self._file, ".kept")))
            else:
                self._give_up()
        except (sqlite3.Error, OSError) as error:
            raise _storage_error(self._file, error) from error
        return True

    def _reopen(self, copy: Path | None = None) -> None:
        """Open the file anew, after the copy was put in its place. The old WAL goes: it belongs to the deleted file."""
        self._close()
        if copy is not None:
            for suffix in ("-wal", "-shm"):
                _companion(self._file, suffix).unlink(missing_ok=True)
            copy.rename(self._file)
        self._connection = self._connect()
        self._scrubber = Scrubber(self._file, self._connection)
        self._opened, self._durable = _identity(self._file), True

    def _give_up(self) -> None:
        kept = _copy_of(self._connection, _companion(self._file, f".before-{_moment()}"))
        self._replaced = StorageError(
            f"{self._file} was replaced by another file while the bot runs. What it held until now is in {kept.name}. Stop the "
            "bot, leave the one of the two there that you want, by the name of the first, and start the bot again."
        )
        raise self._replaced

    def _scrubbing(self, step: Callable[..., T], *values: object) -> T:
        try:
            return step(self._scrubber, *values)
        except (sqlite3.Error, OSError) as error:
            raise _storage_error(self._file, error) from error

    def _transaction(self, work: Transaction[T], durable: bool, erases: bool) -> T:
        if self._replaced:
            raise self._replaced
        try:
            if erases:
                self._scrubber.note_erasure()
            if durable is not self._durable:
                self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._durable = durable
            self._connection.execute(self._begin)
            try:
                result = work(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise _storage_error(self._file, error) from error
        except StopIteration as error:  # would hang the awaiter
            raise RuntimeError("database work raised StopIteration") from error
        return result


def _open(
    file: Path, migrations: Sequence[str], read_only: bool, functions: Mapping[str, Callable[..., str]]
) -> sqlite3.Connection:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600)  # for its owner only: it holds what people ask
        connection = sqlite3.connect(file, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    except (sqlite3.Error, OSError) as error:
        raise _storage_error(file, error) from error
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # for a new file; see `Connection.reclaim`
        _use_wal(connection)
        for pragma in (
            "synchronous = FULL",  # a question that was acknowledged survives even a power failure
            "foreign_keys = ON",
            "secure_delete = ON",  # what is erased leaves no trace in the file
            f"query_only = {int(read_only)}",
            f"cache_size = -{_READ_CACHE if read_only else _CACHE}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        # A bad sector may have made it no UTF-8.
        connection.text_factory = lambda stored: stored.decode(errors="replace")
        for name, function in functions.items():
            connection.create_function(name, -1, function, deterministic=True)
        _migrate(connection, file, migrations)
        if not read_only:
            _make_shrinkable(connection)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        connection.close()
        raise _storage_error(file, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _make_shrinkable(connection: sqlite3.Connection) -> None:
    """Rewrite a file of an earlier version so that it can return space to the disk.

    A file that is large or in use stays as it is, and so does one if the disk has no room for a second one.
    """
    if _pages(connection, "auto_vacuum") == 0 and _size(connection) <= _LARGEST_REWRITTEN:
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA busy_timeout = 0")
            connection.execute("VACUUM")
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT * 1000:.0f}")


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL. SQLite refuses at once while another process switches a new file, so this waits and tries again."""
    until = time.monotonic() + _BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _migrate(connection: sqlite3.Connection, file: Path, migrations: Sequence[str]) -> None:
    if not migrations or _version(connection) == len(migrations):
        return
    connection.execute("BEGIN IMMEDIATE")
    version = _version(connection)  # read once more: another process may have done the same while this one waited
    if version > len(migrations):
        raise StorageError(f"{file} was written by a newer version of this program; update the program to use it.")
    for script in migrations[version:]:
        for statement in _statements(script):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(migrations)}")
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    [version] = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script in which each one ends at the end of a line. (executescript would end the
    transaction.)"""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement


def _reclaim(file: Path, connection: sqlite3.Connection) -> int:
    try:
        before = _pages(connection, "page_count")
        # `execute` would take one step, which gives back one page.
        connection.executescript(f"PRAGMA incremental_vacuum({_RECLAIMED_PAGES})")
        return (before - _pages(connection, "page_count")) * _pages(connection, "page_size")
    except sqlite3.Error as error:
        raise _storage_error(file, error) from error


def _size(connection: sqlite3.Connection) -> int:
    return _pages(connection, "page_count") * _pages(connection, "page_size")


def _pages(connection: sqlite3.Connection, pragma: str) -> int:
    [number] = connection.execute(f"PRAGMA {pragma}").fetchone()
    return int(number)


def _identity(file: Path) -> tuple[int, int] | None:
    """Return the identity of a file, which another one by the same name hasn't; None if there is no file."""
    try:
        there = file.stat()
    except FileNotFoundError:
        return None
    return there.st_dev, there.st_ino


def _companion(file: Path, suffix: str) -> Path:
    return file.with_name(file.name + suffix)


def _copy_of(connection: sqlite3.Connection, copy: Path) -> Path:
    copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # which may be deleted with what was in it
    copy.unlink(missing_ok=True)  # of a process that was killed
    _back_up(connection, copy)
    return copy


def _back_up(connection: sqlite3.Connection, copy: Path) -> None:
    try:
        copy.touch(mode=0o600)
        with closing(sqlite3.connect(copy)) as target:
            connection.backup(target)
    except (sqlite3.Error, OSError) as error:
        raise _storage_error(copy, error) from error


def damage(file: Path, seconds: float = math.inf) -> str | None:
    """Check a database file. Returns the first problem in SQLite's words, or None if none was found in this time.

    Blocking. Raises StorageError if it can't be read at all.
    """
    until = time.monotonic() + seconds
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > until, _BETWEEN_LOOKS)
            [said] = connection.execute("PRAGMA quick_check(1)").fetchone()
    except UnicodeDecodeError:
        return NO_TEXT
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            return None
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return str(error)
        raise _storage_error(file, error) from error
    return None if said == "ok" else str(said)


def strangeness(file: Path, migrations: Sequence[str]) -> str | None:
    """Return why a whole database file is none that these migrations have made, or None if it is one. Blocking."""
    with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as connection:
        version = _version(connection)
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if version > len(migrations):
        return "it was written by a newer version of this program"
    script = "".join(migrations[:version])
    expected = set(_CREATED.findall(script)) - set(_DROPPED.findall(script))
    return None if expected and expected <= tables else "it was written by another program"


def damaged(file: Path, found: str) -> StorageError:
    """Return the error for a damaged file: its problem, and the ways to go on."""
    return StorageError(f"{file}: {found}. The file is damaged: {_START_ANEW}")


def put_aside(file: Path) -> Path:
    """Rename a database and its WAL files, so that a new one can be made in its place. Returns the new name. Blocking."""
    aside = _companion(file, f".damaged-{_moment()}")
    for suffix in ("-wal", "-shm", ""):
        source = _companion(file, suffix)
        if source.exists():
            source.rename(_companion(aside, suffix))
    return aside


def _moment() -> str:
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime())


def _storage_error(file: Path, error: Exception) -> StorageError:
    if isinstance(error, UnicodeDecodeError):
        return damaged(file, NO_TEXT)
    code = getattr(error, "sqlite_errorname", "")
    advice = {
        "SQLITE_FULL": "The disk is full: free some space.",
        "SQLITE_READONLY": "The file can't be written: check its owner and permissions.",
        "SQLITE_CANTOPEN": "The file can't be opened: check that its folder can be written.",
        "SQLITE_BUSY": "Another program has held the file locked for too long.",
        "SQLITE_CORRUPT": f"The file is damaged: {_START_ANEW}",
        "SQLITE_NOTADB": f"This is not a database file: {_START_ANEW}",
    }
    known = next(
        (text for name, text in advice.items() if code.startswith(name)), "Check the disk and the permissions."
    )
    return StorageError(f"{file}: {error}. {known}")
