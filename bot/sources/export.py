"""An export of another program as a source: a ZIP archive, or a folder with archives or with unpacked files.

The archives are opened here, and read in the converter's process (`knowledge.converter`), which reaches nothing else. Its
replies are checked: paths stay within the folder of the source, and files have endings of formats that are read.
"""

import asyncio
import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from bot.core.errors import DocumentError, SourceError
from bot.core.settings import SourceSettings
from bot.core.text import counted
from bot.knowledge.converter import Converter, Limits
from bot.knowledge.formats.exports.export import Part, Rules
from bot.knowledge.loaders import LOADERS, OTHER_FORMATS
from bot.sources.left_out import LeftOut
from bot.sources.store import Draft, is_plain

EXPORTS = ("notion", "confluence", "google", "telegram")
"""The kinds of sources that are exports."""
_MOST_ARCHIVES = 100
_MOST_FAILURES = 10  # files in a row that can't be read, before the export is given up for now
_ARCHIVE = ".zip"
_READ = (*LOADERS, *OTHER_FORMATS)


async def fetch_export(source: SourceSettings, draft: Draft, limits: Limits) -> tuple[dict[str, Any], list[str]]:
    """Read an export into the draft.

    Returns the entries for the manifest of this fetch, and notes on files that were left out. Raises SourceError.
    """
    with ExitStack() as opened:
        try:
            archives = await asyncio.to_thread(lambda: list(_archives(source, draft.new.parent, opened)))
        except OSError as error:
            raise SourceError(
                f"{source.file} can't be read ({error.strerror or error}); check the setting file"
            ) from error
        converter = opened.enter_context(Converter(limits, archives))  # ends the work in a thread if this is cancelled
        return await asyncio.to_thread(_read, source, draft, converter)


def _read(source: SourceSettings, draft: Draft, converter: Converter) -> tuple[dict[str, Any], list[str]]:
    rules = Rules(source.kind, source.link, source.staff, source.accepted)
    try:
        contents = converter.contents(rules)
    except DocumentError as error:
        raise SourceError(f"{source.shown_url}: {error}") from error
    left_out = LeftOut("file")
    for reason, name in contents.left_out:
        left_out.add(reason, name)
    failures = 0
    for number, part in enumerate(contents.parts):
        if not _is_wanted(part, draft):
            left_out.add("left out (its path is none of a document)", part.path)
            continue
        try:
            converted = converter.part(rules, number, part.size)
            failures = 0
        except DocumentError as error:
            failures += 1
            if converter.closed or failures >= _MOST_FAILURES:
                raise SourceError(
                    f"{failures} files in a row could not be read, the last one {part.path}: {error}"
                ) from error
            left_out.add(f"could not be read ({error})", part.path)
            if draft.has(part.path):
                draft.keep(part.path, part.address)
            continue
        draft.write(part.path, converted.content, part.address)
        for reason in converted.left_out:
            left_out.add(reason, part.path)
    if not draft.addresses:
        raise SourceError("there is no file that could be read: " + "; ".join(left_out.notes()))
    return {}, left_out.notes()


def _is_wanted(part: Part, draft: Draft) -> bool:
    """Return whether the path of a part leads to a document within the folder of the source, and to a new one."""
    parts = PurePosixPath(part.path).parts
    is_document = PurePosixPath(part.path).suffix.lower() in _READ
    return is_plain(part.path) and ".." not in parts and is_document and part.path not in draft.addresses


# --- archives ---------------------------------------------------------------------------------------------------------


def _archives(source: SourceSettings, work: Path, opened: ExitStack) -> Iterator[BinaryIO]:
    """Yield the archives of an export, opened: of a folder, the archives in it and one of its other files, made in `work`."""
    file = cast(Path, source.file)
    if not file.is_dir():
        yield opened.enter_context(file.open("rb"))
        return
    others = []
    count = 0
    for path in _files(file):
        if path.suffix.lower() == _ARCHIVE and path.parent == file:
            count += 1
            if count > _MOST_ARCHIVES:
                raise SourceError(
                    f"{file} holds more than {_MOST_ARCHIVES} archives; name a folder with those of one export"
                )
            yield opened.enter_context(path.open("rb"))
        elif path.suffix.lower() in _READ:
            others.append(path)
    if others:
        yield opened.enter_context(_packed(file, others, source.megabytes * 2**20, work))
    elif not count:
        raise SourceError(f"{file} holds neither a ZIP archive nor a document; check the setting file")


def _files(folder: Path) -> Iterator[Path]:
    """Yield the ordinary files below a folder in a stable order, without following links."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if not path.is_symlink() and path.is_file():
                yield path


@contextmanager
def _packed(folder: Path, files: list[Path], largest_bytes: int, work: Path) -> Iterator[BinaryIO]:
    """Pack files into an archive in `work`: the converter's process opens no files. Raises SourceError if too large."""
    if sum(path.stat().st_size for path in files) > largest_bytes:
        raise SourceError(
            f"it takes more than {counted(largest_bytes // 2**20, 'megabyte')}; raise its setting megabytes"
        )
    with tempfile.TemporaryFile(dir=work) as packed:
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
            for path in files:
                archive.write(path, path.relative_to(folder).as_posix())
        packed.flush()
        yield cast(BinaryIO, packed)


def state_of(source: SourceSettings) -> tuple[tuple[str, int, int], ...]:
    """Return a value that changes with the files of an export; empty without any, or for other kinds. Blocking."""
    if source.file is None:
        return ()
    with suppress(OSError):
        files = _files(source.file) if source.file.is_dir() else [source.file]
        return tuple((path.as_posix(), (status := path.stat()).st_size, status.st_mtime_ns) for path in files)
    return ()
