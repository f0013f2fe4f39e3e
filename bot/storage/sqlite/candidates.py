"""The candidates of a search: all vectors of one generation of the index in a matrix, and BM25 by FTS5."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bot.storage.base import Candidates, Scores, SearchQuery


@dataclass(frozen=True, slots=True)
class Matrix:
    """The vectors of one generation of the index. Row n belongs to the passage with the id `ids[n]`; ids ascend."""

    generation: int
    encoder: str
    ids: npt.NDArray[np.int64]  # [passages]
    vectors: Scores  # float32 [passages, dimension]: half the bytes would take ten times as long to multiply


def load_matrix(db: sqlite3.Connection, generation: int, encoder: str) -> Matrix:
    """Read the vectors of an encoder for all passages."""
    rows = db.execute(
        "SELECT passages.id, vector FROM passages JOIN vectors ON encoder = ? AND key = vector_key ORDER BY passages.id",
        (encoder,),
    ).fetchall()
    ids = np.array([row[0] for row in rows], dtype=np.int64)
    stacked = np.frombuffer(b"".join(row[1] for row in rows), dtype=np.float16)
    vectors = stacked.reshape(len(rows), -1 if rows else 0).astype(np.float32)
    return Matrix(generation, encoder, ids, vectors)


def find_candidates(db: sqlite3.Connection, matrix: Matrix, queries: Sequence[SearchQuery], limit: int) -> Candidates:
    """The best passages for the queries, `limit` for each query and each kind of score."""
    if len(matrix.ids) == 0 or not queries:
        none = np.empty((len(queries), 0), dtype=np.float32)
        return Candidates(matrix.generation, np.empty(0, dtype=np.int64), none, none)
    cosines = np.stack([query.vector for query in queries]) @ matrix.vectors.T
    by_words = [_bm25(db, query.words, limit) for query in queries]
    found = set(_best(cosines, limit))
    for scores in by_words:
        found.update(np.searchsorted(matrix.ids, list(scores)).tolist())
    rows = np.array(sorted(found))
    ids = matrix.ids[rows]
    bm25 = np.array([[scores.get(id_, 0.0) for id_ in ids.tolist()] for scores in by_words], dtype=np.float32)
    return Candidates(matrix.generation, ids, cosines[:, rows], bm25)


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
