"""Choose between two versions of a section: the one in force says that it replaces the other, or has a newer name."""

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
# The words of a name that denote an edition.
_EDITION = re.compile(
    r"\b(?:old|new|current|former|previous|archived?|draft|edition|version|rev(?:ision)?)\b", re.IGNORECASE
)
# A newer section may be this much less relevant than the older one.
_RELEVANCE_MARGIN = 3.0  # logits
# A section mentions another if it has this share of the words of its name.
_MIN_SHARE_OF_NAME = 0.6


def in_force(question: str, candidates: Sequence[Candidate]) -> tuple[Sequence[Candidate], tuple[Candidate, ...]]:
    """Return the candidates with the one in force first, and the candidates that it replaces, best first.

    Nothing changes if the question names the edition of the best candidate by its year or version.
    """
    if not candidates:
        return candidates, ()
    best = candidates[0]
    if _editions(question) & _editions(trail(best.hit.found.title, best.hit.found.passage.heading)):
        return candidates, ()
    near = [
        other
        for other in candidates[1:]
        if other.reading.relevance >= best.reading.relevance - _RELEVANCE_MARGIN
        and other.section != best.section
        and not other.contradicts
    ]
    newest = next((other for other in near if _replaces(other.hit.found, best.hit.found)), best)
    older = tuple(one for one in (best, *near) if one is not newest and _replaces(newest.hit.found, one.hit.found))
    if newest is not best:
        # Both are about the question, so the newer one is as likely to be right as the older one seemed.
        first = replace(newest, confidence=max(newest.confidence, best.confidence))
        candidates = (first, *(one for one in candidates if one is not newest))
    return candidates, older


def _replaces(one: FoundPassage, other: FoundPassage) -> bool:
    announces = any(_mentions(match[1], other) for match in _REPLACES.finditer(_text(one)))
    is_announced = any(_mentions(match[1], one) for match in _REPLACED.finditer(_text(other)))
    return announces or is_announced or _is_newer(one, other)


def _is_newer(one: FoundPassage, other: FoundPassage) -> bool:
    """Whether the names of two documents differ only in their dates or versions, and the first has the later ones.

    Versions within one document are its history, whose entries don't replace each other.
    """
    names = [f"{found.document} {found.title}" for found in (one, other)]
    first, second = map(_without_edition, names)
    if one.document == other.document or first != second:
        return False
    later, earlier = ((_dates(name), _versions(name)) for name in names)
    return later > earlier


def _mentions(text: str, found: FoundPassage) -> bool:
    """Whether a text mentions a document or its section: most words of the title or heading, and its year or version."""
    for name in (found.title, *found.passage.heading[-1:]):
        wanted = stems(name)
        if (
            wanted
            and len(wanted & stems(text)) >= _MIN_SHARE_OF_NAME * len(wanted)
            and _editions(name) <= _editions(text)
        ):
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
