"""An export as the loaders read it: the files that come from it, each with its path, its address and its content."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from urllib.parse import quote

from bot.knowledge.formats.exports.archives import LARGEST_FILE, Archives
from bot.knowledge.loaders import LOADERS, OTHER_FORMATS

_UNFIT = re.compile(r'[\x00-\x1f\x7f\\/:*?"<>|\s]+')
_LONGEST_PART = 80  # characters of a file's or a folder's name
_DEEPEST = 12  # folders


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of a source by which its export is read.

    `link` is the address of a page with `{id}` for its identity, empty if pages have none. `staff` and `accepted` choose the
    answers of a chat; see `telegram`.
    """

    kind: str
    link: str = ""
    staff: tuple[str, ...] = ()
    accepted: str = ""

    def address(self, identity: str) -> str:
        """Return the address of a page; empty if that isn't known."""
        return self.link.replace("{id}", quote(identity, safe="")) if identity else ""


@dataclass(frozen=True, slots=True)
class Converted:
    """The content of a file, with a phrase for each kind of content that was left out: `had comments, which were left out`."""

    content: bytes
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A file that an export gives. `address` is cited, empty if it has none; `size` are the bytes that it is made of."""

    path: str
    address: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Contents:
    """The files that an export gives. `left_out` has (reason, name) of each file that isn't read."""

    parts: tuple[Part, ...]
    left_out: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Export:
    """The files that an export gives, each with the function that converts it, which raises DocumentError."""

    parts: list[tuple[Part, Callable[[], Converted]]] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    _taken: set[str] = field(default_factory=set)

    @property
    def contents(self) -> Contents:
        """The paths, addresses and left out files, without the functions."""
        return Contents(tuple(part for part, _ in self.parts), tuple(self.left_out))

    def add(self, part: Part, convert: Callable[[], Converted]) -> None:
        """Add a file, whose path is one of `free_path`."""
        self.parts.append((part, convert))

    def leave_out(self, reason: str, name: str) -> None:
        """Note that something is not read, for a reason such as `not read (too large)`."""
        self.left_out.append((reason, name))

    def free_path(self, folders: Sequence[str], name: str, suffix: str) -> str:
        """Return a path of these names that no other file of the export has; a repeated one gets a number."""
        above = [_folder(fit(part)) for part in folders[:_DEEPEST] if part]
        number = 1
        while True:
            counted = f" ({number})" if number > 1 else ""
            path = "/".join((*above, f"{fit(name)}{counted}{suffix}"))
            if path.lower() not in self._taken:
                self._taken.add(path.lower())
                return path
            number += 1

    def add_documents(self, archives: Archives, names: Sequence[str], title: Callable[[str], str]) -> None:
        """Add the files of formats that are read as they stand. `title` gives their names without an ending, with folders."""
        for name in names:
            suffix = PurePosixPath(name).suffix.lower()
            if suffix not in LOADERS and suffix not in OTHER_FORMATS:
                continue
            if archives.size(name) > LARGEST_FILE:
                self.leave_out("not read (too large)", name)
                continue
            *folders, last = title(name).split("/")
            part = Part(self.free_path(folders, last, suffix), size=archives.size(name))
            self.add(part, partial(_as_it_stands, archives, name))


def _as_it_stands(archives: Archives, name: str) -> Converted:
    return Converted(archives.read(name))


def fit(name: str) -> str:
    """Return a name that file systems accept: without the marks that they refuse, not hidden, and not too long."""
    name = _UNFIT.sub(" ", name).strip().lstrip(".~$ ")[:_LONGEST_PART]
    while len(name.encode()) > 200:
        name = name[:-1]
    return name.strip(" .") or "untitled"


def _folder(name: str) -> str:
    """Return a name of a folder that doesn't look like that of a document, which may stand beside it."""
    return re.sub(r"\.(\w+)$", r"-\1", name) if PurePosixPath(name).suffix.lower() in LOADERS else name
