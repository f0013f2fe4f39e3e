"""The loaders for question-answer pairs in CSV, JSON and JSON lines."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from bot.core.documents import Block, Document, Form, Locator
from bot.core.errors import DocumentError
from bot.knowledge.formats.decoding import decode, well_formed
from bot.knowledge.formats.outline import title_from_path

_QUESTION_KEYS = ("question", "q", "prompt")
_ANSWER_KEYS = ("answer", "a", "response")
_PAIRS_WANTED = "expected question-answer pairs: each with a `question` and an `answer`"


_DELIMITERS = ",;\t|"


def load_csv(path: str, content: bytes) -> Document:
    """Load a table whose header names a question and an answer column. Rows count from the header, which is row 1."""
    text, warnings = decode(content)
    first_line = text.lstrip("\n").partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    rows, row_begins = [], 1
    try:
        for number, row in enumerate(reader, start=1):
            row_begins = reader.line_num + 1
            if any(map(str.strip, row)):
                rows.append((number, row))
    except csv.Error as error:
        raise DocumentError(
            f"not valid CSV in the row that begins at line {row_begins} ({error}); look there for a double quote that is "
            "not closed, or not doubled within a quoted cell"
        ) from error
    [(_, header), *cells] = rows or [(1, [])]
    records = [(number, dict(zip(header, row, strict=False))) for number, row in cells]
    too_long = [number for number, row in cells if any(map(str.strip, row[len(header) :]))]
    if too_long:
        warnings.append(f"more cells than the header has, the rest left out: row {_listed(too_long)}")
    found = f"found the columns: {', '.join(header)}" if header else ""
    return _pairs_document(path, records, found, warnings)


def load_jsonl(path: str, content: bytes) -> Document:
    """Load pairs from one object a line; the row is the line's number."""
    text, warnings = decode(content)
    lines = enumerate(text.split("\n"), start=1)
    records = [(number, _parse_json(line, number)) for number, line in lines if line.strip()]
    return _pairs_document(path, records, warnings=warnings)


def load_json(path: str, content: bytes) -> Document:
    """Load pairs from a list of objects, or from an object of answers by question; the row is the pair's number."""
    text, warnings = decode(content)
    data = _parse_json(text)
    if pair(data):
        data = [data]
    elif isinstance(data, dict) and all(isinstance(value, str) for value in data.values()):
        data = [{"question": question, "answer": answer} for question, answer in data.items()]
    if not isinstance(data, list):
        raise DocumentError(f"{_PAIRS_WANTED}, as a list of objects or as one object from question to answer")
    return _pairs_document(path, list(enumerate(data, start=1)), warnings=warnings)


def _parse_json(text: str, first_line: int = 1) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {first_line + error.lineno - 1}, column {error.colno}"
        raise DocumentError(f"not valid JSON at {place} ({error.msg}); correct it there") from error
    except (ValueError, RecursionError) as error:
        what = "a number is too long or brackets are nested too deeply"
        raise DocumentError(f"can't be read as JSON from line {first_line} on: {what}; correct it there") from error


def _pairs_document(
    path: str, records: list[tuple[int, Any]], found: str = "", warnings: Sequence[str] = ()
) -> Document:
    blocks, skipped = [], []
    for number, record in records:
        complete = pair(record)
        if complete is None:
            skipped.append(number)
        else:
            blocks.append(Block(Form.PAIR, complete[1], locator=Locator(row=number), context=complete[0]))
    if not blocks:
        raise DocumentError("; ".join(filter(None, (_PAIRS_WANTED, found, "" if records else "there are none"))))
    if skipped:
        warnings = [*warnings, f"without a question or an answer, passed over: row {_listed(skipped)}"]
    return Document(path, title_from_path(path), tuple(blocks), warnings=tuple(warnings))


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:10])) + (", ..." if len(numbers) > 10 else "")


def question_and_answer(header: Sequence[str]) -> bool:
    """Whether a table has the columns of stored pairs."""
    names = {name.strip().lower() for name in header}
    return not names.isdisjoint(_QUESTION_KEYS) and not names.isdisjoint(_ANSWER_KEYS)


def pair(record: Any) -> tuple[str, str] | None:
    """The question and the answer of a record; None if one is missing or empty."""
    if not isinstance(record, Mapping):
        return None
    by_name = {str(key).strip().lower(): value for key, value in record.items() if key is not None}
    question = next((by_name[key] for key in _QUESTION_KEYS if by_name.get(key)), None)
    answer = next((by_name[key] for key in _ANSWER_KEYS if by_name.get(key)), None)
    if not isinstance(question, str) or not isinstance(answer, str) or not question.strip() or not answer.strip():
        return None
    return well_formed(question).strip(), well_formed(answer).strip()
