"""Markdown -> the other formats, as their own programs would write it: for the tests, and for the benchmarks.

Each writer takes the parts of a document and returns the bytes of a file. They are written with other libraries than the
ones that read, as far as there are any.
"""

import html
import io
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

from markdown_it import MarkdownIt
from markdown_it.token import Token

_MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Heading:
    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Bullets:
    """Items with their depth, from 0."""

    items: tuple[tuple[int, str], ...]
    ordered: bool = False


@dataclass(frozen=True)
class Code:
    text: str


@dataclass(frozen=True)
class Grid:
    rows: tuple[tuple[str, ...], ...]


Part = Heading | Paragraph | Bullets | Code | Grid


def parts_of(markdown: str) -> list[Part]:
    """The headings and blocks of a Markdown text, without their inline markup. HTML is left out."""
    return list(_parts(_MARKDOWN.parse(markdown)))


def _parts(tokens: Sequence[Token]):
    position = 0
    while position < len(tokens):
        token = tokens[position]
        end = position + 1
        if token.nesting == 1:
            depth = 1
            while depth:
                depth += tokens[end].nesting
                end += 1
        inside = tokens[position:end]
        if token.type == "heading_open":
            yield Heading(int(token.tag[1:]), _plain(inside))
        elif token.type == "paragraph_open" and _plain(inside):
            yield Paragraph(_plain(inside))
        elif token.type in ("bullet_list_open", "ordered_list_open"):
            if items := tuple(_items(inside)):
                yield Bullets(items, token.type == "ordered_list_open")
        elif token.type in ("fence", "code_block") and token.content.strip():
            yield Code(token.content.strip("\n"))
        elif token.type == "table_open":
            yield Grid(tuple(_rows(inside)))
        elif token.type == "blockquote_open":
            yield from _parts(inside[1:-1])
        position = end


def _plain(tokens: Sequence[Token]) -> str:
    pieces = []
    for token in tokens:
        for child in token.children or ():
            pieces.append(child.content if child.type in ("text", "code_inline", "image") else "")
            pieces.append(" " if child.type in ("softbreak", "hardbreak") else "")
    return " ".join("".join(pieces).split())


def _items(tokens: Sequence[Token]):
    depth = -1
    for token in tokens:
        if token.type.endswith("list_open"):
            depth += 1
        elif token.type.endswith("list_close"):
            depth -= 1
        elif token.type == "inline" and _plain([token]):
            yield depth, _plain([token])


def _rows(tokens: Sequence[Token]):
    row: list[str] = []
    for token in tokens:
        if token.type == "tr_open":
            row = []
        elif token.type == "inline":
            row.append(_plain([token]))
        elif token.type == "tr_close":
            yield tuple(row)


# --- writers ----------------------------------------------------------------------------------------------------------


def write_html(title: str, parts: Sequence[Part]) -> bytes:
    """A page with a template around its content."""
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{html.escape(title)} - Site</title>\n'
        "<style>p { color: red }</style><script>alert('never')</script></head>\n<body>\n"
        '<nav><ul><li><a href="/">Home navigation</a></li></ul></nav>\n<main>\n'
        f"{_body(parts)}\n</main>\n<footer>Footer of the site</footer>\n</body>\n</html>\n"
    ).encode()


def _body(parts: Sequence[Part]) -> str:
    return "\n".join(map(_element, parts))


def _element(part: Part) -> str:
    match part:
        case Heading(level, text):
            return f"<h{level}>{html.escape(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{html.escape(text)}</p>"
        case Bullets(items, ordered):
            return _nested(items, "ol" if ordered else "ul")
        case Code(text):
            return f"<pre><code>{html.escape(text)}</code></pre>"
        case Grid(rows):
            lines = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows)
            return "<table>" + "\n".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _nested(items: Sequence[tuple[int, str]], tag: str) -> str:
    """Lists in lists, each within the item above it."""
    written = f"<{tag}>"
    depths = [depth for depth, _ in items]
    for (depth, text), following in zip(items, [*depths[1:], 0], strict=True):
        written += f"<li>{html.escape(text)}"
        if following > depth:
            written += f"\n<{tag}>" * (following - depth)
        else:
            written += "</li>\n" + f"</{tag}></li>\n" * (depth - following)
    return f"{written}</{tag}>"


