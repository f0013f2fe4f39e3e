"""The lines of a PDF -> headings, paragraphs, lists, tables and code, recognised by their places and fonts."""

import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from bot.core.documents import Form, Locator
from bot.core.text import plain
from bot.knowledge.formats.outline import LONGEST_HEADING, Item, Outline, list_text
from bot.knowledge.formats.pdf.lines import TICKS, Line
from bot.knowledge.formats.pdf.tables import aligned_grid, gap_below, ruled_grid, table_end
from bot.knowledge.formats.tables import grid_text

_BULLET = re.compile(r"(?:[•‣◦▪▫●○■□–∙·*-]|\u2043|\uf0b7|\uf0a7|o(?= ))\s+(?=\S)")
_NUMBER = re.compile(r"(\d{1,3})[.)]\s+(?=\S)")
_SECTION_NUMBER = re.compile(r"(?:\d{1,3}(?:\.\d{1,3})*|[A-Z])\.?")
_ENDS_WITH_HYPHEN = re.compile(r"\w-$")
_SENTENCE_END = re.compile(r"[.!?:…][\"'”’)\]]*$")
_DIVIDED_AFTER = frozenset("self well ex e half all".split())  # keep their hyphen at the end of a line too
_FLOAT = re.compile(r"(?:figure|fig\.|table|abbildung|abb\.|tabelle|\W*\d{1,3}[\s.:)]|[*†‡§])", re.IGNORECASE)
_LARGER = 1.12  # the least ratio of a heading's font size to that of the text around it
_USUAL_GAP = 0.75  # in font sizes: the largest between the lines of a paragraph, unless the text is spaced wider
_FULL_LINE = 40  # characters, from which lines that are spaced wider are running text
_LINES_OF_A_HEADING = 3
_NEAR = 6  # lines, among which the right edge of the text is sought
_SHORT_TEXT = 4000  # characters, up to which large text may be what the document says
_LARGE_SHARE = 0.2  # of a short text: so much large text is no headings
_FURTHEST_CONTINUATION = 6  # blocks


@dataclass(frozen=True, slots=True)
class _Piece:
    """A block, or a heading if it has a level."""

    form: Form
    text: str
    page: int
    size: float = 0.0
    level: int = 0


def write_blocks(lines: Sequence[Line], outline: Outline) -> None:
    """Join the lines into headings and blocks, and write them into the outline."""
    for piece in _continued(_with_text_below(list(_Joiner(lines).pieces()))):
        if piece.level:
            outline.heading(piece.level, plain(piece.text), Locator(page=piece.page))
        else:
            outline.block(piece.form, piece.text.replace("\xad", ""), Locator(page=piece.page))


