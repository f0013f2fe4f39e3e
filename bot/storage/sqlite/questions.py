"""Accepted questions in SQLite."""

import json
import sqlite3

from bot.core import clock
from bot.core.messages import Address, Answer, Question, Superseded
from bot.storage.base import Pending
from bot.storage.sqlite.connection import Connection
from bot.storage.sqlite.rows import ERASED, FINGERPRINTED, KEY, answer_from, each, question_from


class SqliteQuestions:
    """A QuestionStore over the connection of a journal."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def known(self, address: Address) -> bool:
        return await self._connection.run(lambda db: _known(db, address))

    async def accept(self, question: Question) -> int | None:
        row = (*question.address.key, clock.now(), json.dumps(question.to_json()), question.author)

        def write(db: sqlite3.Connection) -> int | None:
            if _known(db, question.address):
                return None
            return db.execute(
                "INSERT INTO questions (platform, chat, message, accepted_at, question, author) VALUES (?, ?, ?, ?, ?, ?)",
                row,
            ).lastrowid

        return await self._connection.run(write)

    async def pending(self) -> list[Pending]:
        def read(db: sqlite3.Connection) -> list[Pending]:
            rows = db.execute("SELECT id, question, answer, revision FROM questions WHERE done_at IS NULL ORDER BY id")
            return list(each(rows, _pending))

        return await self._connection.run(read)

    async def revise(self, question: Question) -> Pending | None:
        def write(db: sqlite3.Connection) -> Pending | None:
            row = db.execute(
                f"SELECT id, question, revision FROM questions WHERE {KEY} AND question IS NOT NULL",
                question.address.key,
            ).fetchone()
            if row is None:
                return None
            # A damaged question counts as another one, so that the edit mends it.
            if any(before.text == question.text for before in each([row[1]], question_from)):
                return None
            question_id, _, revision = row
            db.execute(
                "UPDATE questions SET question = ?, answer = NULL, reference = NULL, revision = ?, done_at = NULL "
                "WHERE id = ?",
                (json.dumps(question.to_json()), revision + 1, question_id),
            )
            db.execute("UPDATE parts SET current = 0 WHERE question = ?", (question_id,))
            return Pending(question_id, question, None, revision + 1)

        return await self._connection.run(write)

    async def answered(self, question_id: int, revision: int, answer: Answer) -> None:
        def write(db: sqlite3.Connection) -> None:
            cursor = db.execute(
                "UPDATE questions SET answer = ?, reference = ? WHERE id = ? AND revision = ? AND done_at IS NULL",
                (json.dumps(answer.to_json()), answer.reference, question_id, revision),
            )
            if not cursor.rowcount:
                raise Superseded

        await self._connection.run(write, durable=False)

    async def done(self, question_id: int, revision: int, *, keep: bool) -> None:
        def write(db: sqlite3.Connection) -> None:
            erased = "" if keep else f", {ERASED}"
            cursor = db.execute(
                f"UPDATE questions SET done_at = ?{erased} WHERE id = ? AND revision = ? AND done_at IS NULL",
                (clock.now(), question_id, revision),
            )
            if cursor.rowcount:
                db.execute("DELETE FROM parts WHERE question = ? AND NOT (current AND ?)", (question_id, keep))

        await self._connection.run(write, durable=False, erases=not keep)


def _pending(row: tuple[int, str, str | None, int]) -> Pending:
    return Pending(row[0], question_from(row[1]), answer_from(row[2]) if row[2] else None, row[3])


def _known(db: sqlite3.Connection, address: Address) -> bool:
    statements = (f"SELECT 1 FROM questions WHERE {condition}" for condition in (KEY, FINGERPRINTED))
    return any(db.execute(statement, address.key).fetchone() for statement in statements)
