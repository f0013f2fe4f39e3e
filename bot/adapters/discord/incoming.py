"""Takes in messages, their edits and deletions, and the messages of an absence."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from weakref import WeakValueDictionary

import aiohttp
import discord
import structlog

from bot.adapters.attention import looks_like_a_question
from bot.adapters.backend import Backend
from bot.adapters.discord import rendering
from bot.adapters.discord.addressing import (
    PLATFORM,
    addresses,
    author_of,
    conversation_in,
    is_unasked,
    may_answer_unasked,
    opens_post,
    parent_of,
    paste_in,
    question_text,
    replied_ids,
    replied_text,
    thread_conversation,
)
from bot.adapters.discord.chats import Chats
from bot.adapters.discord.commands import HELP
from bot.adapters.discord.connection import Connection
from bot.adapters.discord.outgoing import Outbox
from bot.adapters.discord.progress import ProgressDisplay
from bot.adapters.discord.responses import failure
from bot.adapters.discord.sending import MessageRefused, PlaceClosed, QuestionGone
from bot.adapters.outcomes import MessageOutcome, note_outcome
from bot.adapters.rates import Rate, ReplyLimits
from bot.adapters.recent import Recent
from bot.core import clock
from bot.core.errors import EngineBusy, RateLimited, StorageError
from bot.core.messages import Address, Policy, Question

_log = structlog.stdlib.get_logger(__name__)
_LONGEST_REPLAY = 600.0  # seconds; older events aren't replayed to a session that goes on
_LONGEST_TITLE = 100  # characters in the name of a thread
_FETCHING = 5.0  # seconds for a pasted text; the messages behind it in the channel wait
_LATE_EDIT = 900.0  # seconds after which an edit makes no new question
# Hints and refusals in words, to one person and in one channel; a reaction takes the place of the others. Discord takes five
# messages in five seconds in a channel, and the answers wait for each of them.
_PERSON = Rate(1, 30.0)
_CHANNEL = Rate(5, 30.0)
_SILENCE_UNNOTICED = 60.0  # seconds for which a connection may have been dead before the bot noticed
_HISTORY = 100  # messages of one channel that are looked through after an absence
_FORMS = 2000  # messages of which the latest form is remembered
_NOT_EDITED, _DELETED = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class Incoming:
    """Turns messages that address the bot into questions and has them accepted, revised, withdrawn or refused."""

    def __init__(
        self,
        backend: Backend,
        connection: Connection,
        chats: Chats,
        outbox: Outbox,
        display: ProgressDisplay,
    ) -> None:
        self._admission = backend.admission
        self._answers = backend.journal.answers
        self._settings = backend.settings.discord
        self._connection = connection
        self._chats = chats
        self._outbox = outbox
        self._display = display
        self._refusals = ReplyLimits(person=_PERSON, chat=_CHANNEL)
        self._order = WeakValueDictionary[int, asyncio.Lock]()  # by channel, as long as somebody holds or awaits it
        self._forms = Recent[int, datetime](_FORMS)  # by message, when its latest form was edited that the bot has seen

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

    async def _take(self, message: discord.Message, *, edited: bool = False, missed: bool = False) -> None:
        """Accept the question of a message, if it addresses the bot, or reply with a hint, a refusal or an error.

        `missed`: the message is of an absence, in its last form.
        """
        me = self._connection.user
        if message.channel.id in self._chats.forbidden or me is None:
            note_outcome(PLATFORM, MessageOutcome.CHAT_FORBIDDEN)
            return
        async with self._in_order(message.channel.id):
            if self._is_outdated(message):
                outcome: MessageOutcome | str = MessageOutcome.REPEATED
            else:
                outcome = await self._accept_question(message, me, edited=edited, missed=missed)
        if isinstance(outcome, str):  # sending it may have to wait, and holds up no other message
            outcome = await self._say_instead(message, outcome)
        note_outcome(PLATFORM, outcome)

    def _in_order(self, channel: int) -> asyncio.Lock:
        """Return the lock of a channel. Each event has a task of its own; the lock keeps their order."""
        return self._order.setdefault(channel, asyncio.Lock())

    def _is_outdated(self, message: discord.Message) -> bool:
        """Whether the bot has seen a later form of a message, or its deletion: the history is read while events come in."""
        edited_at = message.edited_at or _NOT_EDITED
        if edited_at < self._forms.get(message.id, _NOT_EDITED):
            return True
        self._forms[message.id] = edited_at
        return False

    async def _accept_question(
        self, message: discord.Message, me: discord.abc.User, *, edited: bool, missed: bool
    ) -> MessageOutcome | str:
        """Accept the question of a message, if it asks one. Returns the outcome, or a hint or refusal to reply with."""
        try:
            question = await self._question(message, me)
        except StorageError as error:  # reply only where the bot is addressed for certain
            certain = message.guild is None or me in message.mentions
            return rendering.escaped(failure(error)) if certain else MessageOutcome.FAILED
        if isinstance(question, MessageOutcome):
            return question
        if not missed:
            question = replace(question, received_at=clock.plausible_time(question.received_at, _LONGEST_REPLAY))
        try:
            if message.guild is None:
                await self._chats.note_direct(message.channel.id)
            return await self._accept(message, question, edited=edited, missed=missed)
        except (EngineBusy, RateLimited) as error:
            said = f"⏳ {rendering.escaped(str(error))}"
        except Exception as error:
            said = rendering.escaped(failure(error))
        return MessageOutcome.UNPROMPTED if question.address.details.get("unprompted") else said

    async def _question(self, message: discord.Message, me: discord.abc.User) -> Question | MessageOutcome:
        """Return the question that a message asks the bot `me`, or the reason why it asks none.

        The text of the question is empty if the message only mentions the bot.
        """
        if (author := author_of(message, self._settings.proxies)) is None:
            return MessageOutcome.WRITTEN_BY_BOT
        earlier = await self._followed_up(message, me)
        addressed = earlier is not None or addresses(message, me)
        policy = await self._chats.policy_for(message.channel) if message.guild is not None else Policy.ALWAYS
        if policy is Policy.OFF:
            return MessageOutcome.CHAT_OFF
        if not addressed and not may_answer_unasked(message, policy, me):
            return MessageOutcome.NOT_ADDRESSED
        text = question_text(message, me) or await _pasted(message)
        replied_to = earlier.text if earlier else replied_text(message, me)
        if not text and replied_to and not earlier:  # "@bot" below somebody's question
            text, replied_to = replied_to, None
        prompted = addressed or opens_post(message) or looks_like_a_question(text)
        title = text[:_LONGEST_TITLE]
        opens_thread = prompted and not earlier and self._chats.may_open_thread(message.channel, me)
        details = {
            "kind": "message",
            "author": message.author.id,
            "unprompted": not prompted,
            "unasked": not addressed and is_unasked(message, me),
            "thread": title if opens_thread else None,
            "server": message.guild.id if message.guild else None,
            "parent": parent_of(message.channel),
            "asked": title,  # named where the answer can't be sent to the channel
        }
        return Question(
            text=text,
            conversation=earlier.conversation if earlier else self._conversation(message, opens_thread=opens_thread),
            author=author,
            address=Address(PLATFORM, str(message.channel.id), str(message.id), details),
            received_at=message.created_at,
            replied_to=replied_to,
        )

    async def _followed_up(self, message: discord.Message, me: discord.abc.User) -> Question | None:
        """Return the question, of any author, whose answer the message replies to."""
        for sent in replied_ids(message, me):
            if question := await self._answers.answered_by(PLATFORM, sent):
                return question
        return None

    def _conversation(self, message: discord.Message, *, opens_thread: bool) -> str:
        if opens_thread:  # the thread will have the id of the message
            return thread_conversation(str(message.id))
        return self._chats.threads.conversation(conversation_in(message.channel, message.author.id))

    async def _accept(
        self, message: discord.Message, question: Question, *, edited: bool, missed: bool
    ) -> MessageOutcome | str:
        """Accept or revise a question. Returns the outcome, or a hint if it has no words."""
        if not question.text:
            return MessageOutcome.NO_WORDS if edited else HELP
        if edited and await self._admission.revise(question):
            return MessageOutcome.ACCEPTED
        if edited and not missed and _seconds_until_edit(message) > _LATE_EDIT:
            return MessageOutcome.LATE_EDIT
        return MessageOutcome.ACCEPTED if await self._admission.accept(question) else MessageOutcome.REPEATED

    async def _withdraw(self, channel: int, message: int) -> None:
        """Withdraw the question of a deleted message, and delete its answer in the channel and in its thread."""
        address = Address(PLATFORM, str(channel), str(message))
        self._display.end(address)
        async with self._in_order(channel):  # the message is taken in, if its own event came just before
            self._forms[message] = _DELETED
        for sent in await self._admission.withdraw(address):
            await self._outbox.delete(channel, message, sent)

    async def _say_instead(self, message: discord.Message, text: str) -> MessageOutcome:
        """Reply with a hint or refusal, or with a reaction if the person or the channel got several lately."""
        outcome = self._refusals.take(message.channel.id, message.author.id)
        try:
            if outcome is MessageOutcome.REPLIED:
                await self._outbox.reply(message, text)
            else:
                await message.add_reaction("⏳")
        except (discord.HTTPException, PlaceClosed, MessageRefused, QuestionGone) as error:
            _log.info("a reply was not sent", error=type(error).__name__)
            return MessageOutcome.FAILED
        return outcome

    # --- catching up

    async def catch_up(self, missed_since: Mapping[int, float]) -> None:
        """Take in the messages of each shard since a time (seconds since the epoch), unless that is too long ago.

        Messages that were taken in before are in the journal, and are not accepted again.
        """
        now, looked_at = clock.now(), 0
        longest = self._settings.catch_up_seconds
        # A time in the future is due to a clock that was set back since; how long the absence was isn't known then.
        since = {shard: at if at <= now else now - longest for shard, at in missed_since.items()}
        missed = {shard: at for shard, at in since.items() if longest and now - at <= longest}
        for shard, at in missed.items():
            after = datetime.fromtimestamp(at - _SILENCE_UNNOTICED, UTC)
            for channel in await self._channels(shard, after):
                looked_at += await self._catch_up_in(channel, after)
        if missed:
            _log.info("caught up", seconds_away=round(now - min(missed.values())), messages_looked_at=looked_at)

    async def _channels(self, shard: int, after: datetime) -> list[discord.abc.Messageable]:
        """Return the channels of a shard with newer messages, and for the first shard all direct conversations."""
        client = self._connection.client
        direct = await self._chats.direct() if shard == 0 else []
        return [*_channels_with_news(client, shard, after), *map(client.get_partial_messageable, direct)]

    async def _catch_up_in(self, channel: discord.abc.Messageable, after: datetime) -> int:
        """Take in the messages of one channel and return their number. A failure is logged."""
        looked_at = 0
        try:
            async for message in channel.history(after=after, limit=_HISTORY, oldest_first=True):
                looked_at += 1
                await self._take(message, edited=message.edited_at is not None, missed=True)
        except discord.HTTPException as error:
            _log.debug("a channel was not caught up", error=type(error).__name__)
        except Exception:
            _log.exception("a channel was not caught up")
        return looked_at


async def _pasted(message: discord.Message) -> str:
    """Return the text of a long paste, or "" if there is none, or if it can't be fetched."""
    if (file := paste_in(message)) is None:
        return ""
    try:
        async with asyncio.timeout(_FETCHING):
            content = await file.read()
    except (discord.HTTPException, aiohttp.ClientError, TimeoutError) as error:
        _log.warning("a pasted text can't be fetched", error=type(error).__name__)
        return ""
    return content.decode(errors="replace").strip()


def _seconds_until_edit(message: discord.Message) -> float:
    return ((message.edited_at or message.created_at) - message.created_at).total_seconds()


def _channels_with_news(client: discord.Client, shard: int, after: datetime) -> Sequence[discord.abc.Messageable]:
    """Return the channels in the servers of a shard whose last message is newer than `after`."""
    newer = discord.utils.time_snowflake(after)
    return [
        channel
        for guild in client.guilds
        if guild.shard_id == shard
        for channel in _channels_of(guild)
        if channel.last_message_id and channel.last_message_id > newer
    ]


def _channels_of(guild: discord.Guild) -> list[discord.TextChannel | discord.VoiceChannel | discord.Thread]:
    return [*guild.text_channels, *guild.voice_channels, *guild.threads]
