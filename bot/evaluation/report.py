"""Write the report of an evaluation: one self-contained HTML file, and the same figures as JSON for programs.

The texts of questions, answers and documents aren't trusted: they are escaped, and the page may not load or run anything.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from bot.core.documents import trail
from bot.core.errors import BotError
from bot.core.messages import Citation, Outcome
from bot.core.settings import AnswerSettings
from bot.core.text import counted
from bot.evaluation.bound_table import bound_table
from bot.evaluation.metrics import Figures, can_be_graded, is_right, is_useful
from bot.evaluation.plots import Plot, plots
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
    made_at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    mistakes = "\n".join(map(_mistake, worst(results))) or "<p>None.</p>"
    questions = counted(figures.overall.questions, "question")
    content = f"""<p>{questions}, answered from a confidence of {bounds.threshold:.2f} on. Made on {made_at}.</p>
<h2>Figures</h2>
{_table(figures)}
<dl>{"".join(_definition(f"{r.name}: {r.value}", escape(f"{r.meaning}.")) for r in overall_figures(figures))}</dl>
<h2>Plots</h2>
{"".join(map(figure, plots(figures, results, bounds.threshold)))}
<h2>Threshold</h2>
<p>All questions, the surest first. Choose another bound to see which of them it would change; set it as
<code>answer.threshold</code>.</p>
{bound_table(figures, results, bounds)}
<h2>Worst mistakes</h2>
<p>Wrong answers first, the surest first; then answerable questions declined, or with a suggestion of no use. {_WORST} at
most.</p>
{mistakes}"""
    return html_page(title, content)


def html_page(title: str, content: str) -> str:
    """Return a page that loads nothing, with its title above the content, which is HTML."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{content}
</body>
</html>
"""


def _table(figures: Figures) -> str:
    headings = "".join(
        f'<th scope="col">{" ".join(column.heading)}<br><small>{column.measure}</small></th>' for column in COLUMNS
    )
    body = "".join(
        f'<tr><th scope="row">{escape(kind)}</th>{"".join(f"<td>{cell}</td>" for cell in (questions, *cells))}</tr>\n'
        for kind, questions, cells in rows(figures)
    )
    legend = "".join(
        _definition(" ".join((*column.heading, column.measure)).strip(), escape(f"{column.meaning}."))
        for column in COLUMNS
    )
    return f"""<div class="wide" tabindex="0"><table>
<thead><tr><th scope="col">kind</th><th scope="col">asked</th>{headings}</tr></thead>
<tbody>
{body}</tbody>
</table></div>
<details><summary>What the columns mean</summary><dl>{legend}</dl><p>{escape(NOTE)}</p></details>"""


def figure(plot: Plot) -> str:
    """Return a plot as HTML."""
    drawing = plot.svg or "<p>There is nothing to draw.</p>"
    return f"<figure>\n<h3>{escape(plot.title)}</h3>\n{drawing}\n<figcaption>{escape(plot.caption)}</figcaption>\n</figure>\n"


def _mistake(result: EvaluationResult) -> str:
    question, answer = result.question, result.answer
    outcome = "answered wrongly" if answer.answered else answer.outcome.value
    return f"""<article>
<h3>{escape(question.question)}</h3>
<p><strong>{outcome}</strong> with a confidence of {answer.confidence:.2f} · {question.kind} · {escape(question.id)}</p>
<dl>{"".join(_definition(term, description) for term, description in _facts(result))}</dl>
</article>"""


def _facts(result: EvaluationResult) -> Iterator[tuple[str, str]]:
    """Yield the facts about a mistake as pairs (term, description as HTML)."""
    question, answer = result.question, result.answer
    if question.history:
        yield "Said before", "".join(_quoted(f"{said.role}: {said.text}") for said in question.history)
    yield "Right", "".join(map(_quoted, _right_answers(question)))
    if question.doc_ids:
        yield "From", escape(", ".join(sorted(question.doc_ids)))
    yield "Answered", _quoted(answer.text)
    for citation in answer.citations:
        yield "Citation", f"{escape(_place(citation))}{_quoted(citation.quote)}"
    for place in question.places:
        yield "Right place", escape(f"{place.document}, lines {place.first}-{place.last}")
    if answer.retrieved:
        yield "Found", escape(", ".join(answer.retrieved[:5]))


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


def _definition(term: str, description: str) -> str:
    return f"<dt>{escape(term)}</dt><dd>{description}</dd>\n"


def _quoted(text: str) -> str:
    return f"<blockquote>{escape(text)}</blockquote>"


STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --moved: #d9772b33; }
html { background: light-dark(#fff, #16181c); color: light-dark(#1c1e21, #e8e9eb); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.25; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
h3 { margin: 0 0 .5rem; font-size: 1.05rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .7rem; text-align: right; border-bottom: 1px solid var(--line); }
th[scope=row], thead th:first-child { text-align: left; }
tbody tr:last-child > * { font-weight: bold; }
thead small { font-weight: normal; opacity: .75; }
.scrolled { max-height: 30rem; overflow-y: auto; }
.scrolled td { text-align: left; font-weight: normal !important; overflow-wrap: anywhere; }
.scrolled td:last-child { width: 75%; }
fieldset { border: 1px solid var(--line); border-radius: .5rem; }
fieldset label { display: inline-block; padding: .25rem .4rem; }
.effect { display: none; font-weight: 600; }
dt { font-weight: 600; margin-top: .5rem; }
dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 1.5rem 0; }
figcaption { max-width: 40rem; opacity: .8; }
svg { max-width: 100%; height: auto; }
article { border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; margin: 1rem 0; }
blockquote { margin: .25rem 0; padding: .4rem .7rem; background: var(--soft); border-left: 3px solid var(--line);
  white-space: pre-wrap; overflow-wrap: anywhere; }
"""
