"""A SQLite connection with a thread of its own, and the schema versions of the files.

Nothing of SQLite runs on the event loop: `Connection.run` hands a job to the connection's thread and awaits its result.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from bot.errors import StorageError

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]

# Another process (an `index` beside the daemon) holds the write lock for this long at most, in seconds.
_BUSY_TIMEOUT = 30.0


class Connection:
    """One connection to one file. Each job is one transaction: it is done as a whole or not at all."""

    def __init__(self, file: Path, connection: sqlite3.Connection, executor: ThreadPoolExecutor, begin: str) -> None:
        self._file = file
        self._connection = connection
        self._executor = executor
        self._begin = begin

    @classmethod
    async def open(cls, file: Path, migrations: Sequence[str] = (), *, read_only: bool = False) -> Self:
        """Open the file, made anew where it doesn't exist, and bring its schema up to date. Raises StorageError.

        `migrations[n]` is the script from schema version n to n + 1. A read-only connection changes nothing.
        """
        executor = ThreadPoolExecutor(1, thread_name_prefix=f"sqlite-{file.stem}")
        try:
            connection = await asyncio.get_running_loop().run_in_executor(
                executor, _open, file, () if read_only else migrations, read_only
            )
        except BaseException:
            executor.shutdown(wait=False)
            raise
        return cls(file, connection, executor, "BEGIN" if read_only else "BEGIN IMMEDIATE")

    async def run(self, job: Job[T]) -> T:
        """The job's result. Its transaction is rolled back if it raises; database errors become StorageError.

        Cancelling the waiter does not stop a job that has begun.
        """
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._transaction, job)

    async def close(self) -> None:
        """Wait for the jobs handed in so far, then close. Closing twice does nothing."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._connection.close)
        except RuntimeError:  # the executor is shut down already
            return
        self._executor.shutdown(wait=False)

    def _transaction(self, job: Job[T]) -> T:
        try:
            self._connection.execute(self._begin)
            try:
                result = job(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise _storage_error(self._file, error) from error
        except StopIteration as error:  # would hang the awaiter
            raise RuntimeError("a database job raised StopIteration") from error
        return result


def _open(file: Path, migrations: Sequence[str], read_only: bool) -> sqlite3.Connection:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)  # for its owner only: it holds what people ask
        connection = sqlite3.connect(file, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    except (sqlite3.Error, OSError) as error:
        raise _storage_error(file, error) from error
    try:
        _use_wal(connection)
        for pragma in (
            "synchronous = FULL",  # a question that was acknowledged survives even a power failure
            "foreign_keys = ON",
            "secure_delete = ON",  # what is erased leaves no trace in the file
            f"query_only = {int(read_only)}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        _migrate(connection, file, migrations)
    except sqlite3.Error as error:
        connection.close()
        raise _storage_error(file, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL. While another process does the same to a new file, SQLite refuses without waiting, so we wait."""
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
    """The statements of a script in which each one ends at the end of a line. (executescript would end the transaction.)"""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement


def _storage_error(file: Path, error: Exception) -> StorageError:
    code = getattr(error, "sqlite_errorname", "")
    advice = {
        "SQLITE_FULL": "The disk is full: free some space.",
        "SQLITE_READONLY": "The file can't be written: check its owner and permissions.",
        "SQLITE_CANTOPEN": "The file can't be opened: check that its folder can be written.",
        "SQLITE_BUSY": "Another program has held the file locked for too long.",
        "SQLITE_CORRUPT": "The file is damaged: restore it from a backup, or move it away to start anew.",
        "SQLITE_NOTADB": "This is not a database file: move it away to start anew.",
    }
    known = next(
        (text for name, text in advice.items() if code.startswith(name)), "Check the disk and the permissions."
    )
    return StorageError(f"{file}: {error}. {known}")
