"""The journal and the conversations in one SQLite file. Small, precious, and apart from the index, whose long
transactions would otherwise hold up the acceptance of questions."""

import json
import sqlite3
import time
from pathlib import Path
from typing import Self

from bot.messages import Answer, Question, Turn
from bot.storage.base import PartState, Pending
from bot.storage.sqlite import Connection

_MIGRATIONS = (
    """
    CREATE TABLE questions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        platform TEXT NOT NULL,
        chat TEXT NOT NULL,
        message TEXT NOT NULL,
        accepted_at REAL NOT NULL,
        question TEXT,  -- NULL: done
        answer TEXT,  -- NULL: not answered yet, or done
        UNIQUE (platform, chat, message)
    );
    CREATE INDEX questions_pending ON questions (id) WHERE question IS NOT NULL;
    CREATE TABLE parts (
        question INTEGER NOT NULL REFERENCES questions (id) ON DELETE CASCADE,
        part INTEGER NOT NULL,
        message TEXT,  -- NULL: sending has begun and was not acknowledged
        PRIMARY KEY (question, part)
    ) WITHOUT ROWID;
    CREATE TABLE turns (
        id INTEGER PRIMARY KEY,
        conversation TEXT NOT NULL,
        at REAL NOT NULL,
        question TEXT NOT NULL,
        answer TEXT NOT NULL
    );
    CREATE INDEX turns_by_conversation ON turns (conversation, at);
    CREATE INDEX turns_by_age ON turns (at);
    """,
)


class SqliteJournal:
    """A Journal and a ConversationStore in the file `journal.sqlite3` of a folder."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, folder: Path) -> Self:
        return cls(await Connection.open(folder / "journal.sqlite3", _MIGRATIONS))

    async def close(self) -> None:
        await self._connection.close()

    # --- Journal

    async def accept(self, question: Question) -> int | None:
        address = question.address
        row = (address.platform, address.chat, address.message, time.time(), json.dumps(question.to_json()))

        def write(db: sqlite3.Connection) -> int | None:
            cursor = db.execute(
                "INSERT INTO questions (platform, chat, message, accepted_at, question) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                row,
            )
            return cursor.lastrowid if cursor.rowcount else None

        return await self._connection.run(write)

    async def pending(self) -> list[Pending]:
        def read(db: sqlite3.Connection) -> list[Pending]:
            rows = db.execute("SELECT id, question, answer FROM questions WHERE question IS NOT NULL ORDER BY id")
            return [
                Pending(
                    entry,
                    Question.from_json(json.loads(question)),
                    Answer.from_json(json.loads(answer)) if answer else None,
                )
                for entry, question, answer in rows
            ]

        return await self._connection.run(read)

    async def answered(self, entry: int, answer: Answer) -> None:
        await self._write(
            "UPDATE questions SET answer = ? WHERE id = ? AND question IS NOT NULL", json.dumps(answer.to_json()), entry
        )

    async def part(self, entry: int, part: int) -> PartState | None:
        def read(db: sqlite3.Connection) -> PartState | None:
            statement = "SELECT message FROM parts WHERE question = ? AND part = ?"
            row = db.execute(statement, (entry, part)).fetchone()
            return PartState(row[0]) if row else None

        return await self._connection.run(read)

    async def part_begins(self, entry: int, part: int) -> None:
        await self._write("INSERT OR IGNORE INTO parts VALUES (?, ?, NULL)", entry, part)

    async def part_sent(self, entry: int, part: int, message: str) -> None:
        await self._write("UPDATE parts SET message = ? WHERE question = ? AND part = ?", message, entry, part)

    async def done(self, entry: int) -> None:
        def write(db: sqlite3.Connection) -> None:
            db.execute("UPDATE questions SET question = NULL, answer = NULL WHERE id = ?", (entry,))
            db.execute("DELETE FROM parts WHERE question = ?", (entry,))

        await self._connection.run(write)

    # --- ConversationStore

    async def turns(self, conversation: str, *, newer_than: float, limit: int) -> list[Turn]:
        def read(db: sqlite3.Connection) -> list[Turn]:
            rows = db.execute(
                "SELECT question, answer FROM turns WHERE conversation = ? AND at > ? ORDER BY id DESC LIMIT ?",
                (conversation, newer_than, limit),
            ).fetchall()
            return [Turn(question, answer) for question, answer in reversed(rows)]

        return await self._connection.run(read)

    async def add_turn(self, conversation: str, turn: Turn, at: float) -> None:
        await self._write(
            "INSERT INTO turns (conversation, at, question, answer) VALUES (?, ?, ?, ?)",
            conversation,
            at,
            turn.question,
            turn.answer,
        )

    async def forget(self, conversation: str) -> None:
        await self._write("DELETE FROM turns WHERE conversation = ?", conversation)

    async def forget_older(self, than: float) -> None:
        await self._write("DELETE FROM turns WHERE at <= ?", than)

    async def _write(self, statement: str, *values: object) -> None:
        await self._connection.run(lambda db: db.execute(statement, values).close())
