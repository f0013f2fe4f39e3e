"""The loader for DOCX, by python-docx. The styles of paragraphs decide what they are.

Page headers and footers, deleted text and tables of contents are left out. A footnote or endnote is a paragraph of its own
below the paragraph that refers to it.
"""

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import docx
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import parse_xml
from docx.oxml.ns import qn

from bot.core.documents import Document, Form
from bot.core.errors import DocumentError
from bot.knowledge.formats.archive import open_archive
from bot.knowledge.formats.outline import LONGEST_HEADING, Item, Outline, list_text, table_text

_DAMAGED = "this is no DOCX file, or it is damaged; open it in a word processor and save it again as DOCX"
_HEADING = re.compile(r"heading (\d)")
_CODE = re.compile(r"code|source|preformatted|listing|verbatim|console|terminal")
_MONOSPACED = re.compile(r"courier|consolas|mono|menlo|\bcode\b")
# What Word writes twice for old readers, what was deleted, and what is only a result of layout.
_PASSED_OVER = {qn(name) for name in ("w:del", "w:moveFrom", "w:instrText", "w:delText", "w:rPr", "w:pPr", "w:object")}
_PASSED_OVER.add("{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback")

# The part of a document that holds notes -> the tag of what refers to one.
_NOTES = {
    RELATIONSHIP_TYPE.FOOTNOTES: qn("w:footnoteReference"),
    RELATIONSHIP_TYPE.ENDNOTES: qn("w:endnoteReference"),
}


class _Role(NamedTuple):
    """The role of a paragraph: a block of a form, or a heading of a level (0: the title), or neither, to be left out."""

    form: Form | None = Form.PARAGRAPH
    heading: int | None = None
    depth: int = 0
    ordered: bool = False
    list_id: str = ""


def load(path: str, content: bytes) -> Document:
    with open_archive(content, "DOCX") as archive:
        if not any(name.startswith("word/") for name in archive.namelist()):
            raise DocumentError(_DAMAGED)
    try:
        opened = docx.Document(io.BytesIO(content))
        body = opened.element.body
        styles, notes = _Styles(opened), _notes(opened)
        title = opened.core_properties.title
    except DocumentError:
        raise
    except Exception as error:  # over a damaged archive the library raises nearly anything
        raise DocumentError(_DAMAGED) from error
    writing = _Writing(styles, notes)
    writing.write(_paragraphs_and_tables(body))
    first = next(filter(None, writing.titles + writing.outline.headings), None)
    return writing.outline.document(path, first or title, language=opened.core_properties.language)


@dataclass(frozen=True, slots=True)
class _Writing:
    """Writes a document's paragraphs and tables into its outline. `notes` has texts by the tag of their references and id."""

    styles: "_Styles"
    notes: dict[tuple[str, str | None], str]
    outline: Outline = field(default_factory=lambda: Outline(numbered=True))
    titles: list[str] = field(default_factory=list)

    def write(self, elements: Iterator[Any]) -> None:
        """Consecutive list items become one block, and so do consecutive lines of code."""
        for form, paragraphs in _runs([(element, self.styles.kind(element)) for element in elements]):
            if form is Form.LIST:
                self.outline.block(Form.LIST, list_text(list(_numbered(paragraphs))))
                self._write_notes(element for element, _ in paragraphs)
            elif form is Form.CODE:
                self.outline.block(Form.CODE, "\n".join(_text(element) for element, _ in paragraphs).strip("\n"))
                self._write_notes(element for element, _ in paragraphs)
            elif form is Form.TABLE:
                self._write_table(paragraphs[0][0])
            else:
                for element, kind in paragraphs:
                    self._write_paragraph(element, kind)

    def _write_paragraph(self, element: Any, kind: _Role) -> None:
        text = _text(element)
        if kind.form is None or not text.strip():
            return
        if kind.heading is None or len(text) > LONGEST_HEADING:
            self.outline.block(Form.PARAGRAPH, text.strip())
        elif kind.heading == 0:
            self.titles.append(text)
        else:
            self.outline.heading(kind.heading, text)
        self._write_notes([element])

    def _write_table(self, table: Any) -> None:
        rows = [[_cell_text(cell) for cell in row.iterchildren(qn("w:tc"))] for row in _rows(table)]
        if all(len(row) < 2 for row in rows):  # a frame around text
            for row in _rows(table):
                for cell in row.iterchildren(qn("w:tc")):
                    self.write(_paragraphs_and_tables(cell))
        else:
            self.outline.block(Form.TABLE, table_text(rows))
            self._write_notes([table])

    def _write_notes(self, elements: Iterable[Any]) -> None:
        for element in elements:
            for reference in element.iter(*_NOTES.values()):
                self.outline.block(Form.PARAGRAPH, self.notes.get((reference.tag, reference.get(qn("w:id"))), ""))


