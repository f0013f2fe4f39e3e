"""The protocol of the operations that commands and buttons call."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import discord

from bot.core.messages import Address
from bot.core.rights import Role
from bot.core.settings import DiscordSettings
from bot.questions.administration import Administration
from bot.storage.base import Forgotten, KeptAnswer
from bot.tasks.desk import TaskDesk
from bot.tasks.sources import Source

Interaction = discord.Interaction[discord.Client]


class Actions(Protocol):
    """The operations of the adapter that commands and buttons call."""

    @property
    def settings(self) -> DiscordSettings: ...

    @property
    def administration(self) -> Administration: ...

    async def ask(self, interaction: Interaction, text: str, *, private: bool) -> None:
        """Accept a question. Its answer, or an error, becomes the response to the interaction."""

    async def stop(self, address: Address) -> bool:
        """Stop the work on a question. Returns False if it has ended already."""

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

    @property
    def tasks(self) -> TaskDesk | None:
        """The tasks; None if they are off."""

    async def document(self, interaction: Interaction, path: str, section: str) -> Source:
        """Return a document that may be read where the interaction is, or one section of it. Raises DocumentError."""

    async def run_task(self, interaction: Interaction, name: str, source: Callable[[], Awaitable[Source]]) -> None:
        """Do a task. The result, or an error, becomes the private response to the interaction."""

    def may(self, action: str, interaction: Interaction, *roles: Role) -> bool:
        """Whether the user may do something, by these roles or as an operator."""
