"""The connection to Discord, what comes in and what goes out.

Everything runs on the event loop and waits there only. discord.py starts a task for each event; what such a task raises is
told to whoever asked and logged. `run` returns or raises when the connection is lost for good; the daemon starts it again.
"""

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import discord
import structlog
from discord.gateway import KeepAliveHandler

from bot.adapters.discord import rendering
from bot.adapters.discord.buttons import (
    AnswerButton,
    Interaction,
    StopButton,
    answer_buttons,
    reason_given,
    stop_button,
)
from bot.adapters.discord.commands import HELP, command_tree
from bot.adapters.discord.incoming import PLATFORM, Listener, conversation_in
from bot.adapters.discord.outgoing import (
    ALREADY_ACKNOWLEDGED,
    NOBODY,
    ForbiddenChannels,
    InChannel,
    InDirect,
    InInteraction,
    Outgoing,
    Place,
    PlaceClosed,
    nonce_of,
    token_lives,
)
from bot.adapters.layout import STARTING, split_markdown
from bot.core.errors import BotError, EngineBusy, RateLimited, SettingsError, StorageError, Undeliverable
from bot.core.messages import Address, Answer, Delivery, Outcome, Policy, Question, Sending, Stage, Update
from bot.core.settings import DiscordSettings
from bot.engine.qa import new_reference
from bot.questions.administration import Administration
from bot.questions.dispatcher import Dispatcher
from bot.storage.base import PlatformStore

_log = structlog.stdlib.get_logger(__name__)
_ALIVE = "alive_at"  # the note of when the bot was last connected
_DIRECT = "direct_chats"  # the note of the latest direct conversations, which Discord doesn't list
_MOST_DIRECT = 200
_ALIVE_EVERY = 15.0  # seconds
_SILENCE_UNNOTICED = 60.0  # seconds for which a connection may have been dead before anybody knew
_LONGEST_SILENCE = 180.0  # seconds without a connection after which everything is started again
_QUICK = 0.3  # seconds; an answer that comes sooner needs no typing sign
_LONGEST_TYPING = 180.0  # seconds
_EDIT_EVERY = 1.0  # seconds, for each channel
_SEEN = 2000  # interactions that are remembered in order to notice repeated events
_LINE_EVERY = 30.0  # seconds between two lines of refusal to the same person; in between, a mark on the message does
_LONGEST_BEFORE_DEFERRAL = 0.1  # seconds; Discord gives three, but people see nothing until then
_LATE_EDIT = 900.0  # seconds after which an edit makes no new question
_HISTORY = 100  # messages of one channel that are looked through for what was missed
# Close codes that no restart cures; see the documentation of Discord's gateway.
_FATAL = {
    4004: "the token was refused. Copy it again: Developer Portal > your application > Bot > Reset Token",
    4010: "an invalid shard was asked for; set discord.sharded = true",
    4011: "the bot is on too many servers for one connection; set discord.sharded = true",
    4012: "this version of the program speaks a protocol that Discord doesn't know any more; update it",
    4013: "invalid intents were asked for; update the program",
}


discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # nobody misses voice here


class _Client(discord.Client):
    desk: "DiscordAdapter"

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        """The library fails over events of its own that come after the end."""
        if not self.is_closed():
            super().dispatch(event, *args, **kwargs)


class _ShardedClient(discord.AutoShardedClient, _Client):
    """The same in several shards."""


