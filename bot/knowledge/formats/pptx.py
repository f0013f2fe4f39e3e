"""The loader for PPTX, by python-pptx: each slide under its title, with its notes, without footers, dates and numbers."""

import io
import re
from collections.abc import Iterable, Iterator
from typing import Any

from pptx import Presentation
from pptx.enum.shapes import PP_PLACEHOLDER

from bot.core.documents import Document, Form, Locator
from bot.core.errors import DocumentError
from bot.knowledge.formats.archive import open_archive
from bot.knowledge.formats.outline import Item, Outline, list_text, table_text

_DAMAGED = "this is no PPTX file, or it is damaged; open it in a presentation program and save it again as PPTX"
_MONOSPACED = re.compile(r"courier|consolas|mono|menlo|\bcode\b", re.IGNORECASE)
_REPEATED = (PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.HEADER)


def load(path: str, content: bytes) -> Document:
    open_archive(content, "PPTX").close()
    outline = Outline()
    try:
        presentation = Presentation(io.BytesIO(content))
        for number, slide in enumerate(presentation.slides, start=1):
            _slide(slide, Locator(page=number), outline)
        title = presentation.core_properties.title
    except Exception as error:  # over a damaged archive the library raises nearly anything
        raise DocumentError(_DAMAGED) from error
    if title in ("PowerPoint Presentation", "PowerPoint-Präsentation"):
        title = ""
    return outline.document(path, next(filter(None, outline.headings), None) or title)


def _slide(slide: Any, locator: Locator, outline: Outline) -> None:
    title = slide.shapes.title
    outline.heading(1, title.text_frame.text if title is not None else "", locator)
    for shape in _shapes(slide.shapes):
        if title is None or shape.shape_id != title.shape_id:
            _shape(shape, locator, outline)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        outline.block(Form.PARAGRAPH, slide.notes_slide.notes_text_frame.text.replace("\x0b", "\n").strip(), locator)


def _shapes(shapes: Iterable[Any]) -> Iterator[Any]:
    """All shapes, with those in groups, from top to bottom."""
    for shape in sorted(shapes, key=lambda shape: (shape.top or 0, shape.left or 0)):
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        elif not shape.is_placeholder or shape.placeholder_format.type not in _REPEATED:
            yield shape


def _shape(shape: Any, locator: Locator, outline: Outline) -> None:
    if getattr(shape, "has_table", False):
        rows = [[cell.text_frame.text for cell in row.cells] for row in shape.table.rows]
        outline.block(Form.TABLE, table_text(rows), locator)
    elif shape.has_text_frame:
        paragraphs = [part for part in shape.text_frame.paragraphs if part.text.strip()]
        if _is_monospaced(paragraphs):
            code = "\n".join(part.text for part in shape.text_frame.paragraphs)
            outline.block(Form.CODE, code.replace("\x0b", "\n").strip("\n"), locator)
        elif len(paragraphs) > 1:
            items = [Item(part.text.replace("\x0b", "\n"), part.level or 0) for part in paragraphs]
            outline.block(Form.LIST, list_text(items), locator)
        else:
            outline.block(Form.PARAGRAPH, shape.text_frame.text.replace("\x0b", "\n").strip(), locator)


def _is_monospaced(paragraphs: Iterable[Any]) -> bool:
    """Whether all text has a font for code."""
    fonts = [run.font.name or "" for paragraph in paragraphs for run in paragraph.runs if run.text.strip()]
    return bool(fonts) and all(map(_MONOSPACED.search, fonts))
