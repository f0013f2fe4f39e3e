"""Tables that rules divide into cells: their texts are read cell by cell, however they were drawn."""

from collections.abc import Iterator, Sequence
from ctypes import byref, c_float
from dataclasses import dataclass

import pypdfium2
import pypdfium2.raw as pdfium

_THIN = 3.0  # points, up to which a filled rectangle is a rule
_NEAR = 2.5  # points, within which rules meet
_WITHIN = 0.5  # points; text that crosses the edge of a cell counts, text that touches it doesn't
_SHORTEST = 6.0  # points; less is no rule but a mark
_MOST_OBJECTS = 4000  # on a page; more is a drawing
_MOST_CORNERS = 200  # of one path
_MOST_RULES = 600  # on a page
_LARGEST_TABLE = 4000  # cells
_LEAST_AREAS = 0.5  # of the cells; less is a form, whose boxes have many widths
_LONGEST_REPEATED = 100  # characters
_LEAST_FILLED = 0.4  # of the cells; less is a drawing


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on a page; y grows upwards."""

    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True, slots=True)
class _Rule:
    """A straight line at one height, or at one distance from the left."""

    at: float
    start: float
    end: float

    def crosses(self, other: "_Rule") -> bool:
        """Return whether it meets a line of the other direction."""
        return (
            self.start - _NEAR <= other.at <= self.end + _NEAR and other.start - _NEAR <= self.at <= other.end + _NEAR
        )


@dataclass(frozen=True, slots=True)
class RuledTable:
    """The place of a table, and its areas: each a box with the rows and columns that it covers."""

    box: Box
    height: int
    width: int
    areas: tuple[tuple[Box, tuple[tuple[int, int], ...]], ...]

    def rows(self, text_page: pypdfium2.PdfTextPage) -> list[list[str]]:
        """Return the rows, with the text of a spanning cell in each cell that it covers.

        A long text, and one across a whole row, stand in the first of these cells, its lines below each other.
        """
        rows = [[""] * self.width for _ in range(self.height)]
        for box, places in self.areas:
            text = "\n".join(
                text_page.get_text_bounded(
                    box.left + _WITHIN, box.bottom + _WITHIN, box.right - _WITHIN, box.top - _WITHIN
                ).splitlines()
            )
            whole = len(places) == self.width and len({row for row, _ in places}) == 1
            for row, column in places[:1] if whole or len(text) > _LONGEST_REPEATED else places:
                rows[row][column] = text
        return [divided for row in rows for divided in _divided(row)]


def _divided(row: list[str]) -> list[list[str]]:
    """Return the rows that stand between two rules, if each cell holds a line for each of them."""
    lines = [cell.split("\n") for cell in row]
    counts = {len(cell) for cell in lines if cell != [""]}
    starts = [line[:1] for cell in lines for line in cell[1:]]
    if len(counts) != 1 or counts == {1} or len(lines) - lines.count([""]) < 2 or any(map(str.islower, starts)):
        return [row]
    [count] = counts
    return [[cell[number] if cell != [""] else "" for cell in lines] for number in range(count)]


def ruled_tables(page: pypdfium2.PdfPage) -> Iterator[RuledTable]:
    """Yield the tables of a page that rules divide into at least two columns."""
    level, upright = _rules(page)
    for rows, columns in _connected(level, upright):
        ys = _distinct(rule.at for rule in rows)[::-1]
        xs = _distinct(rule.at for rule in columns)
        if len(xs) > 2 and len(ys) > 1 and len(xs) * len(ys) <= _LARGEST_TABLE:
            table = _table(xs, ys, rows, columns)
            if len(table.areas) >= _LEAST_AREAS * table.height * table.width:
                yield table


def is_filled(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether enough cells hold text for a table, rather than a drawing."""
    cells = [cell for row in rows for cell in row]
    return sum(bool(cell.strip()) for cell in cells) > _LEAST_FILLED * len(cells)


def _table(xs: Sequence[float], ys: Sequence[float], rows: Sequence[_Rule], columns: Sequence[_Rule]) -> RuledTable:
    """Return the table between rules at these places. Cells that no rule divides are one area."""
    height, width = len(ys) - 1, len(xs) - 1
    areas: list[tuple[Box, tuple[tuple[int, int], ...]]] = []
    taken: set[tuple[int, int]] = set()
    for row in range(height):
        for column in range(width):
            if (row, column) in taken:
                continue
            right, bottom = column + 1, row + 1
            middle = (ys[row] + ys[row + 1]) / 2
            while right < width and not _drawn(columns, xs[right], middle):
                right += 1
            while bottom < height and not any(
                _drawn(rows, ys[bottom], (xs[n] + xs[n + 1]) / 2) for n in range(column, right)
            ):
                bottom += 1
            places = tuple((y, x) for y in range(row, bottom) for x in range(column, right))
            taken.update(places)
            areas.append((Box(xs[column], ys[bottom], xs[right], ys[row]), places))
    return RuledTable(Box(xs[0], ys[-1], xs[-1], ys[0]), height, width, tuple(areas))


