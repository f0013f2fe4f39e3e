"""How an answer reads, in what the platforms share: sources as a line of text, text that is safe to show, and Markdown cut
into messages."""

import re
from collections.abc import Iterator, Sequence

import regex

from bot.core.documents import Locator
from bot.core.messages import Citation

# Control characters could drive a terminal; bidirectional ones make text read otherwise than it is, and invisible ones hide
# in a word or an address. Joiners stay, for emoji and some scripts need them.
_UNSAFE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
# With an answer that comes so late that whoever asked may wonder.
LATE = "This took a while: I was away when you asked."
# While the models and the index are not there yet.
STARTING = "I have just been started and am getting ready…"
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
_GRAPHEME = regex.compile(r"\X")


def safe(text: str) -> str:
    """Text of documents and users without characters that do something instead of showing something."""
    return _UNSAFE.sub("", text)


def source_line(citation: Citation) -> str:
    """`knowledge-bot › Installing › Update (installing.md, lines 12-14)`."""
    place = " › ".join((citation.title, *citation.heading))
    return safe(f"{place} ({', '.join(filter(None, (citation.document, locator_text(citation))))})").replace("\n", " ")


def locator_text(citation: Citation) -> str:
    """Where a quote stands in its document; see `Locator`."""
    return str(Locator(citation.lines, citation.page, citation.row, citation.paragraph))


# --- cutting ----------------------------------------------------------------------------------------------------------


def utf16_length(text: str) -> int:
    """How long the platforms count a text: in UTF-16 units, of which an emoji has two or more."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def split_markdown(text: str, limit: int) -> list[str]:
    """The text in parts of at most `limit` UTF-16 units (at least 32), none of them blank.

    It is cut between paragraphs, lists and code blocks, only within one that is too long by itself: between its lines,
    between words, and never within what is seen as one character. Code that is cut is closed with its fence and opened again.
    """
    parts: list[str] = []
    current = ""
    for gap, block in _blocks(text):
        joined = f"{current}{gap}{block}" if current else block
        if utf16_length(joined) <= limit:
            current = joined
            continue
        if current:
            parts.append(current)
        *full, current = _cut(block, limit)
        parts += full
    return [part for part in (*parts, current) if part.strip()]


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """(what stands before it: a line break or a blank line, block): code with its fences, closed if need be, and paragraphs."""
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
    """A block in pieces that fit; one piece if it does."""
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
    """Lines in as few pieces as keep the limit."""
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
    """A line in pieces, between words where there are any in the second half of a piece."""
    while utf16_length(line) > limit:
        end = fitting(line, limit)
        space = line.rfind(" ", end // 2, end + 1)
        end = space if space > 0 else end
        yield line[:end]
        line = line[end:].removeprefix(" ")
    yield line


def fitting(line: str, limit: int) -> int:
    """How many characters from the beginning fit, without cutting what is seen as one."""
    end = units = 0
    for match in _GRAPHEME.finditer(line):
        units += utf16_length(match[0])
        if units > limit:
            break
        end = match.end()
    return end or limit // 2  # a single one that is longer than a message
