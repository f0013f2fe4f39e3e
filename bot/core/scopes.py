"""The scopes of sources: from which places questions may be answered from which documents.

A source with a scope is for the places that the scope names: a platform, or one server or chat of it. Everywhere else its
documents are hidden from search, titles and tasks. The operator's own places, at this machine and in the console, see all.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from bot.core.messages import Address
from bot.core.settings import SourceSettings

# The platforms of addresses that the program makes for its operator: commands, the console, evaluations and checks.
_OWN = frozenset({"bench", "command", "doctor", "evaluation", "operator", "terminal"})


class Scopes:
    """The scopes of all sources."""

    def __init__(self, sources: Iterable[SourceSettings] = ()) -> None:
        self._scopes = {source.name: frozenset(source.places) for source in sources if source.places}

    def hidden_from(self, address: Address) -> AbstractSet[str]:
        """Return the names of the sources whose documents must not be shown where a question comes from."""
        if address.platform in _OWN:
            return frozenset()
        places = {address.platform, f"{address.platform}:{address.details.get('server') or address.chat}"}
        return {name for name, scope in self._scopes.items() if scope.isdisjoint(places)}


def source_of(path: str) -> str:
    """Return the name of the source of a path in the index; empty for a file of the knowledge folder."""
    name, colon, _ = path.partition(":")
    return name if colon else ""
