"""The places for an answer: its interaction, its channel or thread, and others where these don't take it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import discord

from bot.adapters.discord import rendering
from bot.adapters.discord.addressing import channel_conversation, thread_conversation
from bot.adapters.discord.chats import Chats, missing_permissions
from bot.adapters.discord.connection import Connection
from bot.adapters.discord.sending import (
    THREAD_EXISTS,
    UNKNOWN_MESSAGE,
    Elsewhere,
    InChannel,
    InDirect,
    InInteraction,
    InParent,
    Place,
    QuestionGone,
)
from bot.core import clock
from bot.core.messages import Address

# How long Discord takes answers to an interaction, less a margin for the way.
_TOKEN_LIVES = 14.5 * 60  # seconds


class Places:
    """Finds the places for answers, and opens the threads that are among them."""

    def __init__(self, connection: Connection, chats: Chats) -> None:
        self._connection = connection
        self._chats = chats
        self._deferrals: dict[str, asyncio.Event] = {}  # by interaction, set at the end of each

    async def for_answer(self, address: Address) -> list[Place]:
        """Return the places for an answer, best first; each is used if those before it are closed."""
        client, details = self._connection.client, address.details
        places: list[Place] = []
        if details["kind"] == "interaction":
            if deferral := self._deferrals.get(address.message):
                await deferral.wait()
            if _token_lives(details["taken_at"]):
                private = details["private"]
                places.append(InInteraction(client, details["application"], details["token"], private=private))
            if not details["private"]:
                places.append(InChannel(client, int(address.chat), None, self._chats.forbidden))
        else:
            thread = await self._thread(address) if details.get("thread") else None
            reply_to = None if thread else int(address.message)
            places.append(InChannel(client, thread or int(address.chat), reply_to, self._chats.forbidden))
            if thread:
                places.append(InParent(client, int(address.chat), int(address.message), self._chats.forbidden, ""))
            elif parent := details.get("parent"):
                places.append(InParent(client, parent, None, self._chats.forbidden, self._heading(address)))
        return [*places, InDirect(client, details["author"], self._heading(address))]

    @contextmanager
    def deferring(self, address: Address) -> Iterator[None]:
        """Hold back the answer to an interaction during the block, in which the response that it replaces is made."""
        over = self._deferrals[address.message] = asyncio.Event()
        try:
            yield
        finally:
            over.set()
            self._deferrals.pop(address.message, None)

    def _heading(self, address: Address) -> str:
        """Return the heading of an answer that goes to its asker directly: the question, unless the answer quotes it."""
        if not (asked := address.details.get("asked")):
            return ""
        missing = missing_permissions(self._connection.client.get_channel(int(address.chat)))
        return rendering.heading(asked, address.chat, missing)

    async def _thread(self, address: Address) -> int | None:
        """Return the thread of a question, and open it if needed; None if that is refused. Raises QuestionGone."""
        number = int(address.message)
        if number in self._chats.threads:
            return None
        channel = self._connection.client.get_partial_messageable(int(address.chat), guild_id=address.details["server"])
        try:
            await channel.get_partial_message(number).create_thread(name=address.details["thread"])
        except discord.HTTPException as error:
            if error.code == UNKNOWN_MESSAGE:
                raise QuestionGone from error
            if error.code != THREAD_EXISTS:
                self._chats.threads.add(channel.id, number, forbidden=isinstance(error, discord.Forbidden))
                author = str(address.details["author"])
                self._chats.threads.go_on(
                    channel_conversation(address.chat, author), thread_conversation(address.message)
                )
                return None
        return number


def _token_lives(taken_at: float) -> bool:
    """Whether the token of an interaction that came at `taken_at` (seconds since the epoch) is still valid."""
    return clock.now() - taken_at < _TOKEN_LIVES


def edited_in(place: Place, replaces: str | None, *, first: bool) -> str | None:
    """Return the id of the message to edit in a place, if there is one."""
    if isinstance(place, InInteraction):
        return InInteraction.ORIGINAL if first else replaces
    elsewhere = replaces is not None and (is_elsewhere(replaces) or replaces == InInteraction.ORIGINAL)
    return None if elsewhere and not isinstance(place, Elsewhere) else replaces


def is_elsewhere(message: str) -> bool:
    """Whether a message stands in another place than that of its question."""
    return "@" in message and message != InInteraction.ORIGINAL
