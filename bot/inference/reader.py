"""The reader: rates the relevance of passages for a question, and marks the words that answer it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.core.documents import Block, Form, FoundPassage, embedded_text
from bot.core.text import Span, sentences, stripped
from bot.inference.span_model import Task
from bot.inference.workers import AsyncReader


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
    async def read(self, question: str, passages: Sequence[FoundPassage]) -> list[Reading | None]:
        """Return a reading of each passage, in order; None for one without words. Raises EngineBusy and DeadlineExceeded."""


class ExtractiveReader:
    """A Reader that runs the span model."""

    def __init__(self, model: AsyncReader) -> None:
        self._model = model

    async def read(self, question: str, passages: Sequence[FoundPassage]) -> list[Reading | None]:
        texts = [PassageText(found) for found in passages]
        tasks = [Task(question, text.text, text.begin) for text in texts]
        readings: list[Reading | None] = []
        for found, text, judged in zip(passages, texts, await self._model.read(tasks), strict=True):
            places = filter(None, (text.place(scored.span) for scored in judged.spans))
            answers = filter(None, (_answer(found.passage.blocks, *place) for place in places))
            best = next(answers, None)
            readings.append(Reading(judged.relevance, *best) if best else None)
        return readings


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

    def place(self, span: Span) -> tuple[int, Span] | None:
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


def _answer(blocks: Sequence[Block], place: int, span: Span) -> tuple[int, Span] | None:
    """Return the span itself or, if it is a question, the first sentence or block after it that isn't one.

    None if the passage ends with questions.
    """
    for number in range(place, len(blocks)):
        block = blocks[number]
        if block.heading != blocks[place].heading:
            break
        if block.form is not Form.PARAGRAPH:
            return (place, span) if number == place else (number, _whole(block))
        for sentence in sentences(block.text):
            if number == place and sentence[1] < span[1]:
                continue
            if not block.text[slice(*sentence)].rstrip("*_ \n").endswith("?"):
                touched = number == place and sentence[0] < span[1]
                return (place, span) if touched else (number, stripped(block.text, sentence))
    return None


def _whole(block: Block) -> Span:
    return stripped(block.text, (0, len(block.text)))
