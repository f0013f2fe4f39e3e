"""Charts and diagrams of Office documents -> blocks: a chart's data as a table, a diagram's texts as a list."""

from collections.abc import Mapping
from typing import Any

from lxml import etree

from bot.core.documents import Form, Locator
from bot.knowledge.formats.office.cell_marks import unit_of
from bot.knowledge.formats.outline import Item, Outline, list_text, table_text

_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_TEXT = "{http://schemas.openxmlformats.org/drawingml/2006/main}t"
_RELATIONSHIP = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MOST_POINTS = 5_000
_NOWHERE = Locator()


def write_drawings(element: Any, parts: Mapping[str, Any], outline: Outline, locator: Locator = _NOWHERE) -> None:
    """Write the charts and diagrams that an element shows. `parts` are those of the document by the ids of relationships."""
    for shown in element.iter(f"{_CHART}chart", f"{_DIAGRAM}relIds"):
        is_chart = shown.tag == f"{_CHART}chart"
        part = parts.get(shown.get(f"{_RELATIONSHIP}{'id' if is_chart else 'dm'}", ""))
        if part is None:
            continue
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
        try:
            root = etree.fromstring(part.blob, parser)
        except etree.LxmlError:
            outline.warnings.append("a chart or diagram in it is damaged and was left out")
            continue
        (_write_chart if is_chart else _write_diagram)(root, outline, locator)


def _write_chart(root: Any, outline: Outline, locator: Locator) -> None:
    """Write the title, and a row for each category with the values of each series."""
    title = root.find(f"{_CHART}chart/{_CHART}title")
    if title is not None:
        outline.block(Form.PARAGRAPH, " ".join("".join(_texts(title)).split()), locator)
    categories: dict[int, str] = {}
    series: list[tuple[str, dict[int, str]]] = []
    for one in root.iter(f"{_CHART}ser"):
        for number, name in (_points(one, "cat") or _points(one, "xVal")).items():
            categories.setdefault(number, name)
        series.append((next(iter(_points(one, "tx").values()), ""), _points(one, "val") or _points(one, "yVal")))
    numbers = sorted({*categories, *(number for _, values in series for number in values)})[:_MOST_POINTS]
    rows = [[categories.get(number, ""), *(values.get(number, "") for _, values in series)] for number in numbers]
    if rows:
        outline.block(Form.TABLE, table_text([["", *(name for name, _ in series)], *rows]), locator)


def _points(series: Any, name: str) -> dict[int, str]:
    """Return the texts or numbers of a series that are stored in the document, by their places."""
    parent = series.find(f"{_CHART}{name}")
    if parent is None:
        return {}
    unit = unit_of(parent.findtext(f".//{_CHART}formatCode") or "")
    found: dict[int, str] = {}
    for point in parent.iter(f"{_CHART}pt"):
        text = point.findtext(f"{_CHART}v") or ""
        place = point.get("idx", "")
        if place.isdecimal() and len(place) < 9:
            # Names of several levels come innermost first.
            found.setdefault(int(place), _number(text, unit) if parent.find(f"{_CHART}numRef") is not None else text)
    return found


def _number(text: str, unit: Any) -> str:
    try:
        number = float(text)
        return unit.text(number) if unit else f"{number:.12g}"
    except (ValueError, OverflowError):
        return text


def _write_diagram(root: Any, outline: Outline, locator: Locator) -> None:
    """Write the texts of the shapes, in the order of the file."""
    items = [Item("".join(_texts(point))) for point in root.iter(f"{_DIAGRAM}pt")]
    outline.block(Form.LIST, list_text(items), locator)


def _texts(element: Any) -> list[str]:
    return [text.text or "" for text in element.iter(_TEXT)]
