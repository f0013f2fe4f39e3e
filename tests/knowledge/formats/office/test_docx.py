"""What Word shows and its file doesn't say outright: numbers, links, equations, charts; and what Word doesn't show."""

import io
from collections.abc import Sequence

import docx
import pytest
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls, qn

from bot.core.documents import Document, Form
from bot.knowledge.formats.office.numbering import numbering_of
from bot.knowledge.loaders import load
from tests.knowledge.formats.reading import forms

MATH = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'


def read(document) -> Document:
    stream = io.BytesIO()
    document.save(stream)
    return load("boats.docx", stream.getvalue())


def texts(document) -> list[str]:
    return [block.text for block in read(document).blocks]


def define(document, number: int, *levels: tuple[str, str]) -> None:
    """A list of these (format, pattern), one a level."""
    root = document.part.numbering_part.element
    written = "".join(
        f'<w:lvl w:ilvl="{depth}"><w:start w:val="1"/><w:numFmt w:val="{form}"/><w:lvlText w:val="{pattern}"/></w:lvl>'
        for depth, (form, pattern) in enumerate(levels)
    )
    space = nsdecls("w")
    root.insert(0, parse_xml(f'<w:abstractNum {space} w:abstractNumId="{number}">{written}</w:abstractNum>'))
    root.append(parse_xml(f'<w:num {space} w:numId="{number}"><w:abstractNumId w:val="{number}"/></w:num>'))


def numbered(paragraph, number: int, depth: int = 0):
    numbering = f'<w:numPr {nsdecls("w")}><w:ilvl w:val="{depth}"/><w:numId w:val="{number}"/></w:numPr>'
    paragraph._p.get_or_add_pPr().append(parse_xml(numbering))
    return paragraph


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_a_list_goes_on_counting_after_a_remark():
    """As Word shows it; the steps after the remark are no new first ones."""
    document = docx.Document()
    for text, style in (("Hoist the jib.", "List Number"), ("Mind the boom.", "Normal"), ("Cast off.", "List Number")):
        document.add_paragraph(text, style)
    assert texts(document) == ["1. Hoist the jib.", "Mind the boom.", "2. Cast off."]


def test_headings_and_clauses_have_the_numbers_that_word_counts():
    """People ask for section 2.1 and for item (b)."""
    document = docx.Document()
    define(document, 70, ("decimal", "%1"), ("decimal", "%1.%2"), ("lowerLetter", "(%3)"))
    for depth, text in ((0, "Berths"), (0, "Fees"), (1, "Guests"), (1, "Members")):
        numbered(document.add_heading(text, depth + 1), 70, depth)
        document.add_paragraph(f"About {text.lower()}.")
    for text in ("in winter", "in summer"):
        numbered(document.add_paragraph(text), 70, 2)
    document.core_properties.title = "Harbour rules"
    written = read(document)
    assert written.title == "Harbour rules"
    assert [block.heading for block in written.blocks][:4] == [
        ("1 Berths",),
        ("2 Fees",),
        ("2 Fees", "2.1 Guests"),
        ("2 Fees", "2.2 Members"),
    ]
    assert written.blocks[-1].text == "- (a) in winter\n- (b) in summer"


@pytest.mark.parametrize(
    ("form", "pattern", "labels"),
    [
        ("decimal", "%1.", ["1.", "2.", "3."]),
        ("upperRoman", "%1)", ["I)", "II)", "III)"]),
        ("lowerLetter", "%1.", ["a.", "b.", "c."]),
        ("decimalZero", "No. %1", ["No. 01", "No. 02", "No. 03"]),
        ("bullet", "•", ["", "", ""]),
    ],
)
def test_numbers_are_written_in_the_form_of_their_level(form, pattern, labels):
    """Bullets have none."""
    document = docx.Document()
    define(document, 71, (form, pattern))
    numbering = numbering_of(document.part.numbering_part.element)
    assert [numbering.label("71", 0) for _ in range(3)] == labels


def test_lists_of_one_definition_share_their_count_unless_they_start_anew():
    """The numbers below begin again with each of those above."""
    document = docx.Document()
    define(document, 72, ("decimal", "%1."), ("decimal", "%1.%2"))
    root = document.part.numbering_part.element
    for number, override in ((73, ""), (74, '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/></w:lvlOverride>')):
        abstract = '<w:abstractNumId w:val="72"/>'
        root.append(parse_xml(f'<w:num {nsdecls("w")} w:numId="{number}">{abstract}{override}</w:num>'))
    numbering = numbering_of(root)
    asked = (("72", 0), ("72", 1), ("72", 1), ("73", 0), ("73", 1), ("74", 0), ("74", 0), ("99", 0))
    assert [numbering.label(*place) for place in asked] == ["1.", "1.1", "1.2", "2.", "2.1", "5.", "6.", ""]


