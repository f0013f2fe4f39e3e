"""Carries out the operations of commands and buttons."""

import asyncio
from collections.abc import Awaitable, Callable

import discord

from bot.adapters.backend import Backend
from bot.adapters.discord import rendering
from bot.adapters.discord.actions import Interaction
from bot.adapters.discord.addressing import PLATFORM, chats_of, conversation_in
from bot.adapters.discord.chats import Chats
from bot.adapters.discord.connection import Connection
from bot.adapters.discord.outgoing import Outbox
from bot.adapters.discord.places import Places
from bot.adapters.discord.progress import ProgressDisplay
from bot.adapters.discord.responses import defer, failure, respond
from bot.adapters.discord.sending import InInteraction, MessageRefused, PlaceClosed
from bot.adapters.discord.tasks import stop_view
from bot.adapters.recent import Recent
from bot.core import clock
from bot.core.errors import BotError
from bot.core.messages import Address, Policy, Question
from bot.core.rights import Role, may
from bot.core.text import safe
from bot.storage.base import Forgotten, KeptAnswer
from bot.tasks.runner import Owner
from bot.tasks.sources import Source

_LONGEST_BEFORE_DEFERRAL = 1.5  # seconds; Discord gives three, of which the call takes some
_OFF = "I don't answer in this channel. Please ask in another one, or write to me directly."
_SEEN = 2000  # interactions that are remembered in order to drop repeated events
_SHARED = 1000  # answers that are remembered in order to share each once


class Interactions:
    """Implements `Actions`."""

    def __init__(
        self,
        backend: Backend,
        connection: Connection,
        chats: Chats,
        places: Places,
        outbox: Outbox,
        display: ProgressDisplay,
    ) -> None:
        self.backend = backend
        self._connection = connection
        self._chats = chats
        self._places = places
        self._outbox = outbox
        self._display = display
        self._seen = Recent[int, None](_SEEN)
        self._shared = Recent[str, None](_SHARED)  # by reference

    async def ask(self, interaction: Interaction, text: str, *, private: bool) -> None:
        """Accept a question. Its answer, or an error, becomes the response to the interaction.

        The question is written to the journal before Discord shows that the bot is thinking: otherwise a crash in between
        would leave that sign for ever. A slow disk delays the sign by a second and a half at most.
        """
        if interaction.id in self._seen:
            return
        self._seen[interaction.id] = None
        conversation = conversation_in(interaction.channel, interaction.user.id, private=private)
        question = _question(interaction, text, self._chats.threads.conversation(conversation), private=private)
        with self._places.deferring(question.address):
            accepting = asyncio.create_task(self._accept(interaction, question))
            try:
                await asyncio.wait((accepting,), timeout=_LONGEST_BEFORE_DEFERRAL)
                await defer(interaction, private=private)
                await accepting
                await self.backend.journal.parts.placed(question.address, InInteraction.ORIGINAL)
            except BotError as error:
                await respond(interaction, f"⏳ {rendering.escaped(str(error))}")
            except Exception as error:
                await respond(interaction, rendering.escaped(failure(error)))

    async def _accept(self, interaction: Interaction, question: Question) -> None:
        await self._require_on(interaction)
        await self.backend.admission.accept(question)

    async def stored(self, interaction: Interaction, action: str, reference: str) -> KeptAnswer | None:
        kept = await self.backend.journal.answers.stored(PLATFORM, reference)
        if kept is None:
            return None
        roles = [Role.READER] if _reads(interaction, kept.question) else []
        return kept if self.may(action, interaction, *roles) else None

    async def rate(self, interaction: Interaction, reference: str, *, helpful: bool, reason: str = "") -> bool:
        if await self.stored(interaction, "rate", reference) is None:
            return False
        author = str(interaction.user.id)
        return await self.backend.journal.answers.add_feedback(
            PLATFORM, reference, author, helpful=helpful, reason=reason
        )

    async def share(self, interaction: Interaction, reference: str) -> None:
        if reference in self._shared:
            return
        self._shared[reference] = None  # before the first await, during which the second press of a double tap may come
        stored = await self.stored(interaction, "share", reference)
        if stored is None or interaction.channel_id is None:
            return
        question = f"{interaction.user.display_name}: {stored.question.text}"
        try:
            await self._outbox.share(interaction.channel_id, stored.answer, question)
        except (PlaceClosed, MessageRefused) as error:
            await interaction.followup.send(f"⚠️ This can't be shared: {error}.", ephemeral=True)

    async def forget_conversation(self, conversation: str) -> None:
        await self.backend.journal.conversations.forget(self._chats.threads.forget(conversation))

    async def forget(self, author: str) -> Forgotten:
        forgotten = await self.backend.admission.forget(PLATFORM, author)
        await self._display.end_all(author)
        return forgotten

    async def run_task(self, interaction: Interaction, name: str, source: Callable[[], Awaitable[Source]]) -> None:
        """Do a task, with a button to stop it below the response until it is done."""
        if interaction.id in self._seen:
            return
        self._seen[interaction.id] = None
        service = self.backend.task_service
        author, chats = str(interaction.user.id), chats_of(interaction.channel) or [str(interaction.channel_id or 0)]
        await defer(interaction, private=True)
        try:
            await self._require_on(interaction)
            owner = Owner(PLATFORM, author)
            seconds = self.backend.settings.tasks.deadline_seconds
            view = stop_view(lambda: service.tasks.stop(owner), interaction.user.id, seconds)
            await interaction.edit_original_response(content="⏳ I'm working on it…", view=view)
            result = await service.do(name, source, platform=PLATFORM, chats=chats, author=author)
            text = rendering.escaped(safe(result.text))
        except BotError as error:
            text = f"⚠️ {rendering.escaped(str(error))}"
        except Exception as error:
            text = rendering.escaped(failure(error))
        await respond(interaction, text)

    async def _require_on(self, interaction: Interaction) -> None:
        """Raise BotError in a channel in which the bot is off."""
        if interaction.guild_id is not None and await self._chats.policy_for(interaction.channel) is Policy.OFF:
            raise BotError(_OFF)

    def may(self, action: str, interaction: Interaction, *roles: Role) -> bool:
        """Whether the user may do something, by these roles or as an operator. Replies to interactions count as private."""
        everybody = {Role.PERSON, *roles}
        return may(
            action, everybody | ({Role.OPERATOR} if self._is_operator(interaction.user) else set()), private=True
        )

    def _is_operator(self, user: discord.abc.User) -> bool:
        if operators := self.backend.settings.discord.operators:
            return user.id in operators
        application = self._connection.client.application
        if application is None:
            return False
        team = application.team
        return user.id in ({member.id for member in team.members} if team else {application.owner.id})


def _reads(interaction: Interaction, question: Question) -> bool:
    """Whether the user can see the answer to a question: it is theirs, or was asked in this channel or the one above it."""
    above = interaction.channel.parent_id if isinstance(interaction.channel, discord.Thread) else None
    return question.author == str(interaction.user.id) or question.address.chat in (
        str(interaction.channel_id),
        str(above),
    )


def _question(interaction: Interaction, text: str, conversation: str, *, private: bool) -> Question:
    return Question(
        text=text,
        conversation=conversation,
        author=str(interaction.user.id),
        address=Address(
            PLATFORM,
            str(interaction.channel_id or 0),
            str(interaction.id),
            {
                "kind": "interaction",
                "application": interaction.application_id,
                "token": interaction.token,
                "taken_at": clock.now(),
                "private": private,
                "server": interaction.guild_id,
                "author": interaction.user.id,
                "question": text,
            },
        ),
        received_at=clock.utc_now(),
    )
