"""PDF: lines become paragraphs, headings, columns and tables again, and what belongs to the paper goes."""

import io
from collections.abc import Callable

import pytest
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph as Flowing
from reportlab.platypus import SimpleDocTemplate, Table

from bot.core.documents import Document
from bot.knowledge.loaders import load
from tests.knowledge.document_writers import (
    Heading,
    Paragraph,
    write_pdf,
)
from tests.knowledge.formats.reading import (
    refusal,
    shown,
    texts,
)


def test_headers_and_page_numbers_of_a_pdf_go():
    """What stands at one place on most pages belongs to the paper; each block says its page."""
    parts = [Heading(1, "Doors"), *(Paragraph(f"Door number {n} opens with key {n}. " * 12) for n in range(40))]
    document = load("a.pdf", write_pdf("Doors", parts))
    assert not any("Header of every page" in text or text.startswith("Page") for text in texts(document))
    assert len(document.blocks) >= 40
    pages = [block.locator.page for block in document.blocks]
    assert pages == sorted(pages)
    assert pages[-1] > 2


def drawn(*lines: tuple, prepare: Callable[[Canvas], None] = lambda _: None, pages: int = 1) -> Document:
    """A PDF of lines at places: (x, y, text, size of the font, its name); the last two may be left out."""
    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=(600, 800))
    for _ in range(pages):
        for x, y, text, *font in lines:
            size, name = [*font, *(10, "Helvetica")[len(font) :]]
            canvas.setFont(name, size)
            canvas.drawString(x, y, text)
        prepare(canvas)
        canvas.showPage()
    canvas.save()
    return load("a.pdf", stream.getvalue())


def column(x: float, y: float, pitch: float, *texts: str) -> list[tuple]:
    return [(x, y - number * pitch, text) for number, text in enumerate(texts)]


def test_words_divided_at_the_end_of_a_line_are_put_together():
    """Search must find the word, the paragraph goes on, and a word that has a hyphen anyway keeps it."""
    lines = (
        "The lock is very sen-",
        "sitive, and it is well-",
        "known that a self-",
        "made key of the year 20-",
        "24 fits.",
    )
    document = drawn(*column(60, 700, 12, *lines, "", "Keys are well-known."))
    assert texts(document) == [
        "The lock is very sensitive, and it is well-known that a self-made key of the year 20-24 fits.",
        "Keys are well-known.",
    ]


@pytest.mark.parametrize("pitch", [12, 15, 20, 24])
def test_a_paragraph_is_one_however_wide_its_lines_are_spaced(pitch):
    """Contracts and theses have one and a half or two lines; short lines of a form are each their own."""
    prose = (
        "The boathouse is opened by the keeper at seven in the morning, and",
        "closed by the last member who leaves. Lights are switched off in the",
        "Harbour Room too. Members who forget this pay two euros into the",
        "box beside the door.",
    )
    document = drawn(*column(60, 700, pitch, *prose), *column(60, 400, 20, "Port: Elmsund", "Berth: 14", "Mast: 9 m"))
    assert texts(document) == [" ".join(prose), "Port: Elmsund", "Berth: 14", "Mast: 9 m"]


def test_lines_that_are_not_full_stay_lines():
    """As in an address; a sentence that ends in the middle of a line ends its paragraph."""
    document = drawn(
        *column(60, 700, 12, "Harbour office of the town of Elmsund", "Quay 3", "Open from 8 to 4"),
        *column(
            60, 600, 12, "Boats over nine metres pay twice the fee, and so do rafts", "of any length.", "Oars are free."
        ),
    )
    assert texts(document) == [
        "Harbour office of the town of Elmsund\nQuay 3\nOpen from 8 to 4",
        "Boats over nine metres pay twice the fee, and so do rafts of any length.",
        "Oars are free.",
    ]


LEFT = (
    "The ferry to the island leaves every",
    "hour from the second pier. Tickets are",
    "sold on board, and whoever has a",
    "bicycle waits until the",
)
RIGHT = (
    "cars are on deck. The last ferry back",
    "leaves at nine in the evening, but on",
    "days with much wind it leaves already",
    "at six.",
)


