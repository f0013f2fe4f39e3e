"""Removal of what SQLite leaves of erased data: the copies of pages in the WAL, and the unused bytes of pages.

Everything here is blocking, and is called in the thread of the connection.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from bot.storage.sqlite.unused_bytes import pages_in_wal, wipe

WIPED_PAGES = 8192  # pages that are looked through at once, a tenth of a second
_AUTOCHECKPOINT = 1000  # pages in the WAL, as by default


class Busy(Exception):
    """Another process works with the file: try again."""


class Scrubber:
    """Scrubs the file of an open connection and its WAL. Its methods raise sqlite3.Error and OSError."""

    def __init__(self, file: Path, connection: sqlite3.Connection) -> None:
        self._file = file
        self._wal = file.with_name(f"{file.name}-wal")
        self._connection = connection
        self._erased = True  # whether the WAL may hold what was erased, maybe before this start
        self._scattered = True  # whether unused bytes of pages may
        self._written: set[int] | None = None  # the pages that were written since the wiping began; None: it hasn't
        # Open until the connection is closed: with any descriptor of the file, POSIX takes away the locks that SQLite holds.
        self._bytes: FileIO | None = None

    @property
    def scattered(self) -> bool:
        return self._scattered

    def close(self) -> None:
        """Close the file, after the connection was closed."""
        if self._bytes is not None:
            self._bytes.close()

    def note_erasure(self) -> None:
        self._erased = self._scattered = True

    def empty_wal(self, *, always: bool = False) -> bool:
        """Empty the WAL if it holds erased data. Returns False while another process reads, which may take long."""
        if not (self._erased or always):
            return True
        [timeout] = self._connection.execute("PRAGMA busy_timeout").fetchone()
        try:
            self._connection.execute("PRAGMA busy_timeout = 0")
            if self._written is not None:
                self._written |= pages_in_wal(self._wal)
            [busy, _, _] = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._erased = bool(busy)
        except sqlite3.Error as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            return False
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {timeout}")
        return not self._erased

    def begin_wiping(self) -> int:
        """Begin to wipe the unused bytes of all pages. Next come `wipe`, then `wipe_written`, and in any case `end_wiping`.

        Other work may go between. Returns the version of what other processes have written. Raises Busy.
        """
        if not self.empty_wal(always=True):
            raise Busy
        # Each page that is written from now on stands in the WAL until `empty_wal` has noted it.
        self._connection.execute("PRAGMA wal_autocheckpoint = 0")
        self._written = set()
        self._scattered = False  # set by what is erased from now on
        return self._version()

    def wipe(self, first: int) -> int:
        """Wipe some pages from the page `first` on (1: the first of the file). Returns the next page, 0 after the last one.

        Raises Busy.
        """
        with self._whole_file() as file:
            more = wipe(file, first, WIPED_PAGES)
        return first + WIPED_PAGES if more else 0

    def wipe_written(self, version: int) -> None:
        """Wipe the pages that were written since `begin_wiping`, to which SQLite may have moved what had not been wiped yet.

        Raises Busy, also if another process has written meanwhile, for its pages aren't known.
        """
        with self._whole_file() as file:
            if self._written is None or self._version() != version:
                raise Busy
            for page in sorted(self._written):
                wipe(file, page)

    def end_wiping(self, *, done: bool) -> None:
        self._written = None
        self._scattered |= not done
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {_AUTOCHECKPOINT}")

    def _version(self) -> int:
        [version] = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)

    @contextmanager
    def _whole_file(self) -> Iterator[FileIO]:
        """Yield the file, with all that was written and nothing in its WAL, while nobody can write."""
        if not self.empty_wal(always=True):
            raise Busy
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            if self._wal.stat().st_size:  # somebody was quicker
                raise Busy
            self._bytes = self._bytes or self._file.open("r+b", buffering=0)
            yield self._bytes
            os.fsync(self._bytes.fileno())
        finally:
            self._connection.execute("ROLLBACK")
            # What stands in the cache would be written back with its unused bytes.
            self._connection.execute("PRAGMA shrink_memory")
