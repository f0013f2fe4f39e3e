"""Layout that the platforms share: sources as a line, tables, and Markdown cut into messages."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

import regex
from markdown_it import MarkdownIt

from bot.core.documents import Locator, trail
from bot.core.messages import Citation
from bot.core.text import safe

_WIDEST_TABLE = 40  # columns, as a phone shows them
_BETWEEN_COLUMNS = "  "
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("strikethrough")
_GRAPHEME = regex.compile(r"\X")


def source_line(citation: Citation) -> str:
    """Return `knowledge-bot › Installing › Update (installing.md, lines 12-14)`, behind its number in the text, if any."""
    number = f"[{citation.number}] " if citation.number else ""
    place = trail(citation.title, citation.heading)
    return safe(f"{number}{place} ({', '.join(filter(None, (citation.document, locator_text(citation))))})").replace(
        "\n", " "
    )


def locator_text(citation: Citation) -> str:
    """Return the place of a quote in its document: `lines 12-14`, `page 3`. See `Locator`."""
    return str(Locator(citation.lines, citation.page, citation.row, citation.paragraph))


def without_marks(line: str) -> str:
    """Return the characters that a line of Markdown shows, with the address of a link behind its words."""
    [inline] = _MARKDOWN.parseInline(line)
    said: list[str] = []
    begun: list[tuple[str, int]] = []  # the links around the place: (address, number of the first of their words)
    for token in inline.children or ():
        if token.type == "link_open":
            begun.append((str(token.attrs.get("href", "")), len(said)))
        elif token.type == "link_close":
            address, first = begun.pop()
            said.append(f" ({address})" if address != "".join(said[first:]) else "")
        else:
            said.append(token.content)
    return safe("".join(said))  # Markdown may spell a character by its number


# --- tables -----------------------------------------------------------------------------------------------------------


def columns_of(text: str) -> int:
    """Return the number of columns that a text takes in a font of equal widths."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def aligned(rows: Sequence[Sequence[str]], rule: str = "") -> list[str] | None:
    """Return the rows of a table as lines in columns of even width; None if that is too wide for a phone.

    Such a table is shown row by row, each cell in a line behind the name of its column. `rule`: the character of the lines
    below the header, if there are to be any.
    """
    widths = [max(columns_of(row[n]) for row in rows if n < len(row)) for n in range(max(map(len, rows)))]
    if sum(widths) + len(_BETWEEN_COLUMNS) * (len(widths) - 1) > _WIDEST_TABLE:
        return None
    lines = [
        _BETWEEN_COLUMNS.join(
            cell + " " * (width - columns_of(cell)) for cell, width in zip(row, widths, strict=False)
        ).rstrip()
        for row in rows
    ]
    below = [_BETWEEN_COLUMNS.join(rule * width for width in widths)] if rule else []
    return [*lines[:1], *below, *lines[1:]]


# --- cutting ----------------------------------------------------------------------------------------------------------


def utf16_length(text: str) -> int:
    """Return the length of a text in UTF-16 units, as the platforms count it. An emoji has two or more."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def split_markdown(text: str, limit: int) -> list[str]:
    """Cut a text into parts of at most `limit` UTF-16 units (at least 32). No part is blank.

    Cuts fall between paragraphs, lists and code blocks, but not behind a short lead-in. One of these
    that is too long by itself is cut between its lines, or between words, and never within a grapheme. A code block that is
    cut is closed with its fence and opened again.
    """
    parts: list[str] = []
    blocks: list[tuple[str, str]] = []  # of the part that is being filled
    for gap, block in _blocks(text):
        if utf16_length(_joined([*blocks, (gap, block)])) <= limit:
            blocks.append((gap, block))
            continue
        lead = ""
        if blocks and announces(blocks[-1][1]) and utf16_length(blocks[-1][1]) < limit // 4:
            lead = f"{blocks.pop()[1]}{gap}"
        first, *others = _cut(block, limit - utf16_length(lead))
        *full, last = (f"{lead}{first}", *others)
        parts += [_joined(blocks), *full]
        blocks = [("", last)]
    return [part for part in (*parts, _joined(blocks)) if part.strip()]


def announces(text: str) -> bool:
    """Whether a text ends with a short lead-in, such as "These are:"."""
    return text.rstrip(" *_`").endswith(":")


def _joined(blocks: Sequence[tuple[str, str]]) -> str:
    """Return the blocks, each with the line breaks before it, but for the first."""
    return "".join(f"{gap}{block}" for gap, block in blocks)[len(blocks[0][0]) :] if blocks else ""


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield (line breaks before it, block) for each code block, with its fences, and for each paragraph.

    A code block that is not closed gets a fence at its end.
    """
    gap, lines, fence = "", list[str](), ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if fence:
            lines.append(line)
            if mark and line.strip() == mark[1] and mark[1].startswith(fence):
                yield gap, "\n".join(lines)
                gap, lines, fence = "\n", [], ""
        elif mark or not line.strip():
            if lines:
                yield gap, "\n".join(lines)
                gap = "\n"
            lines = [line] if mark else []
            fence = mark[1] if mark else ""
            gap = gap if mark else "\n\n"
        else:
            lines.append(line)
    if lines:
        yield gap, "\n".join([*lines, *([fence] if fence else [])])


def _cut(block: str, limit: int) -> list[str]:
    """Cut a block into pieces of at most `limit` units."""
    if utf16_length(block) <= limit:
        return [block]
    lines = block.split("\n")
    mark = _FENCE.match(lines[0])
    if mark is None:
        return _packed(lines, limit)
    opening, closing = lines[0], mark[0]
    if utf16_length(opening) > limit // 2:  # no language has such a long name
        opening = closing
    room = limit - utf16_length(opening) - utf16_length(closing) - 2
    return [f"{opening}\n{piece}\n{closing}" for piece in _packed(lines[1:-1], room)]


def _packed(lines: Sequence[str], limit: int) -> list[str]:
    """Join lines into as few pieces as keep the limit. Lines that are too long are cut."""
    pieces: list[str] = []
    current: str | None = None
    for line in lines:
        for place, piece in enumerate(_cut_line(line, limit)):
            joined = f"{current}\n{piece}" if current is not None and place == 0 else None
            if joined is not None and utf16_length(joined) <= limit:
                current = joined
                continue
            if current is not None:
                pieces.append(current)
            current = piece
    return [*pieces, current or ""]


def _cut_line(line: str, limit: int) -> Iterator[str]:
    """Cut a line into pieces, at the last space in the second half of each piece if there is one."""
    while utf16_length(line) > limit:
        end = fitting(line, limit)
        space = line.rfind(" ", end // 2, end + 1)
        end = space if space > 0 else end
        yield line[:end]
        line = line[end:].removeprefix(" ")
    yield line


def fitting(line: str, limit: int) -> int:
    """Return the number of characters at the beginning of a line that fit into `limit` units, without cutting a grapheme."""
    end = units = 0
    for match in _GRAPHEME.finditer(line):
        units += utf16_length(match[0])
        if units > limit:
            break
        end = match.end()
    return end or limit // 2  # a single one that is longer than a message
