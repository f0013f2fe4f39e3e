"""Text recognition (OCR) of pages that are pictures, by RapidOCR, whose models come with its package; the extra `ocr` has it.

It works page by page, and ends before the time for the file does: a page takes some seconds.
"""

import signal
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from bot.knowledge.formats.pdf.lines import Line, LineCell

_DOTS_PER_POINT = 200 / 72
_LONGEST_SIDE = 3000  # pixels of the picture of a page
_LEAST_CERTAIN = 0.6  # the probability of text that is kept
_SAME_SIZE = 1.3  # heights of recognised lines differ by their letters alone
_ASCENT = 0.8  # of the height of a recognised line is about the size of its font
_RESERVE = 5.0  # seconds for what follows the recognition


def is_picture(page: pypdfium2.PdfPage) -> bool:
    """Return whether there is a picture on a page."""
    return any(True for _ in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3))


def recognised(pdf: pypdfium2.PdfDocument, numbers: Sequence[int]) -> Iterator[tuple[int, list[Line]]]:
    """Yield the pages with these numbers, from 1, each with its lines, as long as there is time."""
    recognise = _recogniser()
    longest = 0.0
    for number in numbers:
        if _seconds_left() < 1.5 * longest + _RESERVE:
            return
        started = time.monotonic()
        yield number, _lines(pdf[number - 1], number, recognise)
        longest = max(longest, time.monotonic() - started)


def _seconds_left() -> float:
    """Return the time until the alarm that ends the reading of a file."""
    left, _ = signal.getitimer(signal.ITIMER_REAL)
    return left or float("inf")


def _recogniser() -> Callable[[Any], Any]:
    from rapidocr_onnxruntime import RapidOCR

    recogniser = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)
    return lambda picture: recogniser(picture)[0] or []


def _lines(page: pypdfium2.PdfPage, number: int, recognise: Callable[[Any], Any]) -> list[Line]:
    width, height = page.get_size()
    scale = min(_DOTS_PER_POINT, _LONGEST_SIDE / max(width, height, 1))
    picture = page.render(scale=scale, rev_byteorder=False).to_numpy()
    boxes = [
        (
            min(x for x, _ in corners),
            max(x for x, _ in corners),
            min(y for _, y in corners),
            max(y for _, y in corners),
            text,
        )
        for corners, text, probability in recognise(picture)
        if float(probability) >= _LEAST_CERTAIN and text.strip()
    ]
    if not boxes:
        return []
    usual = statistics.median(bottom - top for _, _, top, bottom, _ in boxes)
    rows: list[list[tuple[float, float, float, float, str]]] = []
    for box in sorted(boxes, key=lambda box: box[3]):
        if rows and box[3] - rows[-1][0][3] < 0.5 * usual:
            rows[-1].append(box)
        else:
            rows.append([box])
    return [_line(row, number, height, scale, usual) for row in rows]


def _line(
    row: list[tuple[float, float, float, float, str]], number: int, height: float, scale: float, usual: float
) -> Line:
    tallest = max(bottom - top for _, _, top, bottom, _ in row)
    size = usual if tallest < _SAME_SIZE * usual else tallest
    cells = [LineCell(left / scale, right / scale, text.strip()) for left, right, _, _, text in sorted(row)]
    bottom = height - row[0][3] / scale
    return Line(number, bottom, round(_ASCENT * size / scale, 1), "", tuple(cells))
