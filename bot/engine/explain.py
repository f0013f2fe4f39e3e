"""Why a question is answered as it is, or why not: the candidates with their scores, and what would change the outcome."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bot.core.messages import Citation, Outcome
from bot.core.settings import Settings
from bot.engine.compose import cite
from bot.engine.qa import Candidate, Considered


@dataclass(frozen=True, slots=True)
class ExplainedCandidate:
    """A passage that was read. `citation` leads to its best words; the scores are those of Features and of the search."""

    citation: Citation
    confidence: float
    retrieval: float
    covered: float
    sentence: float
    margin: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """`variants`: (text, weight) as searched for. `unread`: documents of passages that were found but not read, best first.
    `advice`: what decided, and which setting would change it, in sentences."""

    outcome: Outcome
    answer: str
    confidence: float
    threshold: float
    variants: Sequence[tuple[str, float]]
    candidates: Sequence[ExplainedCandidate]
    unread: Sequence[str]
    advice: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        """For a chat, without markup: what decided, then each candidate."""
        return [
            *self.advice,
            *(
                f"{candidate.confidence:.2f}: {candidate.citation.quote} ({candidate.citation.document}; search "
                f"{candidate.retrieval:.2f}, words {candidate.covered:.2f}, sentence {candidate.sentence:.2f}, "
                f"reader {candidate.margin:+.1f})"
                for candidate in self.candidates
            ),
        ]


def explanation(considered: Considered, settings: Settings) -> Explanation:
    answer = considered.answer
    return Explanation(
        outcome=answer.outcome,
        answer=answer.text,
        confidence=answer.confidence,
        threshold=settings.answer.threshold,
        variants=[(variant.text, variant.weight) for variant in considered.variants],
        candidates=[_explained(candidate, settings) for candidate in considered.candidates],
        unread=list(dict.fromkeys(hit.found.document for hit in considered.unread)),
        advice=list(_advice(considered, settings)),
    )


def _explained(candidate: Candidate, settings: Settings) -> ExplainedCandidate:
    found, reading = candidate.hit.found, candidate.reading
    return ExplainedCandidate(
        citation=cite(found, found.passage.blocks[reading.block], reading.span, settings.knowledge.base_url),
        confidence=candidate.confidence,
        **asdict(candidate.features),
    )


def _advice(considered: Considered, settings: Settings) -> list[str]:
    answer, threshold = considered.answer, settings.answer.threshold
    if answer.outcome is Outcome.SMALL_TALK:
        return ["This is small talk: it gets a short reply, and nothing is searched for."]
    if not considered.candidates:
        return ["Nothing was found at all: no passage of the index shares a word or a meaning with the question."]
    best = considered.candidates[0]
    if answer.answered:
        return [
            f"Answered: the confidence {best.confidence:.2f} reaches answer.threshold {threshold:g}. "
            f"A threshold above {best.confidence:.2f} would decline it."
        ]
    advice = [
        f"Declined: the confidence {best.confidence:.2f} of the best candidate is below answer.threshold {threshold:g}. "
        f"A threshold of {math.floor(100 * best.confidence) / 100:.2f} would answer it, and every other question that is "
        "as uncertain."
    ]
    if best.features.covered < 0.5:
        advice.append(
            "Fewer than half of the question's words stand in that passage: a document that uses the words of those who ask, "
            "or a stored question with its answer, would be found with more confidence."
        )
    if best.features.margin < 0:
        advice.append(
            "The reader finds it likelier that the passage doesn't answer: see whether the answer stands there in so many "
            "words."
        )
    if considered.unread and len(considered.candidates) < settings.answer.read_passages:
        advice.append(f"{len(considered.unread)} more passages were found but not read: none would have come first.")
    elif considered.unread:
        advice.append(
            f"{len(considered.unread)} more passages were found but not read; answer.read_passages "
            f"(now {settings.answer.read_passages}) says how many are."
        )
    return advice
