"""Blocks -> passages that fit the encoder's window.

A passage is a run of consecutive blocks under one heading path. A block that is too long by itself is split where its
form allows: between sentences, list items, table rows or code lines. Every character of a document ends up in exactly
one passage.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from bot.documents import Block, Document, Form, Locator, Passage
from bot.text import Span, line_spans, list_items, plain, sentences

CountTokens = Callable[[Sequence[str]], list[int]]
"""Texts -> the number of the encoder's tokens in each, special tokens not counted."""

# Title and headings are embedded with every passage, but a long path must leave room for the text itself.
_LARGEST_PREFIX_SHARE = 0.35


def split(document: Document, count_tokens: CountTokens, largest: int) -> list[Passage]:
    """All passages of a document, in order, each of at most `largest` tokens with title and headings counted in.

    Only a title and headings that are very long by themselves may lead to more.
    """
    passages: list[Passage] = []
    for heading, blocks in _sections(document.blocks):
        [prefix] = count_tokens([embedded_text(document.title, heading, "")])
        room = largest - min(prefix, int(largest * _LARGEST_PREFIX_SHARE))
        parts = list(_parts(blocks, count_tokens, room))
        sizes = count_tokens([searched_text(part) for part in parts])
        passages.extend(_passage(heading, group) for group in _groups(list(zip(parts, sizes, strict=True)), room))
    return passages


def embedded_text(title: str, heading: Sequence[str], body: str) -> str:
    """What the encoder sees of a passage: where it stands, then what it says."""
    return "\n".join(filter(None, (title, " > ".join(heading), body)))


def searched_text(block: Block) -> str:
    """A block as the indexes see it: with its context, without markup."""
    return "\n".join(filter(None, (plain(block.context), plain(block.text))))


def introduces(block: Block, following: Block) -> bool:
    """Whether a paragraph is only the sentence that announces the list, code or table after it."""
    return (
        block.form is Form.PARAGRAPH
        and following.form in (Form.LIST, Form.CODE, Form.TABLE)
        and block.text.rstrip(" *_`").endswith(":")
    )


def _sections(blocks: Sequence[Block]) -> Iterator[tuple[tuple[str, ...], list[Block]]]:
    """Runs of blocks under one heading path. A stored pair is a section of its own."""
    run: list[Block] = []
    for block in blocks:
        if run and (block.heading != run[-1].heading or Form.PAIR in (block.form, run[-1].form)):
            yield run[0].heading, run
            run = []
        run.append(block)
    if run:
        yield run[0].heading, run


def _groups(parts: list[tuple[Block, int]], room: int) -> Iterator[list[Block]]:
    """Consecutive parts, as many as fit. What announces a list stays with the list where both fit."""
    group: list[tuple[Block, int]] = []
    for part, size in parts:
        if group and sum(size for _, size in group) + size > room:
            announcing = len(group) > 1 and introduces(group[-1][0], part) and group[-1][1] + size <= room
            carried = [group.pop()] if announcing else []
            yield [block for block, _ in group]
            group = carried
        group.append((part, size))
    if group:
        yield [block for block, _ in group]


def _passage(heading: tuple[str, ...], blocks: list[Block]) -> Passage:
    return Passage(tuple(blocks), heading, "\n".join(searched_text(block) for block in blocks))


# --- splitting what is too long ---------------------------------------------------------------------------------------


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
    units = _fitting(block.text, _units(block), count_tokens, room)
    sizes = count_tokens([plain(block.text[start:end]) for start, end in units])
    spans: list[Span] = []
    first, filled = 0, 0
    for position, size in enumerate(sizes):
        if position > first and filled + size > room:
            spans.append((units[first][0], units[position - 1][1]))
            first, filled = position, 0
        filled += size
    spans.append((units[first][0], units[-1][1]))
    for number, span in enumerate(spans):
        yield _part(block, span, context, (number, len(spans)))


def _shared_context(block: Block) -> str:
    """What every part after the first needs to be understood: a table's header, a stored pair's question."""
    if block.form is Form.TABLE and block.locator.lines is not None:
        return "\n".join(block.text.split("\n")[:2])
    return block.context


def _units(block: Block) -> list[Span]:
    """The smallest pieces that a block of this form may be taken apart into."""
    if block.form is Form.LIST:
        return list_items(block.text)
    if block.form in (Form.CODE, Form.TABLE):
        return line_spans(block.text)
    return sentences(block.text)


def _fitting(text: str, units: list[Span], count_tokens: CountTokens, room: int) -> list[Span]:
    """The units, those that are too long by themselves cut between words, or within a word that never ends."""
    fitting: list[Span] = []
    for (start, end), size in zip(units, count_tokens([text[start:end] for start, end in units]), strict=True):
        while size > room:
            # Tokens are spread evenly enough over a long text for this to fit, nearly always at the first try.
            cut = start + max(1, int((end - start) * room / size * 0.9))
            space = max(text.rfind(" ", start + 1, cut), text.rfind("\n", start + 1, cut))
            cut = space if space > start else cut
            fitting.append((start, cut))
            start = cut
            [size] = count_tokens([text[start:end]])
        if start < end:
            fitting.append((start, end))
    return fitting


def _part(block: Block, span: Span, context: str, part: tuple[int, int]) -> Block:
    start, end = span
    lines = block.locator.lines
    if lines is not None:
        first = lines[0] + block.text.count("\n", 0, start)
        lines = (first, first + block.text.count("\n", start, end))
    return replace(
        block,
        text=block.text[start:end],
        context=context if start else block.context,
        locator=Locator(lines=lines, page=block.locator.page, row=block.locator.row),
        part=part,
    )
