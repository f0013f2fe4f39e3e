"""The knowledge folder -> the index: what changed since the last time is read, cut, embedded, and put in as one change.

Files are recognised by size and time, then by content hash, so only changed ones are read and only changed passages are
embedded. Vectors are stored as they are made: an interrupted run resumes where it was. Reading happens in the converter's
process, cutting in a thread, embedding in the encoder's lane behind the questions. Where there is a reviewer, it sees every
change before it goes live, and may refuse it.
"""

import asyncio
import hashlib
import os
import time
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

from bot.core.documents import Document, embedded_text
from bot.core.errors import DocumentError, IndexUnavailable
from bot.inference.workers import AsyncEncoder, Priority
from bot.knowledge.converter import Converter, Limits
from bot.knowledge.folder import Entry, FileChanging, identity, list_folder, read_file, signature
from bot.knowledge.passages import split
from bot.observability import metrics
from bot.storage.base import FileReport, FileState, IndexedFile, KnowledgeStore, Scores

# Changes whenever the same file would give other passages, so that an update of the program makes them again.
_RECIPE_VERSION = 2
# Characters to a job of the lane, as many as the encoder takes at once: a question waits for one such job at most, about 90 ms
# on two cores. Jobs of half the length cost a passage an eighth more.
_EMBEDDED_AT_ONCE = 4_000
_STORED_AT_ONCE = 512
# Embedding more passages than this takes seconds, and what was removed is taken out of the index before.
_MANY = 200


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """How far an indexing has come: passages embedded, of those that need it."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class IndexChange:
    """What is to be put into the index, replacing what stood under the same paths, and what is to be taken out of it."""

    encoder: str
    changed: Sequence[IndexedFile]
    removed: Sequence[str]
    touched: Sequence[FileState]  # only their size or time is another

    def __bool__(self) -> bool:
        return bool(self.changed or self.removed)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reviewer says of a change, in sentences for the operator."""

    accepted: bool
    findings: tuple[str, ...] = ()


