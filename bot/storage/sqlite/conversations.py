"""The turns of conversations in SQLite."""

import sqlite3

from bot.core.messages import Question, Turn
from bot.storage.sqlite.connection import Connection


class SqliteConversations:
    """A ConversationStore over the connection of a journal."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def turns(self, conversation: str, *, newer_than: float, limit: int) -> list[Turn]:
        def read(db: sqlite3.Connection) -> list[Turn]:
            rows = db.execute(
                "SELECT question, answer FROM turns WHERE conversation = ? AND at > ? ORDER BY id DESC LIMIT ?",
                (conversation, newer_than, limit),
            ).fetchall()
            return [Turn(question, answer) for question, answer in reversed(rows)]

        return await self._connection.run(read)

    async def add_turn(self, conversation: str, turn: Turn, at: float, asked: Question | None = None) -> None:
        await self._connection.write(
            "INSERT OR REPLACE INTO turns (conversation, at, question, answer, author, platform, chat, message) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            conversation,
            at,
            turn.question,
            turn.answer,
            asked and asked.author,
            *(asked.address.key if asked else (None, None, None)),
            durable=False,
        )

    async def forget(self, conversation: str) -> None:
        await self._delete("conversation = ?", conversation)

    async def forget_before(self, time: float) -> None:
        await self._delete("at <= ?", time)

    async def _delete(self, condition: str, value: object) -> None:
        statement = f"DELETE FROM turns WHERE {condition}"
        await self._connection.run(lambda db: db.execute(statement, (value,)).close(), erases=True)
