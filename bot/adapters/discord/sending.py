"""Calls that send, edit and delete messages in one place: a channel, another one than that of the question, an interaction.

A message in a channel carries a nonce that is derived from its question and its answer, so that Discord drops a repeated send
within a few minutes. A response to an interaction is edited, which may be repeated. An archived thread is reopened, unless it
is locked. Sending raises PlaceClosed if the place refuses the bot, MessageRefused or FileRefused if it refuses the message or
its file, and QuestionGone if the message to reply to was deleted.
"""

import hashlib
import io
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import discord
import structlog

from bot.adapters.discord.chats import ForbiddenChannels, missing_permissions, timeout_left
from bot.adapters.discord.rendering import LONGEST_MESSAGE
from bot.adapters.layout import utf16_length

_log = structlog.stdlib.get_logger(__name__)
T = TypeVar("T")
NOBODY = discord.AllowedMentions.none()
_FILE_NAME = "answer.md"

# The codes that a decision depends on, of https://docs.discord.com/developers/topics/opcodes-and-status-codes
_UNKNOWN_CHANNEL, UNKNOWN_MESSAGE, _UNKNOWN_WEBHOOK, _UNKNOWN_INTERACTION = 10003, 10008, 10015, 10062
_MISSING_ACCESS, _MISSING_PERMISSIONS = 50001, 50013
_INVALID_WEBHOOK_TOKEN, _NO_REPLY_WITHOUT_HISTORY, _INVALID_FORM = 50027, 160002, 50035
ALREADY_ACKNOWLEDGED, THREAD_EXISTS, _THREAD_ARCHIVED = 40060, 160004, 50083
_REASONS = {200000: "the AutoMod of this server blocks it", _INVALID_FORM: "it finds an error in the message"}


@dataclass(frozen=True, slots=True)
class Content:
    """The content of one message. Discord drops a second message with the same `nonce` in a channel.

    `without_file` replaces the text where `file` is refused, and `file_elsewhere` where the reader got it in another place.
    """

    text: str
    nonce: str
    view: discord.ui.View | None = None
    file: str | None = None
    without_file: str | None = None
    file_elsewhere: str | None = None

    def plain(self, *, file_sent: bool) -> "Content":
        """Return the content without its file, which the reader may have been sent to another place."""
        text = self.file_elsewhere if file_sent else self.without_file
        return replace(self, text=text or self.text, file=None)

    def files(self) -> list[discord.File]:
        """Return new file objects for one try: sending consumes them."""
        return [discord.File(io.BytesIO(self.file.encode()), _FILE_NAME)] if self.file is not None else []


class PlaceClosed(Exception):
    """A place refuses the bot. The text names the reason."""


class PlaceGone(PlaceClosed):
    """A place was deleted."""


class QuestionGone(Exception):
    """The message to reply to was deleted. Nothing was sent."""


class MessageRefused(Exception):
    """Discord refuses a message for its content. The text names the reason."""


class FileRefused(Exception):
    """A place takes no file from the bot. Nothing was sent."""


class Place(Protocol):
    """A destination of messages. Its methods raise PlaceClosed, and MessageRefused if the message itself is refused."""

    async def send(self, content: Content, replaces: str | None) -> str:
        """Send a message, or edit the one with the id `replaces`. Returns the message's id.

        Raises FileRefused and QuestionGone too.
        """

    async def delete(self, message: str) -> bool:
        """Delete a message of the bot. Returns False if it is not there."""


