"""The archive that a backup is: a compressed tar whose first entry, the manifest, has the SHA-256 sum of each file.

An archive may come from anywhere, so it is read with suspicion: nothing is written before the manifest has its form and names
only files that belong there, and no more than a backup of its size holds is ever unpacked.
"""

import gzip
import hashlib
import io
import json
import re
import shutil
import tarfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from bot import __version__
from bot.core.errors import StorageError

MANIFEST = "manifest.json"
_LARGEST_MANIFEST = 2**20  # bytes
# Databases and models are compressed to a half or a tenth. An archive that grows more than this is made to fill the disk.
_MOST_GROWTH = 100
_ALWAYS_ALLOWED = 64 * 2**20  # bytes
_LARGEST_READ = 2**20  # bytes
# Stays free on the disk, for the bot to go on.
_RESERVE = 64 * 2**20  # bytes
_SUM = re.compile("[0-9a-f]{64}")


def pack(archive: Path, files: Mapping[str, Path]) -> None:
    """Write the files, by their names in the archive. Raises OSError."""
    with tarfile.open(archive, "w:gz") as tar:
        manifest = json.dumps({"version": __version__, "files": {name: _sum_of(file) for name, file in files.items()}})
        entry = tarfile.TarInfo(MANIFEST)
        entry.size = len(manifest)
        tar.addfile(entry, io.BytesIO(manifest.encode()))
        for name, file in files.items():
            tar.add(file, name)


def unpack(archive: Path, place: Path, belongs: Callable[[str], bool]) -> None:
    """Write the files of an archive into the folder `place`, each as its sum says.

    Raises StorageError where the archive is not whole, is too large, or has a file whose name doesn't belong there.
    """
    try:
        limit = max(_ALWAYS_ALLOWED, _MOST_GROWTH * archive.stat().st_size)
        with _Bounded(archive, limit) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            _unpack_entries(tar, place, belongs)
    except FileNotFoundError as error:
        raise StorageError(f"{archive}: there is no such backup. Name a file that `backup` has written.") from error
    except _DiskFull as error:
        raise StorageError(f"{archive} can't be unpacked: {error}") from error
    except _TooLarge as error:
        raise StorageError(
            f"{archive}: {error}. No backup of this program is like that, so nothing was restored. Use another backup; if "
            "you are sure of this one, stop the bot, unpack it with tar, and put its files into the data folder."
        ) from error
    except (OSError, ValueError, EOFError, RecursionError, zlib.error, tarfile.TarError) as error:
        raise StorageError(f"{archive} is no whole backup of this program: {error}. Use another backup.") from error


class _TooLarge(Exception):
    pass


class _DiskFull(Exception):
    pass


class _Bounded(gzip.GzipFile):
    """An archive of which no more than `limit` bytes are unpacked, in small pieces. Raises _TooLarge."""

    def __init__(self, archive: Path, limit: int) -> None:
        super().__init__(archive)
        self._limit = limit

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _LARGEST_READ:  # the long names and remarks of tar are read in one piece
            raise _TooLarge("it has an entry with a head as large as a file")
        read = super().read(size)
        self._check(self.tell())
        return read

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._check(offset)
        return super().seek(offset, whence)

    def _check(self, offset: int) -> None:
        if offset > self._limit:
            raise _TooLarge(f"it unpacks to more than {self._limit / 2**20:,.0f} MiB, far more than its own size")


def _unpack_entries(tar: tarfile.TarFile, place: Path, belongs: Callable[[str], bool]) -> None:
    sums = _manifest(tar)
    for name in sums:
        if not belongs(name):
            raise ValueError(f"{name!r} is no file of a data folder")
    missing = dict(sums)
    while (entry := tar.next()) is not None:
        if (digest := missing.pop(entry.name, None)) is None:
            raise ValueError(f"{entry.name!r} is not in its manifest, or is there twice")
        file = place / entry.name
        _unpack_entry(tar, entry, file)
        if _sum_of(file) != digest:
            raise ValueError(f"{entry.name} is not what was packed")
    if missing:
        raise ValueError(f"{next(iter(missing))} is missing")


def _manifest(tar: tarfile.TarFile) -> dict[str, str]:
    """The sums of the files by their names. Raises ValueError where the manifest isn't of the form that `pack` writes."""
    entry = tar.next()
    if entry is None or entry.name != MANIFEST or entry.size > _LARGEST_MANIFEST:
        raise ValueError("it does not begin with a manifest")
    manifest = json.loads(_content(tar, entry).read())
    sums = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(sums, dict) or not sums:
        raise ValueError("its manifest names no files")
    for name, digest in sums.items():
        if not isinstance(digest, str) or not _SUM.fullmatch(digest):
            raise ValueError(f"its manifest has no SHA-256 sum of {name!r}")
    return sums


def _unpack_entry(tar: tarfile.TarFile, entry: tarfile.TarInfo, file: Path) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    free = shutil.disk_usage(file.parent).free
    if entry.size > free - _RESERVE:
        raise _DiskFull(
            f"{entry.name} takes {entry.size / 2**20:,.0f} MiB, and the disk of the data folder has {free / 2**20:,.0f} MiB "
            f"left, of which {_RESERVE / 2**20:.0f} are kept free. Free some space."
        )
    packed = _content(tar, entry)
    file.touch(mode=0o600)
    with file.open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked)


def _content(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    """An entry to read. Raises ValueError where it is no plain file, or has holes, which take no place packed."""
    content = tar.extractfile(entry) if entry.isreg() and not entry.issparse() else None
    if content is None:
        raise ValueError(f"{entry.name!r} is no plain file")
    return content


def _sum_of(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
