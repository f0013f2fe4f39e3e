"""The extractive answer: which words of the passage are shown, and the citation that proves them.

A question for a fact gets the sentence, list item or table row that answers; a how-to gets the whole list or code block; a
stored pair gets its answer. Nothing is cut in the middle, and every quote stands in the document exactly like this.
"""

import re
import urllib.parse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.core.documents import Block, Form, FoundPassage, Passage
from bot.core.messages import Citation
from bot.core.text import Span, line_spans, list_items, sentences, stripped
from bot.knowledge.passages import introduces

_WANTS_ALL = re.compile(
    r"\s*(?:(?:and|so|ok(?:ay)?|please|but|hi|hello|hey)[, ]+)*"
    r"(?:how (?:do|does|can|could|should|would|to|shall|did)\b|how's\b|(?:what|which) (?:are|were) (?:the|all|my|some)\b|"
    r"(?:list|show|name|give|tell|explain|describe|walk)\b|what (?:steps|do i (?:need|have)|must i)\b|"
    r"(?:what|which) \w+s (?:are|can|do|does|exist)\b|steps\b|ways? to\b|(?:can|could) (?:you|i|we)\b.*\bhow\b)",
    re.IGNORECASE,
)
# A list or table up to this length is easier to read whole than a part of it without the rest.
_SHORT_BLOCK = 600  # characters
# A longer one is quoted in part, for nobody reads it in a chat.
_LONGEST_BLOCK = 6000  # characters
# A sentence that begins so needs the one before it to be understood.
_LEANS_BACK = re.compile(
    r"[*_`\"'(]*(?:it|its|this|that|these|those|they|their|them|he|she|his|her|such|so|then|thus|hence|therefore|"
    r"otherwise|instead|however|but|and|also|in (?:this|that|which) (?:case|way)|if (?:so|not)|to do (?:so|this|that))\b",
    re.IGNORECASE,
)
_MARKS = re.compile(r"\*+|_+|`+|~+")
_FENCE = re.compile(r" {0,3}(?:`{3,}|~{3,})")


@dataclass(frozen=True, slots=True)
class Composed:
    """`text` is Markdown; `span` stands in it word for word and is what answers; `form` is that of the block it is from."""

    text: str
    span: str
    citation: Citation
    form: Form


def wants_all(question: str) -> bool:
    """Whether a question asks how to do something, or for all of something, rather than for one fact."""
    return _WANTS_ALL.match(question) is not None


def answering_block(question: str, found: FoundPassage, place: int, words: Span) -> tuple[int, Span | None]:
    """The block that answers and the words in it: what is announced, all of it (None), in place of its announcement.

    Where everything is asked for, any sentence of the announcing paragraph counts, else only the announcing one.
    """
    blocks = found.passage.blocks
    block = blocks[place]
    announces = wants_all(question) or unit_with(block, words)[1] >= len(block.text.rstrip())
    if announces and place + 1 < len(blocks) and introduces(block, blocks[place + 1]):
        return place + 1, None
    return place, words


def compose(question: str, found: FoundPassage, place: int, words: Span | None, base_url: str = "") -> Composed:
    """The answer that the `words` of block number `place` give, or all of that block (None).

    The block must be whole; see `with_whole_block`.
    """
    blocks = found.passage.blocks
    block = blocks[place]
    if words is None or wants_all(question) or block.form in (Form.CODE, Form.PAIR):
        return _everything(found, place, words, base_url)
    unit = unit_with(block, words)
    if block.form is Form.PARAGRAPH:
        shown = _with_what_it_leans_on(block, unit)
        return _composed(found, block, unit, words, _emphasised(block.text, shown, words), base_url)
    if len(block.text) <= _SHORT_BLOCK:
        unit = (0, len(block.text))
    bold = _emphasised(block.text, unit, words) if _within_an_item(block, words) else block.text[slice(*unit)]
    text = _shown(block, unit, bold)
    return _composed(found, block, unit, words, _announced(blocks, place, text), base_url)


def _everything(found: FoundPassage, place: int, words: Span | None, base_url: str) -> Composed:
    """The whole block; of one that is too long for a chat the part that the words stand in, of a paragraph that in bold."""
    blocks = found.passage.blocks
    block = blocks[place]
    whole = (0, len(block.text))
    if block.form is Form.PARAGRAPH and words is not None:
        unit = unit_with(block, words)
        return _composed(found, block, unit, unit, _emphasised(block.text, whole, unit), base_url)
    keep_whole = words is None or block.form is Form.PAIR or len(block.text) <= _LONGEST_BLOCK
    unit = whole if keep_whole or words is None else unit_with(block, words)
    text = _shown(block, unit, block.text[slice(*unit)])
    return _composed(found, block, unit, unit, _announced(blocks, place, text), base_url)


def unit_with(block: Block, words: Span) -> Span:
    """The smallest whole piece that has the words: sentences, list items or table rows; else all of the block."""
    if block.form is Form.PARAGRAPH:
        pieces = sentences(block.text)
    elif block.form is Form.LIST:
        pieces = list_items(block.text)
    elif block.form is Form.TABLE:
        pieces = line_spans(block.text)
    else:
        pieces = [(0, len(block.text))]
    touched = [piece for piece in pieces if piece[1] > words[0] and piece[0] < words[1]]
    return (touched[0][0], touched[-1][1]) if touched else (0, len(block.text))


