"""Renders Markdown as text with Telegram's entities, and splits it into messages.

Entities need no escaping, so no document can break the markup as it could with HTML. A message has at most 4096 UTF-16 units
after parsing, and 100 entities; formatting that a split cuts through continues in the next part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, zip_longest

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from telegram import MessageEntity

from bot.adapters.layout import aligned, announces, fitting, utf16_length
from bot.core.text import safe

LONGEST_MESSAGE = 4096  # UTF-16 units
_MOST_ENTITIES = 100  # in one message; Telegram drops further ones
# HTML in a document is shown as text. Blocks nested deeper than this would be left out.
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "maxNesting": 60}).enable(["table", "strikethrough"])
_INLINE_MARKS = {
    "strong": MessageEntity.BOLD,
    "em": MessageEntity.ITALIC,
    "s": MessageEntity.STRIKETHROUGH,
}
_LINK = re.compile(r"https?://([^\s/?#]+)\S*", re.IGNORECASE)
_BLOCK_BREAK = re.compile(r"\n\n+")
# Where a text may be cut, best first, each if that leaves a part that is not too short.
_BREAKS = (_BLOCK_BREAK, re.compile(r"\n"), re.compile(r"(?<=[.!?…。！？])\s+"), re.compile(r"\s+"))


@dataclass(frozen=True, slots=True)
class Mark:
    """One kind of formatting from `start` to before `end`, in characters.

    `detail`: the address of a link, the language of code.
    """

    kind: str
    start: int
    end: int
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class RichText:
    """Text with formatting."""

    text: str = ""
    marks: tuple[Mark, ...] = ()

    def part(self, start: int, end: int) -> RichText:
        """Return the text from `start` to before `end`, without white space at its ends, with its formatting."""
        while start < end and self.text[start].isspace():
            start += 1
        while end > start and self.text[end - 1].isspace():
            end -= 1
        clipped = (
            replace(mark, start=max(mark.start, start) - start, end=min(mark.end, end) - start) for mark in self.marks
        )
        return RichText(self.text[start:end], tuple(mark for mark in clipped if mark.start < mark.end))

    @property
    def entities(self) -> list[MessageEntity]:
        """The formatting as Telegram's entities, with offsets in UTF-16 units."""
        offsets = _offsets(self.text)
        return [
            MessageEntity(
                mark.kind,
                offsets[mark.start],
                offsets[mark.end] - offsets[mark.start],
                url=mark.detail if mark.kind == MessageEntity.TEXT_LINK else None,
                language=(mark.detail or None) if mark.kind == MessageEntity.PRE else None,
            )
            for mark in self.marks
        ]

    def within(self, kind: str, detail: str | None = None) -> RichText:
        """Return the text with one more kind of formatting over all of it, in place of the same kind within."""
        if not self.text:
            return self
        others = (mark for mark in self.marks if mark.kind != kind)
        return RichText(self.text, (Mark(kind, 0, len(self.text), detail), *others))


def joined(pieces: Iterable[RichText], separator: str = "") -> RichText:
    """Join the pieces that are not empty."""
    texts: list[str] = []
    marks: list[Mark] = []
    length = 0
    for piece in pieces:
        if not piece.text:
            continue
        if texts:
            texts.append(separator)
            length += len(separator)
        marks += (replace(mark, start=mark.start + length, end=mark.end + length) for mark in piece.marks)
        texts.append(piece.text)
        length += len(piece.text)
    return RichText("".join(texts), tuple(marks))


def plain(text: str) -> RichText:
    """Return text without formatting."""
    return RichText(safe(text))


def linked(shown: RichText, url: str | None) -> RichText:
    """Make the text a link to a web address. Anything else, which could open a chat or a file, makes none."""
    address = safe(url or "")
    return shown.within(MessageEntity.TEXT_LINK, address) if _LINK.fullmatch(address) else shown


def host_of(url: str | None) -> str:
    """Return the host of a web address, or nothing."""
    found = _LINK.fullmatch(safe(url or ""))
    return found[1].rpartition("@")[2] if found else ""


def _offsets(text: str) -> list[int]:
    """Return the UTF-16 offset of each character, and of the end."""
    offsets = [0]
    for character in text:
        offsets.append(offsets[-1] + (2 if character > "\uffff" else 1))
    return offsets


# --- Markdown ---------------------------------------------------------------------------------------------------------


def from_markdown(text: str) -> RichText:
    """Render Markdown as formatted text. Markup that is not valid is shown as it is."""
    rendered = _blocks(SyntaxTreeNode(_MARKDOWN.parse(safe(text))).children)
    return rendered.part(0, len(rendered.text))


def _blocks(nodes: Sequence[SyntaxTreeNode], depth: int = 0) -> RichText:
    return joined((_block(node, depth) for node in nodes), "\n" if depth else "\n\n")


