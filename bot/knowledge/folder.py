"""The files of the knowledge folder: a listing of those to read, with the problems of the others, and reading one.

No file outside the folder is read, and only ordinary files are opened. Everything here blocks.
"""

import os
import stat
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from bot.core.errors import DocumentError
from bot.knowledge.loaders import LOADERS, OTHER_FORMATS
from bot.knowledge.repetition import Repeated

GOLDEN_FILE = "golden.jsonl"
"""The name of the file of golden questions at the top of the folder, which isn't read as a document."""

_TRIES = 3
_PAUSE = 0.1  # seconds between tries


class FileChanging(Exception):
    """A file was written to during every try to read it."""


@dataclass(frozen=True, slots=True)
class FolderFile:
    """One file, with its path in the index. A file with a `problem` isn't opened.

    `address` is where a fetched file was published, empty if nowhere; None: the file itself may say so. `repeated` is what the
    pages of its website repeat.
    """

    path: str
    file: Path
    problem: str | None = None
    address: str | None = None
    repeated: Repeated = field(default_factory=Repeated)


@dataclass(slots=True)
class Listing:
    """The files of a folder. `passed_over` counts those of formats that aren't read, by suffix; `unread` has the beginnings of
    the paths in subfolders that can't be read."""

    files: list[FolderFile] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    unread: list[str] = field(default_factory=list)

    def is_hidden_by_error(self, path: str) -> bool:
        """Return whether the path is in a subfolder that can't be read, so that its file may still exist."""
        return path.startswith(tuple(self.unread))


def list_folder(folder: Path) -> Listing:
    """List the files below the folder in a stable order, without hidden and temporary ones.

    Raises DocumentError if the folder itself can't be read.
    """
    _require(folder)
    listing = Listing()

    def on_error(error: OSError) -> None:
        path = Path(error.filename).relative_to(folder).as_posix()
        if path == ".":
            raise DocumentError(f"The folder {folder} can't be read ({error.strerror}). The last index stays as it is.")
        problem = f"this folder can't be read ({error.strerror}); what was indexed of it is kept; check its permissions"
        listing.unread.append(f"{_shown(path)}/")
        listing.files.append(FolderFile(_shown(path), Path(error.filename), problem))

    for parent, folders, names in os.walk(folder, onerror=on_error):
        folders[:] = sorted(name for name in folders if not _is_temporary(name))
        for name in folders:
            if Path(parent, name).is_symlink():
                path = _shown(Path(parent, name).relative_to(folder).as_posix())
                listing.files.append(
                    FolderFile(path, Path(parent, name), "links to folders are not followed; move it here")
                )
        for name in sorted(names):
            if not _is_temporary(name):
                _add(Path(parent, name), folder, listing)
    return listing


def _add(file: Path, folder: Path, listing: Listing) -> None:
    relative = file.relative_to(folder)
    suffix = file.suffix.lower()
    if relative.as_posix() == GOLDEN_FILE:
        return
    if suffix not in LOADERS and suffix not in OTHER_FORMATS:
        listing.passed_over[suffix or "without an ending"] += 1
        return
    path = _shown(relative.as_posix())
    listing.files.append(FolderFile(path, file, _problem(file, folder, path) or OTHER_FORMATS.get(suffix)))


def _problem(file: Path, folder: Path, path: str) -> str | None:
    """Return the reason not to open a file, None if there is none."""
    if path != file.relative_to(folder).as_posix():
        return "its name is not in UTF-8; rename it"
    try:
        if file.is_symlink():
            return _problem_of_link(file, folder)
        if not stat.S_ISREG(file.stat().st_mode):
            return "it is no ordinary file; remove it, or put a copy here"
    except OSError:
        return None  # reported when the file is read
    return None


def _problem_of_link(link: Path, folder: Path) -> str | None:
    """Return the reason not to follow a link. Hidden targets in the folder are fine: Kubernetes mounts volumes so."""
    home = folder.resolve()
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        return "it is a link that leads nowhere; remove it, or put the file here"
    if not target.is_relative_to(home):
        return "it is a link out of the folder, which is not followed; put a copy of the file here"
    if not stat.S_ISREG(target.stat().st_mode):
        return "it is no ordinary file; remove it, or put a copy here"
    within = target.relative_to(home)
    if not any(_is_temporary(part) for part in within.parts):
        return f"it is a link to {within.as_posix()}, which is read there"
    return None


def _is_temporary(name: str) -> bool:
    """Return whether a file is hidden, or is the lock file of an office program."""
    return name.startswith((".", "~$"))


def _shown(path: str) -> str:
    """Return the path as text, with bytes that aren't UTF-8 escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def read_file(file: Path) -> tuple[os.stat_result, bytes]:
    """Read a file. Returns its status and its content at one moment. Raises FileChanging and OSError."""
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE)
        # Opening never blocks, also if the file has become a pipe.
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as stream:
            before = os.fstat(descriptor)
            content = stream.read(before.st_size + 1)
            after = os.fstat(descriptor)
        if len(content) == before.st_size and (before.st_size, before.st_mtime_ns) == (
            after.st_size,
            after.st_mtime_ns,
        ):
            return after, content
    raise FileChanging


def identity(folder: Path) -> str:
    """Return an identity of the folder that differs from that of another one mounted at the same path."""
    status = folder.stat()
    return f"{status.st_dev}:{status.st_ino}"


def signature(folder: Path) -> int:
    """Return a number that changes when a file is added, removed, renamed or written to. Raises DocumentError."""
    _require(folder)
    return hash(tuple(_states(folder)))


def _states(folder: Path) -> Iterator[tuple[str, int, int, int]]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_temporary(name))
        for name in sorted(names):
            suffix = PurePosixPath(name).suffix.lower()
            if _is_temporary(name) or (suffix not in LOADERS and suffix not in OTHER_FORMATS):
                continue
            try:
                status = Path(parent, name).stat()
                yield f"{parent}/{name}", status.st_size, status.st_mtime_ns, status.st_mode
            except OSError:
                yield f"{parent}/{name}", -1, -1, -1


def _require(folder: Path) -> None:
    if not folder.is_dir():
        raise DocumentError(
            f"There is no folder {folder}. Make it and put your documents there, or set knowledge.folder to where they are."
        )