class Reviewer(Protocol):
    """Sees each change before it is made."""

    async def is_needed(self) -> bool:
        """Whether there is anything to examine changes by."""

    async def review(self, change: IndexChange) -> Verdict: ...

    async def accepted(self) -> None:
        """The change that was reviewed last is live."""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What one run did. `files` is every file now known, `embedded` counts the passages that had to be computed.

    `passed_over` counts the files of other formats by their suffix. `verdict` is the reviewer's, where there is one; if it
    is not accepted, the index is still the one from before.
    """

    files: tuple[FileReport, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    embedded: int
    seconds: float
    passed_over: Mapping[str, int] = field(default_factory=dict)
    verdict: Verdict | None = None

    @property
    def passages(self) -> int:
        return sum(file.passages for file in self.files)

    @property
    def problems(self) -> list[FileReport]:
        return [file for file in self.files if file.problem or file.warnings]


class Indexer:
    """Keeps the index in step with the documents. One run at a time."""

    def __init__(
        self,
        store: KnowledgeStore,
        lane: AsyncEncoder,
        passage_tokens: int,
        *,
        limits: Limits | None = None,
        largest_bytes: int = 100 * 2**20,
        reviewer: Reviewer | None = None,
    ) -> None:
        self._store = store
        self._lane = lane
        self._wanted_tokens = passage_tokens
        self._limits = limits
        self._largest_bytes = largest_bytes
        self._reviewer = reviewer
        self._running = asyncio.Lock()
        self._seen: object = None  # the folder as it was when it was last indexed
        self._in_step = False  # whether the index is as that folder was

    @cached_property
    def _passage_tokens(self) -> int:
        return min(self._wanted_tokens, self._lane.window)

    @cached_property
    def _recipe(self) -> str:
        """How files are cut. Raises ModelsLoading as long as it isn't known."""
        return f"{_RECIPE_VERSION}:{self._passage_tokens}:{self._lane.identity}"

    async def index_folder(
        self, folder: Path, progress: Callable[[IndexProgress], None] = lambda _: None
    ) -> IndexReport:
        """Bring the index in step with a folder. A file that can't be read is reported and hurts no other.

        Raises DocumentError if the folder itself can't be read; the index is left as it was then.
        """
        async with self._running:
            started = time.perf_counter()
            self._seen = None
            seen = await asyncio.to_thread(signature, folder)
            known = {state.path: state for state, _ in await self._store.files()}
            with Converter(self._limits) as converter:  # which ends the thread's work where this is cancelled
                scan = await asyncio.to_thread(self._scan, folder, known, converter)
            scan.folder = folder
            await self._make_sure_of(folder, scan, known)
            report = await self._apply(scan, list(known), started, progress)
            self._seen = None if scan.unsettled else seen
            self._in_step = report.verdict is None or report.verdict.accepted
            if self._in_step:
                metrics.DOCUMENTS.set(sum(1 for file in report.files if file.passages))
                metrics.PASSAGES.set(report.passages)
                metrics.index_is_in_step()
            return report

    async def has_changed(self, folder: Path) -> bool:
        """Whether the folder looks otherwise than when it was last indexed."""
        if self._seen is None or self._seen != await asyncio.to_thread(signature, folder):
            return True
        if self._in_step:
            metrics.index_is_in_step()
        return False

    async def behind(self, folder: Path) -> int:
        """How many files look otherwise than the index has them, by size and time; nothing is read. Raises DocumentError."""
        known = {state.path: state for state, _ in await self._store.files()}

        def count() -> int:
            listing = list_folder(folder)
            there = {entry.path for entry in listing.entries}
            gone = sum(path not in there and not listing.is_hidden_by_error(path) for path in known)
            return gone + sum(self._looks_changed(entry, known.get(entry.path)) for entry in listing.entries)

        return await asyncio.to_thread(count)

    def _looks_changed(self, entry: Entry, known: FileState | None) -> bool:
        if known is None or known.recipe != self._recipe:
            return True
        if entry.problem is not None or not known.modified_ns:
            return entry.problem is not None and known.content_hash != entry.problem
        try:
            status = entry.file.stat()
        except OSError:
            return False
        return (known.size, known.modified_ns) != (status.st_size, status.st_mtime_ns)

    async def forget_missing(self, folder: Path) -> list[str]:
        """Take the documents that are gone out of the index at once, also while a long indexing runs.

        Where changes are reviewed, or the whole folder is gone, nothing is done: that is for `index_folder` to decide.
        """
        known = [state.path for state, _ in await self._store.files()]
        there = await asyncio.to_thread(lambda: {path for path in known if _is_there(folder, path)})
        gone = [path for path in known if path not in there]
        encoder = (await self._store.summary()).encoder
        if not gone or not there or encoder != self._lane.identity or await self._is_reviewed():
            return []
        await self._store.change(encoder, [], gone, [], keep_vectors=True)
        return gone

    async def index_documents(
        self, documents: Sequence[Document], progress: Callable[[IndexProgress], None] = lambda _: None
    ) -> IndexReport:
        """Make the index of just these documents, which come from no folder."""
        async with self._running:
            started = time.perf_counter()
            known = [state.path for state, _ in await self._store.files()]
            states = [FileState(document.path, 0, 0, "", self._recipe) for document in documents]
            files = await asyncio.to_thread(lambda: list(map(self._cut, states, documents)))
            scan = _Scan(changed=files, present={file.state.path for file in files})
            return await self._apply(scan, known, started, progress)

    async def _make_sure_of(self, folder: Path, scan: "_Scan", known: Mapping[str, FileState]) -> None:
        """Raise DocumentError where an empty folder is not the one that the index was made of, but the place of a mount."""
        now = await asyncio.to_thread(identity, folder)
        before = await self._store.noted(_FOLDER)
        if known and not scan.present and before != now:
            raise DocumentError(
                f"The folder {folder} is empty and is not the one that the index was made from, as if something were not "
                "mounted. The last index stays as it is. If this is what you want, put the first document there."
            )
        if before != now:
            await self._store.note(_FOLDER, now)

    async def _apply(
        self, scan: "_Scan", known: Sequence[str], started: float, progress: Callable[[IndexProgress], None]
    ) -> IndexReport:
        removed = [path for path in known if path not in scan.present]
        texts, missing = await self._missing(scan.changed)
        summary = await self._store.summary()
        same_encoder = summary.encoder == self._lane.identity
        if removed and len(missing) > _MANY and same_encoder and not await self._is_reviewed():
            # What is gone must not be answered from while the rest is embedded.
            await self._store.change(self._lane.identity, [], removed, [], keep_vectors=True)
        await self._embed(texts, missing, progress)
        changed, vanished = await asyncio.to_thread(scan.still_there)
        change = IndexChange(self._lane.identity, changed, [*removed, *vanished], scan.touched)
        verdict = await self._reviewer.review(change) if self._reviewer else None
        if verdict is not None and not verdict.accepted and summary.encoder and not same_encoder:
            raise IndexUnavailable(
                f"The index of the encoder {summary.encoder} was kept, because this encoder answers worse: "
                f"{' '.join(verdict.findings)} Go back to that encoder, or accept it: knowledge-bot index --accept"
            )
        if verdict is None or verdict.accepted:
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
            verdict=verdict,
        )

    async def _missing(self, files: Sequence[IndexedFile]) -> tuple[dict[str, str], list[str]]:
        """The texts to embed by their keys, and the keys of those without a vector.

        Neighbours in length stand together, so that little padding is computed.
        """
        texts = await asyncio.to_thread(_texts, files)
        known = await self._store.known_vectors(self._lane.identity, list(texts))
        missing = [key for key in texts if key not in known]
        await asyncio.to_thread(missing.sort, key=lambda key: len(texts[key]))
        return texts, missing

    async def _is_reviewed(self) -> bool:
        return self._reviewer is not None and await self._reviewer.is_needed()

    async def _embed(
        self, texts: Mapping[str, str], missing: list[str], progress: Callable[[IndexProgress], None]
    ) -> None:
        """Compute and store the vectors that are missing."""
        done = 0
        progress(IndexProgress(done, len(missing)))

        async def encode(keys: list[str]) -> dict[str, Scores]:
            nonlocal done
            vectors = await self._lane.encode([texts[key] for key in keys], priority=Priority.INDEXING)
            done += len(keys)
            progress(IndexProgress(done, len(missing)))
            return dict(zip(keys, vectors, strict=True))

        for stored_together in _chunks(missing, _STORED_AT_ONCE):
            async with asyncio.TaskGroup() as group:
                jobs = _jobs(stored_together, texts)
                tasks = [group.create_task(encode(keys)) for keys in jobs]
            await self._store.add_vectors(self._lane.identity, dict(ChainMap(*(task.result() for task in tasks))))

    def _scan(self, folder: Path, known: Mapping[str, FileState], converter: Converter) -> "_Scan":
        """Read and cut what is new or changed. Blocking."""
        listing = list_folder(folder)
        scan = _Scan(passed_over=listing.passed_over)
        scan.present.update(path for path in known if listing.is_hidden_by_error(path))
        # While one document is cut, the converter, another process, reads the next.
        with ThreadPoolExecutor(1, "cutting") as cutting:
            for entry in listing.entries:
                if converter.closed:  # nobody waits for the scan any more
                    cutting.shutdown(cancel_futures=True)
                    return scan
                scan.present.add(entry.path)
                self._scan_entry(entry, known.get(entry.path), converter, cutting, scan)
            scan.changed += [cut.result() for cut in scan.being_cut]
        scan.changed.sort(key=lambda file: file.state.path)
        return scan

    def _scan_entry(
        self, entry: Entry, known: FileState | None, converter: Converter, cutting: Executor, scan: "_Scan"
    ) -> None:
        if entry.problem is not None:
            # Its text stands for its content: a problem that stays the same is no change.
            state = FileState(entry.path, 0, 0, entry.problem, self._recipe)
            if known != state:
                scan.changed.append(_unreadable(state, entry.problem))
            return
        try:
            self._scan_file(entry, known, converter, cutting, scan)
        except FileChanging:
            scan.unsettled = True
            if known is None:
                state = FileState(entry.path, 0, 0, "", self._recipe)
                scan.changed.append(_unreadable(state, "it was written to while it was read; it is read again soon"))
            else:
                scan.remarks[entry.path] = (
                    "it is being written to; the version from before is kept until it is read again"
                )
        except PermissionError as error:
            problem = f"can't be read ({error.strerror or error}); check its permissions"
            scan.changed.append(_unreadable(FileState(entry.path, 0, 0, "", self._recipe), problem))
        except OSError as error:
            problem = f"can't be read ({error.strerror or error}); check the disk or the network that it is on"
            if known is None:
                scan.changed.append(_unreadable(FileState(entry.path, 0, 0, "", self._recipe), problem))
            else:
                scan.unsettled = True
                scan.remarks[entry.path] = f"{problem}; the version from before is kept"

    def _scan_file(
        self, entry: Entry, known: FileState | None, converter: Converter, cutting: Executor, scan: "_Scan"
    ) -> None:
        status = entry.file.stat()
        found = (status.st_size, status.st_mtime_ns, self._recipe)
        if known and (known.size, known.modified_ns, known.recipe) == found:
            return
        if status.st_size > self._largest_bytes:
            problem = (
                f"it has {status.st_size // 2**20} megabytes, and {self._largest_bytes // 2**20} are read at most; divide it, "
                "or raise knowledge.largest_megabytes"
            )
            scan.changed.append(_unreadable(FileState(entry.path, *found[:2], "", self._recipe), problem))
            return
        status, content = read_file(entry.file)
        digest = hashlib.sha256(content).hexdigest()
        state = FileState(entry.path, status.st_size, status.st_mtime_ns, digest, self._recipe)
        if known and (known.content_hash, known.recipe) == (digest, self._recipe):
            scan.touched.append(state)
            return
        try:
            document = converter.read(entry.path, content) if content else Document(entry.path, "", ())
        except DocumentError as error:
            scan.changed.append(_unreadable(state, str(error)))
        else:
            scan.being_cut.append(cutting.submit(self._cut, state, document))

    def _cut(self, state: FileState, document: Document) -> IndexedFile:
        passages = tuple(split(document, self._lane.count_tokens, self._passage_tokens))
        if not passages:
            return _unreadable(state, "there is no text in it")
        keys = (embedded_text(document.title, passage.heading, passage.body) for passage in passages)
        return IndexedFile(state, document, passages, tuple(hashlib.sha256(key.encode()).hexdigest() for key in keys))


