"""The store of the index: files, documents, passages, and their vectors."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from bot.core.documents import Document, FoundPassage, Passage

if TYPE_CHECKING:  # commands that need no arrays start without it
    import numpy as np
    import numpy.typing as npt

Scores: TypeAlias = "npt.NDArray[np.float32]"


@dataclass(frozen=True, slots=True)
class FileState:
    """The properties by which a changed file is recognised. `recipe` names how it was cut into passages."""

    path: str
    size: int  # bytes
    modified_ns: int
    content_hash: str
    recipe: str


@dataclass(frozen=True, slots=True)
class FileReport:
    """The result of indexing one file: the number of its passages, or the `problem` because of which it has none."""

    path: str
    passages: int
    problem: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """One file as it goes into the index. A file that could not be read has no `document`, but a `problem`."""

    state: FileState
    document: Document | None
    passages: tuple[Passage, ...]
    vector_keys: tuple[str, ...]  # one a passage: the hash of its embedded text
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class IndexSummary:
    """The size of the index, and the identity of the encoder that made its vectors (None before the first index)."""

    documents: int
    passages: int
    encoder: str | None


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A passage of the index with its document's path, title and language."""

    document: str
    title: str
    language: str | None
    passage: Passage


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """One query variant: its unit vector, and its words for the keyword index."""

    vector: Scores  # float32 [dimension]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The passages that are among the best for any query by cosine or by BM25, in no order of rank.

    Column n of each kind of score belongs to the passage `ids[n]`. All of it is from one `generation` of the index.
    """

    generation: int
    ids: "npt.NDArray[np.int64]"  # [candidates], ascending
    cosines: Scores  # float32 [queries, candidates]
    sentences: Scores  # float32 [queries, candidates]: the best cosine of a single sentence, item or row of the passage
    bm25: Scores  # float32 [queries, candidates]; higher is better, 0 if no word is shared


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found. Hits are ranked by `score`; `cosines` has one entry per query."""

    found: FoundPassage
    score: float
    cosines: tuple[float, ...]


class KnowledgeStore(Protocol):
    """Documents, passages and vectors. A read sees the index before a change or after it, never half of one."""

    async def files(self) -> list[tuple[FileState, FileReport]]:
        """Return every file of the index, by path."""

    async def summary(self) -> IndexSummary:
        """Return the size of the index and the identity of its encoder."""

    async def known_vectors(self, encoder: str, keys: Sequence[str]) -> set[str]:
        """Return those of the keys under which a vector of this encoder is stored."""

    async def add_vectors(self, encoder: str, vectors: Mapping[str, Scores]) -> None:
        """Store vectors ahead of the change that will use them, so that an interrupted indexing resumes.

        Under each key: float32 [1 + sentences, dimension], first the vector of the whole passage, then those of its sentences.
        """

    async def change(
        self,
        encoder: str,
        changed: Sequence[IndexedFile],
        removed: Sequence[str],
        touched: Sequence[FileState],
        *,
        keep_vectors: bool = False,
    ) -> None:
        """Change the index in one transaction.

        `changed` files replace those with the same paths, the paths in `removed` are removed, and of `touched` files only
        size and time are updated. Unused vectors are dropped, unless `keep_vectors` keeps them for a following change.
        """

    async def candidates(
        self, encoder: str, queries: Sequence[SearchQuery], limit: int, hidden: Container[str] = frozenset()
    ) -> Candidates:
        """Return the best `limit` passages by cosine and the best `limit` by BM25 for each query, with all their scores.

        Passages of documents from the sources in `hidden` are excluded.
        Raises IndexUnavailable if there is no index, or one that another encoder made.
        """

    async def passages_of(self, ids: Sequence[int], generation: int) -> list[FoundPassage] | None:
        """Return the passages with these ids, in the order of the ids.

        Returns None if the index isn't of this generation any more: ask for the candidates again.
        """

    async def titles(self, hidden: Container[str] = frozenset()) -> list[str]:
        """Return the titles of the documents, by their paths, each once, without those from sources with the names
        `hidden`."""

    async def passages(self, document: str, first: int, last: int) -> list[Passage]:
        """Return the passages of a document at the places `first` to `last`, both included, in order."""

    async def stored(self) -> list[StoredPassage]:
        """Return every passage of the index, in the order of documents and places."""

    async def note(self, key: str) -> str | None:
        """Return the note about the whole index under a key, or None."""

    async def set_note(self, key: str, value: str) -> None:
        """Store a note about the whole index under a key."""

    async def copy_to(self, folder: Path) -> None:
        """Write a copy of the index into a folder, where it can be opened as another one."""

    async def reclaim(self) -> int:
        """Return a part of the erased space to the disk. Returns the number of bytes, 0 if none is left to return."""

    async def close(self) -> None:
        """Close the database. Closing twice does nothing."""
