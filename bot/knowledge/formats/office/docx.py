"""The loader for DOCX, by python-docx. The style of a paragraph decides its form.

Page headers and footers, deleted and hidden text and tables of contents are left out. A footnote or endnote is a paragraph of
its own below the paragraph that refers to it, and so is the data of a chart. Numbers of lists and headings are counted.
"""

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import docx
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import parse_xml
from docx.oxml.ns import qn

from bot.core.documents import Document, Form
from bot.core.errors import DocumentError
from bot.knowledge.formats.archive import open_archive
from bot.knowledge.formats.office.docx_text import ParagraphReader, is_on
from bot.knowledge.formats.office.drawings import write_drawings
from bot.knowledge.formats.office.numbering import Numbering, numbering_of, value_of
from bot.knowledge.formats.outline import LONGEST_HEADING, Item, Outline, left_out, list_text, title_from_path
from bot.knowledge.formats.tables import Grid, Merge, merged, write_table

_DAMAGED = "this is no DOCX file, or it is damaged; open it in a word processor and save it again as DOCX"
_HEADING = re.compile(r"heading (\d)")
_CODE = re.compile(r"code|source|preformatted|listing|verbatim|console|terminal")
_MONOSPACED = re.compile(r"courier|consolas|mono|menlo|\bcode\b")

# The type of the part that holds notes -> the tag of a reference to one.
_NOTES = {
    RELATIONSHIP_TYPE.FOOTNOTES: qn("w:footnoteReference"),
    RELATIONSHIP_TYPE.ENDNOTES: qn("w:endnoteReference"),
}


class _StyleRole(NamedTuple):
    """The role of a paragraph: a block of a form, or a heading of a level (0: the title), or neither, to be left out.

    `number` is the list that numbers it, with the level in it; `list_id` tells lists apart.
    """

    form: Form | None = Form.PARAGRAPH
    heading: int | None = None
    depth: int = 0
    list_id: str = ""
    number: tuple[str, int] | None = None


def load(path: str, content: bytes) -> Document:
    with open_archive(content, "DOCX") as archive:
        if not any(name.startswith("word/") for name in archive.namelist()):
            raise DocumentError(_DAMAGED)
    try:
        opened = docx.Document(io.BytesIO(content))
        body = opened.element.body
        styles = _Styles(opened)
        reader = ParagraphReader(_addresses(opened.part), styles.hidden)
        notes = _notes(opened, reader)
        title = opened.core_properties.title
    except DocumentError:
        raise
    except Exception as error:  # over a damaged archive the library raises nearly anything
        raise DocumentError(_DAMAGED) from error
    writing = _Writing(styles, reader, notes, opened.part.related_parts)
    writing.write(_paragraphs_and_tables(body))
    if reader.hidden:
        writing.outline.warnings.append(left_out("hidden text", list(reader.hidden)))
    headings = writing.outline.headings
    if writing.first_is_numbered:  # it is a chapter, and not the title
        headings = [title or title_from_path(path)]
    first = next(filter(None, writing.titles + headings), None)
    return writing.outline.document(path, first or title, language=opened.core_properties.language)


def _addresses(part: Any) -> dict[str, str]:
    return {
        name: relationship.target_ref
        for name, relationship in part.rels.items()
        if relationship.is_external and relationship.reltype == RELATIONSHIP_TYPE.HYPERLINK
    }