def _with_text_below(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Return the pieces, with headings that have no text below them as paragraphs, because only these can be quoted."""
    kept: list[_Piece] = []
    for piece, following in zip(pieces, [*pieces[1:], None], strict=True):
        empty = piece.level and (following is None or 0 < following.level <= piece.level)
        titles = not any(earlier.level for earlier in kept)  # a title may stand above a subtitle or a chapter
        kept.append(replace(piece, level=0) if empty and not (titles and following) else piece)
    return kept


def _continued(pieces: list[_Piece]) -> Iterator[_Piece]:
    """Yield the pieces, with the parts of paragraphs joined that a figure, a table or a note stands between."""
    taken: set[int] = set()
    for number, piece in enumerate(pieces):
        if number in taken:
            continue
        while piece.form is Form.PARAGRAPH and not piece.level and not _SENTENCE_END.search(piece.text):
            further = _continuation(pieces, number, piece, taken)
            if further is None:
                break
            taken.add(further)
            piece = replace(piece, text=_put_together(piece.text, pieces[further].text), page=piece.page)
        yield piece


def _continuation(pieces: Sequence[_Piece], number: int, piece: _Piece, taken: set[int]) -> int | None:
    for further in range(number + 1, min(len(pieces), number + 1 + _FURTHEST_CONTINUATION)):
        other = pieces[further]
        if further in taken:
            continue
        if other.level or other.page > piece.page + 1:
            return None
        similar = other.form is Form.PARAGRAPH and abs(other.size - piece.size) < 0.05 * piece.size
        if similar and _begins_small(other.text) and (further > number + 1 or other.page > piece.page):
            return further
        if similar and not _FLOAT.match(other.text):
            return None
    return None


class _Joiner:
    """Joins lines, from first to last, into pieces."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        prose = Counter[float]()
        for line in lines:
            if not line.code:
                prose[line.size] += len(line.text)
        total = sum(prose.values())
        self._breaks = list(_breaks(lines))
        self._body = prose.most_common(1)[0][0] if prose else 0.0
        self._larger = sorted({line.size for line in lines if line.size > self._body * _LARGER}, reverse=True)
        large = sum(count for size, count in prose.items() if size in self._larger[1:])
        self._large_is_text = total < _SHORT_TEXT and large > _LARGE_SHARE * total
        bold = sum(len(line.text) for line in lines if line.bold)
        self._bold_stands_out = bold * 3 < sum(len(line.text) for line in lines)
        gaps = Counter(
            round(gap_below(before, after), 1)
            for before, after in pairwise(lines)
            if before.page == after.page
            and before.size == after.size == self._body
            and -0.5 < gap_below(before, after) < 2
        )
        self._usual_gap = max(_USUAL_GAP, gaps.most_common(1)[0][0] + 0.15 if gaps else 0.0)

    def pieces(self) -> Iterator[_Piece]:
        start = 0
        while start < len(self._lines):
            end, piece = self._piece(start)
            yield piece
            start = end

    def _piece(self, start: int) -> tuple[int, _Piece]:
        """Return the end of the lines of a piece, and the piece that begins at a line."""
        line = self._lines[start]
        if line.rows:
            end = self._ruled_end(start)
            return end, _Piece(Form.TABLE, grid_text(ruled_grid(self._lines[start:end])), line.page)
        if level := self._heading_level(start):
            end = self._heading_end(start)
            return end, _Piece(Form.PARAGRAPH, self._joined(start, end), line.page, line.size, level)
        if line.code:
            end = self._code_end(start)
            return end, _Piece(Form.CODE, _code(self._lines[start:end]), line.page)
        if len(line.cells) > 1:
            end = table_end(self._lines, start, lambda number: self._heading_level(number) > 0)
            if sum(len(row.cells) > 1 for row in self._lines[start:end]) > 1:
                return end, _Piece(Form.TABLE, grid_text(aligned_grid(self._lines[start:end])), line.page)
        if _item(line):
            end = self._list_end(start)
            return end, _Piece(Form.LIST, list_text(list(self._items(start, end))), line.page)
        end = self._paragraph_end(start)
        return end, _Piece(Form.PARAGRAPH, self._joined(start, end), line.page, line.size)

    def _heading_level(self, start: int) -> int:
        """Return the level of the heading that begins at a line, larger than the text, or bold and alone; 0 if none does."""
        line = self._lines[start]
        if line.code or line.rows or not re.search(r"[^\W\d_]", line.text) or not _is_whole(line):
            return 0
        if line.size in self._larger and (not self._large_is_text or line.size == self._larger[0]):
            end = self._heading_end(start)
            long = end - start > _LINES_OF_A_HEADING or len(self._joined(start, end)) > LONGEST_HEADING
            return 0 if long or self._are_statements(start, end) else self._larger.index(line.size) + 1
        ends_like_text = line.text.rstrip()[-1:] in ".,;:\xad"
        if self._bold_stands_out and line.bold and not ends_like_text and not _item(line) and len(line.text) < 120:
            following = self._lines[start + 1 : start + 2]
            if following and not following[0].bold:
                return len(self._larger) + 1
        return 0

    def _heading_end(self, start: int) -> int:
        """Return the end of a heading's lines, or of one line more than a heading has."""
        end = start + 1
        while end < min(len(self._lines), start + _LINES_OF_A_HEADING + 1):
            before, after = self._lines[end - 1], self._lines[end]
            if not _same_look(before, after) or not -0.5 < gap_below(before, after) < 0.9:
                break
            end += 1
        return end

    def _are_statements(self, start: int, end: int) -> bool:
        """Return whether lines are each a whole, as on a poster, and not one text that is broken where a line was full."""
        return start > 0 and any(self._is_break(number) for number in range(start + 1, end))

    def _ruled_end(self, start: int) -> int:
        """Return the end of a table between rules, which may go on at the top of the next pages."""
        end = start + 1
        while (
            end < len(self._lines) and self._lines[end].rows and self._lines[end].page == self._lines[end - 1].page + 1
        ):
            if len(self._lines[end].rows[0]) != len(self._lines[start].rows[0]):
                break
            end += 1
        return end

    def _code_end(self, start: int) -> int:
        end = start + 1
        while (
            end < len(self._lines) and self._lines[end].code and gap_below(self._lines[end - 1], self._lines[end]) < 2.5
        ):
            end += 1
        return end

    def _paragraph_end(self, start: int) -> int:
        end = start + 1
        while end < len(self._lines):
            after = self._lines[end]
            if after.code or after.rows or len(after.cells) > 2 or not self._goes_on(end) or self._begins_list(end):
                break
            if self._heading_level(end) and not _same_look(self._lines[end - 1], after):
                break
            end += 1
        return end

    def _begins_list(self, number: int) -> bool:
        """Return whether a line begins a list, and isn't a number or a dash in the middle of a sentence."""
        before, line = self._lines[number - 1], self._lines[number]
        in_sentence = (
            not _SENTENCE_END.search(before.text) and not self._is_break(number) and gap_below(before, line) < 0.6
        )
        return _item(line) is not None and not (in_sentence and line.left < before.left + 0.5 * line.size)

    def _goes_on(self, number: int) -> bool:
        """Return whether a line continues the paragraph of the line before it."""
        before, after = self._lines[number - 1], self._lines[number]
        unfinished = not _SENTENCE_END.search(before.text)
        if abs(before.size - after.size) > 0.1 * before.size:
            return False
        gap = gap_below(before, after)
        if before.page != after.page or gap < -2:  # the next page, or the next column
            return unfinished and (_begins_small(after.text) or before.text.endswith("\xad"))
        if gap < _USUAL_GAP:
            return unfinished or not self._is_break(number)
        if gap >= max(self._usual_gap, 2 * _USUAL_GAP if unfinished else 0.0):
            return False
        in_sentence = unfinished and _begins_small(after.text)
        return in_sentence or (gap < self._usual_gap and len(before.text) > _FULL_LINE and not self._is_break(number))

    def _is_break(self, number: int) -> bool:
        """Return whether the line before this one was broken early: the first word of this one would have had room."""
        return self._breaks[number]

    def _list_end(self, start: int) -> int:
        """Collect a list: its items, with their indented further lines."""
        end = start + 1
        first = self._lines[start]
        while end < len(self._lines):
            before, after = self._lines[end - 1], self._lines[end]
            if after.code or after.rows or self._heading_level(end):
                break
            item = _item(after) is not None
            if item and after.left < first.left + 0.5 * after.size and _ordered(after) != _ordered(first):
                break
            if not item and not self._continues_item(start, end):
                break
            if after.page == before.page and gap_below(before, after) > 2.5:
                break
            end += 1
        return end

    def _continues_item(self, start: int, number: int) -> bool:
        after, before = self._lines[number], self._lines[number - 1]
        if not self._goes_on(number):
            return False
        indented = after.left > self._lines[start].left + 0.5 * after.size
        return indented or (not _SENTENCE_END.search(before.text) and _begins_small(after.text))

    def _items(self, start: int, end: int) -> Iterator[Item]:
        edges: list[float] = []
        begins = [start, *(number for number in range(start + 1, end) if _item(self._lines[number])), end]
        for first, last in pairwise(begins):
            line = self._lines[first]
            while edges and edges[-1] > line.left + 0.5 * line.size:
                edges.pop()
            if not edges or line.left > edges[-1] + 0.5 * line.size:
                edges.append(line.left)
            marker, number = _item(line), _NUMBER.match(line.text)
            text = self._joined(first, last)[marker.end() if marker else 0 :]
            yield Item(text.replace("\xad", ""), len(edges) - 1, int(number[1]) if number else None)

    def _joined(self, start: int, end: int) -> str:
        """Return the lines as running text, with words joined that a hyphen divides at a line's end."""
        text = self._lines[start].text
        poster = self._large_is_text and self._lines[start].size in self._larger
        for number in range(start + 1, end):
            after = self._lines[number].text
            broken = (poster or self._is_break(number)) and not _begins_small(after) and not text.endswith("\xad")
            text = f"{text}\n{after}" if broken else _put_together(text, after, self._words)
        return text

    @cached_property
    def _words(self) -> frozenset[str]:
        """The words within the lines, to tell how those are written that are divided."""
        return frozenset(word for line in self._lines for word in re.findall(r"\w+(?:-\w+)*", line.text.lower()))


def _breaks(lines: Sequence[Line]) -> Iterator[bool]:
    """Yield for each line whether the one before it was broken early: this one's first word would have had room."""
    for number, after in enumerate(lines):
        before = lines[number - 1]
        if number == 0 or before.page != after.page or gap_below(before, after) < -2:
            yield False
            continue
        word = after.text.partition(" ")[0]
        room_end = before.right + before.size + len(word) * (after.right - after.left) / max(1, len(after.text))
        yield any(
            line.right > room_end
            and line.page == before.page
            and abs(line.left - before.left) < 2 * before.size
            and abs(line.size - before.size) < 1
            for line in lines[max(0, number - _NEAR) : number + _NEAR]
        )


def _put_together(text: str, after: str, words: frozenset[str] = frozenset()) -> str:
    """Return a text joined with its continuation, which may begin in the middle of a word."""
    if not text.endswith("\xad"):
        return text + after if _ENDS_WITH_HYPHEN.search(text) and re.match(r"[^\W_A-Z]", after) else f"{text} {after}"
    text = text[:-1]
    [first] = re.findall(r"[\w-]*$", text)[:1]
    [second] = re.findall(r"^[\w-]*", after)
    return f"{text}-{after}" if _has_hyphen(first.lower(), second, words) else text + after


def _has_hyphen(first: str, second: str, words: frozenset[str]) -> bool:
    """Return whether a divided word is written with a hyphen anyway."""
    if first + second.lower() in words:
        return False
    if f"{first}-{second.lower()}" in words:
        return True
    return not second[:1].islower() or first[-1:].isdigit() or first in _DIVIDED_AFTER


def _begins_small(text: str) -> bool:
    return not text.startswith(TICKS) and text.lstrip("[(“\"'")[:1].islower()


def _same_look(one: Line, two: Line) -> bool:
    return one.size == two.size and one.font == two.font and one.page == two.page


def _is_whole(line: Line) -> bool:
    """Return whether a line is in one piece, or only the number of a section stands apart."""
    return len(line.cells) == 1 or (len(line.cells) == 2 and _SECTION_NUMBER.fullmatch(line.cells[0].text) is not None)


def _code(lines: Sequence[Line]) -> str:
    """Return the lines of code, indented by their place on the page, with empty lines for wider gaps."""
    edge = min(line.left for line in lines)
    widths = [(line.right - line.left) / len(line.text) for line in lines if len(line.text) > 3]
    width = statistics.median(widths) if widths else lines[0].size * 0.6
    written: list[str] = []
    for before, line in zip([None, *lines], lines, strict=False):
        if before is not None and gap_below(before, line) > 0.9:
            written.append("")
        written.append(" " * round((line.left - edge) / max(width, 0.1)) + line.text.replace("\xad", "-"))
    return "\n".join(written)


def _item(line: Line) -> re.Match[str] | None:
    return _BULLET.match(line.text) or _NUMBER.match(line.text)


def _ordered(line: Line) -> bool:
    return _NUMBER.match(line.text) is not None
