"""The loader for CSV and TSV: stored pairs where the header names a question and an answer column, tables otherwise."""

import csv
import io
import re

from bot.core.documents import Document
from bot.core.errors import DocumentError
from bot.knowledge.formats.decoding import decode
from bot.knowledge.formats.outline import Outline, listed, title_from_path
from bot.knowledge.formats.pairs import pairs_document, question_and_answer
from bot.knowledge.formats.tables import merged, write_sheet

_DELIMITERS = ",;\t|"
# The line by which a file tells spreadsheet programs its delimiter. They don't show it as a row.
_DECLARED = re.compile(r'"?sep=([^\n"])"?\n', re.IGNORECASE)


def load(path: str, content: bytes) -> Document:
    """Load a table. Rows count as in a spreadsheet, from 1, with the empty ones."""
    text, warnings = decode(content)
    rows = _rows(text)
    header = next(filter(any, rows), [])
    if question_and_answer(header) or not header:
        return _stored_pairs(path, rows, warnings)
    outline = Outline(warnings=warnings)
    write_sheet(merged(rows, ()), outline)
    return outline.document(path, title_from_path(path))


def _rows(text: str) -> list[list[str]]:
    """Return the cells of each row, none for an empty one. Raises DocumentError."""
    declared = _DECLARED.match(text)
    if declared:
        text = text[declared.end() :]
    delimiter = declared[1] if declared else _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    rows, row_begins = [], 1
    try:
        for row in reader:
            row_begins = reader.line_num + 1
            rows.append(row if any(map(str.strip, row)) else [])
    except csv.Error as error:
        line = row_begins + (declared is not None)
        raise DocumentError(
            f"not valid CSV in the row that begins at line {line} ({error}); look there for a double quote that is "
            "not closed, or not doubled within a quoted cell"
        ) from error
    return rows


def _delimiter(text: str) -> str:
    """Return the commonest delimiter of the first line that has any: a title may stand above the header."""
    lines = (line for line in text.split("\n", 20) if any(delimiter in line for delimiter in _DELIMITERS))
    return max(_DELIMITERS, key=next(lines, "").count)


def _stored_pairs(path: str, rows: list[list[str]], warnings: list[str]) -> Document:
    numbered = [(number, row) for number, row in enumerate(rows, start=1) if row]
    [(_, header), *cells] = numbered or [(1, [])]
    records = [(number, dict(zip(header, row, strict=False))) for number, row in cells]
    too_long = [number for number, row in cells if any(map(str.strip, row[len(header) :]))]
    if too_long:
        warnings.append(f"more cells than the header has, the rest left out: row {listed(too_long)}")
    found = f"found the columns: {', '.join(header)}" if header else ""
    return pairs_document(path, records, found, warnings)
