"""Reads Discord messages: decides whether one addresses the bot, and makes a Question of it."""

import asyncio
import re
from datetime import UTC, datetime

import aiohttp
import discord
import structlog

from bot.adapters.attention import looks_like_a_question
from bot.adapters.discord.threads import RefusedThreads
from bot.adapters.outcomes import MessageOutcome
from bot.core.messages import Address, Policy, Question
from bot.core.settings import DiscordSettings
from bot.storage.base import AnswerStore, PlatformStore

_log = structlog.stdlib.get_logger(__name__)
PLATFORM = "discord"
_PASTE = "message.txt"
_LONGEST_PASTE = 100_000  # bytes
_FETCHING = 5.0  # seconds; the messages behind it in the channel wait
_LONGEST_TITLE = 100  # characters in the name of a thread
_EMOJI = re.compile(r"<a?:(\w+):\d+>")
_USER = re.compile(r"<@!?(\d+)>")
_ROLE = re.compile(r"<@&(\d+)>")
_CHANNEL = re.compile(r"<#(\d+)>")
_TIME = re.compile(r"<t:(-?\d+)(?::\w)?>")
_COMMAND = re.compile(r"</([^:<>]+):\d+>")


class MessageReader:
    """Makes Questions of the messages that are addressed to the bot."""

    def __init__(
        self, answers: AnswerStore, chats: PlatformStore, threads: RefusedThreads, settings: DiscordSettings
    ) -> None:
        self._answers = answers
        self._chats = chats
        self._threads = threads
        self._settings = settings

    async def question_in(self, message: discord.Message, me: discord.abc.User) -> Question | MessageOutcome:
        """Return the question that a message asks the bot `me`, or the reason why it asks none.

        The text of the question is empty if the message only mentions the bot.
        """
        if not self._is_by_a_person(message):
            return MessageOutcome.WRITTEN_BY_BOT
        followed = await self._followed(message, me)
        addressed = message.guild is None or _mentions(message, me) or followed is not None or _replies_to(message, me)
        policy = await self.policy(message.channel) if message.guild is not None else Policy.ALWAYS
        if policy is Policy.OFF:
            return MessageOutcome.CHAT_OFF
        if not addressed and not (_says_something(message) and _may_answer(message, policy, me)):
            return MessageOutcome.NOT_ADDRESSED
        text = _text(message, me) or await _pasted(message)
        replied_to = followed.text if followed else _replied_text(message, me)
        if not text and replied_to and not followed:  # "@bot" below somebody's question
            text, replied_to = replied_to, None
        prompted = addressed or _opens_post(message) or looks_like_a_question(text)
        opens_thread = prompted and not followed and self._may_open_thread(message, me)
        return Question(
            text=text,
            conversation=followed.conversation if followed else self._conversation(message, opens_thread),
            author=str(message.author.id),
            address=Address(
                PLATFORM,
                str(message.channel.id),
                str(message.id),
                {
                    "kind": "message",
                    "author": message.author.id,
                    "unprompted": not prompted,
                    "unasked": not (addressed or _opens_post(message) or _takes_part(message.channel, me)),
                    "thread": text[:_LONGEST_TITLE] if opens_thread else None,
                    "server": message.guild.id if message.guild else None,
                    "parent": _parent(message.channel),
                    "asked": text[:_LONGEST_TITLE],  # named where the answer can't be sent to the channel
                },
            ),
            received_at=message.created_at,
            replied_to=replied_to,
        )

    async def policy(self, channel: object) -> Policy:
        """Return the most specific policy: of the thread, its channel, its category, its server, or the default."""
        return await self._chats.policy(PLATFORM, chats_of(channel)) or self._settings.policy

    async def _followed(self, message: discord.Message, me: discord.abc.User) -> Question | None:
        """Return the question whose answer the message replies to, or None."""
        reference = message.reference
        if (
            reference is None
            or reference.message_id is None
            or reference.type is not discord.MessageReferenceType.reply
        ):
            return None
        replied = reference.resolved
        if isinstance(replied, discord.Message) and replied.author.id != me.id:
            return None
        sent = str(reference.message_id)
        return await self._answers.answered_by(PLATFORM, sent) or await self._answers.answered_by(
            PLATFORM, f"{sent}@{reference.channel_id}"
        )

    def _is_by_a_person(self, message: discord.Message) -> bool:
        """Whether a person has written a message, perhaps through a proxy that the settings name."""
        if message.type not in _WRITTEN:
            return False
        if message.webhook_id is not None:
            return message.application_id in self._settings.proxies
        return not message.author.bot

    def _may_open_thread(self, message: discord.Message, me: discord.abc.User) -> bool:
        """Whether the question of a message gets a thread, by the settings and the known permissions."""
        channel = message.channel
        if not self._settings.threads or not isinstance(channel, discord.TextChannel):
            return False
        if channel.type is not discord.ChannelType.text or channel.id in self._threads.forbidden:
            return False
        member = channel.guild.get_member(me.id)
        allowed = channel.permissions_for(member) if member else discord.Permissions.all()
        return allowed.create_public_threads and allowed.send_messages_in_threads

    def _conversation(self, message: discord.Message, opens_thread: bool) -> str:
        if opens_thread:  # the thread will have the id of the message
            return thread_conversation(str(message.id))
        return self._threads.conversation(conversation_in(message.channel, message.author.id))