@pytest.mark.parametrize("by_rows", [True, False])
def test_columns_are_read_one_after_the_other(by_rows):
    """Whether the file holds them row by row or column by column, the sentence goes on in the next column."""
    lines = [*column(60, 700, 12, *LEFT), *column(320, 700, 12, *RIGHT)]
    if by_rows:
        lines.sort(key=lambda line: -line[1])
    assert texts(drawn(*lines)) == [" ".join(LEFT + RIGHT)]


def test_a_note_between_the_parts_of_a_paragraph_comes_after_it():
    """At the foot of a page, or a figure in the middle of one."""
    document = drawn(
        *column(60, 700, 12, "The key hangs behind the door of the office, and the keeper"),
        (60, 670, "1 Until May only.", 7),
        *column(60, 640, 12, "of the harbour has another one at home."),
    )
    assert texts(document) == [
        "The key hangs behind the door of the office, and the keeper of the harbour has another one at home.",
        "1 Until May only.",
    ]


def test_large_text_without_text_below_is_no_heading():
    """Invoices and posters say what matters in large letters, and only text can be quoted."""
    small = ("Goods stay ours until they are paid. Complaints are made in writing within ten days. " * 2).strip()
    document = drawn(
        (60, 760, "Harbour day", 30),
        (60, 700, "Sunday, 8 June, from noon", 18),
        (60, 660, "At the second pier", 18),
        (60, 500, small, 8),
        (60, 300, "Call 0555 311", 18),
    )
    assert document.title == "Harbour day"
    assert texts(document)[-1] == "Call 0555 311"
    assert "Sunday, 8 June, from noon" in " ".join(texts(document))
    assert not any(block.heading for block in document.blocks)


def test_a_stamp_at_the_margin_is_left_out_and_told():
    """Archives print one on the first page, larger than the text."""

    def stamp(canvas: Canvas) -> None:
        canvas.rotate(90)
        canvas.setFont("Helvetica", 20)
        canvas.drawString(200, -30, "archive:77 [b] 2021")

    document = drawn((60, 700, "Eels", 16), (60, 660, "Eels are caught at night."), prepare=stamp)
    assert (document.title, shown(document)) == ("Eels", [("", "Eels are caught at night.")])
    assert document.warnings == ("left out as a stamp at the margin: “archive:77 [b] 2021” (page 1)",)


def test_a_page_whose_text_is_turned_is_read_upright():
    """As scanners and spreadsheets turn wide pages; and what was drawn last may stand first."""

    def turned(canvas: Canvas) -> None:
        canvas.rotate(90)
        canvas.drawString(100, -320, "Low water is at noon.")
        canvas.setFont("Helvetica-Bold", 16)
        canvas.drawString(100, -280, "Tides")

    document = drawn(prepare=turned)
    assert (document.title, texts(document)) == ("Tides", ["Low water is at noon."])


def test_a_centred_header_belongs_to_its_table():
    """It stands above the middle of a column whose texts begin at its left edge."""
    rows = (
        ("K-1", "The rope is torn"),
        ("K-2", "The lock of the gate is rusty and can't be opened"),
        ("K-3", "No key"),
    )
    lines = [(75, 700, "Code", 10, "Helvetica-Bold"), (290, 700, "Meaning", 10, "Helvetica-Bold")]
    for number, (code, meaning) in enumerate(rows):
        lines += [(60, 680 - 15 * number, code), (150, 680 - 15 * number, meaning)]
    assert texts(drawn(*lines)) == [
        "| Code | Meaning |\n| --- | --- |\n" + "\n".join(f"| {code} | {meaning} |" for code, meaning in rows)
    ]


@pytest.mark.parametrize("ruled", [True, False])
@pytest.mark.parametrize("align", ["TOP", "MIDDLE"])
def test_cells_of_several_lines_stay_in_their_rows(ruled, align):
    """Whether rules divide them or not."""
    style = ParagraphStyle("cell", fontName="Helvetica", fontSize=10, leading=12)
    rows = (
        ("Boat", "Before you leave", "Fee"),
        ("Canoe", "Look whether both paddles are in the boat, then sign the book in the office.", "4 euros"),
        ("Rowing boat of the club", "Take the oars from the shed.", "6 euros"),
    )
    stream = io.BytesIO()
    styles = [("VALIGN", (0, 0), (-1, -1), align), *([("GRID", (0, 0), (-1, -1), 0.5, "black")] if ruled else [])]
    cells = [[Flowing(text, style) for text in row] for row in rows]
    SimpleDocTemplate(stream, invariant=1).build([Table(cells, colWidths=[80, 180, 60], style=styles)])
    [block] = load("a.pdf", stream.getvalue()).blocks
    assert block.text == "\n".join(
        [f"| {' | '.join(rows[0])} |", "| --- | --- | --- |", *(f"| {' | '.join(row)} |" for row in rows[1:])]
    )


