"""Compare the details of a question with a passage: codes, versions and names with a number in them.

The price of P-300 is no answer for P-400, and the meaning of E22 is none for E23, but embeddings hardly differ between them.
"""

import re
from collections.abc import Iterable

# A word with a digit in it, such as P-400, v2.3.1, ERR_1042, E23, 10.20.0.51, SQLite3. Plain numbers are amounts, not names.
_DETAIL = re.compile(r"(?<![\w.-])(?=[\w.-]*\d)(?=[\w.-]*[A-Za-z.])\w+(?:[.-]\w+)*")
_NUMBER = re.compile(r"\d+")


def details(text: str) -> frozenset[str]:
    """Return the details in a text, in lower case."""
    return frozenset(match.group().lower() for match in _DETAIL.finditer(text))


def contradicts(question: str, passage: str) -> bool:
    """Whether a passage mentions a sibling of a detail of the question (P-300 for P-400), but not the detail itself."""
    wanted = details(question)
    there = details(passage) if wanted else frozenset[str]()
    missing = wanted - there
    return bool(missing and {_shape(detail) for detail in missing} & {_shape(detail) for detail in there})


def siblings(question: str, passages: Iterable[str]) -> list[str]:
    """Return the details of the passages with the same shape as those of the question, unchanged and each once."""
    shapes = {_shape(detail) for detail in details(question)}
    found = (match.group() for passage in passages for match in _DETAIL.finditer(passage))
    return list(dict.fromkeys(detail for detail in found if _shape(detail.lower()) in shapes))


def _shape(detail: str) -> str:
    """Return the detail with its numbers replaced: p-300 and p-400 have the same shape."""
    return _NUMBER.sub("#", detail)
