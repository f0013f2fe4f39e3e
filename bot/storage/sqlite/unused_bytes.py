"""Overwriting of the unused bytes in the pages of a SQLite file, where copies of what was erased may be left.

SQLite overwrites what it deletes (`secure_delete`), but where it divides a page that is full, what it has moved elsewhere stays
in the space between the page's directory and its contents. Only bytes that mean nothing to SQLite are written here, so a power
failure in between leaves a whole file. Source of the layout: https://www.sqlite.org/fileformat2.html, sections 1.3, 1.6, 1.8.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from struct import Struct

_HEADER_SIZES = {2: 12, 5: 12, 10: 8, 13: 8}  # of pages of B-trees, by their kind
_HEADER = Struct(">HHH")  # the first free block, the number of cells, and where their contents begin
_FREE_BLOCK = Struct(">HH")  # the next free block, and the size of this one
_FILE_HEADER = 100  # bytes at the beginning of the first page
_WAL_HEADER, _FRAME_HEADER = 32, 24  # bytes
_LOCKED = 2**30  # the place in the file whose page is never used


@dataclass(frozen=True, slots=True)
class _Layout:
    page_size: int
    usable: int  # bytes of each page
    mapped: bool  # whether there are pages that say which page belongs to which


def wipe(file: FileIO, first: int, count: int = 1) -> bool:
    """Overwrite the unused bytes of up to `count` pages from the page `first` on (1: the first of the file). Returns whether
    there may be more pages.

    Blocking. All of the file must be in it and none in its WAL, and nobody may write to it meanwhile.
    """
    layout = _layout(os.pread(file.fileno(), _FILE_HEADER, 0))
    size, zeros = layout.page_size, bytes(layout.page_size)
    for number in range(first, first + count):
        start = (number - 1) * size
        page = os.pread(file.fileno(), size, start)
        if len(page) < size:
            return False
        if _is_of_tree(number, layout):
            for begin, end in _unused(page, _FILE_HEADER if number == 1 else 0, layout.usable):
                if not zeros.startswith(page[begin:end]):
                    os.pwrite(file.fileno(), zeros[begin:end], start + begin)
    return True


def pages_in_wal(wal: Path) -> set[int]:
    """Return the numbers of all pages that the WAL has a copy of, also of those copies that no longer count. Blocking.

    Source of the layout: section 4.1 there.
    """
    with wal.open("rb") as file:
        size = _FRAME_HEADER + int.from_bytes(file.read(_WAL_HEADER)[8:12], "big")
        frames = range(_WAL_HEADER, file.seek(0, os.SEEK_END) - size + 1, size)
        return {int.from_bytes(os.pread(file.fileno(), 4, frame), "big") for frame in frames}


def _layout(header: bytes) -> _Layout:
    page_size = int.from_bytes(header[16:18], "big")
    page_size = 65_536 if page_size == 1 else page_size
    return _Layout(page_size, page_size - header[20], mapped=any(header[52:56]))


def _is_of_tree(number: int, layout: _Layout) -> bool:
    """Return whether a page may be one of a B-tree. The first byte of one that maps others may be the same."""
    locked = _LOCKED // layout.page_size + 1
    if not layout.mapped or number == 1:
        return number != locked
    each = layout.usable // 5 + 1
    mapping = (number - 2) // each * each + 2
    return number not in (locked, mapping + 1 if mapping == locked else mapping)


def _unused(page: bytes, start: int, usable: int) -> Iterator[tuple[int, int]]:
    """Yield the beginnings and ends of the unused bytes of a page, whose header starts at `start`; none if it isn't of a
    B-tree."""
    header = _HEADER_SIZES.get(page[start])
    if header is None:
        return
    free, cells, contents = _HEADER.unpack_from(page, start + 1)
    directory_end = start + header + 2 * cells
    contents = contents or 65_536
    if directory_end <= contents <= usable:
        yield directory_end, contents
        while contents <= free <= usable - 4:  # a chain of free blocks, in order
            following, size = _FREE_BLOCK.unpack_from(page, free)
            if not 4 <= size <= usable - free:
                return
            yield free + 4, free + size
            free = following if following > free else 0
