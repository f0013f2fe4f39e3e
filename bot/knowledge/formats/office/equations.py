"""Equations of Office documents (OMML) -> text on one line: `(a+b)/2`, `x^2`, `sqrt(y)`, `∑_(i=1)^n x_i`."""

from collections.abc import Iterable
from typing import Any

_SPACE = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
EQUATION = f"{_SPACE}oMath"


def equation_text(element: Any) -> str:
    """Return the text of an equation or of a part of one."""
    return "".join(map(_part, element))


def _part(element: Any) -> str:
    name = element.tag.removeprefix(_SPACE) if isinstance(element.tag, str) else ""
    if name == "t":
        return element.text or ""
    if name == "f":
        return f"{_grouped(element, 'num')}/{_grouped(element, 'den')}"
    if name in ("sSup", "sSub", "sSubSup", "sPre"):
        return f"{_grouped(element, 'e')}{_scripts(element)}"
    if name == "nary":
        return f"{_property(element, 'chr', '∫')}{_scripts(element)} {_child(element, 'e')}"
    if name in ("limLow", "limUpp"):
        return f"{_child(element, 'e')}{'_' if name == 'limLow' else '^'}{_grouped(element, 'lim')}"
    if name == "rad":
        degree = _child(element, "deg")
        return f"{f'root{_bracketed(degree)}' if degree.strip() else 'sqrt'}({_child(element, 'e')})"
    if name == "func":
        return f"{_child(element, 'fName')}({_child(element, 'e')})"
    if name == "d":
        return _delimited(element)
    if name in ("m", "eqArr"):
        return _lines(element, "mr" if name == "m" else "e")
    return "" if name.endswith("Pr") else equation_text(element)


def _scripts(element: Any) -> str:
    below, above = _child(element, "sub"), _child(element, "sup")
    return (f"_{_bracketed(below)}" if below.strip() else "") + (f"^{_bracketed(above)}" if above.strip() else "")


def _delimited(element: Any) -> str:
    """Return the content of an element with brackets, within these brackets."""
    inner = _property(element, "sepChr", ", ").join(map(equation_text, element.iterchildren(f"{_SPACE}e")))
    return f"{_property(element, 'begChr', '(')}{inner}{_property(element, 'endChr', ')')}"


def _lines(element: Any, name: str) -> str:
    """Return the rows of a matrix, or equations below each other."""
    rows = (
        ", ".join(map(equation_text, row.iterchildren(f"{_SPACE}e"))) if name == "mr" else equation_text(row)
        for row in element.iterchildren(f"{_SPACE}{name}")
    )
    return "; ".join(rows)


def _child(element: Any, name: str) -> str:
    child = element.find(f"{_SPACE}{name}")
    return "" if child is None else equation_text(child)


def _grouped(element: Any, name: str) -> str:
    return _bracketed(_child(element, name))


def _bracketed(text: str) -> str:
    """Return the text in brackets, unless it is a single number or name."""
    return text if text.isalnum() or not text else f"({text})"


def _property(element: Any, name: str, otherwise: str) -> str:
    """Return a character that the properties of a part set; an empty one is set as well."""
    found: Iterable[Any] = (
        child for child in element.iter(f"{_SPACE}{name}") if child.getparent().getparent() is element
    )
    return next((child.get(f"{_SPACE}val") or "" for child in found), otherwise)
