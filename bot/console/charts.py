"""Charts as SVG, drawn by the templates' style sheet: classes for colours, so that they follow a dark page; no script."""

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from bot.evaluation.golden import GoldenResult

_WIDTH, _HEIGHT = 720, 200
_LEFT, _BOTTOM, _TOP = 60, 26, 12
_STEPS = 40  # of the strip of confidences
_WIDEST_DAY = 48
_NAME, _ROW = 150, 30  # of a chart with bars: the width of their names, the height of each


def _svg(title: str, parts: Iterable[str], width: int = _WIDTH, height: int = _HEIGHT) -> Markup:
    """Return a picture with a title for screen readers. The parts are made of numbers and of escaped text."""
    inner = Markup("").join(Markup(part) for part in parts)  # noqa: S704 - made here, of numbers and escaped text
    return Markup('<svg class="chart" role="img" viewBox="0 0 {} {}"><title>{}</title>{}</svg>').format(
        width, height, title, inner
    )


def _text(x: float, y: float, said: str, anchor: str = "middle") -> str:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, said)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _y(share: float) -> float:
    """Return the height of a value between 0 and 1."""
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)


def _scale(labels: Sequence[tuple[float, str]]) -> list[str]:
    """Return lines across, with labels at their left: (height between 0 and 1, label)."""
    lines = [_line(_LEFT, _y(share), _WIDTH, _y(share), "grid") for share, _ in labels]
    return lines + [_text(_LEFT - 6, _y(share) + 4, label, "end") for share, label in labels]


def days_chart(days: Sequence[tuple[str, Sequence[int]]]) -> Markup:
    """Stacked columns: (day, numbers of questions answered, suggested, declined)."""
    most = max((sum(counts) for _, counts in days), default=0) or 1
    most += most % 2  # so that its half is a number of questions, too
    parts = _scale([(0, "0"), (0.5, f"{most // 2}"), (1, f"{most}")])
    step = min(_WIDEST_DAY, (_WIDTH - _LEFT) / max(1, len(days)))
    for number, (day, counts) in enumerate(days):
        x, below = _LEFT + number * step, 0
        for kind, count in zip(("answered", "suggested", "declined"), counts, strict=True):
            top, bottom = _y((below + count) / most), _y(below / most)
            title = Markup("<title>{}: {} {}</title>").format(day, count, kind)
            parts.append(
                f'<rect class="{kind}" x="{x + 1:.1f}" y="{top:.1f}" width="{max(1.0, step - 2):.1f}" '
                f'height="{bottom - top:.1f}">{title}</rect>'
            )
            below += count
        if number % max(1, len(days) // 6) == 0:
            parts.append(_text(min(x + step / 2, _WIDTH - 30), _HEIGHT - 6, day[5:]))
    return _svg("Questions by day and outcome", parts)


def calibration_chart(bins: Sequence[tuple[float, float, int]]) -> Markup:
    """Dots: (confidence, share that was helpful, number of ratings); on the diagonal the confidence is right."""
    x0, x1 = _LEFT, _WIDTH

    def x(share: float) -> float:
        return x0 + share * (x1 - x0)

    parts = [*_scale([(0, "0%"), (0.5, "50%"), (1, "100%")]), _line(x(0), _y(0), x(1), _y(1), "ideal")]
    parts += [_text(x(share), _HEIGHT - 6, f"{share:g}", "end" if share == 1 else "middle") for share in (0, 0.5, 1)]
    for confidence, helpful, ratings in bins:
        title = Markup("<title>confidence {:.2f}: {:.0%} of {} helpful</title>").format(confidence, helpful, ratings)
        parts.append(f'<circle class="dot" cx="{x(confidence):.1f}" cy="{_y(helpful):.1f}" r="7">{title}</circle>')
    return _svg("Share of helpful answers by confidence", parts)


def golden_chart(results: Sequence[GoldenResult]) -> Markup:
    """Return a line of the share of golden questions that were answered as expected, from the first result to the last."""
    parts = _scale([(0, "0%"), (0.5, "50%"), (1, "100%")])
    step = (_WIDTH - _LEFT - 16) / max(1, len(results) - 1)
    dots = [(_LEFT + 8 + number * step, _y(one.right / max(1, one.asked)), one) for number, one in enumerate(results)]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in dots)
    parts.append(f'<polyline class="curve" points="{points}"/>')
    for x, y, one in dots:
        title = Markup("<title>{} of {}</title>").format(one.right, one.asked)
        parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="5">{title}</circle>')
    return _svg("Golden questions answered as expected, over time", parts)


def latency_chart(stages: Sequence[tuple[str, float, float]]) -> Markup:
    """Bars: (stage, milliseconds that half of the questions take up to, milliseconds that 19 of 20 take up to)."""
    most, bottom = max((slow for _, _, slow in stages), default=0) or 1, _ROW * len(stages)

    def x(milliseconds: float) -> float:
        return _NAME + milliseconds / most * (_WIDTH - _NAME)

    parts = []
    for share in (0, 0.5, 1):
        at = x(share * most)
        label = f"{share * most:.0f} ms" if share else "0"
        parts += [
            _line(at, 0, at, bottom, "grid"),
            _text(at, bottom + 18, label, "end" if share == 1 else "middle"),
        ]
    for number, (stage, median, slow) in enumerate(stages):
        top = number * _ROW
        title = Markup("<title>{}: half up to {:.0f} ms, 19 of 20 up to {:.0f} ms</title>").format(stage, median, slow)
        parts.append(_text(_NAME - 8, top + _ROW / 2 + 4, stage, "end"))
        parts += [
            f'<rect class="{kind}" x="{_NAME}" y="{top + 5}" width="{max(1.0, x(value) - _NAME):.1f}" '
            f'height="{_ROW - 10}">{title}</rect>'
            for kind, value in (("slow", slow), ("usual", median))
        ]
    return _svg("Time that answers take, by stage", parts, height=bottom + _BOTTOM)


def confidence_strip(confidences: Sequence[float], threshold: float, suggest: float) -> Markup:
    """Columns: the number of questions by confidence, coloured by their outcome at the two bounds."""
    counts = [0] * _STEPS
    for confidence in confidences:
        counts[min(_STEPS - 1, int(confidence * _STEPS))] += 1
    most, step = max(counts, default=0) or 1, (_WIDTH - _LEFT) / _STEPS
    parts = _scale([(0, "0"), (1, f"{most}")])
    for number, count in enumerate(counts):
        middle = (number + 0.5) / _STEPS
        kind = "answered" if middle >= threshold else "suggested" if middle >= suggest else "declined"
        top = _y(count / most)
        title = Markup("<title>{} of about {:.2f}</title>").format(count, middle)
        parts.append(
            f'<rect class="{kind}" x="{_LEFT + number * step + 1:.1f}" y="{top:.1f}" width="{step - 2:.1f}" '
            f'height="{_y(0) - top:.1f}">{title}</rect>'
        )
    for bound in (threshold, suggest):
        parts.append(_line(_LEFT + bound * (_WIDTH - _LEFT), _TOP, _LEFT + bound * (_WIDTH - _LEFT), _y(0), "bound"))
    parts += [
        _text(_LEFT + share * (_WIDTH - _LEFT), _HEIGHT - 6, f"{share:g}", "end" if share == 1 else "middle")
        for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    return _svg("Questions by confidence, with both bounds", parts)
