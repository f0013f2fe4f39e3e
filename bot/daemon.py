"""Wiring, supervision, signals and drain. Nesting is the shutdown order: what is opened last is closed first."""

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import structlog
from filelock import FileLock, Timeout

from bot import __version__, metrics
from bot.administration import Administration
from bot.dispatcher import Dispatcher
from bot.engine.confidence import SHIPPED as SHIPPED_CALIBRATION
from bot.engine.confidence import SHIPPED_BY_WORDS, Calibration
from bot.engine.conversation import Conversations
from bot.engine.grounding import Grounding
from bot.engine.phrasing import Phraser
from bot.engine.qa import QAEngine
from bot.errors import BotError, StorageError
from bot.evaluation.golden import GoldenQuestions
from bot.health import Component, Health, Report, State
from bot.inference.encoder import AnyEncoder, WordEncoder, load_encoder
from bot.inference.generator import GenerationLane, Generator, load_model
from bot.inference.reader import ExtractiveReader
from bot.inference.remote import DailyBudget, RemoteGenerator
from bot.inference.span_model import SpanModel, load_span_model
from bot.inference.workers import BatchingLane, EncodingLane, ReadingLane
from bot.knowledge.converter import Limits
from bot.knowledge.folder import GOLDEN_FILE
from bot.knowledge.indexer import IndexChange, Indexer
from bot.knowledge.search import Retriever
from bot.knowledge.watcher import FolderWatcher
from bot.messages import Adapter, Closing, Outcome, Service
from bot.settings import Settings
from bot.storage.sqlite_journal import SqliteJournal
from bot.storage.sqlite_knowledge import SqliteKnowledge
from bot.telemetry import LoopLagProbe

_log = structlog.stdlib.get_logger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Models:
    """What runs in the inference thread."""

    encoder: AnyEncoder
    reader: SpanModel


@dataclass(frozen=True, slots=True)
class House:
    """The rooms between the adapters and the disk, opened and wired."""

    settings: Settings
    knowledge: SqliteKnowledge
    journal: SqliteJournal
    lane: EncodingLane
    indexer: Indexer
    retriever: Retriever
    conversations: Conversations
    engine: QAEngine
    health: Health
    generator_loaded: asyncio.Event
    """Set as soon as it is known whether there is a generator: answers are quotations until then."""


@asynccontextmanager
async def open_house(
    settings: Settings,
    models: Models | None = None,
    *,
    golden: bool = True,
    accept: bool = False,
    health: Health | None = None,
) -> AsyncIterator[House]:
    """Open the stores, load the models, wire the rooms. Raises StorageError and WeightsError.

    `models`: ones that are loaded already, to be used instead of those in the settings. `golden`: whether golden
    questions guard the index; `accept`: they are asked, but whatever they say is accepted. `health`: where the rooms report
    how they are.
    """
    async with AsyncExitStack() as stack:
        knowledge = await SqliteKnowledge.open(settings.storage.folder)
        stack.push_async_callback(knowledge.close)
        journal = await SqliteJournal.open(settings.storage.folder)
        stack.push_async_callback(journal.close)
        models = models or await _loaded(settings)
        thread = BatchingLane("inference", capacity=2 * settings.queue.capacity)
        stack.push_async_callback(thread.close)
        lane, reading = EncodingLane(models.encoder, thread), ReadingLane(models.reader, thread)
        reader = ExtractiveReader(reading)
        shipped = SHIPPED_CALIBRATION if lane.by_meaning else SHIPPED_BY_WORDS
        calibration = Calibration.load(settings.answer.calibration or shipped)
        retriever = Retriever(knowledge, lane, settings.retrieval)
        conversations = Conversations(journal, settings.conversation)

        health = health or Health()
        loaded = asyncio.Event()
        grounding = Grounding(lane, reading, settings.grounding)
        phraser = await stack.enter_async_context(_phrasing(settings, grounding, thread, health, loaded))

        def engine_over(retriever: Retriever, phraser: Phraser | None = None) -> QAEngine:
            return QAEngine(
                retriever,
                reader,
                calibration,
                conversations,
                settings.answer,
                settings.knowledge.base_url,
                phraser=phraser,
                phrased_passages=settings.generator.passages,
                deadline_seconds=settings.queue.deadline_seconds,
            )

        engine = engine_over(retriever, phraser)

        @asynccontextmanager
        async def engine_after(change: IndexChange) -> AsyncIterator[QAEngine]:
            if not change:
                yield engine
                return
            async with _index_after(change, knowledge, settings.storage.folder) as candidate:
                yield engine_over(Retriever(candidate, lane, settings.retrieval))

        reviewer = GoldenQuestions(
            settings.knowledge.folder / GOLDEN_FILE,
            knowledge,
            journal,
            engine_after,
            configuration=_answering_configuration(settings),
            losses_allowed=settings.knowledge.golden_losses,
            accept=accept,
        )
        yield House(
            settings=settings,
            knowledge=knowledge,
            journal=journal,
            lane=lane,
            indexer=Indexer(
                knowledge,
                lane,
                settings.knowledge.passage_tokens,
                limits=Limits(settings.knowledge.convert_seconds, settings.knowledge.convert_megabytes * 2**20),
                largest_bytes=settings.knowledge.largest_megabytes * 2**20,
                reviewer=reviewer if golden else None,
            ),
            retriever=retriever,
            conversations=conversations,
            engine=engine,
            health=health,
            generator_loaded=loaded,
        )


