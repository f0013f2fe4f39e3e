"""Sends, edits and deletes the bot's messages, each in the best place that accepts it."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

import discord

from bot.adapters.discord import rendering
from bot.adapters.discord.addressing import channel_conversation, thread_conversation
from bot.adapters.discord.buttons import answer_buttons, stop_button
from bot.adapters.discord.connection import Connection
from bot.adapters.discord.places import (
    THREAD_EXISTS,
    UNKNOWN_MESSAGE,
    Content,
    Elsewhere,
    FileRefused,
    ForbiddenChannels,
    InChannel,
    InDirect,
    InInteraction,
    InParent,
    MessageRefused,
    Place,
    PlaceClosed,
    PlaceGone,
    QuestionGone,
    missing_permissions,
    nonce_of,
    token_lives,
)
from bot.adapters.discord.rendering import Rendered
from bot.adapters.discord.threads import RefusedThreads
from bot.adapters.layout import split_markdown
from bot.core.errors import Undeliverable
from bot.core.messages import Address, Answer, Delivery, Sending


class Outbox:
    """Delivers answers and other messages. `forbidden`: the channels that have refused the bot lately."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._deferrals: dict[str, asyncio.Event] = {}  # by interaction, set at the end of each
        self.forbidden = ForbiddenChannels()
        self.threads = RefusedThreads()

    def permissions_changed(self) -> None:
        """Try forbidden channels and threads again."""
        self.forbidden.clear()
        self.threads.forbidden.clear()

    async def deliver(self, address: Address, answer: Answer, delivery: Delivery) -> None:
        """Send an answer part by part. Raises Undeliverable if no place accepts it, or if its question was deleted."""
        try:
            await self._deliver(address, answer, delivery)
        except QuestionGone as error:
            for message in await delivery.left_over(0):
                await self.delete(int(address.chat), int(address.message), message)
            raise Undeliverable("the question was deleted") from error

    async def _deliver(self, address: Address, answer: Answer, delivery: Delivery) -> None:
        details = address.details
        rendered = rendering.render(answer, question=details.get("question"))
        places = await self._places(address)
        for part in range(len(rendered.parts)):

            async def send(sending: Sending, part: int = part) -> str:
                nonce = nonce_of(*address.key, answer.reference, part)
                buttons = _buttons(answer, shareable=bool(details.get("private")))
                content = _content(rendered, part, nonce, buttons, repeated=sending.repeated)
                return await _send(places, content, sending.replaces, first=part == 0)

            await delivery.send_part(part, send)
        for message in await delivery.left_over(len(rendered.parts)):
            await _delete(places[0], message)

    async def withdraw(self, address: Address, delivery: Delivery) -> None:
        """Delete the messages of an earlier answer to a question, and a placeholder."""
        if messages := await delivery.left_over(0):
            [place, *_] = await self._places(address)
            for message in messages:
                await _delete(place, message)

    async def send_placeholder(self, address: Address, text: str, *, replaces: str | None) -> str:
        """Send, or edit, the placeholder that the answer will replace, with a button to stop. Returns its id."""
        places = await self._places(address)
        [beginning, *_] = split_markdown(rendering.harmless(text), rendering.LONGEST_MESSAGE - 2) or ["…"]
        buttons = stop_button(address, str(address.details.get("author", 0)))
        content = Content(beginning, nonce_of(*address.key, "draft"), buttons)
        return await places[0].send(content, _edited(places[0], replaces, first=True))

    async def take_back(self, address: Address, message: str) -> None:
        """Delete a placeholder that no answer will replace."""
        if address.details["kind"] == "interaction":
            [place, *_] = await self._places(address)
            if isinstance(place, InInteraction) or message != InInteraction.ORIGINAL:  # its token may have expired
                await _delete(place, message)
        else:
            await self.delete(int(address.chat), int(address.message), message)

    async def reply(self, message: discord.Message, text: str) -> None:
        """Reply to a message with a text that is no answer. Raises PlaceClosed and MessageRefused."""
        place = InChannel(self._connection.client, message.channel.id, message.id, self.forbidden)
        await place.send(Content(text, nonce_of(message.id, "line")), None)

    async def share(self, channel: int, answer: Answer, question: str) -> None:
        """Send a private answer to a channel, below its question. Raises PlaceClosed and MessageRefused."""
        rendered = rendering.render(answer, question=question)
        place = InChannel(self._connection.client, channel, None, self.forbidden)
        for part in range(len(rendered.parts)):
            nonce = nonce_of(answer.reference, "share", part)
            content = _content(rendered, part, nonce, _buttons(answer, shareable=False))
            try:
                await place.send(content, None)
            except FileRefused:
                await place.send(content.plain(file_sent=False), None)

    async def delete(self, channel: int, question: int, message: str) -> None:
        """Delete a message of the answer to a question in a channel; a refusal is ignored.

        The message is in the channel, in the thread of the question, which has its id, or, by its own id, elsewhere.
        """
        client = self._connection.client
        number, _, elsewhere = message.partition("@")
        known_thread = client.get_channel(question) is not None  # a closed one may not be known
        places = (
            [int(elsewhere)] if elsewhere.isdecimal() else [question, channel] if known_thread else [channel, question]
        )
        for place in places:
            if await _delete(InChannel(client, place, None, ForbiddenChannels()), number):
                return

    @contextmanager
    def deferring(self, address: Address) -> Iterator[None]:
        """Hold back the answer to an interaction during the block, in which the response that it replaces is made."""
        over = self._deferrals[address.message] = asyncio.Event()
        try:
            yield
        finally:
            over.set()
            self._deferrals.pop(address.message, None)

    async def _places(self, address: Address) -> list[Place]:
        """Return the places for an answer, best first; each is used if those before it are closed."""
        client, details = self._connection.client, address.details
        places: list[Place] = []
        if details["kind"] == "interaction":
            if deferral := self._deferrals.get(address.message):
                await deferral.wait()
            if token_lives(details["taken_at"]):
                private = details["private"]
                places.append(InInteraction(client, details["application"], details["token"], private=private))
            if not details["private"]:
                places.append(InChannel(client, int(address.chat), None, self.forbidden))
        else:
            thread = await self._thread(address) if details.get("thread") else None
            reply_to = None if thread else int(address.message)
            places.append(InChannel(client, thread or int(address.chat), reply_to, self.forbidden))
            if thread:
                places.append(InParent(client, int(address.chat), int(address.message), self.forbidden, ""))
            elif parent := details.get("parent"):
                places.append(InParent(client, parent, None, self.forbidden, self._heading(address)))
        return [*places, InDirect(client, details["author"], self._heading(address))]

    def _heading(self, address: Address) -> str:
        """Return the heading of an answer that goes to its asker directly: the question, unless the answer quotes it."""
        if not (asked := address.details.get("asked")):
            return ""
        missing = missing_permissions(self._connection.client.get_channel(int(address.chat)))
        return rendering.heading(asked, address.chat, missing)

    async def _thread(self, address: Address) -> int | None:
        """Return the thread of a question, and open it if needed; None if that is refused. Raises QuestionGone."""
        number = int(address.message)
        if number in self.threads:
            return None
        channel = self._connection.client.get_partial_messageable(int(address.chat), guild_id=address.details["server"])
        try:
            await channel.get_partial_message(number).create_thread(name=address.details["thread"])
        except discord.HTTPException as error:
            if error.code == UNKNOWN_MESSAGE:
                raise QuestionGone from error
            if error.code != THREAD_EXISTS:
                self.threads.add(channel.id, number, forbidden=isinstance(error, discord.Forbidden))
                author = str(address.details["author"])
                self.threads.go_on(channel_conversation(address.chat, author), thread_conversation(address.message))
                return None
        return number


