"""Split a document's blocks into passages that fit the encoder's window.

A passage is a run of consecutive blocks under one heading path. A block that is too long by itself is split where its form
allows: between sentences, list items, table rows or code lines. Every character of a document is in exactly one passage.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from bot.core.documents import Block, Document, Form, Passage, embedded_text
from bot.core.text import Span, line_spans, list_items, plain, sentences

CountTokens = Callable[[Sequence[str]], list[int]]
"""Counts the encoder's tokens in each text, without special tokens."""

# Title and headings are embedded with every passage, but a long path must leave room for the text itself.
LARGEST_PREFIX_SHARE = 0.35


def split(document: Document, count_tokens: CountTokens, largest: int) -> list[Passage]:
    """Return the passages of a document in order, each of at most `largest` tokens including title and headings.

    Only very long titles, headings, table headers and stored questions lead to longer passages.
    """
    passages: list[Passage] = []
    for heading, blocks in _sections(document.blocks):
        [prefix] = count_tokens([embedded_text(document.title, heading, "")])
        room = largest - min(prefix, int(largest * LARGEST_PREFIX_SHARE))
        parts = list(_parts(blocks, count_tokens, room))
        sizes = count_tokens([searched_text(part) for part in parts])
        passages.extend(_passage(heading, group) for group in _groups(list(zip(parts, sizes, strict=True)), room))
    return passages


def searched_text(block: Block) -> str:
    """Return the text of a block for the indexes: with its context and without markup."""
    return "\n".join(filter(None, (plain(block.context), plain(block.text))))


def introduces(block: Block, following: Block) -> bool:
    """Return whether a paragraph only announces the list, code or table after it."""
    return (
        block.form is Form.PARAGRAPH
        and following.form in (Form.LIST, Form.CODE, Form.TABLE)
        and block.text.rstrip(" \n*_`").endswith(":")
    )


def _sections(blocks: Sequence[Block]) -> Iterator[tuple[tuple[str, ...], list[Block]]]:
    """Yield runs of blocks under one heading path. A question-answer pair is a section of its own."""
    run: list[Block] = []
    for block in blocks:
        if run and (block.heading != run[-1].heading or Form.PAIR in (block.form, run[-1].form)):
            yield run[0].heading, run
            run = []
        run.append(block)
    if run:
        yield run[0].heading, run


def _groups(parts: list[tuple[Block, int]], room: int) -> Iterator[list[Block]]:
    """Yield groups of consecutive parts that fit. An introduction stays with its list if both fit."""
    group: list[tuple[Block, int]] = []
    filled = 0
    for part, size in parts:
        if group and filled + size > room:
            announcing = len(group) > 1 and introduces(group[-1][0], part) and group[-1][1] + size <= room
            carried = [group.pop()] if announcing else []
            yield [block for block, _ in group]
            group, filled = carried, sum(size for _, size in carried)
        group.append((part, size))
        filled += size
    if group:
        yield [block for block, _ in group]


def _passage(heading: tuple[str, ...], blocks: list[Block]) -> Passage:
    return Passage(tuple(blocks), heading, "\n".join(searched_text(block) for block in blocks))


# --- splitting blocks that are too long -------------------------------------------------------------------------------


def _parts(blocks: Iterable[Block], count_tokens: CountTokens, room: int) -> Iterator[Block]:
    blocks = list(blocks)
    for block, size in zip(blocks, count_tokens([searched_text(block) for block in blocks]), strict=True):
        if size <= room:
            yield block
        else:
            yield from _split_block(block, count_tokens, room)


def _split_block(block: Block, count_tokens: CountTokens, room: int) -> Iterator[Block]:
    context = _shared_context(block)
    if context:
        room = max(room // 2, room - count_tokens([plain(context)])[0])
    pieces = _fitting(block.text, units(block), count_tokens, room)
    sizes = count_tokens([plain(block.text[start:end]) for start, end in pieces])
    borders, filled = [0], 0
    for (start, _), size in zip(pieces, sizes, strict=True):
        if filled and filled + size > room:
            borders.append(start)
            filled = 0
        filled += size
    yield from _cut(block, [*borders, len(block.text)], context)


def _cut(block: Block, borders: Sequence[int], context: str) -> Iterator[Block]:
    """Yield the parts between the borders. White space between two parts belongs to the first one."""
    texts = [block.text[start:end] for start, end in pairwise(borders)]
    places = [(start, start + len(text.rstrip())) for start, text in zip(borders, texts, strict=False)]
    for number, (text, locator) in enumerate(zip(texts, block.locators(places), strict=True)):
        part = (number, len(texts))
        yield replace(block, text=text, context=context if number else block.context, locator=locator, part=part)


def _shared_context(block: Block) -> str:
    """Return the context for every part after the first: the header of a table, the question of a pair."""
    return block.header if block.form is Form.TABLE else block.context


def units(block: Block) -> list[Span]:
    """Return the smallest pieces into which a block may be split: its sentences, items, or lines."""
    if block.form is Form.LIST:
        return list_items(block.text)
    if block.form in (Form.CODE, Form.TABLE):
        return line_spans(block.text)
    return sentences(block.text)


def _fitting(text: str, units: list[Span], count_tokens: CountTokens, room: int) -> list[Span]:
    """Return the units. A unit that is too long is cut between words, or within a very long word."""
    fitting: list[Span] = []
    for unit, size in zip(units, count_tokens([text[start:end] for start, end in units]), strict=True):
        if size <= room or unit[1] - unit[0] == 1:
            fitting.append(unit)
        else:
            # Tokens are spread evenly enough over a long text for nearly all of these to fit.
            pieces = _pieces(text, unit, int(size / room / 0.9) + 1)
            fitting.extend(_fitting(text, pieces, count_tokens, room))
    return fitting


def _pieces(text: str, span: Span, count: int) -> list[Span]:
    """Split a span into `count` pieces of about the same length, after white space if possible."""
    start, end = span
    borders = [start]
    for number in range(1, count):
        target = start + (end - start) * number // count
        space = max(text.rfind(mark, borders[-1], target) for mark in " \n")
        border = target if space < 0 else space + 1
        if border > borders[-1]:
            borders.append(border)
    return list(pairwise([*borders, end]))
