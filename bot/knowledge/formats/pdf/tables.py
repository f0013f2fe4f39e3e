"""Tables of a PDF without rules: lines whose cells stand in the same columns, with those that go on below."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from bot.knowledge.formats.pdf.lines import Line, LineCell
from bot.knowledge.formats.tables import Cell, Grid, laid_out

_WIDEST_GAP = 3.0  # in font sizes: the widest between a row and what goes on below it
_NARROWER = 0.35  # in font sizes: the least by which a gap within a row is narrower than one between rows

Columns = list[tuple[float, float]]
"""The left and the right edge of each column."""


def table_end(lines: Sequence[Line], start: int, is_heading: Callable[[int], bool]) -> int:
    """Return the end of the table that begins at a line; the next line if none does."""
    columns: Columns = [(cell.left, cell.right) for cell in lines[start].cells]
    end = start + 1
    if len(columns) < 2:
        return end
    while end < len(lines):
        before, line = lines[end - 1], lines[end]
        if line.rows or (is_heading(end) and not before.bold):
            break
        if line.page == before.page and not -0.5 < gap_below(before, line) < _WIDEST_GAP + before.size:
            break
        wider = _with(columns, line, is_second=end == start + 1)
        if wider is None or not (len(line.cells) > 1 or _goes_on(columns, before, line)):
            break
        columns = wider
        end += 1
    while end > start + 1 and len(lines[end - 1].cells) < 2 and lines[end - 1].left < columns[0][1]:
        end -= 1  # what follows the table begins at its left edge too
    return end


def gap_below(before: Line, after: Line) -> float:
    """Return the gap between two lines in font sizes; negative if the second isn't below the first, 0 across pages."""
    if before.page != after.page:
        return 0.0
    return (before.bottom - after.top) / max(before.size, after.size)


def aligned_grid(lines: Sequence[Line]) -> Grid:
    """Return the cells of a table without rules. Its header has two rows if cells of the first span several columns."""
    columns = _columns(lines)
    gaps = [gap_below(before, after) for before, after in pairwise(lines)]
    widest = max(gaps, default=0.0)
    rows: list[list[Cell]] = []
    for number, line in enumerate(lines):
        row = _row(columns, line)
        filled = sum(cell.columns for cell in row if cell.text)
        within = number > 0 and gaps[number - 1] < widest - _NARROWER and filled < len(columns)
        if rows and (not row[0].text or within) and len(rows[-1]) == len(row):
            rows[-1] = [
                Cell(" ".join(filter(None, (above.text, below.text))), above.columns)
                for above, below in zip(rows[-1], row, strict=True)
            ]
        elif not (rows and row == rows[0]):  # the header again, on the next page
            rows.append(row)
    spanning = len(rows) > 2 and any(cell.columns > 1 for cell in rows[0])
    return replace(laid_out(rows), headers=2 if spanning else 1)


def ruled_grid(lines: Sequence[Line]) -> Grid:
    """Return the cells of a table between rules, with its parts on further pages, which may repeat the header."""
    header = lines[0].rows[0]
    rows = [
        list(row)
        for line in lines
        for number, row in enumerate(line.rows)
        if line is lines[0] or number or row != header
    ]
    spanning = len(rows) > 2 and any(one and one == other for one, other in pairwise(header))
    return Grid(rows, headers=2 if spanning else 1)


def _with(columns: Columns, line: Line, *, is_second: bool) -> Columns | None:
    """Return the columns with the cells of another line in them; None if they don't fit."""
    if len(line.cells) == len(columns):
        wider = [
            (min(left, cell.left), max(right, cell.right))
            for (left, right), cell in zip(columns, line.cells, strict=True)
        ]
        return wider if _apart(wider) else None
    if is_second and len(line.cells) > len(columns):  # the first line has cells that span columns
        fine = [(cell.left, cell.right) for cell in line.cells]
        return fine if all(_overlapped(fine, LineCell(*column, "")) for column in columns) else None
    wider = list(columns)
    taken = set()
    for cell in line.cells:
        number = _nearest(columns, cell)
        wider[number] = min(wider[number][0], cell.left), max(wider[number][1], cell.right)
        taken.add(number)
    return wider if len(taken) == len(line.cells) and _apart(wider) else None


def _goes_on(columns: Columns, before: Line, line: Line) -> bool:
    """Return whether a line with one cell goes on with a cell above it."""
    if line.page != before.page:
        return False
    if line.left > columns[0][0] + line.size:
        return True
    return line.text[:1].islower() and gap_below(before, line) < 0.6 and line.right < columns[1][0]


def _apart(columns: Columns) -> bool:
    return all(one[1] < other[0] for one, other in pairwise(columns))


def _overlapped(columns: Columns, cell: LineCell) -> list[int]:
    return [number for number, (left, right) in enumerate(columns) if left < cell.right and cell.left < right]


def _nearest(columns: Columns, cell: LineCell) -> int:
    """Return the column that a cell stands in, or is nearest to."""

    def distance(number: int) -> tuple[float, float]:
        left, right = columns[number]
        return max(0.0, left - cell.right, cell.left - right), abs(left + right - cell.left - cell.right)

    return min(range(len(columns)), key=distance)


def _columns(lines: Sequence[Line]) -> Columns:
    """Return the columns of a table, by its lines with the most cells."""
    most = max(len(line.cells) for line in lines)
    full = [line.cells for line in lines if len(line.cells) == most]
    return [
        (min(cell.left for cell in column), max(cell.right for cell in column)) for column in zip(*full, strict=True)
    ]


def _row(columns: Columns, line: Line) -> list[Cell]:
    """Return the cells of a line by columns. A cell above several columns spans them."""
    row: list[Cell] = []
    for cell in line.cells:
        spanned = _overlapped(columns, cell)
        number = spanned[0] if len(spanned) > 1 else _nearest(columns, cell)
        covered = sum(one.columns for one in row)
        if number < covered:
            row[-1] = Cell(f"{row[-1].text} {cell.text}", row[-1].columns)
            continue
        row += [Cell("")] * (number - covered)
        row.append(Cell(cell.text, max(1, len(spanned))))
    return row + [Cell("")] * (len(columns) - sum(one.columns for one in row))
