"""The loader for HTML: the content without the frame around it (`frame`). Nothing is run or fetched.

`write_blocks` reads the content of any HTML into an outline; EPUB uses it chapter by chapter.
"""

import re
import urllib.parse
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from lxml import etree

from bot.core.documents import Document, Form, Locator
from bot.core.errors import DocumentError
from bot.core.text import counted
from bot.knowledge.formats.decoding import decode
from bot.knowledge.formats.html.frame import HEADINGS, Frame
from bot.knowledge.formats.html.tables import HtmlTable
from bot.knowledge.formats.outline import LONGEST_HEADING, Item, Outline, list_text
from bot.knowledge.formats.tables import write_table

_DECLARED = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?([\w-]+)|<\?xml[^>]+encoding=["']([\w-]+)""", re.IGNORECASE)
_ADDRESS = re.compile(r"https?://|mailto:|tel:", re.IGNORECASE)
_ANY_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_SAFE = "%/:?#[]@!$&'*+,;=~"  # of an address, in Markdown
_SCHEME = re.compile(r"https?://[^\s/]+", re.IGNORECASE)

_BLOCKS = frozenset(
    """
    address article blockquote body center dd details div dl dt fieldset figcaption figure footer header h1 h2 h3 h4 h5 h6
    hgroup hr html li main ol p pre section summary table tbody td tfoot th thead tr ul caption legend
    """.split()
)
_LISTS = ("ul", "ol", "menu", "dir")
_IN_ITEMS = ("table", "pre", *HEADINGS)  # what a list that is only layout holds
_WHITE_SPACE = re.compile(r"[ \t\r\n\f\xa0\u200b\ufeff]+")
_BESIDE_BREAK = re.compile(r" ?\x0b ?")
_BREAKS = re.compile(r"\x0b(?:\s*\x0b)+")
BELOW_HEADINGS = 7  # the level of titles that are no headings: of panels, and of terms whose description is long
_LEAST_OF_A_NOTE = 3  # words of hidden text that are worth a warning


def load(path: str, content: bytes, url: str = "") -> Document:
    """Load a page. Its title is the first heading of level 1, else the title of the window.

    Links are resolved by `url`, or else by the address that the page declares.
    """
    text, warnings = decode(content, declared_encoding(content))
    root = parsed(text)
    outline = Outline(warnings=warnings)
    main = _main(root)
    declared_url = _canonical(root)
    frame = write_blocks(main, outline, with_lines=True, url=url or declared_url or "")
    outline.warnings += _hidden(frame)
    first = next((text for element in main.iter("h1") if (text := _heading_text(element, frame))), "")
    language = root.get("lang") or root.get("{http://www.w3.org/XML/1998/namespace}lang")
    return outline.document(path, first or _window_title(root), declared_url, language)


def declared_encoding(content: bytes) -> str | None:
    """Return the encoding that a page declares for itself."""
    found = _DECLARED.search(content[:4096])
    return next(filter(None, found.groups())).decode() if found else None


def parsed(text: str) -> etree._Element:
    """Parse HTML, also broken HTML, and return its root. Raises DocumentError if there is none."""
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_pis=True, remove_comments=True)
    try:
        root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except (etree.LxmlError, ValueError) as error:
        raise DocumentError("there is no HTML in it; check that the file is complete") from error
    if root is None or not isinstance(root.tag, str):
        raise DocumentError("there is no HTML in it; check that the file is complete")
    return root


def write_blocks(root: etree._Element, outline: Outline, *, with_lines: bool, url: str | None = None) -> Frame:
    """Write the headings and blocks below an element into the outline, with the lines of the source if `with_lines`.

    Links are made absolute by `url`, the address of the page, or stay relative if it is empty; without it, relative ones are
    left out. Returns the frame around the content, which was left out.
    """
    frame = Frame(root)
    _Writer(outline, _Inline(frame, url), with_lines).write(root)
    return frame


