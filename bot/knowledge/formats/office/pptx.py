"""The loader for PPTX, by python-pptx: each slide under its title, with its notes, without footers, dates and numbers.

Hidden slides and shapes are left out. The data of a chart is a table.
"""

import io
import re
from collections.abc import Iterable, Iterator
from typing import Any

from pptx import Presentation
from pptx.enum.shapes import PP_PLACEHOLDER
from pptx.oxml.ns import qn

from bot.core.documents import Document, Form, Locator
from bot.core.errors import DocumentError
from bot.knowledge.formats.archive import open_archive
from bot.knowledge.formats.office.drawings import write_drawings
from bot.knowledge.formats.office.equations import EQUATION, equation_text
from bot.knowledge.formats.outline import Item, Outline, link_text, list_text, listed
from bot.knowledge.formats.tables import Cell, laid_out, write_table

_DAMAGED = "this is no PPTX file, or it is damaged; open it in a presentation program and save it again as PPTX"
_MONOSPACED = re.compile(r"courier|consolas|mono|menlo|\bcode\b", re.IGNORECASE)
_COMPATIBILITY = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_REPEATED = (PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.HEADER)


def load(path: str, content: bytes) -> Document:
    open_archive(content, "PPTX").close()
    outline = Outline()
    try:
        presentation = Presentation(io.BytesIO(content))
        hidden = []
        for number, slide in enumerate(presentation.slides, start=1):
            if slide.element.get("show") in ("0", "false"):
                hidden.append(number)
            else:
                _slide(slide, Locator(page=number), outline)
        title = presentation.core_properties.title
    except Exception as error:  # over a damaged archive the library raises nearly anything
        raise DocumentError(_DAMAGED) from error
    if hidden:
        outline.warnings.append(f"hidden slides were left out: {listed(hidden)}")
    if title in ("PowerPoint Presentation", "PowerPoint-Präsentation"):
        title = ""
    return outline.document(path, next(filter(None, outline.headings), None) or title)


def _slide(slide: Any, locator: Locator, outline: Outline) -> None:
    _take_alternatives(slide.element)
    title = slide.shapes.title
    outline.heading(1, title.text_frame.text if title is not None else "", locator)
    for shape in _shapes(slide.shapes):
        if title is None or shape.shape_id != title.shape_id:
            _shape(shape, locator, outline)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        outline.block(Form.PARAGRAPH, _words(slide.notes_slide.notes_text_frame), locator)


def _take_alternatives(slide: Any) -> None:
    """Put the first of several versions of a shape or a text in their place: the library sees none of them."""
    for wrapper in list(slide.iter(f"{_COMPATIBILITY}AlternateContent")):
        for child in list(next(wrapper.iterchildren(f"{_COMPATIBILITY}Choice"), ())):
            wrapper.addprevious(child)
        wrapper.getparent().remove(wrapper)


def _shapes(shapes: Iterable[Any]) -> Iterator[Any]:
    """Yield all visible shapes, with those in groups, from top to bottom."""
    for shape in sorted(shapes, key=lambda shape: (shape.top or 0, shape.left or 0)):
        if any(properties.get("hidden") in ("1", "true") for properties in shape.element.xpath("./*/p:cNvPr")):
            continue
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        elif not shape.is_placeholder or shape.placeholder_format.type not in _REPEATED:
            yield shape


def _shape(shape: Any, locator: Locator, outline: Outline) -> None:
    if getattr(shape, "has_table", False):
        rows = [
            [
                Cell(_words(cell.text_frame), cell.span_width, cell.span_height)
                for cell in row.cells
                if not cell.is_spanned
            ]
            for row in shape.table.rows
        ]
        write_table(laid_out(rows), outline, locator)
    elif shape.has_text_frame:
        _frame(shape.text_frame, locator, outline)
    else:
        parts = {name: one.target_part for name, one in shape.part.rels.items() if not one.is_external}
        write_drawings(shape.element, parts, outline, locator)


def _frame(frame: Any, locator: Locator, outline: Outline) -> None:
    paragraphs = [paragraph for paragraph in frame.paragraphs if _text(paragraph).strip()]
    if _is_monospaced(paragraphs):
        code = "\n".join(paragraph.text for paragraph in frame.paragraphs)
        outline.block(Form.CODE, code.replace("\x0b", "\n").strip("\n"), locator)
    elif len(paragraphs) > 1:
        outline.block(Form.LIST, list_text(list(_items(paragraphs))), locator)
    else:
        outline.block(Form.PARAGRAPH, _words(frame), locator)


def _items(paragraphs: Iterable[Any]) -> Iterator[Item]:
    """List items, with the numbers that are counted for them."""
    counts: dict[int, int] = {}
    for paragraph in paragraphs:
        level = paragraph.level or 0
        counts = {depth: count for depth, count in counts.items() if depth <= level}
        numbered = next(iter(paragraph._p.xpath("./a:pPr/a:buAutoNum")), None)
        if numbered is None:
            counts.pop(level, None)
        else:
            counts[level] = counts[level] + 1 if level in counts else int(numbered.get("startAt", 1))
        yield Item(_text(paragraph), level, counts.get(level))


def _words(frame: Any) -> str:
    return "\n".join(map(_text, frame.paragraphs)).strip()


def _text(paragraph: Any) -> str:
    """Return the text of a paragraph, with its links and equations."""
    parts: list[str] = []
    for element in paragraph._p.iter(qn("a:r"), qn("a:fld"), qn("a:br"), EQUATION):
        if element.tag == EQUATION:
            parts.append(equation_text(element))
        elif element.tag == qn("a:br"):
            parts.append("\n")
        elif next(element.iterancestors(EQUATION), None) is None:
            parts.append(link_text(element.findtext(qn("a:t")) or "", _address(element, paragraph.part)))
    return "".join(parts)


def _address(run: Any, part: Any) -> str:
    """Return the address that a run leads to; empty where it leads nowhere else."""
    for link in run.iterfind(f"{qn('a:rPr')}/{qn('a:hlinkClick')}"):
        relationship = part.rels.get(link.get(qn("r:id"), ""))
        if relationship is not None and relationship.is_external:
            return str(relationship.target_ref)
    return ""


def _is_monospaced(paragraphs: Iterable[Any]) -> bool:
    """Return whether all text has a font for code."""
    fonts = [run.font.name or "" for paragraph in paragraphs for run in paragraph.runs if run.text.strip()]
    return bool(fonts) and all(map(_MONOSPACED.search, fonts))
