"""The result of a check: one line of `knowledge-bot doctor`."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad the result of a check is."""

    OK = "ok"
    WARNING = "warning"  # works, but not as well as it could
    ERROR = "error"  # does not work until it is mended


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of one check. `text` describes it and, for a warning or an error, the fix."""

    level: Severity
    subject: str
    text: str


def ok(subject: str, text: str) -> Diagnosis:
    return Diagnosis(Severity.OK, subject, text)


def warning(subject: str, text: str) -> Diagnosis:
    return Diagnosis(Severity.WARNING, subject, text)


def error(subject: str, text: str) -> Diagnosis:
    return Diagnosis(Severity.ERROR, subject, text)
