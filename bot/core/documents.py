"""Documents, blocks and passages: the data that loaders make, storage keeps and the engine quotes."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bot.core.markup import Markup
from bot.core.text import Span, line_spans, list_items, sentences


class Form(StrEnum):
    """The form of a block, which decides how it may be split and how it is quoted."""

    PARAGRAPH = "paragraph"
    LIST = "list"
    CODE = "code"
    TABLE = "table"
    PAIR = "pair"  # a stored question with its answer


@dataclass(frozen=True, slots=True)
class Locator:
    """A place in a document. Only the fields that the format has are set; all count from 1."""

    lines: tuple[int, int] | None = None  # first and last line, both included
    page: int | None = None  # or slide of a presentation
    row: int | None = None
    paragraph: int | None = None  # number below its heading; a list or a table counts as one

    def __str__(self) -> str:
        """Return `lines 12-14`, `page 3`, `row 7`, `paragraph 2`; empty if the format has no places."""
        if self.lines is not None:
            first, last = self.lines
            return f"line {first}" if first == last else f"lines {first}-{last}"
        numbers = {"page": self.page, "row": self.row, "paragraph": self.paragraph}
        return next((f"{name} {number}" for name, number in numbers.items() if number is not None), "")


@dataclass(frozen=True, slots=True)
class Block:
    """The smallest unit that keeps its form. `text` is in the document word for word.

    `context` is the text that a part of a table or of a split block needs to be understood (a table's header rows): it is
    searched and shown with the part, but not quoted. In a stored pair, `context` is the question and `text` the answer.

    `markup` is that of the words. Lists and tables are written as Markdown in any case.
    """

    form: Form
    text: str
    heading: tuple[str, ...] = ()
    locator: Locator = Locator()
    context: str = ""
    part: tuple[int, int] = (0, 1)  # (number from 0, count) of the parts of a split block
    markup: Markup = Markup.MARKDOWN

    @property
    def header(self) -> str:
        """The header rows of a table, or of the table that this block is a part of."""
        return self.context or "\n".join(self.text.split("\n")[:2])

    def pieces(self) -> list[Span]:
        """Return the smallest whole pieces of the text: sentences, list items, table rows, lines of code."""
        if self.form is Form.LIST:
            return list_items(self.text)
        if self.form in (Form.TABLE, Form.CODE):
            return line_spans(self.text)
        return sentences(self.text)

    def located(self, start: int, end: int) -> Locator:
        """Return the place of a part of the text: lines or a row of its own, if the text keeps the lines of the file."""
        return next(self.locators([(start, end)]))

    def locators(self, pieces: Iterable[tuple[int, int]]) -> Iterator[Locator]:
        """Yield the place of each piece (start, end) of the text, given in order."""
        locator = self.locator
        height = self.text.rstrip().count("\n")
        before = reached = 0
        for start, end in pieces:
            before += self.text.count("\n", reached, start)
            reached = start
            if locator.lines is not None and locator.lines[1] - locator.lines[0] == height:
                first = locator.lines[0] + before
                yield replace(locator, lines=(first, first + self.text.count("\n", start, end)))
            elif locator.row is not None and self.form is Form.TABLE:
                # The line between the header and the first row is no row.
                yield replace(locator, row=locator.row + before - (not self.context and before > 0))
            else:
                yield locator


@dataclass(frozen=True, slots=True)
class Document:
    """One file. `path` is relative to the knowledge folder, with forward slashes, or `NAME:` and its path in that source.

    `url` is where it is published, which `address_at` reads; empty if it is known to be published nowhere.
    """

    path: str
    title: str
    blocks: tuple[Block, ...]
    url: str | None = None
    language: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Links:
    """The links of a page, unchanged. Relative ones count from `base`, or from the page's own address if that is empty.

    `canonical` is the address that the page declares for itself, and `sitemaps` are further sitemaps, from a sitemap. `index`
    and `follow` are the page's permissions for robots.
    """

    pages: tuple[str, ...] = ()
    sitemaps: tuple[str, ...] = ()
    base: str = ""
    canonical: str = ""
    index: bool = True
    follow: bool = True


@dataclass(frozen=True, slots=True)
class Passage:
    """Consecutive blocks under one heading path that fit the encoder's window, the unit of embedding and search.

    `body` is the blocks' text without markup, for the keyword index, which holds title and heading separately.
    """

    blocks: tuple[Block, ...]
    heading: tuple[str, ...]
    body: str


_NAMES_LINES = re.compile(r"[?&#][^?&#]*\{(?:first|last)\}.*")


def address_at(url: str, lines: tuple[int, int] | None) -> str:
    """Return the address of lines in a document. `url` may have `{first}` and `{last}` for them, in its query or fragment.

    Without lines, or if `url` can't name them, it is the address of the document.
    """
    if lines is None:
        return _NAMES_LINES.sub("", url)
    return url.replace("{first}", str(lines[0])).replace("{last}", str(lines[1]))


def embedded_text(title: str, heading: Sequence[str], body: str) -> str:
    """Return the text of a passage that the models see: title and headings, then the body."""
    return "\n".join(filter(None, (title, " > ".join(heading), body)))


def trail(title: str, heading: Sequence[str]) -> str:
    """Return the path to a section, for people: `Guide › Setup › Linux`."""
    return " › ".join((title, *heading))


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A passage that the search has found. `positions` are its first and last place in the document, from 0, which differ if
    neighbours were merged."""

    document: str
    title: str
    url: str | None
    positions: tuple[int, int]
    passage: Passage
