"""Reassemble the section of a passage: all blocks under its heading and the subheadings.

The index splits long sections into passages and long blocks into parts. An answer is composed from the section, so that steps
keep their commands and tables their rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.core.documents import Block, Form, FoundPassage
from bot.core.text import Span
from bot.knowledge.search import Retriever

# The number of passages fetched to either side of the one found. A longer section is incomplete.
_REACH = 6


@dataclass(frozen=True, slots=True)
class Section:
    """The fetched blocks of a section and its subsections in order, with the position of the answering words.

    `position` is the index of the block with these words, `span` their characters in it. `found` is the passage of the block,
    which lies in the blocks from the first to the last index of `found_blocks`.
    """

    found: FoundPassage
    blocks: tuple[Block, ...]
    position: int
    span: Span
    found_blocks: tuple[int, int]

    @property
    def block(self) -> Block:
        return self.blocks[self.position]


async def section_of(retriever: Retriever, found: FoundPassage, position: int, span: Span) -> Section:
    """Return the section around characters `span` of block `position` of a passage. Raises IndexUnavailable."""
    wanted = found.passage.blocks[position]
    if wanted.form is Form.PAIR and wanted.part[1] == 1:
        return Section(found, (wanted,), 0, span, (0, 0))
    first, last = found.positions
    around = await retriever.passages(found.document, max(0, first - _REACH), last + _REACH)
    blocks = [block for passage in around for block in passage.blocks]
    start = next((number for number, block in enumerate(blocks) if _is_same_block(block, wanted)), None)
    if start is None:  # the document has changed since the search
        return Section(found, found.passage.blocks, position, span, (0, len(found.passage.blocks) - 1))
    low = high = start
    while low and _in_same_section(blocks[low - 1], wanted):
        low -= 1
    while high + 1 < len(blocks) and (
        _in_same_section(blocks[high + 1], wanted) or _is_in_subsection(blocks[high + 1], wanted)
    ):
        high += 1
    begin = start - position
    passage = (max(begin, low) - low, min(begin + len(found.passage.blocks) - 1, high) - low)
    return _assemble(found, blocks[low : high + 1], start - low, span, passage)


def _is_same_block(block: Block, wanted: Block) -> bool:
    return (block.text, block.heading, block.locator, block.part) == (
        wanted.text,
        wanted.heading,
        wanted.locator,
        wanted.part,
    )


def _in_same_section(block: Block, wanted: Block) -> bool:
    pair = Form.PAIR in (block.form, wanted.form)
    return block.heading == wanted.heading and (not pair or block.context == wanted.context)


def _is_in_subsection(block: Block, wanted: Block) -> bool:
    """Whether a block is in a subsection of the section of another."""
    depth = len(wanted.heading)
    return (
        Form.PAIR not in (block.form, wanted.form)
        and len(block.heading) > depth > 0
        and block.heading[:depth] == wanted.heading
    )


def _assemble(
    found: FoundPassage, blocks: Sequence[Block], position: int, span: Span, passage: tuple[int, int]
) -> Section:
    """Return the section with the parts of each block joined, and `position`, `span` and `passage` moved accordingly.

    `passage` are the numbers of the first and the last block of the passage found.
    """
    whole: list[Block] = []
    numbers: list[int] = []  # of the joined block of each part
    while len(numbers) < len(blocks):
        run = [blocks[len(numbers)]]
        while len(numbers) + len(run) < len(blocks) and _follows(blocks[len(numbers) + len(run)], run[-1]):
            run.append(blocks[len(numbers) + len(run)])
        numbers += [len(whole)] * len(run)
        whole.append(_join(run))
    offset = sum(len(blocks[part].text) for part in range(position) if numbers[part] == numbers[position])
    first, last = passage
    return Section(
        found,
        tuple(whole),
        numbers[position],
        (span[0] + offset, span[1] + offset),
        (numbers[first], numbers[last]),
    )


def _follows(block: Block, before: Block) -> bool:
    """Whether two blocks are consecutive parts of the same block."""
    return block.form is before.form and block.part == (before.part[0] + 1, before.part[1])


def _join(parts: Sequence[Block]) -> Block:
    first, last = parts[0], parts[-1]
    if len(parts) == 1:
        return first
    lines = first.locator.lines and last.locator.lines and (first.locator.lines[0], last.locator.lines[1])
    complete = first.part[0] == 0 and last.part[0] == last.part[1] - 1
    return replace(
        first,
        text="".join(part.text for part in parts),
        locator=replace(first.locator, lines=lines),
        part=(0, 1) if complete else first.part,
    )
