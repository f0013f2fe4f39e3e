"""Indexing: scans the knowledge folder, embeds new passages, and puts everything into the index as one change.

A reviewer, if there is one, examines every change before it goes live, and may refuse it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from bot.core.documents import Document
from bot.core.errors import DocumentError, IndexUnavailable
from bot.core.text import counted
from bot.inference.workers import AsyncEncoder
from bot.knowledge.converter import Converter, Limits
from bot.knowledge.embedding import Embedder
from bot.knowledge.folder import identity
from bot.knowledge.places import Places
from bot.knowledge.scan import Scan, Scanner
from bot.observability import metrics
from bot.storage.base import FileReport, FileState, IndexedFile, KnowledgeStore

T = TypeVar("T")

# The key of the note that identifies the folder of the index.
_FOLDER = "folder"
# Embedding more passages than this takes seconds, so that removed files are taken out of the index before.
_MANY = 200


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """The progress of an indexing: the passages that are embedded, and all that have to be."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class IndexChange:
    """A change of the index: files that replace those with the same paths, paths to remove, and files to note a new time of."""

    encoder: str
    changed: Sequence[IndexedFile]
    removed: Sequence[str]
    touched: Sequence[FileState]  # with the same content

    def __bool__(self) -> bool:
        return bool(self.changed or self.removed)


@dataclass(frozen=True, slots=True)
class Review:
    """A reviewer's decision on a change; the findings are sentences for the operator."""

    accepted: bool
    findings: tuple[str, ...] = ()


