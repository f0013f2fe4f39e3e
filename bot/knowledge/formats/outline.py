"""The outline into which all loaders write headings and blocks, and the Markdown for lists and tables.

Lists and tables of formats with other markup are written as Markdown, which passages are split by and platforms show.
"""

import re
import urllib.parse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import PurePosixPath

from bot.core.documents import Block, Document, Form, Locator

# A longer heading is a paragraph that was given the style of a heading.
LONGEST_HEADING = 300  # characters
_FEWEST_WORDS = 3  # in a heading that says something by itself
_QUESTION = re.compile(r"(?:how|what|when|where|who|why|which|can|do|does|is|are|should)\b", re.IGNORECASE)
_SAMPLE = 60  # characters of what was left out
_NOWHERE = Locator()


@dataclass(slots=True)
class _Heading:
    level: int
    text: str
    written: str
    locator: Locator
    used: bool = False


@dataclass(slots=True)
class Outline:
    """Collects a document's headings and blocks in reading order, each block with the headings above it.

    `numbered` outlines count the blocks below each heading, for formats without lines or pages.
    """

    numbered: bool = False
    blocks: list[Block] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    _path: list[_Heading] = field(default_factory=list)
    _number: int = 0

    def heading(self, level: int, text: str, locator: Locator = _NOWHERE, written: str = "") -> None:
        """Add a heading; level 1 is the outermost. It ends those of the same and of deeper levels.

        `written` is how it stands in the file, if that differs. It is read as a paragraph where it says something and has
        nothing below it.
        """
        self._close(level)
        text = " ".join(text.split())
        self._path.append(_Heading(level, text, written or text, locator))
        self.headings.append(text)
        self._number = 0

    def block(self, form: Form, text: str, locator: Locator = _NOWHERE, context: str = "") -> None:
        """Add a block, unless its text is blank."""
        if not text.strip():
            return
        for heading in self._path:
            heading.used = True
        self._number += 1
        if self.numbered:
            locator = replace(locator, paragraph=self._number)
        self.blocks.append(Block(form, text, self._headings(), locator, context))

    def _headings(self) -> tuple[str, ...]:
        return tuple(heading.text for heading in self._path if heading.text)

    def document(
        self, path: str, title: str | None = None, url: str | None = None, language: str | None = None
    ) -> Document:
        """Return the document. Its title is the given one, else the first heading, else made from the file's name."""
        self._close(0)
        title = " ".join((title or next(filter(None, self.headings), None) or title_from_path(path)).split())
        return Document(
            path=path,
            title=title,
            blocks=tuple(_without_title(block, title) for block in self.blocks),
            url=url or None,
            language=language or None,
            warnings=tuple(self.warnings),
        )

    def _close(self, level: int) -> None:
        """End the headings from this level on, and warn of those without text below them."""
        while self._path and self._path[-1].level >= level:
            ended = self._path.pop()
            if not ended.used and ended.text and (self._path or self.blocks):
                self.warnings.append(f"there is no text below the heading “{ended.text}”{_place(ended.locator)}")
                if _says_something(ended.text):
                    self.blocks.append(Block(Form.PARAGRAPH, ended.written, self._headings(), ended.locator))
            for above in self._path:
                above.used = True  # its lack of text has been told
        if level == 0 and not self.blocks:
            self.warnings.clear()  # there is no text at all, which is told instead


def _says_something(heading: str) -> bool:
    """Return whether a heading without text below it may be a statement, such as `Closed on Fridays`, and no mere name."""
    return len(heading.split()) >= _FEWEST_WORDS and not heading.endswith("?") and _QUESTION.match(heading) is None


def _place(locator: Locator) -> str:
    if locator.lines is not None:
        return f" (line {locator.lines[0]})"
    return f" (page {locator.page})" if locator.page is not None else ""


def _without_title(block: Block, title: str) -> Block:
    """Remove the title from the beginnings of heading paths, because it is shown beside them anyway."""
    if block.heading[:1] != (title,):
        return block
    return replace(block, heading=block.heading[1:])


def title_from_path(path: str) -> str:
    """Return a title from a file name: `guides/getting-started.md` gives `Getting started`."""
    words = re.sub(r"[-_\s]+", " ", PurePosixPath(path).stem).strip()
    return words[:1].upper() + words[1:] if words else path


def listed(things: Iterable[object]) -> str:
    """Return the first ten of some numbers or names, for a warning."""
    first = list(islice(things, 11))
    return ", ".join(map(str, first[:10])) + (", ..." if len(first) > 10 else "")


def left_out(what: str, texts: Sequence[str]) -> str:
    """Return the warning that some texts were left out, with the first of them as a sample."""
    sample = " ".join(texts[0].split())
    return f"{what} was left out, such as “{sample[:_SAMPLE]}{'…' if len(sample) > _SAMPLE else ''}”"


# --- Markdown ---------------------------------------------------------------------------------------------------------

_FENCE = re.compile(r"[ \t]*(?:>[ \t]*)*(`{3,}|~{3,})")


def fences(lines: Iterable[str]) -> list[bool]:
    """Return whether each line of Markdown belongs to fenced code, the fences included."""
    found = []
    fence = ""
    for line in lines:
        after = fence_after(line, fence)
        found.append(bool(fence or after))
        fence = after
    return found


def fence_after(line: str, fence: str) -> str:
    """Return the mark of the fence that is open after a line of Markdown, empty if none is; `fence`: before the line."""
    opening = _FENCE.match(line)
    if opening is None:
        return fence
    mark = opening[1]
    if fence:
        return "" if mark.startswith(fence) else fence
    return mark


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a list. `depth` counts from 0; `number` is None for an unordered one."""

    text: str
    depth: int = 0
    number: int | None = None


def list_text(items: Sequence[Item]) -> str:
    """Return the items as a Markdown list, indented by depth. Empty items are left out."""
    return "\n".join(_item_text(item) for item in items if item.text.strip())


def _item_text(item: Item) -> str:
    marker = "-" if item.number is None else f"{item.number}."
    indent = "   " * item.depth
    first, *others = (line.strip() for line in item.text.strip().split("\n") if line.strip())
    return "\n".join([f"{indent}{marker} {first}", *(f"{indent}{' ' * len(marker)} {line}" for line in others)])


def link_text(words: str, address: str) -> str:
    """Return words as a Markdown link; only the words if the address leads nowhere from a chat, or repeats them."""
    shown = words.strip()
    address = re.sub(r"[()<>\s]", lambda mark: urllib.parse.quote(mark[0]), address.strip())
    if not re.match(r"(?:https?://|mailto:)\S", address, re.IGNORECASE) or not shown:
        return words
    if shown.rstrip("/") in (address.rstrip("/"), address.partition(":")[2].strip("/")):
        return words
    link = f"{shown} ({address})" if re.search(r"[\[\]\n]", shown) else f"[{shown}]({address})"
    return words.replace(shown, link, 1)


def table_text(rows: Sequence[Sequence[str]]) -> str:
    """Return the rows as a Markdown table, all as wide as the widest, with the first as header. Empty rows are left out."""
    lines = table_rows(rows)
    return "\n".join([lines[0], f"|{' --- |' * max(map(len, rows))}", *lines[1:]]) if lines else ""


def table_rows(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table, all as wide as the widest. Empty rows are left out."""
    width = max(map(len, rows), default=0)
    cells = ([_cell(cell) for cell in row] + [""] * (width - len(row)) for row in rows)
    return [f"| {' | '.join(row)} |" for row in cells if any(row)]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
