"""Compose the extractive answer: the part of a section to show, and its citation.

It is the whole section, or the part around the answering words up to a length that people read in a chat: the paragraph, list
or table rows with a fact, the steps with their commands. A question-answer pair gives its answer. Nothing is cut in the middle
of a sentence, item, row or command, and every quote is copied from the document unchanged.
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
# Code up to a maximum length counts as only this much: people skim a log, and the advice about it follows below.
_SKIMMED_LENGTH, _MAX_SKIMMED_LENGTH = 300, 1500  # characters
# A paragraph of at most this length right above a list, code or a table announces it, even without a colon: of 21 where the
# answer would have ended, 18 did.
_LONGEST_ANNOUNCEMENT = 160  # characters
# Of a longer table only the row that was asked for is shown.
_MAX_ROWS = 10
# A longer block is too much for a chat, even if all of it is asked for.
_LONGEST_BLOCK = 3000  # characters
# A text that begins with one of these can't be understood without the one before it.
LEANS_BACK = re.compile(
    r"[*_`\"'(]*(?:it|its|this|that|these|those|they|their|them|he|she|his|her|such|so|then|thus|hence|therefore|"
    r"otherwise|instead|however|but|and|also|in (?:this|that|which) (?:case|way)|if (?:so|not)|to do (?:so|this|that))\b",
    re.IGNORECASE,
)
_WITHOUT_CONTENT = re.compile(r"[^\n]*[:?][*_`\s]*")
_MARKS = re.compile(r"\*+|_+|`+|~+")
_LIST_MARKER = re.compile(r"\n[ \t]*+(?:[-*+•]|\d{1,9}[.)])\s")
_LINK_TARGET = re.compile(r"(?<=\])\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*\)")
_FENCE = re.compile(r" {0,3}(?:`{3,}|~{3,})")


@dataclass(frozen=True, slots=True)
class Length:
    """How much of a section to show, in characters; the rest follows on request.

    What is shorter than `short` seldom helps, so it takes in what follows under the same heading, up to `extended` in all.
    """

    longest: int
    short: int
    extended: int


# People read about this much of an answer in a chat. The limit is the same for a fact: it is marked in bold, and showing its
# context was right more often than picking one sentence.
ANSWER_LENGTH = Length(900, 450, 1350)
# Of each section where several are suggested, so that mostly all of them fit into one message of a chat. On eleven bodies of
# documentation this much of three sections was right more often than so much as in an answer of two, and about as long.
SUGGESTION_LENGTH = Length(450, 225, 675)


@dataclass(frozen=True, slots=True)
class ComposedSection:
    """The part of a section that is the answer. `span` is the part of `text` that answers, and `form` the form of its block.

    `more` is the rest of the section, possibly empty.
    """

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
    def has_content(self) -> bool:
        """Whether the text is more than a question or an introduction ending with a colon."""
        return _WITHOUT_CONTENT.fullmatch(self.text) is None


def wants_steps(question: str) -> bool:
    """Whether a question asks for instructions, for help with a symptom or for a list, not for one fact."""
    return _WANTS_STEPS.search(question) is not None


def compose(question: str, section: Section, base_url: str = "", length: Length = ANSWER_LENGTH) -> ComposedSection:
    """Compose the answer from a section."""
    cell = cell_asked_for(question, section.block) if section.block.form is Form.TABLE else None
    section = replace(section, span=cell or section.span)
    first, last = _shown_blocks(section, length)
    spans = [(0, len(block.text)) for block in section.blocks]
    spans[section.position] = _shown_span(
        section.block, section.span, length.longest, whole_list=wants_steps(question), only_row=cell is not None
    )
    # In a table, other rows may stand before the one that is shown.
    left = list(spans)
    left[last] = (0 if cell and spans[last][0] else spans[last][1], len(section.blocks[last].text))
    address = _address(section.found, base_url) or ""
    quoted = [(block, stripped(block.text, spans[n])) for n, block in enumerate(section.blocks) if first <= n <= last]
    start, end = stripped(section.block.text, section.span)
    return ComposedSection(
        merged(_pieces(section, range(first, last + 1), spans, address, section.span)),
        section.block.text[start:end],
        _cite_all(section.found, quoted, base_url),
        section.block.form,
        merged(_pieces(section, range(last, len(section.blocks)), left, address)),
    )


def _pieces(
    section: Section, numbers: range, spans: Sequence[Span], address: str, words: Span | None = None
) -> list[Piece]:
    """Return the pieces of some blocks with the names of subsections, and with `words` of the answering block in bold."""
    pieces: list[Piece] = []
    for number in numbers:
        block = section.blocks[number]
        if not block.text[slice(*spans[number])].strip("\n"):
            continue
        goes_on = bool(pieces) and _continues_table(section.blocks[number - 1], block)
        marked = words if number == section.position else None
        piece = _piece(block, spans[number], address, marked, with_header=not goes_on)
        if goes_on:
            pieces[-1] = Piece(f"{pieces[-1].text}\n{piece.text}")
        else:
            pieces += [*_heading(section, number, numbers[0]), piece]
    return pieces


def merged(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """Return the pieces without empty ones, with consecutive Markdown pieces joined."""
    found: list[Piece] = []
    for piece in pieces:
        if not piece.text:
            continue
        if found and found[-1].markup is piece.markup is Markup.MARKDOWN:
            piece = Piece(text_of((found.pop(), piece)))
        found.append(piece)
    return tuple(found)


def _heading(section: Section, number: int, first: int) -> list[Piece]:
    """Return the heading of the subsection that block `number` begins, if any, except for the `first` block shown."""
    block = section.blocks[number]
    if number == first or block.heading == section.blocks[number - 1].heading:
        return []
    return [Piece(f"**{inline_markdown(block.heading[-1])}**")]


def _piece(block: Block, span: Span, address: str, words: Span | None = None, *, with_header: bool = True) -> Piece:
    """Return the piece for a span of a block, with `words` in bold and table rows below their header."""
    start, end = span[1] - len(block.text[slice(*span)].lstrip("\n")), span[1]
    text = block.text[start:end].rstrip("\n")
    bold = stripped(block.text, (max(words[0], start), min(words[1], end))) if words else (0, 0)
    may_be_bold = bold[0] < bold[1] and bold != stripped(block.text, span) and not _is_in_header(block, bold)
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
    """Return the header rows to show above the rows of a table from character `start` on, empty if they include it."""
    header = block.header
    return f"{header}\n" if block.context or start >= len(header) else ""


def _is_in_header(block: Block, words: Span) -> bool:
    """Whether words are in the header of a table, which is no answer."""
    return block.form is Form.TABLE and not block.context and words[0] < len(block.header)


def _shown_blocks(section: Section, length: Length) -> tuple[int, int]:
    """Return the numbers of the first and the last block to show.

    Of a section that is too long, the answering block is extended to the passage found, whose whole text is like the question,
    then forwards, then backwards, as long as it fits. If it is short then, the next block is added too.
    """
    blocks, position = section.blocks, section.position
    sizes = [_counted_size(block) for block in blocks]
    if sum(sizes) <= length.longest:
        return 0, len(blocks) - 1

    def announced(number: int) -> bool:
        """Whether the block is announced by the one before it."""
        return number < len(blocks) and _announces(blocks[number - 1], blocks[number])

    first = last = position
    while first and (announced(first) or LEANS_BACK.match(blocks[first].text)):
        first -= 1
    while announced(last + 1) and sizes[last + 1] <= _LONGEST_BLOCK:
        last += 1
    for start, end in (section.found_blocks, (position, len(blocks) - 1), (0, position)):
        while first > start and sum(sizes[first - 1 : last + 1]) <= length.longest:
            first -= 1
        while last < end and (
            sum(sizes[first : last + 2]) <= length.longest
            or (announced(last + 1) and sizes[last + 1] <= _LONGEST_BLOCK)
        ):
            last += 1
    if sum(sizes[first : last + 1]) < length.short and last + 1 < len(blocks):
        goes_on = blocks[last + 1].heading == blocks[last].heading
        last += goes_on and sum(sizes[first : last + 2]) <= length.extended
    if last > position and announced(last + 1):
        last -= 1  # an announcement without what it announces
    return first, last


def _announces(block: Block, following: Block) -> bool:
    """Whether a paragraph announces the list, code or table after it, so that people would miss that."""
    short = block.form is Form.PARAGRAPH and len(block.text) <= _LONGEST_ANNOUNCEMENT
    together = short and block.heading == following.heading and following.form in (Form.LIST, Form.CODE, Form.TABLE)
    return together or introduces(block, following)


def _counted_size(block: Block) -> int:
    """Return the length of a block as counted towards the limits, in characters: that of what people read of it."""
    size = _read_length(block, (0, len(block.text)))
    return min(size, _SKIMMED_LENGTH) if block.form is Form.CODE and size <= _MAX_SKIMMED_LENGTH else size


def _read_length(block: Block, span: Span) -> int:
    """Return the length of a span of a block in characters, without the targets of links, which people don't read."""
    text = block.text[slice(*span)]
    return len(_LINK_TARGET.sub("", text)) if block.markup is Markup.MARKDOWN else len(text)


