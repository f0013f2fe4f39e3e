"""Scanning of the places of documents: finds the files that have changed, reads them, and cuts them into passages.

A file is recognised by size and time, then by content hash, so that only changed files are read. Reading happens in the
converter's process, cutting in a thread. Everything here blocks.
"""

import hashlib
from collections.abc import Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property

from bot.core.documents import Document, Passage, address_at, embedded_text
from bot.core.errors import DocumentError
from bot.core.text import counted
from bot.inference.workers import AsyncEncoder
from bot.knowledge.converter import Converter, OutOfTime
from bot.knowledge.folder import FileChanging, FolderFile, read_file
from bot.knowledge.formats import recognition
from bot.knowledge.passages import split
from bot.knowledge.places import Places
from bot.knowledge.repetition import PAGE
from bot.storage.base import FileReport, FileState, IndexedFile

# Changes whenever the same file would give other passages, so that an update of the program makes them again.
_RECIPE_VERSION = 4


@dataclass(slots=True)
class Scan:
    """The result of a scan.

    `emptied`: there is no file in the knowledge folder itself.

    `changed` files go into the index, of `touched` ones only the time has changed, and `present` are all paths in the folder.
    `remarks` are on files that stay as they were. An `unsettled` scan left out a file that must be read again soon.
    """

    places: Places | None = None  # None: the documents come from no folder
    emptied: bool = False
    changed: list[IndexedFile] = field(default_factory=list)
    being_cut: list[Future[IndexedFile]] = field(default_factory=list)
    touched: list[FileState] = field(default_factory=list)
    present: set[str] = field(default_factory=set)
    passed_over: Mapping[str, int] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    unsettled: bool = False

    def still_there(self) -> tuple[list[IndexedFile], list[str]]:
        """Return the changed files that still exist, and the paths of those deleted since they were read."""
        places = self.places
        gone = [file.state.path for file in self.changed if places is not None and not places.is_there(file.state.path)]
        return [file for file in self.changed if file.state.path not in gone], gone

    def remarked(self, report: FileReport) -> FileReport:
        """Return the report on a file, with the remark of this scan added."""
        remark = self.remarks.get(report.path)
        return replace(report, warnings=(*report.warnings, remark)) if remark else report


