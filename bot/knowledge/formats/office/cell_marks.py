"""The marks that an XLSX file has on its cells and calamine doesn't tell: the units of numbers, formulas without a result, and
hidden rows and columns."""

import re
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from posixpath import join, normpath
from typing import Any
from xml.parsers.expat import ExpatError, ParserCreate

from lxml import etree

_NAMESPACES = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "http://purl.oclc.org/ooxml/spreadsheetml/main",  # as the strict standard has it
)
_RELATIONSHIPS = (
    "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id",
    "{http://purl.oclc.org/ooxml/officeDocument/relationships}id",
)
_BUILT_IN = {"9": "0%", "10": "0.00%"}
# One piece of a number's format: quoted or escaped text, a currency, what has no text of its own, or the digits.
_PIECE = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|\[\$(?P<currency>[^\]-]*)[^\]]*\]|(?P<silent>\[[^\]]*\]|_.|\*.)'
    r"|(?P<digits>General|[0#?][0#?,]*(?:\.[0#?]+)?)|(?P<percent>%)|(?P<other>.)",
    re.DOTALL,
)
# The style of a cell, or anything else that may be a mark.
_MARK = re.compile(rb"""\ss=["'](\d+)|\shidden=|<(?:\w+:)?f\b""")
_LITERAL = frozenset("$€£¥+-() ")


@dataclass(frozen=True, slots=True)
class NumberUnit:
    """The text that a format puts around a number: `15%`, `46 €`, `00042`. `digits` is the least number of digits."""

    before: str = ""
    after: str = ""
    is_percent: bool = False
    is_money: bool = False
    digits: int = 0

    def text(self, number: float) -> str:
        """Return the number as the spreadsheet shows it, but never rounded."""
        size = abs(number) * (100 if self.is_percent else 1)
        if size == int(size) and size < 1e15:
            shown = f"{int(size):0{max(self.digits, 1)}d}"
        else:
            shown = f"{size:.12g}"
            if self.is_money and re.fullmatch(r"\d+\.\d", shown):
                shown += "0"
        return f"{'-' if number < 0 else ''}{self.before}{shown}{self.after}"


@dataclass(slots=True)
class RowMarks:
    """The marks of one row, counted from 0: units and uncomputed formulas by their columns."""

    hidden: bool = False
    units: dict[int, NumberUnit] = field(default_factory=dict)
    uncomputed: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SheetMarks:
    """The marks of a sheet. `rows` has the rows with marks, by their index."""

    rows: Mapping[int, RowMarks] = field(default_factory=dict)
    hidden_columns: Sequence[tuple[int, int]] = ()

    def hides(self, column: int) -> bool:
        return any(first <= column <= last for first, last in self.hidden_columns)


