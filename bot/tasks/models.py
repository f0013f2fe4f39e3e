"""The models of the tasks: each is loaded when it is first needed, in a thread of its own, and stays loaded.

None of them runs in the thread that answers questions: each has a worker, which lets questions pass between two tokens, or
between two parts of a text.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from bot.core.errors import SettingsError, WeightsError, to_install
from bot.core.settings import GeneratorSettings, ModelsSettings, TasksSettings
from bot.inference.generator import GenerationWorker, LocalModel, load_model
from bot.inference.pipelines import Entity, Label, LoadedPipeline, load_pipeline
from bot.inference.prompts import Instruction
from bot.inference.threads import AnyWorker, Worker, loaded_worker
from bot.inference.workers import InferenceWorker, ModelCall
from bot.tasks.registry import Task, shown

# Texts of one model that wait or are in work.
_CAPACITY = 8
# A batch of a small model that runs for longer never returns.
_STUCK_SECONDS = 120
_PROMPT_TOKENS = 1500
# Characters of English text in a token, with a margin for other text.
_CHARACTERS_PER_TOKEN = 3
# Multilingual architectures that choose the language of their text by a token.
_CHOOSE_BY_TOKEN = frozenset({"m2m_100", "mbart", "nllb-moe"})


@dataclass(frozen=True, slots=True)
class Writer:
    """A text-generating model bound to a task."""

    task: Task
    worker: GenerationWorker
    language: str

    @property
    def name(self) -> str:
        return shown(self.worker.name)

    @property
    def characters(self) -> int:
        """About how many characters of a text the model reads at once."""
        return _CHARACTERS_PER_TOKEN * self.worker.prompter.token_limits[0]

    async def write(self, text: str) -> str:
        """Return the text of the model about a text. Stops the model when cancelled. Raises GenerationFailed and EngineBusy."""
        task, language = self.task, self.language
        order, prefix, label = (part.format(language=language) for part in (task.order, task.prefix, task.label))
        written = ""
        async with aclosing(self.worker.stream(Instruction(text, order, prefix, label))) as pieces:
            async for piece in pieces:
                written += piece
        return written.strip()


class TaskModels:
    """Loads the models of the tasks and keeps them. Made by `open_models`, which closes them."""

    def __init__(self, settings: TasksSettings, models: ModelsSettings, pause: Callable[[], None]) -> None:
        """Load nothing yet. `pause` is called in the threads of the models, and may block briefly to let questions pass."""
        self._settings = settings
        self._models = models
        self._pause = pause
        self._loading: dict[str, asyncio.Task[Any]] = {}  # by the name of the task; each returns a worker

    async def writer(self, task: Task) -> Writer | None:
        """Return the model for a task that writes, None if the settings name none and the task can do without.

        Raises SettingsError if one is needed, and WeightsError if it can't be loaded.
        """
        model = task.model(self._settings)
        if not model:
            return None
        worker = await self._loaded(task, partial(self._load_writer, task, model))
        language = self._settings.language
        if "{language}" in task.prefix and worker.prompter.takes_orders and not language:
            raise SettingsError(
                [
                    f'{model} translates into several languages. Say which one: language = "German" in [tasks], for example.'
                ]
            )
        return Writer(task, worker, language)

    async def read(self, task: Task, text: str) -> list[Label] | list[Entity]:
        """Return the classes of a text, or the names in it. Raises SettingsError, WeightsError, EngineBusy and
        DeadlineExceeded."""
        worker = await self._loaded(task, partial(self._load_pipeline, task, task.model(self._settings)))
        worker.replace_if_stuck(_STUCK_SECONDS)
        [found] = await worker.run(ModelCall(lambda texts: [worker.models.read(texts[0], self._pause)], 1), [text])
        return found

    async def _loaded(self, task: Task, load: Callable[[], Coroutine[None, None, AnyWorker]]) -> AnyWorker:
        """Return the worker of a task. A load that has failed is tried again: the model may have been fetched meanwhile."""
        loading = self._loading.get(task.name)
        if loading is None or (loading.done() and loading.exception() is not None):
            loading = self._loading[task.name] = asyncio.create_task(load(), name=f"load-{task.name}")
        return cast(AnyWorker, await asyncio.shield(loading))  # somebody else may wait for it too

    async def _load_writer(self, task: Task, model: str) -> GenerationWorker:
        load = partial(_load_writing_model, task, model, self._models)
        return await loaded_worker(
            GenerationWorker(f"tasks-{task.name}", load, side_by_side=1, capacity=_CAPACITY, pause=self._pause)
        )

    async def _load_pipeline(self, task: Task, model: str) -> InferenceWorker[LoadedPipeline]:
        load = partial(load_pipeline, task.pipeline, model, self._models)
        return await loaded_worker(InferenceWorker(f"tasks-{task.name}", load, capacity=_CAPACITY, steps_back=True))

    async def close(self) -> None:
        """Close the workers, also those whose models are still being loaded."""
        for loading in self._loading.values():
            loading.cancel()  # does nothing once it is loaded
        for worker in await asyncio.gather(*self._loading.values(), return_exceptions=True):
            if isinstance(worker, Worker):
                await worker.close()


def _load_writing_model(task: Task, model: str, models: ModelsSettings) -> LocalModel:
    settings = GeneratorSettings(
        provider="local", model=model, max_new_tokens=task.new_tokens, prompt_tokens=_PROMPT_TOKENS
    )
    try:
        loaded = load_model(settings, models)
    except WeightsError as error:
        if isinstance(error.__cause__, ImportError):
            raise WeightsError(f"{model} needs further packages. Install them {to_install('translation')}") from error
        raise
    if loaded.prompter.architecture in _CHOOSE_BY_TOKEN:
        raise WeightsError(
            f"{model} is told the language by a token, which isn't supported. Name a model for one pair of languages, such "
            "as Helsinki-NLP/opus-mt-en-de, or a T5 kind."
        )
    return loaded


@asynccontextmanager
async def open_models(
    settings: TasksSettings, models: ModelsSettings, pause: Callable[[], None]
) -> AsyncIterator[TaskModels]:
    """Yield the models, none of which is loaded yet, and close them afterwards."""
    task_models = TaskModels(settings, models, pause)
    try:
        yield task_models
    finally:
        await task_models.close()