@asynccontextmanager
async def _phrasing(
    settings: Settings, grounding: Grounding, reading: BatchingLane, health: Health, loaded: asyncio.Event
) -> AsyncIterator[Phraser | None]:
    """The phraser, if the settings name a generator, which is loaded meanwhile. `loaded` is set when that is over."""
    if settings.generator.provider == "none":
        loaded.set()
        yield None
        return
    component = health.component("generator", essential=False)
    component.starting(f"{settings.generator.model} is being loaded; the documents are quoted meanwhile")
    phraser = Phraser(settings.generator, grounding, _reporting_to(component))
    async with AsyncExitStack() as stack:
        loading = asyncio.create_task(
            _load_generator(settings, reading, phraser, component, loaded, stack), name="load-generator"
        )
        try:
            yield phraser
        finally:
            loading.cancel()
            with suppress(asyncio.CancelledError):
                await loading


def _reporting_to(component: Component) -> Callable[[str], None]:
    """Tells how the last draft went."""

    def report(problem: str) -> None:
        if problem:
            component.degraded(f"{problem}; the documents are quoted instead")
        else:
            component.ready()

    return report


async def _load_generator(
    settings: Settings,
    reading: BatchingLane,
    phraser: Phraser,
    component: Component,
    loaded: asyncio.Event,
    stack: AsyncExitStack,
) -> None:
    """Load the generator and let the phraser use it; where there is none, say so once, and do without."""
    try:
        generator = await _in_thread(make_generator, settings, reading.let_pass)
    except BotError as error:
        component.failed(f"{error} The documents are quoted.")
        phraser.do_without("the model could not be loaded")
        _log.warning("no generator: the documents are quoted", model=settings.generator.model, error=str(error))
    else:
        stack.push_async_callback(generator.close)
        phraser.use(generator)
        component.ready()
        _log.info("generator loaded", **generator.description)
    finally:
        loaded.set()


def make_generator(settings: Settings, pause: Callable[[], None] = lambda: None) -> Generator:
    """The generator that the settings name, local unless they say otherwise; `pause` is for GenerationLane. Blocking. Raises
    WeightsError."""
    if settings.generator.provider == "openai":
        budget = DailyBudget(settings.storage.folder / "tokens.json", settings.generator.tokens_per_day)
        return RemoteGenerator(settings.generator, budget)
    model = load_model(settings.generator, settings.models)
    parallel, capacity = settings.generator.parallel, settings.queue.capacity
    return GenerationLane(model, side_by_side=parallel, capacity=capacity, pause=pause)


@asynccontextmanager
async def _index_after(change: IndexChange, knowledge: SqliteKnowledge, folder: Path) -> AsyncIterator[SqliteKnowledge]:
    """A copy of the index with a change made in it, for as long as this holds."""
    with TemporaryDirectory(dir=folder, prefix="candidate-") as place:
        await knowledge.copy_to(Path(place))
        candidate = await SqliteKnowledge.open(Path(place))
        try:
            await candidate.change(change.encoder, change.changed, change.removed, change.touched)
            yield candidate
        finally:
            await candidate.close()


def _answering_configuration(settings: Settings) -> str:
    """Everything beside the index that decides how questions are answered."""
    sections = {"encoder", "reader", "retrieval", "answer"}
    return f"{__version__} {settings.model_dump_json(include=sections)}"


