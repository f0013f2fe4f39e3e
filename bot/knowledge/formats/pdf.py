"""The loader for PDF, by PDFium: joins lines of text into headings, paragraphs, lists, tables and code.

A PDF has only text at places, so these are recognised by places and fonts. Text that repeats at the top or bottom of pages is
left out.
"""

import math
import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from ctypes import byref, c_double, c_int, create_string_buffer
from dataclasses import dataclass, field

import pypdfium2
import pypdfium2.raw as pdfium

from bot.core.documents import Document, Form, Locator
from bot.core.errors import DocumentError
from bot.knowledge.formats.outline import LONGEST_HEADING, Item, Outline, list_text, table_text, title_from_path

_PROTECTED = "it is protected by a password; save it without one"
_DAMAGED = "this is no PDF file, or it is damaged; make it again, or open it and print it to a new PDF"
_PICTURES = "it holds no text, only pictures of pages; run it through text recognition (OCR) and save it with its text"
_MONOSPACED = re.compile(r"courier|consol|mono|menlo|typewriter|inconsolata|\bcode|cmtt", re.IGNORECASE)
_BOLD = re.compile(r"bold|black|heavy|semibold|demi", re.IGNORECASE)
_BULLET = re.compile(r"(?:[•‣◦▪▫●○■□–∙·*-]|\u2043|\uf0b7|\uf0a7|o(?= ))\s+(?=\S)")
_NUMBER = re.compile(r"(\d{1,3})[.)]\s+(?=\S)")
_MARKER = re.compile(r"[•‣◦▪▫●○■□–∙·*-]|\u2043|\uf0b7|\uf0a7|o|\d{1,3}[.)]")
_JUNK_TITLE = re.compile(
    r"untitled|unbenannt|anonymous|microsoft word|.*\.(?:docx?|pdf|indd|tex|qxd)$|\W*$", re.IGNORECASE
)
_PAGE_NUMBER = re.compile(r"[-–—\s]*(?:page|seite|p\.)?\s*\d{1,4}(?:\s*(?:of|/|von)\s*\d{1,4})?[-–—\s]*", re.IGNORECASE)
_RUNNING = re.compile(r"^0\s|\s0$")  # a number at the edge of the paper
_LEADER = re.compile(r"(?:\. ?){5,}\s*[\divxl]+$")  # of a table of contents
# So much larger than the text around it is what a heading is at least.
_LARGER = 1.12
_CELL_GAP = 1.2  # of the size of the font: cells of a row are at least so far apart


@dataclass(slots=True)
class _Line:
    """One line on a page. `bottom` is its baseline; y grows upwards.

    `cells` are its pieces that stand far apart, each with its left edge.
    """

    text: str
    page: int
    left: float
    right: float
    bottom: float
    top: float
    size: float
    font: str
    cells: list[tuple[float, str]] = field(default_factory=list)

    @property
    def code(self) -> bool:
        return _MONOSPACED.search(self.font) is not None

    @property
    def bold(self) -> bool:
        return _BOLD.search(self.font) is not None


def load(path: str, content: bytes) -> Document:
    try:
        opened = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        raise DocumentError(_PROTECTED if "assword" in str(error) else _DAMAGED) from error
    outline = Outline()
    pages: list[list[_Line]] = []
    unread = []
    for number in range(len(opened)):
        try:
            pages.append(list(_lines(opened[number], number + 1)))
        except pypdfium2.PdfiumError:
            unread.append(str(number + 1))
    if unread:
        outline.warnings.append(f"damaged and passed over: page {', '.join(unread[:10])}")
    if not pages:
        raise DocumentError(_DAMAGED)
    if not any(pages):
        raise DocumentError(_PICTURES)
    empty = [str(number) for number, lines in enumerate(pages, start=1) if not lines]
    if empty:
        outline.warnings.append(f"without text, perhaps a picture: page {', '.join(empty[:10])}")
    title = " ".join(opened.get_metadata_value("Title").split())
    _Writer(outline, _without_repeated(pages)).write()
    first = next(filter(None, outline.headings), None)
    return outline.document(path, (None if _JUNK_TITLE.match(title) else title) or first or title_from_path(path))


# --- pages -> lines ---------------------------------------------------------------------------------------------------