def _buttons(answer: Answer, *, shareable: bool) -> discord.ui.View | None:
    return answer_buttons(answer, shareable=shareable) if answer.from_documents else None


def _content(
    rendered: Rendered, part: int, nonce: str, buttons: discord.ui.View | None, *, repeated: bool = False
) -> Content:
    """Return the content of one part: a file goes with the first part, the buttons with the last one."""
    text = rendered.parts[part]
    mark = rendering.marked_as_repeated if repeated else str
    return Content(
        mark(text),
        nonce,
        buttons if part == len(rendered.parts) - 1 else None,
        rendered.file if part == 0 else None,
        mark(rendered.without_file) if rendered.without_file and part == 0 else None,
        mark(rendered.file_elsewhere) if rendered.file_elsewhere and part == 0 else None,
    )


async def _send(places: Sequence[Place], content: Content, replaces: str | None, *, first: bool) -> str:
    """Send to the first place that takes a message, and return its id. Raises Undeliverable if none does, and QuestionGone.

    A place that refuses the message for its content gets a sentence about that. The channel above a thread is used only if the
    thread is closed.
    """
    reason = "there is no place left to write to"
    refusing: Place | None = None
    gone = False
    sent = ""
    for place in places:
        if isinstance(place, InParent) and (gone or refusing):
            continue
        try:
            sent = await _send_with_file(place, places[-1], content, _edited(place, replaces, first=first))
            break
        except PlaceClosed as closed:
            gone = gone or isinstance(closed, PlaceGone)
            reason = reason if refusing else str(closed)
        except MessageRefused as refusal:
            reason, refusing = (reason, refusing) if refusing else (str(refusal), place)
    if sent and replaces is not None and not refusing and _is_elsewhere(sent) != _is_elsewhere(replaces):
        await _delete_replaced(places, replaces)
    if refusing is not None:
        sentence = Content(rendering.refusal(reason, sent_directly=bool(sent)), nonce_of(content.nonce, "refusal"))
        with suppress(PlaceClosed, MessageRefused):
            said = await refusing.send(sentence, _edited(refusing, replaces, first=first))
            sent = sent or said
    if not sent:
        raise Undeliverable(reason)
    return sent


