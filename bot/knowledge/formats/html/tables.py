"""The tables of HTML: layout, pairs of name and value, and grids with the spans of their cells."""

from collections.abc import Callable, Iterator

from lxml import etree

from bot.knowledge.formats.html.frame import HEADINGS
from bot.knowledge.formats.tables import Cell, Grid, laid_out

_LONGEST_CELL = 400  # characters on average; more is a page laid out in a table


class HtmlTable:
    """A table, without nested tables. `text_of` returns the text of a cell."""

    def __init__(self, element: etree._Element, text_of: Callable[[etree._Element], str]) -> None:
        self._element = element
        self._text_of = text_of
        self._rows = [(list(row.iterchildren("td", "th")), in_head) for row, in_head in _rows(element)]

    @property
    def is_layout(self) -> bool:
        """Whether it only lays out a page: it has at most one cell a row, or holds other tables, headings or long texts."""
        if self._element.get("role") in ("presentation", "none") or all(len(cells) < 2 for cells, _ in self._rows):
            return True
        if any(cell.tag == "th" for cells, _ in self._rows for cell in cells):
            return False
        if any(below is not self._element for below in self._element.iter("table", *HEADINGS)):
            return True
        lengths = [len("".join(cell.itertext()).strip()) for cells, _ in self._rows for cell in cells]
        return sum(lengths) > _LONGEST_CELL * sum(map(bool, lengths))

    def pairs(self) -> list[tuple[str, str]]:
        """Return the rows as names and values, if each is a header cell and another cell; else none."""
        if any([cell.tag for cell in cells] != ["th", "td"] for cells, _ in self._rows):
            return []
        return [(self._text_of(name).rstrip(" :"), self._text_of(value)) for (name, value), _ in self._rows]

    def grid(self) -> Grid:
        return laid_out([[self._cell(cell, in_head) for cell in cells] for cells, in_head in self._rows])

    def _cell(self, element: etree._Element, in_head: bool) -> Cell:
        spans = _span(element, "colspan"), _span(element, "rowspan")
        return Cell(self._text_of(element), *spans, header=in_head or element.tag == "th")


def _rows(table: etree._Element) -> Iterator[tuple[etree._Element, bool]]:
    """Yield the rows of a table itself, and whether each stands in its head."""
    for child in table.iterchildren("thead", "tbody", "tfoot", "tr"):
        if child.tag == "tr":
            yield child, False
        else:
            yield from ((row, child.tag == "thead") for row in child.iterchildren("tr"))


def _span(element: etree._Element, attribute: str) -> int:
    value = (element.get(attribute) or "").strip()
    return max(1, int(value)) if value.isdecimal() and len(value) < 5 else 1