@dataclass(slots=True)
class _Writing:
    """Writes a document's paragraphs and tables into its outline. `notes` has texts by the tag of their references and id."""

    styles: "_Styles"
    reader: ParagraphReader
    notes: Mapping[tuple[str, str | None], str]
    parts: Mapping[str, Any]
    outline: Outline = field(default_factory=lambda: Outline(numbered=True))
    titles: list[str] = field(default_factory=list)
    first_is_numbered: bool = False

    def write(self, elements: Iterator[Any]) -> None:
        """Write the elements as blocks: consecutive list items are one, and so are consecutive lines of code."""
        for form, paragraphs in self._runs([(element, self.styles.kind(element)) for element in elements]):
            if form is Form.LIST:
                self.outline.block(Form.LIST, list_text(list(self._items(paragraphs))))
                self._write_attached(element for element, _ in paragraphs)
            elif form is Form.CODE:
                code = "\n".join(self.reader.words(element) for element, _ in paragraphs)
                self.outline.block(Form.CODE, code.strip("\n"))
                self._write_attached(element for element, _ in paragraphs)
            elif form is Form.TABLE:
                self._write_table(paragraphs[0][0])
            else:
                for element, kind in paragraphs:
                    self._write_paragraph(element, kind)

    def _write_paragraph(self, element: Any, kind: _StyleRole) -> None:
        if kind.form is None:
            return
        text = self.reader.text(element)
        if kind.heading is not None and len(words := self.reader.words(element)) <= LONGEST_HEADING and words.strip():
            self._write_heading(words.strip(), kind)
        else:
            self.outline.block(Form.PARAGRAPH, self._labelled(text.strip(), kind))
        self._write_attached([element])

    def _write_heading(self, text: str, kind: _StyleRole) -> None:
        if kind.heading == 0:
            self.titles.append(text)
            return
        labelled = self._labelled(text, kind)
        if not self.outline.headings:
            self.first_is_numbered = labelled != text
        self.outline.heading(kind.heading or 1, labelled)

    def _labelled(self, text: str, kind: _StyleRole) -> str:
        """Return a text with the number that Word shows before it. An empty text isn't counted."""
        label = self.styles.numbering.label(*kind.number).strip() if text and kind.number else ""
        return f"{label} {text}" if label else text

    def _items(self, paragraphs: list[tuple[Any, _StyleRole]]) -> Iterator[Item]:
        """List items with their numbers. Other labels, such as `b)` or `2.1`, stand before the text."""
        shallowest = min(kind.depth for _, kind in paragraphs)
        for element, kind in paragraphs:
            text = self.reader.text(element).strip()
            label = self.styles.numbering.label(*kind.number).strip() if text and kind.number else ""
            if plain := re.fullmatch(r"(\d{1,9})[.)]?", label):
                yield Item(text, kind.depth - shallowest, int(plain[1]))
            else:
                yield Item(f"{label} {text}".strip(), kind.depth - shallowest)

    def _write_table(self, table: Any) -> None:
        rows = [list(row.iterchildren(qn("w:tc"))) for row in _rows(table)]
        if all(len(row) < 2 for row in rows):  # a frame around text
            for row in rows:
                for cell in row:
                    self.write(_paragraphs_and_tables(cell))
        else:
            write_table(self._grid(table), self.outline)
            self._write_attached([table])

    def _grid(self, table: Any) -> Grid:
        texts: list[list[str]] = []
        merges: list[Merge] = []
        open_merges: dict[int, Merge] = {}  # by their column
        for number, row in enumerate(_rows(table)):
            texts.append([""] * _count(row.find(f"{qn('w:trPr')}/{qn('w:gridBefore')}"), least=0))
            for cell in row.iterchildren(qn("w:tc")):
                column = len(texts[number])
                width = _count(cell.find(f"{qn('w:tcPr')}/{qn('w:gridSpan')}"))
                merge = cell.find(f"{qn('w:tcPr')}/{qn('w:vMerge')}")
                goes_on = merge is not None and merge.get(qn("w:val")) != "restart"
                if goes_on and column in open_merges:
                    open_merges[column] = replace(open_merges[column], bottom=number)
                    texts[number] += [""] * width
                    continue
                texts[number] += [self._cell_text(cell), *([""] * (width - 1))]
                if column in open_merges:
                    merges.append(open_merges.pop(column))
                open_merges[column] = Merge(number, column, number, column + width - 1)
        merges += open_merges.values()
        return merged(texts, (merge for merge in merges if merge.right > merge.left or merge.bottom > merge.top))

    def _cell_text(self, cell: Any) -> str:
        paragraphs = (
            (self.reader.text(element).strip(), self.styles.kind(element)) for element in cell.iter(qn("w:p"))
        )
        return " ".join(filter(None, (self._labelled(text, kind) for text, kind in paragraphs)))

    def _write_attached(self, elements: Iterable[Any]) -> None:
        """Write the notes that elements refer to, and the charts and diagrams that they show."""
        for element in elements:
            for reference in element.iter(*_NOTES.values()):
                self.outline.block(Form.PARAGRAPH, self.notes.get((reference.tag, reference.get(qn("w:id"))), ""))
            write_drawings(element, self.parts, self.outline)

    def _runs(
        self, described: list[tuple[Any, _StyleRole]]
    ) -> Iterator[tuple[Form | None, list[tuple[Any, _StyleRole]]]]:
        """Yield each block's paragraphs, with its form. Empty lines within code belong to it; a new list is a new block."""
        run: list[tuple[Any, _StyleRole]] = []
        for position, (element, kind) in enumerate(described):
            if kind.form is Form.PARAGRAPH and run and run[-1][1].form is Form.CODE and not self._has_text(element):
                following = described[position + 1 : position + 2]
                if following and following[0][1].form is Form.CODE:
                    kind = _StyleRole(Form.CODE)
            if run and not _goes_on(run, kind):
                yield run[0][1].form, run
                run = []
            run.append((element, kind))
        if run:
            yield run[0][1].form, run

    def _has_text(self, element: Any) -> bool:
        return bool(self.reader.words(element).strip())