def test_a_ruled_table_repeats_what_spans_and_goes_on_over_pages():
    """Its title is no header, and the header of the next page no row."""
    rows = [["Fees in euros", "", ""], ["Boat", "Season", ""], ["", "High", "Low"], ["Canoe", "20", "12"]]
    spans = [("SPAN", (0, 0), (2, 0)), ("SPAN", (0, 1), (0, 2)), ("SPAN", (1, 1), (2, 1))]
    stream = io.BytesIO()
    SimpleDocTemplate(stream).build([Table(rows, style=[("GRID", (0, 0), (-1, -1), 1, "black"), *spans])])
    assert texts(load("a.pdf", stream.getvalue())) == [
        "Fees in euros",
        "| Boat | Season High | Season Low |\n| --- | --- | --- |\n| Canoe | 20 | 12 |",
    ]
    long = [["Boat", "Berth"], *([f"Boat {number}", f"Pier {number % 7}"] for number in range(90))]
    stream = io.BytesIO()
    SimpleDocTemplate(stream).build([Table(long, style=[("GRID", (0, 0), (-1, -1), 1, "black")], repeatRows=1)])
    [block] = load("a.pdf", stream.getvalue()).blocks
    assert len(block.text.split("\n")) == 92
    assert block.text.count("Berth") == 1


def test_rules_without_text_are_a_drawing():
    """Diagrams and empty forms have grids too."""
    document = drawn(
        (60, 700, "The plan of the quay."), prepare=lambda canvas: canvas.grid([60, 90, 120], [300, 330, 360])
    )
    assert texts(document) == ["The plan of the quay."]


def test_what_is_filled_into_a_form_is_read_beside_its_label():
    """The values aren't text of the page."""

    def fill(canvas: Canvas) -> None:
        canvas.acroForm.textfield(name="port", value="Elmsund", x=140, y=695, width=120, height=18)
        canvas.acroForm.checkbox(name="crew", checked=True, x=60, y=648, size=14)
        canvas.acroForm.checkbox(name="dog", checked=False, x=60, y=618, size=14)

    document = drawn((60, 700, "Home port:"), (80, 650, "With a crew"), (80, 620, "With a dog"), prepare=fill)
    assert texts(document) == ["Home port: Elmsund", "[x] With a crew", "[ ] With a dog"]


def test_links_of_a_pdf_are_kept():
    """As in Markdown, beside their words; only those to the web."""

    def link(canvas: Canvas) -> None:
        canvas.linkURL("https://example.org/tides", (100, 696, 150, 712))
        canvas.linkURL("file:///etc/passwd", (60, 676, 150, 692))

    document = drawn((60, 700, "See the tide tables for the week."), (60, 680, "They are free."), prepare=link)
    assert "(https://example.org/tides)" in texts(document)[0]
    assert "passwd" not in str(document)


@pytest.mark.parametrize("title", ["(anonymous)", "untitled", "Microsoft Word - letter.docx", "a.tex"])
def test_a_title_that_a_program_made_up_is_none(title):
    """The first heading says what the document is about."""
    document = drawn(
        (60, 700, "Eels", 16), (60, 660, "Eels are caught at night."), prepare=lambda canvas: canvas.setTitle(title)
    )
    assert document.title == "Eels"


def test_a_pdf_without_text_says_what_to_do():
    """A scan is the commonest disappointment."""
    stream = io.BytesIO()
    canvas = Canvas(stream)
    canvas.rect(100, 100, 200, 200, fill=1)
    canvas.showPage()
    canvas.save()
    assert "text recognition (OCR)" in refusal("a.pdf", stream.getvalue())


def test_a_pdf_with_a_password_is_refused():
    """Nobody can answer its prompt here."""
    assert refusal("a.pdf", write_pdf("T", [Paragraph("x")], password="secret")) == (
        "it is protected by a password; save it without one"
    )
