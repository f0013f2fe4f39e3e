"""Wiring, supervision, signals and drain. Nesting is the shutdown order: what is opened last is closed first."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from filelock import FileLock, Timeout

from bot import __version__
from bot.dispatcher import Dispatcher
from bot.engine.conversation import Conversations
from bot.engine.qa import QAEngine
from bot.errors import BotError, StorageError
from bot.evaluation.golden import GoldenQuestions
from bot.inference.encoder import Encoder, load_encoder
from bot.inference.reader import SimilarityReader
from bot.inference.workers import EncodingLane
from bot.knowledge.converter import Limits
from bot.knowledge.folder import GOLDEN_FILE
from bot.knowledge.indexer import IndexChange, Indexer
from bot.knowledge.search import Retriever
from bot.knowledge.watcher import FolderWatcher
from bot.messages import Adapter
from bot.settings import Settings
from bot.storage.sqlite_journal import SqliteJournal
from bot.storage.sqlite_knowledge import SqliteKnowledge
from bot.telemetry import LoopLagProbe

_log = structlog.stdlib.get_logger(__name__)


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


@asynccontextmanager
async def open_house(
    settings: Settings, encoder: Encoder | None = None, *, golden: bool = True, accept: bool = False
) -> AsyncIterator[House]:
    """Open the stores, load the models, wire the rooms. Raises StorageError and WeightsError.

    `encoder`: one that is loaded already, to be used instead of loading the one in the settings. `golden`: whether golden
    questions guard the index; `accept`: they are asked, but whatever they say is accepted.
    """
    async with AsyncExitStack() as stack:
        knowledge = await SqliteKnowledge.open(settings.storage.folder)
        stack.push_async_callback(knowledge.close)
        journal = await SqliteJournal.open(settings.storage.folder)
        stack.push_async_callback(journal.close)
        lane = EncodingLane(encoder or await _loaded_encoder(settings), capacity=2 * settings.queue.capacity)
        stack.push_async_callback(lane.close)
        retriever = Retriever(knowledge, lane, settings.retrieval)
        conversations = Conversations(journal, settings.conversation)

        def engine_over(retriever: Retriever) -> QAEngine:
            base_url = settings.knowledge.base_url
            return QAEngine(retriever, SimilarityReader(lane), conversations, settings.answer, base_url)

        engine = engine_over(retriever)

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
        )


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


async def _loaded_encoder(settings: Settings) -> Encoder:
    """Load the encoder in a thread of its own: imports and weights take seconds."""
    with ThreadPoolExecutor(1, thread_name_prefix="load") as executor:
        return await asyncio.get_running_loop().run_in_executor(
            executor, load_encoder, settings.encoder, settings.models
        )


MakeAdapters = Callable[[House, Dispatcher], Sequence[Adapter]]
# Seconds before a failed adapter is started again; the last one is repeated.
_RESTART_PAUSES = (1.0, 5.0, 15.0, 60.0)


async def serve(
    settings: Settings,
    make_adapters: MakeAdapters,
    refresh: Callable[[House], Awaitable[object]],
    *,
    fresh: bool = False,
) -> None:
    """Answer until a signal says stop, or until every adapter has no more to give.

    `refresh` makes the index before the first question. One that is there answers at once, and is brought up to date
    meanwhile, unless it has to be `fresh` or nobody watches the folder. SIGTERM and SIGINT stop accepting, give running
    answers their grace and return; a second one ends the process at once.
    """
    stop = asyncio.Event()
    with _alone_in(settings.storage.folder), _signals_set(stop):
        async with open_house(settings) as house, LoopLagProbe():
            ready = (await house.knowledge.summary()).encoder == house.lane.identity
            if fresh or not ready or not settings.knowledge.watch:
                await _unless_stopped(stop, refresh(house))
            if not stop.is_set():
                async with _watching(house):
                    await _serve(house, make_adapters, stop)


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


async def _serve(house: House, make_adapters: MakeAdapters, stop: asyncio.Event) -> None:
    await house.conversations.forget_expired()
    dispatcher = Dispatcher(house.engine, house.journal, house.settings.queue)
    adapters = make_adapters(house, dispatcher)
    dispatcher.register(adapters)
    resumed = await dispatcher.resume()
    _log.info("started", adapters=[adapter.name for adapter in adapters], resumed=resumed, **house.lane.description)
    try:
        await _unless_stopped(stop, asyncio.gather(*map(_keep_running, adapters)))
    finally:
        await dispatcher.close(house.settings.shutdown.grace_seconds)
        _log.info("stopped")


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


async def _keep_running(adapter: Adapter) -> None:
    """Run one adapter, start it again when it fails, and never let its failure touch the others."""
    for pause in chain(_RESTART_PAUSES, repeat(_RESTART_PAUSES[-1])):
        try:
            await adapter.run()
        except BotError as error:  # what starting again can't cure
            _log.error("adapter stopped for good", adapter=adapter.name, error=str(error))
        except Exception:
            _log.exception("adapter failed", adapter=adapter.name, restart_seconds=pause)
            await asyncio.sleep(pause)
            continue
        return


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
