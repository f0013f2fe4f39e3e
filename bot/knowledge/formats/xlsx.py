"""The loader for spreadsheets (XLSX, XLS, ODS), by calamine. A sheet becomes a heading, and each run of rows a table or
stored pairs.

Only stored values are read; formulas and macros aren't run.
"""

import datetime
import io
from collections.abc import Iterator, Sequence
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum, load_workbook

from bot.core.documents import Document, Form, Locator
from bot.core.errors import DocumentError
from bot.knowledge.formats.archive import open_archive
from bot.knowledge.formats.outline import Outline, table_text, title_from_path
from bot.knowledge.formats.pairs import pair, question_and_answer

_DAMAGED = "this is no spreadsheet, or it is damaged or protected by a password; open it and save it again as XLSX"
NumberedRow = tuple[int, list[str]]
"""The number of a row, as the spreadsheet shows it, and its cells."""


def load(path: str, content: bytes) -> Document:
    if not path.lower().endswith(".xls"):
        open_archive(content, "XLSX").close()
    outline = Outline()
    try:
        workbook = load_workbook(io.BytesIO(content))
        for sheet in workbook.sheets_metadata:
            if sheet.visible is SheetVisibleEnum.Visible:
                outline.heading(1, sheet.name)
                _sheet(list(_rows(workbook, sheet.name)), outline)
    except (CalamineError, ValueError, OverflowError) as error:
        raise DocumentError(_DAMAGED) from error
    except BaseException as error:  # a panic of the library's is no Exception
        if type(error).__name__ != "PanicException":
            raise
        raise DocumentError(_DAMAGED) from error
    return outline.document(path, title_from_path(path))  # sheets have names like Sheet1


def _rows(workbook: CalamineWorkbook, name: str) -> Iterator[NumberedRow]:
    rows = workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
    for number, row in enumerate(rows, start=1):
        yield number, [_text(cell) for cell in row]


def _sheet(rows: Sequence[NumberedRow], outline: Outline) -> None:
    for region in _regions(rows):
        header = region[0][1]
        if question_and_answer(header):
            for number, cells in region[1:]:
                if found := pair(dict(zip(header, cells, strict=False))):
                    outline.block(Form.PAIR, found[1], Locator(row=number), found[0])
        elif max(len(_filled(cells)) for _, cells in region) < 2:
            for number, cells in region:
                outline.block(Form.PARAGRAPH, " ".join(_filled(cells)), Locator(row=number))
        else:
            outline.block(Form.TABLE, table_text(_without_empty_columns(region)), Locator(row=region[0][0]))


def _regions(rows: Sequence[NumberedRow]) -> Iterator[list[NumberedRow]]:
    """The runs of rows between empty rows."""
    region: list[NumberedRow] = []
    for row in rows:
        if _filled(row[1]):
            region.append(row)
        elif region:
            yield region
            region = []
    if region:
        yield region


def _filled(cells: Sequence[str]) -> list[str]:
    return [cell for cell in cells if cell.strip()]


def _without_empty_columns(region: Sequence[NumberedRow]) -> list[list[str]]:
    width = max(len(cells) for _, cells in region)
    padded = [cells + [""] * (width - len(cells)) for _, cells in region]
    kept = [column for column in range(width) if any(row[column].strip() for row in padded)]
    return [[row[column] for column in kept] for row in padded]


def _text(value: Any) -> str:
    """The text of a cell as people write it: 3 for 3.0, a date without midnight."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.12g}"
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ", "minutes")
    return str(value)
