"""The report's threshold: the questions by confidence, and their outcomes at each bound that is chosen on the page.

The page may run no script. So the bounds are radio buttons, between which the arrow keys move, and the style sheet shows each
row with its outcome at the chosen bound: rows are in the order of their confidence, so a bound is a place between two rows.
"""

from collections import Counter
from collections.abc import Sequence
from html import escape

from bot.core.messages import Outcome
from bot.core.settings import AnswerSettings
from bot.core.text import counted
from bot.evaluation.bounds import BOUNDED, outcome_at
from bot.evaluation.metrics import CoveragePoint, Figures
from bot.evaluation.run import EvaluationResult

_STEPS = tuple(step / 20 for step in range(1, 20))


def bound_table(figures: Figures, results: Sequence[EvaluationResult], held: AnswerSettings) -> str:
    """Return the section as HTML. `held` has the bounds at which the questions were asked."""
    asked = sorted((one for one in results if one.answer.outcome in BOUNDED), key=lambda one: -one.answer.confidence)
    if not asked:
        return "<p>No question was asked.</p>"
    bounds = [_moved(held, threshold) for threshold in sorted({*_STEPS, held.threshold})]
    choices = "".join(_choice(number, bound, held) for number, bound in enumerate(bounds))
    effects = "".join(
        f'<p class="effect" id="effect-{number}">{escape(_effect(asked, figures.precision_at_coverage, bound, held))}</p>\n'
        for number, bound in enumerate(bounds)
    )
    rows = "".join(_row(one, held) for one in asked)
    return f"""<div class="bounds">
<style>{"".join(_rules(number, asked, bound, held) for number, bound in enumerate(bounds))}</style>
<fieldset><legend>Answer from a confidence of</legend>{choices}</fieldset>
{effects}<div class="wide scrolled" tabindex="0"><table>
<thead><tr><th scope="col">confidence</th><th scope="col">outcome</th><th scope="col">question</th></tr></thead>
<tbody>
{rows}</tbody>
</table></div>
</div>"""


def _moved(held: AnswerSettings, threshold: float) -> AnswerSettings:
    suggest = min(threshold, held.suggest_threshold)
    return held.model_copy(update={"threshold": threshold, "suggest_threshold": suggest})


def _choice(number: int, bound: AnswerSettings, held: AnswerSettings) -> str:
    in_use = bound.threshold == held.threshold
    return (
        f'<label><input type="radio" name="bound" id="bound-{number}"{" checked" if in_use else ""}> '
        f"{bound.threshold:g}{' (in use)' if in_use else ''}</label> "
    )


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


def _rules(number: int, asked: Sequence[EvaluationResult], bound: AnswerSettings, held: AnswerSettings) -> str:
    """Show the effect of a bound, and of each row the outcome on its side of it; mark the rows that change."""
    above = sum(one.answer.confidence >= bound.threshold for one in asked)
    before = sum(one.answer.confidence >= held.threshold for one in asked)
    first, last = min(above, before) + 1, max(above, before)
    chosen = f".bounds:has(#bound-{number}:checked)"
    return (
        f"{chosen} #effect-{number}{{display:block}}"
        f"{chosen} tr:nth-child(-n+{above}) .below,{chosen} tr:nth-child(n+{above + 1}) .above{{display:none}}"
        f"{chosen} tbody tr.bounded:nth-child(n+{first}):nth-child(-n+{last}){{background:var(--moved)}}\n"
    )


def _row(one: EvaluationResult, held: AnswerSettings) -> str:
    confidence = one.answer.confidence
    above = _outcome_at(one, _moved(held, confidence), held)
    below = _outcome_at(one, held.model_copy(update={"threshold": 2.0}), held)
    kind = ' class="bounded"' if above is not below else ""
    return (
        f"<tr{kind}><td>{confidence:.2f}</td>"
        f'<td><span class="above">{above.value}</span><span class="below">{below.value}</span></td>'
        f"<td>{escape(one.question.question)}</td></tr>\n"
    )


def _outcome_at(one: EvaluationResult, bounds: AnswerSettings, held: AnswerSettings) -> Outcome:
    """Return the outcome at these bounds. Where a question is declined above them, there was no text to answer with."""
    answer = one.answer
    if answer.outcome is Outcome.DECLINED and one.forced is None:
        return Outcome.DECLINED
    return outcome_at(answer.outcome, answer.confidence, bounds, held)
