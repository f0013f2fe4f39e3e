"""How a message reaches Discord: into a channel, or as the response to an interaction for as long as its token lives.

A message into a channel carries a nonce made of what it belongs to, so that a repeated send within a few minutes is the
same message. A response to an interaction is edited, which may be repeated. What Discord will never take is Undeliverable.
"""

import hashlib
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import discord

from bot.core.errors import Undeliverable

NOBODY = discord.AllowedMentions.none()
# How long Discord takes answers to an interaction, less a margin for the way.
_TOKEN_LIVES = 14.5 * 60  # seconds
_FORBIDDEN_FOR = 3600.0  # seconds, unless something changes in the server
_FILE_NAME = "answer.md"

# https://docs.discord.com/developers/topics/opcodes-and-status-codes, as far as a decision hangs on them
_UNKNOWN_CHANNEL, _UNKNOWN_MESSAGE, _UNKNOWN_WEBHOOK, _UNKNOWN_INTERACTION = 10003, 10008, 10015, 10062
_INVALID_WEBHOOK_TOKEN, _NO_REPLY_WITHOUT_HISTORY, _UNKNOWN_REFERENCE = 50027, 160002, 50035
ALREADY_ACKNOWLEDGED = 40060


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message as it is to stand there."""

    text: str
    nonce: str
    view: discord.ui.View | None = None
    file: str | None = None

    def files(self) -> list[discord.File]:
        """Made anew for each try, because sending consumes them."""
        return [discord.File(io.BytesIO(self.file.encode()), _FILE_NAME)] if self.file is not None else []


class PlaceClosed(Exception):
    """The bot can't write there (any more). The text says why."""


class Place(Protocol):
    """Where messages of one answer go. All raise PlaceClosed, and Undeliverable where the message itself is refused."""

    async def send(self, message: Outgoing, replaces: str | None) -> str:
        """Send, or edit the message `replaces`; the id of the message."""

    async def delete(self, message: str) -> None:
        """Delete a message of the bot, unless it is gone already."""


class ForbiddenChannels:
    """Channels in which the bot may not write, so that they are left in peace for a while."""

    def __init__(self) -> None:
        self._until: dict[int, float] = {}

    def add(self, channel: int) -> None:
        self._until[channel] = time.monotonic() + _FORBIDDEN_FOR

    def clear(self) -> None:
        """Something has changed in some server: try again."""
        self._until.clear()

    def __contains__(self, channel: int) -> bool:
        until = self._until.get(channel)
        if until is not None and time.monotonic() > until:
            del self._until[channel]
        return channel in self._until


class InChannel:
    """Messages of a channel, a thread or a direct conversation; the first one replies to the question."""

    def __init__(
        self, client: discord.Client, channel: int, reply_to: int | None, forbidden: ForbiddenChannels
    ) -> None:
        self._channel = client.get_partial_messageable(channel)
        self._reply_to = reply_to
        self._forbidden = forbidden

    async def send(self, message: Outgoing, replaces: str | None) -> str:
        with self._refusals():
            if replaces is not None:
                try:
                    return await self._edit(message, int(replaces))
                except discord.NotFound as error:
                    if error.code != _UNKNOWN_MESSAGE:
                        raise
            try:
                return await self._send(message, self._reply_to)
            except discord.HTTPException as error:
                if self._reply_to is None or error.code not in (_NO_REPLY_WITHOUT_HISTORY, _UNKNOWN_REFERENCE):
                    raise
                return await self._send(message, None)

    async def delete(self, message: str) -> None:
        with self._refusals():
            try:
                await self._channel.get_partial_message(int(message)).delete()
            except discord.NotFound:
                return

    async def _send(self, message: Outgoing, reply_to: int | None) -> str:
        options = _optional(message)
        if reply_to is not None:
            options["reference"] = discord.MessageReference(
                message_id=reply_to, channel_id=self._channel.id, fail_if_not_exists=False
            )
        sent = await self._channel.send(
            message.text, nonce=message.nonce, allowed_mentions=NOBODY, suppress_embeds=True, **options
        )
        return str(sent.id)

    async def _edit(self, message: Outgoing, there: int) -> str:
        await self._channel.get_partial_message(there).edit(
            content=message.text, view=message.view, attachments=message.files(), allowed_mentions=NOBODY
        )
        return str(there)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except discord.Forbidden as error:
            self._forbidden.add(self._channel.id)
            raise PlaceClosed("the bot may not write in this channel") from error
        except discord.NotFound as error:
            raise PlaceClosed("the channel is gone") from error
        except discord.HTTPException as error:
            if error.status == 400:
                raise Undeliverable(f"Discord refuses the message (code {error.code})") from error
            raise


class InDirect:
    """A direct conversation with somebody, for what can't be said where it was asked."""

    def __init__(self, client: discord.Client, user: int) -> None:
        self._client = client
        self._user = user

    async def send(self, message: Outgoing, replaces: str | None) -> str:
        return await (await self._place()).send(message, replaces)

    async def delete(self, message: str) -> None:
        await (await self._place()).delete(message)

    async def _place(self) -> InChannel:
        try:
            channel = await self._client.create_dm(discord.Object(self._user))
        except discord.HTTPException as error:
            if error.status in (400, 403, 404):
                raise PlaceClosed("this person takes no direct messages") from error
            raise
        return InChannel(self._client, channel.id, None, ForbiddenChannels())


class InInteraction:
    """The response to an interaction: its first message is there already and is edited, others follow it."""

    ORIGINAL = "@original"

    def __init__(self, client: discord.Client, application: int, token: str, *, private: bool) -> None:
        self._webhook = discord.Webhook.partial(application, token, client=client)
        self._private = private

    async def send(self, message: Outgoing, replaces: str | None) -> str:
        with self._expiry():
            if replaces is None:
                sent = await self._webhook.send(
                    message.text,
                    wait=True,
                    ephemeral=self._private,
                    allowed_mentions=NOBODY,
                    suppress_embeds=True,
                    **_optional(message),
                )
                return str(sent.id)
            there: Any = replaces  # "@original", for which the library has no type, or an id
            edited = await self._webhook.edit_message(
                there,
                content=message.text,
                view=message.view,
                attachments=message.files(),
                allowed_mentions=NOBODY,
            )
            return str(edited.id)

    async def delete(self, message: str) -> None:
        with self._expiry():
            there: Any = message
            await self._webhook.delete_message(there)

    @contextmanager
    def _expiry(self) -> Iterator[None]:
        try:
            yield
        except discord.HTTPException as error:
            gone = (_UNKNOWN_WEBHOOK, _UNKNOWN_INTERACTION, _UNKNOWN_MESSAGE, _INVALID_WEBHOOK_TOKEN, _UNKNOWN_CHANNEL)
            if error.code in gone or error.status in (401, 403, 404):
                raise PlaceClosed("the interaction takes no more responses") from error
            if error.status == 400:
                raise Undeliverable(f"Discord refuses the message (code {error.code})") from error
            raise


def token_lives(taken_at: float) -> bool:
    """Whether the token of an interaction of that time (seconds since the epoch) can still be used."""
    return time.time() - taken_at < _TOKEN_LIVES


def nonce_of(*what: object) -> str:
    """The same for the same message, also after a restart; 25 characters at most."""
    return hashlib.sha256("/".join(map(str, what)).encode()).hexdigest()[:24]


def _optional(message: Outgoing) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if message.view is not None:
        options["view"] = message.view
    if files := message.files():
        options["files"] = files
    return options