def administration_of(house: House, dispatcher: Dispatcher | None = None) -> Administration:
    """What an operator may do with this house; with the dispatcher of the daemon, if one runs in this process."""
    return Administration(
        house.settings,
        house.knowledge,
        house.indexer,
        house.journal,
        house.journal,
        house.engine,
        house.lane,
        dispatcher=dispatcher,
    )


async def _loaded(settings: Settings) -> Models:
    return await _in_thread(load_models, settings)


async def _in_thread(load: Callable[..., T], *arguments: object) -> T:
    """Load in a thread of its own, which nobody waits for who stops the bot: imports and weights take seconds."""
    loaded: Future[T] = Future()
    loaded.set_running_or_notify_cancel()

    def work() -> None:
        try:
            loaded.set_result(load(*arguments))
        except BaseException as error:
            loaded.set_exception(error)

    threading.Thread(target=work, name="load", daemon=True).start()
    return await asyncio.wrap_future(loaded)


def load_models(settings: Settings) -> Models:
    """Load the models that the settings name. Blocking. Raises WeightsError."""
    by_words = settings.encoder.model == "none"
    encoder = WordEncoder() if by_words else load_encoder(settings.encoder, settings.models)
    return Models(encoder, load_span_model(settings.reader, settings.models))


MakeServices = Callable[[House, Dispatcher, Administration], Sequence[Service]]
"""The adapters, and what they need beside them."""
# Seconds before a failed adapter is started again; the last one is repeated.
_RESTART_PAUSES = (1.0, 5.0, 15.0, 60.0)
# An adapter that ran for so long has recovered: its next failure is a first one.
_RECOVERED = 300.0  # seconds
_BETWEEN_ERASURES = 3600.0  # seconds
_DAY = 86_400.0  # seconds


async def serve(
    settings: Settings,
    make_services: MakeServices,
    refresh: Callable[[House], Awaitable[object]],
    *,
    at_terminal: bool = False,
    fresh: bool = False,
) -> None:
    """Answer until a signal says stop, or until every adapter has no more to give. Raises the BotError of the last one if
    all were stopped by an error that starting again can't cure.

    `refresh` makes the index before the first question. One that is there answers at once, and is brought up to date
    meanwhile, unless it has to be `fresh` or nobody watches the folder. SIGTERM and SIGINT stop accepting, give running
    answers their grace and return; a second one ends the process at once. `at_terminal`: one person asks, without limits,
    and of the answers only declines are kept once they are shown.
    """
    stop = asyncio.Event()
    with _alone_in(settings.storage.folder), _signals_set(stop):
        async with open_house(settings, health=Health(_log_change)) as house, LoopLagProbe() as lag:
            gc.freeze()  # the libraries' objects live as long as the process: looking through them stalled it by 250 ms
            ready = (await house.knowledge.summary()).encoder == house.lane.identity
            if fresh or not ready or not settings.knowledge.watch:
                await _unless_stopped(stop, refresh(house))
            if not stop.is_set():
                async with _watching(house):
                    await _serve(house, make_services, stop, at_terminal)
                _log.info("stopped", loop_lag_p99_ms=round(lag.percentile(0.99), 1))


@asynccontextmanager
async def _watching(house: House) -> AsyncIterator[None]:
    """While this holds, changes in the knowledge folder get into the index, unless the settings say otherwise."""
    knowledge = house.settings.knowledge
    if not knowledge.watch:
        yield
        return
    watcher = FolderWatcher(house.indexer, knowledge.folder, rescan_seconds=knowledge.rescan_seconds)
    watching = asyncio.create_task(watcher.run(), name="folder-watcher")
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _serve(house: House, make_services: MakeServices, stop: asyncio.Event, at_terminal: bool) -> None:
    settings = house.settings
    dispatcher = Dispatcher(
        house.engine,
        house.journal,
        settings.queue,
        limits=None if at_terminal else settings.limits,
        keep=_kept(settings, at_terminal),
    )
    administration = administration_of(house, dispatcher)
    services = make_services(house, dispatcher, administration)
    adapters = [service for service in services if isinstance(service, Adapter)]
    others = [service for service in services if not isinstance(service, Adapter)]
    dispatcher.register(adapters)
    await _erase_expired(house)
    resumed = await dispatcher.resume()
    _log.info("started", adapters=[adapter.name for adapter in adapters], resumed=resumed, **house.lane.description)
    erasing = asyncio.create_task(_keep_erasing(house), name="erasing")
    try:
        await _unless_stopped(stop, _run_all(adapters, administration.platforms, others))
    finally:
        erasing.cancel()
        await dispatcher.close(settings.shutdown.grace_seconds)
        for service in services:
            if isinstance(service, Closing):
                await service.close()
        _log.info("drained", **dispatcher.counts)


