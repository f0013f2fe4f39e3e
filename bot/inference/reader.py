"""The reader: rates the relevance of passages for a question, and marks the words that answer it."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from bot.core.documents import Block, Form, FoundPassage, embedded_text
from bot.core.text import Span, sentences, stems, stripped, words
from bot.inference.span_model import SpanQuery
from bot.inference.workers import AsyncReader

# The bonus for a span whose piece has all words of the question: little beside the model's own score, but much if the pieces
# are built alike, so that nothing else tells them apart.
_ALL_COVERED, _ALL_COVERED_OF_ALIKE = 1.0, 5.0  # logits
_ALIKE = 0.5  # of their words are the same


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of reading one passage for a question.

    `relevance` is in logits, above 0 if the passage more likely answers than not. `span` are the characters of block number
    `block` (from 0) that most likely answer.
    """

    relevance: float
    block: int
    span: Span


class Reader(Protocol):
    """Rates passages, and marks the words in them that answer."""

    async def read(self, question: str, passages: Sequence[FoundPassage]) -> list[Reading | None]:
        """Return a reading of each passage, in order; None for one without words. Raises EngineBusy and DeadlineExceeded."""


class ExtractiveReader:
    """A Reader that runs the span model."""

    def __init__(self, model: AsyncReader) -> None:
        self._model = model

    async def read(self, question: str, passages: Sequence[FoundPassage]) -> list[Reading | None]:
        texts = [PassageText(found) for found in passages]
        queries = [SpanQuery(question, text.text, text.begin) for text in texts]
        readings: list[Reading | None] = []
        for found, text, judged in zip(passages, texts, await self._model.read(queries), strict=True):
            blocks = found.passage.blocks
            located = ((text.locate(scored.span), scored.score) for scored in judged.spans)
            marks = [(*answer, score) for found, score in located if found and (answer := _answer(blocks, *found))]
            readings.append(Reading(judged.relevance, *_best(question, blocks, marks)) if marks else None)
        return readings


class _Piece(NamedTuple):
    """A sentence, an item or a row: its words, and the share of the question that it covers, from 0 to 1."""

    words: Counter[str]
    covered: float


def _best(question: str, blocks: Sequence[Block], marks: Sequence[tuple[int, Span, float]]) -> tuple[int, Span]:
    """Return block and span of the mark (block, span, score) that answers best.

    The model sees that a span is of the kind that is asked for, an address or a price, but easily takes that of the next
    sentence. So it counts how much of the question the piece around it speaks of.
    """
    pieces = _pieces_of(question, blocks, marks)
    first = max(range(len(marks)), key=lambda number: marks[number][2])

    def score(number: int) -> float:
        worth = _ALL_COVERED_OF_ALIKE if _are_alike(pieces[number], pieces[first]) else _ALL_COVERED
        return marks[number][2] + worth * pieces[number].covered - worth * pieces[first].covered

    block, span, _ = marks[max(range(len(marks)), key=score)]
    return block, span


def _pieces_of(question: str, blocks: Sequence[Block], marks: Sequence[tuple[int, Span, float]]) -> list[_Piece]:
    """Return the piece around each mark. A word of the question counts the more, the fewer pieces of the passage have it."""
    asked = stems(question)
    spans = [block.pieces() for block in blocks]
    shared = [[_stems(block, span) & asked for span in of] for block, of in zip(blocks, spans, strict=True)]
    common = Counter(word for of in shared for words_shared in of for word in words_shared)
    number_of_pieces = sum(map(len, shared))
    weights = {word: math.log((number_of_pieces + 1) / (count + 0.5)) for word, count in common.items()}
    total = sum(weights.values()) or 1
    pieces = []
    for block, (start, end), _ in marks:
        held = [min(span[1], end) - max(span[0], start) for span in spans[block]]
        number = held.index(max(held))
        in_piece = Counter(words(blocks[block].text[slice(*spans[block][number])]))
        pieces.append(_Piece(in_piece, sum(weights[word] for word in shared[block][number]) / total))
    return pieces


def _stems(block: Block, span: Span) -> frozenset[str]:
    """Return those of a piece and of the heading right above it."""
    return stems(" ".join((*block.heading[-1:], block.text[slice(*span)])))


def _are_alike(one: _Piece, other: _Piece) -> bool:
    return 2 * (one.words & other.words).total() >= _ALIKE * (one.words.total() + other.words.total())


class PassageText:
    """A passage's text as the model reads it, which maps spans of it back to the blocks.

    It holds the blocks unchanged, markup included, so that quotes are the document's own words.
    """

    def __init__(self, found: FoundPassage) -> None:
        text = embedded_text(found.title, found.passage.heading, "")
        self.begin = len(text) + 1
        self._starts: list[int] = []
        self._blocks = found.passage.blocks
        for block in self._blocks:
            text += f"\n{_introduction(block)}"
            self._starts.append(len(text))
            text += block.text
        self.text = text

    def locate(self, span: Span) -> tuple[int, Span] | None:
        """Return the number of the block that holds most of the span, and the span in it; None if it lies in no block."""
        best: tuple[int, Span] | None = None
        for number, (start, block) in enumerate(zip(self._starts, self._blocks, strict=True)):
            inside = stripped(block.text, (max(0, span[0] - start), max(0, min(len(block.text), span[1] - start))))
            length = inside[1] - inside[0]
            if length > 0 and (best is None or length > best[1][1] - best[1][0]):
                best = number, inside
        return best


def _introduction(block: Block) -> str:
    """Return the text read before a block that can't be quoted: a pair's question, or a split table's header rows."""
    return f"{block.context}\n" if block.context else ""


def _answer(blocks: Sequence[Block], first: int, span: Span) -> tuple[int, Span] | None:
    """Return the span itself or, if it is a question, the first sentence or block after it that isn't one.

    None if the passage ends with questions.
    """
    for number in range(first, len(blocks)):
        block = blocks[number]
        if block.heading != blocks[first].heading:
            break
        if block.form is not Form.PARAGRAPH:
            return (first, span) if number == first else (number, _whole(block))
        for sentence in sentences(block.text):
            if number == first and sentence[1] < span[1]:
                continue
            if not block.text[slice(*sentence)].rstrip("*_ \n").endswith("?"):
                touched = number == first and sentence[0] < span[1]
                return (first, span) if touched else (number, stripped(block.text, sentence))
    return None


def _whole(block: Block) -> Span:
    return stripped(block.text, (0, len(block.text)))
