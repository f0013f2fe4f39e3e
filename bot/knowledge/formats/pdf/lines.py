"""The lines of text of a PDF's pages, by PDFium: turned upright, with their cells, links, form fields and ruled tables."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from ctypes import byref, c_double, c_int, c_ushort, create_string_buffer
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import pypdfium2
import pypdfium2.raw as pdfium

from bot.knowledge.formats.pdf.rules import Box, is_filled, ruled_tables

_MONOSPACED = re.compile(r"courier|consol|mono|menlo|typewriter|inconsolata|\bcode|cmtt", re.IGNORECASE)
_BOLD = re.compile(r"bold|black|heavy|semibold|demi", re.IGNORECASE)
_MARKER = re.compile(r"[•‣◦▪▫●○■□–∙·*-]|\u2043|\uf0b7|\uf0a7|o|\d{1,3}[.)]")
_HYPHENS = "\x02\ufffe"  # PDFium's marks for a word that is divided at the end of a line
_WEB_LINK = re.compile(r"(?:https?://|mailto:)[^\s()<>]+", re.IGNORECASE)
_CELL_GAP = 1.2  # in font sizes: the least distance between cells of a row
_MARGIN = 0.1  # of the page, in which text that isn't upright is a stamp
_FIELDS = frozenset(
    (
        pdfium.FPDF_FORMFIELD_TEXTFIELD,
        pdfium.FPDF_FORMFIELD_COMBOBOX,
        pdfium.FPDF_FORMFIELD_LISTBOX,
        pdfium.FPDF_FORMFIELD_CHECKBOX,
        pdfium.FPDF_FORMFIELD_RADIOBUTTON,
    )
)
_BOXES = (pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON)
TICKS = ("[x]", "[ ]")
"""The marks for a box of a form, ticked and not."""

_LONGEST_STAMP = 150  # characters on one page; more is text
_LARGEST_FIELD = 4000  # characters of a form field's value
_MOST_LINKS = 2000  # on one page
_LONGEST_ADDRESS = 2000  # bytes
_SHORTEST_LINK = 3  # characters; less is a number of a note


@dataclass(frozen=True, slots=True)
class LineCell:
    """A piece of a line that stands far from the others."""

    left: float
    right: float
    text: str


@dataclass(frozen=True)
class Line:
    """One line on a page. `bottom` is its baseline; y grows upwards. A word that it divides at its end ends with U+00AD.

    `rows` are those of a table between rules, which stands in the place of a line.
    """

    page: int
    bottom: float
    size: float
    font: str
    cells: tuple[LineCell, ...]
    rows: tuple[tuple[str, ...], ...] = ()

    @cached_property
    def text(self) -> str:
        return self.cells[0].text if len(self.cells) == 1 else " ".join(cell.text for cell in self.cells)

    @cached_property
    def left(self) -> float:
        return self.cells[0].left

    @cached_property
    def right(self) -> float:
        return self.cells[-1].right

    @property
    def top(self) -> float:
        return self.bottom + self.size

    @property
    def code(self) -> bool:
        return _is_monospaced(self.font)

    @property
    def bold(self) -> bool:
        return _is_bold(self.font)


@lru_cache(maxsize=1024)
def _is_monospaced(font: str) -> bool:
    return _MONOSPACED.search(font) is not None


@lru_cache(maxsize=1024)
def _is_bold(font: str) -> bool:
    return _BOLD.search(font) is not None


@dataclass(frozen=True, slots=True)
class _Field:
    """A form field with its value."""

    left: float
    bottom: float
    top: float
    text: str


class PageReader:
    """Reads the lines of pages. `forms` is needed for the values of form fields, if the document has any."""

    def __init__(self, forms: pypdfium2.PdfFormEnv | None) -> None:
        self._forms = forms
        self.stamps: list[tuple[int, str]] = []
        """The text that was left out because it runs along the margin in another direction, with its pages."""

    def read(self, page: pypdfium2.PdfPage, number: int) -> tuple[list[Line], list[Line]]:
        """Return the lines of a page in the order of the file, and apart from them those in another direction than most."""
        text_page = page.get_textpage()
        turned = list(_turned_lines(text_page, number))
        letters = Counter[int]()
        for angle, line in turned:
            letters[angle] += len(line.text)
        upright = letters.most_common(1)[0][0] if letters else 0
        lines = [line for angle, line in turned if angle == upright]
        if upright == 0:
            _put_links(page, text_page, lines)
            for field in _fields(page, self._forms) if self._forms else ():
                _put_field(field, lines, number)
            lines = _with_tables(page, text_page, lines)
        return lines, list(self._beside(turned, upright, page))

    def _beside(self, turned: Sequence[tuple[int, Line]], upright: int, page: pypdfium2.PdfPage) -> Iterator[Line]:
        """Yield the lines that aren't upright, without a stamp in the margin."""
        extent = max(1.0, page.get_height() if upright % 180 else page.get_width())
        beside = [(angle, line) for angle, line in turned if angle != upright]
        stamps = [
            line
            for angle, line in beside
            if (angle - upright) % 180 and not _MARGIN < abs(line.bottom) / extent < 1 - _MARGIN
        ]
        if sum(len(line.text) for line in stamps) > _LONGEST_STAMP:
            stamps = []
        self.stamps += [(line.page, line.text) for line in stamps]
        left_out = set(map(id, stamps))
        yield from (line for _, line in beside if id(line) not in left_out)


