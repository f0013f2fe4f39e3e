"""The parts of answers in SQLite."""

import sqlite3

from bot.core.messages import Address, Superseded
from bot.storage.base import PartState
from bot.storage.sqlite.connection import Connection
from bot.storage.sqlite.rows import KEY


class SqliteParts:
    """A PartStore over the connection of a journal."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def placed(self, address: Address, message: str) -> bool:
        def write(db: sqlite3.Connection) -> bool:
            found = db.execute(f"SELECT id FROM questions WHERE {KEY} AND done_at IS NULL", address.key).fetchone()
            if found is None:
                return False
            insert = "INSERT INTO parts (question, part, message, current) VALUES (?, 0, ?, 0) ON CONFLICT DO NOTHING"
            db.execute(insert, (*found, message))
            [noted] = db.execute("SELECT message FROM parts WHERE question = ? AND part = 0", found).fetchone()
            return bool(noted == message)

        return await self._connection.run(write)

    async def takes_placeholder(self, address: Address) -> bool:
        def read(db: sqlite3.Connection) -> bool:
            statement = (
                f"SELECT 1 FROM questions WHERE {KEY} AND done_at IS NULL "
                "AND NOT EXISTS (SELECT 1 FROM parts WHERE question = id AND part = 0)"
            )
            return db.execute(statement, address.key).fetchone() is not None

        return await self._connection.run(read)

    async def part_begins(self, question_id: int, revision: int, part: int) -> PartState | None:
        def write(db: sqlite3.Connection) -> PartState | None:
            if not db.execute(
                "SELECT 1 FROM questions WHERE id = ? AND revision = ?", (question_id, revision)
            ).fetchone():
                raise Superseded
            known = "question = ? AND part = ?", (question_id, part)
            db.execute(f"UPDATE parts SET repeated = 1 WHERE {known[0]} AND message IS NULL", known[1])
            row = db.execute(f"SELECT message, current, repeated FROM parts WHERE {known[0]}", known[1]).fetchone()
            if row is None:
                db.execute(
                    "INSERT INTO parts (question, part, message, current) VALUES (?, ?, NULL, 0)", (question_id, part)
                )
                return None
            message, current, repeated = row
            return PartState(message, bool(current) and message is not None, bool(repeated))

        return await self._connection.run(write)

    async def part_unsent(self, question_id: int, part: int) -> None:
        await self._connection.write(
            "DELETE FROM parts WHERE question = ? AND part = ? AND message IS NULL", question_id, part
        )

    async def part_sent(self, question_id: int, revision: int, part: int, message: str) -> None:
        await self._connection.write(
            "UPDATE parts SET message = ?, current = (SELECT revision = ? FROM questions WHERE id = ?) "
            "WHERE question = ? AND part = ?",
            message,
            revision,
            question_id,
            question_id,
            part,
            durable=False,
        )

    async def left_over(self, question_id: int, parts: int) -> list[str]:
        def read(db: sqlite3.Connection) -> list[str]:
            statement = (
                "SELECT message FROM parts WHERE question = ? AND part >= ? AND message IS NOT NULL ORDER BY part"
            )
            return [message for (message,) in db.execute(statement, (question_id, parts))]

        return await self._connection.run(read)

    async def in_doubt(self) -> int:
        def read(db: sqlite3.Connection) -> int:
            statement = (
                "SELECT count(*) FROM parts JOIN questions ON id = parts.question "
                "WHERE parts.message IS NULL AND done_at IS NULL"
            )
            return int(db.execute(statement).fetchone()[0])

        return await self._connection.run(read)
