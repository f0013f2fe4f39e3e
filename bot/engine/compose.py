"""The extractive answer: which part of a section is shown, and the citation that proves it.

A question for a fact gets the paragraph, list or table rows that hold it; a how-to or a symptom gets the section's steps with
their commands, up to a length that people read in a chat; a stored pair gets its answer. Nothing is cut in the middle of a
sentence, item, row or command, and every quote stands in the document exactly like this.
"""

import re
import urllib.parse
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bot.core.documents import Block, Form, FoundPassage
from bot.core.markup import Markup, Piece, inline_markdown, text_of
from bot.core.messages import Citation
from bot.core.text import Span, line_spans, list_items, sentences, stripped
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
# As much as people read of an answer in a chat; the rest of a section follows on request.
_LONGEST_ANSWER = 900  # characters
# A section up to this length is easier to read whole than a part of it without the rest.
_SHORT_SECTION = 700  # characters
# Of a longer section a fact is shown with what stands around it.
_AROUND_FACT = 450  # characters
# Of code up to a length, only so much counts towards these limits: a log is skimmed, and what to do about it stands below.
_SKIMMED, _SKIMMED_UP_TO = 300, 1500  # characters
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
    if section.block.form is Form.TABLE and (cell := cell_asked_for(question, section.block)):
        section = replace(section, span=cell)
    first, last = _extent(section, steps=wants_steps(question))
    address = _address(section.found, base_url) or ""
    shown: list[Piece] = []
    rest: list[Piece] = []
    quoted = []
    for number in range(first, last + 1):
        block = section.blocks[number]
        unit = _unit(block, section.span, wants_steps(question)) if number == section.place else (0, len(block.text))
        words = section.span if number == section.place else None
        shown += [*_heading(section, number, first), _piece(block, unit, address, words)]
        quoted.append((block, stripped(block.text, unit)))
        if number == last and block.text[unit[1] :].strip("\n"):
            rest = [_piece(block, (unit[1], len(block.text)), address)]
    for number, block in enumerate(section.blocks[last + 1 :], start=last + 1):
        rest += [*_heading(section, number, 0), _piece(block, (0, len(block.text)), address)]
    start, end = stripped(section.block.text, section.span)
    return Composed(
        merged(shown),
        section.block.text[start:end],
        _cite_all(section.found, quoted, base_url),
        section.block.form,
        merged(rest),
    )


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


def _piece(block: Block, span: Span, address: str, words: Span | None = None) -> Piece:
    """A piece of a block, with the words that answer in bold."""
    text = block.text[slice(*span)]
    if block.markup is Markup.MARKDOWN or block.form is Form.TABLE:
        if words and block.form is not Form.CODE and block.markup is Markup.MARKDOWN:
            text = _emphasised(block.text, span, words)
        return Piece(_shown(block, span, text.strip("\n"), address).strip("\n"))
    if block.form is Form.CODE:
        return Piece(text.strip("\n"), Markup.CODE)
    start = span[0] + len(text) - len(text.lstrip("\n"))
    low, high = stripped(block.text, (max(words[0], start), min(words[1], span[1]))) if words else (0, 0)
    part_of_more = low < high and (low, high) != stripped(block.text, span)
    return Piece(text.strip("\n"), block.markup, (low - start, high - start) if part_of_more else None)


def _extent(section: Section, *, steps: bool) -> tuple[int, int]:
    """The numbers of the first and the last block that are shown."""
    blocks, place = section.blocks, section.place
    sizes = [_size(block) for block in blocks]
    if sum(sizes) <= (_LONGEST_ANSWER if steps else _SHORT_SECTION):
        return 0, len(blocks) - 1
    first = last = place
    while first and (introduces(blocks[first - 1], blocks[first]) or _LEANS_BACK.match(blocks[first].text)):
        first -= 1
    filled = sum(sizes[first : place + 1])
    limit = _LONGEST_ANSWER if steps else _AROUND_FACT
    while last + 1 < len(blocks):
        announced = introduces(blocks[last], blocks[last + 1]) and sizes[last + 1] <= _LONGEST_BLOCK
        if not announced and filled + sizes[last + 1] > limit:
            break
        last += 1
        filled += sizes[last]
    while first and filled + sizes[first - 1] <= limit:
        first -= 1
        filled += sizes[first]
    if last > place and last + 1 < len(blocks) and introduces(blocks[last], blocks[last + 1]):
        last -= 1  # an announcement without what it announces
    return first, last


def _size(block: Block) -> int:
    """What a block counts towards the limits, in characters."""
    size = len(block.text)
    return min(size, _SKIMMED) if block.form is Form.CODE and size <= _SKIMMED_UP_TO else size


def _unit(block: Block, words: Span, steps: bool) -> Span:
    """The part of a block that is shown: all of it, unless it is too long for a chat."""
    whole = (0, len(block.text))
    longest = _LONGEST_BLOCK if block.form is Form.CODE or (steps and block.form is Form.LIST) else _LONGEST_ANSWER
    if block.form is Form.PAIR or len(block.text) <= longest:
        return whole
    pieces = _pieces(block)
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


def _pieces(block: Block) -> list[Span]:
    """The smallest whole pieces of a block: sentences, list items, table rows, lines of code."""
    if block.form is Form.LIST:
        return list_items(block.text)
    if block.form in (Form.TABLE, Form.CODE):
        return line_spans(block.text)
    return sentences(block.text)


def _shown(block: Block, span: Span, text: str, address: str) -> str:
    """`text`, a piece of a block, as Markdown that can be understood on its own: rows below their header, code in a fence.

    `address` is that of the document, for its links; empty where it isn't known.
    """
    if block.form is Form.CODE:
        return _fenced(block, text.rstrip())
    if block.form is Form.TABLE:
        header = block.context or "\n".join(block.text.split("\n")[:2])
        text = text if span[0] < len(header) and not block.context else f"{header}\n{text}"
        if block.markup is not Markup.MARKDOWN:
            return _table_of_plain_cells(text, block.markup)
    return readable(text, address)


def _table_of_plain_cells(text: str, markup: Markup) -> str:
    """The rows as Markdown, for the cells of which each character stands for itself."""

    def cell(words: str) -> str:
        runs = Piece(words.replace("\\|", "|"), markup).runs
        return "".join(f"`{said}`" if code else inline_markdown(said) for said, _, code in runs).replace("|", "\\|")

    return "\n".join("|".join(map(cell, re.split(r"(?<!\\)\|", line))) for line in text.split("\n"))


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
        url=_address(found, base_url),
        markup=block.markup,
    )


def _address(found: FoundPassage, base_url: str) -> str | None:
    """Where the document is published; None where that isn't known."""
    return found.url or (f"{base_url.rstrip('/')}/{urllib.parse.quote(found.document)}" if base_url else None)


def cite_passage(found: FoundPassage, base_url: str = "") -> Citation:
    """The citation of a passage as a whole."""
    return _cite_all(found, [(block, (0, len(block.text))) for block in found.passage.blocks], base_url)


def _cite_all(found: FoundPassage, pieces: Sequence[tuple[Block, Span]], base_url: str) -> Citation:
    """The citation of pieces of consecutive blocks, which stand in the quote with an empty line between them."""
    citations = [cite(found, block, span, base_url) for block, span in pieces]
    first, last = citations[0], citations[-1]
    lines = (first.lines[0], last.lines[1]) if first.lines and last.lines else None
    return replace(first, lines=lines, quote="\n\n".join(citation.quote for citation in citations))