def _parent(channel: object) -> int | None:
    """Return the channel above a public thread, which may show the messages of the thread, or None."""
    if not isinstance(channel, discord.Thread) or channel.is_private():
        return None
    return channel.parent_id if isinstance(channel.parent, discord.TextChannel) else None


_WRITTEN = (discord.MessageType.default, discord.MessageType.reply)  # by people; other types report events


def conversation_in(channel: object, author: int, *, private: bool = False) -> str:
    """Return the id of a conversation: each thread and direct chat is one, in other channels each author has one."""
    chat = getattr(channel, "id", 0)
    if private:
        return f"{PLATFORM}:{chat}:{author}:private"
    shared = isinstance(channel, discord.Thread | discord.DMChannel | discord.GroupChannel)
    return thread_conversation(str(chat)) if shared else channel_conversation(str(chat), str(author))


def thread_conversation(thread: str) -> str:
    """Return the id of the conversation of all people in a thread or a direct chat."""
    return f"{PLATFORM}:{thread}"


def channel_conversation(channel: str, author: str) -> str:
    """Return the id of the conversation of one person in a channel."""
    return f"{PLATFORM}:{channel}:{author}"


def address_of(interaction: discord.Interaction) -> Address:
    """Return the address of an interaction's channel, by which documents are shown or hidden."""
    return Address(PLATFORM, str(interaction.channel_id or 0), "", {"server": interaction.guild_id})


def chats_of(channel: object) -> list[str]:
    """Return the ids of a channel and of its parents, under which a policy may be stored, the most specific first."""
    ids = [getattr(channel, name, None) for name in ("id", "parent_id", "category_id")]
    guild = getattr(channel, "guild", None)
    return [str(chat) for chat in (*ids, guild and guild.id) if chat]


def _may_answer(message: discord.Message, policy: Policy, me: discord.abc.User) -> bool:
    """Whether the bot may answer a message that doesn't address it: never one within a talk between people."""
    if _opens_post(message):
        return policy in (Policy.FORUM, Policy.ALWAYS)
    if message.reference is not None or message.mention_everyone or message.role_mentions:
        return False
    if any(user.id != me.id for user in message.mentions):
        return False
    return policy is Policy.ALWAYS or _takes_part(message.channel, me)


def _takes_part(channel: object, me: discord.abc.User) -> bool:
    """Whether the channel is a thread that the bot has opened or joined, but no post of a forum."""
    if not isinstance(channel, discord.Thread):
        return False
    return channel.owner_id == me.id or (
        channel.me is not None and not isinstance(channel.parent, discord.ForumChannel)
    )


