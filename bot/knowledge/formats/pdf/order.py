"""The reading order of the lines of a PDF's page: columns of running text, and tables that were drawn cell by cell."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from bot.knowledge.formats.pdf.lines import Line, LineCell

_FEWEST_LINES = 4  # of columns of running text
_INDENT = 3.0  # in font sizes: the largest distance between the beginnings of the lines of a column
_UNEVEN = 0.3  # in font sizes: the largest difference between the distances of lines of running text
_GOING_ON = 0.35  # the least share of the lines of running text that begin with a small letter
_MOST_LINES = 8  # of a cell
_MOST_COLUMNS = 40
_FURTHEST = 5.0  # in font sizes: the largest difference in height between the beginnings of two cells of a row
_NEXT_LINE = 1.7  # in font sizes: the largest distance from line to line within a cell
_CLOSE = 1.35  # in font sizes: the usual distance from line to line

_Row = list[list[LineCell]]
"""The cells of a row, each with its lines."""


def in_reading_order(lines: list[Line]) -> list[Line]:
    """Return the lines of a page from top to bottom; in the order of the file where some stand beside each other."""
    lines = list(_with_drawn_tables(lines))
    by_height = sorted(lines, key=lambda line: (-line.bottom, line.left))
    alone = all(above.bottom - below.bottom > 0.5 * below.size for above, below in pairwise(by_height))
    return list(_by_columns(by_height if alone else lines))


def _by_columns(lines: Sequence[Line]) -> Iterator[Line]:
    """Yield the lines, with columns of running text that stand row by row divided, one column after the other."""
    start = 0
    while start < len(lines):
        end = _columns_end(lines, start)
        run = lines[start:end]
        if len(run) >= _FEWEST_LINES and _is_prose(run):
            for column in range(len(run[0].cells)):
                yield from (
                    replace(line, cells=(cell,))
                    for line in run
                    for cell in line.cells
                    if _column(run[0], cell) == column
                )
        else:
            yield from run
        start = end


def _columns_end(lines: Sequence[Line], start: int) -> int:
    """Return the end of the lines that have their cells in the columns of the first one and stand equally far apart."""
    first = lines[start]
    rights = [cell.right for cell in first.cells]
    end = start + 1
    while end < len(lines) and len(first.cells) > 1:
        before, line = lines[end - 1], lines[end]
        pitch = before.bottom - line.bottom
        if line.page != first.page or line.size != first.size or not 0 < pitch < 3 * line.size:
            break
        if end > start + 1 and abs(pitch - (first.bottom - lines[start + 1].bottom)) > _UNEVEN * line.size:
            break
        columns = [_column(first, cell) for cell in line.cells]
        for column, cell in zip(columns, line.cells, strict=True):
            rights[column] = max(rights[column], cell.right)
        aligned = all(
            abs(first.cells[column].left - cell.left) < _INDENT * line.size
            for column, cell in zip(columns, line.cells, strict=True)
        )
        apart = all(right < cell.left for right, cell in zip(rights, first.cells[1:], strict=False))
        if not aligned or not apart or len(set(columns)) < len(columns):
            break
        end += 1
    return end


def _column(first: Line, cell: LineCell) -> int:
    """Return the column of a cell, by the cells of the first line."""
    return min(range(len(first.cells)), key=lambda number: abs(first.cells[number].left - cell.left))


def _is_prose(lines: Sequence[Line]) -> bool:
    """Return whether each column is running text: its lines hold several words and often go on in mid-sentence."""
    for column in range(len(lines[0].cells)):
        texts = [cell.text for line in lines for cell in line.cells if _column(lines[0], cell) == column]
        going_on = sum(text[:1].islower() for text in texts[1:])
        if sum(len(text.split()) for text in texts) < 3 * len(texts) or going_on < _GOING_ON * (len(texts) - 1):
            return False
    return True


# --- tables drawn cell by cell ----------------------------------------------------------------------------------------


def _with_drawn_tables(lines: Sequence[Line]) -> Iterator[Line]:
    """Yield the lines. A table whose cells the file holds one after the other, each with its lines, becomes one line."""
    start = 0
    while start < len(lines):
        rows, end = _drawn_rows(lines, start)
        if len(rows) > 1 and any(len(cell) > 1 for row in rows for cell in row):
            cells = [cell for row in rows for column in row for cell in column]
            whole = LineCell(min(c.left for c in cells), max(c.right for c in cells), " ".join(c.text for c in cells))
            texts = tuple(tuple(_cell_text(cell) for cell in row) for row in rows)
            bottom = min(line.bottom for line in lines[start:end])
            yield replace(lines[start], bottom=bottom, cells=(whole,), rows=texts)
        else:
            end = end if len(rows) > 1 else start + 1
            yield from lines[start:end]
        start = end


def _drawn_rows(lines: Sequence[Line], start: int) -> tuple[list[_Row], int]:
    """Return the rows of the table that begins at a line, as many as have their cells in the same columns; and its end."""
    rows: list[_Row] = []
    end = start
    while end < len(lines):
        row, after = _drawn_row(lines, end)
        if len(row) < 2 or (rows and not _same_columns(rows, row)):
            break
        rows.append(row)
        end = after
    return rows, end


def _drawn_row(lines: Sequence[Line], start: int) -> tuple[_Row, int]:
    """Return the cells that the lines from this one on make beside each other, and the end of these lines."""
    first = lines[start]
    if first.rows:
        return [], start + 1
    row: _Row = [[cell] for cell in first.cells]
    end = start + 1
    while end < len(lines) and len(row) < _MOST_COLUMNS:
        before, line = lines[end - 1], lines[end]
        if line.rows or line.size != first.size or abs(line.bottom - first.bottom) > _FURTHEST * first.size:
            break
        if line.left > max(cell.right for cell in row[-1]) and line.bottom > before.bottom - 0.3 * line.size:
            row += [[cell] for cell in line.cells]
        elif _goes_on_below(row, before, line):
            row[-1].append(line.cells[0])
            row += [[cell] for cell in line.cells[1:]]
        else:
            break
        end += 1
    return row, end


def _goes_on_below(row: _Row, before: Line, line: Line) -> bool:
    """Return whether a line, with its first cell, goes on with the last cell of a row, and begins no new row."""
    cell = row[-1]
    pitch = before.bottom - line.bottom
    if not 0 < pitch < _NEXT_LINE * line.size or len(cell) >= _MOST_LINES:
        return False
    # A line above a table stands farther from it than the lines of a cell from each other.
    too_far = len(row) == 1 and len(line.cells) > 1 and pitch > _CLOSE * line.size
    if too_far or (len(row) > 1 and line.left <= row[0][0].right):
        return False
    left, right = cell[0].left - 0.5 * line.size, max(one.right for one in cell)
    return left < line.left < right and line.cells[0].right > cell[0].left


def _same_columns(rows: Sequence[_Row], row: _Row) -> bool:
    """Return whether a row has as many cells as the rows above it, each below one and none below two."""
    if len(row) != len(rows[0]):
        return False
    spans = [
        (min(cell.left for one in column for cell in one), max(cell.right for one in column for cell in one))
        for column in zip(*rows, row, strict=True)
    ]
    return all(one[1] < other[0] for one, other in pairwise(spans))


def _cell_text(lines: Sequence[LineCell]) -> str:
    text = lines[0].text
    for line in lines[1:]:
        text = text[:-1] + line.text if text.endswith("\xad") else f"{text} {line.text}"
    return text
