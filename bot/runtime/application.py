"""The application: everything between the adapters and the disk, opened, put together and closed again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bot import __version__
from bot.core.scopes import Scopes
from bot.core.settings import Settings
from bot.engine.confidence import SHIPPED as SHIPPED_CALIBRATION
from bot.engine.confidence import SHIPPED_BY_WORDS, Calibration
from bot.engine.conversation import Conversations
from bot.engine.grounding import Grounding
from bot.engine.phrasing import Phraser
from bot.engine.qa import QAEngine
from bot.evaluation.golden import GoldenQuestions
from bot.inference.encoder import NO_MODEL
from bot.inference.generator import Generator
from bot.inference.reader import ExtractiveReader
from bot.inference.workers import AsyncEncoder, AsyncReader, InferenceWorker, Models
from bot.knowledge.converter import Limits
from bot.knowledge.folder import GOLDEN_FILE
from bot.knowledge.indexer import IndexChange, Indexer
from bot.knowledge.search import Retriever
from bot.observability.health import Health
from bot.questions.administration import Administration
from bot.questions.dispatcher import Dispatcher
from bot.runtime.loading import load_generator, open_worker
from bot.sources.store import source_folders
from bot.storage.base import KnowledgeStore
from bot.storage.data_folder import CANDIDATE
from bot.storage.stores import Stores, open_knowledge, open_stores
from bot.tasks.runner import Tasks, open_tasks


@dataclass(frozen=True, slots=True)
class Inference:
    """The models that answer questions, and the worker that loads and runs them."""

    worker: InferenceWorker[Models]
    encoder: AsyncEncoder
    reader: AsyncReader


@dataclass(frozen=True, slots=True)
class Answering:
    """The engine and its parts."""

    engine: QAEngine
    retriever: Retriever
    conversations: Conversations
    phraser: Phraser | None  # None: the settings name no generator
    generator_loaded: asyncio.Event
    """Set as soon as it is known whether there is a generator: answers are quotations until then."""


@dataclass(frozen=True, slots=True)
class Application:
    """Everything between the adapters and the disk."""

    settings: Settings
    health: Health
    stores: Stores
    inference: Inference
    answering: Answering
    indexer: Indexer
    tasks: Tasks


@asynccontextmanager
async def open_application(
    settings: Settings,
    models: Models | None = None,
    generator: Generator | None = None,
    *,
    golden: bool = True,
    accept: bool = False,
    health: Health | None = None,
    background: bool = False,
) -> AsyncIterator[Application]:
    """Open the stores, load the models and put the parts together. Raises StorageError and WeightsError.

    `models` and `generator`: loaded ones to use instead of those in the settings. `golden`: whether golden questions guard the
    index; `accept`: they are asked, but every result is accepted. `health`: where the parts report how they are. `background`:
    don't wait until the models are loaded; `Application.inference.worker.loaded` does.
    """
    health = health or Health()
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(open_stores(settings.storage.folder))
        worker = await stack.enter_async_context(open_worker(settings, models))
        if not background:
            await worker.loaded()
        inference = Inference(worker, AsyncEncoder(worker), AsyncReader(worker))
        engines = _Engines(settings, stores, inference, by_meaning=_by_meaning(settings, models))
        phraser, loaded = await stack.enter_async_context(_open_phraser(settings, inference, health, generator))
        answering = engines.answering(phraser, loaded)
        reviewer = _golden_questions(settings, stores, engines, answering.engine, accept=accept) if golden else None
        indexer = _indexer(settings, stores, inference, reviewer)
        tasks = await stack.enter_async_context(
            open_tasks(settings, inference.encoder, stores.knowledge, worker.let_pass)
        )
        yield Application(settings, health, stores, inference, answering, indexer, tasks)


def administration_of(application: Application, dispatcher: Dispatcher | None = None) -> Administration:
    """Return the operations of an operator on this application. `dispatcher`: the daemon's, if it runs in this process."""
    return Administration(
        application.settings,
        application.stores.knowledge,
        application.indexer,
        application.stores.journal,
        application.answering.engine,
        application.inference.encoder,
        dispatcher=dispatcher,
    )


# --- parts, in the order in which they are opened ---------------------------------------------------------------------


def _by_meaning(settings: Settings, models: Models | None) -> bool:
    """Return whether texts are compared by their meaning, and not by their words alone. Known before the models are loaded."""
    return models.encoder.by_meaning if models else settings.encoder.model != NO_MODEL


