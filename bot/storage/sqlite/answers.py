"""Kept answers and feedback on them in SQLite."""

import json
import sqlite3
from collections.abc import Mapping, Sequence

from bot.core import clock
from bot.core.messages import Address, Answer, Outcome, Question
from bot.storage.base import Declined, Feedback, KeptAnswer
from bot.storage.sqlite.connection import Connection
from bot.storage.sqlite.rows import KEY, answer_from, each, question_from

_OF_OUTCOME = "FROM questions WHERE question IS NOT NULL AND outcome = ?"
# Two walks along the index by outcome, the latest first, each of which ends at its limit.
_DECLINED = (
    f"SELECT id FROM (SELECT id {_OF_OUTCOME} ORDER BY id DESC LIMIT ?) UNION "
    f"SELECT id FROM (SELECT id {_OF_OUTCOME} AND EXISTS (SELECT 1 FROM feedback WHERE NOT helpful "
    "AND feedback.platform = questions.platform AND feedback.reference = questions.reference) ORDER BY id DESC LIMIT ?) "
    "ORDER BY id DESC LIMIT ?"
)


class SqliteAnswers:
    """An AnswerStore over the connection of a journal."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def stored(self, platform: str, reference: str) -> KeptAnswer | None:
        return await self._connection.run(lambda db: _stored(db, platform, reference))

    async def asked(self, address: Address) -> tuple[Question, Answer | None] | None:
        def read(db: sqlite3.Connection) -> tuple[Question, Answer | None] | None:
            statement = f"SELECT question, answer FROM questions WHERE {KEY} AND question IS NOT NULL"
            rows = db.execute(statement, address.key)
            return next(each(rows, lambda row: (question_from(row[0]), answer_from(row[1]) if row[1] else None)), None)

        return await self._connection.run(read)

    async def answered_by(self, platform: str, message: str) -> Question | None:
        def read(db: sqlite3.Connection) -> Question | None:
            rows = db.execute(
                "SELECT questions.question FROM parts JOIN questions ON id = parts.question "
                "WHERE parts.message = ? AND platform = ? AND questions.question IS NOT NULL",
                (message, platform),
            )
            return next(each(rows, lambda row: question_from(row[0])), None)

        return await self._connection.run(read)

    async def declined(self, limit: int) -> list[Declined]:
        def read(db: sqlite3.Connection) -> list[Declined]:
            rows = db.execute(
                f"SELECT id, question, answer, accepted_at FROM questions WHERE id IN ({_DECLINED}) ORDER BY id DESC",
                (Outcome.DECLINED, limit, Outcome.SUGGESTED, limit, limit),
            )
            return list(each(rows, lambda row: Declined(row[0], question_from(row[1]), answer_from(row[2]), row[3])))

        return await self._connection.run(read)

    async def vectors(self, question_ids: Sequence[int], encoder: str) -> dict[int, bytes]:
        def read(db: sqlite3.Connection) -> dict[int, bytes]:
            statement = (
                "SELECT question, vector FROM question_vectors "
                "WHERE question IN (SELECT value FROM json_each(?)) AND encoder = ?"
            )
            return dict(db.execute(statement, (json.dumps(list(question_ids)), encoder)).fetchall())

        return await self._connection.run(read)

    async def keep_vectors(self, texts: Mapping[int, str], vectors: Mapping[int, bytes], encoder: str) -> None:
        rows = [
            (question_id, encoder, vector, question_id, texts[question_id]) for question_id, vector in vectors.items()
        ]
        statement = (
            "INSERT OR REPLACE INTO question_vectors SELECT ?, ?, ? "
            "WHERE EXISTS (SELECT 1 FROM questions WHERE id = ? AND asked = ?)"
        )
        await self._connection.run(lambda db: db.executemany(statement, rows).close(), durable=False)

    async def latest(self, platform: str, chat: str, limit: int) -> list[Question]:
        def read(db: sqlite3.Connection) -> list[Question]:
            rows = db.execute(
                "SELECT question FROM questions WHERE platform = ? AND (chat = ? OR ? = '') AND question IS NOT NULL "
                "ORDER BY id DESC LIMIT ?",
                (platform, chat, chat, limit),
            )
            return list(each(rows, lambda row: question_from(row[0])))

        return await self._connection.run(read)

    async def add_feedback(self, platform: str, reference: str, author: str, *, helpful: bool, reason: str) -> bool:
        def write(db: sqlite3.Connection) -> bool:
            cursor = db.execute(
                "INSERT OR REPLACE INTO feedback SELECT ?, ?, ?, ?, ?, ? "
                "WHERE EXISTS (SELECT 1 FROM questions WHERE platform = ? AND reference = ?)",
                (platform, reference, author, helpful, reason, clock.now(), platform, reference),
            )
            return cursor.rowcount > 0

        return await self._connection.run(write)

    async def feedback(self, limit: int) -> list[Feedback]:
        def read(db: sqlite3.Connection) -> list[Feedback]:
            rows = db.execute(
                "SELECT reference, platform, author, helpful, reason, at FROM feedback ORDER BY at DESC LIMIT ?",
                (limit,),
            ).fetchall()
            return [
                Feedback(reference, platform, author, bool(helpful), reason, at, _stored(db, platform, reference))
                for reference, platform, author, helpful, reason, at in rows
            ]

        return await self._connection.run(read)

    async def feedback_counts(self) -> tuple[int, int]:
        def read(db: sqlite3.Connection) -> tuple[int, int]:
            counts = dict(db.execute("SELECT helpful, count(*) FROM feedback GROUP BY helpful").fetchall())
            return counts.get(1, 0), counts.get(0, 0)

        return await self._connection.run(read)


def _stored(db: sqlite3.Connection, platform: str, reference: str) -> KeptAnswer | None:
    statement = "SELECT question, answer FROM questions WHERE platform = ? AND reference = ?"
    rows = db.execute(statement, (platform, reference))
    return next(each(rows, lambda row: KeptAnswer(question_from(row[0]), answer_from(row[1]))), None)