class InChannel:
    """A channel, a thread or a direct conversation. Messages reply to `reply_to`, if that is set."""

    def __init__(
        self, client: discord.Client, channel: int, reply_to: int | None, forbidden: ForbiddenChannels
    ) -> None:
        self.number = channel
        self._client = client
        self._channel = client.get_partial_messageable(channel)
        self._reply_to = reply_to
        self._forbidden = forbidden

    async def send(self, content: Content, replaces: str | None) -> str:
        with self._refusals(closing=True):
            try:
                return await self._reopening(lambda: self._put(content, replaces))
            except discord.HTTPException as error:
                if content.file is None or error.status not in (403, 413):
                    raise
                _log.warning("a channel takes no file; the bot needs Attach Files", channel=self._channel.id)
                raise FileRefused from error

    async def delete(self, message: str) -> bool:
        with self._refusals():
            try:
                await self._reopening(self._channel.get_partial_message(int(message)).delete)
            except discord.NotFound:
                return False
        return True

    async def _reopening(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call, and once more if it needed an archived thread to be reopened."""
        try:
            return await call()
        except discord.HTTPException as error:
            if error.code != _THREAD_ARCHIVED:
                raise
        thread = await self._client.fetch_channel(self.number)
        if not isinstance(thread, discord.Thread) or thread.locked:
            raise PlaceClosed("the thread is closed")
        await thread.edit(archived=False)
        return await call()

    async def _put(self, content: Content, replaces: str | None) -> str:
        """Edit the message `replaces`, or send a new one if it is gone; without a reference if replies are refused."""
        if replaces is not None:
            try:
                return await self._edit(content, int(replaces))
            except discord.NotFound as error:
                if error.code != UNKNOWN_MESSAGE:
                    raise
        try:
            return await self._send(content, self._reply_to)
        except discord.HTTPException as error:
            if self._reply_to is not None and _reference_is_gone(error):
                raise QuestionGone from error
            if self._reply_to is None or error.code not in (_NO_REPLY_WITHOUT_HISTORY, _INVALID_FORM):
                raise
            return await self._send(content, None)

    async def _send(self, content: Content, reply_to: int | None) -> str:
        options = _optional(content)
        if reply_to is not None:
            options["reference"] = discord.MessageReference(message_id=reply_to, channel_id=self._channel.id)
        sent = await self._channel.send(
            content.text, nonce=content.nonce, allowed_mentions=NOBODY, suppress_embeds=True, **options
        )
        return str(sent.id)

    async def _edit(self, content: Content, there: int) -> str:
        await self._channel.get_partial_message(there).edit(
            content=content.text, view=content.view, attachments=content.files(), allowed_mentions=NOBODY
        )
        return str(there)

    @contextmanager
    def _refusals(self, *, closing: bool = False) -> Iterator[None]:
        """Raise refusals as PlaceClosed or MessageRefused. With `closing`, a missing permission forbids the channel."""
        try:
            yield
        except discord.Forbidden as error:
            if closing and error.code in (_MISSING_ACCESS, _MISSING_PERMISSIONS):
                channel = self._client.get_channel(self.number)
                missing = missing_permissions(channel)
                _log.warning(
                    "the bot may not write in a channel and leaves it alone", channel=self.number, missing=missing
                )
                self._forbidden.add(self.number, timeout_left(channel))
            raise PlaceClosed("the bot may not write in this channel") from error
        except discord.NotFound as error:
            raise PlaceGone("the channel is gone") from error
        except discord.HTTPException as error:
            if error.code == _THREAD_ARCHIVED:  # somebody has closed it again
                raise PlaceClosed("the thread is closed") from error
            raise_if_refused(error)
            raise


class Elsewhere(ABC):
    """A place for an answer that can't be sent to the place of its question.

    The ids of its messages are `message@channel`: a deleted question takes them along too.
    """

    def __init__(self, client: discord.Client, heading: str) -> None:
        """`heading` stands above the first message, and names the question."""
        self._client = client
        self._heading = heading

    async def send(self, content: Content, replaces: str | None) -> str:
        channel = await self._open()
        number, _, there = (replaces or "").partition("@")
        if there == str(channel.number):
            return f"{await channel.send(content, number)}@{there}"
        heading, self._heading = self._heading, ""
        below = f"{heading}\n{content.text}".lstrip()
        if utf16_length(below) <= LONGEST_MESSAGE:
            content = replace(content, text=below)
        else:
            await channel.send(Content(heading, nonce_of(content.nonce, "heading")), None)
        return f"{await channel.send(content, None)}@{channel.number}"

    async def delete(self, message: str) -> bool:
        return await (await self._open()).delete(message.partition("@")[0])

    @abstractmethod
    async def _open(self) -> InChannel:
        """Return the channel of the place. Raises PlaceClosed."""


class InParent(Elsewhere):
    """The channel above a thread that is closed or locked."""

    def __init__(
        self, client: discord.Client, channel: int, reply_to: int | None, forbidden: ForbiddenChannels, heading: str
    ) -> None:
        super().__init__(client, heading)
        self._channel = InChannel(client, channel, reply_to, forbidden)

    async def _open(self) -> InChannel:
        return self._channel


class InDirect(Elsewhere):
    """The direct conversation with a user."""

    def __init__(self, client: discord.Client, user: int, heading: str) -> None:
        super().__init__(client, heading)
        self._user = user

    async def _open(self) -> InChannel:
        try:
            channel = await self._client.create_dm(discord.Object(self._user))
        except discord.HTTPException as error:
            if error.status in (400, 403, 404):
                raise PlaceClosed("this person takes no direct messages") from error
            raise
        return InChannel(self._client, channel.id, None, ForbiddenChannels())


class InInteraction:
    """The response to an interaction: the message of the deferral, which is edited, and further ones below it."""

    ORIGINAL = "@original"

    def __init__(self, client: discord.Client, application: int, token: str, *, private: bool) -> None:
        self._webhook = discord.Webhook.partial(application, token, client=client)
        self._private = private

    async def send(self, content: Content, replaces: str | None) -> str:
        with self._expiry():
            if replaces is None:
                sent = await self._webhook.send(
                    content.text,
                    wait=True,
                    ephemeral=self._private,
                    allowed_mentions=NOBODY,
                    suppress_embeds=True,
                    **_optional(content),
                )
                return str(sent.id)
            there: Any = replaces  # "@original", for which the library has no type, or an id
            edited = await self._webhook.edit_message(
                there,
                content=content.text,
                view=content.view,
                attachments=content.files(),
                allowed_mentions=NOBODY,
            )
            return str(edited.id)

    async def delete(self, message: str) -> bool:
        with self._expiry():
            there: Any = message
            await self._webhook.delete_message(there)
        return True

    @contextmanager
    def _expiry(self) -> Iterator[None]:
        try:
            yield
        except discord.HTTPException as error:
            gone = (_UNKNOWN_WEBHOOK, _UNKNOWN_INTERACTION, UNKNOWN_MESSAGE, _INVALID_WEBHOOK_TOKEN, _UNKNOWN_CHANNEL)
            if error.code in gone or error.status in (401, 403, 404):
                raise PlaceClosed("the interaction takes no more responses") from error
            raise_if_refused(error)
            raise


def raise_if_refused(error: discord.HTTPException) -> None:
    """Raise MessageRefused if Discord will never accept the message."""
    if error.status == 400:
        _log.warning("Discord refuses a message", code=error.code)
        raise MessageRefused(_REASONS.get(error.code, f"code {error.code}")) from error


def _reference_is_gone(error: discord.HTTPException) -> bool:
    """Whether Discord refuses a reply because the message that it replies to was deleted."""
    return error.code == _INVALID_FORM and "message_reference" in error.text and "unknown message" in error.text.lower()


def nonce_of(*names: object) -> str:
    """Return a nonce of at most 25 characters: a hash of the names."""
    return hashlib.sha256("/".join(map(str, names)).encode()).hexdigest()[:24]


def _optional(content: Content) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if content.view is not None:
        options["view"] = content.view
    if files := content.files():
        options["files"] = files
    return options
