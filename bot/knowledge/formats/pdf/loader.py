"""The loader for PDF, by PDFium: `lines` reads the lines of the pages, `blocks` joins them into blocks.

Text that repeats at the top or bottom of pages is left out.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import pypdfium2
import pypdfium2.raw as pdfium

from bot.core.documents import Document
from bot.core.errors import DocumentError, to_install
from bot.knowledge.formats import recognition
from bot.knowledge.formats.outline import Outline, title_from_path
from bot.knowledge.formats.pdf import scans
from bot.knowledge.formats.pdf.blocks import write_blocks
from bot.knowledge.formats.pdf.lines import Line, PageReader
from bot.knowledge.formats.pdf.order import in_reading_order

_PROTECTED = "it is protected by a password; save it without one"
_DAMAGED = "this is no PDF file, or it is damaged; make it again, or open it and print it to a new PDF"
_PICTURES = (
    "it holds no text, only pictures of pages; run it through text recognition (OCR) and save it with its text, or install the "
    f"recognition that reads such pages {to_install('ocr')}"
)
_JUNK_TITLE = re.compile(
    r"\W*(?:untitled|unbenannt|anonymous|title|no title)\W*$|microsoft \w+ - |.*\.(?:docx?|pdf|indd|tex|qxd|dvi|pptx?|xlsx?)$|"
    r"\W*$",
    re.IGNORECASE,
)
_PAGE_NUMBER = re.compile(r"[-–—\s]*(?:page|seite|p\.)?\s*\d{1,4}(?:\s*(?:of|/|von)\s*\d{1,4})?[-–—\s]*", re.IGNORECASE)
_RUNNING = re.compile(r"^0\s|\s0$")  # a number at the edge of the paper
_LEADER = re.compile(r"(?:\. ?){5,}\s*[\divxl]+$")  # of a table of contents


def load(path: str, content: bytes) -> Document:
    pdf = _opened(content)
    outline = Outline()
    reader = PageReader(pdf.formenv)
    pages: list[list[Line]] = []
    unread = []
    for number in range(len(pdf)):
        try:
            lines, beside = reader.read(pdf[number], number + 1)
            pages.append([*in_reading_order(lines), *beside])
        except pypdfium2.PdfiumError:
            unread.append(str(number + 1))
    if unread:
        outline.warnings.append(f"damaged and passed over: page {', '.join(unread[:10])}")
    if not pages:
        raise DocumentError(_DAMAGED)
    outline.warnings += _read_pictures(pdf, pages)
    if not any(pages):
        raise DocumentError(_PICTURES)
    if reader.stamps:
        page, text = reader.stamps[0]
        outline.warnings.append(f"left out as a stamp at the margin: “{text}” (page {page})")
    title = " ".join(pdf.get_metadata_value("Title").split())
    write_blocks(_without_repeated(pages), outline)
    first = next(filter(None, outline.headings), None)
    return outline.document(path, (None if _JUNK_TITLE.match(title) else title) or first or title_from_path(path))


def _read_pictures(pdf: pypdfium2.PdfDocument, pages: list[list[Line]]) -> Iterator[str]:
    """Fill in scanned pages by text recognition, if it is installed; yield warnings."""
    empty = [number for number, lines in enumerate(pages, start=1) if not lines]
    pictures = [number for number in empty if scans.is_picture(pdf[number - 1])] if recognition.is_installed() else []
    tried = []
    for number, lines in scans.recognised(pdf, pictures) if pictures else ():
        pages[number - 1] = in_reading_order(lines)
        tried.append(number)
    if read := [number for number in tried if pages[number - 1]]:
        yield f"read by text recognition, which may err: page {_listed(read)}"
    if late := [number for number in pictures if number not in tried]:
        yield f"not read, because text recognition takes too long (knowledge.convert_seconds): page {_listed(late)}"
    if nothing := [number for number in empty if not pages[number - 1] and number not in late]:
        yield f"without text, perhaps a picture: page {_listed(nothing)}" + (
            "" if recognition.is_installed() else f"; text recognition can be installed {to_install('ocr')}"
        )


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:10])) + (f" and {len(numbers) - 10} more" if len(numbers) > 10 else "")


def _opened(content: bytes) -> pypdfium2.PdfDocument:
    try:
        pdf = pypdfium2.PdfDocument(content)
        if pdf.get_formtype() == pdfium.FORMTYPE_ACRO_FORM:
            pdf.init_forms()
    except pypdfium2.PdfiumError as error:
        raise DocumentError(_PROTECTED if "assword" in str(error) else _DAMAGED) from error
    return pdf


def _without_repeated(pages: Sequence[Sequence[Line]]) -> list[Line]:
    """Return all lines in order, without page numbers, headers, footers and tables of contents.

    A line repeats if it stands at one place on half of the pages, or first or last on three, two if it counts.
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
        if not line.code and not line.rows and (_place(line) in often or _PAGE_NUMBER.fullmatch(line.text))
    }
    kept = [line for lines in pages for line in lines if id(line) not in repeated and not _LEADER.search(line.text)]
    return kept or [line for lines in pages for line in lines]


def _outermost(lines: Sequence[Line], count: int) -> list[Line]:
    """Return the top and the bottom lines of a page."""
    by_height = sorted(lines, key=lambda line: line.bottom)
    return by_height[:count] + by_height[-count:] if len(by_height) > 2 * count else by_height


def _place(line: Line) -> tuple[str, int]:
    """Return the text of a line without its numbers, and its height on the page."""
    return re.sub(r"\d+|\b[ivxlc]+\b", "0", line.text), round(line.bottom / 4)