class Reviewer(Protocol):
    """Examines each change before it goes live."""

    async def is_needed(self) -> bool:
        """Return whether changes are examined: False if there are no golden questions."""

    async def review(self, change: IndexChange) -> Review:
        """Examine a change and decide whether it goes live."""

    async def accepted(self) -> None:
        """Note that the change that was reviewed last is live."""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """The result of one run.

    `files` are all files of the index; `changed` and `removed` are the paths of this run's changes. `embedded` counts the
    passages whose vectors were computed, and `passed_over` the files of other formats by their suffix. `review` is the
    reviewer's, if there is one; if it refuses the change, the previous index stays.
    """

    files: tuple[FileReport, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    embedded: int
    seconds: float
    passed_over: Mapping[str, int] = field(default_factory=dict)
    review: Review | None = None

    @property
    def passages(self) -> int:
        """The number of passages in the index."""
        return sum(file.passages for file in self.files)

    @property
    def problems(self) -> list[FileReport]:
        """The files that were not read, or read with warnings."""
        return [file for file in self.files if file.problem or file.warnings]

    @property
    def summary(self) -> str:
        """The numbers in a sentence."""
        return (
            f"{counted(self.passages, 'passage')} of {counted(len(self.files), 'file')}; "
            f"{counted(len(self.changed), 'file')} changed, {len(self.removed)} removed, "
            f"{counted(self.embedded, 'passage')} embedded in {self.seconds:.1f} s."
        )


class Indexer:
    """Keeps the index in step with the documents. Runs follow one another."""

    def __init__(
        self,
        store: KnowledgeStore,
        encoder: AsyncEncoder,
        passage_tokens: int,
        *,
        limits: Limits | None = None,
        largest_bytes: int = 100 * 2**20,
        reviewer: Reviewer | None = None,
        sources: Mapping[str, Path] | None = None,
    ) -> None:
        """Passages have at most `passage_tokens`; `limits` apply to reading one file, and larger files are not read.

        `sources`: folders that are indexed beside that of the documents, by the names that their paths begin with.
        """
        self._store = store
        self._encoder = encoder
        self._scanner = Scanner(encoder, passage_tokens, largest_bytes)
        self._embedder = Embedder(store, encoder)
        self._limits = limits
        self._reviewer = reviewer
        self._sources = sources or {}
        self._running = asyncio.Lock()
        # A scan may take hours: in the event loop's own threads it would delay what else runs there, such as name resolution.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="indexing")
        self._seen: object = None  # the folder's signature when it was last indexed
        self._in_step = False  # whether the index has the files of that signature

    async def index_folder(
        self, folder: Path, progress: Callable[[IndexProgress], None] = lambda _: None
    ) -> IndexReport:
        """Bring the index in step with a folder and the sources. A file that can't be read is reported and affects no others.

        Raises DocumentError if the folder itself can't be read; the index stays as it was then.
        """
        async with self._running:
            started = time.perf_counter()
            self._seen = None
            places = Places(folder, self._sources)
            seen = await asyncio.to_thread(places.signature)
            known = {state.path: state for state, _ in await self._store.files()}
            with Converter(self._limits) as converter:  # ends the work in the thread if this is cancelled
                scan = await self._in_thread(partial(self._scanner.scan, places, known, converter))
            await self._require_same(folder, scan, known)
            report = await self._apply(scan, list(known), started, progress)
            self._seen = None if scan.unsettled else seen
            self._in_step = report.review is None or report.review.accepted
            if self._in_step:
                metrics.DOCUMENTS.set(sum(1 for file in report.files if file.passages))
                metrics.PASSAGES.set(report.passages)
                metrics.index_is_in_step()
            return report

    async def has_changed(self, folder: Path) -> bool:
        """Return whether the folder has changed since it was last indexed."""
        if self._seen is None or self._seen != await asyncio.to_thread(Places(folder, self._sources).signature):
            return True
        if self._in_step:
            metrics.index_is_in_step()
        return False

    async def behind(self, folder: Path) -> int:
        """Return the number of files whose size or time differs from the index, reading none. Raises DocumentError."""
        known = {state.path: state for state, _ in await self._store.files()}
        return await asyncio.to_thread(self._scanner.behind, Places(folder, self._sources), known)

    async def forget_missing(self, folder: Path) -> list[str]:
        """Remove deleted documents from the index at once, also while a long indexing runs. Returns their paths.

        Does nothing if changes are reviewed or the whole folder is gone: `index_folder` decides then.
        """
        places = Places(folder, self._sources)
        known = [state.path for state, _ in await self._store.files() if not places.of_source(state.path)]
        there = await asyncio.to_thread(lambda: {path for path in known if places.is_there(path)})
        gone = [path for path in known if path not in there]
        encoder = (await self._store.summary()).encoder
        if not gone or not there or encoder != self._encoder.identity or await self._is_reviewed():
            return []
        await self._store.change(encoder, [], gone, [], keep_vectors=True)
        return gone

    async def index_documents(
        self, documents: Sequence[Document], progress: Callable[[IndexProgress], None] = lambda _: None
    ) -> IndexReport:
        """Make an index of exactly these documents, which come from no folder."""
        async with self._running:
            started = time.perf_counter()
            known = [state.path for state, _ in await self._store.files()]
            states = [FileState(document.path, 0, 0, "", self._scanner.recipe) for document in documents]
            files = await self._in_thread(lambda: list(map(self._scanner.cut, states, documents)))
            scan = Scan(changed=files, present={file.state.path for file in files})
            return await self._apply(scan, known, started, progress)

    async def _require_same(self, folder: Path, scan: Scan, known: Mapping[str, FileState]) -> None:
        """Raise DocumentError if the folder is empty and isn't the folder of the index: a drive is not mounted."""
        now = await asyncio.to_thread(identity, folder)
        before = await self._store.note(_FOLDER)
        if known and scan.emptied and before != now:
            raise DocumentError(
                f"The folder {folder} is empty and is not the one that the index was made from, as if something were not "
                "mounted. The last index stays as it is. If this is what you want, put the first document there."
            )
        if before != now:
            await self._store.set_note(_FOLDER, now)

    async def _apply(
        self, scan: Scan, known: Sequence[str], started: float, progress: Callable[[IndexProgress], None]
    ) -> IndexReport:
        removed = [path for path in known if path not in scan.present]
        texts, missing = await self._embedder.missing(scan.changed)
        summary = await self._store.summary()
        same_encoder = summary.encoder == self._encoder.identity
        if removed and len(missing) > _MANY and same_encoder and not await self._is_reviewed():
            # Removed documents must not answer while the rest is embedded.
            await self._store.change(self._encoder.identity, [], removed, [], keep_vectors=True)
        await self._embedder.embed(texts, missing, lambda done, total: progress(IndexProgress(done, total)))
        changed, vanished = await asyncio.to_thread(scan.still_there)
        change = IndexChange(self._encoder.identity, changed, [*removed, *vanished], scan.touched)
        review = await self._reviewer.review(change) if self._reviewer else None
        if review is not None and not review.accepted and summary.encoder and not same_encoder:
            raise IndexUnavailable(
                f"The index of the encoder {summary.encoder} was kept, because this encoder answers worse: "
                f"{' '.join(review.findings)} Go back to that encoder, or accept it: knowledge-bot index --accept"
            )
        if review is None or review.accepted:
            await self._store.change(change.encoder, change.changed, change.removed, change.touched)
            if self._reviewer is not None:
                await self._reviewer.accepted()
        return IndexReport(
            files=tuple(scan.remarked(report) for _, report in await self._store.files()),
            changed=tuple(file.state.path for file in changed),
            removed=tuple(change.removed),
            embedded=len(missing),
            seconds=time.perf_counter() - started,
            passed_over=dict(scan.passed_over),
            review=review,
        )

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _is_reviewed(self) -> bool:
        return self._reviewer is not None and await self._reviewer.is_needed()
