"""The knowledge folder -> the index: what changed since the last time is read, cut, embedded, and put in as one change.

Files are recognised by size and time, then by content hash, so only changed ones are read and only changed passages are
embedded. Vectors are stored as they are made: an interrupted run resumes where it was. Reading and cutting happen in
a thread, embedding in the encoder's lane behind the questions.
"""

import asyncio
import hashlib
import os
import time
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bot.documents import Document, embedded_text
from bot.errors import DocumentError
from bot.inference.workers import EncodingLane, Priority
from bot.knowledge.loaders import LOADERS, load
from bot.knowledge.passages import split
from bot.storage.base import FileReport, FileState, IndexedFile, KnowledgeStore, Scores

# Changes whenever the same file would give other passages, so that an update of the program makes them again.
_RECIPE_VERSION = 1
# Characters to a job of the lane, some 800 tokens: a question waits for one such job at most, about 90 ms on two cores, and
# larger jobs are hardly faster a passage.
_EMBEDDED_AT_ONCE = 3_500
_STORED_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """How far an indexing has come: passages embedded, of those that need it."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What one run did. `files` is every file now known, `embedded` counts the passages that had to be computed."""

    files: tuple[FileReport, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    embedded: int
    seconds: float

    @property
    def passages(self) -> int:
        return sum(file.passages for file in self.files)

    @property
    def problems(self) -> list[FileReport]:
        return [file for file in self.files if file.problem or file.warnings]


class Indexer:
    """Keeps the index in step with the documents. One run at a time."""

    def __init__(self, store: KnowledgeStore, lane: EncodingLane, passage_tokens: int) -> None:
        self._store = store
        self._lane = lane
        self._passage_tokens = min(passage_tokens, lane.window)
        self._recipe = f"{_RECIPE_VERSION}:{self._passage_tokens}:{lane.identity}"
        self._running = asyncio.Lock()

    async def index_folder(
        self, folder: Path, progress: Callable[[IndexProgress], None] = lambda _: None
    ) -> IndexReport:
        """Bring the index in step with a folder. A file that can't be read is reported and hurts no other.

        Raises DocumentError if the folder itself can't be read; the index is left as it was then.
        """
        async with self._running:
            started = time.perf_counter()
            known = {state.path: state for state, _ in await self._store.files()}
            scan = await asyncio.to_thread(self._scan, folder, known)
            return await self._apply(scan, list(known), started, progress)

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

    async def _apply(
        self, scan: "_Scan", known: Sequence[str], started: float, progress: Callable[[IndexProgress], None]
    ) -> IndexReport:
        embedded = await self._embed(scan.changed, progress)
        removed = [path for path in known if path not in scan.present]
        await self._store.change(self._lane.identity, scan.changed, removed, scan.touched)
        return IndexReport(
            files=tuple(report for _, report in await self._store.files()),
            changed=tuple(file.state.path for file in scan.changed),
            removed=tuple(removed),
            embedded=embedded,
            seconds=time.perf_counter() - started,
        )

    async def _embed(self, files: Sequence[IndexedFile], progress: Callable[[IndexProgress], None]) -> int:
        """Compute and store the vectors that are missing, and return how many they were."""
        texts = {
            key: embedded_text(file.document.title, passage.heading, passage.body)
            for file in files
            if file.document is not None
            for key, passage in zip(file.vector_keys, file.passages, strict=True)
        }
        known = await self._store.known_vectors(self._lane.identity, list(texts))
        # Neighbours in length are embedded together, so that little padding is computed.
        missing = sorted((key for key in texts if key not in known), key=lambda key: len(texts[key]))
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
        return len(missing)

    def _scan(self, folder: Path, known: Mapping[str, FileState]) -> "_Scan":
        """Read and cut what is new or changed. Blocking."""
        scan = _Scan()
        for path, file in _files_below(folder):
            scan.present.add(path)
            try:
                self._scan_file(path, file, known.get(path), scan)
            except OSError as error:
                problem = f"can't be read ({error.strerror or error}); check its permissions"
                scan.changed.append(_unreadable(FileState(path, 0, 0, "", self._recipe), problem))
        return scan

    def _scan_file(self, path: str, file: Path, known: FileState | None, scan: "_Scan") -> None:
        status = file.stat()
        if known and (known.size, known.modified_ns, known.recipe) == (
            status.st_size,
            status.st_mtime_ns,
            self._recipe,
        ):
            return
        content = file.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        state = FileState(path, status.st_size, status.st_mtime_ns, digest, self._recipe)
        if known and (known.content_hash, known.recipe) == (digest, self._recipe):
            scan.touched.append(state)
            return
        try:
            scan.changed.append(self._cut(state, load(path, content)))
        except DocumentError as error:
            scan.changed.append(_unreadable(state, str(error)))

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
    touched: list[FileState] = field(default_factory=list)
    present: set[str] = field(default_factory=set)


def _unreadable(state: FileState, problem: str) -> IndexedFile:
    return IndexedFile(state, None, (), (), problem)


def _files_below(folder: Path) -> Iterator[tuple[str, Path]]:
    """(path relative to the folder, file) of every file of a known format, in a stable order.

    Hidden files and folders are passed over; links are not followed, so nothing outside the folder is read.
    """
    if not folder.is_dir():
        raise DocumentError(
            f"There is no folder {folder}. Make it and put your documents there, or set knowledge.folder to where they are."
        )
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(parent, name)
            if not name.startswith(".") and file.suffix.lower() in LOADERS and not file.is_symlink():
                yield file.relative_to(folder).as_posix(), file


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
