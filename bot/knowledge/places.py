"""The places that documents come from: the knowledge folder, and a folder for each source that is fetched.

In the index, a file of a source is called by the source's name, a colon and its path in that folder: `wiki:guides/setup.html`.
A file of the knowledge folder whose path begins like that is called `./wiki: setup.md`.
A manifest in the folder says where each file was published. Everything here blocks.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from bot.core.errors import DocumentError
from bot.core.scopes import path_in_folder
from bot.knowledge.folder import Listing, list_folder, signature
from bot.knowledge.repetition import Repeated

MANIFEST = ".manifest.json"
"""The name of the file in the folder of a source that has, under `addresses`, the address of each file by its path, and, of a
website, the `keepers` of what its pages repeat under `repeated`; see `repetition`."""


@dataclass(frozen=True, slots=True)
class Places:
    """The knowledge folder, and the folders of the sources by their names, which need not exist yet."""

    folder: Path
    sources: Mapping[str, Path] = field(default_factory=dict)

    def listing(self) -> Listing:
        """List the files of all places. Raises DocumentError if the knowledge folder itself can't be read."""
        listing = list_folder(self.folder)
        listing.files = [replace(entry, path=path_in_folder(entry.path)) for entry in listing.files]
        listing.unread = [path_in_folder(beginning) for beginning in listing.unread]
        for name, folder in self.sources.items():
            try:
                of_source = list_folder(folder)
            except DocumentError:  # not fetched yet, or lost: what the index has of it stays until it is
                listing.unread.append(f"{name}:")
                continue
            manifest = _manifest(folder)
            addresses, repeated = manifest.get("addresses", {}), Repeated(manifest.get("repeated", {}))
            listing.files += [
                replace(entry, path=f"{name}:{entry.path}", address=addresses.get(entry.path, ""), repeated=repeated)
                for entry in of_source.files
            ]
            listing.unread += [f"{name}:{beginning}" for beginning in of_source.unread]
        return listing

    def signature(self) -> int:
        """Return a number that changes when a file is added, removed, renamed or written to. Raises DocumentError."""
        return hash((signature(self.folder), *map(_state, self.sources.values())))

    def is_there(self, path: str) -> bool:
        """Return whether the file of a path is there; one with escaped bytes can't be checked and counts as existing."""
        name, _, relative = path.partition(":")
        file = self.sources[name] / relative if name in self.sources else self.folder / path
        return "\\x" in path or os.path.lexists(file)

    def of_source(self, path: str) -> bool:
        """Return whether a path of the index is that of a file from a source."""
        name, colon, _ = path.partition(":")
        return bool(colon) and name in self.sources


def _manifest(folder: Path) -> Mapping[str, Mapping[str, str]]:
    with suppress(OSError, ValueError):
        manifest: dict[str, dict[str, str]] = json.loads((folder / MANIFEST).read_bytes())
        return manifest
    return {}


def _state(folder: Path) -> tuple[int, int]:
    with suppress(OSError, DocumentError):
        return (folder / MANIFEST).stat().st_mtime_ns, signature(folder)
    return -1, -1
