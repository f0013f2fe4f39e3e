"""The data folder as a whole: one bot at a time, whole databases, backups. All of it blocking.

A backup is one compressed archive with a manifest that has the sum of each file. The databases in it are as they were at one
moment, also while a bot writes to them. Tuned models are in it too.
"""

import hashlib
import io
import json
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO

import structlog
from filelock import FileLock, Timeout

from bot import __version__
from bot.core.errors import StorageError
from bot.storage.base import GENERATORS
from bot.storage.sqlite.connection import damage, damaged, put_aside
from bot.storage.sqlite.journal import FILE as JOURNAL
from bot.storage.sqlite.knowledge import FILE as INDEX

_log = structlog.stdlib.get_logger(__name__)

LOCK = "bot.lock"
# What the copies of the index are called on which golden questions are tried.
CANDIDATE = "candidate-"
_REPLACED = "before-restore-"
_MANIFEST = "manifest.json"
# A larger database is looked through when it is asked for: it takes seconds.
_LARGEST_INSPECTED = 64 * 2**20  # bytes


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """While this holds, no other bot serves from the folder: two would both answer what a third one left undone.

    Raises StorageError.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise StorageError(
            f"Another bot is running with the data folder {folder}. Stop it first, or give this one a folder of its own: "
            "storage.folder"
        ) from error
    except OSError as error:
        raise StorageError(
            f"{folder}: {error.strerror}. The data folder can't be written: check its owner and permissions, or give the bot "
            "another one: storage.folder"
        ) from error
    try:
        yield
    finally:
        lock.release()


def inspect(folder: Path, *, set_damaged_aside: bool = False) -> None:
    """Take away what a killed process has left, and look whether the databases are whole.

    Raises StorageError where one isn't and is not to be set aside.
    """
    for left in folder.glob(f"{CANDIDATE}*"):
        shutil.rmtree(left, ignore_errors=True)
    for file in (folder / JOURNAL, folder / INDEX):
        if not file.exists() or (not set_damaged_aside and file.stat().st_size > _LARGEST_INSPECTED):
            continue
        if (found := damage(file)) is None:
            continue
        if not set_damaged_aside:
            raise damaged(file, found)
        _log.warning("a damaged database was set aside", file=str(file), kept_as=str(put_aside(file)), damage=found)


def back_up(folder: Path, archive: Path) -> list[str]:
    """Write what the folder holds into an archive, which must not exist yet; the names of what is in it.

    Raises StorageError; then there is no archive.
    """
    if not any((folder / name).is_file() for name in (JOURNAL, INDEX)):
        raise StorageError(f"There is nothing to back up in {folder}: storage.folder names the data folder.")
    unfinished = archive.with_name(f".{archive.name}.unfinished")
    try:
        if archive.exists():
            raise StorageError(f"{archive} exists already: name another file.")
        with TemporaryDirectory(dir=archive.parent, prefix=".knowledge-bot-backup-") as place:
            files = {file.name: _copied(file, Path(place)) for file in _worth_keeping(folder)}
            files |= _tuned_models(folder, Path(place))
            unfinished.touch(mode=0o600)  # it holds what people have asked
            with tarfile.open(unfinished, "w:gz") as tar:
                manifest = json.dumps(
                    {"version": __version__, "files": {name: _sum_of(file) for name, file in files.items()}}
                )
                entry = tarfile.TarInfo(_MANIFEST)
                entry.size = len(manifest)
                tar.addfile(entry, io.BytesIO(manifest.encode()))
                for name, file in files.items():
                    tar.add(file, name)
        unfinished.rename(archive)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"{archive}: the backup could not be written: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return list(dict.fromkeys("/".join(PurePosixPath(name).parts[:2]) for name in files))


def restore(archive: Path, folder: Path) -> Path | None:
    """Put the files of a backup into the folder; where those go that stood there before, None if there were none.

    Raises StorageError where a bot runs there or the backup isn't whole; then the folder is as it was.
    """
    with alone_in(folder), TemporaryDirectory(dir=folder, prefix=CANDIDATE) as place:
        _unpack(archive, Path(place))
        restored = list(Path(place).iterdir())
        for file in restored:
            if file.name in (JOURNAL, INDEX) and (found := damage(file)):
                raise StorageError(f"{archive}: {file.name} in it is damaged ({found}). Use another backup.")
        before = [*_worth_keeping(folder), *folder.glob("*.sqlite3-*"), *folder.glob(GENERATORS)]
        aside = folder / f"{_REPLACED}{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
        if before:
            aside.mkdir()
        for file in before:
            file.rename(aside / file.name)
        for file in restored:
            file.rename(folder / file.name)
    return aside if before else None


def _worth_keeping(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.iterdir()
        if file.is_file() and file.name != LOCK and ".sqlite3-" not in file.name and ".damaged-" not in file.name
    )


def _tuned_models(folder: Path, place: Path) -> dict[str, Path]:
    """The files of tuned models by their names in a backup. The record is copied first, so that what it names is there, also
    where another model is being activated; the models stay as they are, and may be large."""
    models = folder / GENERATORS
    files = [file for file in sorted(models.glob("[!.]*")) if file.is_file()]
    records = {f"{GENERATORS}/{file.name}": _copied(file, place) for file in files}
    whole = [file for file in sorted(models.glob("[!.]*/*")) if file.is_file()]
    return records | {file.relative_to(folder).as_posix(): file for file in whole}


def _copied(file: Path, place: Path) -> Path:
    copy = place / file.name
    copy.touch(mode=0o600)
    if file.suffix == ".sqlite3":
        with (
            closing(sqlite3.connect(file.as_uri() + "?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
    else:
        shutil.copyfile(file, copy)
    return copy


def _unpack(archive: Path, place: Path) -> None:
    """Write the files of a backup, each as its sum says. Raises StorageError."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            manifest = json.load(_member(tar, _MANIFEST))
            for name, digest in manifest["files"].items():
                if not _belongs(name):
                    raise ValueError(f"{name!r} is no file of a data folder")
                file = place / name
                file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                file.touch(mode=0o600)
                with _member(tar, name) as packed, file.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
                if _sum_of(file) != digest:
                    raise ValueError(f"{name} is not what was packed")
    except FileNotFoundError as error:
        raise StorageError(f"{archive}: there is no such backup.") from error
    except (OSError, ValueError, KeyError, TypeError, EOFError, tarfile.TarError) as error:
        raise StorageError(f"{archive} is no whole backup of this program: {error}") from error


def _belongs(name: str) -> bool:
    """Whether a name in a backup is that of a file in the data folder or of one of its tuned models."""
    parts = PurePosixPath(name).parts
    plain = name == "/".join(parts) and parts == Path(name).parts and ".." not in parts  # no drive of Windows either
    return plain and (len(parts) == 1 or (len(parts) <= 3 and parts[0] == GENERATORS))


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    member = tar.extractfile(name)
    if member is None:
        raise ValueError(f"{name} is no file")
    return member


def _sum_of(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
