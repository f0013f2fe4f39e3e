"""The loader for JSON and JSON lines: stored pairs, wherever in the file they are; articles; tables.

An article is an object with a title and a text. Objects of the same plain values are the rows of a table.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bot.core.documents import Document, Form, Locator
from bot.core.errors import DocumentError
from bot.knowledge.formats.decoding import decode, well_formed
from bot.knowledge.formats.outline import Item, Outline, list_text, title_from_path
from bot.knowledge.formats.pairs import PAIRS_WANTED, pair, pairs_document, text_of, values_by_name
from bot.knowledge.formats.tables import merged, write_sheet

_TITLE_KEYS = ("title", "heading", "headline", "name", "subject", "topic")
_TEXT_KEYS = ("body", "text", "content", "description", "paragraphs")
_NOTHING_MORE = {*_TITLE_KEYS, *_TEXT_KEYS, "id", "_id", "uuid", "slug"}

Record = tuple[int, Any]
"""(number for people, value)"""


def load_lines(path: str, content: bytes) -> Document:
    """Load one object a line; the row is the line's number."""
    text, warnings = decode(content)
    lines = enumerate(text.split("\n"), start=1)
    records = [(number, _parsed(line, number)) for number, line in lines if line.strip()]
    return _document(path, records, warnings)


def load(path: str, content: bytes) -> Document:
    """Load a list of objects, which may stand within others, or an object of answers by question; the row is the number of
    the object."""
    text, warnings = decode(content)
    data = _parsed(text)
    if isinstance(data, dict) and not pair(data) and all(isinstance(value, str) for value in data.values()):
        data = [{"question": question, "answer": answer} for question, answer in data.items()]
    records = _records(data)
    if data != [] and not any(isinstance(record, Mapping) for record in records):
        raise DocumentError(f"{PAIRS_WANTED}, as a list of objects or as one object from question to answer")
    return _document(path, list(enumerate(records, start=1)), warnings)


def _records(data: Any) -> Sequence[Any]:
    """Return the objects of the outermost lists that hold pairs, articles or rows, one list after the other."""
    if isinstance(data, Mapping) and not _is_record(data):
        return [record for value in data.values() if isinstance(value, list | dict) for record in _records(value)]
    if isinstance(data, list) and not any(map(_is_record, data)):
        return [record for value in data for record in _records(value)]
    return data if isinstance(data, list) else [data]


def _is_record(value: Any) -> bool:
    return pair(value) is not None or _article(value) is not None or _is_row(value)


def _document(path: str, records: Sequence[Record], warnings: list[str]) -> Document:
    if any(pair(record) for _, record in records):
        return pairs_document(path, records, warnings=warnings)
    outline = Outline(warnings=warnings)
    if records and all(_article(record) for _, record in records):
        for number, record in records:
            _write_article(record, Locator(row=number), outline)
        return outline.document(path, title_from_path(path))
    if records and all(_is_row(record) for _, record in records):
        _write_rows(records, outline)
        return outline.document(path, title_from_path(path))
    return pairs_document(path, records, warnings=warnings)


def _write_article(record: Mapping[str, Any], locator: Locator, outline: Outline) -> None:
    """Write the text below its title, and the other values of the object as a list."""
    title, text = _article(record) or ("", "")
    outline.heading(1, title)
    outline.block(Form.PARAGRAPH, text, locator)
    others = [
        Item(f"{name}: {_plain(value)}")
        for name, value in record.items()
        if value not in (None, "") and _is_plain(value) and name.lower() not in _NOTHING_MORE
    ]
    outline.block(Form.LIST, list_text(others), locator)


def _write_rows(records: Sequence[Record], outline: Outline) -> None:
    """Write objects as the rows of a table, whose header has the keys of all."""
    names = list(dict.fromkeys(name for _, record in records for name in record))
    rows = [[well_formed(name) for name in names]]
    rows += [[_plain(record.get(name)) for name in names] for _, record in records]
    write_sheet(merged(rows, ()), outline)


def _article(record: Any) -> tuple[str, str] | None:
    """Return the title and the text of an object that has both."""
    named = values_by_name(record)
    title, text = text_of(named, _TITLE_KEYS), text_of(named, _TEXT_KEYS)
    return (title, text) if title and text else None


def _is_row(record: Any) -> bool:
    """Return whether a value is an object of several plain values."""
    return isinstance(record, Mapping) and len(record) > 1 and all(map(_is_plain, record.values()))


def _is_plain(value: Any) -> bool:
    return not isinstance(value, list | dict)


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return well_formed(value) if isinstance(value, str) else json.dumps(value)


def _parsed(text: str, first_line: int = 1) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {first_line + error.lineno - 1}, column {error.colno}"
        raise DocumentError(f"not valid JSON at {place} ({error.msg}); correct it there") from error
    except (ValueError, RecursionError) as error:
        what = "a number is too long or brackets are nested too deeply"
        raise DocumentError(f"can't be read as JSON from line {first_line} on: {what}; correct it there") from error
