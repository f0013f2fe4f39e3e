"""Wiring, supervision, signals and drain. Nesting is the shutdown order: what is opened last is closed first."""

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import structlog

from bot import __version__
from bot.adapters.http import HttpAdapter
from bot.core.errors import BotError, StorageError
from bot.core.messages import Adapter, Closing, Outcome, Service
from bot.core.settings import Settings
from bot.engine.confidence import SHIPPED as SHIPPED_CALIBRATION
from bot.engine.confidence import SHIPPED_BY_WORDS, Calibration
from bot.engine.conversation import Conversations
from bot.engine.grounding import Grounding
from bot.engine.phrasing import Phraser
from bot.engine.qa import QAEngine
from bot.evaluation.golden import GoldenQuestions
from bot.inference.encoder import NO_MODEL, AnyEncoder, WordEncoder, load_encoder
from bot.inference.generator import GenerationWorker, Generator, load_model
from bot.inference.reader import ExtractiveReader
from bot.inference.remote import DailyBudget, RemoteGenerator
from bot.inference.span_model import SpanModel, load_span_model
from bot.inference.tuned import chosen
from bot.inference.workers import AsyncEncoder, AsyncReader, InferenceWorker
from bot.knowledge.converter import Limits
from bot.knowledge.folder import GOLDEN_FILE
from bot.knowledge.indexer import IndexChange, Indexer
from bot.knowledge.search import Retriever
from bot.knowledge.watcher import FolderWatcher
from bot.observability.health import Component, Health, Report, State
from bot.observability.loop_lag import LoopLagProbe
from bot.questions.administration import Administration
from bot.questions.dispatcher import Dispatcher
from bot.runtime import systemd
from bot.runtime.supervision import look_at_journal, look_at_models, run_all, start_again, until_stopped
from bot.storage.data_folder import CANDIDATE, alone_in, inspect
from bot.storage.sqlite.journal import SqliteJournal
from bot.storage.sqlite.knowledge import SqliteKnowledge

_log = structlog.stdlib.get_logger(__name__)
T = TypeVar("T")
# Seconds for what is still open to be closed after the grace.
_CLOSING = 20.0


@dataclass(frozen=True, slots=True)
class Models:
    """What runs in the inference thread."""

    encoder: AnyEncoder
    reader: SpanModel


@dataclass(frozen=True, slots=True)
class Application:
    """The rooms between the adapters and the disk, opened and wired."""

    settings: Settings
    knowledge: SqliteKnowledge
    journal: SqliteJournal
    thread: InferenceWorker
    lane: AsyncEncoder
    indexer: Indexer
    retriever: Retriever
    conversations: Conversations
    engine: QAEngine
    phraser: Phraser | None
    health: Health
    loading: "Future[Models]"

    generator_loaded: asyncio.Event
    """Set as soon as it is known whether there is a generator: answers are quotations until then."""

    async def loaded(self) -> None:
        """Wait until the models are there. Raises WeightsError."""
        await asyncio.wrap_future(self.loading)


@asynccontextmanager
async def open_application(
    settings: Settings,
    models: Models | None = None,
    *,
    golden: bool = True,
    accept: bool = False,
    health: Health | None = None,
    background: bool = False,
) -> AsyncIterator[Application]:
    """Open the stores, load the models, wire the rooms. Raises StorageError and WeightsError.

    `models`: ones that are loaded already, to be used instead of those in the settings. `golden`: whether golden
    questions guard the index; `accept`: they are asked, but whatever they say is accepted. `health`: where the rooms report
    how they are. `background`: the models may come later, see `Application.loaded`.
    """
    async with AsyncExitStack() as stack:
        knowledge = await SqliteKnowledge.open(settings.storage.folder)
        stack.push_async_callback(knowledge.close)
        journal = await SqliteJournal.open(settings.storage.folder)
        stack.push_async_callback(journal.close)
        loading = _loading(settings, models)
        stack.push_async_callback(_ended, loading, settings.shutdown.grace_seconds)
        if not background:
            await asyncio.wrap_future(loading)
        thread = InferenceWorker("inference", capacity=2 * settings.queue.capacity)
        stack.push_async_callback(thread.close)
        lane = AsyncEncoder(_of(loading, lambda models: models.encoder), thread)
        reading = AsyncReader(_of(loading, lambda models: models.reader), thread)
        reader = ExtractiveReader(reading)
        by_words = not models.encoder.by_meaning if models else settings.encoder.model == NO_MODEL
        shipped = SHIPPED_BY_WORDS if by_words else SHIPPED_CALIBRATION
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
        yield Application(
            settings=settings,
            knowledge=knowledge,
            journal=journal,
            thread=thread,
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
            phraser=phraser,
            health=health,
            loading=loading,
            generator_loaded=loaded,
        )