class _Engines:
    """Makes engines that differ in the index that they search: the live index, or the index after a change."""

    def __init__(self, settings: Settings, stores: Stores, inference: Inference, *, by_meaning: bool) -> None:
        shipped = SHIPPED_CALIBRATION if by_meaning else SHIPPED_BY_WORDS
        self._settings = settings
        self._stores = stores
        self._encoder = inference.encoder
        self._reader = ExtractiveReader(inference.reader)
        self._calibration = Calibration.load(settings.answer.calibration or shipped)
        self._conversations = Conversations(stores.journal.conversations, settings.conversation)

    def answering(self, phraser: Phraser | None, generator_loaded: asyncio.Event) -> Answering:
        """Return the engine over the live index, with its parts."""
        retriever = Retriever(self._stores.knowledge, self._encoder, self._settings.retrieval)
        engine = self._over(retriever, phraser)
        return Answering(engine, retriever, self._conversations, phraser, generator_loaded)

    @asynccontextmanager
    async def after(self, change: IndexChange) -> AsyncIterator[QAEngine]:
        """Yield an engine over a copy of the index with a change made in it."""
        folder = self._settings.storage.folder
        async with _index_after(change, self._stores.knowledge, folder) as candidate:
            yield self._over(Retriever(candidate, self._encoder, self._settings.retrieval))

    def _over(self, retriever: Retriever, phraser: Phraser | None = None) -> QAEngine:
        return QAEngine(
            retriever,
            self._reader,
            self._calibration,
            self._conversations,
            self._settings.answer,
            self._settings.knowledge.base_url,
            scopes=Scopes(self._settings.sources),
            phraser=phraser,
        )


@asynccontextmanager
async def _index_after(change: IndexChange, knowledge: KnowledgeStore, folder: Path) -> AsyncIterator[KnowledgeStore]:
    with TemporaryDirectory(dir=folder, prefix=CANDIDATE) as place:
        await knowledge.copy_to(Path(place))
        async with open_knowledge(Path(place)) as candidate:
            await candidate.change(change.encoder, change.changed, change.removed, change.touched)
            yield candidate


@asynccontextmanager
async def _open_phraser(
    settings: Settings, inference: Inference, health: Health, generator: Generator | None
) -> AsyncIterator[tuple[Phraser | None, asyncio.Event]]:
    """Yield the phraser, None without a generator, and an event that is set when no generator is being loaded any more.

    Without `generator`, the generator that the settings name is loaded in the background."""
    done = asyncio.Event()
    done.set()
    if generator is None and settings.generator.provider == "none":
        yield None, done
        return
    phraser = Phraser(settings.generator, Grounding(inference.encoder, inference.reader, settings.grounding))
    if generator is not None:
        phraser.use(generator)
        yield phraser, done
        return
    component = health.component("generator", essential=False)
    async with load_generator(phraser, settings, component, inference.worker.let_pass) as loaded:
        yield phraser, loaded


def _golden_questions(
    settings: Settings, stores: Stores, engines: _Engines, live: QAEngine, *, accept: bool
) -> GoldenQuestions:
    @asynccontextmanager
    async def engine_after(change: IndexChange) -> AsyncIterator[QAEngine]:
        if not change:
            yield live
            return
        async with engines.after(change) as engine:
            yield engine

    return GoldenQuestions(
        settings.knowledge.folder / GOLDEN_FILE,
        stores.knowledge,
        stores.journal.conversations,
        engine_after,
        configuration=_answering_configuration(settings),
        losses_allowed=settings.knowledge.golden_losses,
        accept=accept,
    )


def _answering_configuration(settings: Settings) -> str:
    """Everything beside the index that decides how questions are answered."""
    sections = {"encoder", "reader", "retrieval", "answer"}
    return f"{__version__} {settings.model_dump_json(include=sections)}"


def _indexer(settings: Settings, stores: Stores, inference: Inference, reviewer: GoldenQuestions | None) -> Indexer:
    chosen = settings.knowledge
    return Indexer(
        stores.knowledge,
        inference.encoder,
        chosen.passage_tokens,
        limits=Limits(chosen.convert_seconds, chosen.convert_megabytes * 2**20),
        largest_bytes=chosen.largest_megabytes * 2**20,
        reviewer=reviewer,
        sources=source_folders(settings),
    )