class DiscordAdapter:
    """The Adapter for Discord."""

    name = PLATFORM

    def __init__(
        self,
        dispatcher: Dispatcher,
        administration: Administration,
        store: PlatformStore,
        forget_conversation: Callable[[str], Awaitable[None]],
        settings: DiscordSettings,
    ) -> None:
        """`forget_conversation` drops what was said in a conversation."""
        self.dispatcher = dispatcher
        self.administration = administration
        self.forget_conversation = forget_conversation
        self.settings = settings
        self._store = store
        self._listener = Listener(dispatcher, store, settings)
        self._client: _Client | None = None
        self._connected = False
        self._missed_since: float | None = None  # seconds since the epoch
        self._forbidden = ForbiddenChannels()
        self._typing: dict[tuple[str, str, str], asyncio.Task[None]] = {}
        self._drafts: dict[tuple[str, str, str], str] = {}  # the placeholder of each question that is being answered
        self._last_edit: OrderedDict[str, float] = OrderedDict()  # by channel
        self._deferred: dict[str, asyncio.Event] = {}  # interactions whose deferral is on its way
        self._seen: OrderedDict[int, None] = OrderedDict()
        self._refused: OrderedDict[int, float] = OrderedDict()  # when somebody was last told that they ask too often
        self._tasks: set[asyncio.Task[None]] = set()

    # --- Adapter

    async def run(self) -> None:
        """Stay connected. Raises SettingsError or BotError for what starting again can't cure."""
        content = self.settings.message_content
        while True:
            try:
                await self._stay_connected(content)
            except discord.PrivilegedIntentsRequired:
                if not content:
                    raise
                content = False
                _log.warning("Discord refuses the Message Content intent", missing=_ways_off(None))
            except discord.LoginFailure as error:
                raise SettingsError([f"discord.token: {_FATAL[4004]}"]) from error
            except discord.HTTPException as error:
                if error.status in (400, 401):  # which of both depends on what is wrong with the token
                    raise SettingsError([f"discord.token: {_FATAL[4004]}"]) from error
                raise
            except discord.ConnectionClosed as error:
                if error.code in _FATAL:
                    raise SettingsError([f"Discord: {_FATAL[error.code]}"]) from error
                raise
            else:
                return

    @property
    def trouble(self) -> str | None:
        return None if self._connected else "there is no connection to Discord"

    async def deliver(self, address: Address, answer: Answer, delivery: Delivery) -> None:
        await self._end_progress(address)
        details = address.details
        if details.get("unprompted") and answer.outcome is not Outcome.ANSWERED:
            return  # nobody has asked the bot
        rendered = rendering.render(answer, question=details.get("question"), most_parts=self.settings.messages)
        places = await self._places(address)
        last = len(rendered.parts) - 1
        for part, text in enumerate(rendered.parts):

            async def send(sending: Sending, part: int = part, text: str = text) -> str:
                buttons = part == last and answer.outcome is Outcome.ANSWERED
                message = Outgoing(
                    rendering.repeated(text) if sending.repeated else text,
                    nonce_of(*address.key, answer.reference, part),
                    answer_buttons(answer.reference, shareable=bool(details.get("private"))) if buttons else None,
                    rendered.file if part == 0 else None,
                )
                return await self._send(places, message, sending.replaces, first=part == 0)

            await delivery.send_part(part, send)
        for message in await delivery.left_over(last + 1):
            await self._delete(places[:1], message)

    async def progress(self, address: Address, update: Update) -> None:
        if address.details.get("unprompted"):
            return
        if update.stage is Stage.WRITING:
            await self._show_draft(address, update.text)
        elif address.details["kind"] == "message":
            if address.key not in self._typing:
                self._typing[address.key] = self._start(self._type(address))
        elif update.stage is Stage.STARTING:
            await self._show_draft(address, f"⏳ {STARTING}")
        elif update.stage is Stage.QUEUED:
            await self._show_draft(address, f"⏳ Number {update.text} in the line…")

    # --- connection

    async def _stay_connected(self, content: bool) -> None:
        """One client from its login to its end. Raises what ends it."""
        client = self._make_client(content)
        self._client, self._connected = client, False
        try:
            async with client:
                serving = asyncio.create_task(client.start(self.settings.token.get_secret_value()))
                watching = asyncio.create_task(self._watch())
                try:
                    await asyncio.wait((serving, watching), return_when=asyncio.FIRST_COMPLETED)
                    ended = serving if serving.done() else watching
                    await ended
                finally:
                    for task in (serving, watching):
                        task.cancel()
                    await asyncio.gather(serving, watching, return_exceptions=True)
        finally:
            self._client, self._connected = None, False
            for work in self._tasks:
                work.cancel()
            _stop_heartbeats(client)

    def _make_client(self, content: bool) -> _Client:
        intents = discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=content)
        kind = _ShardedClient if self.settings.sharded else _Client
        client = kind(
            intents=intents,
            allowed_mentions=NOBODY,
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
        )
        client.desk = self
        tree = command_tree(client, self)

        async def setup_hook() -> None:
            client.add_dynamic_items(AnswerButton, StopButton)
            await tree.sync_if_changed(self._store)

        for handler in (
            setup_hook,
            self.on_connect,
            self.on_ready,
            self.on_resumed,
            self.on_disconnect,
            self.on_guild_join,
            self.on_guild_remove,
            self.on_message,
            self.on_raw_message_edit,
            self.on_raw_message_delete,
            self.on_raw_bulk_message_delete,
            self.on_interaction,
            self.on_guild_channel_update,
            self.on_guild_role_update,
            self.on_error,
        ):
            client.event(handler)
        return client

    async def _watch(self) -> None:
        """Note all the time that the bot is connected. Raises ConnectionError where it hasn't been for too long."""
        silent_since = time.monotonic()
        while True:
            if self._connected:
                silent_since = time.monotonic()
                with suppress(StorageError):
                    await self._store.set_note(PLATFORM, _ALIVE, str(time.time()))
            elif time.monotonic() - silent_since > _LONGEST_SILENCE:
                raise ConnectionError(f"no connection to Discord for {_LONGEST_SILENCE:g} seconds")
            await asyncio.sleep(_ALIVE_EVERY)

    async def on_connect(self) -> None:
        """A new session: what came since the end of the last one was not told."""
        missed_since = await self._store.note(PLATFORM, _ALIVE)
        self._missed_since = float(missed_since) if missed_since else None
        self._connected = True
        await self._store.set_note(PLATFORM, _ALIVE, str(time.time()))

    async def on_ready(self) -> None:
        client = self._living_client()
        content = client.intents.message_content
        _log.info("connected to Discord", servers=len(client.guilds), message_content=content)
        if not content:
            _log.warning("some ways to ask are off", missing=_ways_off(client.application_id))
        if self._missed_since is not None:
            self._start(self._catch_up(self._missed_since))

    async def on_resumed(self) -> None:
        self._connected = True

    async def on_disconnect(self) -> None:
        self._connected = False

    async def on_guild_join(self, guild: discord.Guild) -> None:
        self._forbidden.clear()
        _log.info("joined a server", server=guild.id)

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        _log.info("left a server", server=guild.id)

    async def on_guild_channel_update(self, *_: object) -> None:
        self._forbidden.clear()

    async def on_guild_role_update(self, *_: object) -> None:
        self._forbidden.clear()

    async def on_error(self, event: str, *_: object) -> None:
        _log.exception("event failed", event_name=event)

    # --- messages

    async def on_message(self, message: discord.Message) -> None:
        await self._hear(message)

    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        message = payload.message
        if payload.data.get("edited_timestamp") and message.author is not None:
            await self._hear(message, edited=True)

    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        await self._withdraw(payload.channel_id, payload.message_id)

    async def on_raw_bulk_message_delete(self, payload: discord.RawBulkMessageDeleteEvent) -> None:
        for message in payload.message_ids:
            await self._withdraw(payload.channel_id, message)

    async def _hear(self, message: discord.Message, *, edited: bool = False) -> None:
        """Take a message in if it is for the bot; whatever goes wrong then is told."""
        client = self._living_client()
        if message.channel.id in self._forbidden or client.user is None:
            return
        try:
            question = await self._listener.question_in(message, client.user)
        except StorageError as error:  # who has called the bot by name is told
            if message.guild is None or client.user in message.mentions:
                await self._line(message, rendering.escaped(self.failure(error)))
            return
        if question is None:
            return
        try:
            if message.guild is None:
                await self._remember_direct(message.channel.id)
            await self._take(message, question, edited=edited)
        except (EngineBusy, RateLimited) as error:
            await self._refuse(message, f"⏳ {rendering.escaped(str(error))}", question)
        except Exception as error:
            await self._refuse(message, rendering.escaped(self.failure(error)), question)

    async def _take(self, message: discord.Message, question: Question, *, edited: bool) -> None:
        if not question.text:
            if not edited:
                await self._refuse(message, HELP, question)
            return
        if edited:
            revised = await self.dispatcher.revise(question)
            if revised or (discord.utils.utcnow() - message.created_at).total_seconds() > _LATE_EDIT:
                return
        await self.dispatcher.accept(question)

    async def _withdraw(self, channel: int, message: int) -> None:
        """The question is gone: so is its answer, wherever that was given."""
        address = Address(PLATFORM, str(channel), str(message))
        await self._end_progress(address)
        client = self._living_client()
        for sent in await self.dispatcher.withdraw(address):
            for place in (channel, message):  # a thread of the question has its id
                await self._delete([InChannel(client, place, None, ForbiddenChannels())], sent)

    async def _refuse(self, message: discord.Message, text: str, question: Question) -> None:
        """Say instead of an answer: in words, or by a mark where the same person was told something just now."""
        if question.address.details.get("unprompted"):
            return
        author, now = message.author.id, time.monotonic()
        told = self._refused.get(author)
        with suppress(discord.HTTPException, PlaceClosed, Undeliverable):
            if told is not None and now - told < _LINE_EVERY:
                await message.add_reaction("⏳")
                return
            _put(self._refused, author, now)
            await self._line(message, text)

    async def _line(self, message: discord.Message, text: str) -> None:
        """A reply that is no answer."""
        place = InChannel(self._living_client(), message.channel.id, message.id, self._forbidden)
        await place.send(Outgoing(text, nonce_of(message.id, "line")), None)

    # --- interactions

    async def on_interaction(self, interaction: Interaction) -> None:
        await reason_given(self, interaction)

    async def ask(self, interaction: Interaction, text: str, *, private: bool) -> None:
        """Take a question of a command. The journal has it before Discord is told that it is being worked on, so that a
        crash in between leaves nobody with a bot that thinks for ever; but a slow disk doesn't hold that up for long.
        """
        if interaction.id in self._seen:
            return
        _put(self._seen, interaction.id, None)
        question = self._question_of(interaction, text, private)
        deferred = self._deferred[question.address.message] = asyncio.Event()
        accepting = asyncio.create_task(self._accept(interaction, question))
        try:
            await asyncio.wait((accepting,), timeout=_LONGEST_BEFORE_DEFERRAL)
            await self._defer(interaction, private)
            await accepting
            await self.dispatcher.placed(question.address, InInteraction.ORIGINAL)
        except BotError as error:
            await self.reply(interaction, f"⏳ {rendering.escaped(str(error))}")
        except Exception as error:
            await self.reply(interaction, rendering.escaped(self.failure(error)))
        finally:
            deferred.set()
            self._deferred.pop(question.address.message, None)

    def _question_of(self, interaction: Interaction, text: str, private: bool) -> Question:
        return Question(
            text=text,
            conversation=conversation_in(interaction.channel, interaction.user.id, private=private),
            author=str(interaction.user.id),
            address=Address(
                PLATFORM,
                str(interaction.channel_id or 0),
                str(interaction.id),
                {
                    "kind": "interaction",
                    "application": interaction.application_id,
                    "token": interaction.token,
                    "taken_at": interaction.created_at.timestamp(),
                    "private": private,
                    "author": interaction.user.id,
                    "question": text,
                },
            ),
            received_at=datetime.now(UTC),
        )

    async def _defer(self, interaction: Interaction, private: bool) -> None:
        """Raises nothing: an interaction that takes no response any more gets its answer in the channel."""
        try:
            await interaction.response.defer(ephemeral=private, thinking=True)
        except discord.HTTPException as error:
            if error.code != ALREADY_ACKNOWLEDGED:
                _log.warning("deferral refused", status=error.status, code=error.code)
        except (OSError, TypeError) as error:
            _log.warning("deferral in doubt", error=type(error).__name__)

    async def _accept(self, interaction: Interaction, question: Question) -> None:
        channel = interaction.channel
        if interaction.guild_id is not None and await self._listener.policy(channel) is Policy.OFF:
            raise BotError("I don't answer in this channel. Please ask in another one, or write to me directly.")
        await self.dispatcher.accept(question)

    async def reply(self, interaction: Interaction, text: str) -> None:
        """Put text in the place of a deferred response; as a file where it is too long."""
        with suppress(discord.NotFound):  # the token has expired meanwhile
            first, *more = split_markdown(text, rendering.LONGEST_MESSAGE) or ["…"]
            whole = Outgoing(first, "", file=text if more else None)
            await interaction.edit_original_response(
                content=whole.text, attachments=whole.files(), allowed_mentions=NOBODY
            )

    async def last_word(self, interaction: Interaction, text: str) -> None:
        """Say something, whether or not the interaction was responded to."""
        with suppress(discord.HTTPException):
            if interaction.response.is_done():
                await interaction.edit_original_response(content=text, allowed_mentions=NOBODY)
            else:
                await interaction.response.send_message(text, ephemeral=True, allowed_mentions=NOBODY)

    @asynccontextmanager
    async def visible_failures(self, interaction: Interaction) -> AsyncIterator[None]:
        """Whatever goes wrong within is logged, and told to whoever has pressed."""
        try:
            yield
        except discord.NotFound:  # the message or the interaction is gone, with nobody to tell
            return
        except discord.HTTPException as error:
            if error.code != ALREADY_ACKNOWLEDGED:  # another event for the same press
                await self.last_word(interaction, self.failure(error))
        except Exception as error:
            await self.last_word(interaction, self.failure(error))

    async def share(self, interaction: Interaction, reference: str) -> None:
        """Show a private answer to all, in the channel in which it was asked for."""
        stored = await self.dispatcher.stored(PLATFORM, reference)
        if stored is None or interaction.channel_id is None:
            return
        asked = f"{interaction.user.display_name}: {stored.question.text}"
        rendered = rendering.render(stored.answer, question=asked, most_parts=self.settings.messages)
        place = InChannel(self._living_client(), interaction.channel_id, None, self._forbidden)
        try:
            for part, text in enumerate(rendered.parts):
                view = answer_buttons(reference, shareable=False) if part == len(rendered.parts) - 1 else None
                message = Outgoing(text, nonce_of(reference, "share", part), view, rendered.file if part == 0 else None)
                await place.send(message, None)
        except (PlaceClosed, Undeliverable) as error:
            await interaction.followup.send(f"⚠️ This can't be shared: {error}.", ephemeral=True)

    def is_operator(self, user: discord.abc.User) -> bool:
        """Whether somebody may change what the bot answers from."""
        if self.settings.operators:
            return user.id in self.settings.operators
        application = self._living_client().application
        if application is None:
            return False
        team = application.team
        return user.id in ({member.id for member in team.members} if team else {application.owner.id})

    def failure(self, error: BaseException) -> str:
        """Log what went wrong, and the line that tells it."""
        reference = new_reference()
        if isinstance(error, BotError):
            _log.warning("not done", reference=reference, error=type(error).__name__)
            return f"⚠️ {error} (reference {reference})"
        _log.error("failure", reference=reference, exc_info=error)
        return f"⚠️ Something went wrong on our side. Please try again, or tell the operator. (reference {reference})"

    # --- sending

    async def _places(self, address: Address) -> list[Place]:
        """Where the answer may go, the best place first: the others are for when it is closed."""
        client, details = self._living_client(), address.details
        places: list[Place] = []
        if details["kind"] == "interaction":
            if waiting := self._deferred.get(address.message):
                await waiting.wait()
            if token_lives(details["taken_at"]):
                private = details["private"]
                places.append(InInteraction(client, details["application"], details["token"], private=private))
            if not details["private"]:
                places.append(InChannel(client, int(address.chat), None, self._forbidden))
        else:
            thread = await self._thread(address) if details.get("thread") else None
            reply_to = None if thread else int(address.message)
            places.append(InChannel(client, thread or int(address.chat), reply_to, self._forbidden))
        return [*places, InDirect(client, details["author"])]

    async def _thread(self, address: Address) -> int | None:
        """The thread of a question, opened if need be; None where that is not allowed."""
        client, server = self._living_client(), address.details["server"]
        channel = client.get_partial_messageable(int(address.chat), guild_id=server)
        message = channel.get_partial_message(int(address.message))
        try:
            await message.create_thread(name=address.details["thread"])
        except discord.HTTPException as error:
            if error.code != _THREAD_EXISTS:
                return None
        return int(address.message)

    async def _send(self, places: list[Place], message: Outgoing, replaces: str | None, *, first: bool) -> str:
        """Into the best place that is open. Raises Undeliverable where none is."""
        reason = "there is no place left to write to"
        for place in places:
            there = replaces if replaces != InInteraction.ORIGINAL or isinstance(place, InInteraction) else None
            if first and isinstance(place, InInteraction):
                there = InInteraction.ORIGINAL
            try:
                return await place.send(message, there)
            except PlaceClosed as closed:
                reason = str(closed)
        raise Undeliverable(reason)

    async def _delete(self, places: list[Place], message: str) -> None:
        with suppress(PlaceClosed, Undeliverable):
            for place in places:
                await place.delete(message)

    # --- progress

    async def _type(self, address: Address) -> None:
        """Show that the bot is typing, until this is cancelled or for some minutes."""
        channel = self._living_client().get_partial_messageable(int(address.chat))
        await asyncio.sleep(_QUICK)
        try:
            async with channel.typing():
                await asyncio.sleep(_LONGEST_TYPING)
        except Exception as error:
            _log.info("typing not shown", error=type(error).__name__)

    async def _end_progress(self, address: Address) -> None:
        self._drafts.pop(address.key, None)
        if typing := self._typing.pop(address.key, None):
            typing.cancel()

    async def _show_draft(self, address: Address, text: str) -> None:
        """Put what there is so far into the placeholder, at most once a second in a channel.

        The pause comes after it, so that the next draft is the latest one then; the answer waits for it too.
        """
        last = self._last_edit.get(address.chat, 0.0)
        await asyncio.sleep(max(0.0, last + _EDIT_EVERY - time.monotonic()))
        places = await self._places(address)
        [beginning, *_] = split_markdown(rendering.harmless(text), rendering.LONGEST_MESSAGE - 2) or ["…"]
        author = str(address.details.get("author", 0))
        message = Outgoing(beginning, nonce_of(*address.key, "draft"), stop_button(address, author))
        there = self._drafts.get(address.key)
        sent = await self._send(places[:1], message, there, first=True)
        if there is None:
            self._drafts[address.key] = sent
            await self.dispatcher.placed(address, sent)
        _put(self._last_edit, address.chat, time.monotonic())
        await asyncio.sleep(_EDIT_EVERY)

    # --- what was missed

    async def _catch_up(self, since: float) -> None:
        """Take in what came while the bot was away, if that was not too long ago. What was taken already is known."""
        away = time.time() - since
        if not 0 < away <= self.settings.catch_up_seconds:
            return
        after = datetime.fromtimestamp(since - _SILENCE_UNNOTICED, UTC)
        client = self._living_client()
        newer = discord.utils.time_snowflake(after)
        chats: list[Any] = [
            channel
            for guild in client.guilds
            for channel in (*guild.text_channels, *guild.voice_channels, *guild.threads)
            if (getattr(channel, "last_message_id", None) or 0) > newer
        ]
        chats += [client.get_partial_messageable(chat) for chat in await self._direct_chats()]
        missed = 0
        for channel in chats:
            with suppress(discord.HTTPException):
                async for message in channel.history(after=after, limit=_HISTORY, oldest_first=True):
                    missed += 1
                    await self._hear(message)
        _log.info("caught up", seconds_away=round(away), messages_looked_at=missed)

    async def _direct_chats(self) -> list[int]:
        return [int(chat) for chat in (await self._store.note(PLATFORM, _DIRECT) or "").split()]

    async def _remember_direct(self, chat: int) -> None:
        chats = await self._direct_chats()
        if chat not in chats:
            await self._store.set_note(PLATFORM, _DIRECT, " ".join(map(str, [*chats, chat][-_MOST_DIRECT:])))

    # --- small things

    def _living_client(self) -> _Client:
        if self._client is None:
            raise ConnectionError("not connected to Discord")
        return self._client

    def _start(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


_THREAD_EXISTS = 160004


def _stop_heartbeats(client: _Client) -> None:
    """Stop the heartbeats of a client. The library leaves them running where a connection breaks while it is made."""
    for thread in threading.enumerate():
        if isinstance(thread, KeepAliveHandler) and thread.ws._connection is client._connection:
            thread.stop()


def _put(memory: "OrderedDict[Any, Any]", key: Any, value: Any) -> None:
    """Remember, and forget the oldest where that becomes too much."""
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > _SEEN:
        memory.popitem(last=False)


def _ways_off(application: int | None) -> str:
    page = f"https://discord.com/developers/applications/{application or '<your application>'}/bot"
    return (
        "channels that are always answered in, new forum posts, threads without a mention, and replies without a ping. To turn "
        f"them on, switch on 'Message Content Intent' under 'Privileged Gateway Intents' at {page} and start the bot again; "
        "discord.message_content = false ends this warning"
    )
