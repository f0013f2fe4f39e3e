"""The journal in one SQLite file: questions, answers, conversations, and what the adapters keep.

It is apart from the index, whose long transactions would delay the acceptance of questions.

Only what can't be made again waits for the disk: an accepted question, and the beginning of a part's sending, before which the
answer has been written. Other writes (an answer, which can be computed again; that a part has arrived, without which it is sent
once more and marked as repeated) survive a crash of the process at once, and a power failure from the next such wait on.
"""

from pathlib import Path
from typing import Self

from bot.storage.sqlite.answers import SqliteAnswers
from bot.storage.sqlite.connection import Connection
from bot.storage.sqlite.conversations import SqliteConversations
from bot.storage.sqlite.erasure import SqliteErasure
from bot.storage.sqlite.parts import SqliteParts
from bot.storage.sqlite.platforms import SqlitePlatforms
from bot.storage.sqlite.questions import SqliteQuestions

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
)


class SqliteJournal:
    """The stores of the journal over one connection to `journal.sqlite3` in a folder.

    Each store is an attribute. Their methods are attributes too, so that the journal as a whole is a Journal, a
    ConversationStore and a PlatformStore for callers that need several of them.
    """

    def __init__(self, connection: Connection) -> None:
        self.close = connection.close
        self.questions = questions = SqliteQuestions(connection)
        self.parts = parts = SqliteParts(connection)
        self.answers = answers = SqliteAnswers(connection)
        self.erasure = erasure = SqliteErasure(connection)
        self.conversations = conversations = SqliteConversations(connection)
        self.platforms = platforms = SqlitePlatforms(connection)
        self.known = questions.known
        self.accept = questions.accept
        self.pending = questions.pending
        self.revise = questions.revise
        self.answered = questions.answered
        self.done = questions.done
        self.placed = parts.placed
        self.place = parts.place
        self.part_begins = parts.part_begins
        self.part_unsent = parts.part_unsent
        self.part_sent = parts.part_sent
        self.left_over = parts.left_over
        self.in_doubt = parts.in_doubt
        self.stored = answers.stored
        self.asked = answers.asked
        self.answered_by = answers.answered_by
        self.declined = answers.declined
        self.add_feedback = answers.add_feedback
        self.feedback = answers.feedback
        self.feedback_counts = answers.feedback_counts
        self.withdraw = erasure.withdraw
        self.take_parts = erasure.take_parts
        self.forget_author = erasure.forget_author
        self.erase_older = erasure.erase_older
        self.reclaim = erasure.reclaim
        self.turns = conversations.turns
        self.add_turn = conversations.add_turn
        self.forget = conversations.forget
        self.forget_older = conversations.forget_older
        self.policy = platforms.policy
        self.policies = platforms.policies
        self.set_policy = platforms.set_policy
        self.move_chat = platforms.move_chat
        self.note = platforms.note
        self.set_note = platforms.set_note

    @classmethod
    async def open(cls, folder: Path) -> Self:
        """Open the journal of a folder, made anew if there is none. Raises StorageError."""
        return cls(await Connection.open(folder / FILE, MIGRATIONS))
