"""The data folder as a whole: one bot at a time, whole databases, backups. All of it blocking.

A backup is one compressed archive with a manifest that has the sum of each file. The databases in it are as they were at one
moment, also while a bot writes to them. Tuned models are in it too.
"""

import math
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import structlog
from filelock import FileLock, Timeout

from bot.core.errors import StorageError
from bot.storage.archive import MANIFEST, pack, unpack
from bot.storage.base import GENERATORS
from bot.storage.sqlite.connection import NO_TEXT, damage, damaged, put_aside, strangeness
from bot.storage.sqlite.journal import FILE as JOURNAL
from bot.storage.sqlite.journal import MIGRATIONS as JOURNAL_MIGRATIONS
from bot.storage.sqlite.knowledge import FILE as INDEX
from bot.storage.sqlite.knowledge import MIGRATIONS as INDEX_MIGRATIONS

if sys.platform != "win32":
    import fcntl

_log = structlog.stdlib.get_logger(__name__)

LOCK = "bot.lock"
# Prefix of the temporary index copies for golden questions.
CANDIDATE = "candidate-"
_REPLACED = "before-restore-"
# Time limit of the integrity check of each database at the start: some hundred megabytes on a quick disk. `doctor` has none.
_INSPECTION_SECONDS = 3.0


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Lock the folder, so that only one bot serves from it: two would both answer the unfinished questions.

    Raises StorageError.
    """
    with ExitStack() as stack:
        _lock(folder, stack)
        yield


def _lock(folder: Path, stack: ExitStack) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stack.enter_context(FileLock(folder / LOCK, timeout=0))
        stack.enter_context(_folder_locked(folder))
    except (Timeout, BlockingIOError) as error:
        raise StorageError(
            f"Another bot is running with the data folder {folder}. Stop it first, or give this one a folder of its own: "
            "storage.folder"
        ) from error
    except OSError as error:
        raise StorageError(
            f"{error.filename or folder}: {error.strerror}. The data folder can't be written: check its owner and permissions, "
            "or give the bot another one: storage.folder"
        ) from error


@contextmanager
def _folder_locked(folder: Path) -> Iterator[None]:
    """Hold a lock on the folder itself, where the system has such: the lock file can be deleted while it is locked, and another
    one made. Raises BlockingIOError if another process holds it."""
    if sys.platform == "win32":  # where no file can be deleted that is open
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if isinstance(error, BlockingIOError):
                raise
            _log.debug("the data folder can't be locked", error=error.strerror)  # some network drives lock files only
        yield
    finally:
        os.close(descriptor)


def inspect(folder: Path, *, set_damaged_aside: bool = False) -> None:
    """Remove the leftovers of a killed process, and check whether the databases are whole.

    Raises StorageError where one isn't and is not to be set aside.
    """
    for left in folder.glob(f"{CANDIDATE}*"):
        shutil.rmtree(left, ignore_errors=True)
    for file in (folder / JOURNAL, folder / INDEX):
        if not file.exists():
            continue
        if (found := damage(file, math.inf if set_damaged_aside else _INSPECTION_SECONDS)) is None:
            continue
        if not set_damaged_aside:
            raise damaged(file, found)
        _log.warning("a damaged database was set aside", file=str(file), kept_as=str(put_aside(file)), damage=found)


def back_up(folder: Path, archive: Path) -> list[str]:
    """Write the contents of the folder into a new archive, and return the names of its files and models.

    Raises StorageError, without leaving an archive.
    """
    unfinished = archive.with_name(f".{archive.name}.unfinished")
    try:
        if not any((folder / name).is_file() for name in (JOURNAL, INDEX)):
            raise StorageError(f"There is nothing to back up in {folder}: storage.folder names the data folder.")
        if archive.exists():
            raise StorageError(f"{archive} exists already: name another file.")
        with TemporaryDirectory(dir=archive.parent, prefix=".knowledge-bot-backup-") as place:
            files = {file.name: _copied(file, Path(place)) for file in _worth_keeping(folder)}
            files |= _tuned_models(folder, Path(place))
            unfinished.touch(mode=0o600)  # it holds what people have asked
            pack(unfinished, files)
        unfinished.rename(archive)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"{archive}: the backup could not be written: {error}") from error
    finally:
        with suppress(OSError):  # where it could not be made either
            unfinished.unlink()
    return list(dict.fromkeys("/".join(PurePosixPath(name).parts[:2]) for name in files))


def earlier_copies(folder: Path) -> list[Path]:
    """Return the copies of journals in the data folder: those that a backup has replaced, and damaged ones that were set
    aside."""
    patterns = (f"{_REPLACED}*", f"{JOURNAL}.damaged-*[0-9]", f"{JOURNAL}.before-*")
    return sorted(file for pattern in patterns for file in folder.glob(pattern))


def restore(archive: Path, folder: Path) -> Path | None:
    """Replace the files of the folder by those of a backup. Return the folder with the replaced ones, or None.

    Raises StorageError if a bot uses the folder, the backup is damaged or a file can't be moved. Then the folder is unchanged.
    """
    with alone_in(folder), TemporaryDirectory(dir=folder, prefix=CANDIDATE) as place:
        unpack(archive, Path(place), _belongs)
        restored = list(Path(place).iterdir())
        _check_databases(archive, Path(place))
        before = _to_be_replaced(folder)
        aside = _new_folder(folder) if before else None
        moves = [(file, aside / file.name) for file in before] if aside else []
        _move(moves + [(file, folder / file.name) for file in restored])
    return aside


def _check_databases(archive: Path, place: Path) -> None:
    """Raise StorageError where a database of a backup is damaged or that of another program, or there is none."""
    migrations = {JOURNAL: JOURNAL_MIGRATIONS, INDEX: INDEX_MIGRATIONS}
    there = [name for name in migrations if (place / name).exists()]
    if not there:
        raise StorageError(f"{archive} has neither a journal nor an index in it. Use another backup.")
    for name in there:
        found = damage(place / name) or strangeness(place / name, migrations[name])
        if found is not None:
            raise StorageError(f"{archive}: {name} in it can't be used ({found}). Use another backup.")


def _to_be_replaced(folder: Path) -> list[Path]:
    files = [*_worth_keeping(folder), *folder.glob("*.sqlite3-*"), *folder.glob(GENERATORS)]
    return list(dict.fromkeys(files))


def _new_folder(folder: Path) -> Path:
    """Create a folder for the files that a backup replaces."""
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    names = (f"{_REPLACED}{moment}{number}" for number in ("", *(f"-{n}" for n in range(2, 100))))
    aside = next(folder / name for name in names if not (folder / name).exists())
    aside.mkdir(mode=0o700)
    return aside


def _move(moves: Sequence[tuple[Path, Path]]) -> None:
    """Move all files, or none. Raises StorageError."""
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            if target.exists():
                raise FileExistsError(0, "stands in the way: move it elsewhere", str(target))
            source.rename(target)
            done.append((source, target))
    except OSError as error:
        for source, target in reversed(done):
            target.rename(source)
        for emptied in {target.parent for _, target in done if target.parent.name.startswith(_REPLACED)}:
            emptied.rmdir()
        raise StorageError(f"{error.filename}: {error.strerror}. Nothing was restored.") from error


def _worth_keeping(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if _is_kept(file.name) and file.is_file())


def _is_kept(name: str) -> bool:
    """Return whether a file of this name in the data folder belongs into a backup."""
    passing = name.startswith((CANDIDATE, _REPLACED)) or ".sqlite3-" in name or ".sqlite3." in name
    return name not in (LOCK, MANIFEST, GENERATORS) and not passing


def _tuned_models(folder: Path, place: Path) -> dict[str, Path]:
    """Return the files of tuned models by their names in a backup.

    The record is copied first, so that the backup has the models that it names, even if another model is being activated. The
    models aren't copied, as they never change and may be large.
    """
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
            # Erased rows leave empty pages, which would raise the compression ratio of the archive.
            try:
                target.executescript("PRAGMA incremental_vacuum")
            except UnicodeDecodeError as error:
                raise damaged(file, NO_TEXT) from error
    else:
        shutil.copyfile(file, copy)
    return copy


def _belongs(name: str) -> bool:
    """Return whether a name in a backup is that of a file in the data folder or of one of its tuned models."""
    parts = PurePosixPath(name).parts
    plain = name == "/".join(parts) and parts == Path(name).parts and ".." not in parts  # no drive of Windows either
    if len(parts) == 1:
        return plain and _is_kept(name)
    return plain and len(parts) in (2, 3) and parts[0] == GENERATORS