def _runs(described: list[tuple[Any, _Role]]) -> Iterator[tuple[Form | None, list[tuple[Any, _Role]]]]:
    """The paragraphs of each block, with its form. Empty lines within code belong to it; a new list is a block of its own."""
    run: list[tuple[Any, _Role]] = []
    for position, (element, kind) in enumerate(described):
        if kind.form is Form.PARAGRAPH and run and run[-1][1].form is Form.CODE and not _text(element).strip():
            following = described[position + 1 : position + 2]
            if following and following[0][1].form is Form.CODE:
                kind = _Role(Form.CODE)
        if run and not _goes_on(run, kind):
            yield run[0][1].form, run
            run = []
        run.append((element, kind))
    if run:
        yield run[0][1].form, run


def _goes_on(run: list[tuple[Any, _Role]], kind: _Role) -> bool:
    first = run[0][1]
    if kind.form is Form.LIST and first.form is Form.LIST:
        return kind.depth > first.depth or kind.list_id == first.list_id
    return kind.form is Form.CODE and first.form is Form.CODE


def _numbered(paragraphs: list[tuple[Any, _Role]]) -> Iterator[Item]:
    """List items with their numbers, which the file doesn't hold."""
    counts: dict[int, int] = {}
    shallowest = min(kind.depth for _, kind in paragraphs)
    for element, kind in paragraphs:
        counts = {depth: count for depth, count in counts.items() if depth <= kind.depth}
        counts[kind.depth] = counts.get(kind.depth, 0) + 1
        yield Item(_text(element), kind.depth - shallowest, counts[kind.depth] if kind.ordered else None)


def _rows(table: Any) -> Iterator[Any]:
    for child in table.iterchildren():
        if child.tag == qn("w:tr"):
            yield child
        elif child.tag in (qn("w:sdt"), qn("w:ins")):
            yield from child.iter(qn("w:tr"))


def _cell_text(cell: Any) -> str:
    if cell.find(f"{qn('w:tcPr')}/{qn('w:vMerge')}") is not None:
        merge = cell.find(f"{qn('w:tcPr')}/{qn('w:vMerge')}")
        if merge.get(qn("w:val")) != "restart":
            return ""  # the cell above goes on here
    return " ".join(filter(None, (_text(paragraph).strip() for paragraph in cell.iter(qn("w:p")))))


def _paragraphs_and_tables(parent: Any) -> Iterator[Any]:
    """The elements in order, with those in content controls and insertions."""
    for child in parent.iterchildren():
        if child.tag in (qn("w:p"), qn("w:tbl")):
            yield child
        elif child.tag in (qn("w:sdt"), qn("w:sdtContent"), qn("w:ins"), qn("w:smartTag"), qn("w:customXml")):
            yield from _paragraphs_and_tables(child)


def _text(paragraph: Any) -> str:
    parts: list[str] = []
    _gather(paragraph, parts)
    return "".join(parts)


def _gather(element: Any, parts: list[str]) -> None:
    for child in element.iterchildren():
        if child.tag == qn("w:t"):
            parts.append(child.text or "")
        elif child.tag == qn("w:tab"):
            parts.append("\t")
        elif child.tag in (qn("w:br"), qn("w:cr")):
            parts.append("\n" if child.get(qn("w:type")) in (None, "textWrapping") else "")
        elif child.tag == qn("w:noBreakHyphen"):
            parts.append("\u2011")
        elif child.tag == qn("w:p"):  # a text box, which stands beside the paragraph that holds it
            parts.append("\n")
            _gather(child, parts)
        elif child.tag not in _PASSED_OVER:
            _gather(child, parts)


def _notes(opened: Any) -> dict[tuple[str, str | None], str]:
    """The texts of footnotes and endnotes by the tag of their references, and their ids."""
    found = {}
    for relationship, reference in _NOTES.items():
        try:
            part = opened.part.part_related_by(relationship)
        except KeyError:
            continue
        for note in parse_xml(part.blob).iterchildren():
            said = (_text(paragraph).strip() for paragraph in note.iter(qn("w:p")))
            found[reference, note.get(qn("w:id"))] = "\n".join(filter(None, said))
    return found