def _lines(page: pypdfium2.PdfPage, number: int) -> Iterator[_Line]:
    """The lines of a page in the order of the file, which is nearly always the reading order."""
    text_page = page.get_textpage()
    count = text_page.count_chars()
    characters = [chr(pdfium.FPDFText_GetUnicode(text_page, index)) for index in range(count)]
    start = 0
    for index in range(count + 1):
        if index == count or characters[index] in "\r\n":
            line = _line(text_page, characters, start, index, number)
            if line is not None:
                yield line
            start = index + 1


def _line(text_page: pypdfium2.PdfTextPage, characters: list[str], start: int, end: int, page: int) -> _Line | None:
    shown = [index for index in range(start, end) if not characters[index].isspace() and characters[index] != "\0"]
    if not shown:
        return None
    first, last = _box(text_page, shown[0]), _box(text_page, shown[-1])
    # Those of most of its characters, for a bullet may have another font.
    sampled = shown[:: max(1, len(shown) // 5)]
    size = Counter(_size(text_page, index) for index in sampled).most_common(1)[0][0]
    fonts = [_font(text_page, index) for index in sampled]
    # Text with a word of code in it is no code, and with a bold word no heading.
    plain = [name for name in fonts if not _MONOSPACED.search(name) and not _BOLD.search(name)]
    font = Counter(plain or [name for name in fonts if not _MONOSPACED.search(name)] or fonts).most_common(1)[0][0]
    cells = _cells(text_page, characters, shown, size)
    if len(cells) > 1 and _MARKER.fullmatch(cells[0][1]):  # what stands far from its item is no cell of its own
        cells[:2] = [(cells[0][0], f"{cells[0][1]} {cells[1][1]}")]
    text = " ".join(cell for _, cell in cells)
    baseline = _baseline(text_page, shown[0])
    return _Line(text, page, first[0], last[2], baseline, baseline + size, size, font, cells)


def _cells(
    text_page: pypdfium2.PdfTextPage, characters: list[str], shown: Sequence[int], size: float
) -> list[tuple[float, str]]:
    """The pieces of a line between gaps that are wider than usual."""
    cells: list[tuple[float, str]] = []
    begun = shown[0]
    for before, after in zip(shown, [*shown[1:], None], strict=True):
        wide = False
        if after is not None and after > before + 1:
            wide = _box(text_page, after)[0] - _box(text_page, before)[2] > _CELL_GAP * size
        if after is None or wide:
            text = "".join(characters[begun : before + 1])
            cells.append((_box(text_page, begun)[0], " ".join(_cleaned(text).split())))
            begun = after if after is not None else begun
    return cells


def _cleaned(text: str) -> str:
    """The text with PDFium's marks for line-end hyphens and unknown characters replaced."""
    text = re.sub(r"[\x02\ufffe\xad]$", "\xad", text)
    return re.sub(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]", "", text).replace("\xa0", " ")


def _box(text_page: pypdfium2.PdfTextPage, index: int) -> tuple[float, float, float, float]:
    """The box of a character: left, bottom, right, top."""
    left, right, bottom, top = c_double(), c_double(), c_double(), c_double()
    pdfium.FPDFText_GetCharBox(text_page, index, byref(left), byref(right), byref(bottom), byref(top))
    return left.value, bottom.value, right.value, top.value


def _baseline(text_page: pypdfium2.PdfTextPage, index: int) -> float:
    x, y = c_double(), c_double()
    pdfium.FPDFText_GetCharOrigin(text_page, index, byref(x), byref(y))
    return float(y.value)


def _size(text_page: pypdfium2.PdfTextPage, index: int) -> float:
    """The size of the font as shown, after scaling by the text matrix."""
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


def _without_repeated(pages: Sequence[Sequence[_Line]]) -> list[_Line]:
    """All lines in order, without page numbers, headers, footers and tables of contents.

    A line repeats if it stands at one place on half of the pages, or as the very first or last on three, two if it counts.
    """
    outer = [_outermost(lines, 3) for lines in pages]
    ends = [_outermost(lines, 1) for lines in pages]
    on_pages = Counter(place for lines in outer for place in set(map(_place, lines)))
    at_ends = Counter(place for lines in ends for place in set(map(_place, lines)))
    often = {place for place, count in on_pages.items() if count >= max(2, 0.5 * len(pages))}
    often |= {place for place, count in at_ends.items() if count >= 3 or (count == 2 and _RUNNING.search(place[0]))}
    repeated = {
        id(line)
        for lines in outer
        for line in lines
        if not line.code and (_place(line) in often or _PAGE_NUMBER.fullmatch(line.text))
    }
    kept = [line for lines in pages for line in lines if id(line) not in repeated and not _LEADER.search(line.text)]
    return kept or [line for lines in pages for line in lines]


def _outermost(lines: Sequence[_Line], count: int) -> list[_Line]:
    """The top and the bottom lines of a page."""
    by_height = sorted(lines, key=lambda line: line.bottom)
    return by_height[:count] + by_height[-count:] if len(by_height) > 2 * count else by_height


def _place(line: _Line) -> tuple[str, int]:
    """The text of a line without its numbers, and its height on the page."""
    return re.sub(r"\d+|\b[ivxlc]+\b", "0", line.text), round(line.bottom / 4)


# --- lines -> blocks --------------------------------------------------------------------------------------------------


class _Writer:
    """Joins the lines, from first to last, into blocks."""

    def __init__(self, outline: Outline, lines: Sequence[_Line]) -> None:
        self._outline = outline
        self._lines = lines
        prose = Counter[float]()
        for line in lines:
            if not line.code:
                prose[line.size] += len(line.text)
        self._body = prose.most_common(1)[0][0] if prose else 0.0
        self._larger = sorted({line.size for line in lines if line.size > self._body * _LARGER}, reverse=True)
        bold = sum(len(line.text) for line in lines if line.bold)
        self._bold_stands_out = bold * 3 < sum(len(line.text) for line in lines)

    def write(self) -> None:
        start = 0
        while start < len(self._lines):
            start = self._write(start)

    def _write(self, start: int) -> int:
        """Write the block that begins at a line. Returns the number of the line after it."""
        line = self._lines[start]
        locator = Locator(page=line.page)
        if level := self._heading_level(start):
            end = self._end(start, lambda before, after: _same_look(before, after) and _gap(before, after) < 0.9)
            text = _joined(self._lines[start:end])
            if len(text) <= LONGEST_HEADING:
                self._outline.heading(level, text, locator)
            else:
                self._outline.block(Form.PARAGRAPH, text, locator)
            return end
        if line.code:
            end = self._end(start, lambda before, after: after.code and _gap(before, after) < 2.5)
            self._outline.block(Form.CODE, _code(self._lines[start:end]), locator)
            return end
        if len(line.cells) > 1 and (end := self._table_end(start)) > start + 1:
            self._outline.block(Form.TABLE, table_text(_table(self._lines[start:end])), locator)
            return end
        if _item(line):
            end = self._list_end(start)
            self._outline.block(Form.LIST, list_text(list(_items(self._lines[start:end]))), locator)
            return end
        end = self._paragraph_end(start)
        self._outline.block(Form.PARAGRAPH, _joined(self._lines[start:end]), locator)
        return end

    def _heading_level(self, start: int) -> int | None:
        """Whether a line is a heading: larger than the text, or bold and alone."""
        line = self._lines[start]
        if line.code or len(line.text) > LONGEST_HEADING or not re.search(r"\w", line.text):
            return None
        if line.size in self._larger:
            return self._larger.index(line.size) + 1
        ends_like_text = line.text.rstrip()[-1:] in ".,;:"
        if self._bold_stands_out and line.bold and len(line.cells) == 1 and not ends_like_text and not _item(line):
            following = self._lines[start + 1 : start + 2]
            if following and not following[0].bold and len(line.text) < 120:
                return len(self._larger) + 1
        return None

    def _end(self, start: int, goes_on) -> int:  # type: ignore[no-untyped-def]
        end = start + 1
        while end < len(self._lines) and goes_on(self._lines[end - 1], self._lines[end]):
            end += 1
        return end

    def _paragraph_end(self, start: int) -> int:
        end = start + 1
        while end < len(self._lines):
            before, after = self._lines[end - 1], self._lines[end]
            if (
                _item(after)
                or after.code
                or len(after.cells) > 2
                or self._heading_level(end)
                or not _goes_on(before, after)
            ):
                break
            end += 1
        return end

    def _list_end(self, start: int) -> int:
        """Collect a list: its items, with their indented further lines."""
        end = start + 1
        edge = self._lines[start].left
        while end < len(self._lines):
            before, after = self._lines[end - 1], self._lines[end]
            if self._heading_level(end) or after.code:
                break
            if (
                _item(after)
                and after.left < edge + 0.5 * after.size
                and _ordered(after) != _ordered(self._lines[start])
            ):
                break
            if not _item(after) and not (after.left > edge + 0.5 * after.size and _goes_on(before, after)):
                break
            if after.page == before.page and _gap(before, after) > 2.5:
                break
            end += 1
        return end

    def _table_end(self, start: int) -> int:
        """The lines of a table: those with cells below the cells of the first line, and those that continue a cell."""
        columns = [left for left, _ in self._lines[start].cells]
        end = start + 1
        while end < len(self._lines):
            before, after = self._lines[end - 1], self._lines[end]
            aligned = all(min(abs(left - column) for column in columns) < 0.7 * after.size for left, _ in after.cells)
            is_row = len(after.cells) > 1
            # A cell of several lines makes a wide gap above the next row, but none between its lines.
            goes_on = after.page == before.page and after.left > columns[0] + after.size and _gap(before, after) < 3
            if not aligned or not (is_row or goes_on) or (self._heading_level(end) and not before.bold):
                break
            end += 1
        return end


def _same_look(one: _Line, two: _Line) -> bool:
    return one.size == two.size and one.font == two.font and one.page == two.page


def _gap(before: _Line, after: _Line) -> float:
    """The gap between two lines in font sizes; negative if the second isn't below the first."""
    if before.page != after.page:
        return 0.0
    return (before.bottom - after.top) / max(before.size, after.size)


def _goes_on(before: _Line, after: _Line) -> bool:
    """Whether the next line continues the paragraph."""
    if before.page != after.page:
        return before.text.rstrip()[-1:] not in ".!?:…" and after.text[:1].islower()
    return abs(before.size - after.size) < 0.1 * before.size and -2 < _gap(before, after) < 0.75


def _joined(lines: Sequence[_Line]) -> str:
    """The lines as running text, with words joined that a hyphen divides at a line's end."""
    text = ""
    for line in lines:
        if text.endswith("\xad"):
            text = text[:-1] + line.text
        elif re.search(r"\w-$", text) and line.text[:1].islower():
            text += line.text
        else:
            text = f"{text} {line.text}" if text else line.text
    return text.replace("\xad", "")


def _code(lines: Sequence[_Line]) -> str:
    """The lines of code, indented by their place on the page, with empty lines for wider gaps."""
    edge = min(line.left for line in lines)
    widths = [(line.right - line.left) / len(line.text) for line in lines if len(line.text) > 3]
    width = statistics.median(widths) if widths else lines[0].size * 0.6
    written: list[str] = []
    for before, line in zip([None, *lines], lines, strict=False):
        if before is not None and _gap(before, line) > 0.9:
            written.append("")
        written.append(" " * round((line.left - edge) / max(width, 0.1)) + line.text.replace("\xad", "-"))
    return "\n".join(written)


def _item(line: _Line) -> re.Match[str] | None:
    return _BULLET.match(line.text) or _NUMBER.match(line.text)


def _ordered(line: _Line) -> bool:
    return _NUMBER.match(line.text) is not None


def _items(lines: Sequence[_Line]) -> Iterator[Item]:
    edges: list[float] = []
    gathered: list[_Line] = []

    def finished() -> Item:
        first = gathered[0]
        marker = _item(first)
        number = _NUMBER.match(first.text)
        while edges and edges[-1] > first.left + 0.5 * first.size:
            edges.pop()
        if not edges or first.left > edges[-1] + 0.5 * first.size:
            edges.append(first.left)
        text = _joined(gathered)[marker.end() if marker else 0 :]
        return Item(text, len(edges) - 1, int(number[1]) if number else None)

    for line in lines:
        if _item(line) and gathered:
            yield finished()
            gathered = []
        gathered.append(line)
    yield finished()


def _table(lines: Sequence[_Line]) -> list[list[str]]:
    """The rows of cells by the columns of the first line. A line without a first cell continues the row above."""
    columns = [left for left, _ in lines[0].cells]
    rows: list[list[str]] = []
    for line in lines:
        row = [""] * len(columns)
        for left, text in line.cells:
            row[min(range(len(columns)), key=lambda n: abs(columns[n] - left))] = text
        if rows and not row[0]:
            rows[-1] = [" ".join(filter(None, pair)) for pair in zip(rows[-1], row, strict=True)]
        else:
            rows.append(row)
    return rows