def write_rst(title: str, parts: Sequence[Part]) -> bytes:
    lines: list[str] = []
    for part in parts:
        match part:
            case Heading(level, text):
                text = _escaped(text)
                lines += [text, "=-~^\"'"[level - 1] * max(4, len(text) * 2), ""]
            case Paragraph(text):
                lines += [_escaped(text), ""]
            case Bullets(items, ordered):
                depth_before = 0
                counts: dict[int, int] = {}
                for depth, text in items:
                    if depth != depth_before:
                        lines.append("")
                    counts = {known: count for known, count in counts.items() if known <= depth}
                    counts[depth] = counts.get(depth, 0) + 1
                    marker = f"{counts[depth]}." if ordered else "-"
                    lines.append(f"{'   ' * depth if ordered else '  ' * depth}{marker} {_escaped(text)}")
                    depth_before = depth
                lines.append("")
            case Code(text):
                lines += ["::", "", *(f"    {line}".rstrip() for line in text.split("\n")), ""]
            case Grid(rows):
                lines += [".. list-table::", "   :header-rows: 1", ""]
                for row in rows:
                    lines += [f"   {'*' if n == 0 else ' '} - {_escaped(cell)}".rstrip() for n, cell in enumerate(row)]
                lines.append("")
    return "\n".join(lines).encode()


def _escaped(text: str) -> str:
    escaped = re.sub(r"([\\*`|_])", r"\\\1", text)
    return f"\\{escaped}" if re.match(r"[-+•]\s|\(?\w{1,4}[.)]\s|\.\.\s|:|>>>|[=~#\"'^-]{4}", escaped) else escaped


def write_docx(title: str, parts: Sequence[Part]) -> bytes:
    from docx import Document

    document = Document()
    document.core_properties.title = title
    document.sections[0].header.paragraphs[0].text = "Header of every page"
    document.sections[0].footer.paragraphs[0].text = "Footer of every page"
    for part in parts:
        match part:
            case Heading(level, text):
                document.add_heading(text, level)
            case Paragraph(text):
                document.add_paragraph(text)
            case Bullets(items, ordered):
                for depth, text in items:
                    style = "List Number" if ordered else "List Bullet"
                    document.add_paragraph(text, style if depth == 0 else f"{style} {min(depth + 1, 3)}")
            case Code(text):
                for line in text.split("\n"):
                    document.add_paragraph().add_run(line).font.name = "Courier New"
            case Grid(rows):
                table = document.add_table(0, max(map(len, rows)))
                for row in rows:
                    for cell, text in zip(table.add_row().cells, row, strict=False):
                        cell.text = text
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def write_pptx(title: str, parts: Sequence[Part]) -> bytes:
    """A slide a heading, a text box a block."""
    from pptx import Presentation
    from pptx.util import Inches

    presentation = Presentation()
    slide = None
    place = 0
    for part in parts:
        if isinstance(part, Heading) or slide is None:
            slide = presentation.slides.add_slide(presentation.slide_layouts[5])
            slide.shapes.title.text = part.text if isinstance(part, Heading) else title
            place = 2
            if isinstance(part, Heading):
                continue
        if isinstance(part, Grid):
            height, width = len(part.rows), max(map(len, part.rows))
            table = slide.shapes.add_table(height, width, Inches(1), Inches(place), Inches(8), Inches(1)).table
            for y, row in enumerate(part.rows):
                for x, text in enumerate(row):
                    table.cell(y, x).text = text
        else:
            frame = slide.shapes.add_textbox(Inches(1), Inches(place), Inches(8), Inches(1)).text_frame
            if isinstance(part, Bullets):
                for number, (depth, text) in enumerate(part.items):
                    paragraph = frame.paragraphs[0] if number == 0 else frame.add_paragraph()
                    paragraph.text, paragraph.level = text, min(depth, 8)
            else:
                frame.text = part.text.replace("\n", "\v")
                for run in frame.paragraphs[0].runs if isinstance(part, Code) else ():
                    run.font.name = "Courier New"
        place += 1
    stream = io.BytesIO()
    presentation.save(stream)
    return stream.getvalue()


def write_xlsx(title: str, parts: Sequence[Part]) -> bytes:
    """A sheet for the whole, with an empty row between the blocks."""
    import xlsxwriter

    stream = io.BytesIO()
    with xlsxwriter.Workbook(
        stream, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    ) as book:
        sheet = book.add_worksheet("Sheet")
        row = 0
        for part in parts:
            match part:
                case Heading(_, text) | Paragraph(text) | Code(text):
                    lines = [(text,)]
                case Bullets(items):
                    lines = [(text,) for _, text in items]
                case Grid(rows):
                    lines = list(rows)
            for cells in lines:
                for column, text in enumerate(cells):
                    sheet.write_string(row, column, text[:32000])
                row += 1
            row += 1
    return stream.getvalue()