def _shown_span(block: Block, words: Span, longest: int, *, whole_list: bool, only_row: bool) -> Span:
    """Return the span of a block to show: all of it, unless it has more than `longest` characters.

    Code, and a list if `whole_list`, may have as many as fit in a chat. `only_row`: of a table with many rows, only those with
    the words.
    """
    whole = (0, len(block.text))
    most = _LONGEST_BLOCK if block.form is Form.CODE or (whole_list and block.form is Form.LIST) else longest
    pieces = block.pieces()
    one_of_many = only_row and len(pieces) > _MAX_ROWS
    if block.form is Form.PAIR or (_read_length(block, whole) <= most and not one_of_many):
        return whole
    touched = [n for n, piece in enumerate(pieces) if piece[1] > words[0] and piece[0] < words[1]]
    if not touched:
        return whole
    low, high = touched[0], touched[-1]
    if block.form is Form.TABLE:
        return pieces[low][0], pieces[high][1]
    while True:  # extend by one piece backwards and one forwards at a time
        before = low, high
        if low and _read_length(block, (pieces[low - 1][0], pieces[high][1])) <= longest:
            low -= 1
        if high + 1 < len(pieces) and _read_length(block, (pieces[low][0], pieces[high + 1][1])) <= longest:
            high += 1
        if (low, high) == before:
            return pieces[low][0], pieces[high][1]