@asynccontextmanager
async def _phrasing(
    settings: Settings, grounding: Grounding, reading: InferenceWorker, health: Health, loaded: asyncio.Event
) -> AsyncIterator[Phraser | None]:
    """The phraser, if the settings name a generator, which is loaded meanwhile. `loaded` is set when that is over."""
    if settings.generator.provider == "none":
        loaded.set()
        yield None
        return
    component = health.component("generator", essential=False)
    component.starting(f"{settings.generator.model} is being loaded; the documents are quoted meanwhile")
    phraser = Phraser(settings.generator, grounding)
    async with AsyncExitStack() as stack:
        making = _in_background(make_generator, settings, reading.let_pass)
        stack.push_async_callback(_ended, making, settings.shutdown.grace_seconds)
        loading = asyncio.create_task(
            _load_generator(settings, making, phraser, component, loaded, stack), name="load-generator"
        )
        try:
            yield phraser
        finally:
            loading.cancel()
            with suppress(asyncio.CancelledError):
                await loading


def _reporting_to(component: Component, detail: str) -> Callable[[str], None]:
    """Tells how the last draft went; `detail` is what is to be known where all is well."""

    def report(problem: str) -> None:
        if problem:
            component.degraded(f"{problem}; the documents are quoted instead")
        else:
            component.ready(detail)

    return report


async def _load_generator(
    settings: Settings,
    making: "Future[Generator]",
    phraser: Phraser,
    component: Component,
    loaded: asyncio.Event,
    stack: AsyncExitStack,
) -> None:
    """Load the generator and let the phraser use it; where there is none, say so once, and do without."""
    try:
        generator = await asyncio.wrap_future(making)
    except BotError as error:
        component.failed(f"{error} The documents are quoted.")
        phraser.do_without("the model could not be loaded")
        _log.warning("no generator: the documents are quoted", model=settings.generator.model, error=str(error))
    else:
        stack.push_async_callback(generator.close)
        gc.freeze()  # as after loading the other models
        detail = ". ".join(filter(None, (generator.name, str(generator.description.get("warning", "")))))
        phraser.use(generator, _reporting_to(component, detail))
        component.ready(detail)
        _log.info("generator loaded", **generator.description)
    finally:
        loaded.set()


def make_generator(settings: Settings, pause: Callable[[], None] = lambda: None) -> Generator:
    """The generator that the settings name, local unless they say otherwise; `pause` is for GenerationWorker. Blocking. Raises
    WeightsError."""
    if settings.generator.provider == "openai":
        budget = DailyBudget(settings.storage.folder / "tokens.json", settings.generator.tokens_per_day)
        return RemoteGenerator(settings.generator, budget)
    choice = chosen(settings)
    model = load_model(choice.settings, settings.models, choice.name)
    if choice.warning:
        model.description["warning"] = choice.warning
        _log.warning("see to the tuned model", reason=choice.warning)
    parallel, capacity = settings.generator.parallel, settings.queue.capacity
    return GenerationWorker(model, side_by_side=parallel, capacity=capacity, pause=pause)


@asynccontextmanager
async def _index_after(change: IndexChange, knowledge: SqliteKnowledge, folder: Path) -> AsyncIterator[SqliteKnowledge]:
    """A copy of the index with a change made in it, for as long as this holds."""
    with TemporaryDirectory(dir=folder, prefix=CANDIDATE) as place:
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


def administration_of(application: Application, dispatcher: Dispatcher | None = None) -> Administration:
    """What an operator may do with this application; with the dispatcher of the daemon, if one runs in this process."""
    return Administration(
        application.settings,
        application.knowledge,
        application.indexer,
        application.journal,
        application.journal,
        application.engine,
        application.lane,
        dispatcher=dispatcher,
    )


def _loading(settings: Settings, models: Models | None) -> "Future[Models]":
    """The models, at once where they are given."""
    if models is None:
        return _in_background(load_models, settings)
    future: Future[Models] = Future()
    future.set_result(models)
    return future


