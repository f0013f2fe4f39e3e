"""The rights: one table of actions and roles for every platform. HTTP has its own in `http.sessions.SessionRole`.

An adapter passes the roles of a person towards an action, and the place; the table allows or refuses it.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum


class Role(Enum):
    """The role of a person towards one action. Programs, which are other bots, have none."""

    PERSON = "reaches the bot in a chat"
    READER = "can see the answer that is concerned"
    ASKER = "has asked the question that is concerned"
    MODERATOR = "manages the server, channel or messages that are concerned"
    OPERATOR = "is named in the settings as operator of the bot"


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule for one action: the roles that may do it."""

    roles: frozenset[Role]
    private_only: bool = False
    """Whether the answer is for this person alone, so that it is given where nobody else reads it."""
    forwarded: bool = False
    """Whether it is done for a forwarded message too, whose words are somebody else's."""


_PERSON = Rule(frozenset({Role.PERSON}))
_READER = Rule(frozenset({Role.READER}))
_POLICY = Rule(frozenset({Role.OPERATOR, Role.MODERATOR}))
_OPERATOR = Rule(frozenset({Role.OPERATOR}), private_only=True)

RIGHTS: Mapping[str, Rule] = {
    "ask": Rule(frozenset({Role.PERSON}), forwarded=True),
    "help": _PERSON,
    "start": _PERSON,
    "privacy": _PERSON,
    "new": _PERSON,
    "forget": _PERSON,
    "stop": Rule(frozenset({Role.ASKER, Role.MODERATOR})),
    "rate": _READER,
    "source": _READER,
    "more": _READER,
    "share": _READER,
    "summarise": _PERSON,
    "translate": _PERSON,
    "task": _PERSON,
    "tasks": _POLICY,
    "policy": _POLICY,
    "policies": _OPERATOR,
    "status": _OPERATOR,
    "documents": _OPERATOR,
    "reload": _OPERATOR,
    "add": _OPERATOR,
    "remove": _OPERATOR,
    "gaps": _OPERATOR,
    "explain": _OPERATOR,
    "feedback": _OPERATOR,
}

OPEN_ROUTES = frozenset({"/health/live", "/health/ready"})
"""The routes that are open to everybody at the HTTP server. All others take the token, where one is set."""


def may(action: str, roles: AbstractSet[Role], *, private: bool, forwarded: bool = False) -> bool:
    """Return whether somebody with these roles may do it. `private`: nobody else reads the reply. Unknown actions nobody
    may do."""
    rule = RIGHTS.get(action)
    if rule is None or (forwarded and not rule.forwarded) or (rule.private_only and not private):
        return False
    return bool(rule.roles & roles)
