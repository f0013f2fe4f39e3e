"""Draw the report's plots as inline SVG. matplotlib is imported on use, because it is an extra and slow to import.

Axes and labels have the page's text colour, so that the plots are readable on dark and on light pages.
"""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.core.errors import BotError, to_install
from bot.evaluation.metrics import CoveragePoint, Figures
from bot.evaluation.run import EvaluationResult
from bot.evaluation.table import milliseconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A placeholder for the page's text colour, which matplotlib can't express. It occurs nowhere else in an SVG.
_INK = "#010203"
_BLUE, _ORANGE = "#3b82c4", "#d9772b"  # readable on white and on black
_SIZE = (6.4, 3.4)  # inches


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot. `svg` is well-formed XML with ids that are unique on the page, or None if there is nothing to draw."""

    title: str
    caption: str
    svg: str | None


def require_matplotlib() -> None:
    """Raise a BotError that names the packages to install if matplotlib is missing. Call it before a long evaluation."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise BotError(f"The report needs matplotlib. Install it {to_install('report')}") from error


def plots(figures: Figures, results: Sequence[EvaluationResult], threshold: float) -> list[Plot]:
    """Return all plots of a report. `threshold` is the one in use. Raises BotError without matplotlib."""
    require_matplotlib()
    curve = figures.precision_at_coverage
    return [
        Plot(
            "Precision against coverage",
            "How much of what is answered is right, if only the surest share of the questions were answered. The dot is the "
            "threshold in use; each mark is another one that could be set.",
            drawn("coverage", lambda axes: _draw_coverage(axes, curve, threshold)) if curve else None,
        ),
        Plot(
            "Reliability",
            "Of the answers with about this confidence, so many are right. On the dashed line confidence keeps its promise; "
            "above it the bot is too modest, below it too sure. Larger dots stand for more questions.",
            drawn("reliability", lambda axes: _draw_reliability(axes, figures)) if figures.reliability else None,
        ),
        Plot(
            "Confidence",
            "What the bot is sure of. The better the two colours are kept apart by the threshold, the better it knows "
            "what it doesn't know.",
            drawn("confidence", lambda axes: _draw_confidence(axes, results, threshold)) if results else None,
        ),
        Plot(
            "Latency",
            "Time from question to answer.",
            drawn("latency", lambda axes: _draw_latency(axes, figures, results)) if results else None,
        ),
    ]


def _draw_coverage(axes: "Axes", curve: Sequence[CoveragePoint], threshold: float) -> None:
    axes.plot([100 * point.coverage for point in curve], [100 * point.precision for point in curve], color=_BLUE)
    for other in (0.1, 0.3, 0.5, 0.7, 0.9):
        if point := _at(curve, other):
            axes.plot(100 * point.coverage, 100 * point.precision, "|", color=_INK)
            axes.annotate(
                f"{other:g}", (100 * point.coverage, 100 * point.precision), (0, 6), textcoords="offset points"
            )
    if point := _at(curve, threshold):
        axes.plot(100 * point.coverage, 100 * point.precision, "o", color=_BLUE)
    axes.set(xlim=(0, 100), ylim=(0, 105), xlabel="questions answered, %", ylabel="of these right, %")


def _at(curve: Sequence[CoveragePoint], threshold: float) -> CoveragePoint | None:
    """Return the point of a threshold, or None if no question reaches it."""
    return next((point for point in reversed(curve) if point.threshold >= threshold), None)


def _draw_reliability(axes: "Axes", figures: Figures) -> None:
    axes.plot((0, 1), (0, 1), "--", color=_INK)
    most = max(each.questions for each in figures.reliability)
    for each in figures.reliability:
        axes.plot(each.confidence, each.right, "o", color=_BLUE, markersize=3 + 9 * (each.questions / most) ** 0.5)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="share of right answers")


def _draw_confidence(axes: "Axes", results: Sequence[EvaluationResult], threshold: float) -> None:
    answerable = [r.answer.confidence for r in results if r.question.kind.expects_answer]
    others = [r.answer.confidence for r in results if not r.question.kind.expects_answer]
    for confidences, colour, label in ((answerable, _BLUE, "answerable"), (others, _ORANGE, "not answerable")):
        if confidences:
            axes.hist(confidences, bins=25, range=(0, 1), color=colour, alpha=0.65, label=label)
    axes.axvline(threshold, color=_INK, linestyle="--", label=f"threshold {threshold:.2f}")
    axes.set(xlim=(0, 1), xlabel="confidence", ylabel="questions")
    _legend_above(axes)


def _draw_latency(axes: "Axes", figures: Figures, results: Sequence[EvaluationResult]) -> None:
    axes.hist([result.latency_ms for result in results], bins=30, color=_BLUE, alpha=0.65)
    for name, duration, style in (("median", figures.p50_ms, "--"), ("95th percentile", figures.p95_ms, ":")):
        if duration is not None:
            axes.axvline(duration, color=_INK, linestyle=style, label=f"{name} {milliseconds(duration)}")
    axes.set(xlabel="milliseconds", ylabel="questions")
    axes.set_xlim(left=0)
    _legend_above(axes)


def _legend_above(axes: "Axes") -> None:
    """Draw the legend above the axes, so that it hides no bar."""
    axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)


def drawn(name: str, draw: Callable[["Axes"], None]) -> str:
    """Return the plot that `draw` makes as an SVG element. `name` makes its ids unique on the page."""
    import matplotlib
    from matplotlib.figure import Figure  # without pyplot, which keeps every figure and asks for a window

    colours = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    style: Any = dict.fromkeys(colours, _INK)  # Any: newer versions list every key in its type, older ones take a str
    style |= {"axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none", "svg.hashsalt": name}
    image = io.StringIO()
    with matplotlib.rc_context(style):
        figure = Figure(figsize=_SIZE, layout="constrained")
        draw(figure.add_subplot())
        metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # None: left out
        figure.savefig(image, format="svg", transparent=True, metadata=metadata)
    return _inline(image.getvalue(), name)


def _inline(document: str, name: str) -> str:
    """Return the `svg` element of a document with ids prefixed by `name`, and ink in the page's text colour."""
    element = document[document.index("<svg") :].strip()
    element = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", element)
    return element.replace(_INK, "currentColor")
