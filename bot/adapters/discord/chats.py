"""The state of channels: which ones the bot can't write to, or open threads in, and when it answers in each."""

import asyncio
import time
from collections.abc import Iterator

import discord
import structlog

from bot.adapters.discord.addressing import PLATFORM, chats_of
from bot.adapters.recent import Recent
from bot.core.messages import Policy
from bot.core.settings import DiscordSettings
from bot.storage.base import PlatformStore

_log = structlog.stdlib.get_logger(__name__)
_FORBIDDEN_FOR = 3600.0  # seconds, unless something changes in the server
_MOST_CHANNELS = 5000  # that have refused the bot; any other one is tried again
_MOST_THREADS = 2000  # questions without a thread, and conversations
_DIRECT = "direct_chats"  # the note with the latest direct conversations, which Discord doesn't list
_MOST_DIRECT = 200


class Chats:
    """Keeps the state of channels: refusals in memory, all else in the store, so that it survives a restart."""

    def __init__(self, store: PlatformStore, settings: DiscordSettings) -> None:
        self._store = store
        self._settings = settings
        self._noting = asyncio.Lock()
        self.forbidden = ForbiddenChannels()
        self.threads = RefusedThreads()

    def permissions_changed(self) -> None:
        """Try forbidden channels and threads again."""
        self.forbidden.clear()
        self.threads.forbidden.clear()

    async def policy_for(self, channel: object) -> Policy:
        """Return when to answer in a channel of a server, by the most specific policy.

        That is the policy of the thread, its channel, its category or its server, or the default.
        """
        return await self._store.policy(PLATFORM, chats_of(channel)) or self._settings.policy

    def may_open_thread(self, channel: object, me: discord.abc.User) -> bool:
        """Whether a question in a channel gets a thread, by the settings and the known permissions."""
        if not self._settings.threads or not isinstance(channel, discord.TextChannel):
            return False
        if channel.type is not discord.ChannelType.text or channel.id in self.threads.forbidden:
            return False
        member = channel.guild.get_member(me.id)
        allowed = channel.permissions_for(member) if member else discord.Permissions.all()
        return allowed.create_public_threads and allowed.send_messages_in_threads

    async def direct(self) -> list[int]:
        """Return the latest direct conversations, the latest last."""
        return [int(chat) for chat in (await self._store.note(PLATFORM, _DIRECT) or "").split()]

    async def note_direct(self, chat: int) -> None:
        """Note a direct conversation as the latest."""
        async with self._noting:  # two at once would lose one
            chats = await self.direct()
            if chat not in chats[-1:]:
                latest = [*(one for one in chats if one != chat), chat][-_MOST_DIRECT:]
                await self._store.set_note(PLATFORM, _DIRECT, " ".join(map(str, latest)))


class ForbiddenChannels:
    """Channels that have refused the bot lately. An entry expires after an hour, or with the bot's timeout."""

    def __init__(self) -> None:
        self._until = Recent[int, float](_MOST_CHANNELS)

    def add(self, channel: int, seconds: float = 0.0) -> None:
        """Add a channel for `seconds`, an hour at most; 0: for an hour."""
        self._until[channel] = time.monotonic() + min(seconds or _FORBIDDEN_FOR, _FORBIDDEN_FOR)

    def discard(self, channel: int) -> None:
        """Remove a channel, because it has changed."""
        self._until.pop(channel, None)

    def clear(self) -> None:
        """Remove all channels, because permissions have changed in a server."""
        self._until.clear()

    def __contains__(self, channel: int) -> bool:
        until = self._until.get(channel)
        if until is not None and time.monotonic() > until:
            del self._until[channel]
        return channel in self._until


class RefusedThreads:
    """Remembers the latest refused threads: their questions are answered in the channel, where their conversations go on.

    `forbidden`: the channels in which the bot may not open threads.
    """

    def __init__(self) -> None:
        self.forbidden = ForbiddenChannels()
        self._messages = Recent[int, None](_MOST_THREADS)
        self._conversations = Recent[str, str](_MOST_THREADS)

    def add(self, channel: int, message: int, *, forbidden: bool) -> None:
        """Note that the thread of a message was refused; `forbidden`: for lack of a permission."""
        self._messages[message] = None
        if forbidden:
            _log.warning("the bot may not open threads in a channel and answers beside them", channel=channel)
            self.forbidden.add(channel)

    def __contains__(self, message: int) -> bool:
        return message in self._messages

    def go_on(self, conversation: str, begun: str) -> None:
        """Continue in the channel the conversation `begun` by a question whose thread was refused."""
        self._conversations[conversation] = begun

    def conversation(self, conversation: str) -> str:
        """Return the id of the conversation that a person's next question in the channel belongs to."""
        return self._conversations.get(conversation, conversation)

    def forget(self, conversation: str) -> str:
        """Begin a person's conversation in the channel anew, and return the id of the one until now."""
        return self._conversations.pop(conversation, conversation)


def missing_permissions(channel: object, me: discord.Member | None = None, *, threads: bool = False) -> str:
    """Return the names of the permissions that the bot lacks for answering in a channel; empty where they are not known.

    `me`: the bot as a member of the server, if the library doesn't know it. `threads`: it opens threads for its answers.
    """
    if not isinstance(channel, discord.abc.GuildChannel | discord.Thread):
        return ""
    if (me := me or channel.guild.me) is None:
        return ""
    allowed = channel.permissions_for(me)
    names = [name for name in _needed(channel, threads=threads) if not getattr(allowed, name)]
    if "send_messages" in names:  # without it the library counts the others as missing too
        names = [name for name in names if name != "attach_files"]
    missing = ", ".join(name.replace("_", " ").title() for name in names)
    return f"{missing} (a timeout takes them away)" if missing and me.is_timed_out() else missing


def timeout_left(channel: object) -> float:
    """Return for how many seconds the bot is timed out in the server of a channel; nothing tells it of the end."""
    me = channel.guild.me if isinstance(channel, discord.abc.GuildChannel | discord.Thread) else None
    until = me.timed_out_until if me is not None else None
    return max(0.0, (until - discord.utils.utcnow()).total_seconds()) if until is not None else 0.0


def _needed(channel: object, *, threads: bool) -> Iterator[str]:
    """Yield the library's names of the permissions for answering in a channel."""
    yield "view_channel"
    if isinstance(channel, discord.Thread | discord.ForumChannel):
        yield "send_messages_in_threads"
    elif not isinstance(channel, discord.CategoryChannel):
        yield "send_messages"
        if threads and isinstance(channel, discord.TextChannel):
            yield from ("create_public_threads", "send_messages_in_threads")
    if not isinstance(channel, discord.CategoryChannel):
        yield from ("read_message_history", "attach_files")
