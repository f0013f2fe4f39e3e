"""Write the report of an evaluation: one self-contained HTML file, and the same figures as JSON for programs.

The texts of questions, answers and documents aren't trusted: they are escaped, and the page may not load or run anything.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from bot.core.documents import trail
from bot.core.errors import BotError
from bot.core.messages import Citation, Outcome
from bot.core.settings import AnswerSettings
from bot.core.text import counted
from bot.evaluation.bound_table import bound_table
from bot.evaluation.metrics import Figures, can_be_graded, is_right, is_useful
from bot.evaluation.pages import render
from bot.evaluation.plots import plots
from bot.evaluation.questions import EvaluationQuestion
from bot.evaluation.run import EvaluationResult
from bot.evaluation.table import COLUMNS, NOTE, overall_figures, rows

_WORST = 20


def write_report(
    folder: Path, figures: Figures, results: Sequence[EvaluationResult], *, bounds: AnswerSettings, title: str
) -> Path:
    """Write `figures.json` and `index.html` into a folder, which is created if missing, and return the path of the page.

    `bounds` are those in use. Blocks for seconds. Raises BotError if matplotlib is missing (after `figures.json` is
    written) or if the folder isn't writable.
    """
    page = folder / "index.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "figures.json").write_text(json.dumps(figures.to_json(), indent=2) + "\n", encoding="utf-8")
        page.write_text(_page(title, figures, results, bounds), encoding="utf-8")
    except OSError as error:
        raise BotError(
            f"{folder}: the report can't be written ({error.strerror or error}); name another folder"
        ) from error
    return page


def worst(results: Sequence[EvaluationResult], limit: int = _WORST) -> list[EvaluationResult]:
    """Return the worst mistakes: wrong answers, the most confident first, then missed questions, the least confident first.

    An answerable question is missed if it is declined or gets a useless suggestion. Answers and suggestions that can't be
    graded are left out.
    """
    wrong = [r for r in results if r.answer.answered and can_be_graded(r.question) and not is_right(r)]
    missed = [r for r in results if r.question.kind.expects_answer and _is_missed(r)]
    wrong.sort(key=lambda result: -result.answer.confidence)
    missed.sort(key=lambda result: result.answer.confidence)
    return (wrong + missed)[:limit]


def _is_missed(result: EvaluationResult) -> bool:
    if result.answer.outcome is Outcome.SUGGESTED:
        return can_be_graded(result.question) and not is_useful(result)
    return not result.answer.answered


def _page(title: str, figures: Figures, results: Sequence[EvaluationResult], bounds: AnswerSettings) -> str:
    return render(
        "report.html",
        title=title,
        bounds=bounds,
        made_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        questions=counted(figures.overall.questions, "question"),
        columns=COLUMNS,
        rows=list(rows(figures)),
        note=NOTE,
        overall=overall_figures(figures),
        plots=plots(figures, results, bounds.threshold),
        table=bound_table(figures, results, bounds),
        most=_WORST,
        mistakes=[(one, list(_facts(one))) for one in worst(results)],
    )


class _Fact(NamedTuple):
    """A fact about a mistake: a text, quotes, or both."""

    term: str
    text: str = ""
    quotes: Sequence[str] = ()


def _facts(result: EvaluationResult) -> Iterator[_Fact]:
    """Yield the facts about a mistake."""
    question, answer = result.question, result.answer
    if question.history:
        yield _Fact("Said before", quotes=[f"{said.role}: {said.text}" for said in question.history])
    yield _Fact("Right", quotes=_right_answers(question))
    if question.doc_ids:
        yield _Fact("From", ", ".join(sorted(question.doc_ids)))
    yield _Fact("Answered", quotes=[answer.text])
    for citation in answer.citations:
        yield _Fact("Citation", _place(citation), [citation.quote])
    for place in question.places:
        yield _Fact("Right place", f"{place.document}, lines {place.first}-{place.last}")
    if answer.retrieved:
        yield _Fact("Found", ", ".join(answer.retrieved[:5]))


def _right_answers(question: EvaluationQuestion) -> tuple[str, ...]:
    if not question.kind.expects_answer:
        return ("Nothing: the documents don't answer this.",)
    return (
        question.answers or question.key or (question.reference or "An answer; the question file doesn't say which.",)
    )


def _place(citation: Citation) -> str:
    """Return the place of a citation: `guide.md › Install › Windows, lines 3-9`."""
    place = trail(citation.document, citation.heading)
    if citation.lines:
        first, last = citation.lines
        return f"{place}, line {first}" if first == last else f"{place}, lines {first}-{last}"
    numbers = (("page", citation.page), ("row", citation.row))
    return ", ".join((place, *(f"{name} {number}" for name, number in numbers if number is not None)))
