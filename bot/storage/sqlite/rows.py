"""Pieces of statements, and the reading of columns, that the stores of the journal share."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import structlog

from bot.core.messages import Answer, Question

_log = structlog.stdlib.get_logger(__name__)
T = TypeVar("T")

KEY = "platform = ? AND chat = ? AND message = ?"
"""The condition for the row of an address; its parameters are `Address.key`."""

_SALT = "(SELECT value FROM notes WHERE platform = 'journal' AND key = 'salt')"

FINGERPRINT = f"fingerprint({_SALT}, platform, chat, message)"
"""The message column of an erased question. Its chat and message may be names: those of a user and an Idempotency-Key."""

FINGERPRINTED = f"platform = ?1 AND chat = '' AND message = fingerprint({_SALT}, ?1, ?2, ?3)"
"""The condition for the row of an address whose question was erased; its parameters are `Address.key`."""

ERASED = f"question = NULL, answer = NULL, author = NULL, reference = NULL, chat = '', message = {FINGERPRINT}"
"""The assignments that erase a question. The fingerprint is left, by which a repeated event is recognised."""


def fingerprint(*values: str) -> str:
    """Return the SQL function `fingerprint`: a digest from which the values can't be read."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def each(rows: Iterable[Any], make: Callable[[Any], T]) -> Iterator[T]:
    """Return `make(row)` for each row. A row that can't be read is left out, so that a bad sector doesn't hide all others."""
    for row in rows:
        try:
            yield make(row)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            _log.error("a damaged entry of the journal was left out", error=type(error).__name__)


def question_from(text: str) -> Question:
    """Return the question in a column `question`."""
    return Question.from_json(json.loads(text))


def answer_from(text: str) -> Answer:
    """Return the answer in a column `answer`."""
    return Answer.from_json(json.loads(text))
