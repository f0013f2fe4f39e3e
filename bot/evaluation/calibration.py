"""Fit the calibration that turns the features of an answer into the probability that it is right.

Two logistic regressions (Platt, "Probabilistic Outputs for Support Vector Machines", 1999) over Features: one tells
questions about the documents from off-topic ones, the other right from wrong answers to the former. They are fitted on all
results. What is said of them is measured on each half of the documents with a fit on the other half, so that no article is
in both. A higher feature must never lower the confidence, or decisions would be hard to understand: features with a
negative weight are left out.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import numpy as np

from bot.core.errors import BotError
from bot.core.messages import Answer
from bot.engine.confidence import FEATURES, Calibration, Features
from bot.engine.logistic import LogisticModel
from bot.evaluation.metrics import calibration_error, can_be_graded, reliability, says_right
from bot.evaluation.questions import EvaluationQuestion, QuestionKind
from bot.evaluation.run import EvaluationResult

_MIN_FOLDERS = 5
_MIN_ANSWERS = 50  # right and wrong answers each
_MIN_OFF_TOPIC = 20
_CERTAIN = 20.0  # the logit of a probability of nearly 1


@dataclass(frozen=True, slots=True)
class ThresholdPoint:
    """The figures of a threshold on the held-out halves of the sets, with equal weight for each set."""

    threshold: float
    answered: float  # share of the questions
    right: float | None  # share of the answers; None where there are none


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibration with its error (ECE) for each set and the figures of thresholds, both of fits on other documents.

    The error is None if a set has no results to measure on.
    """

    calibration: Calibration
    errors: Mapping[str, float | None]
    thresholds: Sequence[ThresholdPoint]


