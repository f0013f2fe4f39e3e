"""Documents, passages and vectors in one SQLite file: FTS5 for BM25, float16 vectors loaded into one matrix.

One connection writes, another one searches. The searching one notices at each search whether the index has changed, by
this process or another, and then loads the matrix again within the same snapshot.
"""

import dataclasses
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from bot.core.documents import Block, Form, FoundPassage, Locator, Passage
from bot.core.errors import IndexUnavailable, StorageError
from bot.storage.base import (
    FileReport,
    FileState,
    Hit,
    IndexedFile,
    IndexSummary,
    Rank,
    Scores,
    SearchQuery,
    StoredPassage,
)
from bot.storage.sqlite.connection import Connection

FILE = "index.sqlite3"
_MIGRATIONS = (
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
)
_NO_INDEX = "There is no index yet. Make one: knowledge-bot index"


@dataclasses.dataclass(frozen=True, slots=True)
class _Matrix:
    """The vectors of one generation of the index. Row n belongs to the passage with the id `ids[n]`; ids ascend."""

    generation: int
    encoder: str
    ids: npt.NDArray[np.int64]
    vectors: Scores  # float32 [passages, dimension]: half the bytes would take ten times as long to multiply


class SqliteKnowledge:
    """A KnowledgeStore in the file `index.sqlite3` of a folder."""

    def __init__(self, writer: Connection, reader: Connection) -> None:
        self._writer = writer
        self._reader = reader
        self._matrix: _Matrix | None = None  # touched by the reader's thread only

    @classmethod
    async def open(cls, folder: Path) -> Self:
        file = folder / FILE
        writer = await Connection.open(file, _MIGRATIONS)
        return cls(writer, await Connection.open(file, read_only=True))

    async def close(self) -> None:
        await self._reader.close()
        await self._writer.close()

    async def files(self) -> list[tuple[FileState, FileReport]]:
        return await self._writer.run(_files)

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
        rows = [(encoder, key, vector.astype(np.float16).tobytes()) for key, vector in vectors.items()]

        def write(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)

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
            _remove(db, [*removed, *(file.state.path for file in changed)])
            for file in changed:
                _insert(db, file)
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

    async def search(
        self, encoder: str, queries: Sequence[SearchQuery], rank: Rank, limit: int, candidates: int
    ) -> list[Hit]:
        def read(db: sqlite3.Connection) -> list[Hit]:
            matrix = self._current_matrix(db)
            if matrix.encoder != encoder:
                raise IndexUnavailable(
                    f"The index was made by the encoder {matrix.encoder}, not by {encoder}. Make it again: knowledge-bot index"
                )
            return _search(db, matrix, queries, rank, limit, candidates)

        return await self._reader.run(read)

    async def passages(self, document: str, first: int, last: int) -> list[Passage]:
        def read(db: sqlite3.Connection) -> list[Passage]:
            statement = f"{_PASSAGES} WHERE path = ? AND position BETWEEN ? AND ? ORDER BY position"
            return [_passage(row[4:]) for row in db.execute(statement, (document, first, last))]

        return await self._reader.run(read)

    async def stored(self) -> list[StoredPassage]:
        return await self._reader.run(_stored)

    async def noted(self, key: str) -> str | None:
        value = await self._reader.run(lambda db: _meta(db, f"note:{key}"))
        return None if value is None else str(value)

    async def note(self, key: str, value: str) -> None:
        await self._writer.run(
            lambda db: db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"note:{key}", value))
        )

    async def copy_to(self, folder: Path) -> None:
        """Write the index as it is now into a folder, where it can be opened as another one."""
        await self._reader.back_up(folder / FILE)

    async def reclaim(self) -> int:
        """Give a part of the space that was erased back to the disk; how many bytes."""
        return await self._writer.reclaim()

    def _current_matrix(self, db: sqlite3.Connection) -> _Matrix:
        generation = _meta(db, "generation")
        if not generation:
            raise IndexUnavailable(_NO_INDEX)
        if self._matrix is None or self._matrix.generation != generation:
            self._matrix = _load_matrix(db, generation, _meta(db, "encoder"))
        return self._matrix


def _meta(db: sqlite3.Connection, key: str) -> Any:
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return row[0] if row else None


# --- writing ----------------------------------------------------------------------------------------------------------


def _remove(db: sqlite3.Connection, paths: Iterable[str]) -> None:
    for path in paths:
        db.execute(
            "DELETE FROM words WHERE rowid IN "
            "(SELECT passages.id FROM passages JOIN documents ON documents.id = document WHERE path = ?)",
            (path,),
        )
        db.execute("DELETE FROM documents WHERE path = ?", (path,))