def _in_background(load: Callable[..., T], *arguments: object) -> "Future[T]":
    """Load in a thread of its own, which nobody waits for who stops the bot: imports and weights take seconds."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def work() -> None:
        try:
            future.set_result(load(*arguments))
        except BaseException as error:  # whoever waits must hear of it
            future.set_exception(error)

    threading.Thread(target=work, name="load", daemon=True).start()
    return future


def _of(loading: "Future[Models]", part: "Callable[[Models], T]") -> "Future[T]":
    """One of the models, as soon as they are there."""
    future: Future[T] = Future()

    def hand_on(loaded: "Future[Models]") -> None:
        if error := loaded.exception():
            future.set_exception(error)
        else:
            future.set_result(part(loaded.result()))

    loading.add_done_callback(hand_on)
    return future


async def _ended(loading: "Future[Any]", seconds: float) -> None:
    """Wait for the loading thread, which can't be stopped and must not meet the end of the interpreter."""
    await asyncio.to_thread(wait, (loading,), seconds)


def load_models(settings: Settings) -> Models:
    """Load the models that the settings name. Blocking. Raises WeightsError."""
    encoder = WordEncoder() if settings.encoder.model == NO_MODEL else load_encoder(settings.encoder, settings.models)
    return Models(encoder, load_span_model(settings.reader, settings.models))


MakeServices = Callable[[Application, Dispatcher, Administration], Sequence[Service]]
"""The adapters, and what they need beside them."""
_BETWEEN_ERASURES = 3600.0  # seconds
_DAY = 86_400.0  # seconds
# A platform that tells of an old message again does so within hours.
_KEYS_KEPT = 30 * _DAY


async def serve(
    settings: Settings,
    make_services: MakeServices,
    refresh: Callable[[Application], Awaitable[object]],
    *,
    at_terminal: bool = False,
    fresh: bool = False,
    set_damaged_aside: bool = False,
) -> None:
    """Answer until a signal says stop, or until every adapter has no more to give. Raises the BotError of the last one if
    all were stopped by an error that starting again can't cure.

    Questions are taken in at once, and wait until the models are loaded and `refresh` has made the index. An index that is
    there answers at once, and is brought up to date meanwhile, unless it has to be `fresh` or nobody watches the folder.
    SIGTERM and SIGINT stop accepting, give running answers their grace and return; a second one ends the process at once.
    `at_terminal`: one person asks, without limits, and of the answers only declines are kept once they are shown.
    `set_damaged_aside`: a database that is damaged is renamed, and a new one made; otherwise StorageError is raised.
    """
    stop = asyncio.Event()
    with alone_in(settings.storage.folder), _signals_set(stop):
        await asyncio.to_thread(inspect, settings.storage.folder, set_damaged_aside=set_damaged_aside)
        health = Health(_log_change)
        async with (
            open_application(settings, health=health, background=not at_terminal) as application,
            LoopLagProbe() as lag,
        ):
            ready = asyncio.Event()
            if at_terminal:  # whoever sits there sees how far it is, and asks when it is done
                await until_stopped(stop, _prepare(application, refresh, ready, fresh, lag))
            if not stop.is_set():
                keep_in_step = partial(_keep_in_step, application, refresh, ready, fresh, lag)
                await _serve(application, make_services, keep_in_step, ready, stop, at_terminal)
                _log.info("stopped", loop_lag_p99_ms=round(lag.percentile(0.99), 1))


async def _prepare(
    application: Application,
    refresh: Callable[[Application], Awaitable[object]],
    ready: asyncio.Event,
    fresh: bool,
    lag: LoopLagProbe,
) -> None:
    """Wait for the models, and make the index where there is none that can be asked. Raises WeightsError, DocumentError.

    Imports hold up the event loop, so its lag is told of the start and of the time since then apart.
    """
    models, index = application.health.component("models"), application.health.component("index")
    models.starting("they are being loaded")
    try:
        await application.loaded()
    except BotError as error:
        models.failed(str(error))
        raise
    gc.freeze()  # the libraries' objects live as long as the process: looking through them stalled it by 250 ms
    models.ready()
    _log.info("models loaded", **application.lane.description)
    there = (await application.knowledge.summary()).encoder == application.lane.identity
    if fresh or not there or not application.settings.knowledge.watch:
        index.starting("it is being made")
        try:
            await refresh(application)
        except BotError as error:
            index.failed(str(error))
            raise
    index.ready()
    _log.info("ready", loop_lag_p99_ms=round(lag.percentile(0.99), 1))
    lag.start_over()
    ready.set()


