"""The extractive answer: which part of a section is shown, and the citation that proves it.

It is the whole section, or the part around the words that answer up to a length that people read in a chat: the paragraph, list
or table rows with a fact, the steps with their commands. A stored pair gives its answer. Nothing is cut in the middle of a
sentence, item, row or command, and every quote stands in the document exactly like this.
"""

import re
import urllib.parse
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bot.core.documents import Block, Form, FoundPassage, address_at
from bot.core.markup import Markup, Piece, inline_markdown, text_of
from bot.core.messages import Citation
from bot.core.text import Span, stripped
from bot.engine.readable import readable
from bot.engine.sections import Section
from bot.engine.tables import cell_asked_for
from bot.knowledge.passages import introduces

# The questions that one sentence seldom answers: how to do something, what to do about a symptom, all of something.
_WANTS_STEPS = re.compile(
    r"\bhow (?:do|does|can|could|should|would|to|shall|did|come)\b|\bhow's\b|\b(?:list|show|explain|describe|walk)\b|"
    r"\b(?:what|which) (?:are|were) (?:the|all|my|some)\b|\b(?:what|which) \w+s (?:are|can|do|does|exist)\b|"
    r"\b(?:steps|ways? to|instructions|set ?up|install|configure|fix|troubleshoot)\b|"
    r"\bwhat (?:do|should|can|must) (?:i|we|you)\b|\bwhy (?:do|does|is|are|did|can'?t|won'?t|am)\b|"
    r"\b(?:can'?t|cannot|can not|won'?t|doesn'?t|does not|didn'?t|isn'?t|not) (?:\w+ ){0,2}(?:work|start|open|connect|load|"
    r"find|show|run|get|see|log)|\b(?:errors?|fail(?:s|ed|ing)?|broken|crash(?:es|ed)?|stuck|problem|issue|not working)\b",
    re.IGNORECASE,
)
# As much as people read of an answer in a chat; the rest of a section follows on request. A fact gets no less: it is marked in
# bold, and what stands around it answered more often than a guess at the one sentence.
_LONGEST_ANSWER = 900  # characters
# Of code up to a length, only so much counts towards these limits: a log is skimmed, and what to do about it stands below.
_SKIMMED, _SKIMMED_UP_TO = 300, 1500  # characters
# In a longer table nobody wants to look for the row that they asked for.
_MANY_ROWS = 10
# Nobody reads a longer block in a chat, not even where all of it is asked for.
_LONGEST_BLOCK = 3000  # characters
# What begins so needs what stands before it to be understood.
_LEANS_BACK = re.compile(
    r"[*_`\"'(]*(?:it|its|this|that|these|those|they|their|them|he|she|his|her|such|so|then|thus|hence|therefore|"
    r"otherwise|instead|however|but|and|also|in (?:this|that|which) (?:case|way)|if (?:so|not)|to do (?:so|this|that))\b",
    re.IGNORECASE,
)
_SAYS_NOTHING = re.compile(r"[^\n]*[:?][*_`\s]*")
_MARKS = re.compile(r"\*+|_+|`+|~+")
_LIST_MARKER = re.compile(r"\n[ \t]*+(?:[-*+•]|\d{1,9}[.)])\s")
_FENCE = re.compile(r" {0,3}(?:`{3,}|~{3,})")


@dataclass(frozen=True, slots=True)
class Composed:
    """`span` stands in `text` word for word and is what answers; `form` is that of the block it is from. `more` is what follows
    in the same section; empty where there is nothing."""

    pieces: tuple[Piece, ...]
    span: str
    citation: Citation
    form: Form
    more_pieces: tuple[Piece, ...] = ()

    @property
    def text(self) -> str:
        return text_of(self.pieces)

    @property
    def more(self) -> str:
        return text_of(self.more_pieces)

    @property
    def says_something(self) -> bool:
        """Whether it is more than the announcement of what doesn't follow, or a question."""
        return _SAYS_NOTHING.fullmatch(self.text) is None


def wants_steps(question: str) -> bool:
    """Whether a question asks how to do something, what to do about a symptom, or for all of something, not for one fact."""
    return _WANTS_STEPS.search(question) is not None


def compose(question: str, section: Section, base_url: str = "") -> Composed:
    """The answer that a section gives."""
    cell = cell_asked_for(question, section.block) if section.block.form is Form.TABLE else None
    section = replace(section, span=cell or section.span)
    first, last = _extent(section)
    spans = [(0, len(block.text)) for block in section.blocks]
    spans[section.place] = _unit(section.block, section.span, wants_steps(question), only_row=cell is not None)
    # In a table, other rows may stand before the one that is shown.
    left = list(spans)
    left[last] = (0 if cell and spans[last][0] else spans[last][1], len(section.blocks[last].text))
    address = _address(section.found, base_url) or ""
    quoted = [(block, stripped(block.text, spans[n])) for n, block in enumerate(section.blocks) if first <= n <= last]
    start, end = stripped(section.block.text, section.span)
    return Composed(
        merged(_pieces(section, range(first, last + 1), spans, address, section.span)),
        section.block.text[start:end],
        _cite_all(section.found, quoted, base_url),
        section.block.form,
        merged(_pieces(section, range(last, len(section.blocks)), left, address)),
    )