def _within_an_item(block: Block, words: Span) -> bool:
    """Whether the words stand on one line of a list or table, behind what makes it an item."""
    line = block.text[block.text.rfind("\n", 0, words[0]) + 1 : words[1]]
    before = line[: len(line) - (words[1] - words[0])]
    return "\n" not in line and bool(re.search(r"[\w|.)*+-]", before))


def _with_what_it_leans_on(block: Block, unit: Span) -> Span:
    """The sentence; with the one before it where it could not be understood without."""
    if _LEANS_BACK.match(block.text[slice(*unit)]):
        earlier = [other for other in sentences(block.text) if other[1] <= unit[0]]
        if earlier:
            return earlier[-1][0], unit[1]
    return unit


def _announced(blocks: Sequence[Block], place: int, text: str) -> str:
    """The text below the sentence that announces its block, if there is one."""
    if place and introduces(blocks[place - 1], blocks[place]):
        return f"{blocks[place - 1].text}\n\n{text}"
    return text


def _shown(block: Block, span: Span, text: str) -> str:
    """`text`, a piece of a block, as Markdown that can be understood on its own: rows below their header, code in a fence."""
    if block.form is Form.TABLE:
        header = block.context or "\n".join(block.text.split("\n")[:2])
        return text if span[0] < len(header) and not block.context else f"{header}\n{text}"
    return _fenced(block, text.rstrip()) if block.form is Form.CODE else text


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
    within_markup = any(count % 2 for count in Counter(_MARKS.findall(before)).values())
    within_link = before.count("[") != before.count("]") or before.endswith("](") or re.search(r"\]\([^)]*$", before)
    if not (before + after).strip() or not plain_there or within_markup or within_link:
        return before + marked + after
    return f"{before}**{marked}**{after}"


def _composed(found: FoundPassage, block: Block, unit: Span, words: Span, text: str, base_url: str) -> Composed:
    """The unit is what is quoted, the words in it are the span."""
    start, end = stripped(block.text, words)
    citation = cite(found, block, stripped(block.text, unit), base_url)
    return Composed(text.strip("\n"), block.text[start:end], citation, block.form)


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
        url=found.url or (f"{base_url.rstrip('/')}/{urllib.parse.quote(found.document)}" if base_url else None),
    )


def cite_passage(found: FoundPassage, base_url: str = "") -> Citation:
    """The citation of a passage as a whole."""
    blocks = found.passage.blocks
    first = cite(found, blocks[0], (0, len(blocks[0].text)), base_url)
    last = blocks[-1].locator.lines
    lines = (first.lines[0], last[1]) if first.lines and last else None
    return replace(first, lines=lines, quote="\n\n".join(block.text for block in blocks))


# --- blocks that were split for the index -----------------------------------------------------------------------------

# A block of more parts than this is too long to be shown whole anyway.
_MOST_PARTS = 12


def parts_to_fetch(block: Block) -> tuple[int, int] | None:
    """How many passages before and after hold the rest of what is shown whole, and before it what announces it.

    None where nothing is missing.
    """
    number, count = block.part
    if count == 1 or count > _MOST_PARTS or block.form is Form.PARAGRAPH:
        return None
    return number + 1, count - 1 - number


def with_whole_block(
    found: FoundPassage, place: int, span: Span | None, around: Sequence[Passage]
) -> tuple[FoundPassage, int, Span | None]:
    """The passage with a split block put together again from the passages around it, and place and span in that."""
    blocks = found.passage.blocks
    there = [block for passage in around for block in passage.blocks]
    parts = _run_of_parts(there, blocks[place])
    if not parts:  # the document has changed since the search
        return found, place, span
    offset = sum(len(part.text) for part in parts[: blocks[place].part[0]])
    before = tuple(block for block in blocks[:place] if block not in parts) or _announcement(there, parts[0])
    after = tuple(block for block in blocks[place + 1 :] if block not in parts)
    whole = replace(found.passage, blocks=(*before, _joined(parts), *after))
    return replace(found, passage=whole), len(before), span and (span[0] + offset, span[1] + offset)


def _run_of_parts(blocks: Sequence[Block], wanted: Block) -> list[Block]:
    """All parts, in order, of the block that `wanted` is a part of; empty where not all of them are there."""
    run: list[Block] = []
    for block in blocks:
        number, count = block.part
        run = [*run, block] if number == len(run) and count == wanted.part[1] and block.form is wanted.form else []
        if len(run) == count and wanted in run:
            return run
        if len(run) == count:
            run = []
    return []


def _announcement(blocks: Sequence[Block], announced: Block) -> tuple[Block, ...]:
    """The block before, if that is what announces this one."""
    place = blocks.index(announced)
    earlier = blocks[place - 1 : place]
    return tuple(block for block in earlier if block.heading == announced.heading and introduces(block, announced))


def _joined(parts: Sequence[Block]) -> Block:
    first, last = parts[0], parts[-1]
    lines = first.locator.lines and last.locator.lines and (first.locator.lines[0], last.locator.lines[1])
    locator = replace(first.locator, lines=lines)
    return replace(first, text="".join(part.text for part in parts), locator=locator, part=(0, 1))
