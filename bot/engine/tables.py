"""Looking up a cell: the row that a question names, in the column that it asks for."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from bot.core.documents import Block
from bot.core.text import Span, line_spans, stems, stripped

Cell = tuple[Span, frozenset[str]]
"""Where a cell stands in the table, and the stems of its words."""


def cell_asked_for(question: str, table: Block) -> Span | None:
    """The characters of the cell that answers; None where the question names no row, or more than one equally well.

    The row is the one with the most words of the question that few other rows have; the column is the one whose head the
    question names, other than the one that the row was found by. Where it names no column, the whole row answers.
    """
    lines = [line for line in line_spans(table.text) if table.text[slice(*line)].strip()]
    head = _cells(table.text, lines[0]) if not table.context else _cells(table.context, (0, len(table.context)))
    rows = [cells for line in lines[0 if table.context else 2 :] if len(cells := _cells(table.text, line)) == len(head)]
    asked = stems(question)
    row = _row_named(asked, rows)
    if row is None:
        return None
    named = asked & frozenset().union(*(words for _, words in row))
    columns = [
        (len(words & asked) / len(words), -number)
        for number, ((_, words), (_, said)) in enumerate(zip(head, row, strict=True))
        if words & asked and not said & named
    ]
    if not columns:
        return row[0][0][0], row[-1][0][1]
    return row[-max(columns)[1]][0]


def _row_named(asked: frozenset[str], rows: Sequence[Sequence[Cell]]) -> Sequence[Cell] | None:
    said = [frozenset().union(*(words for _, words in row)) & asked for row in rows]
    common = Counter(word for words in said for word in words)
    scores = [sum(1 / common[word] for word in words if common[word] < len(rows) or len(rows) == 1) for words in said]
    best = max(scores, default=0.0)
    return rows[scores.index(best)] if best > 0 and scores.count(best) == 1 else None


def _cells(text: str, line: Span) -> list[Cell]:
    """The cells of a line between its bars."""
    start, end = line
    end = min(end, text.find("\n", start) if "\n" in text[start:end] else end)
    bars = [number for number in range(start, end) if text[number] == "|" and (number == 0 or text[number - 1] != "\\")]
    borders = [*([] if bars[:1] == [start] else [start - 1]), *bars, *([] if bars[-1:] == [end - 1] else [end])]
    spans = [stripped(text, (left + 1, right)) for left, right in pairwise(borders)]
    return [(span, stems(text[slice(*span)]) if span[0] < span[1] else frozenset()) for span in spans]
