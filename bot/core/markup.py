"""The markup of texts: whether characters are literal or format their surroundings."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

from bot.core.text import plain


class Markup(StrEnum):
    """The markup of a text, which the format of its document decides."""

    MARKDOWN = "markdown"
    PLAIN = "plain"  # each character stands for itself
    LITERALS = "literals"  # as plain, but code stands between backticks
    CODE = "code"  # as plain, in a font of equal widths


_LITERAL = re.compile(r"((?<!`)`[^`\n]+`(?!`))")
# What Markdown takes for markup: within a line, and at its beginning.
_INLINE = re.compile(r"\\(?=[!-/:-@\[-`{-~]|$)|[*`\[\]<~|]|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])", re.MULTILINE)
_LINE_START = re.compile(r"^([ \t]*\d{0,9})(?=[-+>#=.)])", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text that is shown. `bold`: (start, end) of the characters to stress; Markdown has marks of its own."""

    text: str
    markup: Markup = Markup.MARKDOWN
    bold: tuple[int, int] | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        bold = data["bold"]
        return cls(data["text"], Markup(data["markup"]), (bold[0], bold[1]) if bold else None)

    @property
    def runs(self) -> list[tuple[str, bool, bool]]:
        """(characters, whether they are bold, whether they are code) of a piece that is not Markdown, in order."""
        if self.markup is Markup.CODE:
            return [(self.text, False, True)]
        found: list[tuple[str, bool, bool]] = []
        place = 0
        for number, part in enumerate(_LITERAL.split(self.text) if self.markup is Markup.LITERALS else [self.text]):
            found += [(part[1:-1], False, True)] if number % 2 else self._stressed(place, place + len(part))
            place += len(part)
        return found

    def _stressed(self, first: int, last: int) -> Iterator[tuple[str, bool, bool]]:
        """Yield the runs of the characters from `first` up to `last`, which aren't code."""
        start, end = self.bold or (first, first)
        for low, high, bold in ((first, start, False), (start, end, True), (end, last, False)):
            if text := self.text[max(low, first) : min(high, last)]:
                yield text, bold, False

    @property
    def _markable(self) -> Self:
        """The piece without bold if it begins or ends within a word, where Markdown can't express it."""
        start, end = self.bold or (0, 0)
        within = re.search(r"\w$", self.text[:start]) or re.match(r"\w", self.text[end:])
        return replace(self, bold=None) if within else self

    def as_markdown(self) -> str:
        """Return the text as Markdown that shows the same characters."""
        match self.markup:
            case Markup.MARKDOWN:
                return self.text
            case Markup.CODE:
                fence = "`" * max(3, 1 + max(map(len, re.findall("`+", self.text)), default=0))
                return f"{fence}\n{self.text}\n{fence}"
        return _LINE_START.sub(_escape_after, self.within_markdown()).replace("\n", "  \n")

    def within_markdown(self) -> str:
        """Return plain text as Markdown that shows the same characters where it stands within a line, as in a cell."""
        return "".join(f"`{text}`" if code else _stressed(text, bold) for text, bold, code in self._markable.runs)


def _stressed(text: str, bold: bool) -> str:
    return f"**{inline_markdown(text)}**" if bold else inline_markdown(text)


def _escape_after(start: re.Match[str]) -> str:
    return f"{start[1]}\\"


def inline_markdown(text: str) -> str:
    """Return a line of plain text as Markdown that shows the same characters, unless it begins like a list or a heading."""
    return _INLINE.sub(r"\\\g<0>", text)


def text_of(pieces: Iterable[Piece]) -> str:
    """Return the text that pieces make up, with an empty line between two."""
    return "\n\n".join(piece.text for piece in pieces)


def beginning(pieces: Iterable[Piece], length: int) -> str:
    """Return the beginning of the text that pieces make up, without markup, on one line of `length` characters at most."""
    said = " ".join(_unmarked(piece, 3 * length) for piece in pieces)
    words = " ".join(said.split())
    return words if len(words) <= length else f"{words[: length - 1].rstrip()}…"


def _unmarked(piece: Piece, length: int) -> str:
    """Return the text of the beginning of a piece, of which `length` characters are looked at."""
    start = replace(piece, text=piece.text[:length])
    return plain(start.text) if piece.markup is Markup.MARKDOWN else "".join(text for text, _, _ in start.runs)
