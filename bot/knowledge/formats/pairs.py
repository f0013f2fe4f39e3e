"""Stored pairs of question and answer, as tables and JSON have them."""

from collections.abc import Mapping, Sequence
from typing import Any

from bot.core.documents import Block, Document, Form, Locator
from bot.core.errors import DocumentError
from bot.knowledge.formats.decoding import well_formed
from bot.knowledge.formats.outline import listed, title_from_path

_QUESTION_KEYS = ("question", "questions", "q", "prompt", "query")
_ANSWER_KEYS = ("answer", "answers", "a", "response", "reply")
PAIRS_WANTED = "expected question-answer pairs: each with a `question` and an `answer`"


def pairs_document(
    path: str, records: Sequence[tuple[int, Any]], found: str = "", warnings: Sequence[str] = ()
) -> Document:
    """Return the document of (row, record). Raises DocumentError if none is a pair; `found` describes the records then."""
    blocks, skipped = [], []
    for number, record in records:
        complete = pair(record)
        if complete is None:
            skipped.append(number)
        else:
            blocks.append(Block(Form.PAIR, complete[1], locator=Locator(row=number), context=complete[0]))
    if not blocks:
        raise DocumentError("; ".join(filter(None, (PAIRS_WANTED, found, "" if records else "there are none"))))
    if skipped:
        warnings = [*warnings, f"without a question or an answer, passed over: row {listed(skipped)}"]
    return Document(path, title_from_path(path), tuple(blocks), warnings=tuple(warnings))


def question_and_answer(header: Sequence[str]) -> bool:
    """Return whether a table has the columns of stored pairs."""
    names = {name.strip().lower() for name in header}
    return not names.isdisjoint(_QUESTION_KEYS) and not names.isdisjoint(_ANSWER_KEYS)


def pair(record: Any) -> tuple[str, str] | None:
    """Return the question, with one phrasing a line, and the answer of a record; None if one is missing or empty."""
    named = values_by_name(record)
    question, answer = text_of(named, _QUESTION_KEYS), text_of(named, _ANSWER_KEYS)
    return (question, answer) if question and answer else None


def values_by_name(record: Any) -> dict[str, Any]:
    """Return the values of a record by their names in small letters; empty for a value that is no record."""
    if not isinstance(record, Mapping):
        return {}
    return {str(key).strip().lower(): value for key, value in record.items() if key is not None}


def text_of(named: Mapping[str, Any], keys: Sequence[str]) -> str:
    """Return the text of the first of these keys that has any; a list of texts has one a line."""
    value = next((named[key] for key in keys if named.get(key)), "")
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        return ""
    return "\n".join(filter(None, (well_formed(text).strip() for text in texts)))
