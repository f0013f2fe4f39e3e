"""The protocol of what commands and buttons call on Discord itself.

Sending an answer imports its buttons, and sharing one by a button sends it: between the two stands this protocol.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

import discord

from bot.adapters.backend import Backend
from bot.core.rights import Role
from bot.storage.base import Forgotten, KeptAnswer
from bot.tasks.sources import Source

Interaction = discord.Interaction[discord.Client]


class Actions(Protocol):
    """The operations that take more than the backend: the channel, the connection or the progress that is shown."""

    @property
    def backend(self) -> Backend: ...

    async def ask(self, interaction: Interaction, text: str, *, private: bool) -> None:
        """Accept a question. Its answer, or an error, becomes the response to the interaction."""

    async def stored(self, interaction: Interaction, action: str, reference: str) -> KeptAnswer | None:
        """Return the question and the answer with this reference, or None if they are not kept or not for this user."""

    async def rate(self, interaction: Interaction, reference: str, *, helpful: bool, reason: str = "") -> bool:
        """Keep the user's rating of an answer. Returns False if the answer is not kept."""

    async def share(self, interaction: Interaction, reference: str) -> None:
        """Send a private answer to the channel of the interaction, once."""

    async def forget_conversation(self, conversation: str) -> None:
        """Erase the turns of a conversation."""

    async def forget(self, author: str) -> Forgotten:
        """Erase the questions, turns and feedback of an author, and the progress shown for their questions."""

    async def run_task(self, interaction: Interaction, name: str, source: Callable[[], Awaitable[Source]]) -> None:
        """Do a task. The result, or an error, becomes the private response to the interaction."""

    def may(self, action: str, interaction: Interaction, *roles: Role) -> bool:
        """Whether the user may do something, by these roles or as an operator."""
