"""Tables as grids of texts: cells that span others are repeated, several header rows become one, and a title row is told."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_LARGEST_SPAN = 100  # columns or rows; more is a mistake or an attack
_LARGEST_GRID = 1_000_000  # cells


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table, with the number of columns and rows that it spans."""

    text: str
    columns: int = 1
    rows: int = 1
    header: bool = False


def expanded(rows: Iterable[Sequence[Cell]]) -> Iterator[list[Cell]]:
    """The rows with a cell at each place that it spans. A cell that is a row by itself stays in the first column."""
    hanging: dict[int, tuple[Cell, int]] = {}  # cells that go on in the next row, with the rows left, by column
    count = 0
    for cells in rows:
        row: list[Cell] = []
        alone = len(cells) == 1 and not hanging
        waiting = list(cells)[::-1]
        while waiting or len(row) in hanging:
            column = len(row)
            if column in hanging:
                cell, left = hanging.pop(column)
                if left > 1:
                    hanging[column] = (cell, left - 1)
                row.append(cell)
                continue
            cell = waiting.pop()
            for _ in range(1 if alone else min(cell.columns, _LARGEST_SPAN)):
                if cell.rows > 1:
                    hanging[len(row)] = (cell, min(cell.rows, _LARGEST_SPAN) - 1)
                row.append(cell)
        count += len(row)
        if count > _LARGEST_GRID:
            return
        yield row


def with_one_header(rows: Sequence[Sequence[str]], headers: int) -> list[list[str]]:
    """The rows with the first `headers` of them joined into one, column by column, each text once."""
    if headers < 2:
        return [list(row) for row in rows]
    width = max(map(len, rows))
    columns = ([row[n] for row in rows[:headers] if n < len(row) and row[n]] for n in range(width))
    return [[" ".join(dict.fromkeys(texts)) for texts in columns], *map(list, rows[headers:])]