def _goes_on(run: list[tuple[Any, _StyleRole]], kind: _StyleRole) -> bool:
    first = run[0][1]
    if kind.form is Form.LIST and first.form is Form.LIST:
        return kind.depth > first.depth or kind.list_id == first.list_id
    return kind.form is Form.CODE and first.form is Form.CODE


def _rows(table: Any) -> Iterator[Any]:
    for child in table.iterchildren():
        if child.tag == qn("w:tr"):
            yield child
        elif child.tag in (qn("w:sdt"), qn("w:ins")):
            yield from child.iter(qn("w:tr"))


def _count(element: Any, least: int = 1) -> int:
    """Return the number that an element holds, within the columns that Word has."""
    text = "" if element is None else str(element.get(qn("w:val")))
    return min(max(int(text), least), 63) if text.isdecimal() and len(text) < 9 else least


def _paragraphs_and_tables(parent: Any) -> Iterator[Any]:
    """Yield the elements in order, with those in content controls and insertions."""
    for child in parent.iterchildren():
        if child.tag in (qn("w:p"), qn("w:tbl")):
            yield child
        elif child.tag in (qn("w:sdt"), qn("w:sdtContent"), qn("w:ins"), qn("w:smartTag"), qn("w:customXml")):
            yield from _paragraphs_and_tables(child)


def _notes(opened: Any, reader: ParagraphReader) -> dict[tuple[str, str | None], str]:
    """Return the texts of footnotes and endnotes by the tag of their references, and their ids."""
    found = {}
    for relationship, reference in _NOTES.items():
        try:
            part = opened.part.part_related_by(relationship)
        except KeyError:
            continue
        for note in parse_xml(part.blob).iterchildren():
            lines = (reader.text(paragraph).strip() for paragraph in note.iter(qn("w:p")))
            found[reference, note.get(qn("w:id"))] = "\n".join(filter(None, lines))
    return found


