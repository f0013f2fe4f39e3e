"""Group the questions that the documents don't answer by meaning, so that an operator sees which documents are missing."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

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
        """Return one line for a chat, without markup."""
        asked = f"asked {len(self.questions)} times" if len(self.questions) > 1 else "asked once"
        nearest = f"; nearest: {', '.join(self.nearest)}" if self.nearest else ""
        return f"{self.questions[0]} ({asked}{nearest})"


def grouped(declined: Sequence[Declined], vectors: Vectors) -> list[Gap]:
    """Return the gaps, those asked most often first. `vectors` has one row a question.

    Each question joins the group whose first question is nearest in meaning, if that is near enough (leader clustering).
    """
    near = vectors @ vectors.T
    groups: dict[int, list[int]] = {}  # by their first question
    for number in range(len(declined)):
        leaders = list(groups)
        nearest = leaders[int(near[number, leaders].argmax())] if leaders else number
        leader = nearest if leaders and near[number, nearest] >= _SAME else number
        groups.setdefault(leader, []).append(number)
    gaps = [_gap([declined[number] for number in group]) for group in groups.values()]
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