class Scanner:
    """Reads and cuts files for one encoder."""

    def __init__(self, encoder: AsyncEncoder, passage_tokens: int, largest_bytes: int) -> None:
        """Passages have at most `passage_tokens`, and no more than the encoder reads. Larger files are not read."""
        self._encoder = encoder
        self._wanted_tokens = passage_tokens
        self._largest_bytes = largest_bytes

    @cached_property
    def _passage_tokens(self) -> int:
        return min(self._wanted_tokens, self._encoder.window)

    @cached_property
    def recipe(self) -> str:
        """The name of the way in which files are cut: another one gives other passages. Raises ModelsLoading."""
        return f"{_RECIPE_VERSION}:{self._passage_tokens}:{self._encoder.identity}"

    def behind(self, places: Places, known: Mapping[str, FileState]) -> int:
        """Return the number of files whose size or time differs from the index, reading none. Raises DocumentError."""
        listing = places.listing()
        there = {listed.path for listed in listing.files}
        gone = sum(path not in there and not listing.is_hidden_by_error(path) for path in known)
        return gone + sum(self._looks_changed(listed, known.get(listed.path)) for listed in listing.files)

    def _looks_changed(self, listed: FolderFile, known: FileState | None) -> bool:
        if known is None or known.recipe != self._recipe_of(listed):
            return True
        if listed.problem is not None or not known.modified_ns:
            return listed.problem is not None and known.content_hash != listed.problem
        try:
            status = listed.file.stat()
        except OSError:
            return False
        return (known.size, known.modified_ns) != (status.st_size, status.st_mtime_ns)

    def _recipe_of(self, listed: FolderFile) -> str:
        """Return the recipe of one file. A fetched file is read again when it is published elsewhere, a page when others repeat
        something else, and a PDF when text recognition gets installed."""
        recipe = self.recipe
        if listed.path.lower().endswith(".pdf") and recognition.is_installed():
            recipe += ":recognised"
        if listed.path.endswith(PAGE) and listed.repeated.keepers:
            recipe += f":{listed.repeated.name}"
        return recipe if listed.address is None else f"{recipe}:{listed.address}"

    def scan(self, places: Places, known: Mapping[str, FileState], converter: Converter) -> Scan:
        """Read and cut the files that are new or changed. Raises DocumentError."""
        listing = places.listing()
        emptied = not any(listed.address is None for listed in listing.files)
        scan = Scan(places, emptied, passed_over=listing.passed_over)
        scan.present.update(path for path in known if listing.is_hidden_by_error(path))
        # While one document is cut, the converter, another process, reads the next.
        with ThreadPoolExecutor(1, "cutting") as cutting:
            for listed in listing.files:
                if converter.closed:  # nobody waits for the scan any more
                    cutting.shutdown(cancel_futures=True)
                    return scan
                scan.present.add(listed.path)
                self._scan_listed(listed, known.get(listed.path), converter, cutting, scan)
            scan.changed += [cut.result() for cut in scan.being_cut]
        scan.changed.sort(key=lambda file: file.state.path)
        return scan

    def _scan_listed(
        self, listed: FolderFile, known: FileState | None, converter: Converter, cutting: Executor, scan: Scan
    ) -> None:
        recipe = self._recipe_of(listed)
        if listed.problem is not None:
            # Its text stands for its content: a problem that stays the same is no change.
            state = FileState(listed.path, 0, 0, listed.problem, recipe)
            if known != state:
                scan.changed.append(_unreadable(state, listed.problem))
            return
        try:
            self._scan_file(listed, known, converter, cutting, scan)
        except FileChanging:
            scan.unsettled = True
            if known is None:
                state = FileState(listed.path, 0, 0, "", recipe)
                scan.changed.append(_unreadable(state, "it was written to while it was read; it is read again soon"))
            else:
                scan.remarks[listed.path] = (
                    "it is being written to; the version from before is kept until it is read again"
                )
        except PermissionError as error:
            problem = f"can't be read ({error.strerror or error}); check its permissions"
            scan.changed.append(_unreadable(FileState(listed.path, 0, 0, "", recipe), problem))
        except OSError as error:
            problem = f"can't be read ({error.strerror or error}); check the disk or the network that it is on"
            if known is None:
                scan.changed.append(_unreadable(FileState(listed.path, 0, 0, "", recipe), problem))
            else:
                scan.unsettled = True
                scan.remarks[listed.path] = f"{problem}; the version from before is kept"

    def _scan_file(
        self, listed: FolderFile, known: FileState | None, converter: Converter, cutting: Executor, scan: Scan
    ) -> None:
        recipe = self._recipe_of(listed)
        status = listed.file.stat()
        found = (status.st_size, status.st_mtime_ns, recipe)
        if known and (known.size, known.modified_ns, known.recipe) == found:
            return
        if status.st_size > self._largest_bytes:
            size, largest = counted(status.st_size // 2**20, "megabyte"), self._largest_bytes // 2**20
            problem = (
                f"it has {size}, and {largest} {'is' if largest == 1 else 'are'} read at most; divide it, "
                "or raise knowledge.largest_megabytes"
            )
            scan.changed.append(_unreadable(FileState(listed.path, *found[:2], "", recipe), problem))
            return
        status, content = read_file(listed.file)
        digest = hashlib.sha256(content).hexdigest()
        state = FileState(listed.path, status.st_size, status.st_mtime_ns, digest, recipe)
        if known and (known.content_hash, known.recipe) == (digest, recipe):
            scan.touched.append(state)
            return
        try:
            document = _read(listed, content, converter)
        except OutOfTime as error:  # without its content's hash, so that the next scan reads it
            scan.changed.append(_unreadable(FileState(listed.path, 0, 0, "", self.recipe), str(error)))
        except DocumentError as error:
            scan.changed.append(_unreadable(state, str(error)))
        else:
            scan.being_cut.append(cutting.submit(self.cut, state, document))

    def cut(self, state: FileState, document: Document) -> IndexedFile:
        """Cut a document into passages."""
        passages = tuple(split(document, self._encoder.count_tokens, self._passage_tokens))
        if not passages:
            return _unreadable(state, "there is no text in it")
        return IndexedFile(state, document, passages, tuple(_vector_key(document, passage) for passage in passages))


def _read(listed: FolderFile, content: bytes, converter: Converter) -> Document:
    """Read a file. A fetched file is read in the format of its source. Raises DocumentError."""
    if not content:
        return Document(listed.path, "", ())
    if listed.address is None:
        return converter.read(listed.path, content)
    _, _, path = listed.path.partition(":")
    document = converter.read(path, content, address_at(listed.address, None))
    if path.endswith(PAGE):
        document = listed.repeated.left_out(document)
    return replace(document, path=listed.path, url=listed.address)


def _vector_key(document: Document, passage: Passage) -> str:
    text = embedded_text(document.title, passage.heading, passage.body)
    return hashlib.sha256(f"{_RECIPE_VERSION}\n{text}".encode()).hexdigest()


def _unreadable(state: FileState, problem: str) -> IndexedFile:
    return IndexedFile(state, None, (), (), problem)
