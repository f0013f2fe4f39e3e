"""Slides: what an audience sees is read, wherever PowerPoint keeps it, and what it doesn't see is left out."""

import io

from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.oxml import parse_xml
from pptx.oxml.ns import nsdecls
from pptx.util import Inches

from bot.core.documents import Document, Form
from bot.knowledge.loaders import load
from tests.knowledge.document_writers import WRITERS, parts_of
from tests.knowledge.formats.reading import GUIDE, TABLE

AREA = (Inches(1), Inches(2), Inches(6), Inches(2))


def slide(presentation, title: str):
    added = presentation.slides.add_slide(presentation.slide_layouts[5])
    added.shapes.title.text = title
    return added


def frame(of, *lines: str):
    added = of.shapes.add_textbox(*AREA).text_frame
    added.text = "\n".join(lines)
    return added


def read(presentation) -> Document:
    stream = io.BytesIO()
    presentation.save(stream)
    return load("crew.pptx", stream.getvalue())


def texts(presentation) -> list[str]:
    return [block.text for block in read(presentation).blocks]


def test_hidden_slides_and_shapes_are_left_out():
    """Slides are named in the report, and keep their numbers."""
    presentation = Presentation()
    for title in ("Crew", "Old safe", "Boats"):
        frame(slide(presentation, title), f"About {title.lower()}.")
    presentation.slides[1].element.set("show", "0")
    shape = presentation.slides[2].shapes.add_textbox(*AREA)
    shape.text_frame.text = "Nobody sees this."
    shape.element.nvSpPr.cNvPr.set("hidden", "1")
    document = read(presentation)
    assert [(block.text, block.locator.page) for block in document.blocks] == [("About crew.", 1), ("About boats.", 3)]
    assert document.warnings == ("hidden slides were left out: 2",)


def test_charts_are_tables():
    """Their numbers stand nowhere else."""
    presentation = Presentation()
    data = CategoryChartData(number_format="0%")
    data.categories = ["May", "June"]
    data.add_series("North", (0.25, 0.5))
    slide(presentation, "Berths").shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *AREA, data)
    [block] = read(presentation).blocks
    assert (block.form, block.text) == (Form.TABLE, "|  | North |\n| --- | --- |\n| May | 25% |\n| June | 50% |")


def test_merged_cells_stand_in_each_row_that_they_cover():
    presentation = Presentation()
    table = slide(presentation, "Berths").shapes.add_table(3, 2, *AREA).table
    for y, row in enumerate((("Pier", "Boat"), ("North", "Heron 7"), ("", "Tern 8"))):
        for x, text in enumerate(row):
            table.cell(y, x).text = text
    table.cell(1, 0).merge(table.cell(2, 0))
    assert texts(presentation) == ["| Pier | Boat |\n| --- | --- |\n| North | Heron 7 |\n| North | Tern 8 |"]


def test_links_and_numbers_are_kept():
    """The title of a slide stays plain."""
    presentation = Presentation()
    added = slide(presentation, "")
    for text_frame in (added.shapes.title.text_frame, frame(added, "")):
        run = text_frame.paragraphs[0].add_run()
        run.text, run.hyperlink.address = "the form", "https://boats.example/form"
    steps = frame(added, "Hoist", "with care", "Sail")
    for paragraph, level in zip(steps.paragraphs, (0, 1, 0), strict=True):
        paragraph.level = level
        if level == 0:
            paragraph._p.get_or_add_pPr().append(parse_xml(f'<a:buAutoNum {nsdecls("a")} type="arabicPeriod"/>'))
    document = read(presentation)
    assert document.title == "the form"
    assert [block.text for block in document.blocks] == [
        "[the form](https://boats.example/form)",
        "1. Hoist\n   - with care\n2. Sail",
    ]


def test_equations_are_read_with_the_shapes_that_only_they_are_in():
    """PowerPoint writes such a shape in two versions, of which the second is a picture."""
    presentation = Presentation()
    added = slide(presentation, "Speed")
    shape = added.shapes.add_textbox(*AREA)
    shape.text_frame.text = "Speed is "
    math = "http://schemas.openxmlformats.org/officeDocument/2006/math"
    part = "<m:{0}><m:r><m:t>{1}</m:t></m:r></m:{0}>"
    fraction = f"<m:f>{part.format('num', 'way')}{part.format('den', 'time')}</m:f>"
    equation = (
        f'<a14:m xmlns:a14="http://schemas.microsoft.com/office/drawing/2010/main"><m:oMath xmlns:m="{math}">{fraction}'
    )
    shape.text_frame.paragraphs[0]._p.append(parse_xml(f"{equation}</m:oMath></a14:m>"))
    space = "http://schemas.openxmlformats.org/markup-compatibility/2006"
    wrapper = parse_xml(
        f'<mc:AlternateContent xmlns:mc="{space}"><mc:Choice Requires="a14"/><mc:Fallback/></mc:AlternateContent>'
    )
    shape.element.addprevious(wrapper)
    wrapper[0].append(shape.element)
    assert texts(presentation) == ["Speed is way/time"]


def test_slides_are_read_under_their_titles_with_their_numbers():
    """The page of a presentation is the slide."""
    document = load("a.pptx", WRITERS[".pptx"]("Bread guide", parts_of(GUIDE)))
    assert document.title == "Bread guide"
    assert {(block.heading, block.locator.page) for block in document.blocks} == {
        ((), 1),
        (("Dough",), 2),
        (("Temperatures",), 3),
        (("Storing",), 4),
    }
    assert [block.text for block in document.blocks if block.form is Form.TABLE] == [TABLE]
    assert [block.text for block in document.blocks if block.form is Form.CODE] == [
        "def bake():\n    oven.heat(250)\n\n    return bread"
    ]
