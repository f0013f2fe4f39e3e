"""Runs tasks one at a time, within limits and a deadline, and keeps nothing of the texts.

Neither texts nor results are written to the journal or the log; only the task and whether it succeeded are counted.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from bot.core.documents import Block, Form
from bot.core.errors import BotError, DeadlineExceeded, EngineBusy
from bot.core.messages import Address
from bot.core.scopes import Scopes, source_of
from bot.core.settings import Settings, TasksSettings
from bot.core.text import Span, plain, sentences
from bot.engine.grounding import Grounding
from bot.inference.workers import AsyncEncoder
from bot.observability import metrics
from bot.storage.base import KnowledgeStore
from bot.tasks import results
from bot.tasks.models import TaskModels, Writer, open_models
from bot.tasks.registry import Pipeline, Task, shown, task_named
from bot.tasks.results import TaskResult
from bot.tasks.sources import Source, no_such_document, source_of_indexed
from bot.tasks.summaries import Summariser

# Tasks that wait or run. They run one at a time, for the processor is the bottleneck of each.
_CAPACITY = 8
# The share of its time that a model may write a summary; the rest is for quoting what it hasn't come to.
_WRITING = 0.8
# Models that translate have learned it sentence by sentence, or a few at a time.
_TRANSLATED_AT_ONCE = 400  # characters

TaskBody = Callable[[float], Coroutine[None, None, TaskResult]]
"""Takes the time of the loop at which it is given up."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The person who may stop a task: an author on a platform."""

    platform: str
    author: str


class Tasks:
    """The tasks of one process. Made by `open_tasks`."""

    def __init__(
        self,
        settings: TasksSettings,
        models: TaskModels,
        summariser: Summariser,
        knowledge: KnowledgeStore,
        scopes: Scopes,
    ) -> None:
        self._scopes = scopes
        self._settings = settings
        self._models = models
        self._summariser = summariser
        self._knowledge = knowledge
        self._one_at_a_time = asyncio.Lock()
        self._running: dict[asyncio.Task[TaskResult], Owner] = {}

    async def document(self, path: str, section: str, address: Address) -> Source:
        """Return a document of the index, or one section of it.

        Raises DocumentError if there is no such document or section, or if the document is hidden from this address.
        """
        if source_of(path) in self._scopes.hidden_from(address):
            raise no_such_document(path)
        return await source_of_indexed(self._knowledge, path, section)

    async def run(self, name: str, source: Source, owner: Owner) -> TaskResult:
        """Do a task with a text, which is not kept. Cancelling the caller, or `stop`, ends it.

        Raises BotError: there is no such task, its model is missing, the text is empty or too long, too much waits, it took too
        long or was stopped.
        """
        task = _fitting(name, source)
        return await self._owned(task, owner, partial(self._done, task, source))

    async def survey(self, name: str, texts: Sequence[str], owner: Owner) -> TaskResult:
        """Count what a task finds in several texts, such as the questions of a chat. Raises what `run` raises."""
        task = task_named(name)
        if task.pipeline is Pipeline.TEXT:
            raise BotError(f"{name} says nothing about many texts together; sentiment, classify and entities do.")
        if not texts:
            raise BotError("There are no questions there, or none are kept (storage.answer_days).")
        return await self._owned(task, owner, partial(self._surveyed, task, texts))

    def stop(self, owner: Owner) -> bool:
        """Stop the tasks of a person. Returns False if none is running."""
        theirs = [running for running, whose in self._running.items() if whose == owner]
        for running in theirs:
            running.cancel()
        return bool(theirs)

    async def _owned(self, task: Task, owner: Owner, body: TaskBody) -> TaskResult:
        """Run the body of a task, which its owner can stop."""
        if len(self._running) >= _CAPACITY:
            raise EngineBusy(len(self._running))
        running = asyncio.create_task(self._in_time(body), name=f"task-{task.name}")
        self._running[running] = owner
        outcome = "failed"
        try:
            await asyncio.wait({running})
            if running.cancelled():
                outcome = "stopped"
                raise BotError("Stopped.")
            result = running.result()
            outcome = "done"
            return result
        finally:
            running.cancel()  # does nothing, unless the caller is gone
            del self._running[running]
            metrics.TASKS.labels(task.name, outcome).inc()

    async def _in_time(self, body: TaskBody) -> TaskResult:
        seconds = self._settings.deadline_seconds
        until = asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(until), self._one_at_a_time:
                return await body(until)
        except TimeoutError as error:
            raise DeadlineExceeded(seconds) from error

    # --- the work

    async def _done(self, task: Task, source: Source, until: float) -> TaskResult:
        if task.name == "summarise":
            return await self._summarised(task, source, until)
        if task.pipeline is Pipeline.TEXT:
            return await self._translated(task, source)
        found = await self._models.read(task, source.text)
        return results.labels_result(task.name, shown(task.model(self._settings)), found)

    async def _summarised(self, task: Task, source: Source, until: float) -> TaskResult:
        writer = await self._models.writer(task)
        if writer is None:
            return results.summary_result(await self._summariser.quoted(source), "", source.title)
        loop = asyncio.get_running_loop()
        summary = await self._summariser.written(source, writer, loop.time() + _WRITING * (until - loop.time()))
        return results.summary_result(summary, writer.name, source.title)

    async def _translated(self, task: Task, source: Source) -> TaskResult:
        writer = await self._models.writer(task)
        if writer is None:  # `Task.model` has raised the error that says so
            raise AssertionError(f"{task.name} needs a model")
        blocks = [block for found in source.passages for block in found.passage.blocks]
        text = "\n\n".join([await _translated(block, writer) for block in blocks])
        return results.translation_result(text, writer.name)

    async def _surveyed(self, task: Task, texts: Sequence[str], _until: float) -> TaskResult:
        found = [await self._models.read(task, text) for text in texts]
        return results.survey_result(task.name, shown(task.model(self._settings)), found)