@dataclass(slots=True)
class _Scan:
    """What a look at the folder found: files to put in, files only their time has changed of, and all paths there."""

    changed: list[IndexedFile] = field(default_factory=list)
    being_cut: list[Future[IndexedFile]] = field(default_factory=list)
    touched: list[FileState] = field(default_factory=list)
    present: set[str] = field(default_factory=set)
    passed_over: Mapping[str, int] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)  # on files that stay as they were
    unsettled: bool = False  # something must be looked at again
    folder: Path | None = None

    def still_there(self) -> tuple[list[IndexedFile], list[str]]:
        """The files to put in, without those that have been deleted since they were read, and the paths of these."""
        folder = self.folder
        gone = [
            file.state.path for file in self.changed if folder is not None and not _is_there(folder, file.state.path)
        ]
        return [file for file in self.changed if file.state.path not in gone], gone

    def remarked(self, report: FileReport) -> FileReport:
        """The report on a file with what is to be remarked on it this time."""
        remark = self.remarks.get(report.path)
        return replace(report, warnings=(*report.warnings, remark)) if remark else report


_FOLDER = "folder"


def _is_there(folder: Path, path: str) -> bool:
    """Whether something stands at a path of the index, or may stand there: some problems have no path that is a file's."""
    return "\\x" in path or os.path.lexists(folder / path)


def _texts(files: Sequence[IndexedFile]) -> dict[str, str]:
    """What is embedded of these files, by the keys of the vectors."""
    return {
        key: embedded_text(file.document.title, passage.heading, passage.body)
        for file in files
        if file.document is not None
        for key, passage in zip(file.vector_keys, file.passages, strict=True)
    }


def _unreadable(state: FileState, problem: str) -> IndexedFile:
    return IndexedFile(state, None, (), (), problem)


def _jobs(keys: Sequence[str], texts: Mapping[str, str]) -> Iterator[list[str]]:
    """The keys in groups whose texts are about as long together as one job of the lane should be."""
    job: list[str] = []
    size = 0
    for key in keys:
        if job and size + len(texts[key]) > _EMBEDDED_AT_ONCE:
            yield job
            job, size = [], 0
        job.append(key)
        size += len(texts[key])
    if job:
        yield job


def _chunks(items: list[str], size: int) -> Iterator[list[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