def _opens_post(message: discord.Message) -> bool:
    """Whether a message is the first one of a forum post, whose id it has."""
    channel = message.channel
    return (
        isinstance(channel, discord.Thread)
        and channel.id == message.id
        and (isinstance(channel.parent, discord.ForumChannel))
    )


def _says_something(message: discord.Message) -> bool:
    """Whether a message has words, or opens a post, whose title asks."""
    return bool(words_of(message)) or _opens_post(message) or _paste_in(message) is not None


def words_of(message: discord.Message) -> str:
    """Return the content of a message, or of the message that it forwards."""
    return message.content or next((forwarded.content for forwarded in message.message_snapshots), "")


def _paste_in(message: discord.Message) -> discord.Attachment | None:
    """Return the file that Discord's client makes of a pasted text that is too long for a message, or None."""
    files = [file for file in message.attachments if file.filename == _PASTE and file.size <= _LONGEST_PASTE]
    return files[0] if files and not message.content else None


async def _pasted(message: discord.Message) -> str:
    """Return the text of a long paste, or "" if there is none, or if it can't be fetched."""
    if (file := _paste_in(message)) is None:
        return ""
    try:
        async with asyncio.timeout(_FETCHING):
            content = await file.read()
    except (discord.HTTPException, aiohttp.ClientError, TimeoutError) as error:
        _log.warning("a pasted text can't be fetched", error=type(error).__name__)
        return ""
    return content.decode(errors="replace").strip()


def _mentions(message: discord.Message, me: discord.abc.User) -> bool:
    role = message.guild.self_role if message.guild else None  # people often pick this role, which has the bot's name
    return any(user.id == me.id for user in message.mentions) or (role is not None and role in message.role_mentions)


def _replies_to(message: discord.Message, me: discord.abc.User) -> bool:
    replied = message.reference.resolved if message.reference else None
    return isinstance(replied, discord.Message) and replied.author.id == me.id


def _replied_text(message: discord.Message, me: discord.abc.User) -> str | None:
    """Return the text of the message that this one replies to, if another person than the bot wrote it."""
    replied = message.reference.resolved if message.reference else None
    if not isinstance(replied, discord.Message) or replied.author.id == me.id:
        return None
    return readable(replied, words_of(replied)) or None


def _text(message: discord.Message, me: discord.abc.User) -> str:
    text = words_of(message).replace(f"<@{me.id}>", " ").replace(f"<@!{me.id}>", " ")
    if message.guild and message.guild.self_role:
        text = text.replace(message.guild.self_role.mention, " ")
    text = readable(message, text)
    if _opens_post(message) and isinstance(message.channel, discord.Thread):
        return f"{message.channel.name}\n{text}".strip()
    return text


def readable(message: discord.Message, text: str) -> str:
    """Replace Discord's codes in the text of a message: those for emoji, people, roles, channels and commands by names."""
    guild = message.guild
    names = {str(user.id): user.display_name for user in message.mentions}

    def role(code: re.Match[str]) -> str:
        found = guild.get_role(int(code[1])) if guild else None
        return f"@{found.name if found else 'a role'}"

    def channel(code: re.Match[str]) -> str:
        found = guild.get_channel_or_thread(int(code[1])) if guild else None
        return f"#{found.name if found else 'a channel'}"

    text = _EMOJI.sub(r":\1:", text)
    text = _USER.sub(lambda code: f"@{names.get(code[1], 'somebody')}", text)
    text = _COMMAND.sub(r"/\1", _TIME.sub(_in_words, _CHANNEL.sub(channel, _ROLE.sub(role, text))))
    return " ".join(text.split(" ")).strip()


def _in_words(code: re.Match[str]) -> str:
    """Return the date that a code for a time shows, which the client writes in the time zone of each reader."""
    try:
        return f"{datetime.fromtimestamp(int(code[1]), UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return "a time"