# --- text -------------------------------------------------------------------------------------------------------------


def test_hidden_text_is_left_out_and_named():
    """Whether a run hides it, its style, or the style of the paragraph; a run may show what its style hides."""
    document = docx.Document()
    for name, kind in (("Secret", 1), ("Secret words", 2)):
        document.styles.add_style(name, kind).font.hidden = True
    paragraph = document.add_paragraph("The safe is ")
    paragraph.add_run("4711 ").font.hidden = True
    paragraph.add_run("0815 ", "Secret words")
    paragraph.add_run("here.", "Secret words").font.hidden = False
    document.add_paragraph("Burn this.", "Secret")
    written = read(document)
    assert [block.text for block in written.blocks] == ["The safe is here."]
    assert written.warnings == ("hidden text was left out, such as “4711”",)


def test_links_keep_their_addresses():
    """Those of relationships and of fields; one within the document is its words, and so is one in a heading."""
    document = docx.Document()
    target = document.part.relate_to(
        "https://boats.example/form (1).pdf", RELATIONSHIP_TYPE.HYPERLINK, is_external=True
    )

    def link(paragraph, attribute: str) -> None:
        space = nsdecls("w", "r")
        paragraph._p.append(
            parse_xml(f"<w:hyperlink {space} {attribute}><w:r><w:t>this form</w:t></w:r></w:hyperlink>")
        )

    link(document.add_heading("Fill in ", 1), f'r:id="{target}"')
    link(document.add_paragraph("Fill in "), f'r:id="{target}"')
    link(document.add_paragraph("See "), 'w:anchor="below"')
    field = document.add_paragraph("Ask ")
    for piece in (
        '<w:fldChar w:fldCharType="begin"/>',
        '<w:instrText> HYPERLINK "mailto:crew@boats.example" </w:instrText>',
        '<w:fldChar w:fldCharType="separate"/>',
        "<w:t>the crew</w:t>",
        '<w:fldChar w:fldCharType="end"/>',
        "<w:t>.</w:t>",
    ):
        field._p.append(parse_xml(f"<w:r {nsdecls('w')}>{piece}</w:r>"))
    written = read(document)
    assert written.title == "Fill in this form"
    assert [block.text for block in written.blocks] == [
        "Fill in [this form](https://boats.example/form%20%281%29.pdf)",
        "See this form",
        "Ask [the crew](mailto:crew@boats.example).",
    ]


def part(name: str, text: str, value: str = "") -> str:
    return f"<m:{name}>{value}<m:r><m:t>{text}</m:t></m:r></m:{name}>"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (f"<m:f>{part('num', 'a+b')}{part('den', '2')}</m:f>", "(a+b)/2"),
        (f"<m:sSup>{part('e', 'x')}{part('sup', '2')}</m:sSup>", "x^2"),
        (f"<m:sSubSup>{part('e', 'x')}{part('sub', 'i+1')}{part('sup', '2')}</m:sSubSup>", "x_(i+1)^2"),
        (f"<m:rad><m:deg/>{part('e', 'x+1')}</m:rad>", "sqrt(x+1)"),
        (f"<m:rad>{part('deg', '3')}{part('e', 'x')}</m:rad>", "root3(x)"),
        (
            f'<m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr>{part("sub", "i=1")}{part("sup", "n")}{part("e", "i")}</m:nary>',
            "∑_(i=1)^n i",
        ),
        (
            f'<m:d><m:dPr><m:begChr m:val="["/><m:endChr m:val="]"/></m:dPr>{part("e", "a")}{part("e", "b")}</m:d>',
            "[a, b]",
        ),
        (f"<m:func>{part('fName', 'sin')}{part('e', 'x')}</m:func>", "sin(x)"),
        (
            f"<m:m><m:mr>{part('e', '1')}{part('e', '0')}</m:mr><m:mr>{part('e', '0')}{part('e', '1')}</m:mr></m:m>",
            "1, 0; 0, 1",
        ),
    ],
)
def test_equations_are_text(written, shown):
    """On one line, in the middle of a sentence."""
    document = docx.Document()
    paragraph = document.add_paragraph("Use ")
    paragraph._p.append(parse_xml(f"<m:oMath {MATH}>{written}</m:oMath>"))
    paragraph.add_run(" here.")
    assert texts(document) == [f"Use {shown} here."]


