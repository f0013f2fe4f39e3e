"""Entries that wait to be published, in SQLite."""

import sqlite3
import time

from bot.storage.base.history import Entry
from bot.storage.sqlite.connection import Connection


class SqliteEntries:
    """An EntryStore over the connection of a journal."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, question: str, answer: str) -> int:
        def write(db: sqlite3.Connection) -> int:
            statement = "INSERT INTO entries (question, answer, at) VALUES (?, ?, ?) RETURNING id"
            return int(db.execute(statement, (question, answer, time.time())).fetchone()[0])

        return await self._connection.run(write)

    async def all(self) -> list[Entry]:
        def read(db: sqlite3.Connection) -> list[Entry]:
            return [Entry(*row) for row in db.execute("SELECT id, question, answer, at FROM entries ORDER BY id")]

        return await self._connection.run(read)

    async def one(self, entry: int) -> Entry | None:
        def read(db: sqlite3.Connection) -> Entry | None:
            row = db.execute("SELECT id, question, answer, at FROM entries WHERE id = ?", (entry,)).fetchone()
            return Entry(*row) if row else None

        return await self._connection.run(read)

    async def change(self, entry: int, question: str, answer: str) -> bool:
        return await self._changes("UPDATE entries SET question = ?, answer = ? WHERE id = ?", question, answer, entry)

    async def remove(self, entry: int) -> bool:
        return await self._changes("DELETE FROM entries WHERE id = ?", entry)

    async def _changes(self, statement: str, *values: object) -> bool:
        return await self._connection.run(lambda db: db.execute(statement, values).rowcount > 0)
