"""The data folder as a whole: one bot at a time, whole databases, backups. All of it blocking.

A backup is one compressed archive with a manifest that has the sum of each file. The databases in it are as they were at one
moment, also while a bot writes to them. Tuned models are in it too.
"""

import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import structlog
from filelock import FileLock, Timeout

from bot.core.errors import StorageError
from bot.storage.archive import MANIFEST, pack, unpack
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
    """Lock the folder, so that only one bot serves from it: two would both answer the unfinished questions.

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
    """Remove the leftovers of a killed process, and check whether the databases are whole.

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
    """Write the contents of the folder into a new archive, and return the names of its files and models.

    Raises StorageError, without leaving an archive.
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
            pack(unfinished, files)
        unfinished.rename(archive)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"{archive}: the backup could not be written: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return list(dict.fromkeys("/".join(PurePosixPath(name).parts[:2]) for name in files))


def restore(archive: Path, folder: Path) -> Path | None:
    """Replace the files of the folder by those of a backup. Return the folder with the replaced ones, or None.

    Raises StorageError if a bot uses the folder, the backup is damaged or a file can't be moved. Then the folder is unchanged.
    """
    with alone_in(folder), TemporaryDirectory(dir=folder, prefix=CANDIDATE) as place:
        unpack(archive, Path(place), _belongs)
        restored = list(Path(place).iterdir())
        for file in restored:
            if file.name in (JOURNAL, INDEX) and (found := damage(file)):
                raise StorageError(f"{archive}: {file.name} in it is damaged ({found}). Use another backup.")
        before = _to_be_replaced(folder)
        aside = _new_folder(folder) if before else None
        moves = [(file, aside / file.name) for file in before] if aside else []
        _move(moves + [(file, folder / file.name) for file in restored])
    return aside


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
    """Whether a file of this name in the data folder belongs into a backup."""
    passing = name.startswith((CANDIDATE, _REPLACED)) or ".sqlite3-" in name or ".damaged-" in name
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
            target.executescript("PRAGMA incremental_vacuum")
    else:
        shutil.copyfile(file, copy)
    return copy


def _belongs(name: str) -> bool:
    """Whether a name in a backup is that of a file in the data folder or of one of its tuned models."""
    parts = PurePosixPath(name).parts
    plain = name == "/".join(parts) and parts == Path(name).parts and ".." not in parts  # no drive of Windows either
    if len(parts) == 1:
        return plain and _is_kept(name)
    return plain and len(parts) in (2, 3) and parts[0] == GENERATORS
