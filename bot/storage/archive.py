"""Pack and unpack backups: compressed tar archives whose first entry, the manifest, has the SHA-256 sum of each file.

Archives aren't trusted: nothing is written before the manifest has been validated and names only files of a data folder, and no
more is unpacked than a genuine backup of this size could hold.
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
_MAX_MANIFEST_SIZE = 2**20  # bytes
# Databases and models are compressed to a half or a tenth. A higher ratio than this means an archive made to fill the disk.
_MAX_COMPRESSION_RATIO = 100
_MIN_SIZE_LIMIT = 64 * 2**20  # bytes
_MAX_READ_SIZE = 2**20  # bytes
# Kept free on the disk, so that the bot can go on.
_RESERVE = 64 * 2**20  # bytes
_SHA256 = re.compile("[0-9a-f]{64}")


def pack(archive: Path, files: Mapping[str, Path]) -> None:
    """Write files into a new archive. `files` has their names in it as keys. Raises OSError."""
    with tarfile.open(archive, "w:gz") as tar:
        manifest = json.dumps({"version": __version__, "files": {name: _sha256(file) for name, file in files.items()}})
        entry = tarfile.TarInfo(MANIFEST)
        entry.size = len(manifest)
        tar.addfile(entry, io.BytesIO(manifest.encode()))
        for name, file in files.items():
            tar.add(file, name)


def unpack(archive: Path, place: Path, belongs: Callable[[str], bool]) -> None:
    """Write the files of an archive into the folder `place`, and check their sums.

    Raises StorageError if the archive is damaged, incomplete or too large, or if `belongs` rejects the name of a file.
    """
    try:
        limit = max(_MIN_SIZE_LIMIT, _MAX_COMPRESSION_RATIO * archive.stat().st_size)
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
    """An archive that unpacks at most `limit` bytes, in small reads. Raises _TooLarge."""

    def __init__(self, archive: Path, limit: int) -> None:
        super().__init__(archive)
        self._limit = limit

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _MAX_READ_SIZE:  # tar reads long names and comments at once
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
        if _sha256(file) != digest:
            raise ValueError(f"{entry.name} is not what was packed")
    if missing:
        raise ValueError(f"{next(iter(missing))} is missing")


def _manifest(tar: tarfile.TarFile) -> dict[str, str]:
    """Return the sums of the files by their names. Raises ValueError if the manifest isn't in the format of `pack`."""
    entry = tar.next()
    if entry is None or entry.name != MANIFEST or entry.size > _MAX_MANIFEST_SIZE:
        raise ValueError("it does not begin with a manifest")
    manifest = json.loads(_content(tar, entry).read())
    sums = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(sums, dict) or not sums:
        raise ValueError("its manifest names no files")
    for name, digest in sums.items():
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
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
    """Open an entry for reading. Raises ValueError if it isn't a regular file, or is a sparse one."""
    content = tar.extractfile(entry) if entry.isreg() and not entry.issparse() else None
    if content is None:
        raise ValueError(f"{entry.name!r} is no plain file")
    return content


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