def _block(node: SyntaxTreeNode, depth: int) -> RichText:
    """One block; `depth` is the number of lists around it."""
    match node.type:
        case "heading":
            return _inline(node.children).within(MessageEntity.BOLD)
        case "fence" | "code_block":
            return plain(node.content.rstrip("\n")).within(MessageEntity.PRE, safe(node.info or "").split(" ")[0])
        case "hr":
            return RichText("———")
        case "blockquote":
            return _blocks(node.children, depth).within(MessageEntity.BLOCKQUOTE)
        case "bullet_list":
            return joined((_item("•", item, depth) for item in node.children), "\n")
        case "ordered_list":
            first = int(node.attrs.get("start", 1))
            items = enumerate(node.children, start=first)
            return joined((_item(f"{number}.", item, depth) for number, item in items), "\n")
        case "table":
            return _table(node)
        case _:
            return _inline(node.children)


def _item(bullet: str, node: SyntaxTreeNode, depth: int) -> RichText:
    return joined((RichText(f"{'   ' * depth}{bullet} "), _blocks(node.children, depth + 1)))


def _inline(nodes: Sequence[SyntaxTreeNode]) -> RichText:
    """Inline nodes in a row. Lines that begin with a bar are rows of a table without its header, and stay lines."""
    row_follows = (after.type == "text" and after.content.startswith("|") for after in nodes[1:])
    return joined(
        RichText("\n") if node.type == "softbreak" and row else _inline_piece(node)
        for node, row in zip_longest(nodes, row_follows)
    )


def _inline_piece(node: SyntaxTreeNode) -> RichText:
    match node.type:
        case "softbreak":
            return RichText(" ")
        case "hardbreak":
            return RichText("\n")
        case "code_inline":
            return plain(node.content).within(MessageEntity.CODE)
        case "strong" | "em" | "s":
            return _inline(node.children).within(_INLINE_MARKS[node.type])
        case "link":
            return _with_address(_inline(node.children), str(node.attrs.get("href", "")))
        case "image":
            return _with_address(_inline(node.children), str(node.attrs.get("src", "")))
        case _:  # plain, because Markdown may spell a character by its number
            return _inline(node.children) if node.children else plain(node.content)


def _with_address(words: RichText, url: str) -> RichText:
    """Words that are a link, with the address behind them unless they are the address: nobody is led elsewhere than he sees."""
    if not _LINK.fullmatch(url) and not url.startswith("mailto:"):
        return words
    address = url.removeprefix("mailto:")
    if words.text in (url, address, re.sub("^https?://", "", address, flags=re.IGNORECASE)):
        return linked(words, url)
    return joined((linked(words, url), plain(f"({address})")), " ")


def _table(node: SyntaxTreeNode) -> RichText:
    """Render a narrow table in columns, and a wide one row by row, each cell behind the name of its column."""
    rows = [[_inline(cell.children) for cell in row.children] for part in node.children for row in part.children]
    if (lines := aligned([[cell.text for cell in row] for row in rows])) is not None:
        return RichText("\n".join(lines)).within(MessageEntity.PRE)
    header, *body = rows
    return joined((_row(header, row) for row in body), "\n\n")


def _row(header: Sequence[RichText], cells: Sequence[RichText]) -> RichText:
    """Return a line `column: value` for each cell that is not empty."""
    return joined(
        (
            joined((RichText(f"{name.text}: " if name.text else ""), cell))
            for name, cell in zip(header, cells, strict=True)
            if cell.text
        ),
        "\n",
    )


# --- splitting --------------------------------------------------------------------------------------------------------


def split(rich: RichText, limit: int = LONGEST_MESSAGE) -> list[RichText]:
    """Cut a text into parts of at most `limit` UTF-16 units and 100 entities, between blocks if possible.

    A block that fits into a part is kept whole. Nothing but white space is left out between the parts.
    """
    parts = []
    rest = rich.part(0, len(rich.text))
    while utf16_length(rest.text) > limit or len(rest.marks) > _MOST_ENTITIES:
        cut = _cut(rest, limit)
        parts.append(rest.part(0, cut))
        rest = rest.part(cut, len(rest.text))
    return [*parts, rest]


def _cut(rich: RichText, limit: int) -> int:
    """Return the number of characters in the next part, at least one."""
    text, most = rich.text, fitting(rich.text, limit)
    if len(rich.marks) > _MOST_ENTITIES:
        most = max(1, min(most, sorted(mark.start for mark in rich.marks)[_MOST_ENTITIES]))
    blocks = _blocks_of(rich)
    for (_, end), (start, following) in reversed(list(pairwise(blocks))):
        if end <= most and not announces(text[:end]):
            if utf16_length(text[start:following]) <= limit:
                return end
            break
    for pattern in _BREAKS:
        border = max((match.start() for match in pattern.finditer(text, 0, most + 1)), default=0)
        if border > most // 2:
            return border
    return most


def _blocks_of(rich: RichText) -> list[tuple[int, int]]:
    """Return (start, end) of each block; blank lines in code separate none."""
    code = [(mark.start, mark.end) for mark in rich.marks if mark.kind == MessageEntity.PRE]
    breaks = [
        match.span()
        for match in _BLOCK_BREAK.finditer(rich.text)
        if not any(start <= match.start() < end for start, end in code)
    ]
    starts = [0, *(end for _, end in breaks)]
    ends = [*(start for start, _ in breaks), len(rich.text)]
    return list(zip(starts, ends, strict=True))
