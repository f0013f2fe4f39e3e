"""Compare the details of a question with a passage: codes, versions and names with a number in them.

The price of P-300 is no answer for P-400, and the meaning of E22 is none for E23, but embeddings hardly differ between them.
"""

import re
from collections.abc import Iterable

# A word with a digit in it, such as P-400, v2.3.1, ERR_1042, E23, 10.20.0.51, SQLite3. Plain numbers are amounts, not names.
_DETAIL = re.compile(r"(?<![\w.-])(?=[\w.-]*\d)(?=[\w.-]*[A-Za-z.])\w+(?:[.-]\w+)*")
_NUMBER = re.compile(r"\d+")
_VERSION = r"v?\d+(?:\.\d+)+"
# A range of versions, a version with those after it, a version with those before it, and a version that is just excluded.
_RANGE = re.compile(rf"({_VERSION}) *(?:to|up to|until|through|[-–—]) *({_VERSION})", re.IGNORECASE)
_FROM = re.compile(
    rf"(?:since|at least|>=|≥) *({_VERSION})|({_VERSION}) *(?:\+|onwards?|(?:or|and) (?:newer|later|higher|above|up|greater))",
    re.IGNORECASE,
)
_UP_TO = re.compile(
    rf"(?:up to|until|at most|<=|≤) *({_VERSION})|({_VERSION}) *(?:or|and) (?:older|earlier|lower|below)", re.IGNORECASE
)
_BEFORE = re.compile(
    rf"(?:\bpre-?|\bbefore|\bprior to|\bolder than|\bearlier than|\bbelow|<) *({_VERSION})", re.IGNORECASE
)


def details(text: str) -> frozenset[str]:
    """Return the details in a text, in lower case."""
    return frozenset(match.group().lower() for match in _DETAIL.finditer(text))


def contradicts(question: str, passage: str) -> bool:
    """Whether a passage speaks of siblings of a detail of the question instead (of P-300, not of P-400).

    Several details of one kind are alternatives or a pasted message, so one of them is enough. A version is also spoken of by a
    range that holds it and by the release that it belongs to (1.20 for 1.20.4), but not by "before 1.20.4".
    """
    wanted = details(question)
    said = details(_BEFORE.sub("", passage)) if wanted else frozenset[str]()
    shared = {_shape(detail) for detail in wanted & said}
    missing = {detail for detail in wanted - said if _shape(detail) not in shared}
    siblings_said = {_shape(detail) for detail in details(passage)} if missing else set()
    return any(_shape(detail) in siblings_said and not _covers(passage, said, detail) for detail in missing)


def siblings(question: str, passages: Iterable[str]) -> list[str]:
    """Return the details of the passages with the same shape as those of the question, unchanged and each once."""
    shapes = {_shape(detail) for detail in details(question)}
    found = (match.group() for passage in passages for match in _DETAIL.finditer(passage))
    return list(dict.fromkeys(detail for detail in found if _shape(detail.lower()) in shapes))


def _shape(detail: str) -> str:
    """Return the detail with its numbers replaced: p-300 and p-400 have the same shape."""
    return _NUMBER.sub("#", detail)


def _covers(passage: str, said: Iterable[str], detail: str) -> bool:
    """Whether a passage speaks of a version without naming it."""
    if not re.fullmatch(_VERSION, detail):
        return False
    version = _numbers(detail)
    single = _RANGE.sub("", passage)  # "1.2 up to 1.5" is not all up to 1.5
    releases = (_numbers(other) for other in said if re.fullmatch(_VERSION, other))
    return (
        any(version[: len(release)] == release for release in releases)
        or any(_numbers(first) <= version <= _numbers(last) for first, last in _RANGE.findall(passage))
        or any(version >= _numbers(before or after) for before, after in _FROM.findall(single))
        or any(version <= _numbers(before or after) for before, after in _UP_TO.findall(single))
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, _NUMBER.findall(version)))