# --- tables and drawings ----------------------------------------------------------------------------------------------


def grid(document, rows: Sequence[Sequence[str]]):
    table = document.add_table(len(rows), len(rows[0]))
    for y, row in enumerate(rows):
        for x, text in enumerate(row):
            table.cell(y, x).text = text
    return table


def test_merged_cells_stand_in_each_row_and_column():
    """As the reader sees them beside every row."""
    document = docx.Document()
    table = grid(
        document, [["Pier", "Boat", "Berth"], ["North", "Heron", "7"], ["", "Tern", "8"], ["South", "free", ""]]
    )
    table.cell(1, 0).merge(table.cell(2, 0))
    table.cell(3, 1).merge(table.cell(3, 2))
    assert texts(document) == [
        "| Pier | Boat | Berth |\n| --- | --- | --- |\n| North | Heron | 7 |\n| North | Tern | 8 |\n| South | free | free |"
    ]


def test_two_rows_of_names_are_one_header_below_the_title():
    """Each value has all that names it."""
    document = docx.Document()
    rows = [["Guests by pier", "", ""], ["Pier", "2031", ""], ["", "Boats", "People"], ["North", "12", "40"]]
    table = grid(document, rows)
    table.cell(0, 0).merge(table.cell(0, 2))
    table.cell(1, 0).merge(table.cell(2, 0))
    table.cell(1, 1).merge(table.cell(1, 2))
    assert texts(document) == [
        "Guests by pier",
        "| Pier | 2031 Boats | 2031 People |\n| --- | --- | --- |\n| North | 12 | 40 |",
    ]


def test_rows_that_word_numbers_have_their_numbers():
    """The first column of many tables holds nothing else."""
    document = docx.Document()
    define(document, 75, ("decimal", "%1."))
    table = grid(document, [["Step", "What"], ["x", "Hoist"], ["y", "Cast off"]])
    for row in (1, 2):
        numbered(table.cell(row, 0).paragraphs[0], 75)
    assert texts(document)[0].split("\n")[2:] == ["| 1. x | Hoist |", "| 2. y | Cast off |"]


CHART = """<c:chartSpace xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart"
 xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><c:chart>
 <c:title><c:tx><c:rich><a:p><a:r><a:t>Berths </a:t></a:r><a:r><a:t>taken</a:t></a:r></a:p></c:rich></c:tx></c:title>
 <c:plotArea><c:barChart><c:ser><c:tx><c:strRef><c:strCache><c:pt idx="0"><c:v>North</c:v></c:pt></c:strCache></c:strRef></c:tx>
 <c:cat><c:strRef><c:strCache><c:pt idx="0"><c:v>May</c:v></c:pt><c:pt idx="1"><c:v>June</c:v></c:pt></c:strCache></c:strRef>
 </c:cat><c:val><c:numRef><c:numCache><c:formatCode>0%</c:formatCode><c:pt idx="0"><c:v>0.25</c:v></c:pt>
 <c:pt idx="1"><c:v>0.5</c:v></c:pt></c:numCache></c:numRef></c:val></c:ser></c:barChart></c:plotArea></c:chart>
</c:chartSpace>"""
DIAGRAM = """<dgm:dataModel xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram"
 xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><dgm:ptLst>
 <dgm:pt><dgm:t><a:p><a:r><a:t>Hoist</a:t></a:r></a:p></dgm:t></dgm:pt><dgm:pt/>
 <dgm:pt><dgm:t><a:p><a:r><a:t>Sail</a:t></a:r></a:p></dgm:t></dgm:pt></dgm:ptLst></dgm:dataModel>"""


def draw(document, xml: str, kind: str) -> None:
    """A paragraph that shows a part of the document."""
    content = Part(PackURI(f"/word/{kind}1.xml"), f"application/vnd.{kind}+xml", xml.encode(), document.part.package)
    name = document.part.relate_to(
        content, f"http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}"
    )
    space = f"http://schemas.openxmlformats.org/drawingml/2006/{kind}"
    shown = f'<d:chart r:id="{name}"/>' if kind == "chart" else f'<d:relIds r:dm="{name}"/>'
    run = f'<w:r {nsdecls("w", "r")} xmlns:d="{space}"><w:drawing>{shown}</w:drawing></w:r>'
    document.add_paragraph("Look:")._p.append(parse_xml(run))