class _Styles:
    """Finds the role of a paragraph by the styles and the numbering of its document."""

    def __init__(self, opened: Any) -> None:
        self._opened = opened
        self._kinds: dict[str | None, _StyleRole] = {}

    def kind(self, element: Any) -> _StyleRole:
        if element.tag == qn("w:tbl"):
            return _StyleRole(Form.TABLE)
        properties = element.find(qn("w:pPr"))
        style_id = value_of(properties, "w:pStyle")
        if style_id not in self._kinds:
            self._kinds[style_id] = self._kind_of_style(style_id)
        kind = self._kinds[style_id]
        numbering = properties.find(qn("w:numPr")) if properties is not None else None
        if kind.form is None:
            return kind
        level = value_of(properties, "w:outlineLvl")
        if kind.heading is None and level is not None and level.isdecimal() and int(level) < 9:
            kind = _StyleRole(heading=int(level) + 1, number=kind.number)
        if kind.heading is not None:
            return kind if numbering is None else kind._replace(number=_number(numbering, kind.number))
        if numbering is not None:
            return self._kind_of_list(_number(numbering, kind.number)) or _StyleRole()
        if kind.form is Form.PARAGRAPH and _is_monospaced(element):
            return _StyleRole(Form.CODE)
        return kind

    def _kind_of_style(self, style_id: str | None) -> _StyleRole:
        number: tuple[str, int] | None = None
        list_kind = None
        for style in self._ancestry(style_id):
            name = (value_of(style, "w:name") or "").lower()
            properties = style.find(qn("w:pPr"))
            numbering = properties.find(qn("w:numPr")) if properties is not None else None
            if list_kind is None and numbering is not None:
                number = self._number_of_style(numbering, str(style_id))
                list_kind = self._kind_of_list(number, style_id)
            if name == "title":
                return _StyleRole(heading=0)
            if found := _HEADING.fullmatch(name):
                return _StyleRole(heading=int(found[1]), number=number)
            if re.match(r"toc \d|toc heading|table of figures", name):
                return _StyleRole(None)
            if _CODE.search(name):
                return _StyleRole(Form.CODE)
            level = value_of(properties, "w:outlineLvl")
            if level is not None and level.isdecimal() and int(level) < 9:
                return _StyleRole(heading=int(level) + 1, number=number)
        return list_kind or _StyleRole()

    def _ancestry(self, style_id: str | None) -> Iterator[Any]:
        """Yield a style and the styles on which it is based."""
        seen: set[str] = set()
        while style_id is not None and style_id not in seen and style_id in self._elements:
            seen.add(style_id)
            yield self._elements[style_id]
            style_id = value_of(self._elements[style_id], "w:basedOn")

    def _number_of_style(self, numbering: Any, style_id: str) -> tuple[str, int] | None:
        number = _number(numbering, None)
        if number is not None and numbering.find(qn("w:ilvl")) is None:
            return number[0], self.numbering.depth_of_style(number[0], style_id)
        return number

    def _kind_of_list(self, number: tuple[str, int] | None, style_id: str | None = None) -> _StyleRole | None:
        """Return the role of a paragraph in a list; None outside of lists."""
        if number is None:
            return None
        list_id, depth = number
        level = self.numbering.level(list_id, depth)
        name = (value_of(self._elements[style_id], "w:name") or "") if style_id else ""
        if found := re.fullmatch(r"[Ll]ist (?:Bullet|Number) (\d)", name):
            depth = int(found[1]) - 1
        ordered = level is not None and level.is_ordered
        return _StyleRole(Form.LIST, depth=depth, list_id=str(ordered) if style_id else list_id, number=number)

    @cached_property
    def hidden(self) -> frozenset[str]:
        """The styles whose text is hidden."""
        return frozenset(style_id for style_id in self._elements if self._hides(style_id))

    def _hides(self, style_id: str) -> bool:
        switches = (style.find(f"{qn('w:rPr')}/{qn('w:vanish')}") for style in self._ancestry(style_id))
        return is_on(next((switch for switch in switches if switch is not None), None))

    @cached_property
    def _elements(self) -> dict[str, Any]:
        return {style.get(qn("w:styleId")): style for style in self._opened.styles.element.iterchildren(qn("w:style"))}

    @cached_property
    def numbering(self) -> Numbering:
        try:
            return numbering_of(self._opened.part.numbering_part.element)
        except (KeyError, NotImplementedError):
            return Numbering()


def _number(numbering: Any, inherited: tuple[str, int] | None) -> tuple[str, int] | None:
    """Return the list and level that numbering properties name, or else those inherited; None for list 0, which is none."""
    list_id = value_of(numbering, "w:numId") or (inherited[0] if inherited else "0")
    depth = value_of(numbering, "w:ilvl") or ""
    return None if list_id == "0" else (list_id, int(depth) if depth.isdecimal() and len(depth) < 3 else 0)


def _is_monospaced(paragraph: Any) -> bool:
    """Return whether all runs with text have a font for code."""
    runs = [run for run in paragraph.iter(qn("w:r")) if any((text.text or "").strip() for text in run.iter(qn("w:t")))]
    fonts = [run.find(f"{qn('w:rPr')}/{qn('w:rFonts')}") for run in runs]
    return bool(fonts) and all(
        font is not None and _MONOSPACED.search((font.get(qn("w:ascii")) or "").lower()) for font in fonts
    )
