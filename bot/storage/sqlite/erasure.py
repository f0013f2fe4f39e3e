"""Erasure of questions, people and old entries in SQLite."""

import sqlite3

from bot.core import clock
from bot.core.messages import Address
from bot.storage.base import Forgotten
from bot.storage.sqlite.connection import Connection
from bot.storage.sqlite.rows import ERASED, KEY


class SqliteErasure:
    """An Erasure over the connection of a journal."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def withdraw(self, address: Address) -> int | None:
        def write(db: sqlite3.Connection) -> int | None:
            row = db.execute(f"SELECT id, reference FROM questions WHERE {KEY}", address.key).fetchone()
            if row is None:
                return None
            entry, reference = row
            db.execute(
                f"UPDATE questions SET {ERASED}, revision = revision + 1, done_at = coalesce(done_at, ?) WHERE id = ?",
                (clock.now(), entry),
            )
            db.execute(f"DELETE FROM turns WHERE {KEY}", address.key)
            db.execute("DELETE FROM feedback WHERE platform = ? AND reference = ?", (address.platform, reference))
            return int(entry)

        return await self._connection.run(write)

    async def take_parts(self, entry: int) -> list[str]:
        def write(db: sqlite3.Connection) -> list[str]:
            messages = db.execute("DELETE FROM parts WHERE question = ? RETURNING part, message", (entry,)).fetchall()
            key = db.execute("SELECT platform, chat, message FROM questions WHERE id = ?", (entry,)).fetchone()
            db.execute(f"DELETE FROM turns WHERE {KEY}", key)  # the engine may have been quicker than the withdrawal
            return [message for _, message in sorted(messages) if message is not None]

        return await self._connection.run(write)

    async def forget_author(self, platform: str, author: str) -> Forgotten:
        def write(db: sqlite3.Connection) -> Forgotten:
            whose = (platform, author)
            db.execute(
                "DELETE FROM parts WHERE question IN (SELECT id FROM questions WHERE platform = ? AND author = ?)",
                whose,
            )
            questions = db.execute(
                f"UPDATE questions SET {ERASED}, revision = revision + 1, done_at = coalesce(done_at, accepted_at) "
                "WHERE platform = ? AND author = ?",
                whose,
            )
            turns = db.execute("DELETE FROM turns WHERE platform = ? AND author = ?", whose)
            feedback = db.execute("DELETE FROM feedback WHERE platform = ? AND author = ?", whose)
            return Forgotten(questions.rowcount, turns.rowcount, feedback.rowcount)

        return await self._connection.run(write)

    async def erase_older(self, than: float, *, keys_older_than: float) -> None:
        def write(db: sqlite3.Connection) -> None:
            db.execute(
                "DELETE FROM parts WHERE question IN (SELECT id FROM questions WHERE question IS NOT NULL AND done_at <= ?)",
                (than,),
            )
            db.execute(f"UPDATE questions SET {ERASED} WHERE question IS NOT NULL AND done_at <= ?", (than,))
            db.execute("DELETE FROM feedback WHERE at <= ?", (than,))
            db.execute("DELETE FROM questions WHERE question IS NULL AND done_at <= ?", (keys_older_than,))

        await self._connection.run(write)

    async def reclaim(self) -> int:
        return await self._connection.reclaim()