async def _send_with_file(place: Place, directly: Place, content: Content, replaces: str | None) -> str:
    """Send to a place; if that takes no file, without it, and all of it to the asker `directly`."""
    try:
        return await place.send(content, replaces)
    except FileRefused:
        sent = await place.send(content.plain(file_sent=False), replaces)
    with suppress(PlaceClosed, MessageRefused, FileRefused):
        await directly.send(replace(content, nonce=nonce_of(content.nonce, "file"), view=None), None)
        await place.send(content.plain(file_sent=True), sent)
    return sent


def _edited(place: Place, replaces: str | None, *, first: bool) -> str | None:
    """Return the id of the message to edit in a place, if there is one."""
    if isinstance(place, InInteraction):
        return InInteraction.ORIGINAL if first else replaces
    elsewhere = replaces is not None and (_is_elsewhere(replaces) or replaces == InInteraction.ORIGINAL)
    return None if elsewhere and not isinstance(place, Elsewhere) else replaces


def _is_elsewhere(message: str) -> bool:
    """Whether a message stands in another place than that of its question."""
    return "@" in message and message != InInteraction.ORIGINAL


async def _delete_replaced(places: Sequence[Place], message: str) -> None:
    """Delete a placeholder, or an earlier answer, whose place was closed or has opened again since."""
    if message == InInteraction.ORIGINAL:  # stays with its interaction
        return
    for place in places:
        if isinstance(place, Elsewhere) is _is_elsewhere(message) and await _delete(place, message):
            return


async def _delete(place: Place, message: str) -> bool:
    """Delete a message. Returns False if it doesn't exist or can't be deleted."""
    with suppress(PlaceClosed, MessageRefused):
        return await place.delete(message)
    return False