def write_epub(title: str, parts: Sequence[Part]) -> bytes:
    """A chapter for each heading of the first two levels."""
    borders = [
        0,
        *(n for n, part in enumerate(parts) if n and isinstance(part, Heading) and part.level < 3),
        len(parts),
    ]
    chapters = [parts[start:end] for start, end in pairwise(borders)]
    names = [f"chapter{number}.xhtml" for number in range(len(chapters))]
    manifest = "".join(
        f'<item id="c{n}" href="{name}" media-type="application/xhtml+xml"/>' for n, name in enumerate(names)
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(names)))
    files = {
        "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0">'
        '<rootfiles><rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
        "OEBPS/book.opf": '<package xmlns="http://www.idpf.org/2007/opf" version="3.0">'
        f'<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{html.escape(title)}</dc:title>'
        "<dc:language>en</dc:language></metadata><manifest>"
        '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
        f'{manifest}</manifest><spine><itemref idref="nav"/>{spine}</spine></package>',
        "OEBPS/nav.xhtml": "<html><body><nav><ol><li>Contents of the book</li></ol></nav></body></html>",
    }
    for name, chapter in zip(names, chapters, strict=True):
        files[f"OEBPS/{name}"] = (
            '<?xml version="1.0" encoding="utf-8"?>\n<html xmlns="http://www.w3.org/1999/xhtml"><head><title>c</title></head>'
            f"<body>{_body(chapter)}</body></html>"
        )
    return zipped({"mimetype": "application/epub+zip", **files})


def write_pdf(title: str, parts: Sequence[Part], password: str | None = None) -> bytes:
    """As a word processor prints it: A4, with a header and a page number on every page."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import ListFlowable, ListItem, SimpleDocTemplate, Table, XPreformatted
    from reportlab.platypus import Paragraph as Flowing

    body = ParagraphStyle("body", fontName="Helvetica", fontSize=10, leading=12, spaceAfter=8)
    cell_style = ParagraphStyle("cell", parent=body, spaceAfter=0)
    code = ParagraphStyle("code", fontName="Courier", fontSize=8, leading=10, spaceAfter=8)

    def flowing(text: str, style: ParagraphStyle = body) -> Flowing:
        return Flowing(html.escape(text, quote=False), style)

    story = []
    for part in parts:
        match part:
            case Heading(level, text):
                size = max(11.5, 20 - 2 * level)
                style = ParagraphStyle(
                    f"h{level}",
                    fontName="Helvetica-Bold",
                    fontSize=size,
                    leading=size * 1.2,
                    spaceBefore=8,
                    spaceAfter=6,
                )
                story.append(flowing(text, style))
            case Paragraph(text):
                story.append(flowing(text))
            case Bullets(items, ordered):
                kind = "1" if ordered else "bullet"
                for number, (depth, text) in enumerate(items, start=1):
                    item = ListItem(flowing(text, cell_style), value=number if ordered else None)
                    story.append(
                        ListFlowable(
                            [item],
                            bulletType=kind,
                            bulletFormat="%s." if ordered else None,
                            start=number if ordered else "•",
                            leftIndent=18 + 18 * depth,
                        )
                    )
                story.append(Table([[""]], rowHeights=[6]))
            case Code(text):
                story.append(XPreformatted(html.escape(text, quote=False), code))
            case Grid(rows):
                width = max(map(len, rows))
                cells = [[flowing(text, cell_style) for text in row] + [""] * (width - len(row)) for row in rows]
                story += [Table(cells, colWidths=[450 / width] * width), Table([[""]], rowHeights=[6])]

    def decorated(canvas, document) -> None:
        canvas.setFont("Helvetica", 8)
        canvas.drawString(60, 810, "Header of every page")
        canvas.drawString(280, 30, f"Page {document.page}")

    stream = io.BytesIO()
    encryption = StandardEncryption(password) if password else None
    template = SimpleDocTemplate(stream, pagesize=A4, title=title, encrypt=encryption, invariant=1)
    template.build(story, onFirstPage=decorated, onLaterPages=decorated)
    return stream.getvalue()


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def write_markdown(title: str, parts: Sequence[Part]) -> bytes:
    written = []
    for part in parts:
        match part:
            case Heading(level, text):
                written.append(f"{'#' * level} {text}")
            case Paragraph(text):
                written.append(text)
            case Bullets(items, ordered):
                written.append("\n".join(f"{'   ' * depth}{'1.' if ordered else '-'} {text}" for depth, text in items))
            case Code(text):
                written.append(f"```\n{text}\n```")
            case Grid(rows):
                lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
                written.append("\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]]))
    return "\n\n".join(written).encode()


WRITERS: Mapping[str, Callable[[str, Sequence[Part]], bytes]] = {
    ".md": write_markdown,
    ".html": write_html,
    ".rst": write_rst,
    ".docx": write_docx,
    ".pdf": write_pdf,
    ".epub": write_epub,
    ".pptx": write_pptx,
    ".xlsx": write_xlsx,
}


def written(path: str, title: str, markdown: str) -> bytes:
    """A Markdown text as a file of the format that the path names."""
    return WRITERS[PurePosixPath(path).suffix](title, parts_of(markdown))
