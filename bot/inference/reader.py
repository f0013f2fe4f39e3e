"""The reader: question + passages -> the words that may answer it, each with a score, by an extractive model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.core.documents import Block, Form, FoundPassage, embedded_text
from bot.core.messages import QueryVariant
from bot.core.text import Span, sentences, share_of_words, stems, stripped
from bot.inference.span_model import Task
from bot.inference.workers import AsyncReader

# From this resemblance on a stored question, or a heading, speaks for what stands below it; chosen by hand, over the bot's
# own handbook.
_RESEMBLING = 0.75
_SAME_QUESTION_LOGITS = 20.0


@dataclass(frozen=True, slots=True)
class Reading:
    """Words that may answer: characters `span` of block `block` of passage `passage` (indices from 0).

    `score` is in logits: above 0 where the model finds these words likelier than that the passage doesn't answer. It is
    nearer to 0 the less the variant that was read says of the question, for a follow-up joined with what was said before is
    read less reliably.
    """

    passage: int
    block: int
    span: Span
    score: float


class Reader(Protocol):
    async def read(
        self, variants: Sequence[QueryVariant], passages: Sequence[FoundPassage], deadline_seconds: float | None = None
    ) -> list[Reading]:
        """The candidates for an answer to a question that is put in one or more variants, best first.

        Raises EngineBusy and DeadlineExceeded.
        """


class ExtractiveReader:
    """A Reader over a model that marks spans."""

    def __init__(self, lane: AsyncReader) -> None:
        self._lane = lane

    async def read(
        self, variants: Sequence[QueryVariant], passages: Sequence[FoundPassage], deadline_seconds: float | None = None
    ) -> list[Reading]:
        # The variant that says most; of two that weigh the same the one that has what was said before.
        variant = max(reversed(variants), key=lambda variant: variant.weight)
        texts = [_Text(found) for found in passages]
        tasks = [Task(variant.text, text.text, text.begin) for text in texts]
        readings = []
        for number, (text, spans) in enumerate(zip(texts, await self._lane.read(tasks, deadline_seconds), strict=True)):
            passage = passages[number].passage
            asked_above = max(0.0, _same_question_margin(variant.text, "".join(passage.heading[-1:])))
            marked = [(text.place(scored.span), scored.score + asked_above) for scored in spans]
            found = [
                (answer, score) for place, score in marked if place and (answer := _answer(passage.blocks, *place))
            ]
            if asked_above:
                found.append(((0, _whole(passage.blocks[0])), asked_above))
            for index, block in enumerate(passage.blocks):
                if block.form is Form.PAIR:
                    found.append(((index, _whole(block)), _same_question_margin(variant.text, block.context)))
            readings += [Reading(number, *place, variant.weight * score) for place, score in found if place[1][1]]
        return sorted(readings, key=lambda reading: -reading.score)


def _answer(blocks: Sequence[Block], place: int, span: Span) -> tuple[int, Span] | None:
    """The words themselves; of a question in running text, as documents for the public have it, the first sentence or block
    below that is none. None where there is nothing below."""
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


def _same_question_margin(asked: str, stored: str) -> float:
    """What a stored question, or a heading, that resembles the question asked is worth, in the model's logits: an answer
    such as "No." names nothing that a model could recognise, but its question does. F-measure of the words, in which those
    asked count double.
    """
    wanted, there = stems(asked), stems(stored)
    recall, precision = share_of_words(wanted, there), share_of_words(there, wanted)
    resemblance = 5 * precision * recall / (4 * precision + recall) if precision and recall else 0.0
    return _SAME_QUESTION_LOGITS * (resemblance - _RESEMBLING)


class _Text:
    """A passage as the model reads it, and back from its characters to those of the blocks.

    Blocks stand in it as they are, markup included, so that the words found are the document's own.
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
        """The block that most of the span lies in, and the span there; None where it lies in none."""
        best: tuple[int, Span] | None = None
        for number, (start, block) in enumerate(zip(self._starts, self._blocks, strict=True)):
            inside = stripped(block.text, (max(0, span[0] - start), max(0, min(len(block.text), span[1] - start))))
            length = inside[1] - inside[0]
            if length > 0 and (best is None or length > best[1][1] - best[1][0]):
                best = number, inside
        return best


def _introduction(block: Block) -> str:
    """What stands before a block and is no answer: a stored pair's question, the header rows of a table's later parts."""
    return f"{block.context}\n" if block.context else ""
