"""The scopes of sources: from which places questions may be answered from which documents.

A source with a scope is for the places that the scope names: a platform, or one server or chat of it. Everywhere else its
documents are hidden from search, titles and tasks. The operator's own places, at this machine and in the console, see all.
"""

from collections.abc import Container, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from bot.core.messages import Address
from bot.core.settings import SourceSettings

# The platforms of addresses that the program makes for its operator: commands, the console, evaluations and checks.
_OWN = frozenset({"bench", "command", "doctor", "evaluation", "operator", "terminal"})
_FOLDER = ""  # in place of the name of a source


@dataclass(frozen=True, slots=True)
class _AllBut:
    """All names but these."""

    names: AbstractSet[str]

    def __contains__(self, name: object) -> bool:
        return name not in self.names


class Scopes:
    """The scopes of all sources."""

    def __init__(self, sources: Iterable[SourceSettings] = ()) -> None:
        self._scopes = {source.name: frozenset(source.places) for source in sources}

    def hidden_from(self, address: Address) -> Container[str]:
        """Return the names of the sources whose documents must not be shown where a question comes from.

        Those that the settings don't name are among them: the index keeps a source that was renamed or removed until the next
        indexing, and gets a new one as soon as another process indexes with other settings.
        """
        if address.platform in _OWN:
            return frozenset()
        places = {address.platform, f"{address.platform}:{address.details.get('server') or address.chat}"}
        shown = {name for name, scope in self._scopes.items() if not scope or not scope.isdisjoint(places)}
        return _AllBut(shown | {_FOLDER})


def source_of(path: str) -> str:
    """Return the name of the source of a path in the index; empty for a file of the knowledge folder."""
    name, colon, _ = path.partition(":")
    return name if colon and "/" not in name else _FOLDER


def path_in_folder(path: str) -> str:
    """Return the path in the index of a file of the knowledge folder, which is never taken for one of a source."""
    return f"./{path}" if source_of(path) else path
