"""Typing errors: a word that stands nowhere in the index counts as the words there that are spelled nearly the same."""

import re
import sqlite3
from collections.abc import Sequence

from rapidfuzz import process
from rapidfuzz.distance import OSA

# Of shorter words too many are spelled alike.
_SHORTEST_WORD = 5
# A word of so many letters may hold two errors, a shorter one only one.
_TWO_ERRORS = 8
_MOST_CORRECTIONS = 3
_WORD = re.compile(rf"[^\W\d_]{{{_SHORTEST_WORD - 1},}}")


class Spelling:
    """The words of one generation of the index, read from it when they are first needed."""

    def __init__(self) -> None:
        self._by_initial: dict[str, list[str]] | None = None

    def corrected(self, db: sqlite3.Connection, words: Sequence[str]) -> list[str]:
        """The words; in place of each that is unknown, those that it may be a typing error for."""
        return [correction for word in words for correction in self._corrections(db, word) or [word]]

    def _corrections(self, db: sqlite3.Connection, word: str) -> list[str]:
        if len(word) < _SHORTEST_WORD or not word.isalpha() or _is_known(db, word):
            return []
        if self._by_initial is None:
            self._by_initial = _vocabulary(db)
        there = self._by_initial.get(word[0], [])  # hardly anybody mistypes the first letter
        errors = 2 if len(word) >= _TWO_ERRORS else 1
        similar = process.extract(word, there, scorer=OSA.distance, score_cutoff=errors, limit=_MOST_CORRECTIONS)
        return [other for other, distance, _ in similar if distance == similar[0][1]]


def _is_known(db: sqlite3.Connection, word: str) -> bool:
    """Whether any form of a word stands in the index."""
    return db.execute("SELECT 1 FROM words WHERE words MATCH ? LIMIT 1", (f'"{word}"',)).fetchone() is not None


def _vocabulary(db: sqlite3.Connection) -> dict[str, list[str]]:
    """The words of all passages by their first letter."""
    known: set[str] = set()
    for columns in db.execute("SELECT title, heading, body FROM words"):
        known.update(word for text in columns if text for word in _WORD.findall(text.lower()))
    by_initial: dict[str, list[str]] = {}
    for word in sorted(known):
        by_initial.setdefault(word[0], []).append(word)
    return by_initial
