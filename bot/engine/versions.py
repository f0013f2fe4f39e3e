"""Of two sections about one thing, the one that is in force: it says that it replaces the other, or is newer by its name."""

import re
from collections.abc import Sequence
from dataclasses import replace

from bot.core.documents import FoundPassage, trail
from bot.core.text import stems
from bot.engine.judging import Candidate

_ITSELF = r"\b(?:this|these|it|which)\b[^.\n]{0,60}?"
_REPLACES = re.compile(rf"{_ITSELF}\b(?:replaces?|supersedes?|obsoletes?)\b([^.\n]{{0,120}})", re.IGNORECASE)
_REPLACED = re.compile(rf"{_ITSELF}\b(?:replaced|superseded|obsoleted) by\b([^.\n]{{0,120}})", re.IGNORECASE)
_DATE = re.compile(r"(?<!\d)(?:19|20)\d\d(?:-\d\d(?:-\d\d)?)?(?!\d)")
_VERSION = re.compile(r"(?<![\d.])v?(\d+(?:\.\d+)+)(?![\d.]*\d)", re.IGNORECASE)
# The words of a name that tell which of several editions it is.
_EDITION = re.compile(
    r"\b(?:old|new|current|former|previous|archived?|draft|edition|version|rev(?:ision)?)\b", re.IGNORECASE
)
# A newer section must be relevant nearly as much as the older one.
_LESS_RELEVANT = 3.0  # logits
# Of the words of a name, so many must be said by a section that replaces it.
_NAMED = 0.6


def in_force(question: str, candidates: Sequence[Candidate]) -> tuple[Sequence[Candidate], Candidate | None]:
    """The candidates with the best one first that no other replaces, and the one that it replaces, if there is one.

    A question that names the edition of the best candidate, by its year or version, is about that one.
    """
    if not candidates:
        return candidates, None
    best = candidates[0]
    if _editions(question) & _editions(trail(best.hit.found.title, best.hit.found.passage.heading)):
        return candidates, None
    near = [
        other
        for other in candidates[1:]
        if other.reading.relevance >= best.reading.relevance - _LESS_RELEVANT
        and other.section != best.section
        and not other.contradicts
    ]
    for other in near:
        if _replaces(other.hit.found, best.hit.found):
            # The two say what answers, so that the newer is as likely right as the older seemed.
            newest = replace(other, confidence=max(other.confidence, best.confidence))
            return (newest, *(one for one in candidates if one is not other)), best
    return candidates, next((other for other in near if _replaces(best.hit.found, other.hit.found)), None)


def _replaces(one: FoundPassage, other: FoundPassage) -> bool:
    says_so = any(_names(match[1], other) for match in _REPLACES.finditer(_text(one)))
    is_told = any(_names(match[1], one) for match in _REPLACED.finditer(_text(other)))
    return says_so or is_told or _is_newer(one, other)


def _is_newer(one: FoundPassage, other: FoundPassage) -> bool:
    """Whether the names of two documents differ in their dates or versions only, and the first has the later ones.

    Versions within one document are its history, where each entry says something of its own.
    """
    names = [f"{found.document} {found.title}" for found in (one, other)]
    first, second = map(_without_edition, names)
    if one.document == other.document or first != second:
        return False
    later, earlier = ((_dates(name), _versions(name)) for name in names)
    return later > earlier


def _names(text: str, found: FoundPassage) -> bool:
    """Whether a text names a document or its section: by most words of its title or heading, its year among them."""
    for name in (found.title, *found.passage.heading[-1:]):
        wanted = stems(name)
        if wanted and len(wanted & stems(text)) >= _NAMED * len(wanted) and _editions(name) <= _editions(text):
            return True
    return False


def _text(found: FoundPassage) -> str:
    return "\n".join(block.text for block in found.passage.blocks)


def _without_edition(name: str) -> tuple[str, ...]:
    for pattern in (_DATE, _VERSION, _EDITION):
        name = pattern.sub(" ", name)
    return tuple(re.findall(r"\w+", name.lower()))


def _editions(text: str) -> set[str]:
    return {*_DATE.findall(text), *_VERSION.findall(text)}


def _dates(name: str) -> list[str]:
    return _DATE.findall(name)


def _versions(name: str) -> list[tuple[int, ...]]:
    return [tuple(map(int, version.split("."))) for version in _VERSION.findall(name)]