def _kept(settings: Settings, at_terminal: bool) -> frozenset[Outcome]:
    """Who asks at the terminal presses no buttons below an answer, but wants to see what the documents lack."""
    if not settings.storage.answer_days:
        return frozenset()
    return frozenset({Outcome.DECLINED}) if at_terminal else frozenset(Outcome)


async def _keep_erasing(house: House) -> None:
    """Erase on time what is kept for some time only."""
    while True:
        await asyncio.sleep(_BETWEEN_ERASURES)
        try:
            await _erase_expired(house)
        except StorageError:
            _log.exception("not erased, to be tried again", retry_seconds=_BETWEEN_ERASURES)


async def _erase_expired(house: House) -> None:
    await house.conversations.forget_expired()
    await house.journal.erase_older(time.time() - house.settings.storage.answer_days * _DAY)


async def _unless_stopped(stop: asyncio.Event, work: Awaitable[object]) -> None:
    """Wait for the work, or cancel it as soon as `stop` is set. Raises what the work raises."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


async def _run_all(adapters: Sequence[Service], states: dict[str, str], others: Sequence[Service] = ()) -> None:
    """Run the adapters side by side, and beside them what they need; `states` says how each is.

    Raises a BotError if there is one for every adapter, or for one of the others, without which an adapter is deaf.
    """
    answering = [asyncio.create_task(_keep_running(adapter, states)) for adapter in adapters]
    beside = [asyncio.create_task(_keep_running(service, states)) for service in others]
    try:
        while not all(task.done() for task in answering):
            unfinished = [task for task in (*answering, *beside) if not task.done()]
            await asyncio.wait(unfinished, return_when=asyncio.FIRST_COMPLETED)
            for error in (task.result() for task in beside if task.done()):
                if error:
                    raise error
    finally:
        for task in (*answering, *beside):
            task.cancel()
        await asyncio.gather(*answering, *beside, return_exceptions=True)
    errors = [task.result() for task in answering]
    if errors and all(errors):
        raise next(filter(None, errors))


async def _keep_running(adapter: Service, states: dict[str, str]) -> BotError | None:
    """Run one adapter, start it again when it fails, and never let its failure touch the others.

    Returns what has stopped it for good, or None where it had no more to give.
    """
    pauses = iter(_RESTART_PAUSES)
    while True:
        started = time.monotonic()
        states[adapter.name] = "running"
        try:
            await adapter.run()
        except BotError as error:  # what starting again can't cure
            states[adapter.name] = f"stopped: {error}"
            _log.error("adapter stopped for good", adapter=adapter.name, error=str(error))
            return error
        except Exception:
            if time.monotonic() - started > _RECOVERED:
                pauses = iter(_RESTART_PAUSES)
            pause = next(pauses, _RESTART_PAUSES[-1])
            states[adapter.name] = "restarting after a failure"
            metrics.RESTARTS.labels(adapter.name).inc()
            _log.exception("adapter failed", adapter=adapter.name, restart_seconds=pause)
            await asyncio.sleep(pause)
        else:
            states[adapter.name] = "stopped"
            return None


def _log_change(report: Report) -> None:
    """One line whenever a component enters another state."""
    log = _log.info if report.state in (State.STARTING, State.READY) else _log.warning
    log("component", component=report.name, state=report.state.value, detail=report.detail)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """While this holds, no other bot serves from the folder: two would both answer what a third one left undone."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "bot.lock", timeout=0)
        with lock:
            yield
    except Timeout as error:
        raise StorageError(
            f"Another bot is running with the data folder {folder}. Stop it first, or give this one a folder of its own: "
            "storage.folder"
        ) from error


@contextmanager
def _signals_set(stop: asyncio.Event) -> Iterator[None]:
    """While this holds, the first SIGTERM or SIGINT sets `stop`, and a second one ends the process."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in signals:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
