"""Fit the calibration that turns the features of an answer into the probability that it is right.

Logistic regression (Platt, "Probabilistic Outputs for Support Vector Machines", 1999) over Features. It is fitted on one half
of the documents of each set and measured on the other, so that no article is in both. A higher feature must never lower the
confidence, or decisions would be hard to understand: features with a negative weight are left out.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from bot.core.errors import BotError
from bot.core.messages import Answer
from bot.engine.confidence import Calibration, Features
from bot.evaluation.metrics import calibration_error, can_be_graded, reliability, says_right
from bot.evaluation.questions import EvaluationQuestion, QuestionKind
from bot.evaluation.run import EvaluationResult

_MIN_FOLDERS = 5
_MIN_ANSWERS = 50  # right and wrong answers each
# Real users go off topic less than test sets do, so all off-topic questions together get this share of a set's weight.
_SHARE_OF_OFF_TOPIC = 0.2


@dataclass(frozen=True, slots=True)
class ThresholdPoint:
    """The figures of a threshold on the held-out halves of the sets, with equal weight for each set."""

    threshold: float
    answered: float  # share of the questions
    right: float | None  # share of the answers; None where there are none


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibration with its error (ECE) on the held-out half of each set, and the figures of thresholds on it.

    The error is None if the held-out half of a set is empty.
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
    fitting = [weighted for half, _ in halves.values() for weighted in _weighted(half)]
    scores = np.array([_scores(result) for result, _ in fitting]).reshape(-1, len(_NAMES))
    right = np.array([_is_right(result) for result, _ in fitting], dtype=bool)
    if min(right.sum(), (~right).sum()) < _MIN_ANSWERS:
        raise BotError(
            f"There are {right.sum()} right and {(~right).sum()} wrong answers to fit on; it takes {_MIN_ANSWERS} of each. "
            "Add questions with known answers, and ones that the documents don't answer."
        )
    intercept, weights = _logistic(scores, right, np.array([weight for _, weight in fitting]) * len(fitting))
    calibration = Calibration(
        intercept=round(intercept, 4),
        weights={name: round(float(weight), 4) for name, weight in zip(_NAMES, weights, strict=True)},
        provenance={
            "sets": {name: len(half) for name, (half, _) in halves.items()},
            "made_at": datetime.now(UTC).strftime("%Y-%m-%d"),
        },
    )
    held_out = {
        name: [_recalibrated(calibration, *scored) for scored in _with_candidates(half)]
        for name, (_, half) in halves.items()
    }
    errors = {name: calibration_error(reliability(results)) for name, results in held_out.items()}
    measured = [results for results in held_out.values() if results]
    return Fitted(calibration, errors, [_threshold_point(measured, step / 20) for step in range(1, 20)])


def _logistic(
    scores: npt.NDArray[np.float64], right: npt.NDArray[np.bool_], shares: npt.NDArray[np.float64]
) -> tuple[float, npt.NDArray[np.float64]]:
    """Fit (intercept, weights [scores]) without negative weights: drop the score with the lowest one and fit again.

    `scores` [results, scores], `right` and `shares` [results]. Raises BotError if no score is left.
    """
    from sklearn.linear_model import LogisticRegression

    used = np.ones(scores.shape[1], dtype=bool)
    while used.any():
        model = LogisticRegression(C=100.0, max_iter=1000)
        model.fit(scores[:, used], right, sample_weight=shares)
        weights = np.zeros(len(used))
        weights[used] = model.coef_[0]
        if weights.min() >= 0:
            return float(model.intercept_[0]), weights
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


_NAMES = [field.name for field in fields(Features)]


def _weighted(results: Sequence[EvaluationResult]) -> list[tuple[EvaluationResult, float]]:
    """Return the results of one set with weights that add up to 1."""
    off_topic = [result for result in results if _is_off_topic(result.question)]
    others = [result for result in results if not _is_off_topic(result.question)]
    share = (_SHARE_OF_OFF_TOPIC if others else 1.0) if off_topic else 0.0
    return [(result, (1 - share) / len(others)) for result in others] + [
        (result, share / len(off_topic)) for result in off_topic
    ]


def _is_off_topic(question: EvaluationQuestion) -> bool:
    return question.kind is QuestionKind.OFFTOPIC


def halves_by_article(results: Sequence[EvaluationResult]) -> tuple[list[EvaluationResult], list[EvaluationResult]]:
    """Split into results to fit on and to measure on, by article: a folder if the set has several, else a document."""
    documents = [min(result.question.doc_ids or result.question.related, default=None) for result in results]
    folders = {document.rpartition("/")[0] for document in documents if document}
    by_folder = len(folders) >= _MIN_FOLDERS
    halves: tuple[list[EvaluationResult], list[EvaluationResult]] = ([], [])
    for result, document in zip(results, documents, strict=True):
        article = (document.rpartition("/")[0] if document and by_folder else "") or document
        side = hashlib.sha256((article or result.question.id).encode()).digest()[0] % 2
        halves[side].append(result)
    return halves


def _scores(result: EvaluationResult) -> list[float]:
    return list(asdict(result.features).values()) if result.features else []


def _is_right(result: EvaluationResult) -> bool:
    return result.forced is not None and says_right(result.question, result.forced)