def fit(sets: Mapping[str, Sequence[EvaluationResult]]) -> Fitted:
    """Fit on results by the name of their set, with equal weight for each set. Raises BotError if there are too few."""
    gradable = {
        name: [result for result in results if result.forced and result.features and can_be_graded(result.question)]
        for name, results in sets.items()
    }
    halves = {name: halves_by_article(results) for name, results in gradable.items()}
    first, second = (_models([both[side] for both in halves.values()]) for side in (0, 1))
    held_out = {
        name: [
            *(_recalibrated(second, *scored) for scored in _with_candidates(one)),
            *(_recalibrated(first, *scored) for scored in _with_candidates(other)),
        ]
        for name, (one, other) in halves.items()
    }
    errors = {name: calibration_error(reliability(results)) for name, results in held_out.items()}
    measured = [results for results in held_out.values() if results]
    provenance = {
        "sets": {name: len(results) for name, results in gradable.items()},
        "made_at": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
    calibration = replace(_models(list(gradable.values())), provenance=provenance)
    return Fitted(calibration, errors, [_threshold_point(measured, step / 20) for step in range(1, 20)])


def _models(sets: Sequence[Sequence[EvaluationResult]]) -> Calibration:
    """Fit a calibration, still without provenance. Raises BotError if there are too few right or wrong answers."""
    on_topic = [[result for result in results if not _is_off_topic(result.question)] for results in sets]
    right = [_is_right(result) for results in on_topic for result in results]
    if min(sum(right), len(right) - sum(right)) < _MIN_ANSWERS:
        raise BotError(
            f"There are {sum(right)} right and {len(right) - sum(right)} wrong answers to fit on in one half of the documents; "
            f"it takes {_MIN_ANSWERS} of each. Add questions with known answers, and ones that the documents don't answer."
        )
    return Calibration(_topic_model(sets), _logistic_model(on_topic, right), {})


def _topic_model(sets: Sequence[Sequence[EvaluationResult]]) -> LogisticModel:
    """Fit the model that a question is about the documents, on sets with off-topic questions; with few it is certain."""
    mixed = [(about, off) for about, off in map(_by_topic, sets) if about and off]
    if sum(len(off) for _, off in mixed) < _MIN_OFF_TOPIC:
        return LogisticModel(_CERTAIN, dict.fromkeys(FEATURES, 0.0))
    halves = [half for both in mixed for half in both]
    return _logistic_model(halves, [not _is_off_topic(result.question) for half in halves for result in half])


def _by_topic(results: Sequence[EvaluationResult]) -> list[list[EvaluationResult]]:
    """Split into the questions about the documents and the others, which weigh the same."""
    return [[result for result in results if _is_off_topic(result.question) is off] for off in (False, True)]


def _logistic_model(sets: Sequence[Sequence[EvaluationResult]], outcomes: Sequence[bool]) -> LogisticModel:
    """Fit a model without negative weights: drop the feature with the lowest one and fit again.

    `outcomes` of all results of the sets, which weigh the same. Raises BotError if no feature is left.
    """
    from sklearn.linear_model import LogisticRegression

    scores = np.array([_scores(result) for results in sets for result in results])
    shares = np.array([len(outcomes) / len(results) for results in sets for _ in results])
    used = np.ones(scores.shape[1], dtype=bool)
    while used.any():
        model = LogisticRegression(C=100.0, max_iter=1000)
        model.fit(scores[:, used], outcomes, sample_weight=shares)
        weights = np.zeros(len(used))
        weights[used] = model.coef_[0]
        if weights.min() >= 0:
            rounded = {name: round(float(weight), 4) for name, weight in zip(FEATURES, weights, strict=True)}
            return LogisticModel(round(float(model.intercept_[0]), 4), rounded)
        used[weights.argmin()] = False
    raise BotError("Wrong answers have the better scores: look at the questions' gold answers and documents.")


def _recalibrated(
    calibration: Calibration, result: EvaluationResult, forced: Answer, features: Features
) -> EvaluationResult:
    """Return the result with the confidence of this calibration. (The choice of the best passage isn't repeated.)"""
    return replace(result, forced=replace(forced, confidence=calibration.confidence(features)))


def _with_candidates(results: Sequence[EvaluationResult]) -> Iterator[tuple[EvaluationResult, Answer, Features]]:
    """Yield the results that have a candidate, with its answer and features."""
    for result in results:
        if result.forced is not None and result.features is not None:
            yield result, result.forced, result.features


def _threshold_point(sets: Sequence[Sequence[EvaluationResult]], threshold: float) -> ThresholdPoint:
    """Return the figures of a threshold. None of the `sets` may be empty."""
    answered = right = 0.0
    for results in sets:
        given = [result for result in results if result.forced and result.forced.confidence >= threshold]
        answered += len(given) / len(results)
        right += sum(map(_is_right, given)) / len(results)
    return ThresholdPoint(threshold, answered / max(1, len(sets)), right / answered if answered else None)


def _is_off_topic(question: EvaluationQuestion) -> bool:
    return question.kind is QuestionKind.OFFTOPIC


def halves_by_article(results: Sequence[EvaluationResult]) -> tuple[list[EvaluationResult], list[EvaluationResult]]:
    """Split into halves of about the same size, by article: a folder if the set has several, else a document."""
    documents = [min(result.question.doc_ids or result.question.related, default=None) for result in results]
    folders = {document.rpartition("/")[0] for document in documents if document}
    by_folder = len(folders) >= _MIN_FOLDERS
    articles: dict[str, list[EvaluationResult]] = defaultdict(list)
    for result, document in zip(results, documents, strict=True):
        article = (document.rpartition("/")[0] if document and by_folder else "") or document
        articles[article or result.question.id].append(result)
    halves: tuple[list[EvaluationResult], list[EvaluationResult]] = ([], [])
    for article in sorted(articles, key=lambda name: hashlib.sha256(name.encode()).digest()):
        min(halves, key=len).extend(articles[article])
    return halves


def _scores(result: EvaluationResult) -> list[float]:
    return list(asdict(result.features).values()) if result.features else []


def _is_right(result: EvaluationResult) -> bool:
    return result.forced is not None and says_right(result.question, result.forced)
