"""The history of questions and answers, and the entries that operators write, both for the console."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from bot.core.messages import Answer, Outcome, Question


class Rating(StrEnum):
    """The ratings of an answer."""

    HELPFUL = "helpful"
    WRONG = "wrong"  # somebody found it not helpful


@dataclass(frozen=True, slots=True)
class KeptQuestion:
    """A kept question. `answer` is None until it is made. `at`: when it was accepted, in seconds since the epoch.
    `helpful` and `wrong` count its ratings."""

    id: int
    question: Question
    answer: Answer | None
    at: float
    helpful: int
    wrong: int

    def to_json(self) -> dict[str, Any]:
        """Return the fields that people and programs read, without the ids of people."""
        answer, address = self.answer, self.question.address
        return {
            "id": self.id,
            "at": self.question.received_at.isoformat(),
            "platform": address.platform,
            "chat": address.chat,
            "outcome": answer.outcome.value if answer else None,
            "confidence": answer.confidence if answer else None,
            "question": self.question.text,
            "answer": answer.text if answer else None,
            "sources": list(dict.fromkeys(citation.document for citation in answer.citations)) if answer else [],
            "reference": answer.reference if answer else None,
            "helpful": self.helpful,
            "wrong": self.wrong,
        }


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Which questions are shown: all that have each of these. None and the empty text: any.

    `since`: seconds since the epoch. `text` is a part of the question, in which letters of English may be small or large.
    """

    since: float | None = None
    outcome: Outcome | None = None
    platform: str = ""
    chat: str = ""
    rating: Rating | None = None
    text: str = ""


class Cursor(NamedTuple):
    """The place of a question in the history, by which the next page is found: (at, id)."""

    at: float
    id: int


class Confidence(NamedTuple):
    """A question with the confidence of its answer."""

    id: int
    text: str
    outcome: Outcome
    confidence: float


class Cited(NamedTuple):
    """How often kept answers cite a document: the number of questions, and when the last of them was asked, in seconds since
    the epoch."""

    questions: int
    last: float


class HistoryStore(Protocol):
    """Reads the kept questions, newest first, beside the work of the journal, which it never delays."""

    async def page(self, only: HistoryFilter, limit: int, after: Cursor | None = None) -> list[KeptQuestion]:
        """Return up to `limit` questions, those that follow the place `after` if it is given."""

    async def one(self, question_id: int) -> KeptQuestion | None:
        """Return the question with this id, None if it isn't kept."""

    async def days(self, since: float) -> list[tuple[str, Counter[Outcome]]]:
        """Return (day as 2026-01-31 in UTC, number of questions by outcome) from the first day with a question on, oldest
        first."""

    async def confidences(self, limit: int) -> list[Confidence]:
        """Return the latest questions that were answered, suggested or declined, newest first."""

    async def ratings(self, limit: int) -> list[tuple[float, bool]]:
        """Return (confidence, whether it was helpful) of the latest ratings of kept answers."""

    async def citations(self) -> dict[str, Cited]:
        """Return the citations of each document that kept answers cite, by its path."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A question and its answer that an operator has written and not yet published. `at`: seconds since the epoch."""

    id: int
    question: str
    answer: str
    at: float


class EntryStore(Protocol):
    """The entries that wait to be published."""

    async def add(self, question: str, answer: str) -> int:
        """Keep a new entry. Returns its id."""

    async def all(self) -> list[Entry]:
        """Return the entries, oldest first."""

    async def one(self, entry: int) -> Entry | None:
        """Return the entry with this id, None if there is none."""

    async def change(self, entry: int, question: str, answer: str) -> bool:
        """Replace the texts of an entry. Returns False if there is none."""

    async def remove(self, entry: int) -> bool:
        """Remove an entry. Returns False if there is none."""
