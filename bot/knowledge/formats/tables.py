"""Tables of any format -> headings and blocks: merged cells are repeated, titles taken out, several header rows made one.

A table becomes Markdown with one header row. Rows of a sheet that don't follow the header without a gap are blocks of their own
with the header as context, so that every row keeps its number and is quoted below its header.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from bot.core.documents import Form, Locator
from bot.knowledge.formats.outline import Outline, table_rows, table_text
from bot.knowledge.formats.pairs import pair, question_and_answer

_MOST_CELLS = 2_000_000  # that merged cells may cover; more is no document
_MOST_COLUMNS = 2_000
_MOST_HEADER_ROWS = 4
_LONGEST_TITLE = 80  # characters; longer text isn't a title
# A number that names a column rather than being a value in it: a year, a quarter, a school year.
_PERIOD = re.compile(r"\b(?:FY ?)?(?:(?:19|20)\d\d|[QH][1-4])(?:[/-]\d\d)?\b")
_SAMPLE = 100  # rows that tell how a column is filled
_NOWHERE = Locator()


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell as HTML and word processors describe it, with the columns and rows that it covers."""

    text: str
    columns: int = 1
    rows: int = 1
    header: bool = False


@dataclass(frozen=True, slots=True)
class Merge:
    """An area of merged cells, whose text stands in the first. All four count from 0 and are included."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells of a table, one list a row. The text of a cell that covers several rows stands in each of them.

    `spans` has the last column of a cell that covers several columns, by the row and the first column. `repeated` has the cells
    that repeat the one above. `headers` is the number of rows above the values, titles included, where it is known; 0 where it
    has to be guessed.
    """

    rows: list[list[str]]
    spans: dict[tuple[int, int], int] = field(default_factory=dict)
    repeated: set[tuple[int, int]] = field(default_factory=set)
    headers: int = 0


def merged(rows: list[list[str]], merges: Iterable[Merge]) -> Grid:
    """Return the grid of rows with merged areas. The rows are changed in place."""
    grid = Grid(rows)
    covered = 0
    for merge in merges:
        bottom = min(merge.bottom, len(rows) - 1)
        covered += bottom - merge.top + 1
        if covered > _MOST_CELLS or merge.top > bottom or merge.left >= len(rows[merge.top]):
            continue
        for row in range(merge.top, bottom + 1):
            if merge.right > merge.left:
                grid.spans[row, merge.left] = merge.right
            if row > merge.top:
                rows[row] += [""] * (merge.left + 1 - len(rows[row]))
                rows[row][merge.left] = rows[merge.top][merge.left]
                grid.repeated.add((row, merge.left))
    return grid


def laid_out(rows: Sequence[Sequence[Cell]]) -> Grid:
    """Return the grid of rows whose cells have spans: each cell takes the next columns that no cell above reaches into.

    A cell that is a row by itself covers all columns, because writers of HTML forget to say so.
    """
    texts: list[list[str]] = [[] for _ in rows]
    merges: list[Merge] = []
    taken: dict[int, int] = {}  # the last row that a cell above covers, by column
    width = max((sum(max(cell.columns, 1) for cell in row) for row in rows), default=0)
    covered = 0
    for number, row in enumerate(rows):
        column = 0
        alone = len(row) == 1 and row[0].rows <= 1 and max(taken.values(), default=-1) < number
        for cell in row:
            while taken.get(column, -1) >= number:
                column += 1
            if column >= _MOST_COLUMNS:
                break
            right = min(column + (width if alone else max(cell.columns, 1)), _MOST_COLUMNS) - 1
            bottom = min(number + max(cell.rows, 1), len(rows)) - 1
            covered += right - column
            if covered > _MOST_CELLS:
                right = column
            texts[number] += [""] * (column + 1 - len(texts[number]))
            texts[number][column] = cell.text
            if right > column or bottom > number:
                merges.append(Merge(number, column, bottom, right))
            if bottom > number:
                taken.update(dict.fromkeys(range(column, right + 1), bottom))
            column = right + 1
        texts[number] += [""] * (column - len(texts[number]))
    headers = sum(1 for _ in takewhile(lambda row: all(cell.header for cell in row), rows))
    return replace(merged(texts, merges), headers=headers if headers < len(rows) else 0)


def write_table(grid: Grid, outline: Outline, locator: Locator = _NOWHERE) -> None:
    """Write one table, with its titles as paragraphs above it. Rows that only repeat cells above are left out."""
    titles, rows = _titles_apart(grid, [row for row in range(len(grid.rows)) if _has_own(grid, row)])
    for row in titles:
        outline.block(Form.PARAGRAPH, " ".join(_filled(grid.rows[row])), locator)
    outline.block(Form.TABLE, _table_text(grid, rows), locator)


