"""Documents, passages and vectors in one SQLite file: FTS5 for BM25, float16 vectors of passages loaded into one matrix, int8
vectors of sentences read for the candidates of a search only.

One connection writes, another one searches. Each search checks whether the index has changed, by this process or another, and
if so loads the matrix again within the same snapshot.
"""

import sqlite3
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import structlog

from bot.core.documents import FoundPassage, Passage
from bot.core.errors import IndexUnavailable, StorageError
from bot.core.scopes import source_of
from bot.storage.base import (
    Candidates,
    FileReport,
    FileState,
    IndexedFile,
    IndexSummary,
    Scores,
    SearchQuery,
    StoredPassage,
)
from bot.storage.sqlite.candidates import MAKE_ANEW, Matrix, find_candidates, in_int8, load_matrix
from bot.storage.sqlite.connection import Connection, Transaction
from bot.storage.sqlite.passages import insert_file, read_all, read_files, read_passage, read_run, remove_files

FILE = "index.sqlite3"
T = TypeVar("T")
_log = structlog.stdlib.get_logger(__name__)
MIGRATIONS = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
    INSERT INTO meta VALUES ('generation', 0);
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        path TEXT NOT NULL UNIQUE,
        size INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL,
        content_hash TEXT NOT NULL,
        recipe TEXT NOT NULL,
        title TEXT,
        url TEXT,
        language TEXT,
        problem TEXT,
        warnings TEXT NOT NULL
    );
    -- Ids are never used again, so a reader can't take a new passage for an old one.
    CREATE TABLE passages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        document INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        heading TEXT NOT NULL,
        blocks TEXT NOT NULL,
        vector_key TEXT NOT NULL
    );
    CREATE INDEX passages_by_document ON passages (document, position);
    CREATE TABLE vectors (
        encoder TEXT NOT NULL,
        key TEXT NOT NULL,
        vector BLOB NOT NULL,
        PRIMARY KEY (encoder, key)
    ) WITHOUT ROWID;
    CREATE VIRTUAL TABLE words USING fts5 (title, heading, body, tokenize = "porter unicode61 remove_diacritics 2");
    """,
    # int8 [sentences, dimension]. Passages that an earlier version has embedded have none.
    "ALTER TABLE vectors ADD COLUMN sentences BLOB NOT NULL DEFAULT x'';",
)


class SqliteKnowledge:
    """A KnowledgeStore in the file `index.sqlite3` of a folder."""

    def __init__(self, writer: Connection, reader: Connection) -> None:
        self._writer = writer
        self._reader = reader
        self._matrix: Matrix | None = None  # used by the reader's thread only

    @classmethod
    async def open(cls, folder: Path) -> Self:
        """Open the index of a folder, and create it if it is missing. Raises StorageError."""
        file = folder / FILE
        writer = await Connection.open(file, MIGRATIONS)
        return cls(writer, await Connection.open(file, read_only=True))

    async def close(self) -> None:
        await self._reader.close()
        await self._writer.close()

    async def files(self) -> list[tuple[FileState, FileReport]]:
        return await _whole(self._writer, read_files)

    async def summary(self) -> IndexSummary:
        def read(db: sqlite3.Connection) -> IndexSummary:
            [documents] = db.execute("SELECT count(*) FROM documents WHERE problem IS NULL").fetchone()
            [passages] = db.execute("SELECT count(*) FROM passages").fetchone()
            return IndexSummary(documents, passages, _meta(db, "encoder"))

        return await self._writer.run(read)

    async def known_vectors(self, encoder: str, keys: Sequence[str]) -> set[str]:
        def read(db: sqlite3.Connection) -> set[str]:
            statement = "SELECT 1 FROM vectors WHERE encoder = ? AND key = ?"
            return {key for key in keys if db.execute(statement, (encoder, key)).fetchone()}

        return await self._writer.run(read)

    async def add_vectors(self, encoder: str, vectors: Mapping[str, Scores]) -> None:
        rows = [
            (encoder, key, whole.astype(np.float16).tobytes(), in_int8(sentences).tobytes())
            for key, (whole, *sentences) in vectors.items()
        ]

        def write(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)", rows)

        await self._writer.run(write)

    async def change(
        self,
        encoder: str,
        changed: Sequence[IndexedFile],
        removed: Sequence[str],
        touched: Sequence[FileState],
        *,
        keep_vectors: bool = False,
    ) -> None:
        def write(db: sqlite3.Connection) -> None:
            remove_files(db, [*removed, *(file.state.path for file in changed)])
            for file in changed:
                insert_file(db, file)
            db.executemany(
                "UPDATE documents SET size = ?, modified_ns = ? WHERE path = ?",
                [(state.size, state.modified_ns, state.path) for state in touched],
            )
            if changed or removed or _meta(db, "encoder") != encoder:
                db.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
            db.execute("INSERT OR REPLACE INTO meta VALUES ('encoder', ?)", (encoder,))
            if not keep_vectors:
                db.execute(
                    "DELETE FROM vectors WHERE encoder != ? OR key NOT IN (SELECT vector_key FROM passages)", (encoder,)
                )
            if db.execute("SELECT 1 FROM passages WHERE vector_key NOT IN (SELECT key FROM vectors)").fetchone():
                raise StorageError("Another indexing has changed the index at the same time. Run it once more.")

        await self._writer.run(write)

    async def candidates(
        self, encoder: str, queries: Sequence[SearchQuery], limit: int, hidden: Container[str] = frozenset()
    ) -> Candidates:
        return await _whole(self._reader, lambda db: self._candidates(db, encoder, queries, limit, hidden))

    async def passages_of(self, ids: Sequence[int], generation: int) -> list[FoundPassage] | None:
        def read(db: sqlite3.Connection) -> list[FoundPassage] | None:
            return [read_passage(db, id_) for id_ in ids] if _meta(db, "generation") == generation else None

        return await _whole(self._reader, read)

    async def titles(self, hidden: Container[str] = frozenset()) -> list[str]:
        def read(db: sqlite3.Connection) -> list[str]:
            rows = db.execute("SELECT path, title FROM documents WHERE problem IS NULL ORDER BY path")
            return list(dict.fromkeys(title for path, title in rows if source_of(path) not in hidden))

        return await self._reader.run(read)

    async def passages(self, document: str, first: int, last: int) -> list[Passage]:
        return await _whole(self._reader, lambda db: read_run(db, document, first, last))

    async def stored(self) -> list[StoredPassage]:
        return await _whole(self._reader, read_all)

    async def note(self, key: str) -> str | None:
        value = await self._reader.run(lambda db: _meta(db, f"note:{key}"))
        return None if value is None else str(value)

    async def set_note(self, key: str, value: str) -> None:
        await self._writer.run(
            lambda db: db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"note:{key}", value))
        )

    async def copy_to(self, folder: Path) -> None:
        await self._reader.back_up(folder / FILE)

    async def reclaim(self) -> int:
        return await self._writer.reclaim()

    def _candidates(
        self,
        db: sqlite3.Connection,
        encoder: str,
        queries: Sequence[SearchQuery],
        limit: int,
        hidden: Container[str],
    ) -> Candidates:
        matrix = self._current_matrix(db)
        if matrix.encoder != encoder:
            raise IndexUnavailable(
                f"The index was made by the encoder {matrix.encoder}, not by {encoder}. Make it again: knowledge-bot index"
            )
        return find_candidates(db, matrix, queries, limit, hidden)

    def _current_matrix(self, db: sqlite3.Connection) -> Matrix:
        generation = _meta(db, "generation")
        if not generation:
            raise IndexUnavailable("There is no index yet. Make one: knowledge-bot index")
        if self._matrix is None or self._matrix.generation != generation:
            self._matrix = load_matrix(db, generation, _meta(db, "encoder"))
        return self._matrix


async def _whole(connection: Connection, read: Transaction[T]) -> T:
    """Read rows of the index. Raises StorageError where one is damaged, of which SQLite knows nothing."""
    try:
        return await connection.run(read)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        _log.exception("an entry of the index can't be read")
        raise StorageError(f"An entry of the index is damaged ({type(error).__name__}): {MAKE_ANEW}") from error


def _meta(db: sqlite3.Connection, key: str) -> Any:
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return row[0] if row else None
