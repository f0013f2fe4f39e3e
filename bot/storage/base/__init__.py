"""The protocols of the stores and the types of their records, small enough for another database to stand behind them.

`knowledge` is the index, which can be made again from the documents. `journal` is the record of questions, which can't. All
methods are coroutines, may be called from any task, and raise StorageError when the database fails.
"""

from bot.storage.base.history import (
    Cited,
    Confidence,
    Cursor,
    Entry,
    EntryStore,
    HistoryFilter,
    HistoryStore,
    KeptQuestion,
    Rating,
)
from bot.storage.base.journal import (
    AnswerStore,
    ConversationStore,
    Declined,
    Erasure,
    Feedback,
    Forgotten,
    Journal,
    KeptAnswer,
    PartState,
    PartStore,
    Pending,
    PlatformStore,
    QuestionStore,
)
from bot.storage.base.knowledge import (
    Candidates,
    FileReport,
    FileState,
    Hit,
    IndexedFile,
    IndexSummary,
    KnowledgeStore,
    Scores,
    SearchQuery,
    StoredPassage,
)

GENERATORS = "generators"
"""The folder in the data folder that holds the tuned models and the record of which of them is active."""

__all__ = [
    "GENERATORS",
    "AnswerStore",
    "Candidates",
    "Cited",
    "Confidence",
    "ConversationStore",
    "Cursor",
    "Declined",
    "Entry",
    "EntryStore",
    "Erasure",
    "Feedback",
    "FileReport",
    "FileState",
    "Forgotten",
    "HistoryFilter",
    "HistoryStore",
    "Hit",
    "IndexSummary",
    "IndexedFile",
    "Journal",
    "KeptAnswer",
    "KeptQuestion",
    "KnowledgeStore",
    "PartState",
    "PartStore",
    "Pending",
    "PlatformStore",
    "QuestionStore",
    "Rating",
    "Scores",
    "SearchQuery",
    "StoredPassage",
]
