"""The journal in one SQLite file: questions, answers, conversations, and the notes of the adapters.

It is apart from the index, whose long transactions would delay the acceptance of questions.

Only writes that can't be repeated wait for the disk: an accepted question, and the beginning of a part's sending, before
which the answer has been written. Other writes (an answer, which can be computed again; that a part has arrived, without
which it is sent once more and marked as repeated) survive a crash of the process at once, and a power failure from the next
such wait on.
"""

from pathlib import Path
from typing import Self

from bot.storage.sqlite.answers import SqliteAnswers
from bot.storage.sqlite.connection import Connection
from bot.storage.sqlite.conversations import SqliteConversations
from bot.storage.sqlite.entries import SqliteEntries
from bot.storage.sqlite.erasure import SqliteErasure
from bot.storage.sqlite.history import SqliteHistory
from bot.storage.sqlite.parts import SqliteParts
from bot.storage.sqlite.platforms import SqlitePlatforms
from bot.storage.sqlite.questions import SqliteQuestions
from bot.storage.sqlite.rows import ERASED, fingerprint

FILE = "journal.sqlite3"
MIGRATIONS = (
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
    """
    ALTER TABLE questions ADD COLUMN asked TEXT AS (iif(json_valid(question), json_extract(question, '$.text'), NULL));
    ALTER TABLE questions ADD COLUMN outcome TEXT AS (iif(json_valid(answer), json_extract(answer, '$.outcome'), NULL));
    ALTER TABLE questions ADD COLUMN confidence REAL AS (iif(json_valid(answer), json_extract(answer, '$.confidence'), NULL));
    CREATE INDEX questions_history ON questions (accepted_at, outcome, platform, chat, confidence, reference, asked)
        WHERE question IS NOT NULL;
    DROP INDEX questions_by_reference;
    CREATE INDEX questions_by_reference ON questions (reference, platform, confidence) WHERE reference IS NOT NULL;
    CREATE TABLE entries (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        question TEXT NOT NULL,
        answer TEXT NOT NULL,
        at REAL NOT NULL
    );
    """,
    f"""
    INSERT INTO notes VALUES ('journal', 'salt', hex(randomblob(32)));
    UPDATE questions SET {ERASED} WHERE question IS NULL;
    DROP INDEX questions_by_author;
    CREATE INDEX questions_by_author ON questions (platform, author) WHERE author IS NOT NULL;
    CREATE INDEX questions_by_outcome ON questions (outcome, id) WHERE question IS NOT NULL;
    CREATE INDEX feedback_not_helpful ON feedback (platform, reference) WHERE NOT helpful;
    """,
    """
    ALTER TABLE parts ADD COLUMN repeated INTEGER NOT NULL DEFAULT 0;  -- it may stand in another message too
    """,
    """
    CREATE TABLE citations (  -- the documents that each kept answer cites; the triggers keep it true
        document TEXT NOT NULL,
        question INTEGER NOT NULL,
        at REAL NOT NULL,
        PRIMARY KEY (document, question)
    ) WITHOUT ROWID;
    CREATE INDEX citations_by_question ON citations (question);
    INSERT OR IGNORE INTO citations SELECT json_extract(cited.value, '$.document'), questions.id, accepted_at
        FROM questions, json_each(iif(json_valid(answer), answer, '{}'), '$.citations') AS cited;
    CREATE TRIGGER answer_inserted AFTER INSERT ON questions WHEN NEW.answer IS NOT NULL BEGIN
        INSERT OR IGNORE INTO citations SELECT json_extract(cited.value, '$.document'), NEW.id, NEW.accepted_at
            FROM json_each(iif(json_valid(NEW.answer), NEW.answer, '{}'), '$.citations') AS cited;
    END;
    CREATE TRIGGER answer_changed AFTER UPDATE OF answer ON questions BEGIN
        DELETE FROM citations WHERE question = OLD.id;
        INSERT OR IGNORE INTO citations SELECT json_extract(cited.value, '$.document'), NEW.id, NEW.accepted_at
            FROM json_each(iif(json_valid(NEW.answer), NEW.answer, '{}'), '$.citations') AS cited;
    END;
    CREATE TRIGGER question_deleted AFTER DELETE ON questions BEGIN
        DELETE FROM citations WHERE question = OLD.id;
    END;
    """,
    """
    CREATE TABLE question_vectors (  -- of kept questions that were grouped by meaning; the triggers keep it true
        question INTEGER PRIMARY KEY,
        encoder TEXT NOT NULL,
        vector BLOB NOT NULL
    );
    CREATE TRIGGER question_changed AFTER UPDATE OF question ON questions BEGIN
        DELETE FROM question_vectors WHERE question = OLD.id;
    END;
    CREATE TRIGGER vector_deleted AFTER DELETE ON questions BEGIN
        DELETE FROM question_vectors WHERE question = OLD.id;
    END;
    """,
)


class SqliteJournal:
    """A Journal over `journal.sqlite3` in a folder, with a connection for its work and one to look back."""

    def __init__(self, connection: Connection, reader: Connection) -> None:
        self.questions = SqliteQuestions(connection)
        self.parts = SqliteParts(connection)
        self.answers = SqliteAnswers(connection)
        self.erasure = SqliteErasure(connection)
        self.conversations = SqliteConversations(connection)
        self.platforms = SqlitePlatforms(connection)
        self.history = SqliteHistory(reader)
        self.entries = SqliteEntries(connection)
        self._connection = connection
        self._reader = reader

    @classmethod
    async def open(cls, folder: Path) -> Self:
        """Open the journal of a folder, made anew if there is none. Raises StorageError."""
        connection = await Connection.open(folder / FILE, MIGRATIONS, functions={"fingerprint": fingerprint})
        return cls(connection, await Connection.open(folder / FILE, read_only=True))

    async def put_back(self) -> bool:
        was_deleted = await self._connection.put_back()
        if was_deleted:
            await self._reader.reopen()
        return was_deleted

    async def close(self) -> None:
        await self._reader.close()
        await self._connection.close()
