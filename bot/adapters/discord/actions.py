"""The operations that commands and buttons call, as a protocol: they know nothing else of the adapter."""

from typing import Protocol

import discord

from bot.core.messages import Address
from bot.core.settings import DiscordSettings
from bot.questions.administration import Administration
from bot.storage.base import KeptAnswer

Interaction = discord.Interaction[discord.Client]


class Actions(Protocol):
    @property
    def settings(self) -> DiscordSettings: ...

    @property
    def administration(self) -> Administration: ...

    async def ask(self, interaction: Interaction, text: str, *, private: bool) -> None:
        """Take a question; its answer becomes the response to the interaction. Raises nothing that the user should see."""

    async def stop(self, address: Address) -> bool:
        """Stop the work on a question; return whether there was any."""

    async def stored(self, reference: str) -> KeptAnswer | None:
        """The question and the answer with this reference; None where they are not kept (any more)."""

    async def rate(self, interaction: Interaction, reference: str, *, helpful: bool, reason: str = "") -> bool:
        """Keep the user's rating of an answer. False: the answer is not kept (any more)."""

    async def share(self, interaction: Interaction, reference: str) -> None:
        """Send a private answer to the channel of the interaction."""

    async def forget_conversation(self, conversation: str) -> None:
        """Erase the turns of a conversation."""

    def is_operator(self, user: discord.abc.User) -> bool:
        """Whether a user may change the documents and see the status."""
