"""The adapter for Discord: composes its parts, and passes each event of the library to the part that handles it.

Everything runs on the event loop. discord.py starts a task for each event; errors that a part doesn't show to the user are
logged here.
"""

import discord
import structlog

from bot.adapters.attention import stays_silent
from bot.adapters.backend import Backend
from bot.adapters.discord.actions import Interaction
from bot.adapters.discord.addressing import PLATFORM
from bot.adapters.discord.buttons import AnswerButton, StopButton, take_reason
from bot.adapters.discord.chats import Chats
from bot.adapters.discord.commands import command_tree
from bot.adapters.discord.connection import Client, Connection
from bot.adapters.discord.incoming import Incoming
from bot.adapters.discord.interactions import Interactions
from bot.adapters.discord.outgoing import Outbox
from bot.adapters.discord.places import Places
from bot.adapters.discord.progress import ProgressDisplay
from bot.core.messages import Address, Answer, Delivery, Update

_log = structlog.stdlib.get_logger(__name__)


class DiscordAdapter:
    """The Adapter for Discord."""

    name = PLATFORM

    def __init__(self, backend: Backend) -> None:
        settings, journal = backend.settings.discord, backend.journal
        self._notes = journal.platforms
        self._connection = Connection(settings, journal.platforms)
        self._chats = Chats(journal.platforms, settings)
        places = Places(self._connection, self._chats)
        self._outbox = Outbox(self._connection, self._chats, places)
        self._display = ProgressDisplay(self._connection, self._outbox, journal.parts)
        self._incoming = Incoming(backend, self._connection, self._chats, self._outbox, self._display)
        self._interactions = Interactions(backend, self._connection, self._chats, places, self._outbox, self._display)

    async def run(self) -> None:
        """Stay connected until cancelled. Raises SettingsError for an error that a restart can't cure."""
        await self._connection.run(self._prepare, self._incoming.catch_up)

    @property
    def trouble(self) -> str | None:
        return self._connection.trouble

    async def deliver(self, address: Address, answer: Answer, delivery: Delivery) -> None:
        self._display.end(address)
        if stays_silent(address, answer):
            await self._outbox.withdraw(address, delivery)
        else:
            await self._outbox.deliver(address, answer, delivery)

    async def progress(self, address: Address, update: Update) -> None:
        await self._display.show(address, update)

    def _prepare(self, client: Client) -> None:
        """Register commands, buttons and handlers of events with a new client."""
        client.actions = self._interactions
        tree = command_tree(client, self._interactions)

        async def setup_hook() -> None:
            client.add_dynamic_items(AnswerButton, StopButton)
            await tree.sync_if_changed(self._notes)

        for handler in (
            setup_hook,
            self._incoming.on_message,
            self._incoming.on_raw_message_edit,
            self._incoming.on_raw_message_delete,
            self._incoming.on_raw_bulk_message_delete,
            self.on_interaction,
            self.on_guild_join,
            self.on_guild_remove,
            self.on_guild_channel_update,
            self.on_guild_role_update,
            self.on_raw_thread_update,
            self.on_member_update,
            self.on_error,
        ):
            client.event(handler)

    async def on_interaction(self, interaction: Interaction) -> None:
        await take_reason(self._interactions, interaction)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        self._chats.permissions_changed()
        _log.info("joined a server", server=guild.id)

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        _log.info("left a server", server=guild.id)

    async def on_guild_channel_update(self, *_: object) -> None:
        self._chats.permissions_changed()

    async def on_guild_role_update(self, *_: object) -> None:
        self._chats.permissions_changed()

    async def on_raw_thread_update(self, payload: discord.RawThreadUpdateEvent) -> None:
        """Try a thread again, because it may have been unlocked or reopened."""
        self._chats.forbidden.discard(payload.thread_id)

    async def on_member_update(self, *_: object) -> None:
        """Try all channels again, because the bot's roles have changed: the library reports no other member."""
        self._chats.permissions_changed()

    async def on_error(self, event: str, *_: object) -> None:
        _log.exception("event failed", event_name=event)
