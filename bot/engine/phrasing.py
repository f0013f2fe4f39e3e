"""A language model puts the answer into its own words, and grounding says which of them may be shown.

Nothing here ever fails: where the model is not there yet, raises, hangs or takes too long, or where the documents don't
support what it writes, the result has no text, and the documents are quoted as if there were no model. What is shown while
the model writes are whole sentences that have been checked already.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing

from bot.core.documents import Block, Form, FoundPassage, trail
from bot.core.errors import BotError, GenerationFailed
from bot.core.messages import Phrased, Phrasing, Progress, Stage, Turn, Update
from bot.core.settings import GeneratorSettings
from bot.core.text import sentences
from bot.engine.grounding import Checking, Grounded, Grounding, Verdict
from bot.inference.generator import Generator
from bot.inference.prompts import Excerpt, Material
from bot.observability import metrics

_OUTCOMES = {Verdict.KEPT: Phrased.KEPT, Verdict.TRIMMED: Phrased.TRIMMED, Verdict.REPLACED: Phrased.REPLACED}


class Phraser:
    """Asks the generator of the application, as soon as there is one."""

    def __init__(self, settings: GeneratorSettings, grounding: Grounding) -> None:
        self._settings = settings
        self._grounding = grounding
        self._report: Callable[[str], None] = lambda _: None
        self._generator: Generator | None = None
        self._name = settings.model
        self._absence = "the model is still being loaded"

    @property
    def generator(self) -> Generator | None:
        """None where there is none, or not yet."""
        return self._generator

    def use(self, generator: Generator, report: Callable[[str], None] = lambda _: None) -> None:
        """From now on this one writes. `report` is told after each draft what went wrong; nothing where all went well."""
        self._generator = generator
        self._report = report
        self._name = generator.name

    def do_without(self, reason: str) -> None:
        """There will be no generator."""
        self._absence = reason

    async def phrase(
        self,
        question: str,
        turns: Sequence[Turn],
        passages: Sequence[FoundPassage],
        progress: Progress,
        *,
        within_seconds: float,
    ) -> tuple[str, Phrasing]:
        """The text to show, empty where the documents are to be quoted, and what became of the draft.

        `passages`: those that answer, best first. Takes at most `within_seconds`, or the settings' deadline if that is less.
        """
        name = self._name
        try:
            grounded = await self._written(question, turns, passages, progress, within_seconds)
            phrasing = Phrasing(name, _OUTCOMES[grounded.verdict], grounded.reasons)
            text = grounded.text if phrasing.shown else ""
            self._report("")
        except BotError as error:
            text, phrasing = "", Phrasing(name, Phrased.FAILED, (str(error),))
            self._report(str(error))
        metrics.GROUNDING.labels(phrasing.outcome.value).inc()
        return text, phrasing

    async def _written(
        self,
        question: str,
        turns: Sequence[Turn],
        passages: Sequence[FoundPassage],
        progress: Progress,
        within_seconds: float,
    ) -> Grounded:
        """The draft, checked. Raises a BotError where there is none."""
        if self._generator is None:
            raise GenerationFailed(self._absence)
        seconds = min(self._settings.deadline_seconds, within_seconds)
        settings = self._settings
        material = Material(question, excerpts(passages), tuple(turns), settings.persona, settings.language)
        checking = self._grounding.checking(passages, question)
        progress(Update(Stage.WRITING))
        try:
            async with asyncio.timeout(seconds):
                draft = await self._draft(self._generator, material, checking, progress)
                return await checking.whole(draft)
        except TimeoutError as error:
            raise GenerationFailed(f"the model took longer than {seconds:.2g} seconds") from error

    async def _draft(self, generator: Generator, material: Material, checking: Checking, progress: Progress) -> str:
        """What the model writes; or the beginning of it, where nothing of that can be kept. Whenever a sentence has ended,
        those that the documents support are shown."""
        draft, examined = "", 0
        async with (
            aclosing(generator.stream(material)) as pieces,
            aclosing(_without_stall(pieces, self._settings.stall_seconds)) as timely,
        ):
            async for piece in timely:
                draft += piece
                count = len(sentences(draft))
                if count <= max(examined, 1):
                    continue
                examined = count
                if shown := await checking.so_far(draft):
                    progress(Update(Stage.WRITING, shown))
                if checking.is_rejected:
                    break
        return draft


def excerpts(passages: Sequence[FoundPassage]) -> tuple[Excerpt, ...]:
    """What a model is shown of the passages."""
    return tuple(
        Excerpt(
            trail(found.title, found.passage.heading),
            "\n\n".join(_shown(found.passage.blocks)),
        )
        for found in passages
    )


def _shown(blocks: Sequence[Block]) -> Iterator[str]:
    """Yield the text of each block without the line breaks of its file, which models imitate, and below what it belongs to: the
    header of a split table, or the question of a pair."""
    context = ""
    for block in blocks:
        text = " ".join(block.text.split()) if block.form is Form.PARAGRAPH else block.text
        yield f"{block.context}\n{text}" if block.context not in ("", context) else text
        context = block.context


async def _without_stall(pieces: AsyncGenerator[str, None], seconds: float) -> AsyncGenerator[str, None]:
    """The pieces. Raises GenerationFailed where one takes longer than `seconds` after the one before; the first one, which
    may wait for its turn, has as long as the whole text."""
    begun = False
    while True:
        try:
            async with asyncio.timeout(seconds if begun else None) as limit:
                piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            if limit.expired():
                raise GenerationFailed(f"the model wrote nothing for {seconds:g} seconds") from error
            raise
        begun = True
        yield piece
