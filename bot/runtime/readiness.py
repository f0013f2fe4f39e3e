"""Readiness: the models loaded and an index to answer from, reached once and kept."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from bot.core.errors import BotError
from bot.knowledge.watcher import FolderWatcher
from bot.observability.health import Component
from bot.observability.loop_lag import LoopLagProbe
from bot.runtime.application import Application
from bot.runtime.supervision import look_at_models, start_again
from bot.sources.store import watched

# A model call that outlasts two question deadlines is stuck; its caller timed out after the first.
_DEADLINES_UNTIL_STUCK = 2

_log = structlog.stdlib.get_logger(__name__)


class Readiness:
    """Gets ready for answering, and stays ready."""

    def __init__(
        self,
        application: Application,
        refresh: Callable[[Application], Awaitable[object]],
        lag: LoopLagProbe,
        *,
        fresh: bool,
    ) -> None:
        """`refresh` brings the index up to date. `fresh`: an index that exists is brought up to date before it is asked."""
        self._application = application
        self._refresh = refresh
        self._lag = lag
        self._fresh = fresh
        self.reached = asyncio.Event()

    async def reach(self) -> None:
        """Wait for the models, and make the index if there is none to search. Raises WeightsError, DocumentError.

        Imports hold up the event loop, so its lag is reported for the start and for the time since then apart.
        """
        await self._load_models()
        if self._fresh or not self._application.settings.knowledge.watch or not await self._has_index():
            await self._make_index()
        self._index.ready()
        _log.info("ready", loop_lag_p99_ms=round(self._lag.percentile(0.99), 1))
        self._lag.start_over()
        self.reached.set()

    async def keep(self) -> None:
        """Get ready, then replace models that hang and index documents that change, until cancelled. Raises the errors
        of `reach`."""
        if not self.reached.is_set():
            await self.reach()
        settings, worker = self._application.settings, self._application.inference.worker
        async with asyncio.TaskGroup() as group:
            stuck_seconds = _DEADLINES_UNTIL_STUCK * settings.queue.deadline_seconds
            looking = partial(look_at_models, worker, self._models, stuck_seconds)
            group.create_task(start_again("models", looking))
            if settings.knowledge.watch:
                group.create_task(start_again("watcher", self._watcher().run))

    @property
    def _models(self) -> Component:
        return self._application.health.component("models")

    @property
    def _index(self) -> Component:
        return self._application.health.component("index")

    async def _load_models(self) -> None:
        inference = self._application.inference
        self._models.starting("they are being loaded")
        try:
            await inference.worker.loaded()
        except BotError as error:
            self._models.failed(str(error))
            raise
        gc.freeze()  # the libraries' objects live as long as the process: looking through them stalled it by 250 ms
        self._models.ready()
        _log.info("models loaded", **inference.encoder.description)

    async def _has_index(self) -> bool:
        summary = await self._application.stores.knowledge.summary()
        return summary.encoder == self._application.inference.encoder.identity

    async def _make_index(self) -> None:
        self._index.starting("it is being made")
        try:
            await self._refresh(self._application)
        except BotError as error:
            self._index.failed(str(error))
            raise

    def _watcher(self) -> FolderWatcher:
        index, settings = self._index, self._application.settings.knowledge
        return FolderWatcher(
            self._application.indexer,
            settings.folder,
            beside=watched(self._application.settings),
            rescan_seconds=settings.rescan_seconds,
            on_trouble=lambda trouble: index.degraded(trouble) if trouble else index.ready(),
        )
