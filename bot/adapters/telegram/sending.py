"""Calls that send, edit and delete messages: within the flood limits, and again after failures to connect.

They raise Undeliverable if no other try can succeed and NotSent if the service could not be reached. After any other error the
message may or may not have arrived.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import httpx
import structlog
from telegram import Bot, InlineKeyboardMarkup, LinkPreviewOptions, ReplyParameters
from telegram.constants import ChatAction
from telegram.error import BadRequest, ChatMigrated, Forbidden, NetworkError, RetryAfter, TelegramError

from bot.adapters.recent import Recent
from bot.adapters.telegram.chats import Chats
from bot.adapters.telegram.flood import FloodControl, seconds
from bot.adapters.telegram.formatting import RichText
from bot.adapters.telegram.places import Place, Sent
from bot.core.errors import Undeliverable
from bot.core.messages import NotSent

_log = structlog.stdlib.get_logger(__name__)
T = TypeVar("T")
_REMEMBERED = 1000  # groups that have moved; of any other one the service says so again
_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
# Seconds between the tries of a call that has certainly not reached the service.
_PAUSES = (0.5, 2.0, 5.0)
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class MessageGone(Exception):
    """The message to edit was deleted, or can't be edited any more."""


class Sender:
    """Sends, edits and deletes messages."""

    def __init__(self, bot: Bot, flood: FloodControl, chats: Chats) -> None:
        self._bot = bot
        self._flood = flood
        self._chats = chats
        self._moved = Recent[int, int](_REMEMBERED)

    async def acquire(self, place: Place) -> None:
        """Wait until a message may be sent to a place. The next call with `acquired` doesn't wait again."""
        await self._flood.acquire(place.chat, place.person)

    def must_wait(self, place: Place) -> bool:
        """Whether a message to a place would have to wait now."""
        return self._flood.must_wait(self._current(place).chat)

    async def send(
        self, place: Place, rich: RichText, keyboard: InlineKeyboardMarkup | None = None, *, acquired: bool = False
    ) -> Sent:
        """Send one message. Raises Undeliverable and NotSent; after any other error it may have arrived."""
        place = self._current(place)
        try:
            return await self._limited(place, lambda: self._send(place, rich, keyboard), acquired=acquired)
        except ChatMigrated as error:
            await self._note_move(place.chat, error.new_chat_id)
            return await self.send(place, rich, keyboard)
        except BadRequest as error:
            self._raise_if_useless(error)
            _log.warning("formatting refused, sent as plain text", reason=error.message)
        try:
            return await self._limited(place, lambda: self._send(place, RichText(rich.text), None))
        except BadRequest as error:
            raise Undeliverable(f"Telegram refuses the message: {error.message}") from error

    async def edit(
        self, sent: Sent, rich: RichText, keyboard: InlineKeyboardMarkup | None = None, *, acquired: bool = False
    ) -> None:
        """Replace the text of a message. Raises MessageGone, Undeliverable and NotSent; after any error it may be repeated."""
        if sent.chat in self._moved or sent.bot != self._bot.id:
            raise MessageGone  # messages have other numbers in the new group, and for another bot
        try:
            await self._limited(Place(sent.chat), lambda: self._edit(sent, rich, keyboard), acquired=acquired)
        except ChatMigrated as error:
            await self._note_move(sent.chat, error.new_chat_id)
            raise MessageGone from error
        except BadRequest as error:
            reason = error.message.lower()
            if "not modified" in reason:
                return
            self._raise_if_useless(error)
            if "entit" not in reason:
                raise MessageGone from error
            await self._limited(Place(sent.chat), lambda: self._edit(sent, RichText(rich.text), None))

    async def edit_if_possible(self, sent: Sent, text: str) -> None:
        """Edit a placeholder if the flood limits allow it now. A failure is ignored."""
        if self._flood.try_acquire(sent.chat):
            await self._once(sent.chat, lambda: self._edit(sent, RichText(text), None))

    async def placeholder(self, place: Place, text: str) -> Sent | None:
        """Send a placeholder if the flood limits allow it now. Returns None if they don't, or if the call is refused.

        Raises NetworkError if it may have arrived.
        """
        place = self._current(place)
        if not self._flood.try_acquire(place.chat):
            return None
        return await self._once(place.chat, lambda: self._send(place, RichText(text), None), in_doubt=True)

    async def delete(self, sent: Sent) -> None:
        """Delete a message of the bot. Does nothing if it is gone, or if another bot has sent it."""
        if sent.bot != self._bot.id:
            return
        try:
            await self._limited(Place(sent.chat), lambda: self._bot.delete_message(sent.chat, sent.number))
        except (BadRequest, ChatMigrated, Undeliverable, NotSent):
            return

    async def typing(self, place: Place) -> None:
        """Show the typing sign for about five seconds, unless it is shown in too many chats, or this one has to wait."""
        place = self._current(place)
        if not self._flood.try_typing(place.chat):
            return
        await self._once(
            place.chat,
            lambda: self._bot.send_chat_action(place.chat, ChatAction.TYPING, message_thread_id=place.topic),
        )

    # --- calls

    async def _send(self, place: Place, rich: RichText, keyboard: InlineKeyboardMarkup | None) -> Sent:
        message = await self._bot.send_message(
            place.chat,
            rich.text,
            entities=rich.entities,
            message_thread_id=place.topic,
            reply_parameters=(
                ReplyParameters(place.reply_to, allow_sending_without_reply=not place.to_question)
                if place.reply_to
                else None
            ),
            link_preview_options=_NO_PREVIEW,
            reply_markup=keyboard,
        )
        return Sent(place.chat, message.message_id, self._bot.id)

    async def _edit(self, sent: Sent, rich: RichText, keyboard: InlineKeyboardMarkup | None) -> None:
        await self._bot.edit_message_text(
            rich.text,
            sent.chat,
            sent.number,
            entities=rich.entities,
            link_preview_options=_NO_PREVIEW,
            reply_markup=keyboard,
        )

    async def _limited(self, place: Place, call: Callable[[], Awaitable[T]], *, acquired: bool = False) -> T:
        """Make a call as soon as the flood limits allow it, and again after each wait that the service asks for."""
        while True:
            if not acquired:
                await self.acquire(place)
            try:
                return await self._connected(place.chat, call)
            except RetryAfter as error:
                acquired = False
                self._note_wait(place.chat, error)

    async def _connected(self, chat: int, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call, and again if the connection failed before it was sent. Raises NotSent after the last try."""
        for pause in (*_PAUSES, None):
            try:
                return await call()
            except Forbidden as error:
                await self._chats.mark_blocked(chat)
                raise Undeliverable(f"Telegram: {error.message}") from error
            except NetworkError as error:
                if not isinstance(error.__cause__, _NOT_SENT):
                    raise
                if pause is None:
                    raise NotSent from error
            await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def _once(self, chat: int, call: Callable[[], Awaitable[T]], *, in_doubt: bool = False) -> T | None:
        """Make an optional call once. Returns None if it fails; with `in_doubt`, only if it certainly had no effect.

        Raises NetworkError otherwise.
        """
        try:
            return await call()
        except RetryAfter as error:
            self._note_wait(chat, error)
        except ChatMigrated as error:
            await self._note_move(chat, error.new_chat_id)
        except Forbidden:
            await self._chats.mark_blocked(chat)
        except TelegramError as error:
            if in_doubt and _may_have_arrived(error):
                raise
            _log.debug("not shown", error=type(error).__name__)
        return None

    def _note_wait(self, chat: int, error: RetryAfter) -> None:
        wait = seconds(error.retry_after)
        self._flood.refused(chat, wait)
        _log.warning("the service asks to wait", seconds=wait)

    # --- groups that have moved

    def _current(self, place: Place) -> Place:
        """Return the place in the group that its chat has become: without topic and reply, whose ids differ there."""
        while place.chat in self._moved:
            place = replace(place, chat=self._moved[place.chat], topic=None, reply_to=None)
        return place

    async def _note_move(self, old: int, new: int) -> None:
        self._moved[old] = new
        await self._chats.mark_moved(old, new)

    @staticmethod
    def _raise_if_useless(error: BadRequest) -> None:
        """Raise Undeliverable if no other form of the message would be accepted either."""
        reason = error.message.lower()
        if any(phrase in reason for phrase in _USELESS):
            raise Undeliverable(f"Telegram: {error.message}") from error


def _may_have_arrived(error: TelegramError) -> bool:
    """Whether a failed call may have been carried out."""
    refused = isinstance(error, BadRequest) or not isinstance(error, NetworkError)
    return not refused and not isinstance(error.__cause__, _NOT_SENT)


# Parts of the refusals, in lower case, that no other form of the message would avoid.
_USELESS = (
    "chat not found",
    "topic_closed",
    "topic_deleted",
    "thread not found",
    "not enough rights",
    "have no rights",
    "chat_write_forbidden",
    "chat_restricted",
    "chat_admin_required",
    "user_is_blocked",
    "peer_id_invalid",
    "bot was kicked",
    "user is deactivated",
    "need administrator rights",
    "message to be replied not found",
)