def _pieces(
    section: Section, numbers: range, spans: Sequence[Span], address: str, words: Span | None = None
) -> list[Piece]:
    """The pieces of some blocks, with `words` of the block that answers in bold, and with names of the subsections."""
    pieces: list[Piece] = []
    for number in numbers:
        block = section.blocks[number]
        if not block.text[slice(*spans[number])].strip("\n"):
            continue
        goes_on = bool(pieces) and _goes_on(section.blocks[number - 1], block)
        marked = words if number == section.place else None
        piece = _piece(block, spans[number], address, marked, with_header=not goes_on)
        if goes_on:
            pieces[-1] = Piece(f"{pieces[-1].text}\n{piece.text}")
        else:
            pieces += [*_heading(section, number, numbers[0]), piece]
    return pieces


def merged(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """The pieces without empty ones, and with neighbours that are Markdown as one."""
    found: list[Piece] = []
    for piece in pieces:
        if not piece.text:
            continue
        if found and found[-1].markup is piece.markup is Markup.MARKDOWN:
            piece = Piece(text_of((found.pop(), piece)))
        found.append(piece)
    return tuple(found)


def _heading(section: Section, number: int, first: int) -> list[Piece]:
    """The heading of the subsection that block `number` begins, if any, unless it is the `first` that is shown."""
    block = section.blocks[number]
    if number == first or block.heading == section.blocks[number - 1].heading:
        return []
    return [Piece(f"**{inline_markdown(block.heading[-1])}**")]


def _piece(block: Block, span: Span, address: str, words: Span | None = None, *, with_header: bool = True) -> Piece:
    """A piece of a block, with the words that answer in bold, and rows of a table below its header."""
    start, end = span[1] - len(block.text[slice(*span)].lstrip("\n")), span[1]
    text = block.text[start:end].rstrip("\n")
    bold = stripped(block.text, (max(words[0], start), min(words[1], end))) if words else (0, 0)
    may_be_bold = bold[0] < bold[1] and bold != stripped(block.text, span) and not _is_in_head(block, bold)
    header = _header_above(block, start) if block.form is Form.TABLE and with_header else ""
    if block.markup is Markup.MARKDOWN:
        if words and may_be_bold and block.form is not Form.CODE:
            text = _emphasised(block.text, (start, start + len(text)), words)
        text = _fenced(block, text.rstrip()) if block.form is Form.CODE else readable(header + text, address)
        return Piece(text.strip("\n"))
    marked = (bold[0] - start + len(header), bold[1] - start + len(header)) if may_be_bold else None
    if block.form is Form.TABLE:
        return Piece(_table_of_plain_cells(header + text, block.markup, marked))
    return Piece(text, Markup.CODE) if block.form is Form.CODE else Piece(text, block.markup, marked)


def _header_above(block: Block, start: int) -> str:
    """The header rows that the rows of a table from character `start` on are shown below; empty if they begin with it."""
    header = block.header
    return f"{header}\n" if block.context or start >= len(header) else ""


def _is_in_head(block: Block, words: Span) -> bool:
    """Whether words are in the head of a table, which answers nothing."""
    return block.form is Form.TABLE and not block.context and words[0] < len(block.header)


def _extent(section: Section) -> tuple[int, int]:
    """The numbers of the first and the last block that are shown."""
    blocks, place = section.blocks, section.place
    sizes = [_size(block) for block in blocks]
    if sum(sizes) <= _LONGEST_ANSWER:
        return 0, len(blocks) - 1
    first = last = place
    while first and (introduces(blocks[first - 1], blocks[first]) or _LEANS_BACK.match(blocks[first].text)):
        first -= 1
    filled = sum(sizes[first : place + 1])
    while last + 1 < len(blocks):
        announced = introduces(blocks[last], blocks[last + 1]) and sizes[last + 1] <= _LONGEST_BLOCK
        if not announced and filled + sizes[last + 1] > _LONGEST_ANSWER:
            break
        last += 1
        filled += sizes[last]
    while first and filled + sizes[first - 1] <= _LONGEST_ANSWER:
        first -= 1
        filled += sizes[first]
    if last > place and last + 1 < len(blocks) and introduces(blocks[last], blocks[last + 1]):
        last -= 1  # an announcement without what it announces
    return first, last


def _size(block: Block) -> int:
    """What a block counts towards the limits, in characters."""
    size = len(block.text)
    return min(size, _SKIMMED) if block.form is Form.CODE and size <= _SKIMMED_UP_TO else size


def _unit(block: Block, words: Span, steps: bool, *, only_row: bool) -> Span:
    """The part of a block that is shown: all of it, unless it is too long for a chat.

    `only_row`: of a table with many rows the one that has the words.
    """
    whole = (0, len(block.text))
    longest = _LONGEST_BLOCK if block.form is Form.CODE or (steps and block.form is Form.LIST) else _LONGEST_ANSWER
    pieces = block.pieces()
    one_of_many = only_row and len(pieces) > _MANY_ROWS
    if block.form is Form.PAIR or (len(block.text) <= longest and not one_of_many):
        return whole
    touched = [n for n, piece in enumerate(pieces) if piece[1] > words[0] and piece[0] < words[1]]
    if not touched:
        return whole
    low, high = touched[0], touched[-1]
    if block.form is Form.TABLE:
        return pieces[low][0], pieces[high][1]
    while True:  # what follows first, then what stands before
        if high + 1 < len(pieces) and pieces[high + 1][1] - pieces[low][0] <= _LONGEST_ANSWER:
            high += 1
        elif low and pieces[high][1] - pieces[low - 1][0] <= _LONGEST_ANSWER:
            low -= 1
        else:
            return pieces[low][0], pieces[high][1]


def _goes_on(above: Block, block: Block) -> bool:
    """Whether a block has further rows of the table above, which an empty row divides from it."""
    if block.form is not Form.TABLE or above.form is not Form.TABLE or block.heading != above.heading:
        return False
    return block.context == above.header


def _table_of_plain_cells(text: str, markup: Markup, bold: Span | None) -> str:
    """The rows as Markdown, for the cells of which each character stands for itself; `bold` is marked within one cell."""
    if bold and "|" in text[slice(*bold)]:
        bold = None

    def cell(found: re.Match[str]) -> str:
        words, start = found[0], found.start()
        low, high = (max(bold[0] - start, 0), min(bold[1] - start, len(words))) if bold else (0, 0)
        marked = (low, high) if low < high and "\\|" not in words else None
        return Piece(words.replace("\\|", "|"), markup, marked).within_markdown().replace("|", "\\|")

    return re.sub(r"(?:[^|\n]|(?<=\\)\|)+", cell, text)


def _fenced(block: Block, text: str) -> str:
    """Code with the fences that it lacks: indented code has none, and a part of fenced code at most one."""
    number, count = block.part
    first, _, rest = text.partition("\n")
    opening = _FENCE.match(first) if number == 0 else None
    closing = _FENCE.match(rest.rpartition("\n")[2]) if number == count - 1 else None
    if opening and closing:
        return text
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = (opening or closing or ["`" * max(3, longest + 1)])[0].strip()
    return "\n".join([*([] if opening else [fence]), text, *([] if closing else [fence])])


def _emphasised(text: str, shown: Span, words: Span) -> str:
    """The shown part of a text with the words in bold, where that changes something and no markup gets in the way."""
    start, end = stripped(text, (max(words[0], shown[0]), min(words[1], shown[1])))
    before, marked, after = text[shown[0] : start], text[start:end], text[end : shown[1]]
    plain_there = re.search(r"[*_`~<>\[\]|]", marked) is None and not after[:1].isalnum()
    plain_there &= marked[:1].isalnum() or not before[-1:].isalnum()
    begins_line = not before.rpartition("\n")[2].strip()
    with_marker = _LIST_MARKER.search(f"\n{marked}" if begins_line else marked)
    within_markup = any(count % 2 for count in Counter(_MARKS.findall(before)).values())
    within_link = before.count("[") != before.count("]") or before.endswith("](") or re.search(r"\]\([^)]*$", before)
    if not (before + after).strip() or not plain_there or with_marker or within_markup or within_link:
        return before + marked + after
    return f"{before}**{marked}**{after}"


def cite(found: FoundPassage, block: Block, span: Span, base_url: str = "") -> Citation:
    """The citation of a piece of a block."""
    locator = block.located(*span)
    return Citation(
        document=found.document,
        title=found.title,
        heading=block.heading,
        lines=locator.lines,
        page=locator.page,
        row=locator.row,
        paragraph=locator.paragraph,
        quote=block.text[slice(*span)],
        url=_address(found, base_url, locator.lines),
        markup=block.markup,
    )


def _address(found: FoundPassage, base_url: str, lines: tuple[int, int] | None = None) -> str | None:
    """Where the document is published, or these lines of it; None where that isn't known."""
    if found.url is not None:
        return address_at(found.url, lines) or None
    return f"{base_url.rstrip('/')}/{urllib.parse.quote(found.document)}" if base_url else None


def cite_passage(found: FoundPassage, base_url: str = "") -> Citation:
    """The citation of a passage as a whole."""
    return _cite_all(found, [(block, (0, len(block.text))) for block in found.passage.blocks], base_url)


def _cite_all(found: FoundPassage, pieces: Sequence[tuple[Block, Span]], base_url: str) -> Citation:
    """The citation of pieces of consecutive blocks, which stand in the quote with an empty line between them."""
    citations = [cite(found, block, span, base_url) for block, span in pieces]
    spans = [citation.lines for citation in citations if citation.lines]  # a note may stand far below what refers to it
    lines = (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None
    quote = "\n\n".join(citation.quote for citation in citations)
    return replace(citations[0], lines=lines, quote=quote, url=_address(found, base_url, lines))
