"""The reader: question + passages -> the words that may answer it, each with a score, by an extractive model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.documents import Block, FoundPassage, embedded_text
from bot.inference.span_model import Task
from bot.inference.workers import ReadingLane
from bot.messages import Wording
from bot.text import Span, stripped


@dataclass(frozen=True, slots=True)
class Reading:
    """Words that may answer: characters `span` of block `block` of passage `passage` (indices from 0).

    `score` is in logits: above 0 where the model finds these words likelier than that the passage doesn't answer.
    """

    passage: int
    block: int
    span: Span
    score: float


class Reader(Protocol):
    async def read(
        self, wordings: Sequence[Wording], passages: Sequence[FoundPassage], deadline_seconds: float | None = None
    ) -> list[Reading]:
        """The candidates for an answer to a question that is put in one or more wordings, best first.

        Raises EngineBusy and DeadlineExceeded.
        """


class ExtractiveReader:
    """A Reader over a model that marks spans."""

    def __init__(self, lane: ReadingLane) -> None:
        self._lane = lane

    async def read(
        self, wordings: Sequence[Wording], passages: Sequence[FoundPassage], deadline_seconds: float | None = None
    ) -> list[Reading]:
        # The wording that says most; of two that weigh the same the one that has what was said before.
        question = max(reversed(wordings), key=lambda wording: wording.weight).text
        texts = [_Text(found) for found in passages]
        tasks = [Task(question, text.text, text.begin) for text in texts]
        readings = []
        for number, (text, spans) in enumerate(zip(texts, await self._lane.read(tasks, deadline_seconds), strict=True)):
            for scored in spans:
                if place := text.place(scored.span):
                    readings.append(Reading(number, *place, scored.score))
        return sorted(readings, key=lambda reading: -reading.score)


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
