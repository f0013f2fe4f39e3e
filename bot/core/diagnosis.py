"""The result of a check: one line of `knowledge-bot doctor`."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"  # works, but not as well as it could
    ERROR = "error"  # does not work until it is mended


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of one check. `text` describes it and, for a warning or an error, the fix."""

    level: Level
    subject: str
    text: str


def ok(subject: str, text: str) -> Diagnosis:
    return Diagnosis(Level.OK, subject, text)


def warning(subject: str, text: str) -> Diagnosis:
    return Diagnosis(Level.WARNING, subject, text)


def error(subject: str, text: str) -> Diagnosis:
    return Diagnosis(Level.ERROR, subject, text)
