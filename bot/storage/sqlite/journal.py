"""The journal, the conversations and what adapters need kept, in one SQLite file. Small, precious, and apart from the
index, whose long transactions would otherwise hold up the acceptance of questions.

Only what can't be had again waits for the disk: an accepted question, and that the sending of a part begins, before which the
answer has been written. What else is written (an answer, which can be computed again; that a part has arrived, without which it
is sent once more and says so) survives a crash of the process at once, and a power failure from the next such wait on.
"""

import json
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from bot.core.messages import Address, Answer, Outcome, Policy, Question, Superseded, Turn
from bot.storage.base import Declined, Feedback, Forgotten, PartState, Pending, Stored
from bot.storage.sqlite.connection import Connection

FILE = "journal.sqlite3"
_MIGRATIONS = (
    """
    CREATE TABLE questions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        platform TEXT NOT NULL,
        chat TEXT NOT NULL,
        message TEXT NOT NULL,
        accepted_at REAL NOT NULL,
        question TEXT,  -- NULL: erased
        answer TEXT,  -- NULL: not answered yet, or erased
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
    """
    ALTER TABLE questions ADD COLUMN author TEXT;  -- NULL: erased
    ALTER TABLE questions ADD COLUMN reference TEXT;  -- of the answer, as long as that is there
    ALTER TABLE questions ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE questions ADD COLUMN done_at REAL;  -- NULL: not delivered yet
    UPDATE questions SET done_at = accepted_at WHERE question IS NULL;
    UPDATE questions SET author = json_extract(question, '$.author') WHERE question IS NOT NULL;
    UPDATE questions SET reference = json_extract(answer, '$.reference') WHERE answer IS NOT NULL;
    DROP INDEX questions_pending;
    CREATE INDEX questions_pending ON questions (id) WHERE done_at IS NULL;
    CREATE INDEX questions_kept ON questions (done_at) WHERE question IS NOT NULL;
    CREATE INDEX questions_by_reference ON questions (reference) WHERE reference IS NOT NULL;
    CREATE INDEX questions_by_author ON questions (author) WHERE author IS NOT NULL;
    ALTER TABLE parts ADD COLUMN current INTEGER NOT NULL DEFAULT 1;
    CREATE INDEX parts_by_message ON parts (message);
    ALTER TABLE turns ADD COLUMN author TEXT;
    ALTER TABLE turns ADD COLUMN platform TEXT;
    ALTER TABLE turns ADD COLUMN chat TEXT;
    ALTER TABLE turns ADD COLUMN message TEXT;
    CREATE UNIQUE INDEX turns_by_question ON turns (platform, chat, message);
    CREATE INDEX turns_by_author ON turns (platform, author);
    CREATE TABLE feedback (
        platform TEXT NOT NULL,
        reference TEXT NOT NULL,
        author TEXT NOT NULL,
        helpful INTEGER NOT NULL,
        reason TEXT NOT NULL,
        at REAL NOT NULL,
        PRIMARY KEY (platform, reference, author)
    ) WITHOUT ROWID;
    CREATE TABLE policies (
        platform TEXT NOT NULL,
        chat TEXT NOT NULL,
        policy TEXT NOT NULL,
        PRIMARY KEY (platform, chat)
    ) WITHOUT ROWID;
    CREATE TABLE notes (
        platform TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (platform, key)
    ) WITHOUT ROWID;
    """,
)
_KEY = "platform = ? AND chat = ? AND message = ?"
_ERASED = "question = NULL, answer = NULL, author = NULL, reference = NULL"


class SqliteJournal:
    """A Journal, a ConversationStore and a PlatformStore in the file `journal.sqlite3` of a folder."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, folder: Path) -> Self:
        return cls(await Connection.open(folder / FILE, _MIGRATIONS))

    async def close(self) -> None:
        await self._connection.close()

    async def in_doubt(self) -> int:
        def read(db: sqlite3.Connection) -> int:
            statement = (
                "SELECT count(*) FROM parts JOIN questions ON id = parts.question "
                "WHERE parts.message IS NULL AND done_at IS NULL"
            )
            return int(db.execute(statement).fetchone()[0])

        return await self._connection.run(read)

    async def reclaim(self) -> int:
        return await self._connection.reclaim()

    # --- questions

    async def known(self, address: Address) -> bool:
        def read(db: sqlite3.Connection) -> bool:
            return db.execute(f"SELECT 1 FROM questions WHERE {_KEY}", address.key).fetchone() is not None

        return await self._connection.run(read)

    async def accept(self, question: Question) -> int | None:
        row = (*question.address.key, time.time(), json.dumps(question.to_json()), question.author)

        def write(db: sqlite3.Connection) -> int | None:
            cursor = db.execute(
                "INSERT INTO questions (platform, chat, message, accepted_at, question, author) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                row,
            )
            return cursor.lastrowid if cursor.rowcount else None

        return await self._connection.run(write)

    async def pending(self) -> list[Pending]:
        def read(db: sqlite3.Connection) -> list[Pending]:
            rows = db.execute(
                "SELECT id, question, answer, revision FROM questions WHERE done_at IS NULL ORDER BY id"
            ).fetchall()
            return [Pending(row[0], _question(row[1]), _answer(row[2]) if row[2] else None, row[3]) for row in rows]

        return await self._connection.run(read)

    async def revise(self, question: Question) -> Pending | None:
        def write(db: sqlite3.Connection) -> Pending | None:
            row = db.execute(
                f"SELECT id, question, revision FROM questions WHERE {_KEY} AND question IS NOT NULL",
                question.address.key,
            ).fetchone()
            if row is None or _question(row[1]).text == question.text:
                return None
            entry, _, revision = row
            db.execute(
                "UPDATE questions SET question = ?, answer = NULL, reference = NULL, revision = ?, done_at = NULL "
                "WHERE id = ?",
                (json.dumps(question.to_json()), revision + 1, entry),
            )
            db.execute("UPDATE parts SET current = 0 WHERE question = ?", (entry,))
            return Pending(entry, question, None, revision + 1)

        return await self._connection.run(write)

    async def withdraw(self, address: Address) -> int | None:
        def write(db: sqlite3.Connection) -> int | None:
            row = db.execute(f"SELECT id, reference FROM questions WHERE {_KEY}", address.key).fetchone()
            if row is None:
                return None
            entry, reference = row
            db.execute(
                f"UPDATE questions SET {_ERASED}, revision = revision + 1, done_at = coalesce(done_at, ?) WHERE id = ?",
                (time.time(), entry),
            )
            db.execute(f"DELETE FROM turns WHERE {_KEY}", address.key)
            db.execute("DELETE FROM feedback WHERE platform = ? AND reference = ?", (address.platform, reference))
            return int(entry)

        return await self._connection.run(write)

    async def take_parts(self, entry: int) -> list[str]:
        def write(db: sqlite3.Connection) -> list[str]:
            messages = db.execute("DELETE FROM parts WHERE question = ? RETURNING part, message", (entry,)).fetchall()
            key = db.execute("SELECT platform, chat, message FROM questions WHERE id = ?", (entry,)).fetchone()
            db.execute(f"DELETE FROM turns WHERE {_KEY}", key)  # the engine may have been quicker than the withdrawal
            return [message for _, message in sorted(messages) if message is not None]

        return await self._connection.run(write)

    async def answered(self, entry: int, revision: int, answer: Answer) -> None:
        def write(db: sqlite3.Connection) -> None:
            cursor = db.execute(
                "UPDATE questions SET answer = ?, reference = ? WHERE id = ? AND revision = ? AND done_at IS NULL",
                (json.dumps(answer.to_json()), answer.reference, entry, revision),
            )
            if not cursor.rowcount:
                raise Superseded

        await self._connection.run(write, durable=False)

    async def done(self, entry: int, revision: int, *, keep: bool) -> None:
        def write(db: sqlite3.Connection) -> None:
            erased = "" if keep else f", {_ERASED}"
            cursor = db.execute(
                f"UPDATE questions SET done_at = ?{erased} WHERE id = ? AND revision = ? AND done_at IS NULL",
                (time.time(), entry, revision),
            )
            if cursor.rowcount:
                db.execute("DELETE FROM parts WHERE question = ? AND NOT (current AND ?)", (entry, keep))

        await self._connection.run(write, durable=False)

    async def erase_older(self, than: float, *, keys_older_than: float) -> None:
        def write(db: sqlite3.Connection) -> None:
            db.execute(
                "DELETE FROM parts WHERE question IN (SELECT id FROM questions WHERE question IS NOT NULL AND done_at <= ?)",
                (than,),
            )
            db.execute(f"UPDATE questions SET {_ERASED} WHERE question IS NOT NULL AND done_at <= ?", (than,))
            db.execute("DELETE FROM feedback WHERE at <= ?", (than,))
            db.execute("DELETE FROM questions WHERE question IS NULL AND done_at <= ?", (keys_older_than,))

        await self._connection.run(write)

    async def stored(self, platform: str, reference: str) -> Stored | None:
        return await self._connection.run(lambda db: _stored(db, platform, reference))

    async def asked(self, address: Address) -> tuple[Question, Answer | None] | None:
        def read(db: sqlite3.Connection) -> tuple[Question, Answer | None] | None:
            statement = f"SELECT question, answer FROM questions WHERE {_KEY} AND question IS NOT NULL"
            row = db.execute(statement, address.key).fetchone()
            return (_question(row[0]), _answer(row[1]) if row[1] else None) if row else None

        return await self._connection.run(read)

    async def declined(self, limit: int) -> list[Declined]:
        def read(db: sqlite3.Connection) -> list[Declined]:
            rows = db.execute(
                "SELECT question, answer, accepted_at FROM questions WHERE question IS NOT NULL "
                "AND json_extract(answer, '$.outcome') = ? ORDER BY id DESC LIMIT ?",
                (Outcome.DECLINED, limit),
            ).fetchall()
            return [Declined(_question(row[0]), _answer(row[1]), row[2]) for row in rows]

        return await self._connection.run(read)

    async def answered_by(self, platform: str, message: str) -> Question | None:
        def read(db: sqlite3.Connection) -> Question | None:
            row = db.execute(
                "SELECT questions.question FROM parts JOIN questions ON id = parts.question "
                "WHERE parts.message = ? AND platform = ? AND questions.question IS NOT NULL",
                (message, platform),
            ).fetchone()
            return _question(row[0]) if row else None

        return await self._connection.run(read)

    # --- parts

    async def placed(self, address: Address, message: str) -> None:
        await self._write(
            "INSERT INTO parts SELECT id, 0, ?, 0 FROM questions "
            f"WHERE {_KEY} AND done_at IS NULL ON CONFLICT DO NOTHING",
            message,
            *address.key,
        )

    async def place(self, address: Address) -> str | None:
        def read(db: sqlite3.Connection) -> str | None:
            statement = (
                f"SELECT message FROM parts WHERE part = 0 AND question = (SELECT id FROM questions WHERE {_KEY})"
            )
            row = db.execute(statement, address.key).fetchone()
            return row[0] if row else None

        return await self._connection.run(read)

    async def part_begins(self, entry: int, revision: int, part: int) -> PartState | None:
        def write(db: sqlite3.Connection) -> PartState | None:
            if not db.execute("SELECT 1 FROM questions WHERE id = ? AND revision = ?", (entry, revision)).fetchone():
                raise Superseded
            statement = "SELECT message, current FROM parts WHERE question = ? AND part = ?"
            row = db.execute(statement, (entry, part)).fetchone()
            if row is None:
                db.execute("INSERT INTO parts VALUES (?, ?, NULL, 0)", (entry, part))
                return None
            return PartState(row[0], bool(row[1]) and row[0] is not None)

        return await self._connection.run(write)

    async def part_unsent(self, entry: int, part: int) -> None:
        await self._write("DELETE FROM parts WHERE question = ? AND part = ? AND message IS NULL", entry, part)

    async def part_sent(self, entry: int, revision: int, part: int, message: str) -> None:
        await self._write(
            "UPDATE parts SET message = ?, current = (SELECT revision = ? FROM questions WHERE id = ?) "
            "WHERE question = ? AND part = ?",
            message,
            revision,
            entry,
            entry,
            part,
            durable=False,
        )

    async def left_over(self, entry: int, parts: int) -> list[str]:
        def read(db: sqlite3.Connection) -> list[str]:
            statement = (
                "SELECT message FROM parts WHERE question = ? AND part >= ? AND message IS NOT NULL ORDER BY part"
            )
            return [message for (message,) in db.execute(statement, (entry, parts))]

        return await self._connection.run(read)

    # --- feedback and forgetting

    async def add_feedback(self, platform: str, reference: str, author: str, *, helpful: bool, reason: str) -> bool:
        def write(db: sqlite3.Connection) -> bool:
            cursor = db.execute(
                "INSERT OR REPLACE INTO feedback SELECT ?, ?, ?, ?, ?, ? "
                "WHERE EXISTS (SELECT 1 FROM questions WHERE platform = ? AND reference = ?)",
                (platform, reference, author, helpful, reason, time.time(), platform, reference),
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

    async def forget_author(self, platform: str, author: str) -> Forgotten:
        def write(db: sqlite3.Connection) -> Forgotten:
            whose = (platform, author)
            db.execute(
                "DELETE FROM parts WHERE question IN (SELECT id FROM questions WHERE platform = ? AND author = ?)",
                whose,
            )
            questions = db.execute(
                f"UPDATE questions SET {_ERASED}, revision = revision + 1, done_at = coalesce(done_at, accepted_at) "
                "WHERE platform = ? AND author = ?",
                whose,
            )
            turns = db.execute("DELETE FROM turns WHERE platform = ? AND author = ?", whose)
            feedback = db.execute("DELETE FROM feedback WHERE platform = ? AND author = ?", whose)
            return Forgotten(questions.rowcount, turns.rowcount, feedback.rowcount)

        return await self._connection.run(write)

    # --- ConversationStore

    async def turns(self, conversation: str, *, newer_than: float, limit: int) -> list[Turn]:
        def read(db: sqlite3.Connection) -> list[Turn]:
            rows = db.execute(
                "SELECT question, answer FROM turns WHERE conversation = ? AND at > ? ORDER BY id DESC LIMIT ?",
                (conversation, newer_than, limit),
            ).fetchall()
            return [Turn(question, answer) for question, answer in reversed(rows)]

        return await self._connection.run(read)

    async def add_turn(self, conversation: str, turn: Turn, at: float, asked: Question | None = None) -> None:
        await self._write(
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
        await self._write("DELETE FROM turns WHERE conversation = ?", conversation)

    async def forget_older(self, than: float) -> None:
        await self._write("DELETE FROM turns WHERE at <= ?", than)

    # --- PlatformStore

    async def policy(self, platform: str, chats: Sequence[str]) -> Policy | None:
        def read(db: sqlite3.Connection) -> Policy | None:
            for chat in chats:
                statement = "SELECT policy FROM policies WHERE platform = ? AND chat = ?"
                if row := db.execute(statement, (platform, chat)).fetchone():
                    return Policy(row[0])
            return None

        return await self._connection.run(read)

    async def policies(self, platform: str) -> dict[str, Policy]:
        def read(db: sqlite3.Connection) -> dict[str, Policy]:
            rows = db.execute("SELECT chat, policy FROM policies WHERE platform = ? ORDER BY chat", (platform,))
            return {chat: Policy(policy) for chat, policy in rows}

        return await self._connection.run(read)

    async def set_policy(self, platform: str, chat: str, policy: Policy | None) -> None:
        if policy is None:
            await self._write("DELETE FROM policies WHERE platform = ? AND chat = ?", platform, chat)
        else:
            await self._write("INSERT OR REPLACE INTO policies VALUES (?, ?, ?)", platform, chat, policy.value)

    async def move_chat(self, platform: str, old: str, new: str) -> None:
        await self._write("UPDATE OR REPLACE policies SET chat = ? WHERE platform = ? AND chat = ?", new, platform, old)

    async def note(self, platform: str, key: str) -> str | None:
        def read(db: sqlite3.Connection) -> str | None:
            row = db.execute("SELECT value FROM notes WHERE platform = ? AND key = ?", (platform, key)).fetchone()
            return row[0] if row else None

        return await self._connection.run(read)

    async def set_note(self, platform: str, key: str, value: str | None) -> None:
        if value is None:
            await self._write("DELETE FROM notes WHERE platform = ? AND key = ?", platform, key)
        else:
            await self._write("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", platform, key, value)

    async def _write(self, statement: str, *values: object, durable: bool = True) -> None:
        await self._connection.run(lambda db: db.execute(statement, values).close(), durable=durable)


def _question(text: str) -> Question:
    return Question.from_json(json.loads(text))


def _answer(text: str) -> Answer:
    return Answer.from_json(json.loads(text))


def _stored(db: sqlite3.Connection, platform: str, reference: str) -> Stored | None:
    statement = "SELECT question, answer FROM questions WHERE platform = ? AND reference = ?"
    row = db.execute(statement, (platform, reference)).fetchone()
    return Stored(_question(row[0]), _answer(row[1])) if row else None
