"""The reader: question + passages -> the pieces of text that may answer it, each with a score.

This one chooses among what stands there whole: sentences, list items, table rows, code blocks and stored pairs, by the
encoder's cosine to the question and by the words that both share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bot.documents import Block, Form, Passage
from bot.inference.workers import EncodingLane
from bot.messages import Wording
from bot.text import Span, line_spans, list_items, plain, sentences, share_of_words, stems

# What a full share of common words is worth beside a cosine (benchmarks: evaluate on the shared sets).
_SHARED_WORDS_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Reading:
    """A piece of text that may answer: characters `span` of block `block` of passage `passage` (indices from 0).

    `cosine` compares its meaning with the question's; `shared` is the share of the question's words that it has.
    """

    passage: int
    block: int
    span: Span
    score: float
    cosine: float
    shared: float


class Reader(Protocol):
    async def read(
        self, wordings: Sequence[Wording], passages: Sequence[Passage], deadline_seconds: float | None = None
    ) -> list[Reading]:
        """The candidates for an answer to a question that is put in one or more wordings, best first.

        Raises EngineBusy and DeadlineExceeded.
        """


class SimilarityReader:
    """A Reader that needs no model but the encoder."""

    def __init__(self, lane: EncodingLane) -> None:
        self._lane = lane

    async def read(
        self, wordings: Sequence[Wording], passages: Sequence[Passage], deadline_seconds: float | None = None
    ) -> list[Reading]:
        places = [
            (number, index, span, text)
            for number, passage in enumerate(passages)
            for index, block in enumerate(passage.blocks)
            for span, text in _units(block)
        ]
        if not places:
            return []
        texts = [*(wording.text for wording in wordings), *(text for *_, text in places)]
        vectors = await self._lane.encode(texts, deadline_seconds=deadline_seconds)
        weights = np.array([wording.weight for wording in wordings], dtype=np.float32)
        cosines = weights @ (vectors[: len(wordings)] @ vectors[len(wordings) :].T)
        asked = [(wording.weight, stems(wording.text)) for wording in wordings]
        readings = []
        for (number, index, span, text), cosine in zip(places, cosines.tolist(), strict=True):
            said = stems(text)
            shared = sum(weight * share_of_words(wanted, said) for weight, wanted in asked)
            readings.append(Reading(number, index, span, cosine + _SHARED_WORDS_WEIGHT * shared, cosine, shared))
        return sorted(readings, key=lambda reading: -reading.score)


def _units(block: Block) -> list[tuple[Span, str]]:
    """The pieces of a block that may stand as an answer by themselves, with the text that they are judged by."""
    if block.form is Form.PAIR:
        return [((0, len(block.text)), block.context)]
    if block.form is Form.CODE:
        spans = [(0, len(block.text))]
    elif block.form is Form.LIST:
        spans = list_items(block.text)
    elif block.form is Form.TABLE:
        header = 0 if block.part[0] else 2  # a later part has no header rows of its own
        spans = line_spans(block.text)[header:] or [(0, len(block.text))]
    else:
        spans = sentences(block.text)
    return [(span, f"{plain(block.context)}\n{plain(block.text[slice(*span)])}".strip()) for span in spans]
