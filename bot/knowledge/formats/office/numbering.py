"""The numbers of lists and headings in DOCX, which the file doesn't hold: Word counts them, and so does this.

A level has a format (`decimal`, `lowerLetter`) and a pattern (`%1.%2`). Lists that share their definition go on counting where
the one before ended, unless they say where to start.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from docx.oxml.ns import qn

_BULLETS = ("bullet", "none")
_ROMAN = {
    "m": 1000,
    "cm": 900,
    "d": 500,
    "cd": 400,
    "c": 100,
    "xc": 90,
    "l": 50,
    "xl": 40,
    "x": 10,
    "ix": 9,
    "v": 5,
    "iv": 4,
    "i": 1,
}
_LARGEST = 100_000  # nobody counts so far, or reads it in Roman numbers


@dataclass(frozen=True, slots=True)
class NumberingLevel:
    """One level of a list's definition. `style` is the style of paragraphs that belongs to it, if one does."""

    form: str = "bullet"
    pattern: str = ""
    start: int = 1
    style: str | None = None
    restarts: bool = True
    legal: bool = False  # the levels above are written in decimals as well

    @property
    def is_ordered(self) -> bool:
        return self.form not in _BULLETS


@dataclass(frozen=True, slots=True)
class _List:
    definition: str
    levels: Mapping[int, NumberingLevel]
    starts: Mapping[int, int]


@dataclass(slots=True)
class Numbering:
    """The lists of a document by their ids, and how far each has counted."""

    lists: Mapping[str, _List] = field(default_factory=dict)
    _counts: dict[str, dict[int, int]] = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)

    def level(self, list_id: str, depth: int) -> NumberingLevel | None:
        """Return the level of a list; None where the document defines none."""
        return self.lists[list_id].levels.get(depth) if list_id in self.lists else None

    def depth_of_style(self, list_id: str, style: str) -> int:
        """Return the level that belongs to a style; the first where none does."""
        levels = self.lists[list_id].levels if list_id in self.lists else {}
        return next((depth for depth, level in levels.items() if level.style == style), 0)

    def label(self, list_id: str, depth: int) -> str:
        """Count a paragraph, and return its label, such as `2.1` or `b)`; empty for a bullet."""
        level = self.level(list_id, depth)
        if level is None:
            return ""
        numbers = self._counted(self.lists[list_id], list_id, depth)
        if not level.is_ordered:
            return ""
        return re.sub(
            r"%([1-9])", lambda place: self._number(list_id, int(place[1]) - 1, numbers, level), level.pattern
        )

    def _counted(self, of: _List, list_id: str, depth: int) -> dict[int, int]:
        counts = self._counts.setdefault(of.definition, {})
        if list_id not in self._begun:
            self._begun.add(list_id)
            for started in of.starts:
                counts.pop(started, None)
        start = of.starts.get(depth, of.levels[depth].start)
        counts[depth] = counts[depth] + 1 if depth in counts else start
        for deeper in [other for other in counts if other > depth and of.levels[other].restarts]:
            del counts[deeper]
        return counts

    def _number(self, list_id: str, depth: int, numbers: Mapping[int, int], shown: NumberingLevel) -> str:
        level = self.level(list_id, depth) or NumberingLevel("decimal")
        return _written(numbers.get(depth, level.start), "decimal" if shown.legal else level.form)


def _written(number: int, form: str) -> str:
    if form in ("lowerRoman", "upperRoman") and 0 < number < _LARGEST:
        return _roman(number) if form == "lowerRoman" else _roman(number).upper()
    if form in ("lowerLetter", "upperLetter") and 0 < number < _LARGEST:
        letter = chr((97 if form == "lowerLetter" else 65) + (number - 1) % 26)
        return letter * ((number - 1) // 26 + 1)
    return f"{number:02d}" if form == "decimalZero" else str(number)


def _roman(number: int) -> str:
    written = ""
    for letters, size in _ROMAN.items():
        count, number = divmod(number, size)
        written += letters * count
    return written


# --- reading the definitions ------------------------------------------------------------------------------------------


def numbering_of(root: Any) -> Numbering:
    """Return the numbering that a document's numbering part defines."""
    definitions = {element.get(qn("w:abstractNumId")): element for element in root.iterchildren(qn("w:abstractNum"))}
    by_style = {style: number for number, element in definitions.items() if (style := value_of(element, "w:styleLink"))}
    lists = {}
    for element in root.iterchildren(qn("w:num")):
        number = value_of(element, "w:abstractNumId") or ""
        linked = value_of(definitions[number], "w:numStyleLink") if number in definitions else None
        number = by_style.get(linked or "", number)
        levels = _levels(definitions[number]) if number in definitions else {}
        starts = {}
        for override in element.iterchildren(qn("w:lvlOverride")):
            levels |= _levels(override)
            if (start := value_of(override, "w:startOverride")) is not None:
                starts[_whole(override.get(qn("w:ilvl")))] = _whole(start)
        lists[element.get(qn("w:numId"))] = _List(
            number, levels, {depth: s for depth, s in starts.items() if depth in levels}
        )
    return Numbering(lists)


def _levels(parent: Any) -> dict[int, NumberingLevel]:
    return {_whole(element.get(qn("w:ilvl"))): _level(element) for element in parent.iterchildren(qn("w:lvl"))}


def _level(element: Any) -> NumberingLevel:
    level = NumberingLevel(
        value_of(element, "w:numFmt") or "decimal",
        value_of(element, "w:lvlText") or "",
        _whole(value_of(element, "w:start"), 1),
        value_of(element, "w:pStyle"),
        value_of(element, "w:lvlRestart") != "0",
    )
    return replace(level, legal=element.find(qn("w:isLgl")) is not None)


def _whole(text: str | None, otherwise: int = 0) -> int:
    return int(text) if text is not None and text.isdecimal() and len(text) < 9 else otherwise


def value_of(parent: Any, name: str) -> str | None:
    """Return the value of an element's child of this name; None without such a child."""
    child = parent.find(qn(name)) if parent is not None else None
    return None if child is None else str(child.get(qn("w:val")))
