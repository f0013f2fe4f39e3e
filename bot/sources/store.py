"""The files of one source on the disk. A fetch makes a new folder beside the present one and takes its place as a whole.

    sources/NAME/           the files of the last fetch with their manifest; indexed
    fetching/NAME.json      the status of the last fetch
    fetching/NAME.new/      the files of a fetch that is running
    fetching/NAME.old/      the files of the fetch before, while they are replaced
    fetching/NAME.git/      the objects of a repository

Files that stay the same are linked into the new folder, so that they are neither written nor indexed again. A fetch that fails
or is killed leaves the present folder as it is, or as it was cleared before. Everything here blocks.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock, Timeout

from bot.core.errors import SourceError, StorageError
from bot.core.settings import Settings
from bot.core.text import counted
from bot.knowledge.places import MANIFEST


def source_folders(settings: Settings) -> dict[str, Path]:
    """Return the folders of the sources that the settings name, which need not exist yet."""
    return {source.name: _folder(settings.storage.folder, source.name) for source in settings.sources}


def watched(settings: Settings) -> list[Path]:
    """Make the folder in which each source has its own, and return it; without sources, return none. Blocking."""
    if not settings.sources:
        return []
    folder = settings.storage.folder / "sources"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return [folder]


def _folder(data: Path, name: str) -> Path:
    return data / "sources" / name


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """The status of a source. Times are in seconds since the epoch, 0 for never.

    `problem` is why the last try failed or, if `fetched` is as late as `tried`, why it left parts out; empty if it did neither.
    `notes` are sentences on content that was left out. `settings` is the fingerprint of the settings of that try.
    """

    tried: float = 0.0
    fetched: float = 0.0
    documents: int = 0
    problem: str = ""
    notes: tuple[str, ...] = ()
    settings: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """The paths of the files by which a fetch differs from the one before."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    def __str__(self) -> str:
        if not self:
            return "nothing has changed"
        return f"{len(self.added)} added, {len(self.changed)} changed, {len(self.removed)} removed"


class SourceStore:
    """The files and the status of one source."""

    def __init__(self, data: Path, name: str) -> None:
        """`data`: the data folder."""
        self.folder = _folder(data, name)
        self._name = name
        self._work = data / "fetching"

    @property
    def repository(self) -> Path:
        """The place for the objects of a git repository."""
        return self._beside("git")

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other processes from fetching this source meanwhile. Raises StorageError."""
        lock = FileLock(self._beside("lock"), timeout=0)
        try:
            for folder in (self._work, self.folder.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as error:
            raise StorageError(f"The source {self._name} is being fetched already; wait until that is done.") from error
        except OSError as error:
            raise StorageError(f"{self._work}: {error.strerror}. Check the owner of the data folder.") from error
        try:
            yield
        finally:
            lock.release()

    def status(self) -> SourceStatus:
        """Return the status of the last fetch."""
        with suppress(OSError, ValueError, TypeError):
            told = json.loads(self._beside("json").read_bytes())
            return SourceStatus(**told | {"notes": tuple(told["notes"])})
        return SourceStatus()

    def save(self, status: SourceStatus) -> None:
        """Store the status of a fetch."""
        _write(self._beside("json"), json.dumps(asdict(status)).encode())

    def manifest(self) -> Mapping[str, Any]:
        """Return the manifest of the present files; empty before the first fetch."""
        with suppress(OSError, ValueError):
            told: dict[str, Any] = json.loads((self.folder / MANIFEST).read_bytes())
            return told
        return {}

    def draft(self, largest_bytes: int) -> "Draft":
        """Begin a fetch, within `exclusive`."""
        old, new = self._beside("old"), self._beside("new")
        if old.exists() and not self.folder.exists():  # killed between the two renamings
            old.rename(self.folder)
        for left in (old, new):
            shutil.rmtree(left, ignore_errors=True)
        new.mkdir(mode=0o700)
        return Draft(self.folder, new, old, largest_bytes)

    def clear(self) -> None:
        """Take all files out, within `exclusive`."""
        self.draft(0).commit({})

    def _beside(self, suffix: str) -> Path:
        return self._work / f"{self._name}.{suffix}"


@dataclass(slots=True)
class Draft:
    """The files that a fetch brings, by their paths, each with its address. They count with `commit`."""

    present: Path
    new: Path
    old: Path
    largest_bytes: int
    addresses: dict[str, str] = field(default_factory=dict)
    _kept: set[str] = field(default_factory=set)
    _bytes: int = 0

    def read(self, path: str) -> bytes | None:
        """Return the content of a file before this fetch; None if it didn't exist."""
        with suppress(OSError):
            return (self.present / path).read_bytes()
        return None

    def content(self, path: str) -> bytes:
        """Return the content of a file of this fetch."""
        return ((self.present if path in self._kept else self.new) / path).read_bytes()

    def has(self, path: str) -> bool:
        """Return whether the file existed before this fetch."""
        return (self.present / path).is_file()

    def write(self, path: str, content: bytes, address: str) -> None:
        """Add a file. Raises SourceError if the source gets too large."""
        if self.read(path) == content:
            self.keep(path, address)
            return
        self._count(len(content))
        file = self.new / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        self.addresses[path] = address
        self._kept.discard(path)

    def keep(self, path: str, address: str) -> None:
        """Add a file as it was before this fetch. Raises SourceError if the source gets too large."""
        if path not in self._kept:
            self._count((self.present / path).stat().st_size)
        self.addresses[path] = address
        self._kept.add(path)

    def drop(self, path: str) -> None:
        """Take a file out again."""
        del self.addresses[path]
        self._kept.discard(path)
        (self.new / path).unlink(missing_ok=True)

    def commit(self, notes: Mapping[str, Any]) -> Changes:
        """Let the files of this fetch, with `notes` in their manifest, take the place of those before."""
        changes = self._changes()
        manifest = json.dumps({"addresses": self.addresses, **notes}).encode()
        if not changes and self.read(MANIFEST) == manifest:
            shutil.rmtree(self.new)
            return changes
        for path in self._kept:
            _link(self.present / path, self.new / path)
        _write(self.new / MANIFEST, manifest)
        if self.present.exists():
            self.present.rename(self.old)
        self.new.rename(self.present)
        shutil.rmtree(self.old, ignore_errors=True)
        return changes

    def _changes(self) -> Changes:
        before = {file.relative_to(self.present).as_posix() for file in self.present.rglob("*") if file.is_file()}
        before.discard(MANIFEST)
        now = set(self.addresses)
        return Changes(
            added=tuple(sorted(now - before)),
            changed=tuple(sorted((now & before) - self._kept)),
            removed=tuple(sorted(before - now)),
        )

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self.largest_bytes:
            megabytes = counted(self.largest_bytes // 2**20, "megabyte")
            raise SourceError(f"it takes more than {megabytes}; raise its setting megabytes, or fetch less of it")


def is_plain(path: str) -> bool:
    """Return whether a relative path leads to a file below its folder that is not hidden."""
    parts = PurePosixPath(path).parts
    return bool(parts) and "\0" not in path and not any(part.startswith((".", "/", "~$")) for part in parts)


def _link(file: Path, link: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, link)
    except OSError:  # the file system has no links
        shutil.copy2(file, link)


def _write(file: Path, content: bytes) -> None:
    """Write a file as a whole or not at all."""
    unfinished = file.with_name(f"{file.name}.unfinished")
    unfinished.write_bytes(content)
    unfinished.replace(file)
