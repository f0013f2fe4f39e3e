"""Pages that are pictures, read by text recognition in the converter's process, within its limits."""

import io

import pytest
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from bot.knowledge.converter import Converter, Limits
from bot.knowledge.formats import recognition
from bot.knowledge.formats.pdf import scans
from bot.knowledge.formats.pdf.loader import load

needs_recognition = pytest.mark.skipif(not recognition.is_installed(), reason="the extra ocr is not installed")


def scan(*pages: tuple[str, ...]) -> bytes:
    """A PDF of pictures, each with a title and lines; a page of text stands before them."""
    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=(420, 300))
    canvas.drawString(50, 200, "This page has text.")
    canvas.showPage()
    for title, *lines in pages:
        picture = Image.new("RGB", (1050, 750), "white")
        drawing = ImageDraw.Draw(picture)
        drawing.text((100, 60), title, fill="black", font=ImageFont.load_default(size=60))
        for number, line in enumerate(lines):
            drawing.text((100, 200 + 50 * number), line, fill="black", font=ImageFont.load_default(size=32))
        canvas.drawImage(ImageReader(picture), 0, 0, 420, 300)
        canvas.showPage()
    canvas.save()
    return stream.getvalue()


MANUAL = ("Boiler", "The boiler is serviced every two", "years by a certified technician.")


@pytest.mark.slow
@needs_recognition
def test_a_scanned_page_is_read_and_marked_as_such():
    """With its page and heading, under the limit on memory that other files have."""
    with Converter(Limits(100.0, 1024 * 2**20)) as converter:
        document = converter.read("a.pdf", scan(MANUAL))
    [text] = [block for block in document.blocks if "serviced" in block.text]
    assert text.text == "The boiler is serviced every two years by a certified technician."
    assert (document.title, text.locator.page) == ("Boiler", 2)
    assert document.warnings == ("read by text recognition, which may err: page 2",)


@needs_recognition
def test_pages_for_which_there_is_no_time_are_named(monkeypatch):
    """And the others are read all the same."""
    monkeypatch.setattr(scans, "_recogniser", lambda: lambda _: [])
    monkeypatch.setattr(scans, "_seconds_left", iter([60.0, 1.0]).__next__)
    document = load("a.pdf", scan(MANUAL, MANUAL, MANUAL))
    assert [block.text for block in document.blocks] == ["This page has text."]
    late, nothing = document.warnings
    assert late == "not read, because text recognition takes too long (knowledge.convert_seconds): page 3, 4"
    assert nothing == "without text, perhaps a picture: page 2"


def test_without_the_extra_the_report_says_which_one_reads_them(monkeypatch):
    monkeypatch.setattr(recognition, "is_installed", lambda: False)
    [warning] = load("a.pdf", scan(MANUAL)).warnings
    assert warning.startswith(
        "without text, perhaps a picture: page 2; text recognition can be installed in the folder"
    )
    assert warning.endswith('-e ".[ocr]"')
