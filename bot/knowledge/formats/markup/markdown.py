"""The loader for Markdown (CommonMark with tables, footnotes and front matter), also of Obsidian and MDX.

Blocks keep the text and the lines of the file, but HTML is read as the HTML loader reads it.
"""

import re
from collections.abc import Sequence
from typing import Any

from lxml import etree
from lxml.html import defs
from markdown_it import MarkdownIt
from markdown_it.common.utils import normalizeReference
from markdown_it.token import Token

from bot.core.documents import Document, Form, Locator
from bot.core.errors import DocumentError
from bot.core.text import HTML_COMMENT
from bot.knowledge.formats.decoding import decode
from bot.knowledge.formats.html.loader import BELOW_HEADINGS, parsed, write_blocks
from bot.knowledge.formats.markup.directives import without_directives
from bot.knowledge.formats.markup.footnotes import Footnotes, footnotes_apart
from bot.knowledge.formats.markup.front_matter import front_matter
from bot.knowledge.formats.outline import LONGEST_HEADING, Outline

# The parser of blocks. Inline markup is parsed in headings only, which saves time.
_MARKDOWN = MarkdownIt("commonmark").enable("table").disable("inline")
_INLINE = MarkdownIt("commonmark")
_FORMS = {
    "paragraph_open": Form.PARAGRAPH,
    "blockquote_open": Form.PARAGRAPH,
    "html_block": Form.PARAGRAPH,
    "bullet_list_open": Form.LIST,
    "ordered_list_open": Form.LIST,
    "fence": Form.CODE,
    "code_block": Form.CODE,
    "table_open": Form.TABLE,
    "heading_open": Form.PARAGRAPH,  # one that is too long for a heading
}
_DETAILS, _DETAILS_END = (re.compile(rf"<{tag}\b", re.IGNORECASE) for tag in ("details", "/details"))
_FIRST_TAG = re.compile(r"\s*</?([A-Za-z][\w-]*)")
# Code, which stays, or [words][name], [name][] and [name], which a definition elsewhere makes links or images.
_REFERENCE = re.compile(
    r"(?P<code>(?<!`)(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))|(?<![\\\]])(?P<image>!?)\[(?P<words>[^\[\]]+)\](?:\[(?P<name>[^\[\]]*)\])?(?![(:])",
    re.DOTALL,
)


def load(path: str, content: bytes) -> Document:
    text, warnings = decode(content)
    known, source, remarks = front_matter(text)
    source, notes = footnotes_apart(without_directives(source))
    outline = Outline(warnings=[*warnings, *remarks])
    _Writer(source, outline, notes).write()
    return outline.document(path, known.get("title"), known.get("url"), known.get("language"))


class _Writer:
    """Writes the headings and blocks of a source into the outline, with the notes that they refer to below them."""

    def __init__(self, source: str, outline: Outline, notes: Footnotes) -> None:
        self._source = source
        self._lines = source.split("\n")
        self._outline = outline
        self._notes = notes
        self._parsed: dict[str, Any] = {}  # with the definitions of links

    def write(self) -> None:
        tokens = _MARKDOWN.parse(self._source, self._parsed)
        passed = 0  # the line up to which everything is written
        for position, token in enumerate(tokens):
            if token.level != 0 or token.map is None or token.map[0] < passed:
                continue
            # A line of dashes below it makes a heading even of a long paragraph.
            if token.type == "heading_open" and len(markdown := tokens[position + 1].content) <= LONGEST_HEADING:
                first = token.map[0] + 1
                locator = Locator(lines=(first, first + markdown.count("\n")))
                words = _plain_heading(self._notes.without_references(markdown), self._parsed)
                self._outline.heading(int(token.tag[1:]), words, locator, self._notes.without_references(markdown))
                self._write_notes(markdown)
            elif token.type == "html_block":
                passed = _end_of_html(tokens[position:])
                self._write_html(token.map[0], passed)
            elif form := _FORMS.get(token.type):
                self._write_block(form, *_without_blank_ends(self._lines, *token.map))

    def _write_block(self, form: Form, first: int, last: int) -> None:
        text = "\n".join(self._lines[first:last])
        shown = text if form is Form.CODE else self._with_addresses(self._notes.without_references(text))
        self._outline.block(form, shown, Locator(lines=(first + 1, last)))
        if form is not Form.CODE:
            self._write_notes(text)

    def _write_notes(self, text: str) -> None:
        for note in self._notes.referred_to(text):
            shown = self._with_addresses(self._notes.without_references(note.text))
            self._outline.block(Form.PARAGRAPH, shown, Locator(lines=note.lines))
            self._write_notes(note.text)

    def _with_addresses(self, text: str) -> str:
        """Return the text with the addresses of links that are defined elsewhere in the file."""
        references = self._parsed.get("references")
        if not references:
            return text

        def linked(found: re.Match[str]) -> str:
            target = None if found["code"] else references.get(normalizeReference(found["name"] or found["words"]))
            return f"{found['image']}[{found['words']}]({target['href']})" if target else found[0]

        return _REFERENCE.sub(linked, text)

    def _write_html(self, first: int, last: int) -> None:
        """Write HTML as the HTML loader reads it. Unknown tags stay, because they may be placeholders such as <name>."""
        first, last = _without_blank_ends(self._lines, first, last)
        text = HTML_COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), "\n".join(self._lines[first:last]))
        tag = _FIRST_TAG.match(text)
        if tag is None or tag[1].lower() not in defs.tags:
            if text.strip():
                self._write_block(Form.PARAGRAPH, first, last)
            return
        left_open = len(_DETAILS.findall(text)) - len(_DETAILS_END.findall(text))
        if left_open < 0:
            self._outline.heading(BELOW_HEADINGS, "")
        try:
            root = parsed(text)
        except DocumentError:  # nothing but the end of a tag
            return
        for element in root.iter(etree.Element):
            element.sourceline = (element.sourceline or 1) + first
            if element.tag == "details" and left_open > 0:
                element.tag = "div"  # its summary is the title of the Markdown that follows, up to the end of the tag
        write_blocks(next(iter(root.iter("body")), root), self._outline, with_lines=True)
        self._write_notes(text)


def _end_of_html(tokens: Sequence[Token]) -> int:
    """Return the line after HTML that begins with the first token. A table goes on over the empty lines in it."""
    unclosed, end = 0, 0
    for token in tokens:
        if token.type != "html_block" or token.map is None or (end and unclosed <= 0):
            break
        written = token.content.lower()
        unclosed += written.count("<table") - written.count("</table")
        end = token.map[1]
    return end


def _without_blank_ends(lines: Sequence[str], first: int, last: int) -> tuple[int, int]:
    while last > first and not lines[last - 1].strip():
        last -= 1
    while first < last and not lines[first].strip():
        first += 1
    return first, last


def _plain_heading(markdown: str, references: dict[str, Any]) -> str:
    """Return the text of a heading without its markup; for an image, its description."""
    [inline] = _INLINE.parseInline(markdown, references)
    shown = ("text", "code_inline", "image", "softbreak", "hardbreak")
    kept = (child.content for child in inline.children or () if child.type in shown)
    return " ".join("".join(part or " " for part in kept).split())