def _fitting(name: str, source: Source) -> Task:
    """Return the task of a name. Raises BotError if there is none, or if it doesn't take this text."""
    task = task_named(name)
    if not source.text.strip():
        raise BotError("There is no text there.")
    if source.characters > task.characters:
        advice = "a section of it" if source.title else "a part of it"
        raise BotError(f"This is too long: {name} takes up to {task.characters:,} characters. Give {advice}.")
    return task


async def _translated(block: Block, writer: Writer) -> str:
    """Return the translation of a block, whose code and tables stay as they are."""
    if block.form in (Form.CODE, Form.TABLE):
        return block.text
    if block.form is Form.LIST:
        items = (block.text[start:end] for start, end in block.pieces())
        return "\n".join([f"- {await writer.write(plain(item))}" for item in items])
    text = plain(block.text)
    return " ".join([await writer.write(text[start:end]) for start, end in _runs(sentences(text))])


def _runs(spans: Sequence[Span]) -> Iterator[Span]:
    """Yield runs of sentences that are translated at once."""
    begun: Span | None = None
    for start, end in spans:
        if begun and end - begun[0] > _TRANSLATED_AT_ONCE:
            yield begun
            begun = None
        begun = (begun[0] if begun else start, end)
    if begun:
        yield begun


@asynccontextmanager
async def open_tasks(
    settings: Settings, encoder: AsyncEncoder, knowledge: KnowledgeStore, pause: Callable[[], None]
) -> AsyncIterator[Tasks]:
    """Yield the tasks over the documents of an index. `pause` as for `TaskModels`. No model is loaded before it is needed."""
    checking = settings.grounding.model_copy(update={"unsupported": "trim"})
    grounding = await asyncio.to_thread(Grounding, encoder, None, checking)  # reads a file
    summariser = Summariser(encoder, grounding)
    async with open_models(settings.tasks, settings.models, pause) as models:
        yield Tasks(settings.tasks, models, summariser, knowledge, Scopes(settings.sources))