# --- characters -> lines ----------------------------------------------------------------------------------------------


def _turned_lines(text_page: pypdfium2.PdfTextPage, number: int) -> Iterator[tuple[int, Line]]:
    """Yield the lines of a page in the order of the file, each with its angle in degrees, turned upright."""
    characters = _characters(text_page)
    count = len(characters)
    start = 0
    for index in range(count + 1):
        if index == count or characters[index] in "\r\n" or characters[index] in _HYPHENS:
            end = index + (index < count and characters[index] in _HYPHENS)
            if (line := _line(text_page, characters, start, end, number)) is not None:
                yield line
            start = index + 1


def _characters(text_page: pypdfium2.PdfTextPage) -> Sequence[str]:
    """Return the characters of a page by their numbers in the whole text, unless PDFium leaves some out of it."""
    count = text_page.count_chars()
    text = text_page.get_text_range()
    return text if len(text) == count else [chr(pdfium.FPDFText_GetUnicode(text_page, index)) for index in range(count)]


def _line(
    text_page: pypdfium2.PdfTextPage, characters: Sequence[str], start: int, end: int, page: int
) -> tuple[int, Line] | None:
    shown = [index for index in range(start, end) if not characters[index].isspace() and characters[index] != "\0"]
    if not shown:
        return None
    # Those of most of its characters, for a bullet may have another font.
    sampled = shown[:: max(1, len(shown) // 5)]
    size = Counter(_size(text_page, index) for index in sampled).most_common(1)[0][0]
    fonts = [_font(text_page, index) for index in sampled]
    # Text with a word of code in it is no code, and with a bold word no heading.
    prose = [name for name in fonts if not _is_monospaced(name)]
    font = Counter([name for name in prose if not _is_bold(name)] or prose or fonts).most_common(1)[0][0]
    angle = round(math.degrees(pdfium.FPDFText_GetCharAngle(text_page, shown[len(shown) // 2])) / 90) * 90 % 360
    cells = list(_cells(text_page, characters, shown, size, angle))
    if len(cells) > 1 and _MARKER.fullmatch(cells[0].text):  # what stands far from its item is no cell of its own
        cells[:2] = [LineCell(cells[0].left, cells[1].right, f"{cells[0].text} {cells[1].text}")]
    return angle, Line(page, _baseline(text_page, shown[0], angle), size, font, tuple(cells))


def _cells(
    text_page: pypdfium2.PdfTextPage, characters: Sequence[str], shown: Sequence[int], size: float, angle: int
) -> Iterator[LineCell]:
    """Yield the pieces of a line between gaps that are wider than usual."""
    begun = shown[0]
    left = _extent(text_page, begun, angle)[0]
    for before, after in zip(shown, [*shown[1:], None], strict=True):
        if after is not None and after == before + 1:
            continue
        right = _extent(text_page, before, angle)[1]
        following = right if after is None else _extent(text_page, after, angle)[0]
        if after is None or following - right > _CELL_GAP * size:
            text = " ".join(_cleaned("".join(characters[begun : before + 1])).split())
            yield LineCell(left, right, text)
            begun, left = after if after is not None else begun, following


def _cleaned(text: str) -> str:
    """Return the text with PDFium's marks for line-end hyphens and unknown characters replaced."""
    text = re.sub(r"[\x02\ufffe\xad]$", "\xad", text)
    return re.sub(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]", "", text).replace("\xa0", " ")


def _extent(text_page: pypdfium2.PdfTextPage, index: int, angle: int) -> tuple[float, float]:
    """Return the beginning and the end of a character along its line."""
    left, right, bottom, top = c_double(), c_double(), c_double(), c_double()
    pdfium.FPDFText_GetCharBox(text_page, index, byref(left), byref(right), byref(bottom), byref(top))
    match angle:
        case 270:
            return bottom.value, top.value
        case 90:
            return -top.value, -bottom.value
        case 180:
            return -right.value, -left.value
        case _:
            return left.value, right.value


def _baseline(text_page: pypdfium2.PdfTextPage, index: int, angle: int) -> float:
    x, y = c_double(), c_double()
    pdfium.FPDFText_GetCharOrigin(text_page, index, byref(x), byref(y))
    return {0: y.value, 90: x.value, 180: -y.value, 270: -x.value}[angle]


def _size(text_page: pypdfium2.PdfTextPage, index: int) -> float:
    """Return the size of the font as shown, after scaling by the text matrix."""
    matrix = pdfium.FS_MATRIX()
    size = float(pdfium.FPDFText_GetFontSize(text_page, index))
    if pdfium.FPDFText_GetMatrix(text_page, index, byref(matrix)):
        size *= math.hypot(matrix.c, matrix.d)
    return max(1.0, round(size, 1))


def _font(text_page: pypdfium2.PdfTextPage, index: int) -> str:
    buffer, flags = create_string_buffer(128), c_int()
    length = pdfium.FPDFText_GetFontInfo(text_page, index, buffer, 128, byref(flags))
    name = buffer.raw[: min(length, 128)].split(b"\0")[0].decode("utf-8", "replace")
    weight = pdfium.FPDFText_GetFontWeight(text_page, index)
    return f"{name} bold" if weight >= 600 else name


# --- form fields and links --------------------------------------------------------------------------------------------


def _fields(page: pypdfium2.PdfPage, forms: pypdfium2.PdfFormEnv) -> Iterator[_Field]:
    """Yield the filled fields of a page, and its boxes, ticked or not."""
    for number in range(pdfium.FPDFPage_GetAnnotCount(page)):
        annotation = pdfium.FPDFPage_GetAnnot(page, number)
        if not annotation:
            continue
        kind = pdfium.FPDFAnnot_GetFormFieldType(forms, annotation)
        rectangle = pdfium.FS_RECTF()
        if kind in _FIELDS and pdfium.FPDFAnnot_GetRect(annotation, byref(rectangle)):
            text = _tick(forms, annotation) if kind in _BOXES else _value(forms, annotation)
            if text:
                bottom, top = sorted((rectangle.bottom, rectangle.top))
                yield _Field(min(rectangle.left, rectangle.right), bottom, top, text)
        pdfium.FPDFPage_CloseAnnot(annotation)


def _tick(forms: pypdfium2.PdfFormEnv, annotation: pdfium.FPDF_ANNOTATION) -> str:
    return TICKS[0 if pdfium.FPDFAnnot_IsChecked(forms, annotation) else 1]


def _value(forms: pypdfium2.PdfFormEnv, annotation: pdfium.FPDF_ANNOTATION) -> str:
    buffer = (c_ushort * _LARGEST_FIELD)()
    size = pdfium.FPDFAnnot_GetFormFieldValue(forms, annotation, buffer, 2 * _LARGEST_FIELD)
    return " ".join(bytes(buffer)[: max(0, size - 2)].decode("utf-16-le", "replace").split())


def _put_field(field: _Field, lines: list[Line], page: int) -> None:
    """Write the text of a field behind the words to its left, before those to its right, or as a line of its own."""
    beside = [
        (abs(line.right - field.left), number)
        for number, line in enumerate(lines)
        if field.bottom - 0.3 * line.size <= line.bottom + 0.3 * line.size <= field.top
    ]
    size = min(12.0, max(6.0, field.top - field.bottom))
    cell = LineCell(field.left, field.left + 0.5 * size * len(field.text), field.text)
    if not beside:
        lines.append(Line(page, field.bottom + 0.25 * size, size, "", (cell,)))
        return
    _, number = min(beside)
    line = lines[number]
    before = [one for one in line.cells if one.left < field.left]
    after = [one for one in line.cells if one.left >= field.left]
    if before and field.text not in TICKS:
        before[-1] = LineCell(before[-1].left, max(before[-1].right, cell.right), f"{before[-1].text} {field.text}")
    elif after:
        after[0] = LineCell(field.left, after[0].right, f"{field.text} {after[0].text}")
    else:
        after = [cell]
    lines[number] = replace(line, cells=(*before, *after))


def _put_links(page: pypdfium2.PdfPage, text_page: pypdfium2.PdfTextPage, lines: list[Line]) -> None:
    """Write the links of a page to the web as Markdown, where their words aren't the address itself."""
    for (left, bottom, right, top), address in _links(page):
        words = " ".join(_cleaned(text_page.get_text_bounded(left, bottom, right, top)).split())
        if len(words) < _SHORTEST_LINK or _WEB_LINK.match(words) or words in address or re.search(r"[\[\]|]", words):
            continue
        middle = (bottom + top) / 2
        for number, line in enumerate(lines):
            if line.bottom - 0.3 * line.size < middle < line.top:
                linked = tuple(
                    replace(cell, text=cell.text.replace(words, f"[{words}]({address})", 1))
                    if cell.left - 1 <= left <= cell.right and "](" not in cell.text
                    else cell
                    for cell in line.cells
                )
                lines[number] = replace(line, cells=linked)


def _links(page: pypdfium2.PdfPage) -> Iterator[tuple[tuple[float, float, float, float], str]]:
    """Yield the rectangles of links to the web, with their addresses."""
    position, link, rectangle = c_int(0), pdfium.FPDF_LINK(), pdfium.FS_RECTF()
    for _ in range(_MOST_LINKS):
        if not pdfium.FPDFLink_Enumerate(page, byref(position), byref(link)):
            return
        action = pdfium.FPDFLink_GetAction(link)
        if not action or not pdfium.FPDFLink_GetAnnotRect(link, byref(rectangle)):
            continue
        buffer = create_string_buffer(_LONGEST_ADDRESS)
        size = pdfium.FPDFAction_GetURIPath(page.pdf, action, buffer, _LONGEST_ADDRESS)
        address = buffer.raw[: max(0, size - 1)].decode("utf-8", "replace") if size <= _LONGEST_ADDRESS else ""
        if _WEB_LINK.fullmatch(address):
            yield (rectangle.left, rectangle.bottom, rectangle.right, rectangle.top), address


# --- tables between rules ---------------------------------------------------------------------------------------------


def _with_tables(page: pypdfium2.PdfPage, text_page: pypdfium2.PdfTextPage, lines: list[Line]) -> list[Line]:
    """Return the lines, with each table between rules as one of them, in the place of its first line."""
    for table in ruled_tables(page):
        within = [line for line in lines if _stands_in(line, table.box)]
        rows = [[_cell_text(text) for text in row] for row in table.rows(text_page)] if within else []
        if not is_filled(rows):
            continue
        first = within[0]
        made = []
        for number, part in enumerate(_titles_and_table(rows)):
            cell = LineCell(
                table.box.left, table.box.right, " ".join(filter(None, (text for row in part for text in row)))
            )
            bottom = table.box.bottom if len(part) > 1 else table.box.top - (number + 1) * first.size
            made.append(replace(first, bottom=bottom, cells=(cell,), rows=part if len(part) > 1 else ()))
        taken = set(map(id, within))
        place = next(number for number, line in enumerate(lines) if line is first)
        lines = [*lines[:place], *made, *(line for line in lines[place:] if id(line) not in taken)]
    return lines


def _titles_and_table(rows: list[list[str]]) -> Iterator[tuple[tuple[str, ...], ...]]:
    """Yield the rows that are titles of the table, each by itself, and the table, without repeated rows, empty rows and
    empty columns."""
    rows = [row for above, row in zip([None, *rows], rows, strict=False) if any(row) and row != above]
    columns = [number for number in range(len(rows[0])) if any(row[number] for row in rows)]
    rows = [[row[number] for number in columns] for row in rows]
    while len(rows) > 2 and not any(rows[0][1:]):
        yield ((rows.pop(0)[0],),)
    yield tuple(map(tuple, rows))


def _stands_in(line: Line, box: Box) -> bool:
    middle = line.bottom + 0.3 * line.size
    return box.bottom < middle < box.top and box.left < (line.left + line.right) / 2 < box.right


def _cell_text(text: str) -> str:
    """Return the text of a cell in one line, with divided words put together."""
    return " ".join(_cleaned(re.sub(r"[\x02\ufffe]\n?", "", text)).split())
