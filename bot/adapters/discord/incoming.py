"""Takes messages in, with their edits and deletions, and those that came while the bot was away."""

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

import discord
import structlog

from bot.adapters.discord import rendering
from bot.adapters.discord.addressing import PLATFORM, MessageReader
from bot.adapters.discord.commands import HELP
from bot.adapters.discord.connection import Connection
from bot.adapters.discord.outgoing import Outbox
from bot.adapters.discord.places import PlaceClosed
from bot.adapters.discord.progress import ProgressDisplay
from bot.adapters.discord.responses import failure
from bot.adapters.rates import Rate, ReplyLimits
from bot.core.errors import EngineBusy, RateLimited, StorageError, Undeliverable
from bot.core.messages import Address, Question
from bot.core.settings import DiscordSettings
from bot.questions.admission import Admission
from bot.storage.base import PlatformStore

_log = structlog.stdlib.get_logger(__name__)
_LATE_EDIT = 900.0  # seconds after which an edit makes no new question
# Hints and refusals in words, to one person and in one channel; a reaction takes the place of the others. Discord takes five
# messages in five seconds in a channel, and the answers wait for each of them.
_PERSON = Rate(1, 30.0)
_CHANNEL = Rate(5, 30.0)
_DIRECT = "direct_chats"  # the note with the latest direct conversations, which Discord doesn't list
_MOST_DIRECT = 200
_SILENCE_UNNOTICED = 60.0  # seconds for which a connection may have been dead before the bot noticed
_HISTORY = 100  # messages of one channel that are looked through after an absence


class Incoming:
    def __init__(
        self,
        connection: Connection,
        outbox: Outbox,
        display: ProgressDisplay,
        reader: MessageReader,
        admission: Admission,
        store: PlatformStore,
        settings: DiscordSettings,
    ) -> None:
        self._connection = connection
        self._outbox = outbox
        self._display = display
        self._reader = reader
        self._admission = admission
        self._store = store
        self._settings = settings
        self._refusals = ReplyLimits(person=_PERSON, chat=_CHANNEL)

    # --- events

    async def on_message(self, message: discord.Message) -> None:
        await self._take(message)

    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        message = payload.message
        if payload.data.get("edited_timestamp") and message.author is not None:
            await self._take(message, edited=True)

    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        await self._withdraw(payload.channel_id, payload.message_id)

    async def on_raw_bulk_message_delete(self, payload: discord.RawBulkMessageDeleteEvent) -> None:
        for message in payload.message_ids:
            await self._withdraw(payload.channel_id, message)

    # --- questions

    async def _take(self, message: discord.Message, *, edited: bool = False) -> None:
        """Accept the question of a message that is addressed to the bot. Failures are shown in reply to it."""
        me = self._connection.client.user
        if message.channel.id in self._outbox.forbidden or me is None:
            return
        try:
            question = await self._reader.question_in(message, me)
        except StorageError as error:  # reply only where the bot is addressed for certain
            if message.guild is None or me in message.mentions:
                await self._outbox.reply(message, rendering.escaped(failure(error)))
            return
        if question is None:
            return
        try:
            if message.guild is None:
                await self._remember_direct(message.channel.id)
            await self._accept(message, question, edited=edited)
        except (EngineBusy, RateLimited) as error:
            await self._refuse(message, f"⏳ {rendering.escaped(str(error))}", question)
        except Exception as error:
            await self._refuse(message, rendering.escaped(failure(error)), question)

    async def _accept(self, message: discord.Message, question: Question, *, edited: bool) -> None:
        if not question.text:
            if not edited:
                await self._refuse(message, HELP, question)
            return
        if edited:
            revised = await self._admission.revise(question)
            if revised or (discord.utils.utcnow() - message.created_at).total_seconds() > _LATE_EDIT:
                return
        await self._admission.accept(question)

    async def _withdraw(self, channel: int, message: int) -> None:
        """Withdraw the question of a deleted message, and delete its answer, wherever that was sent."""
        address = Address(PLATFORM, str(channel), str(message))
        self._display.end(address)
        for sent in await self._admission.withdraw(address):
            for place in (channel, message):  # a thread of the question has its id
                await self._outbox.delete(place, sent)

    async def _refuse(self, message: discord.Message, text: str, question: Question) -> None:
        """Reply with text instead of an answer, or react only, where the person or the channel got enough of such replies."""
        if question.address.details.get("unprompted"):
            return
        with suppress(discord.HTTPException, PlaceClosed, Undeliverable):
            if self._refusals.take(message.channel.id, message.author.id):
                await self._outbox.reply(message, text)
            else:
                await message.add_reaction("⏳")

    # --- catching up

    async def catch_up(self, since: float) -> None:
        """Take the messages since a time (seconds since the epoch), unless that is too long ago. The journal knows those
        that were taken before."""
        away = time.time() - since
        if not 0 < away <= self._settings.catch_up_seconds:
            return
        after = datetime.fromtimestamp(since - _SILENCE_UNNOTICED, UTC)
        client = self._connection.client
        direct = [client.get_partial_messageable(chat) for chat in await self._direct_chats()]
        looked_at = 0
        for channel in (*_channels_with_news(client, after), *direct):
            with suppress(discord.HTTPException):
                async for message in channel.history(after=after, limit=_HISTORY, oldest_first=True):
                    looked_at += 1
                    await self._take(message)
        _log.info("caught up", seconds_away=round(away), messages_looked_at=looked_at)

    async def _direct_chats(self) -> list[int]:
        return [int(chat) for chat in (await self._store.note(PLATFORM, _DIRECT) or "").split()]

    async def _remember_direct(self, chat: int) -> None:
        chats = await self._direct_chats()
        if chat not in chats:
            await self._store.set_note(PLATFORM, _DIRECT, " ".join(map(str, [*chats, chat][-_MOST_DIRECT:])))


def _channels_with_news(client: discord.Client, after: datetime) -> Sequence[discord.abc.Messageable]:
    """The channels whose last message is newer than `after`."""
    newer = discord.utils.time_snowflake(after)
    return [
        channel
        for guild in client.guilds
        for channel in _channels_of(guild)
        if channel.last_message_id and channel.last_message_id > newer
    ]


def _channels_of(guild: discord.Guild) -> list[discord.TextChannel | discord.VoiceChannel | discord.Thread]:
    return [*guild.text_channels, *guild.voice_channels, *guild.threads]
