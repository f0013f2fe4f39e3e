"""Look up the cell of a table that a question asks for, by the names of its row and its column."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from bot.core.documents import Block
from bot.core.text import Span, line_spans, stems, stripped

Cell = tuple[Span, frozenset[str]]
"""The span of a cell in the table, and the stems of its words."""


# The values of yes-or-no columns.
_YES = {"yes", "y", "true", "included", "✓", "✔", "✅", "☑", "x"}
_NO = {"no", "n", "false", "none", "not included", "-", "–", "—", "✗", "✘", "❌", "☐"}
_NEGATED = re.compile(r"\b(?:no|not|without|lacks?|never)\b|n't\b", re.IGNORECASE)


def cell_asked_for(question: str, table: Block) -> Span | None:
    """Return the span of the cell that answers, or None if the question names no row or several equally well.

    The row is the one with the most words of the question that few other rows have. The column is the one whose header the
    question names, except the column that named the row. If the question names no column, the whole row answers. If it names
    no row but a yes-or-no column, the first cell of the only row with that value answers.
    """
    lines = [line for line in line_spans(table.text) if table.text[slice(*line)].strip()]
    head = _cells(table.text, lines[0]) if not table.context else _cells(table.context, (0, len(table.context)))
    rows = [cells for line in lines[0 if table.context else 2 :] if len(cells := _cells(table.text, line)) == len(head)]
    asked = stems(question)
    row = _named_row(asked, rows)
    if row is None:
        return _row_with_value(question, asked, head, rows, table.text)
    named = asked & (
        _row_stems(row) - frozenset.intersection(*map(_row_stems, rows)) if len(rows) > 1 else _row_stems(row)
    )
    columns = [
        (len(words & asked) / len(words), -number)
        for number, ((_, words), (_, said)) in enumerate(zip(head, row, strict=True))
        if words & asked and not said & named
    ]
    if not columns:
        return row[0][0][0], row[-1][0][1]
    return row[-max(columns)[1]][0]


def _row_with_value(
    question: str, asked: frozenset[str], head: Sequence[Cell], rows: Sequence[Sequence[Cell]], text: str
) -> Span | None:
    """Return the first cell of the only row with "yes" in the column that the question names, or "no" if it is negated."""
    named = (number for number, (_, words) in enumerate(head) if number and words and words <= asked)
    if (column := next(named, None)) is None:
        return None
    said = [text[slice(*row[column][0])].strip(" *_`").lower() for row in rows]
    if not set(said) <= {*_YES, *_NO, ""}:
        return None
    wanted = _NO if _NEGATED.search(question) else _YES
    having = [row for row, word in zip(rows, said, strict=True) if word in wanted]
    return having[0][0][0] if len(having) == 1 else None


def _named_row(asked: frozenset[str], rows: Sequence[Sequence[Cell]]) -> Sequence[Cell] | None:
    said = [_row_stems(row) & asked for row in rows]
    common = Counter(word for words in said for word in words)
    scores = [sum(1 / common[word] for word in words if common[word] < len(rows) or len(rows) == 1) for words in said]
    best = max(scores, default=0.0)
    return rows[scores.index(best)] if best > 0 and scores.count(best) == 1 else None


def _row_stems(row: Sequence[Cell]) -> frozenset[str]:
    return frozenset().union(*(words for _, words in row))


def _cells(text: str, line: Span) -> list[Cell]:
    """Return the cells of a line, which are separated by bars."""
    start, end = line
    end = min(end, text.find("\n", start) if "\n" in text[start:end] else end)
    bars = [number for number in range(start, end) if text[number] == "|" and (number == 0 or text[number - 1] != "\\")]
    borders = [*([] if bars[:1] == [start] else [start - 1]), *bars, *([] if bars[-1:] == [end - 1] else [end])]
    spans = [stripped(text, (left + 1, right)) for left, right in pairwise(borders)]
    return [(span, stems(text[slice(*span)]) if span[0] < span[1] else frozenset()) for span in spans]