def grid_text(grid: Grid) -> str:
    """Return a table without titles as Markdown."""
    return _table_text(grid, [row for row in range(len(grid.rows)) if _filled(grid.rows[row])])


def _table_text(grid: Grid, rows: Sequence[int]) -> str:
    if not rows:
        return ""
    header = _Header.of(grid, rows)
    return table_text([header.cells, *(header.row(grid, row) for row in rows if row > header.last)])


def _has_own(grid: Grid, row: int) -> bool:
    return any(text.strip() and (row, column) not in grid.repeated for column, text in enumerate(grid.rows[row]))


def write_sheet(grid: Grid, outline: Outline, left_out: frozenset[int] = frozenset()) -> None:
    """Write the tables, stored pairs and texts of a sheet, which empty rows divide. The first row of the grid is row 1.

    Rows `left_out`, which count from 0, are passed over. Rows below an empty row without a header of their own belong to the
    table above.
    """
    header: _Header | None = None
    for region in _regions(grid, left_out):
        titles, rows = _titles_apart(grid, region)
        goes_on = header is not None and header.heads(grid, rows)
        if not goes_on and all(len(_filled(grid.rows[row])) < 2 for row in rows):
            for row in region:
                outline.block(Form.PARAGRAPH, " ".join(_filled(grid.rows[row])), Locator(row=row + 1))
            continue
        for row in titles:
            _write_title(grid, row, outline)
        if header is None or not goes_on:
            header = _Header.of(grid, rows)
        _write_rows(grid, header, [row for row in rows if row > header.last], outline, with_header=not goes_on)


def _write_title(grid: Grid, row: int, outline: Outline) -> None:
    """Write a title. One that is merged over the columns names the table; any other single cell may say anything."""
    text = " ".join(_filled(grid.rows[row]))
    names_it = any((row, column) in grid.spans for column in range(len(grid.rows[row])))
    if names_it and len(text) <= _LONGEST_TITLE and text[-1] not in ".:;!?":
        outline.heading(2, text)
    else:
        outline.block(Form.PARAGRAPH, text, Locator(row=row + 1))


def _write_rows(grid: Grid, header: "_Header", rows: Sequence[int], outline: Outline, *, with_header: bool) -> None:
    if question_and_answer(header.cells):
        for row in rows:
            if found := pair(dict(zip(header.cells, header.row(grid, row), strict=True))):
                outline.block(Form.PAIR, found[1], Locator(row=row + 1), found[0])
        return
    if with_header and rows[:1] != [header.last + 1]:
        outline.block(Form.TABLE, table_text([header.cells]), Locator(row=header.last + 1))
    for run in _runs(rows):
        body = [header.row(grid, row) for row in run]
        if with_header and run[0] == header.last + 1:
            outline.block(Form.TABLE, table_text([header.cells, *body]), Locator(row=header.last + 1))
        else:
            text = "\n".join(table_rows(body))
            outline.block(Form.TABLE, text, Locator(row=run[0] + 1), table_text([header.cells]))


def _regions(grid: Grid, left_out: frozenset[int]) -> Iterator[list[int]]:
    """Yield the runs of rows between empty rows."""
    region: list[int] = []
    for row, cells in enumerate(grid.rows):
        if row in left_out:
            continue
        if _filled(cells):
            region.append(row)
        elif region:
            yield region
            region = []
    if region:
        yield region


def _runs(rows: Sequence[int]) -> Iterator[list[int]]:
    """Yield the runs of rows without a gap."""
    run: list[int] = []
    for row in rows:
        if run and row != run[-1] + 1:
            yield run
            run = []
        run.append(row)
    if run:
        yield run