def _hidden(frame: Frame) -> Iterator[str]:
    """Yield a warning with a sample of the text that is in the page but was left out."""
    texts = [(element, " ".join("".join(element.itertext()).split())) for element in frame.hidden]
    notes = [(element, text) for element, text in texts if len(text.split()) >= _LEAST_OF_A_NOTE]
    if notes:
        element, text = notes[0]
        sample = f"{text[:60]}…" if len(text) > 60 else text
        others = f", and at {counted(len(notes) - 1, 'other place')}" if len(notes) > 1 else ""
        yield f"left out as hidden, or as a notice about cookies: “{sample}” (line {element.sourceline}){others}"


def _window_title(root: etree._Element) -> str:
    return next((" ".join("".join(element.itertext()).split()) for element in root.iter("title")), "")


def _canonical(root: etree._Element) -> str | None:
    """Return the canonical address that the page declares."""
    for link in root.iter("link"):
        address = str(link.get("href") or "")
        if (link.get("rel") or "").lower() == "canonical" and _SCHEME.match(address):
            return address
    return None


def _main(root: etree._Element) -> etree._Element:
    """Return what the page marks as its main content, or its only article if that has most of the text, or the body."""
    body = next(iter(root.iter("body")), root)
    mains = [element for element in root.iter(etree.Element) if element.tag == "main" or element.get("role") == "main"]
    if len(mains) == 1 and _length(mains[0]):
        return mains[0]
    articles = list(root.iter("article"))
    if len(articles) == 1 and 2 * _length(articles[0]) > _length(body):
        return articles[0]
    return body


def _length(element: etree._Element) -> int:
    """Count the letters of an element outside of scripts and navigation."""
    left_out = sum(len("".join(below.itertext())) for below in element.iter("script", "style", "nav", "footer"))
    return len("".join(element.itertext()).strip()) - left_out


def _heading_text(element: etree._Element, frame: Frame) -> str:
    text = _Inline(frame, links=False).text_of(element)
    return " ".join(_finished(text).removesuffix("¶").replace("`", "").split())


@dataclass(frozen=True, slots=True)
class _Inline:
    """Reads the text of elements with code in backticks, links as in Markdown, and explicit line breaks."""

    frame: Frame
    url: str | None = None
    links: bool = True

    def text_of(self, element: etree._Element, passed_over: tuple[str, ...] = ()) -> str:
        """Return the text of an element without those below it that have the tags `passed_over`."""
        parts: list[str] = [element.text or ""]
        for child in element:
            if isinstance(child.tag, str) and child.tag not in passed_over and not self.frame.leaves_out(child):
                parts.append(self.inline(child, passed_over))
            parts.append(child.tail or "")
        return _collapsed("".join(parts))

    def inline(self, element: etree._Element, passed_over: tuple[str, ...] = ()) -> str:
        tag = element.tag
        if tag == "br":
            return "\x0b"
        if tag == "img":
            return element.get("alt") or ""
        if tag == "math":
            return _formula(element)
        if tag == "pre":
            return " ".join(f"`{line.strip()}`" for line in _code(element).split("\n") if line.strip())
        text = self.text_of(element, passed_over)
        if tag in ("code", "kbd", "samp", "tt") and text.strip() and "`" not in text:
            return f"`{text.strip()}`"
        if tag == "a" and self.links:
            return self._link(element, text)
        return f" {text} " if tag in _BLOCKS else text

    def _link(self, element: etree._Element, text: str) -> str:
        address = (element.get("href") or "").strip()
        words = text.strip()
        if (
            not words
            or not address
            or address.startswith("#")
            or re.search(r"[\[\]\x0b|]", text)
            or any(below.tag in _BLOCKS for below in element.iter())
        ):
            return text
        if self.url:
            with suppress(ValueError):
                address = urllib.parse.urljoin(self.url, address)
        leads = _ADDRESS.match(address) or (self.url is not None and not _ANY_SCHEME.match(address))
        if not leads or words in (address, address.removeprefix("mailto:")):
            return text
        before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
        return f"{before}[{words}]({urllib.parse.quote(address, safe=_SAFE)}){after}"


