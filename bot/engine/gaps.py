"""Group the questions that the documents don't answer by meaning, so that an operator sees which documents are missing."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bot.inference.encoder import Vectors
from bot.storage.base import Declined

# Questions that mean the same in other words are about so near to each other.
_SAME = 0.6  # cosine


@dataclass(frozen=True, slots=True)
class Gap:
    """Questions of one meaning that were declined, the latest first.

    `confidence` is the highest of them: the nearer to the threshold, the nearer a document comes to an answer. `nearest`
    are the documents that came nearest, best first.
    """

    questions: tuple[str, ...]
    confidence: float
    nearest: tuple[str, ...]
    last_at: float  # seconds since the epoch

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        """One line for a chat, without markup."""
        asked = f"asked {len(self.questions)} times" if len(self.questions) > 1 else "asked once"
        nearest = f"; nearest: {', '.join(self.nearest)}" if self.nearest else ""
        return f"{self.questions[0]} ({asked}{nearest})"


def grouped(declined: Sequence[Declined], vectors: Vectors) -> list[Gap]:
    """The gaps, those asked most often first. `vectors` has one row a question.

    Each question joins the group whose first question is nearest in meaning, if that is near enough (leader clustering).
    """
    groups: list[list[int]] = []
    for number, vector in enumerate(vectors):
        cosines = vectors[[group[0] for group in groups]] @ vector if groups else np.zeros(0)
        nearest = int(np.argmax(cosines)) if groups else 0
        if groups and cosines[nearest] >= _SAME:
            groups[nearest].append(number)
        else:
            groups.append([number])
    gaps = [_gap([declined[number] for number in group]) for group in groups]
    return sorted(gaps, key=lambda gap: (-len(gap.questions), -gap.last_at))


def _gap(declined: Sequence[Declined]) -> Gap:
    latest_first = sorted(declined, key=lambda one: -one.at)
    best = max(declined, key=lambda one: one.answer.confidence)
    return Gap(
        questions=tuple(one.question.text for one in latest_first),
        confidence=best.answer.confidence,
        nearest=best.answer.retrieved[:3],
        last_at=latest_first[0].at,
    )
