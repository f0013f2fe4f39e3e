"""Remarks on documents, of an indexing and of the checks, grouped by their subject, worst first."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bot.knowledge.checks import Finding
from bot.knowledge.loaders import LOADERS
from bot.storage.base import FileReport

_PLACE = r"(?:lines?|page|row|paragraph) \d+(?:-\d+)?"
_ENDINGS = "|".join(ending.lstrip(".") for ending in LOADERS)
# What two remarks of the same kind may differ in: words in quotation marks, files with places in them, and numbers.
_OWN = re.compile(rf"“[^”]*”|`[^`]*`|\S+\.(?:{_ENDINGS})\b(?:, {_PLACE})?|{_PLACE}|\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class Remark:
    """A remark on one place. `own` is the part that differs from others of its kind."""

    place: str
    own: str


@dataclass(frozen=True, slots=True)
class Kind:
    """Remarks that say the same of several places. `text` has … where they differ; a single remark is kept whole.

    `unread`: the files could not be read.
    """

    text: str
    remarks: tuple[Remark, ...]
    unread: bool


def by_kind(files: Iterable[FileReport], findings: Iterable[Finding] = ()) -> list[Kind]:
    """Return the remarks on and in files: first of files that could not be read, then the most frequent ones."""
    kinds: dict[tuple[bool, str], list[tuple[str, str]]] = {}
    for file in files:
        for unread, text in ((True, file.problem), *((False, warning) for warning in file.warnings)):
            if text:
                kinds.setdefault((unread, _general(text)), []).append((file.path, text))
    for finding in findings:
        place = ", ".join(filter(None, (finding.document, str(finding.locator))))
        kinds.setdefault((False, _general(finding.text)), []).append((place, finding.text))
    found = [_kind(unread, general, remarks) for (unread, general), remarks in kinds.items()]
    return sorted(found, key=lambda kind: (not kind.unread, -len(kind.remarks)))


def _kind(unread: bool, general: str, remarks: list[tuple[str, str]]) -> Kind:
    if len({text for _, text in remarks}) == 1:
        return Kind(remarks[0][1], tuple(Remark(place, "") for place, _ in remarks), unread)
    return Kind(general, tuple(Remark(place, ", ".join(_OWN.findall(text))) for place, text in remarks), unread)


def _general(text: str) -> str:
    return _OWN.sub("…", text)