def _formula(element: etree._Element) -> str:
    """Return a formula in the words of its author: as TeX, if the page has it."""
    tex = next((below.text for below in element.iter("annotation") if "tex" in (below.get("encoding") or "")), None)
    return tex or element.get("alttext") or "".join(element.itertext())


def _collapsed(text: str) -> str:
    """Return the text with white space folded, no-break spaces too. A vertical tab stands for an explicit line break."""
    text = _WHITE_SPACE.sub(" ", text)
    return _BESIDE_BREAK.sub("\x0b", text) if "\x0b" in text else text


def _finished(text: str) -> str:
    return "\n".join(filter(None, map(str.strip, text.split("\x0b"))))


@dataclass(slots=True)
class _Writer:
    """Walks through the content in order. Text between blocks becomes paragraphs of its own."""

    outline: Outline
    inline: _Inline
    with_lines: bool
    _loose: list[str] = field(default_factory=list)
    _loose_lines: list[int] = field(default_factory=list)
    _panels: int = 0  # that are open, one within the other

    def write(self, root: etree._Element) -> None:
        self._children(root)
        self._flush()

    def _children(self, element: etree._Element) -> None:
        self._add_loose(element.text, element)
        for child in element:
            if isinstance(child.tag, str) and not self.inline.frame.leaves_out(child):
                self._child(child)
            self._add_loose(child.tail, child)

    def _child(self, element: etree._Element) -> None:
        tag = element.tag
        if self.inline.frame.opens(element):
            self._title(element)
            return
        if tag not in _BLOCKS and not any(below.tag in _BLOCKS for below in element.iterdescendants()):
            self._add_loose(self.inline.inline(element), element)
            return
        self._flush()
        if tag in HEADINGS:
            self._heading(int(tag[1]), element)
        elif tag == "pre":
            self._block(Form.CODE, _code(element), element)
        elif tag in _LISTS:
            self._list(element)
        elif tag == "dl":
            self._definitions(element)
        elif tag == "table" and not (table := HtmlTable(element, self._cell_text)).is_layout:
            self._table(element, table)
        elif tag == "details" or self.inline.frame.opened(element):
            self._panel(element)
        elif label := self.inline.frame.label(element):
            self._panel(element, label)
        else:
            self._children(element)
            self._flush()

    def _heading(self, level: int, element: etree._Element) -> None:
        text = _heading_text(element, self.inline.frame)
        if len(text) > LONGEST_HEADING:
            self._block(Form.PARAGRAPH, text, element)
        elif text:
            self.outline.heading(level, text, self._locator(element))

    def _title(self, element: etree._Element) -> None:
        """Write the title of a panel or of a description as a heading below all real ones."""
        self._flush()
        self._heading(BELOW_HEADINGS + max(0, self._panels - 1), element)

    def _panel(self, element: etree._Element, label: str = "") -> None:
        """Write a panel that a page shows on demand, below its title."""
        self._panels += 1
        if label and not any(_heading_text(heading, self.inline.frame) == label for heading in element.iter(*HEADINGS)):
            self.outline.heading(BELOW_HEADINGS + self._panels - 1, label, self._locator(element))
        self._children(element)
        self._flush()
        self.outline.heading(BELOW_HEADINGS + self._panels - 1, "")
        self._panels -= 1

    def _list(self, element: etree._Element) -> None:
        """Write a list. A list that holds headings or tables is layout, so its content is written instead."""
        if any(below.tag in _IN_ITEMS for below in element.iterdescendants()):
            self._children(element)
            self._flush()
        else:
            self._block(Form.LIST, list_text(list(_items(element, self.inline))), element)

    def _definitions(self, element: etree._Element) -> None:
        """Write each term with its descriptions as one item; as a heading, if a description holds lists, tables or code."""
        if not any(below.tag in (*_IN_ITEMS, *_LISTS, "dl") for below in element.iterdescendants()):
            self._block(Form.LIST, list_text(list(_definitions(element, self.inline))), element)
            return
        self._panels += 1
        for child in _of_definitions(element):
            if child.tag == "dt":
                self._title(child)
            else:
                self._children(child)
                self._flush()
        self.outline.heading(BELOW_HEADINGS + self._panels - 1, "")
        self._panels -= 1

    def _table(self, element: etree._Element, table: HtmlTable) -> None:
        for caption in element.iterchildren("caption"):
            self._block(Form.PARAGRAPH, self._cell_text(caption), caption)
        if pairs := table.pairs():
            self._block(Form.LIST, list_text([Item(f"{name}: {value}") for name, value in pairs]), element)
            return
        write_table(table.grid(), self.outline, self._locator(element))

    def _cell_text(self, cell: etree._Element) -> str:
        return _finished(self.inline.text_of(cell))

    def _block(self, form: Form, text: str, element: etree._Element) -> None:
        self.outline.block(form, text, self._locator(element))

    def _add_loose(self, text: str | None, element: etree._Element) -> None:
        if text:
            self._loose.append(text)
            if text.strip():
                self._loose_lines += _lines(element)

    def _flush(self) -> None:
        """Write the text since the last block. An empty line in it divides paragraphs."""
        lines = (min(self._loose_lines), max(self._loose_lines)) if self.with_lines and self._loose_lines else None
        for text in _BREAKS.split(_collapsed("".join(self._loose))):
            self.outline.block(Form.PARAGRAPH, _finished(text), Locator(lines=lines))
        self._loose.clear()
        self._loose_lines.clear()

    def _locator(self, element: etree._Element) -> Locator:
        return Locator(lines=_lines(element)) if self.with_lines else Locator()


