"""The loader for HTML: the content without navigation, headers, footers and scripts. Nothing is run or fetched.

`write_blocks` reads the content of any HTML into an outline; EPUB uses it chapter by chapter.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lxml import etree, html

from bot.core.documents import Document, Form, Locator
from bot.core.errors import DocumentError
from bot.knowledge.formats.decoding import decode
from bot.knowledge.formats.outline import LONGEST_HEADING, Item, Outline, list_text, table_text

_DECLARED = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?([\w-]+)|<\?xml[^>]+encoding=["']([\w-]+)""", re.IGNORECASE)
_SCHEME = re.compile(r"https?://[^\s/]+", re.IGNORECASE)

_PASSED_OVER = frozenset(
    """
    script style template noscript svg math canvas nav aside form button select input textarea iframe object embed audio
    video map dialog head title link meta
    """.split()
)
_ROLES = frozenset("navigation banner contentinfo search complementary menu menubar toolbar alert dialog".split())
# What a page's own template calls that which stands around the content.
_AROUND = frozenset(
    """
    nav navbar navigation sidebar menu breadcrumb breadcrumbs footer site-footer page-footer site-header page-header
    cookie cookies cookie-banner headerlink anchor-link hash-link skip-link edit-link toc table-of-contents pagination
    related share social
    """.split()
)
_BLOCKS = frozenset(
    """
    address article blockquote body center dd details div dl dt fieldset figcaption figure footer header h1 h2 h3 h4 h5 h6
    hgroup hr html li main ol p pre section summary table tbody td tfoot th thead tr ul caption legend
    """.split()
)
_LISTS = ("ul", "ol", "menu", "dir")


def load(path: str, content: bytes) -> Document:
    """Load a page. Its title is the first heading of level 1, else the title of the window."""
    found = _DECLARED.search(content[:4096])
    declared = next(filter(None, found.groups())).decode() if found else None
    text, warnings = decode(content, declared)
    root = parsed(text)
    outline = Outline(warnings=warnings)
    main = _main(root)
    write_blocks(main, outline, with_lines=True)
    first = next((" ".join(text_of(element).replace("`", "").split()) for element in main.iter("h1")), "")
    language = root.get("lang") or root.get("{http://www.w3.org/XML/1998/namespace}lang")
    return outline.document(path, first or _window_title(root), _canonical(root), language)


def parsed(text: str) -> etree._Element:
    """Parse HTML, also broken HTML, and return its root. Raises DocumentError if there is none."""
    parser = html.HTMLParser(encoding="utf-8", no_network=True, remove_pis=True)
    try:
        root = html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except (etree.LxmlError, ValueError) as error:
        raise DocumentError("there is no HTML in it; check that the file is complete") from error
    if not isinstance(root.tag, str):
        raise DocumentError("there is no HTML in it; check that the file is complete")
    return root


def write_blocks(root: etree._Element, outline: Outline, *, with_lines: bool) -> None:
    """Write the headings and blocks below an element into the outline, with the lines of the source if `with_lines`."""
    _Writer(outline, with_lines).write(root)


def _window_title(root: etree._Element) -> str:
    return next((text_of(element) for element in root.iter("title")), "")


def _canonical(root: etree._Element) -> str | None:
    """The canonical address that the page declares."""
    for link in root.iter("link"):
        address = str(link.get("href") or "")
        if (link.get("rel") or "").lower() == "canonical" and _SCHEME.match(address):
            return address
    return None


def _main(root: etree._Element) -> etree._Element:
    """The element that the page marks as its main content, else the body."""
    mains = [element for element in root.iter(etree.Element) if element.tag == "main" or element.get("role") == "main"]
    for candidates in (mains, list(root.iter("article"))):
        if len(candidates) == 1 and any(text.strip() for text in candidates[0].itertext()):
            return candidates[0]
    return next(iter(root.iter("body")), root)


def _is_around(element: etree._Element) -> bool:
    """Whether an element isn't content: it is hidden, or part of the frame around the content."""
    tag = element.tag
    if not isinstance(tag, str) or tag in _PASSED_OVER or element.get("role") in _ROLES:
        return True
    if tag in ("header", "footer") and all(above.tag not in ("article", "main") for above in element.iterancestors()):
        # A page that puts its title into a header means it to be read.
        return next(element.iter("h1"), None) is None
    style = (element.get("style") or "").replace(" ", "").lower()
    if element.get("hidden") is not None or element.get("aria-hidden") == "true" or "display:none" in style:
        return True
    names = f"{element.get('class') or ''} {element.get('id') or ''}".lower().split()
    return tag not in ("body", "html", "main", "article") and not _AROUND.isdisjoint(names)


def text_of(element: etree._Element, stop: Callable[[etree._Element], bool] = _is_around) -> str:
    """The visible text of an element, with code in backticks and explicit line breaks."""
    parts: list[str] = [element.text or ""]
    for child in element:
        if isinstance(child.tag, str) and not stop(child):
            parts.append(_inline(child, stop))
        parts.append(child.tail or "")
    return _collapsed("".join(parts))


def _inline(element: etree._Element, stop: Callable[[etree._Element], bool]) -> str:
    if element.tag == "br":
        return "\x0b"
    if element.tag == "img":
        return element.get("alt") or ""
    text = text_of(element, stop)
    if element.tag in ("code", "kbd", "samp", "tt") and text.strip() and "`" not in text:
        return f"`{text.strip()}`"
    return f" {text} " if element.tag in _BLOCKS else text


