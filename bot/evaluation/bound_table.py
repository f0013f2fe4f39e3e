"""The report's threshold: the questions by confidence, and their outcomes at each bound that is chosen on the page.

The page may run no script. So the bounds are radio buttons, between which the arrow keys move, and the style sheet shows each
row with its outcome at the chosen bound: rows are in the order of their confidence, so a bound is a place between two rows.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bot.core.messages import Outcome
from bot.core.settings import AnswerSettings
from bot.core.text import counted
from bot.evaluation.bounds import BOUNDED, outcome_at
from bot.evaluation.metrics import CoveragePoint, Figures
from bot.evaluation.run import EvaluationResult

_STEPS = tuple(step / 20 for step in range(1, 20))


@dataclass(frozen=True, slots=True)
class Bound:
    """A threshold to choose, and its effect in words.

    The first `above` rows are above it. From the row `first` to the row `last`, counted from 1, the outcome changes.
    """

    number: int
    threshold: float
    in_use: bool
    effect: str
    above: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Row:
    """A question, and its outcomes where it is above the bound and below it."""

    question: str
    confidence: float
    above: str
    below: str


@dataclass(frozen=True, slots=True)
class BoundTable:
    """The bounds, lowest first, and the questions, surest first."""

    bounds: Sequence[Bound]
    rows: Sequence[Row]


def bound_table(figures: Figures, results: Sequence[EvaluationResult], held: AnswerSettings) -> BoundTable:
    """Return what the section shows. `held` has the bounds at which the questions were asked."""
    asked = sorted((one for one in results if one.answer.outcome in BOUNDED), key=lambda one: -one.answer.confidence)
    before = _above(asked, held.threshold)
    bounds = []
    for number, threshold in enumerate(sorted({*_STEPS, held.threshold})):
        effect = _effect(asked, figures.precision_at_coverage, _moved(held, threshold), held)
        above = _above(asked, threshold)
        first, last = min(above, before) + 1, max(above, before)
        bounds.append(Bound(number, threshold, threshold == held.threshold, effect, above, first, last))
    return BoundTable(bounds, [_row(one, held) for one in asked])


def _above(asked: Sequence[EvaluationResult], threshold: float) -> int:
    return sum(one.answer.confidence >= threshold for one in asked)


def _moved(held: AnswerSettings, threshold: float) -> AnswerSettings:
    suggest = min(threshold, held.suggest_threshold)
    return held.model_copy(update={"threshold": threshold, "suggest_threshold": suggest})


def _effect(
    asked: Sequence[EvaluationResult], curve: Sequence[CoveragePoint], bound: AnswerSettings, held: AnswerSettings
) -> str:
    """Say how many questions would be answered, suggested and declined, and how many of the answers would be right."""
    counts = Counter(_outcome_at(one, bound, held) for one in asked)
    changes = sum(_outcome_at(one, bound, held) is not one.answer.outcome for one in asked)
    # The point of the lowest confidence that is still answered.
    point = next((point for point in reversed(curve) if point.threshold >= bound.threshold), None)
    right = f" (right: {point.precision:.0%})" if point else ""
    return (
        f"{counts[Outcome.ANSWERED]} answered{right}, {counts[Outcome.SUGGESTED]} suggested, {counts[Outcome.DECLINED]} "
        f"declined; {counted(changes, 'question changes', 'questions change')}."
    )


def _row(one: EvaluationResult, held: AnswerSettings) -> Row:
    confidence = one.answer.confidence
    above = _outcome_at(one, _moved(held, confidence), held)
    below = _outcome_at(one, held.model_copy(update={"threshold": 2.0}), held)
    return Row(one.question.question, confidence, above.value, below.value)


def _outcome_at(one: EvaluationResult, bounds: AnswerSettings, held: AnswerSettings) -> Outcome:
    """Return the outcome at these bounds. Where a question is declined above them, there was no text to answer with."""
    answer = one.answer
    if answer.outcome is Outcome.DECLINED and one.forced is None:
        return Outcome.DECLINED
    return outcome_at(answer.outcome, answer.confidence, bounds, held)