def _drawn(rules: Sequence[_Rule], at: float, through: float) -> bool:
    return any(abs(rule.at - at) <= _NEAR and rule.start - _NEAR <= through <= rule.end + _NEAR for rule in rules)


def _connected(level: list[_Rule], upright: list[_Rule]) -> Iterator[tuple[list[_Rule], list[_Rule]]]:
    """Yield the groups of rules that meet each other."""
    left_level, left_upright = set(level), set(upright)
    while left_level:
        rows, columns = {left_level.pop()}, set[_Rule]()
        waiting: list[tuple[_Rule, bool]] = [(rule, True) for rule in rows]
        while waiting:
            rule, is_level = waiting.pop()
            candidates = left_upright if is_level else left_level
            met = {other for other in candidates if rule.crosses(other)}
            candidates -= met
            (columns if is_level else rows).update(met)
            waiting.extend((other, not is_level) for other in met)
        yield list(rows), list(columns)


def _distinct(places: Iterator[float]) -> list[float]:
    """Return the places in order, without near duplicates."""
    distinct: list[float] = []
    for place in sorted(places):
        if not distinct or place - distinct[-1] > _NEAR:
            distinct.append(place)
    return distinct


# --- paths -> rules ---------------------------------------------------------------------------------------------------


def _rules(page: pypdfium2.PdfPage) -> tuple[list[_Rule], list[_Rule]]:
    """Return the level and the upright rules of a page; none if it holds a drawing."""
    level: list[_Rule] = []
    upright: list[_Rule] = []
    count = pdfium.FPDFPage_CountObjects(page)
    if count > _MOST_OBJECTS:
        return [], []
    for number in range(count):
        path = pdfium.FPDFPage_GetObject(page, number)
        if pdfium.FPDFPageObj_GetType(path) == pdfium.FPDF_PAGEOBJ_PATH:
            for x0, y0, x1, y1 in _edges(path):
                if abs(y1 - y0) <= _THIN and x1 - x0 >= _SHORTEST:
                    level.append(_Rule((y0 + y1) / 2, x0, x1))
                elif abs(x1 - x0) <= _THIN and y1 - y0 >= _SHORTEST:
                    upright.append(_Rule((x0 + x1) / 2, y0, y1))
        if len(level) + len(upright) > _MOST_RULES:
            return [], []
    return level, upright


def _edges(path: pdfium.FPDF_PAGEOBJECT) -> Iterator[tuple[float, float, float, float]]:
    """Yield the straight edges of a path as (left, bottom, right, top); a thin one is a single edge."""
    bounds = [c_float() for _ in range(4)]
    if not pdfium.FPDFPageObj_GetBounds(path, *map(byref, bounds)):
        return
    left, bottom, right, top = (bound.value for bound in bounds)
    if right - left <= _THIN or top - bottom <= _THIN:
        yield left, bottom, right, top
        return
    matrix = pdfium.FS_MATRIX()
    corners = pdfium.FPDFPath_CountSegments(path)
    if corners > _MOST_CORNERS or not pdfium.FPDFPageObj_GetMatrix(path, byref(matrix)):
        return
    x, y = c_float(), c_float()
    before: tuple[float, float] | None = None
    begun: tuple[float, float] | None = None
    for number in range(corners):
        segment = pdfium.FPDFPath_GetPathSegment(path, number)
        if not pdfium.FPDFPathSegment_GetPoint(segment, byref(x), byref(y)):
            return
        point = (
            matrix.a * x.value + matrix.c * y.value + matrix.e,
            matrix.b * x.value + matrix.d * y.value + matrix.f,
        )
        kind = pdfium.FPDFPathSegment_GetType(segment)
        if kind == pdfium.FPDF_SEGMENT_LINETO and before is not None:
            yield _edge(before, point)
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            begun = point
        if pdfium.FPDFPathSegment_GetClose(segment) and begun is not None:
            yield _edge(point, begun)
        before = point


def _edge(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float, float, float]:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[0], other[0]), max(one[1], other[1])
