"""The watcher of the knowledge folder: indexes it again after changes, while the bot runs.

The operating system reports changes; the watcher waits for the end of a burst of them. Because some file systems report none
(network drives, volumes of containers), it also checks the whole folder at intervals.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import structlog
from watchfiles import Change, awatch

from bot.core.errors import BotError
from bot.knowledge.folder import identity
from bot.knowledge.indexer import Indexer, IndexReport

_log = structlog.stdlib.get_logger(__name__)

# A burst ends with this pause; a longer burst is indexed before its end.
_SETTLED_MS = 200
_LONGEST_BURST_MS = 3_000


class FolderWatcher:
    """Keeps the index in step with the folder until it is cancelled. Failures are logged, and indexing is tried again."""

    def __init__(
        self,
        indexer: Indexer,
        folder: Path,
        *,
        rescan_seconds: float,
        beside: Sequence[Path] = (),
        on_trouble: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`beside` are other folders that the indexer reads, which exist.

        `on_trouble` gets the reason why the index is out of step after each run, or ""."""
        self._indexer = indexer
        self._folder = folder
        self._beside = beside
        self._rescan_seconds = rescan_seconds
        self._on_trouble = on_trouble
        self._woken = asyncio.Event()
        self._indexing = False
        self._logged_failure: str | None = None  # the last one, so that it is logged once

    async def run(self) -> None:
        """Index the folder now, and again after each change in it."""
        events = asyncio.create_task(self._listen(), name="folder-events")
        try:
            while True:
                await self._index_if_changed()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._rescan_seconds):
                        await self._woken.wait()
                self._woken.clear()
        finally:
            events.cancel()
            with suppress(asyncio.CancelledError):
                await events

    async def _index_if_changed(self) -> None:
        self._indexing = True
        try:
            if await self._indexer.has_changed(self._folder):
                self._log_report(await self._indexer.index_folder(self._folder))
            elif self._logged_failure is not None:
                self._on_trouble("")
            self._logged_failure = None
        except BotError as error:
            self._log_failure(str(error))
        except Exception as error:
            self._on_trouble(f"indexing failed ({type(error).__name__}); the log says more")
            _log.exception("indexing failed", retry_seconds=self._rescan_seconds)
        finally:
            self._indexing = False

    async def _listen(self) -> None:
        """Start an indexing with each burst of changes. If the folder is replaced by another one, listen to that."""
        while True:
            try:
                await self._listen_to(await asyncio.to_thread(identity, self._folder))
            except OSError as error:  # the folder is gone, or has too many subfolders to watch
                _log.info("no events from the folder", error=str(error), rescan_seconds=self._rescan_seconds)
                await asyncio.sleep(self._rescan_seconds)

    async def _listen_to(self, folder_identity: str) -> None:
        bursts = awatch(
            self._folder,
            *self._beside,
            watch_filter=None,
            debounce=_LONGEST_BURST_MS,
            step=_SETTLED_MS,
            rust_timeout=max(1_000, int(self._rescan_seconds * 1000)),
            yield_on_timeout=True,
            ignore_permission_denied=True,
        )
        async for changes in bursts:
            if changes:
                self._woken.set()
            if self._indexing and any(change is Change.deleted for change, _ in changes):
                await self._forget_deleted()
            if await asyncio.to_thread(identity, self._folder) != folder_identity:
                self._woken.set()
                return

    async def _forget_deleted(self) -> None:
        try:
            gone = await self._indexer.forget_missing(self._folder)
        except BotError as error:
            self._log_failure(str(error))
        else:
            if gone:
                _log.info("deleted documents forgotten", documents=len(gone))

    def _log_report(self, report: IndexReport) -> None:
        changed = set(report.changed)
        for file in report.problems:
            if file.path in changed:
                reason = file.problem or "; ".join(file.warnings)
                _log.warning(
                    "document not read" if file.problem else "document with remarks", path=file.path, reason=reason
                )
        if report.review is not None and not report.review.accepted:
            _log.error("golden questions got worse: the previous index stays", findings=report.review.findings)
            self._on_trouble("golden questions got worse, so the previous index stays: knowledge-bot index")
            return
        self._on_trouble("")
        if report.changed or report.removed:
            _log.info(
                "index renewed",
                changed=len(report.changed),
                removed=len(report.removed),
                embedded=report.embedded,
                passages=report.passages,
                seconds=round(report.seconds, 2),
            )

    def _log_failure(self, problem: str) -> None:
        self._on_trouble(problem)
        if problem != self._logged_failure:
            _log.warning("documents not indexed", problem=problem, retry_seconds=self._rescan_seconds)
        self._logged_failure = problem
