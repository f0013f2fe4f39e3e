"""The files in the ZIP archives of an export, by their names, also of an archive that was divided and packed once more."""

import io
import lzma
import posixpath
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from bot.core.errors import DocumentError

BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,
    EOFError,
    NotImplementedError,
    ValueError,
    RuntimeError,
)
"""The errors of unpacking, which differ by the method of compression."""
LARGEST_FILE = 64 * 2**20
"""The most bytes of one file of an export, unpacked."""
_MOST_FILES = 200_000
_LARGEST_INNER = 256 * 2**20  # bytes of all archives within archives together, which are kept in memory
_PROTECTED = "it is protected by a password; export it without one"


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive. `size` is in bytes, unpacked, as the archive declares it."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo

    @property
    def size(self) -> int:
        return self.info.file_size


class Archives:
    """The files of one export. Names have forward slashes and no `..`; where two differ by their archive only, the second one
    stands in a folder with the number of its archive."""

    def __init__(self, opened: Iterable[BinaryIO]) -> None:
        """`opened`: the archives, as seekable files. Raises DocumentError."""
        self._members: dict[str, Member] = {}
        self._in_memory = 0
        for number, file in enumerate(opened, start=1):
            self._add(_archive(file), number, inner=True)

    @property
    def names(self) -> Sequence[str]:
        """The names of all files, in the order of the archives."""
        return tuple(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def size(self, name: str) -> int:
        """Return the size of a file in bytes, unpacked."""
        return self._members[name].size

    def read(self, name: str) -> bytes:
        """Return the content of a file. Raises DocumentError if it is damaged or too large."""
        return _content(self._members[name], LARGEST_FILE)

    def _add(self, archive: zipfile.ZipFile, number: int, *, inner: bool) -> None:
        for info in archive.infolist():
            if info.is_dir():
                continue
            name = _name(info)
            member = Member(archive, info)
            if inner and name.lower().endswith(".zip") and "/" not in name:
                self._add(_archive(self._unpacked(member)), number, inner=False)
                continue
            other = self._members.get(name)
            if other and (other.size, other.info.CRC) == (info.file_size, info.CRC):
                continue
            self._members[f"{number}/{name}" if other else name] = member
            if len(self._members) > _MOST_FILES:
                raise DocumentError(f"it holds more than {_MOST_FILES:,} files; export less of it at once")

    def _unpacked(self, member: Member) -> BinaryIO:
        self._in_memory += member.size
        if self._in_memory > _LARGEST_INNER:
            raise DocumentError(
                f"the archives in it have more than {_LARGEST_INNER // 2**20} megabytes; unpack it once, and name the folder "
                "with those archives"
            )
        return io.BytesIO(_content(member, _LARGEST_INNER))


def _archive(file: BinaryIO) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(file)
    except BROKEN as error:
        raise DocumentError("this is no ZIP archive, or it is damaged or not complete yet; export it again") from error
    if any(info.flag_bits & 1 for info in archive.infolist()):
        raise DocumentError(_PROTECTED)
    return archive


def _content(member: Member, largest: int) -> bytes:
    if member.size > largest:
        raise DocumentError(f"it has {member.size // 2**20} megabytes, and {largest // 2**20} are read at most")
    try:
        with member.archive.open(member.info) as file:
            return file.read(member.size + 1)  # no more than the archive declares, whatever it unpacks to
    except BROKEN as error:
        raise DocumentError("it is damaged in the archive; export it again") from error


def _name(info: zipfile.ZipInfo) -> str:
    """Return the name of a file without ways out of its folder. Some programs don't mark UTF-8 as such."""
    name = info.filename
    if not info.flag_bits & 0x800:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return "/".join(parts) or "unnamed"


def relative(name: str, link: str) -> str:
    """Return the name that a relative link in a file leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), link)).lstrip("/")