def _lines(element: etree._Element) -> tuple[int, int]:
    """Return the first and the last line of an element's text, by the ends of its start tags."""
    first = line = element.sourceline or 1
    line += (element.text or "").rstrip().count("\n")
    for below in element.iterdescendants():
        line = max(line, below.sourceline or 1) + (below.text or "").rstrip().count("\n")
        line += (below.tail or "").rstrip().count("\n")
    return first, line


def _code(element: etree._Element) -> str:
    for line_break in element.iter("br"):
        line_break.tail = "\n" + (line_break.tail or "")
    return "".join(element.itertext()).strip("\n")


def _items(element: etree._Element, inline: _Inline, depth: int = 0) -> Iterator[Item]:
    number = None
    if element.tag == "ol":
        start = element.get("start") or "1"
        number = int(start) if start.isdecimal() and len(start) < 9 else 1
    for item in element.iterchildren(etree.Element):
        if item.tag in _LISTS:
            yield from _items(item, inline, depth + 1)
        elif not inline.frame.leaves_out(item):
            inner = [below for below in item.iterdescendants(*_LISTS) if _nearest_list(below) is element]
            yield Item(_finished(inline.text_of(item, _LISTS)), depth, number)
            for below in inner:
                yield from _items(below, inline, depth + 1)
            number = None if number is None else number + 1


def _nearest_list(element: etree._Element) -> etree._Element | None:
    return next(element.iterancestors(*_LISTS), None)


def _of_definitions(element: etree._Element) -> Iterator[etree._Element]:
    """Yield the terms and descriptions of a definition list, also those in groups."""
    for child in element.iterchildren("dt", "dd", "div"):
        if child.tag == "div":
            yield from child.iterchildren("dt", "dd")
        else:
            yield child


def _definitions(element: etree._Element, inline: _Inline) -> Iterator[Item]:
    """Yield each term with its descriptions as one list item."""
    terms: list[str] = []
    descriptions: list[str] = []
    for child in (*_of_definitions(element), None):
        if descriptions and (child is None or child.tag == "dt"):
            yield Item(": ".join(filter(None, (", ".join(terms), "\n".join(descriptions)))))
            terms, descriptions = [], []
        if child is not None:
            (terms if child.tag == "dt" else descriptions).append(_finished(inline.text_of(child)))
    if terms:
        yield Item(", ".join(terms))