async def _keep_in_step(
    application: Application,
    refresh: Callable[[Application], Awaitable[object]],
    ready: asyncio.Event,
    fresh: bool,
    lag: LoopLagProbe,
) -> None:
    """Prepare what is needed for answers, then see to it that it lasts, until cancelled. Raises what preparing raises."""
    if not ready.is_set():
        await _prepare(application, refresh, ready, fresh, lag)
    settings, index = application.settings, application.health.component("index")
    looking = partial(
        look_at_models, application.thread, application.health.component("models"), settings.models.stuck_seconds
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(start_again("models", looking))
        if settings.knowledge.watch:
            watcher = FolderWatcher(
                application.indexer,
                settings.knowledge.folder,
                rescan_seconds=settings.knowledge.rescan_seconds,
                on_trouble=lambda trouble: index.degraded(trouble) if trouble else index.ready(),
            )
            group.create_task(start_again("watcher", watcher.run))


async def _serve(
    application: Application,
    make_services: MakeServices,
    keep_in_step: Callable[[], Awaitable[None]],
    ready: asyncio.Event,
    stop: asyncio.Event,
    at_terminal: bool,
) -> None:
    settings = application.settings
    dispatcher = Dispatcher(
        application.engine,
        application.journal,
        settings.queue,
        limits=None if at_terminal else settings.limits,
        keep=_kept(settings, at_terminal),
        ready=ready,
    )
    administration = administration_of(application, dispatcher)
    services = make_services(application, dispatcher, administration)
    adapters = [service for service in services if isinstance(service, Adapter)]
    # HTTP runs beside the platforms: it doesn't keep a bot going whose platforms have all ended, nor end one where they go on.
    leading = [adapter for adapter in adapters if adapter.name != HttpAdapter.name] or adapters
    others = [service for service in services if service not in leading]
    dispatcher.register(adapters)
    beside = [
        asyncio.create_task(start_again(name, work))
        for name, work in (
            ("erasing", partial(_keep_erasing, application)),
            (
                "journal",
                partial(
                    look_at_journal,
                    application.journal,
                    settings.storage.folder,
                    application.health.component("journal"),
                ),
            ),
            ("watchdog", systemd.show_life),
        )
    ]
    resumed = await dispatcher.resume()
    _log.info("started", adapters=[adapter.name for adapter in adapters], resumed=resumed)
    systemd.ready()
    try:
        await until_stopped(
            stop, run_all(leading, administration.platforms, application.health, others), keep_in_step()
        )
    finally:
        systemd.stopping(settings.shutdown.grace_seconds + _CLOSING)
        await dispatcher.close(settings.shutdown.grace_seconds)
        for service in services:
            if isinstance(service, Closing):
                await service.close()
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        _log.info("drained", **dispatcher.counts)


def _kept(settings: Settings, at_terminal: bool) -> frozenset[Outcome]:
    """Who asks at the terminal presses no buttons below an answer, but wants to see what the documents lack."""
    if not settings.storage.answer_days:
        return frozenset()
    return frozenset({Outcome.DECLINED}) if at_terminal else frozenset(Outcome)


async def _keep_erasing(application: Application) -> None:
    """Erase on time what is kept for some time only, what has become too old during a pause at once."""
    while True:
        try:
            await _erase_expired(application)
        except StorageError as error:
            _log.error("not erased, to be tried again", error=str(error), retry_seconds=_BETWEEN_ERASURES)
        await asyncio.sleep(_BETWEEN_ERASURES)


async def _erase_expired(application: Application) -> None:
    await application.conversations.forget_expired()
    now, kept = time.time(), application.settings.storage.answer_days * _DAY
    await application.journal.erase_older(now - kept, keys_older_than=now - kept - _KEYS_KEPT)
    for store in (application.journal, application.knowledge):
        while await store.reclaim():
            pass  # questions go between


def _log_change(report: Report) -> None:
    """One line whenever a component enters another state."""
    log = _log.info if report.state in (State.STARTING, State.READY) else _log.warning
    log("component", component=report.name, state=report.state.value, detail=report.detail)
    systemd.status(f"{report.name}: {report.state}" + (f" ({report.detail})" if report.detail else ""))


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