def _titles_apart(grid: Grid, region: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the rows above the header that hold a title, and the others."""
    columns = _columns(grid, region)
    first = 0
    while first + 1 < len(region) and len(columns) > 1 and _is_title(grid, region[first], region[first + 1], columns):
        first += 1
    if any(len(_filled(grid.rows[row])) > 1 for row in region[first:]):
        # A title that covers several rows is said once.
        titles = [row for row in region[:first] if (row, columns[0]) not in grid.repeated]
        return titles, list(region[first:])
    return [], list(region)


def _is_title(grid: Grid, row: int, following: int, columns: Sequence[int]) -> bool:
    """Return whether a row has only a cell over all columns, or only one in the first, above the names of columns."""
    if len(_filled(grid.rows[row])) != 1 or not grid.rows[row][columns[0]].strip():
        return False
    return _covers_all(grid, row, columns) or _is_names(grid.rows[following])


def _covers_all(grid: Grid, row: int, columns: Sequence[int]) -> bool:
    return grid.spans.get((row, columns[0]), -1) >= columns[-1]


@dataclass(frozen=True, slots=True)
class _Header:
    """The names of a table's columns. `columns` are the columns that aren't empty, `last` is the last row of the header, and
    in the columns `valued` all cells below hold values."""

    cells: list[str]
    columns: list[int]
    last: int
    valued: frozenset[int]

    @classmethod
    def of(cls, grid: Grid, rows: Sequence[int]) -> "_Header":
        """Return the header of a table that begins with the first of the rows."""
        columns = _columns(grid, rows)
        known = sum(row < grid.headers for row in rows)
        height = known or _header_height(grid, rows, columns)
        names = [_spread(grid, row, columns) for row in rows[:height]]
        if height > 1 and not known:
            names[:-1] = [_filled_rightwards(row) if any(names[-1]) else row for row in names[:-1]]
        cells = [" ".join(dict.fromkeys(filter(None, column))) for column in zip(*names, strict=True)]
        body = rows[height : height + _SAMPLE]
        valued = (column for column in columns if body and all(_holds_value(grid, row, column) for row in body))
        return cls(cells, columns, rows[height - 1], frozenset(valued))

    def heads(self, grid: Grid, rows: Sequence[int]) -> bool:
        """Return whether rows below an empty row go on with the table: they have its columns, and values like its first."""
        if not set(_columns(grid, rows)) <= set(self.columns) or self.row(grid, rows[0]) == self.cells:
            return False
        if len(rows) == 1 or question_and_answer(self.cells):
            return any(len(_filled(grid.rows[row])) > 1 for row in rows)
        first = [column for column in self.valued if _cell(grid, rows[0], column)]
        return bool(first) and all(_is_value(_cell(grid, rows[0], column)) for column in first)

    def row(self, grid: Grid, row: int) -> list[str]:
        """Return the cells of a row, in the columns of the table."""
        return _spread(grid, row, self.columns)


def _columns(grid: Grid, rows: Iterable[int]) -> list[int]:
    return sorted({column for row in rows for column, text in enumerate(grid.rows[row]) if text.strip()})


def _header_height(grid: Grid, rows: Sequence[int], columns: Sequence[int]) -> int:
    """Return the number of rows that name the columns. More than one where cells of the first are merged, or empty
    beside others."""
    height = 1
    while height < min(_MOST_HEADER_ROWS, len(rows) - 1):
        above, row = rows[height - 1], rows[height]
        is_below_merged = any((row, column) in grid.repeated for column in columns) or any(
            (above, column) in grid.spans and not _covers_all(grid, above, columns) for column in columns
        )
        if not is_below_merged and not (height == 1 and _has_gaps(grid, rows, columns)):
            break
        if not _is_names(grid.rows[row]):
            break
        height += 1
    return height


def _has_gaps(grid: Grid, rows: Sequence[int], columns: Sequence[int]) -> bool:
    """Return whether names stand over groups of the columns that the next row names, without being merged."""
    upper, lower = ([_cell(grid, row, column) for column in columns] for row in rows[:2])
    first = next((number for number, text in enumerate(upper) if number and text), len(columns))
    gaps = any(not text for text in upper[first:])
    repeated = len(set(lower[1:])) < len(lower[1:]) or len(_filled(upper)) == 1
    return gaps and repeated and all(lower[1:]) and not all(_is_names(grid.rows[row]) for row in rows[2:_SAMPLE])


def _filled_rightwards(names: Sequence[str]) -> list[str]:
    filled = list(names)
    for number in range(2, len(filled)):
        filled[number] = filled[number] or filled[number - 1]
    return filled


def _spread(grid: Grid, row: int, columns: Sequence[int]) -> list[str]:
    """Return the cells of a row in some columns. A cell over several of them is repeated, unless over all."""
    cells = [_cell(grid, row, column) for column in columns]
    if not grid.spans or _covers_all(grid, row, columns):
        return cells
    for number, column in enumerate(columns):
        if last := grid.spans.get((row, column)):
            for other in range(number + 1, len(columns)):
                if columns[other] > last or cells[other]:
                    break
                cells[other] = cells[number]
    return cells


def _cell(grid: Grid, row: int, column: int) -> str:
    cells = grid.rows[row]
    return cells[column].strip() if column < len(cells) else ""


def _filled(cells: Sequence[str]) -> list[str]:
    return [cell.strip() for cell in cells if cell.strip()]


def _is_names(cells: Iterable[str]) -> bool:
    """Return whether a row may name columns: it has no value."""
    return not any(_is_value(cell.strip()) for cell in cells)


def _holds_value(grid: Grid, row: int, column: int) -> bool:
    return not (text := _cell(grid, row, column)) or _is_value(text)


def _is_value(text: str) -> bool:
    """Return whether a text looks like a value, not a name: an address, or with a digit that isn't that of a period."""
    return "@" in text or any(map(str.isdigit, _PERIOD.sub("", text)))
