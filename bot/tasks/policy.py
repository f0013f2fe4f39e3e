"""In which chats tasks may be used: a setting for each chat, kept beside its policy, and a default for the others."""

from collections.abc import Sequence

from bot.core.errors import BotError
from bot.core.messages import Policy
from bot.storage.base import PlatformStore

# A chat in which tasks may be used has this policy for them, another one `Policy.OFF`.
_ON = Policy.ALWAYS
STATES = ("on", "off", "default")


def policies_of(platform: str) -> str:
    """Return the name under which the store of policies keeps those for the tasks on a platform."""
    return f"{platform}:tasks"


class TaskPolicy:
    """Says in which chats tasks may be used, and changes it."""

    def __init__(self, store: PlatformStore, *, allowed: bool) -> None:
        """Take the default: `allowed`, whether tasks may be used in chats for which nothing was set (`tasks.allowed`)."""
        self._store = store
        self._allowed = allowed

    async def require(self, platform: str, chats: Sequence[str]) -> None:
        """Raise BotError unless tasks may be used in the first of the chats for which something was set.

        List a thread before its channel.
        """
        kept = await self._store.policy(policies_of(platform), chats)
        if not (self._allowed if kept is None else kept is _ON):
            raise BotError("I don't do this here, unless an operator allows it: the page on tasks says how.")

    async def set(self, platform: str, chat: str, state: str) -> None:
        """Set whether tasks may be used in a chat: `on`, `off` or `default`, which forgets what was set."""
        wanted = {"on": _ON, "off": Policy.OFF, "default": None}[state]
        await self._store.set_policy(policies_of(platform), chat, wanted)

    async def states(self, platform: str) -> dict[str, str]:
        """Return `on` or `off` for each chat for which something was set."""
        kept = await self._store.policies(policies_of(platform))
        return {chat: "on" if policy is _ON else "off" for chat, policy in kept.items()}