class Marks:
    """The marks of the sheets of a workbook. A sheet that the file doesn't describe as expected has none."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._units: dict[str, NumberUnit] = {}
        self._paths: dict[str, str] = {}
        self._to_compute = False
        with suppress(KeyError, etree.LxmlError, ValueError, zipfile.BadZipFile, zlib.error, EOFError, OSError):
            self._read_workbook()

    def of(self, sheet: str) -> SheetMarks:
        """Return the marks of a sheet; none where its XML is broken. Raises the errors of a damaged archive."""
        path = self._paths.get(sheet)
        if path is None:
            return SheetMarks()
        content = self._archive.read(path)
        found = set(_MARK.findall(content))
        if b"" not in found and self._units.keys().isdisjoint(style.decode() for style in found):
            return SheetMarks()  # most sheets, which needn't be parsed
        try:
            return _SheetReader(self._units, to_compute=self._to_compute).read(content)
        except (ExpatError, ValueError):  # calamine reads on where it can
            return SheetMarks()

    def _read_workbook(self) -> None:
        targets = {
            relation.get("Id"): normpath(join("/xl", relation.get("Target", ""))).lstrip("/")
            for relation in self._xml("xl/_rels/workbook.xml.rels")
        }
        workbook = self._xml("xl/workbook.xml")
        for sheet in workbook.iter("{*}sheet"):
            target = targets.get(next(filter(None, map(sheet.get, _RELATIONSHIPS)), None))
            if target in self._archive.NameToInfo:
                self._paths[sheet.get("name", "")] = target
        # Some programs write formulas without results, and ask the program that opens the file to compute them.
        self._to_compute = any(_is_set(element.attrib, "fullCalcOnLoad") for element in workbook.iter("{*}calcPr"))
        units = enumerate(_units(self._xml("xl/styles.xml")))
        self._units = {str(number): unit for number, unit in units if unit is not None}

    def _xml(self, name: str) -> Any:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
        return etree.fromstring(self._archive.read(name), parser)


class _SheetReader:
    """Reads the marks of one sheet, in one pass over its XML. `units` are by the numbers of styles."""

    def __init__(self, units: Mapping[str, NumberUnit], *, to_compute: bool) -> None:
        self._units = units
        self._to_compute = to_compute
        self._filtered = False
        self._hidden_columns: list[tuple[int, int]] = []
        self._rows: dict[int, RowMarks] = defaultdict(RowMarks)
        self._row = -1
        self._cells, self._place = 0, ""
        self._result: list[str] | None = None  # of the cell's formula; None if it has none
        self._parser = ParserCreate(namespace_separator=" ")
        starts = {
            "c": self._cell,
            "f": self._formula,
            "v": self._value,
            "row": self._begin_row,
            "col": self._columns,
            "sheetPr": self._properties,
        }
        self._starts = {f"{space} {tag}": start for space in _NAMESPACES for tag, start in starts.items()}

    def read(self, content: bytes) -> SheetMarks:
        """Return the marks. Raises ExpatError and ValueError."""
        self._parser.StartElementHandler = self._start
        self._parser.Parse(content, True)
        self._end_cell()
        return SheetMarks(dict(self._rows), self._hidden_columns)

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if start := self._starts.get(tag):
            start(attributes)

    def _cell(self, attributes: Mapping[str, str]) -> None:
        if self._result is not None:
            self._end_cell()
        self._place = attributes.get("r", "")
        self._cells += 1
        if unit := self._units.get(attributes.get("s", "")):
            self._rows[self._row].units[self._column] = unit

    @property
    def _column(self) -> int:
        """The column of the cell, from 0; without a place of its own it follows the one before."""
        return _column(self._place) if self._place else self._cells - 1

    def _end_cell(self) -> None:
        if self._result is None:
            return
        result = "".join(self._result)
        if not result or (result == "0" and self._to_compute):
            self._rows[self._row].uncomputed.append(self._column)
        self._result = self._parser.CharacterDataHandler = None

    def _formula(self, _: Mapping[str, str]) -> None:
        self._result = []

    def _value(self, _: Mapping[str, str]) -> None:
        if self._result is not None:
            self._parser.CharacterDataHandler = self._result.append

    def _begin_row(self, attributes: Mapping[str, str]) -> None:
        self._end_cell()
        self._row = int(attributes.get("r", self._row + 2)) - 1
        self._cells = 0
        # A filter is a view of the moment, which hides rows from nobody.
        if _is_hidden(attributes) and not self._filtered:
            self._rows[self._row].hidden = True

    def _columns(self, attributes: Mapping[str, str]) -> None:
        if _is_hidden(attributes):
            self._hidden_columns.append((int(attributes.get("min", 1)) - 1, int(attributes.get("max", 1)) - 1))

    def _properties(self, attributes: Mapping[str, str]) -> None:
        self._filtered = _is_set(attributes, "filterMode")


def _is_set(attributes: Mapping[str, str], name: str) -> bool:
    return attributes.get(name) in ("1", "true", "on")


def _is_hidden(attributes: Mapping[str, str]) -> bool:
    """Return whether a row or column is hidden for good: an outline that is folded up is opened with one click."""
    return _is_set(attributes, "hidden") and attributes.get("outlineLevel", "0") == "0"


def _column(place: str) -> int:
    """Return the column of a place such as `AB12`, from 0. Raises ValueError."""
    number = 0
    for letter in place.rstrip("0123456789"):
        number = number * 26 + int(letter, 36) - 9
    return number - 1


def _units(styles: Any) -> Iterator[NumberUnit | None]:
    """Yield the unit of each format of cells, in their order."""
    codes = _BUILT_IN | {element.get("numFmtId"): element.get("formatCode") for element in styles.iter("{*}numFmt")}
    by_code: dict[str, NumberUnit | None] = {}
    for formats in styles.iterchildren("{*}cellXfs"):
        for element in formats.iterchildren("{*}xf"):
            code = codes.get(element.get("numFmtId")) or ""
            if code not in by_code:
                by_code[code] = unit_of(code)
            yield by_code[code]


def unit_of(code: str) -> NumberUnit | None:
    """Return the unit in the format of a number; None if it has none, or does more than put text around the number."""
    before = after = digits = ""
    is_percent = is_money = False
    for piece in _PIECE.finditer(code):
        if piece["other"] == ";":  # what follows is for negative numbers
            break
        text = piece["quoted"] or piece["escaped"] or piece["currency"] or piece["other"] or piece["percent"] or ""
        if piece["other"] and text not in _LITERAL:
            return None
        if piece["digits"]:
            if digits or piece["digits"].endswith(","):  # a divided number, or thousands of it
                return None
            digits = piece["digits"]
        elif digits:
            after += text
        else:
            before += text
        is_percent |= piece["percent"] is not None
        is_money |= bool(piece["currency"] or re.search(r"[$€£¥]|\b[A-Z]{3}\b", text))
    leading = len(digits) if re.fullmatch("00+", digits) else 0
    before, after = before.lstrip(), after.rstrip()
    if not digits or not (before.strip() or after.strip() or leading):
        return None
    return NumberUnit(before, after, is_percent, is_money, leading)
