"""Describe the figures in plain words: the columns and overall figures of every table, and the table for the terminal."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from bot.core.text import counted
from bot.evaluation.calibration import Fitted
from bot.evaluation.metrics import Figures, HelpShares, MeanScores, PhrasedFigures

NOT_APPLICABLE = "-"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of scores: a heading of two short lines, the standard name of the measure, and its meaning."""

    heading: tuple[str, str]
    measure: str
    meaning: str
    score: str  # the field of Scores


COLUMNS = (
    Column(("found", "1st"), "hit@1", "the right document was found first", "hit_at_1"),
    Column(("found", "in top 5"), "hit@5", "the right document was among the first 5 found", "hit_at_5"),
    Column(("found", "1/rank"), "MRR@10", "1 / rank of the right document, 0 beyond rank 10", "mrr_at_10"),
    Column(("span", "same"), "EM", "the words picked as the answer are exactly a right answer's", "span_exact"),
    Column(
        ("span", "overlap"), "F1", "share of words that the picked ones have in common with a right answer", "span_f1"
    ),
    Column(("answer", "same"), "EM", "the whole answer is exactly a right answer", "answer_exact"),
    Column(
        ("answer", "overlap"),
        "F1",
        "share of words that the whole answer has in common with a right answer, or with the reference",
        "answer_f1",
    ),
    Column(
        ("answered", ""), "", "an answer was given, not declined: 0% is best for unanswerable and offtopic", "answered"
    ),
)
NOTE = "Means over the questions that a column applies to. What was declined counts 0 for span and answer."


@dataclass(frozen=True, slots=True)
class OverallFigure:
    """A figure over all questions."""

    name: str
    value: str
    meaning: str


def rows(figures: Figures) -> Iterator[tuple[str, str, list[str]]]:
    """Yield (kind, number of questions, a text for each of COLUMNS) for each kind and, last, for all questions."""
    for kind, row in (*figures.kinds.items(), ("overall", figures.overall)):
        yield kind, str(row.questions), [_cell(row, column) for column in COLUMNS]


def overall_figures(figures: Figures) -> tuple[OverallFigure, ...]:
    """Return the figures over all questions."""
    latency = f"{milliseconds(figures.p50_ms)} median, {milliseconds(figures.p95_ms)} at the 95th percentile"
    return (
        OverallFigure(
            "precision",
            percent(figures.precision),
            "of the answers given, the share that is right: from a right document and with half the words of a right answer",
        ),
        OverallFigure(
            "AUROC",
            _number(figures.auroc),
            "chance that an answerable question gets a higher confidence than one that isn't; 0.5 is blind guessing",
        ),
        OverallFigure(
            "forced span F1",
            percent(figures.forced_span_f1),
            "share of words that the picked ones have in common with a right answer, if nothing were declined",
        ),
        OverallFigure(
            "calibration error",
            _number(figures.calibration_error),
            "mean distance between the confidence and the share of answers that are right",
        ),
        OverallFigure("latency", latency, "time from question to answer"),
        *(_help_figure(name, shares) for name, shares in figures.help.items()),
        *(_draft_figures(figures.phrased) if figures.phrased else ()),
    )


def _help_figure(subtype: str, shares: HelpShares) -> OverallFigure:
    value = (
        f"{percent(shares.useful)} useful, {percent(shares.wrong)} wrong, {percent(shares.suggested_useful)} suggested and "
        f"useful, {percent(shares.suggested_wrong)} suggested and not, {percent(shares.declined)} declined"
    )
    asked = counted(shares.questions, "question")
    of_kind = "" if subtype == "all" else f" of the kind {subtype}"
    return OverallFigure(
        f"help, {subtype}", value, f"of the {asked}{of_kind} whose useful answers are known by their key words"
    )


def _draft_figures(phrased: PhrasedFigures) -> Iterator[OverallFigure]:
    shares = ", ".join(f"{outcome} {percent(share)}" for outcome, share in phrased.outcomes.items())
    yield OverallFigure(
        f"{phrased.drafts} drafts",
        shares,
        "what became of the language model's words: the documents support every sentence, some, or none that was left",
    )
    if phrased.reasons:
        reasons = ", ".join(f"{reason} {count}" for reason, count in phrased.reasons.items())
        yield OverallFigure("objections", reasons, "in how many drafts something was left out for this reason")
    yield OverallFigure(
        "generated F1",
        f"{percent(phrased.generated_f1)}, quoted {percent(phrased.quoted_f1)}",
        "share of words in common with a right answer, or with the reference, where the model's words were shown, and of the "
        "quotations for the same questions",
    )


def render_table(figures: Figures, title: str) -> Group:
    """Return the table with the overall figures and a legend, for a rich Console of at least 80 columns."""
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    table.add_column("kind", no_wrap=True)
    table.add_column("asked", justify="right")
    for column in COLUMNS:
        table.add_column("\n".join((*column.heading, column.measure)).rstrip(), justify="right")
    for kind, questions, cells in rows(figures):
        table.add_row(kind, questions, *cells, style="bold" if kind == "overall" else None)
    legend = [f"{' '.join((*column.heading, column.measure)).strip()}: {column.meaning}." for column in COLUMNS]
    summary = [f"{figure.name} {figure.value}: {figure.meaning}." for figure in overall_figures(figures)]
    return Group(table, Text(), *map(Text, summary), Text(), Text("\n".join((*legend, NOTE)), style="dim"))


def render_calibration(fitted: Fitted) -> Group:
    """Return the figures of a calibration on the held-out documents, for a rich Console."""
    table = Table(
        title="On the documents that were held out", title_justify="left", box=box.SIMPLE_HEAD, show_edge=False
    )
    for heading in ("threshold", "answered", "of these right"):
        table.add_column(heading, justify="right")
    for point in fitted.thresholds:
        table.add_row(f"{point.threshold:.2f}", percent(point.answered), percent(point.right))
    errors = ", ".join(f"{name} {_number(error)}" for name, error in fitted.errors.items())
    return Group(table, Text(), Text(f"calibration error of each set: {errors}"))


def percent(share: float | None) -> str:
    """Format a share: `0.1234` becomes `12.3%`."""
    return NOT_APPLICABLE if share is None else f"{share:.1%}"


def milliseconds(duration: float | None) -> str:
    """Format a duration: `1.23` becomes `1.2 ms`."""
    return NOT_APPLICABLE if duration is None else f"{duration:.{1 if duration < 10 else 0}f} ms"


def _number(figure: float | None) -> str:
    return NOT_APPLICABLE if figure is None else f"{figure:.3f}"


def _cell(row: MeanScores, column: Column) -> str:
    value: float | None = getattr(row.scores, column.score)
    if value is not None and column.score == "mrr_at_10":  # a mean of fractions, not a share of the questions
        return f"{value:.3f}"
    return percent(value)