def test_charts_are_tables_and_diagrams_lists():
    """Below the paragraph that shows them, with the units of their numbers."""
    document = docx.Document()
    draw(document, CHART, "chart")
    draw(document, DIAGRAM, "diagram")
    assert texts(document) == [
        "Look:",
        "Berths taken",
        "|  | North |\n| --- | --- |\n| May | 25% |\n| June | 50% |",
        "Look:",
        "- Hoist\n- Sail",
    ]


def test_a_damaged_chart_is_named_and_the_rest_is_read():
    document = docx.Document()
    draw(document, "<c:chart", "chart")
    written = read(document)
    assert [block.text for block in written.blocks] == ["Look:"]
    assert written.warnings == ("a chart or diagram in it is damaged and was left out",)


def test_hostile_tables_end():
    """However wide their cells claim to be."""
    document = docx.Document()
    table = grid(document, [["a", "b"], ["c", "d"]])
    for cell in table._tbl.iter(qn("w:tcPr")):
        cell.append(parse_xml(f'<w:gridSpan {nsdecls("w")} w:val="99999999"/>'))
    assert len(texts(document)[0]) < 1_000


def test_page_headers_of_a_docx_go_and_a_title_style_is_the_title():
    """What Word repeats on each page is no text of the document."""
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "Confidential"
    document.add_paragraph("Travel policy", "Title")
    document.add_heading("Trains", 1)
    document.add_paragraph("Second class.")
    found = read(document)
    assert (found.title, texts(document), forms(found)) == (
        "Travel policy",
        ["Second class."],
        [(Form.PARAGRAPH, ("Trains",))],
    )


def test_inserted_text_is_read_and_deleted_text_is_not():
    """Tracked changes read as if they were accepted; text in content controls is read too."""
    document = docx.Document()
    paragraph = document.add_paragraph("The fee is ")
    for tag, text_tag, text in (("del", "delText", "five"), ("ins", "t", "six")):
        wrapper = docx.oxml.parse_xml(
            f'<w:{tag} xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" w:id="1" w:author="a">'
            f"<w:r><w:{text_tag}>{text}</w:{text_tag}></w:r></w:{tag}>"
        )
        paragraph._p.append(wrapper)
    control = docx.oxml.parse_xml(
        '<w:sdt xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:sdtContent>'
        "<w:p><w:r><w:t>In a control.</w:t></w:r></w:p></w:sdtContent></w:sdt>"
    )
    paragraph._p.addnext(control)
    assert texts(document) == ["The fee is six", "In a control."]


@pytest.mark.parametrize("kind", ["footnote", "endnote"])
def test_notes_of_a_docx_follow_what_refers_to_them(kind):
    """Below a paragraph, a list, a table and a heading; a note that nothing refers to is only a line between."""
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    said = ("", "Except on Sundays.", "Paid by card.", "Net of tax.", "Since May.\nSee also the annex.")
    notes = "".join(
        f'<w:{kind} w:id="{number}">'
        + "".join(f"<w:p><w:r><w:{kind}Ref/></w:r><w:r><w:t> {line}</w:t></w:r></w:p>" for line in text.split("\n"))
        + f"</w:{kind}>"
        for number, text in enumerate(said)
    )
    document = docx.Document()
    document.add_paragraph("The pool", "Title")
    table = document.add_table(2, 2)
    for cell, text in zip(table._cells, ("who", "euros", "adults", "9"), strict=True):
        cell.text = text
    elements = {
        1: document.add_paragraph("The pool opens at six."),
        2: document.add_paragraph("tickets", "List Bullet"),
        3: table.cell(1, 1).paragraphs[0],
        4: document.add_heading("Rules", 1),
    }
    document.add_paragraph("No running.")
    for number, paragraph in elements.items():
        reference = f'<w:r {space}><w:{kind}Reference w:id="{number}"/></w:r>'
        paragraph._p.append(docx.oxml.parse_xml(reference))
    part = Part(
        PackURI(f"/word/{kind}s.xml"),
        f"application/vnd.openxmlformats-officedocument.wordprocessingml.{kind}s+xml",
        f"<w:{kind}s {space}>{notes}</w:{kind}s>".encode(),
        document.part.package,
    )
    relationship = f"http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}s"
    document.part.relate_to(part, relationship)
    found = read(document)
    assert texts(document) == [
        "| who | euros |\n| --- | --- |\n| adults | 9 |",
        "Net of tax.",
        "The pool opens at six.",
        "Except on Sundays.",
        "- tickets",
        "Paid by card.",
        "Since May.\nSee also the annex.",
        "No running.",
    ]
    assert forms(found)[-2:] == [(Form.PARAGRAPH, ("Rules",))] * 2
