"""Rewrite answers with a language model, and show only the sentences that grounding supports.

Phrasing never fails: if the model isn't loaded yet, raises, hangs or takes too long, or if the documents don't support its
draft, the result has no text and the documents are quoted as if there were no model. While the model writes, only complete
sentences that passed the check are shown.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing

from bot.core.documents import Block, Form, FoundPassage, trail
from bot.core.errors import BotError, GenerationFailed
from bot.core.messages import Phrased, Phrasing, Progress, Stage, Turn, Update
from bot.core.settings import GeneratorSettings
from bot.core.text import counted, sentences
from bot.engine.grounding import Checking, Grounded, Grounding
from bot.inference.generator import Generator
from bot.inference.prompts import Excerpt, PromptContent
from bot.observability import metrics

# The longest pause between two pieces of text, as a share of the time for all of it. A longer one means that the model hangs.
_LONGEST_STALL = 1 / 3


class Phraser:
    """Rewrites answers with the generator of the application, once it is loaded."""

    def __init__(self, settings: GeneratorSettings, grounding: Grounding) -> None:
        self._settings = settings
        self._grounding = grounding
        self._report: Callable[[str], None] = lambda _: None
        self._generator: Generator | None = None
        self._name = settings.model
        self._absence = "the model is still being loaded"

    @property
    def passages(self) -> int:
        """The largest number of passages that the model is shown."""
        return self._settings.passages

    @property
    def reads_further(self) -> bool:
        """Whether the model reads more passages than are quoted."""
        return self.passages > 1

    @property
    def generator(self) -> Generator | None:
        """The generator, or None if it isn't loaded (yet)."""
        return self._generator

    def use(self, generator: Generator, report: Callable[[str], None] = lambda _: None) -> None:
        """Use this generator from now on. `report` is called after each draft with the error, or with "" if it worked."""
        self._generator = generator
        self._report = report
        self._name = generator.name

    def do_without(self, reason: str) -> None:
        """Give the reason why there is no generator."""
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
        """Return the text to show, empty if the documents have to be quoted, and the outcome of the draft.

        `passages`: the answering ones, best first. Takes at most `within_seconds`, or the deadline in the settings if it is
        less.
        """
        name = self._name
        try:
            grounded = await self._checked_draft(question, turns, passages, progress, within_seconds)
            phrasing = Phrasing(name, grounded.outcome, grounded.reasons)
            text = grounded.text if phrasing.shown else ""
            self._report("")
        except BotError as error:
            text, phrasing = "", Phrasing(name, Phrased.FAILED, (str(error),))
            self._report(str(error))
        metrics.GROUNDING.labels(phrasing.outcome.value).inc()
        return text, phrasing

    async def _checked_draft(
        self,
        question: str,
        turns: Sequence[Turn],
        passages: Sequence[FoundPassage],
        progress: Progress,
        within_seconds: float,
    ) -> Grounded:
        """Generate and check a draft. Raises a BotError, such as GenerationFailed, if there is none."""
        if self._generator is None:
            raise GenerationFailed(self._absence)
        seconds = min(self._settings.deadline_seconds, within_seconds)
        settings = self._settings
        content = PromptContent(
            question,
            excerpts(passages),
            tuple(turns),
            settings.persona,
            settings.language,
            may_abstain=self.reads_further,
        )
        checking = self._grounding.checking(passages, question)
        progress(Update(Stage.WRITING))
        try:
            async with asyncio.timeout(seconds):
                draft = await self._generate(self._generator, content, checking, progress)
                return await checking.whole(draft)
        except TimeoutError as error:
            raise GenerationFailed(f"the model took longer than {seconds:.2g} seconds") from error

    async def _generate(
        self, generator: Generator, content: PromptContent, checking: Checking, progress: Progress
    ) -> str:
        """Generate a draft, and stop early if it is rejected. Each time a sentence ends, the supported ones are shown."""
        draft, examined = "", 0
        async with (
            aclosing(generator.stream(content)) as pieces,
            aclosing(_without_stall(pieces, self._settings.deadline_seconds * _LONGEST_STALL)) as timely,
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
    """Return the passages as excerpts for a model's prompt."""
    return tuple(
        Excerpt(
            trail(found.title, found.passage.heading),
            "\n\n".join(_block_texts(found.passage.blocks)),
        )
        for found in passages
    )


def _block_texts(blocks: Sequence[Block]) -> Iterator[str]:
    """Yield the text of each block, below the header of a split table or the question of a pair.

    Paragraphs lose the line breaks of their file, which models imitate.
    """
    context = ""
    for block in blocks:
        text = " ".join(block.text.split()) if block.form is Form.PARAGRAPH else block.text
        yield f"{block.context}\n{text}" if block.context not in ("", context) else text
        context = block.context


async def _without_stall(pieces: AsyncGenerator[str, None], seconds: float) -> AsyncGenerator[str, None]:
    """Yield the pieces. Raises GenerationFailed if one takes longer than `seconds` after the previous one.

    The first piece has no such limit, as it may wait in a queue.
    """
    begun = False
    while True:
        try:
            async with asyncio.timeout(seconds if begun else None) as limit:
                piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            if limit.expired():
                raise GenerationFailed(f"the model wrote nothing for {counted(seconds, 'second')}") from error
            raise
        begun = True
        yield piece
