"""The protocol of the operations that commands call."""

from typing import Protocol

from bot.storage.base import Forgotten


class Actions(Protocol):
    """The operations of the adapter that commands call."""

    async def forget_conversation(self, conversation: str) -> None:
        """Erase the turns of a conversation."""

    async def stop(self, conversation: str) -> bool:
        """Stop the question of a conversation that is in work. Returns False if none is."""

    async def forget(self, author: str) -> Forgotten:
        """Erase the questions, turns and feedback of an author."""

    def describe(self) -> str:
        """Return the state of the connection in one line."""
