"""The state of chats: which ones the bot can't write to, which have a new id, and when it answers in each."""

import asyncio

import structlog
from telegram import ChatMemberUpdated, Message
from telegram.constants import ChatMemberStatus

from bot.adapters.recent import Recent
from bot.adapters.telegram.addressing import PLATFORM, begins_topic, is_group
from bot.core.messages import Policy
from bot.storage.base import PlatformStore
from bot.tasks.policy import policies_of

_log = structlog.stdlib.get_logger(__name__)
_REMEMBERED = 5000  # chats whose state is held in memory; the others are looked up in the store
_TOPICS = "topics"  # the note with the latest topics and their first messages, as `chat:topic=message`
_MOST_TOPICS = 200  # a topic is new for an hour, and an edit of its first message comes within two days at most


class Chats:
    """Keeps the state of chats in the store, so that it survives a restart. All methods raise StorageError."""

    def __init__(self, store: PlatformStore, default_policy: Policy) -> None:
        self._store = store
        self._default_policy = default_policy
        self._blocked = Recent[int, bool](_REMEMBERED)
        self._noting_topic = asyncio.Lock()

    async def is_blocked(self, chat: int) -> bool:
        """Whether the chat has blocked or removed the bot, so that nothing can be sent to it."""
        if chat not in self._blocked:
            self._blocked[chat] = await self._store.note(PLATFORM, _blocked_key(chat)) is not None
        return self._blocked[chat]

    async def mark_blocked(self, chat: int) -> None:
        """Send nothing to the chat until `mark_reachable`."""
        if not await self.is_blocked(chat):
            self._blocked[chat] = True
            await self._store.set_note(PLATFORM, _blocked_key(chat), "blocked or removed")
            _log.info("the bot was blocked or removed in a chat")

    async def mark_reachable(self, chat: int) -> None:
        """Send to the chat again; called for every message that comes from it."""
        if await self.is_blocked(chat):
            self._blocked[chat] = False
            await self._store.set_note(PLATFORM, _blocked_key(chat), None)

    async def membership_changed(self, change: ChatMemberUpdated) -> None:
        """Note that the bot was added, removed, blocked or unblocked."""
        if change.new_chat_member.status in (ChatMemberStatus.BANNED, ChatMemberStatus.LEFT):
            await self.mark_blocked(change.chat.id)
        else:
            await self.mark_reachable(change.chat.id)

    async def mark_moved(self, old: int, new: int) -> None:
        """Note the new id of a group that has become a supergroup, and give it the policy of the old one."""
        for kept_as in (PLATFORM, policies_of(PLATFORM)):
            await self._store.move_chat(kept_as, str(old), str(new))
        await self._store.set_note(PLATFORM, f"moved:{old}", str(new))
        _log.info("a group has got another id, its settings went along")

    async def current_id(self, chat: str) -> str:
        """Return the present id of a chat that may have moved."""
        return await self._store.note(PLATFORM, f"moved:{chat}") or chat

    async def policy_for(self, message: Message) -> Policy:
        """Return when to answer in the chat of a message: MENTION, ALWAYS or OFF.

        FORUM becomes ALWAYS for the first message of a new topic, and MENTION for every other message.
        """
        if not is_group(message.chat):
            return Policy.MENTION
        policy = await self._store.policy(PLATFORM, [str(message.chat_id)]) or self._default_policy
        if policy is not Policy.FORUM:
            return policy
        if not begins_topic(message):
            return Policy.MENTION
        return Policy.ALWAYS if await self._is_first_in_topic(message) else Policy.MENTION

    async def _is_first_in_topic(self, message: Message) -> bool:
        """Whether a message is the first one of its new topic, or the first that the bot has seen of it."""
        topic, number = f"{message.chat_id}:{message.message_thread_id}", str(message.message_id)
        async with self._noting_topic:
            noted = await self._store.note(PLATFORM, _TOPICS) or ""
            first = dict(one.split("=") for one in noted.split())
            if topic not in first:
                first[topic] = number
                latest = list(first.items())[-_MOST_TOPICS:]
                await self._store.set_note(PLATFORM, _TOPICS, " ".join(f"{one}={of}" for one, of in latest))
        return first[topic] == number


def _blocked_key(chat: int) -> str:
    return f"gone:{chat}"
