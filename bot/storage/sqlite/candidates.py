"""The candidates of a search: all vectors of one generation of the index in a matrix, and BM25 by FTS5.

The best passages by either are compared with the query once more, sentence by sentence.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bot.storage.base import Candidates, Scores, SearchQuery
from bot.storage.sqlite.spelling import Spelling


@dataclass(frozen=True, slots=True)
class Matrix:
    """The vectors of one generation of the index. Row n belongs to the passage with the id `ids[n]`; ids ascend."""

    generation: int
    encoder: str
    ids: npt.NDArray[np.int64]  # [passages]
    vectors: Scores  # float32 [passages, dimension]: half the bytes would take ten times as long to multiply
    spelling: Spelling = field(default_factory=Spelling)


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
    """Return the best passages for the queries, `limit` for each query and each kind of score."""
    if len(matrix.ids) == 0 or not queries:
        none = np.empty((len(queries), 0), dtype=np.float32)
        return Candidates(matrix.generation, np.empty(0, dtype=np.int64), none, none, none)
    vectors = np.stack([query.vector for query in queries])
    cosines = vectors @ matrix.vectors.T
    by_words = [_bm25(db, matrix.spelling.corrected(db, query.words), limit) for query in queries]
    found = set(_best(cosines, limit))
    for scores in by_words:
        found.update(np.searchsorted(matrix.ids, list(scores)).tolist())
    rows = np.array(sorted(found))
    ids = matrix.ids[rows]
    bm25 = np.array([[scores.get(id_, 0.0) for id_ in ids.tolist()] for scores in by_words], dtype=np.float32)
    cosines = cosines[:, rows]
    return Candidates(matrix.generation, ids, cosines, _by_sentence(db, matrix.encoder, ids, vectors, cosines), bm25)


def in_int8(vectors: Sequence[Scores]) -> npt.NDArray[np.int8]:
    """Quantise unit vectors to int8 with their largest component as 127, which keeps their directions."""
    stacked = np.array(vectors, dtype=np.float32)
    scaled: npt.NDArray[np.int8] = np.rint(
        stacked * (127 / np.abs(stacked).max(-1, keepdims=True, initial=1e-9))
    ).astype("b")
    return scaled


def _by_sentence(
    db: sqlite3.Connection, encoder: str, ids: npt.NDArray[np.int64], vectors: Scores, cosines: Scores
) -> Scores:
    """Return the best cosine of a sentence per passage, or of the whole one without sentences: float32 [queries, passages]."""
    rows = db.execute(
        "SELECT sentences FROM passages JOIN vectors ON encoder = ? AND key = vector_key "
        "WHERE passages.id IN (SELECT value FROM json_each(?)) ORDER BY passages.id",
        (encoder, json.dumps(ids.tolist())),
    ).fetchall()
    counts = np.array([len(row[0]) for row in rows]) // vectors.shape[1]
    stacked = np.frombuffer(b"".join(row[0] for row in rows), dtype=np.int8).reshape(-1, vectors.shape[1])
    sentences = stacked.astype(np.float32)
    sentences /= np.linalg.norm(sentences, axis=1, keepdims=True)
    best = cosines.copy()
    some = counts > 0
    if some.any():
        starts = np.concatenate([[0], np.cumsum(counts[some])[:-1]])
        best[:, some] = np.maximum.reduceat(vectors @ sentences.T, starts, axis=1)
    return best


def _best(cosines: Scores, count: int) -> list[int]:
    """Return the columns that are among the best `count` of any row."""
    if cosines.shape[1] <= count:
        return list(range(cosines.shape[1]))
    best = np.argpartition(-cosines, count, axis=1)[:, :count]
    return [int(column) for column in np.unique(best)]


def _bm25(db: sqlite3.Connection, words: Sequence[str], limit: int) -> dict[int, float]:
    """Return the BM25 scores, higher is better, of the best passages that share a word, by passage id."""
    if not words:
        return {}
    expression = " OR ".join('"' + word.replace('"', "") + '"' for word in words)
    rows = db.execute("SELECT rowid, -rank FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?", (expression, limit))
    return dict(rows.fetchall())