def _insert(db: sqlite3.Connection, file: IndexedFile) -> None:
    state, document = file.state, file.document
    described = (document.title, document.url, document.language) if document else (None, None, None)
    warnings = json.dumps(document.warnings if document else ())
    cursor = db.execute(
        "INSERT INTO documents (path, size, modified_ns, content_hash, recipe, title, url, language, problem, warnings) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            state.path,
            state.size,
            state.modified_ns,
            state.content_hash,
            state.recipe,
            *described,
            file.problem,
            warnings,
        ),
    )
    document_id = cursor.lastrowid
    for position, (passage, key) in enumerate(zip(file.passages, file.vector_keys, strict=True)):
        blocks = json.dumps([_block_to_json(block) for block in passage.blocks], ensure_ascii=False)
        passage_id = db.execute(
            "INSERT INTO passages (document, position, heading, blocks, vector_key) VALUES (?, ?, ?, ?, ?)",
            (document_id, position, json.dumps(passage.heading, ensure_ascii=False), blocks, key),
        ).lastrowid
        db.execute(
            "INSERT INTO words (rowid, title, heading, body) VALUES (?, ?, ?, ?)",
            (passage_id, described[0], " ".join(passage.heading), passage.body),
        )


def _block_to_json(block: Block) -> list[Any]:
    at = block.locator
    return [block.form, block.text, block.heading, block.context, at.lines, at.page, at.row, block.part, at.paragraph]


def _block_from_json(data: list[Any]) -> Block:
    form, text, heading, context, lines, page, row, part, *paragraph = data  # an index of version 0.1.0 has none
    locator = Locator(tuple(lines) if lines else None, page, row, *paragraph)
    return Block(Form(form), text, tuple(heading), locator, context, tuple(part))


# --- reading ----------------------------------------------------------------------------------------------------------


def _files(db: sqlite3.Connection) -> list[tuple[FileState, FileReport]]:
    rows = db.execute(
        "SELECT path, size, modified_ns, content_hash, recipe, problem, warnings, "
        "(SELECT count(*) FROM passages WHERE document = documents.id) FROM documents ORDER BY path"
    )
    return [
        (FileState(path, size, modified, digest, recipe), FileReport(path, count, problem, tuple(json.loads(warnings))))
        for path, size, modified, digest, recipe, problem, warnings, count in rows
    ]


def _load_matrix(db: sqlite3.Connection, generation: int, encoder: str) -> _Matrix:
    rows = db.execute(
        "SELECT passages.id, vector FROM passages JOIN vectors ON encoder = ? AND key = vector_key ORDER BY passages.id",
        (encoder,),
    ).fetchall()
    ids = np.array([row[0] for row in rows], dtype=np.int64)
    stacked = np.frombuffer(b"".join(row[1] for row in rows), dtype=np.float16)
    vectors = stacked.reshape(len(rows), -1 if rows else 0).astype(np.float32)
    return _Matrix(generation, encoder, ids, vectors)


def _search(
    db: sqlite3.Connection,
    matrix: _Matrix,
    queries: Sequence[SearchQuery],
    rank: Rank,
    limit: int,
    candidates: int,
) -> list[Hit]:
    if len(matrix.ids) == 0:
        return []
    cosines = np.stack([query.vector for query in queries]) @ matrix.vectors.T
    keyword = [_bm25(db, query.words, candidates) for query in queries]
    found = set(_best(cosines, candidates))
    for scores in keyword:
        found.update(np.searchsorted(matrix.ids, list(scores)).tolist())
    rows = np.array(sorted(found))
    ids = matrix.ids[rows].tolist()
    cosine = cosines[:, rows]
    shared = np.array([[scores.get(id_, 0.0) for id_ in ids] for scores in keyword], dtype=np.float32)
    score = rank(cosine, shared)
    return [
        Hit(_fetch(db, ids[n]), float(score[n]), tuple(cosine[:, n].tolist()))
        for n in np.argsort(-score, kind="stable")[:limit]
    ]


def _best(cosines: Scores, count: int) -> list[int]:
    """The columns that are among the best `count` of any row."""
    if cosines.shape[1] <= count:
        return list(range(cosines.shape[1]))
    best = np.argpartition(-cosines, count, axis=1)[:, :count]
    return [int(column) for column in np.unique(best)]


def _bm25(db: sqlite3.Connection, words: Sequence[str], limit: int) -> dict[int, float]:
    """Passage id -> BM25 score, higher is better, of the best passages that share a word."""
    if not words:
        return {}
    expression = " OR ".join('"' + word.replace('"', "") + '"' for word in words)
    rows = db.execute("SELECT rowid, -rank FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?", (expression, limit))
    return dict(rows.fetchall())


def _stored(db: sqlite3.Connection) -> list[StoredPassage]:
    rows = db.execute(
        "SELECT path, documents.title, language, passages.heading, blocks, body FROM passages "
        "JOIN documents ON documents.id = document JOIN words ON words.rowid = passages.id ORDER BY path, position"
    )
    return [StoredPassage(path, title, language, _passage(passage)) for path, title, language, *passage in rows]


_PASSAGES = (
    "SELECT path, documents.title, url, position, passages.heading, blocks, body FROM passages "
    "JOIN documents ON documents.id = document JOIN words ON words.rowid = passages.id "
)


def _fetch(db: sqlite3.Connection, passage_id: int) -> FoundPassage:
    row = db.execute(f"{_PASSAGES} WHERE passages.id = ?", (passage_id,)).fetchone()
    path, title, url, position, *passage = row
    return FoundPassage(path, title, url, (position, position), _passage(passage))


def _passage(row: Sequence[str]) -> Passage:
    heading, blocks, body = row
    return Passage(tuple(map(_block_from_json, json.loads(blocks))), tuple(json.loads(heading)), body)
