"""Summaries: by a model, part by part, each sentence checked against its part; or by the sentences of the text itself.

A part of which the model has written nothing that the text supports, or for which there was no time, is quoted instead, so that
the summary covers all of the text in any case.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bot.core.documents import FoundPassage
from bot.core.errors import GenerationFailed
from bot.core.text import plain, sentences
from bot.engine.grounding import Grounding
from bot.engine.support import Support
from bot.inference.workers import AsyncEncoder
from bot.tasks.extract import MOST, encoded, leading, length
from bot.tasks.models import Writer
from bot.tasks.sources import Source, Statement, statements

# The share of a sentence's words that its text must have, and the least cosine of the sentences that have most of them.
_LEAST_SAID, _LEAST_COSINE = 0.85, 0.5


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a summary. `quoted`: whether it is a sentence of the text. `place`: that of the passage it comes from."""

    text: str
    place: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """The sentences of a summary in the order of the text. `dropped`: the number of sentences that the text doesn't support."""

    sentences: tuple[Sentence, ...]
    dropped: int = 0


class Summariser:
    """Makes summaries. Any number at a time."""

    def __init__(self, encoder: AsyncEncoder, grounding: Grounding) -> None:
        """Take a `grounding` that checks single sentences, so it needs no reader."""
        self._encoder = encoder
        self._grounding = grounding

    async def quoted(self, source: Source) -> Summary:
        """Return the sentences that say most. Raises DeadlineExceeded."""
        there = await asyncio.to_thread(statements, source.passages)
        return Summary(tuple(map(_quoted, await leading(there, self._encoder, length(len(there))))))

    async def written(self, source: Source, writer: Writer, until: float) -> Summary:
        """Return the sentences of a model about each part of the text that the text supports.

        The model stops writing at `until`, a time of the event loop. Raises DeadlineExceeded and EngineBusy.
        """
        found: list[Sentence] = []
        dropped = 0
        for part, text in await asyncio.to_thread(_parts, source.passages, writer.characters):
            there = statements(part)
            try:
                async with asyncio.timeout_at(until):
                    kept, lost = await self._checked(await writer.write(text), part)
            except (TimeoutError, GenerationFailed):
                kept, lost = [], 0
            dropped += lost
            if kept:
                places = await self._places(kept, there)
                found += [Sentence(text, place, False) for text, place in zip(kept, places, strict=True)]
            else:
                found += map(_quoted, await leading(there, self._encoder, length(len(there))))
        return Summary(tuple(await self._fewer(found)), dropped)

    async def _checked(self, draft: str, part: Sequence[FoundPassage]) -> tuple[list[str], int]:
        """Return the sentences of a draft that a part supports, and the number of the others."""
        checking = self._grounding.checking(part, "")
        text = " ".join(plain(draft).split())
        grounded = (await checking.whole(text)).text
        written, left = ([whole[start:end] for start, end in sentences(whole)] for whole in (text, grounded))
        kept = [sentence for sentence in left if _is_close(await checking.examine(sentence))]
        return kept, max(0, len(written) - len(kept))

    async def _places(self, texts: Sequence[str], there: Sequence[Statement]) -> list[str]:
        """Return the place of the sentence that is nearest to each text."""
        if not there:
            return [""] * len(texts)
        vectors = await encoded([*texts, *(statement.text for statement in there)], self._encoder)
        nearest = np.argmax(vectors[: len(texts)] @ vectors[len(texts) :].T, axis=1)
        return [there[number].place for number in nearest]

    async def _fewer(self, found: Sequence[Sentence]) -> list[Sentence]:
        """Return the sentences that say most, where those of all parts are too many."""
        by_text = {sentence.text: sentence for sentence in found}
        candidates = [Statement(sentence.text, sentence.place, False) for sentence in by_text.values()]
        chosen = await leading(candidates, self._encoder, MOST)
        return [by_text[statement.text] for statement in chosen]


def _is_close(examined: tuple[str, ...] | Support) -> bool:
    """Return whether a supported sentence has nearly the same words as its text.

    Answers are checked against a few passages that were found for them. Over a long text, a sentence about something else finds
    its words somewhere, so a summary is held to more.
    """
    if not isinstance(examined, Support):
        return not examined
    return examined.anywhere >= _LEAST_SAID and (examined.cosine is None or examined.cosine >= _LEAST_COSINE)


def _quoted(statement: Statement) -> Sentence:
    return Sentence(statement.text, statement.place, True)


def _parts(passages: Sequence[FoundPassage], largest: int) -> list[tuple[list[FoundPassage], str]]:
    """Return runs of passages, each with its text for a model, of up to `largest` characters."""
    runs: list[tuple[list[FoundPassage], str]] = []
    for found in passages:
        own = _text(found)
        if runs and len(runs[-1][1]) + len(own) <= largest:
            run, text = runs[-1]
            runs[-1] = ([*run, found], f"{text}\n\n{own}")
        else:
            runs.append(([found], own))
    return runs


def _text(found: FoundPassage) -> str:
    """Return a passage as prose without markup, below its last heading or behind the author of the message."""
    prose = "\n".join(plain(block.text) for block in found.passage.blocks)
    if found.document:
        return "\n".join(filter(None, (*map(plain, found.passage.heading[-1:]), prose)))
    return f"{found.title}: {prose}" if found.title else prose