def _collapsed(text: str) -> str:
    """The text with white space folded as in a browser. A vertical tab stands for an explicit line break."""
    return re.sub(r" ?\x0b ?", "\x0b", re.sub(r"[ \t\r\n\f\u200b\ufeff]+", " ", text))


def _finished(text: str) -> str:
    return "\n".join(filter(None, (line.strip() for line in text.split("\x0b"))))


@dataclass(slots=True)
class _Writer:
    """Walks through the content in order. Text between blocks becomes paragraphs of its own."""

    outline: Outline
    with_lines: bool
    _loose: list[str] = field(default_factory=list)
    _loose_lines: list[int] = field(default_factory=list)

    def write(self, root: etree._Element) -> None:
        self._children(root)
        self._flush()

    def _children(self, element: etree._Element) -> None:
        self._add_loose(element.text, element)
        for child in element:
            if isinstance(child.tag, str) and not _is_around(child):
                self._child(child)
            self._add_loose(child.tail, child)

    def _child(self, element: etree._Element) -> None:
        tag = element.tag
        if tag not in _BLOCKS and not any(below.tag in _BLOCKS for below in element.iterdescendants()):
            self._add_loose(_inline(element, _is_around), element)
            return
        self._flush()
        if re.fullmatch("h[1-6]", tag):
            self._heading(int(tag[1]), element)
        elif tag == "pre":
            self._block(Form.CODE, _code(element), element)
        elif tag in _LISTS:
            self._list(element)
        elif tag == "dl":
            self._block(Form.LIST, list_text(list(_definitions(element))), element)
        elif tag == "table" and not _is_layout(element):
            self._table(element)
        else:
            self._children(element)
            self._flush()

    def _heading(self, level: int, element: etree._Element) -> None:
        text = _finished(text_of(element)).removesuffix("¶").replace("`", "").strip()
        if len(text) > LONGEST_HEADING:
            self._block(Form.PARAGRAPH, text, element)
        elif text:
            self.outline.heading(level, text, self._locator(element))

    def _list(self, element: etree._Element) -> None:
        """Write a list. A list that holds headings or tables is layout, so its content is written instead."""
        if any(
            below.tag in ("table", "h1", "h2", "h3", "h4", "h5", "h6", "pre") for below in element.iterdescendants()
        ):
            self._children(element)
            self._flush()
        else:
            self._block(Form.LIST, list_text(list(_items(element))), element)

    def _table(self, element: etree._Element) -> None:
        for caption in element.iterchildren("caption"):
            self._block(Form.PARAGRAPH, _finished(text_of(caption)), caption)
        rows = [[_finished(text_of(cell)) for cell in row.iterchildren("td", "th")] for row in element.iter("tr")]
        self._block(Form.TABLE, table_text(rows), element)

    def _block(self, form: Form, text: str, element: etree._Element) -> None:
        self.outline.block(form, text, self._locator(element))

    def _add_loose(self, text: str | None, element: etree._Element) -> None:
        if text:
            self._loose.append(text)
            if text.strip():
                self._loose_lines += _lines(element)

    def _flush(self) -> None:
        text = _finished(_collapsed("".join(self._loose)))
        lines = (min(self._loose_lines), max(self._loose_lines)) if self.with_lines and self._loose_lines else None
        self.outline.block(Form.PARAGRAPH, text, Locator(lines=lines))
        self._loose.clear()
        self._loose_lines.clear()

    def _locator(self, element: etree._Element) -> Locator:
        return Locator(lines=_lines(element)) if self.with_lines else Locator()


def _lines(element: etree._Element) -> tuple[int, int]:
    """The first and the last line of an element's text, by the ends of its start tags."""
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


def _items(element: etree._Element, depth: int = 0) -> Iterator[Item]:
    number = None
    if element.tag == "ol":
        start = element.get("start") or "1"
        number = int(start) if start.isdecimal() and len(start) < 9 else 1
    for item in element.iterchildren(etree.Element):
        if item.tag in _LISTS:
            yield from _items(item, depth + 1)
        elif not _is_around(item):
            inner = [below for below in item.iterdescendants(*_LISTS) if _nearest_list(below) is element]
            yield Item(_finished(text_of(item, lambda child: child.tag in _LISTS or _is_around(child))), depth, number)
            for below in inner:
                yield from _items(below, depth + 1)
            number = None if number is None else number + 1


def _nearest_list(element: etree._Element) -> etree._Element | None:
    return next(element.iterancestors(*_LISTS), None)


def _definitions(element: etree._Element) -> Iterator[Item]:
    """Each term with its descriptions as one list item."""
    terms: list[str] = []
    for child in element.iter("dt", "dd"):
        text = _finished(text_of(child))
        if child.tag == "dt":
            terms.append(text)
        else:
            yield Item(f"{', '.join(terms)}: {text}" if terms else text)
            terms = []
    if terms:
        yield Item(", ".join(terms))


def _is_layout(table: etree._Element) -> bool:
    """Whether a table is layout: it has at most one cell a row, or holds blocks."""
    if any(below.tag in ("table", "h1", "h2", "h3", "pre") for below in table.iterdescendants()):
        return True
    return all(len(list(row.iterchildren("td", "th"))) < 2 for row in table.iter("tr"))