class _Styles:
    """Finds the role of a paragraph by the styles and the numbering of its document."""

    def __init__(self, opened: Any) -> None:
        self._opened = opened
        self._kinds: dict[str | None, _Role] = {}

    def kind(self, element: Any) -> _Role:
        if element.tag == qn("w:tbl"):
            return _Role(Form.TABLE)
        properties = element.find(qn("w:pPr"))
        style_id = _value(properties, "w:pStyle")
        if style_id not in self._kinds:
            self._kinds[style_id] = self._kind_of_style(style_id)
        kind = self._kinds[style_id]
        if kind.heading is not None or kind.form is None:
            return kind
        level = _value(properties, "w:outlineLvl")
        if level is not None and level.isdecimal() and int(level) < 9:
            return _Role(heading=int(level) + 1)
        numbering = properties.find(qn("w:numPr")) if properties is not None else None
        if numbering is not None:
            return self._kind_of_list(numbering) or _Role()
        if kind.form is Form.PARAGRAPH and _is_monospaced(element):
            return _Role(Form.CODE)
        return kind

    def _kind_of_style(self, style_id: str | None) -> _Role:
        seen: set[str] = set()
        list_kind = None
        while style_id is not None and style_id not in seen and style_id in self._elements:
            seen.add(style_id)
            style = self._elements[style_id]
            name = (_value(style, "w:name") or "").lower()
            if name == "title":
                return _Role(heading=0)
            if found := _HEADING.fullmatch(name):
                return _Role(heading=int(found[1]))
            if re.match(r"toc \d|toc heading|table of figures", name):
                return _Role(None)
            if _CODE.search(name):
                return _Role(Form.CODE)
            properties = style.find(qn("w:pPr"))
            level = _value(properties, "w:outlineLvl")
            if level is not None and level.isdecimal() and int(level) < 9:
                return _Role(heading=int(level) + 1)
            numbering = properties.find(qn("w:numPr")) if properties is not None else None
            if list_kind is None and numbering is not None:
                list_kind = self._kind_of_list(numbering, style_id)
            style_id = _value(style, "w:basedOn")
        return list_kind or _Role()

    def _kind_of_list(self, numbering: Any, style_id: str = "") -> _Role | None:
        """The number of the paragraph's list; None for 0, which means no list."""
        number = _value(numbering, "w:numId") or ""
        depth = _value(numbering, "w:ilvl") or "0"
        if number == "0":
            return None
        formats = self._formats.get(number, {})
        ordered = formats.get(depth, "bullet") not in ("bullet", "none")
        name = (_value(self._elements[style_id], "w:name") or "") if style_id else ""
        level = int(depth) if depth.isdecimal() else 0
        if found := re.fullmatch(r"[Ll]ist (?:Bullet|Number) (\d)", name):
            level = int(found[1]) - 1
        return _Role(Form.LIST, depth=level, ordered=ordered, list_id=str(ordered) if style_id else number)

    @cached_property
    def _elements(self) -> dict[str, Any]:
        return {style.get(qn("w:styleId")): style for style in self._opened.styles.element.iterchildren(qn("w:style"))}

    @cached_property
    def _formats(self) -> dict[str, dict[str, str]]:
        """The form of a list's numbers, by the number of the list and the depth."""
        try:
            root = self._opened.part.numbering_part.element
        except (KeyError, NotImplementedError):
            return {}
        abstract = {
            element.get(qn("w:abstractNumId")): {
                level.get(qn("w:ilvl")): _value(level, "w:numFmt") or "bullet"
                for level in element.iterchildren(qn("w:lvl"))
            }
            for element in root.iterchildren(qn("w:abstractNum"))
        }
        return {
            element.get(qn("w:numId")): abstract.get(_value(element, "w:abstractNumId"), {})
            for element in root.iterchildren(qn("w:num"))
        }


def _value(parent: Any, name: str) -> str | None:
    child = parent.find(qn(name)) if parent is not None else None
    return None if child is None else str(child.get(qn("w:val")))


def _is_monospaced(paragraph: Any) -> bool:
    """Whether all runs with text have a font for code."""
    runs = [run for run in paragraph.iter(qn("w:r")) if any((text.text or "").strip() for text in run.iter(qn("w:t")))]
    fonts = [run.find(f"{qn('w:rPr')}/{qn('w:rFonts')}") for run in runs]
    return bool(fonts) and all(
        font is not None and _MONOSPACED.search((font.get(qn("w:ascii")) or "").lower()) for font in fonts
    )
