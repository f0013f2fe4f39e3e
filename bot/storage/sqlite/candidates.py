"""The candidates of a search: all vectors of one generation of the index in a matrix, and BM25 by FTS5.

The best passages by either are compared with the query once more, sentence by sentence.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Container, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import numpy.typing as npt
import structlog

from bot.core.scopes import source_of
from bot.storage.base import Candidates, Scores, SearchQuery
from bot.storage.base.vectors import are_whole
from bot.storage.sqlite.spelling import Spelling

MAKE_ANEW = (
    "stop the bot, delete index.sqlite3 in the data folder, and make it again from the documents: knowledge-bot index"
)
"""The mend of an index of which a part can't be read."""

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Matrix:
    """The vectors of one generation of the index. Row n belongs to the passage with the id `ids[n]`; ids ascend.

    `sources` are the names of the sources, and row n is of the one with the number `source_of_row[n]`.
    """

    generation: int
    encoder: str
    ids: npt.NDArray[np.int64]  # [passages]
    vectors: Scores  # float32 [passages, dimension]: half the bytes would take ten times as long to multiply
    sources: npt.NDArray[np.str_]
    source_of_row: npt.NDArray[np.intp]  # [passages]
    spelling: Spelling = field(default_factory=Spelling)

    def is_hidden(self, hidden: Container[str]) -> npt.NDArray[np.bool_]:
        """Return whether each row is of one of these sources: bool [passages]."""
        names = np.array([name in hidden for name in self.sources.tolist()], dtype=np.bool_)
        return names[self.source_of_row]


def load_matrix(db: sqlite3.Connection, generation: int, encoder: str) -> Matrix:
    """Read the vectors of an encoder for all passages. A passage whose vector is damaged is found by its words only."""
    rows = db.execute(
        "SELECT passages.id, vector, path FROM passages JOIN vectors ON encoder = ? AND key = vector_key "
        "JOIN documents ON documents.id = document ORDER BY passages.id",
        (encoder,),
    ).fetchall()
    ids = np.array([row[0] for row in rows], dtype=np.int64)
    vectors = _unit_vectors([row[1] for row in rows])
    [damaged] = db.execute(
        "SELECT count(*) FROM vectors WHERE encoder = ? AND (typeof(sentences) != 'blob' OR length(sentences) % ?)",
        (encoder, max(1, vectors.shape[1])),
    ).fetchone()
    if damaged:
        _log.error(f"vectors of sentences are damaged: {MAKE_ANEW}", passages=damaged)
    sources, source_of_row = np.unique([source_of(row[2]) for row in rows], return_inverse=True)
    return Matrix(generation, encoder, ids, vectors, sources.astype(np.str_), source_of_row)


def _unit_vectors(stored: Sequence[object]) -> Scores:
    """Return the vectors, and zeros for each that is none: float32 [passages, dimension]."""
    sizes = Counter(len(vector) for vector in stored if isinstance(vector, bytes) and len(vector) % 2 == 0)
    size = sizes.most_common(1)[0][0] if sizes else 0
    whole = [vector if isinstance(vector, bytes) and len(vector) == size else bytes(size) for vector in stored]
    halves = np.frombuffer(b"".join(whole), dtype=np.float16).reshape(len(stored), size // 2)
    with np.errstate(all="ignore"):
        vectors = halves.astype(np.float32)
    is_whole = are_whole(vectors)
    vectors[~is_whole] = 0
    damaged = sum(kept is not vector for kept, vector in zip(whole, stored, strict=True)) + int((~is_whole).sum())
    if damaged:
        _log.error(f"vectors of the index are damaged: {MAKE_ANEW}", passages=damaged)
    return vectors


def find_candidates(
    db: sqlite3.Connection, matrix: Matrix, queries: Sequence[SearchQuery], limit: int, hidden: Container[str]
) -> Candidates:
    """Return the best passages for the queries, `limit` for each query and each kind of score, without those of the sources
    with the names `hidden`."""
    left_out = matrix.is_hidden(hidden)
    if left_out.all() or not queries:
        none = np.empty((len(queries), 0), dtype=np.float32)
        return Candidates(matrix.generation, np.empty(0, dtype=np.int64), none, none, none)
    vectors = np.stack([query.vector for query in queries])
    cosines = vectors @ matrix.vectors.T
    cosines[:, left_out] = -np.inf
    excluded = set(matrix.ids[left_out].tolist())
    by_words = [_bm25(db, matrix.spelling.corrected(db, query.words), limit, excluded) for query in queries]
    found = set(_best(cosines, limit))
    for scores in by_words:
        found.update(np.searchsorted(matrix.ids, list(scores)).tolist())
    rows = np.array([row for row in sorted(found) if not left_out[row]])
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
    dimension = vectors.shape[1]
    # Those of another length are damaged.
    stored = [row[0] if isinstance(row[0], bytes) and len(row[0]) % dimension == 0 else b"" for row in rows]
    counts = np.array([len(one) for one in stored]) // dimension
    stacked = np.frombuffer(b"".join(stored), dtype=np.int8).reshape(-1, dimension)
    sentences = stacked.astype(np.float32)
    sentences /= np.maximum(np.linalg.norm(sentences, axis=1, keepdims=True), 1)
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


def _bm25(db: sqlite3.Connection, words: Sequence[str], limit: int, excluded: AbstractSet[int]) -> dict[int, float]:
    """Return the BM25 scores, higher is better, of the best passages that share a word, by passage id.

    Passages whose ids are in `excluded` are left out.
    """
    if not words:
        return {}
    expression = " OR ".join('"' + word.replace('"', "") + '"' for word in words)
    ranked = "SELECT rowid, -rank FROM words WHERE words MATCH ? ORDER BY rank"
    if not excluded:
        return dict(db.execute(f"{ranked} LIMIT ?", (expression, limit)).fetchall())
    rows = db.execute(ranked, (expression,))
    return dict(islice((row for row in rows if row[0] not in excluded), limit))