def _continues_table(above: Block, block: Block) -> bool:
    """Whether a block continues the table above it."""
    if block.form is not Form.TABLE or above.form is not Form.TABLE or block.heading != above.heading:
        return False
    return block.context == above.header


def _table_of_plain_cells(text: str, markup: Markup, bold: Span | None) -> str:
    """Return table rows with plain-text cells as Markdown. `bold` is only marked if it lies within one cell."""
    if bold and "|" in text[slice(*bold)]:
        bold = None

    def cell(found: re.Match[str]) -> str:
        words, start = found[0], found.start()
        low, high = (max(bold[0] - start, 0), min(bold[1] - start, len(words))) if bold else (0, 0)
        marked = (low, high) if low < high and "\\|" not in words else None
        return Piece(words.replace("\\|", "|"), markup, marked).within_markdown().replace("|", "\\|")

    return re.sub(r"(?:[^|\n]|(?<=\\)\|)+", cell, text)


def _fenced(block: Block, text: str) -> str:
    """Return code with both fences: indented code has none, and a part of fenced code at most one."""
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
    """Return the shown part of a text with the words in bold, unless they are all of it or markup prevents it."""
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
    """Return the citation of a part of a block."""
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
    """Return the URL of the published document, or of these lines of it; None if it is unknown."""
    if found.url is not None:
        return address_at(found.url, lines) or None
    return f"{base_url.rstrip('/')}/{urllib.parse.quote(found.document)}" if base_url else None


def cite_passage(found: FoundPassage, base_url: str = "") -> Citation:
    """Return the citation of a whole passage."""
    return _cite_all(found, [(block, (0, len(block.text))) for block in found.passage.blocks], base_url)


def _cite_all(found: FoundPassage, pieces: Sequence[tuple[Block, Span]], base_url: str) -> Citation:
    """Return one citation for parts of consecutive blocks, quoted with an empty line between them."""
    citations = [cite(found, block, span, base_url) for block, span in pieces]
    spans = [citation.lines for citation in citations if citation.lines]  # a footnote may be far below its reference
    lines = (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None
    quote = "\n\n".join(citation.quote for citation in citations)
    return replace(citations[0], lines=lines, quote=quote, url=_address(found, base_url, lines))
