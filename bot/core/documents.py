"""What a document is made of: the plain data that loaders make, storage keeps and the engine quotes from."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Form(StrEnum):
    """The form of a block, which decides how it may be split and how it is quoted."""

    PARAGRAPH = "paragraph"
    LIST = "list"
    CODE = "code"
    TABLE = "table"
    PAIR = "pair"  # a stored question with its answer


@dataclass(frozen=True, slots=True)
class Locator:
    """Where something stands in its document. Only what the format has is set; everything counts from 1."""

    lines: tuple[int, int] | None = None  # first and last line, both included
    page: int | None = None  # of a presentation: the slide
    row: int | None = None
    paragraph: int | None = None  # below its heading, where a list or a table counts as one

    def __str__(self) -> str:
        """`lines 12-14`, `page 3`, `row 7`, `paragraph 2`; empty where the format has none."""
        if self.lines is not None:
            first, last = self.lines
            return f"line {first}" if first == last else f"lines {first}-{last}"
        numbers = {"page": self.page, "row": self.row, "paragraph": self.paragraph}
        return next((f"{name} {number}" for name, number in numbers.items() if number is not None), "")


@dataclass(frozen=True, slots=True)
class Block:
    """The smallest unit that keeps its form. `text` stands in the document exactly like this.

    `context` is what a part of a split block needs in order to be understood on its own (a table's header rows): it is
    searched and shown with the part, but it is not quoted. For a stored pair, `context` is the question and `text` the answer.
    """

    form: Form
    text: str
    heading: tuple[str, ...] = ()
    locator: Locator = Locator()
    context: str = ""
    part: tuple[int, int] = (0, 1)  # which (from 0) of how many; their texts one after the other are the block

    def located(self, start: int, end: int) -> Locator:
        """Where a piece of the text stands: at lines or a row of its own, if each line of the text is one of the file."""
        return next(self.locators([(start, end)]))

    def locators(self, pieces: Iterable[tuple[int, int]]) -> Iterator[Locator]:
        """Where each of some pieces stands, as (start, end) in the order of the text, which is gone through once."""
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
                yield replace(locator, row=locator.row + before - (self.part[0] == 0 and before > 0))
            else:
                yield locator


@dataclass(frozen=True, slots=True)
class Document:
    """One file of the knowledge folder. `path` is relative to the folder, with forward slashes."""

    path: str
    title: str
    blocks: tuple[Block, ...]
    url: str | None = None
    language: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """Consecutive blocks under one heading path that fit the encoder's window: what is embedded and searched.

    `body` is the blocks' plain text without markup, which the keyword index holds; title and heading stand beside it.
    """

    blocks: tuple[Block, ...]
    heading: tuple[str, ...]
    body: str


def embedded_text(title: str, heading: Sequence[str], body: str) -> str:
    """What the models see of a passage: where it stands, then what it says."""
    return "\n".join(filter(None, (title, " > ".join(heading), body)))


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A passage as search returns it: its document, and the first and last of its places there (from 0; neighbours that
    were found together are merged into one)."""

    document: str
    title: str
    url: str | None
    positions: tuple[int, int]
    passage: Passage
