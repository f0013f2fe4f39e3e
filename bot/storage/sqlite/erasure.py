"""Erasure of questions, people and old entries in SQLite.

Much is erased in batches, between which questions go. Erased bytes are overwritten in the file, and the WAL, which holds
earlier copies of its pages, is emptied: at once where somebody has asked for it, and soon after everything else by `scrub`.
"""

import asyncio
import sqlite3

from bot.core import clock
from bot.core.errors import StorageError
from bot.core.messages import Address
from bot.storage.base import Forgotten
from bot.storage.sqlite.connection import Connection, Transaction
from bot.storage.sqlite.rows import ERASED, KEY

# Rows, which take some 0.1 seconds. Neighbours share pages, which are written once a batch.
_BATCH = 2000
# How often, and how far apart in seconds, the emptying of the WAL is tried while another process reads.
_TRIES = 20
_BETWEEN_TRIES = 0.25


class SqliteErasure:
    """An Erasure over the connection of a journal."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def withdraw(self, address: Address) -> int | None:
        def write(db: sqlite3.Connection) -> int | None:
            row = db.execute(f"SELECT id, reference FROM questions WHERE {KEY}", address.key).fetchone()
            if row is None:
                return None
            question_id, reference = row
            db.execute(
                f"UPDATE questions SET {ERASED}, revision = revision + 1, done_at = coalesce(done_at, ?) WHERE id = ?",
                (clock.now(), question_id),
            )
            db.execute(f"DELETE FROM turns WHERE {KEY}", address.key)
            db.execute("DELETE FROM feedback WHERE platform = ? AND reference = ?", (address.platform, reference))
            return int(question_id)

        return await self._connection.run(write, erases=True)

    async def take_parts(self, question_id: int, address: Address) -> list[str]:
        def write(db: sqlite3.Connection) -> list[str]:
            messages = db.execute(
                "DELETE FROM parts WHERE question = ? RETURNING part, message", (question_id,)
            ).fetchall()
            # The engine may have been quicker than the withdrawal.
            db.execute(f"DELETE FROM turns WHERE {KEY}", address.key)
            return [message for _, message in sorted(messages) if message is not None]

        return await self._connection.run(write, erases=True)

    async def forget_author(self, platform: str, author: str) -> Forgotten:
        theirs = "platform = ? AND author = ?", (platform, author)
        erased = f"{ERASED}, revision = revision + 1, done_at = coalesce(done_at, accepted_at)"
        forgotten = Forgotten(
            questions=await self._erase_questions(*theirs, erased=erased),
            turns=await self._delete("turns", *theirs),
            feedback=await self._delete("feedback", *theirs),
        )
        for _ in range(_TRIES):
            if await self.scrub(rewrite=True):
                return forgotten
            await asyncio.sleep(_BETWEEN_TRIES)
        raise StorageError(
            "It is erased from the journal, but not yet from the log beside it (journal.sqlite3-wal), because another program "
            "reads the journal. This is tried again all the time; to see that it is done, ask for it again later."
        )

    async def erase_before(self, time: float, *, keys_before: float) -> None:
        await self._erase_questions("question IS NOT NULL AND done_at <= ?", (time,))
        await self._delete("feedback", "at <= ?", (time,))
        await self._delete("questions", "question IS NULL AND done_at <= ?", (keys_before,))

    async def scrub(self, *, rewrite: bool = False) -> bool:
        return await self._connection.scrub(rewrite=rewrite)

    async def reclaim(self) -> int:
        return await self._connection.reclaim()

    async def _erase_questions(self, condition: str, values: tuple[object, ...], *, erased: str = ERASED) -> int:
        """Erase the questions that meet a condition, with their parts. Returns their number."""
        batch = f"SELECT id FROM questions WHERE {condition} LIMIT {_BATCH}"

        def write(db: sqlite3.Connection) -> int:
            db.execute(f"DELETE FROM parts WHERE question IN ({batch})", values)
            return db.execute(f"UPDATE questions SET {erased} WHERE id IN ({batch})", values).rowcount

        return await self._in_batches(write)

    async def _delete(self, table: str, condition: str, values: tuple[object, ...]) -> int:
        """Delete the rows of a table that meet a condition. Returns their number."""
        key = {"feedback": "platform, reference, author"}.get(table, "id")
        batch = f"SELECT {key} FROM {table} WHERE {condition} LIMIT {_BATCH}"
        statement = f"DELETE FROM {table} WHERE ({key}) IN ({batch})"
        return await self._in_batches(lambda db: db.execute(statement, values).rowcount)

    async def _in_batches(self, write: Transaction[int]) -> int:
        """Do the work, each time in a transaction of its own, until it has erased less than a batch. Returns how much it was.

        `scrub` and the next durable write make it last; until then a power failure may bring it back.
        """
        erased = _BATCH
        total = 0
        while erased >= _BATCH:
            erased = await self._connection.run(write, durable=False, erases=True)
            total += erased
        return total
