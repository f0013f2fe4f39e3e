"""What the house needs kept, as protocols small enough for another database to stand behind them.

Two stores, because they differ in worth: knowledge can be made again from the documents, the journal can't. All methods
are coroutines, may be called from any task, and raise StorageError where the database can't do what was asked.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bot.documents import Document, FoundPassage, Passage
from bot.messages import Answer, Question, Turn

Scores = npt.NDArray[np.float32]

# --- knowledge --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileState:
    """What tells whether a file has changed. `recipe` names how it was cut into passages."""

    path: str
    size: int  # bytes
    modified_ns: int
    content_hash: str
    recipe: str


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file: its passages, or the `problem` that left it without any."""

    path: str
    passages: int
    problem: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """One file as the index has it, also when it could not be read (`document` is None then, `problem` says why)."""

    state: FileState
    document: Document | None
    passages: tuple[Passage, ...]
    vector_keys: tuple[str, ...]  # one a passage: the hash of its embedded text
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class IndexSummary:
    documents: int
    passages: int
    encoder: str | None  # the identity of the encoder that made the vectors; None before the first index


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A passage as the index keeps it."""

    document: str
    title: str
    language: str | None
    passage: Passage


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """One wording of a question: its unit vector, and its words for the keyword index."""

    vector: Scores  # float32 [dimension]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage found. `score` is what it was ranked by; `cosines` has one entry a query."""

    found: FoundPassage
    score: float
    cosines: tuple[float, ...]


Rank = Callable[[Scores, Scores], Scores]
"""(cosine [queries, candidates], BM25 [queries, candidates], 0 where no word is shared) -> score [candidates]."""


class KnowledgeStore(Protocol):
    """Documents, passages and vectors. A search sees the index before a change or after it, never half of one."""

    async def files(self) -> list[tuple[FileState, FileReport]]:
        """Every file that the index knows, by path."""

    async def summary(self) -> IndexSummary: ...

    async def known_vectors(self, encoder: str, keys: Sequence[str]) -> set[str]:
        """Those of the keys for which a vector of this encoder is stored already."""

    async def add_vectors(self, encoder: str, vectors: Mapping[str, Scores]) -> None:
        """Store vectors ahead of the change that will use them, so that an interrupted indexing resumes."""

    async def change(
        self,
        encoder: str,
        changed: Sequence[IndexedFile],
        removed: Sequence[str],
        touched: Sequence[FileState],
        *,
        keep_vectors: bool = False,
    ) -> None:
        """Put files in, replacing what stood under their paths, take paths out, and note new sizes and times of files
        whose content is the same, all in one transaction. Vectors that nothing uses any more are dropped, unless a further
        change is about to need them (`keep_vectors`)."""

    async def search(
        self, encoder: str, queries: Sequence[SearchQuery], rank: Rank, limit: int, candidates: int
    ) -> list[Hit]:
        """The best `limit` passages, best first, ranked over the best `candidates` by cosine and by BM25 of each query.

        Raises IndexUnavailable where there is no index, or one made by another encoder.
        """

    async def passages(self, document: str, first: int, last: int) -> list[Passage]:
        """The passages of a document at the places `first` to `last`, both included, in order."""

    async def stored(self) -> list[StoredPassage]:
        """Every passage of the index, in the order of documents and places."""

    async def noted(self, key: str) -> str | None:
        """What was noted under a key, about the index as a whole."""

    async def note(self, key: str, value: str) -> None: ...

    async def close(self) -> None: ...


# --- journal ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pending:
    """An accepted question that is not delivered yet, with its answer where the engine was done already."""

    id: int
    question: Question
    answer: Answer | None


@dataclass(frozen=True, slots=True)
class PartState:
    """A part of an answer whose sending has begun: acknowledged with the platform's `message`, or in doubt (None)."""

    message: str | None


class Journal(Protocol):
    """Every accepted question until its answer is delivered. Durable: what a method has returned from survives a crash."""

    async def accept(self, question: Question) -> int | None:
        """The new entry's id, or None where this message was accepted before."""

    async def pending(self) -> list[Pending]:
        """What a crash or a stop has left undone, oldest first."""

    async def answered(self, entry: int, answer: Answer) -> None:
        """The engine is done; what is left is the delivery."""

    async def part(self, entry: int, part: int) -> PartState | None:
        """What is known of a part, or None where its sending has not begun."""

    async def part_begins(self, entry: int, part: int) -> None: ...

    async def part_sent(self, entry: int, part: int, message: str) -> None: ...

    async def done(self, entry: int) -> None:
        """Delivered, or given up for good: only the message's key is kept, the texts are erased."""

    async def close(self) -> None: ...


class ConversationStore(Protocol):
    """What was said before, for follow-up questions."""

    async def turns(self, conversation: str, *, newer_than: float, limit: int) -> list[Turn]:
        """The last `limit` turns since `newer_than` (seconds since the epoch), oldest first."""

    async def add_turn(self, conversation: str, turn: Turn, at: float) -> None: ...

    async def forget(self, conversation: str) -> None: ...

    async def forget_older(self, than: float) -> None: ...
