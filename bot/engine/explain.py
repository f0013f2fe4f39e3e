"""Explain the outcome of a question: the candidates with their scores, and the settings that would change it."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bot.core.documents import trail
from bot.core.markup import Piece
from bot.core.messages import Citation, Outcome
from bot.core.settings import Settings
from bot.engine.compose import cite
from bot.engine.judging import Candidate
from bot.engine.qa import Considered


@dataclass(frozen=True, slots=True)
class ExplainedCandidate:
    """A passage that was read, with the citation of its best span and its features (see `bot.engine.confidence`)."""

    citation: Citation
    confidence: float
    relevance: float
    lead: float
    retrieval: float
    cosine: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of an answer.

    `variants`: the texts that were searched for, with their weights. `unread`: documents of passages that were found but not
    read, best first. `advice`: sentences about the threshold that decided and the setting that would change the outcome.
    """

    outcome: Outcome
    answer: str
    pieces: Sequence[Piece]
    confidence: float
    threshold: float
    suggest_threshold: float
    variants: Sequence[tuple[str, float]]
    candidates: Sequence[ExplainedCandidate]
    unread: Sequence[str]
    advice: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the advice and then each candidate, for a chat, without markup."""
        return [
            *self.advice,
            *(
                f"{candidate.confidence:.2f}: {candidate.citation.quote} ({candidate.citation.document}; relevance "
                f"{candidate.relevance:+.1f}, lead {candidate.lead:+.2f}, search {candidate.retrieval:.2f}, meaning "
                f"{candidate.cosine:.2f})"
                for candidate in self.candidates
            ),
        ]


def explanation(considered: Considered, settings: Settings) -> Explanation:
    """Return the explanation of an answer. `settings` are those that it was made with."""
    answer, judged = considered.answer, considered.judged
    return Explanation(
        outcome=answer.outcome,
        answer=answer.text,
        pieces=answer.pieces,
        confidence=answer.confidence,
        threshold=settings.answer.threshold,
        suggest_threshold=settings.answer.suggest_threshold,
        variants=[(variant.text, variant.weight) for variant in judged.interpretation.variants] if judged else [],
        candidates=[_explain(candidate, settings) for candidate in considered.candidates],
        unread=list(dict.fromkeys(hit.found.document for hit in judged.unread)) if judged else [],
        advice=_advice(considered, settings),
    )


def _explain(candidate: Candidate, settings: Settings) -> ExplainedCandidate:
    found, reading = candidate.hit.found, candidate.reading
    return ExplainedCandidate(
        citation=cite(found, found.passage.blocks[reading.block], reading.span, settings.knowledge.base_url),
        confidence=candidate.confidence,
        **asdict(candidate.features),
    )


def _advice(considered: Considered, settings: Settings) -> list[str]:
    advice = _outcome_advice(considered, settings)
    if considered.questions:
        advice.insert(
            0, f"Taken as {len(considered.questions)} questions; the passages below were read for the first one."
        )
    answer, judged = considered.answer, considered.judged
    if judged and judged.beside and answer.from_documents:
        advice.append(
            f"{_name(judged.beside)} comes so close that it is shown too; the confidence is that one of the two is right."
        )
    if judged and answer.outcome is Outcome.SUGGESTED:
        further = [
            _name(one) for one in judged.alternatives if one is not judged.beside and one.hit in considered.shown
        ]
        advice += [f"{name} ranks next, and is suggested too because the first is not sure." for name in further]
    if judged and judged.older:
        advice.append(f"{_name(judged.older[0])} is older than the first passage or replaced by it.")
    return advice


def _name(candidate: Candidate) -> str:
    found = candidate.hit.found
    return f"“{trail(found.title, found.passage.heading)}” ({found.document})"


def _outcome_advice(considered: Considered, settings: Settings) -> list[str]:
    """Return the threshold that decided and the setting that would change the outcome, in sentences."""
    answer, bounds = considered.answer, settings.answer
    if answer.outcome is Outcome.SMALL_TALK:
        return ["This is small talk: it gets a short reply, and nothing is searched for."]
    if not considered.candidates:
        return ["Nothing was found: no passage of the index shares a word or a meaning with the question."]
    best = considered.candidates[0]
    if answer.phrasing and answer.phrasing.abstains and not answer.answered:
        otherwise = "an answer" if answer.outcome is Outcome.SUGGESTED else "a suggestion"
        return [
            f"{answer.outcome.value.capitalize()}: the language model {answer.phrasing.model} has read the passages, and says "
            f"that they don't answer. By the confidence {best.confidence:.2f} alone it would be {otherwise}; with "
            "generator.passages = 1 the model has no say."
        ]
    if answer.answered and best.confidence < bounds.threshold:
        return [
            f"Answered: the confidence {best.confidence:.2f} is below answer.threshold {bounds.threshold:g}, but the passages "
            "support every sentence that the language model has written. With generator.passages = 1 it would be a suggestion."
        ]
    if answer.answered:
        return [
            f"Answered: the confidence {best.confidence:.2f} reaches answer.threshold {bounds.threshold:g}. "
            f"A threshold above {best.confidence:.2f} would only suggest it."
        ]
    if answer.outcome is Outcome.SUGGESTED and best.contradicts and best.confidence >= bounds.threshold:
        return [
            "Suggested only: a code, version or name with a number that the question asks about is not in that passage, "
            "which speaks of another one."
        ]
    at = math.floor(100 * best.confidence) / 100
    if answer.outcome is Outcome.SUGGESTED:
        return [
            f"Suggested: the confidence {best.confidence:.2f} of the best candidate is below answer.threshold "
            f"{bounds.threshold:g}, and reaches answer.suggest_threshold {bounds.suggest_threshold:g}. A threshold of "
            f"{at:.2f} would answer it, and every other question that is as uncertain."
        ]
    advice = [
        f"Declined: the confidence {best.confidence:.2f} of the best candidate is below answer.suggest_threshold "
        f"{bounds.suggest_threshold:g}. One of {at:.2f} would suggest it, and whatever else is as uncertain."
    ]
    if best.features.relevance < 0:
        advice.append(
            "The reader finds it likelier that the passage doesn't answer: see whether the answer stands there in so many "
            "words."
        )
    return advice
