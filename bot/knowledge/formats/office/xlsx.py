"""The loader for spreadsheets (XLSX, XLS, ODS), by calamine. A sheet becomes a heading, and each run of rows a table or
stored pairs.

Only stored values are read; formulas and macros aren't run. Hidden rows, columns and sheets are left out.
"""

import datetime
import io
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum, load_workbook

from bot.core.documents import Document
from bot.core.errors import DocumentError
from bot.core.text import counted
from bot.knowledge.formats.archive import open_archive
from bot.knowledge.formats.office.cell_marks import Marks, RowMarks, SheetMarks
from bot.knowledge.formats.outline import Outline, listed, title_from_path
from bot.knowledge.formats.tables import Merge, merged, write_sheet

_DAMAGED = "this is no spreadsheet, or it is damaged or protected by a password; open it and save it again as XLSX"
_NOT_COMPUTED = "(not calculated)"
_BROKEN = (CalamineError, ValueError, OverflowError, zipfile.BadZipFile, zlib.error, EOFError)


def load(path: str, content: bytes) -> Document:
    marks = None
    if not path.lower().endswith(".xls"):
        archive = open_archive(content, "XLSX")
        marks = Marks(archive)
    outline = Outline()
    try:
        workbook = load_workbook(io.BytesIO(content))
        for sheet in workbook.sheets_metadata:
            if sheet.visible is SheetVisibleEnum.Visible:
                outline.heading(1, sheet.name)
                _sheet(workbook, sheet.name, marks.of(sheet.name) if marks else SheetMarks(), outline)
            else:
                outline.warnings.append(f"the hidden sheet “{sheet.name}” was left out")
    except _BROKEN as error:
        raise DocumentError(_DAMAGED) from error
    except BaseException as error:  # a panic of the library's is no Exception
        if type(error).__name__ != "PanicException":
            raise
        raise DocumentError(_DAMAGED) from error
    return outline.document(path, title_from_path(path))  # sheets have names like Sheet1


def _sheet(workbook: CalamineWorkbook, name: str, marks: SheetMarks, outline: Outline) -> None:
    sheet = workbook.get_sheet_by_name(name)
    rows = [_row(cells, marks.rows.get(number)) for number, cells in enumerate(sheet.to_python(skip_empty_area=False))]
    merges = [Merge(top, left, bottom, right) for (top, left), (bottom, right) in sheet.merged_cell_ranges or ()]
    hidden = frozenset(number for number, row in marks.rows.items() if row.hidden and number < len(rows))
    columns = [column for column in range(max(map(len, rows), default=0)) if marks.hides(column)]
    _warn(name, rows, hidden, columns, marks, outline)
    for row in rows if columns else ():
        for column in columns:
            row[column : column + 1] = [""] * (column < len(row))
    write_sheet(merged(rows, merges), outline, hidden)


def _row(cells: Sequence[Any], marks: RowMarks | None) -> list[str]:
    texts = [_text(cell) for cell in cells]
    if marks is not None:
        for column, unit in marks.units.items():
            if column < len(cells) and isinstance(cells[column], int | float) and not isinstance(cells[column], bool):
                texts[column] = unit.text(cells[column])
        for column in marks.uncomputed:
            texts += [""] * (column + 1 - len(texts))
            texts[column] = _NOT_COMPUTED
    return texts


def _warn(
    name: str,
    rows: Sequence[Sequence[str]],
    hidden: frozenset[int],
    columns: Sequence[int],
    marks: SheetMarks,
    outline: Outline,
) -> None:
    """Report the parts of a sheet that were left out, or that are missing."""
    if full_rows := [row for row in sorted(hidden) if any(rows[row])]:
        places = listed(row + 1 for row in full_rows)
        outline.warnings.append(f"hidden rows of the sheet “{name}” were left out: {places}")
    if full_columns := [column for column in columns if any(row[column] for row in rows if column < len(row))]:
        places = listed(map(_letters, full_columns))
        outline.warnings.append(f"hidden columns of the sheet “{name}” were left out: {places}")
    if cells := [(row, column) for row, found in sorted(marks.rows.items()) for column in found.uncomputed]:
        places = listed(f"{_letters(column)}{row + 1}" for row, column in cells)
        outline.warnings.append(
            f"{counted(len(cells), 'formula')} of the sheet “{name}” without a stored result: {places}; open the file in a "
            "spreadsheet program and save it"
        )


def _letters(column: int) -> str:
    """Return the name of a column: `A` for 0, `AA` for 26."""
    return _letters(column // 26 - 1) + chr(65 + column % 26) if column > 25 else chr(65 + column)


def _text(value: Any) -> str:
    """Return the text of a cell as people write it: 3 for 3.0, a date without midnight, a time without zero seconds."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.12g}"
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ", "minutes")
    if isinstance(value, datetime.time):
        return value.isoformat("seconds" if value.second else "minutes")
    if isinstance(value, datetime.timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02d}" + (f":{seconds:02d}" if seconds else "")
    return str(value)
