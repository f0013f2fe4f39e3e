"""Correct typing errors: replace words that aren't in the index by similarly spelled ones that are."""

import re
import sqlite3
from collections.abc import Sequence

from rapidfuzz import process
from rapidfuzz.distance import OSA

# Too many shorter words are spelled alike.
_MIN_LENGTH = 5
# A word of this length may have two errors, a shorter one only one.
_MIN_LENGTH_FOR_TWO_ERRORS = 8
_MAX_CORRECTIONS = 3
_WORD = re.compile(rf"[^\W\d_]{{{_MIN_LENGTH - 1},}}")


class Spelling:
    """The vocabulary of one generation of the index, which is read on first use."""

    def __init__(self) -> None:
        self._by_initial: dict[str, list[str]] | None = None

    def corrected(self, db: sqlite3.Connection, words: Sequence[str]) -> list[str]:
        """Return the words, with each unknown one replaced by its possible corrections."""
        return [correction for word in words for correction in self._corrections(db, word) or [word]]

    def _corrections(self, db: sqlite3.Connection, word: str) -> list[str]:
        if len(word) < _MIN_LENGTH or not word.isalpha() or _is_known(db, word):
            return []
        if self._by_initial is None:
            self._by_initial = _vocabulary(db)
        vocabulary = self._by_initial.get(word[0], [])  # hardly anybody mistypes the first letter
        errors = 2 if len(word) >= _MIN_LENGTH_FOR_TWO_ERRORS else 1
        similar = process.extract(word, vocabulary, scorer=OSA.distance, score_cutoff=errors, limit=_MAX_CORRECTIONS)
        return [other for other, distance, _ in similar if distance == similar[0][1]]


def _is_known(db: sqlite3.Connection, word: str) -> bool:
    """Return whether any form of a word is in the index."""
    return db.execute("SELECT 1 FROM words WHERE words MATCH ? LIMIT 1", (f'"{word}"',)).fetchone() is not None


def _vocabulary(db: sqlite3.Connection) -> dict[str, list[str]]:
    """Return the words of all passages by their first letter."""
    known: set[str] = set()
    for columns in db.execute("SELECT title, heading, body FROM words"):
        known.update(word for text in columns if text for word in _WORD.findall(text.lower()))
    by_initial: dict[str, list[str]] = {}
    for word in sorted(known):
        by_initial.setdefault(word[0], []).append(word)
    return by_initial
