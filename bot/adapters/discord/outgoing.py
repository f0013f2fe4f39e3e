"""Sends, edits and deletes the bot's messages, each in the best place that accepts it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import discord

from bot.adapters.discord import rendering
from bot.adapters.discord.buttons import answer_buttons, stop_button
from bot.adapters.discord.chats import Chats, ForbiddenChannels
from bot.adapters.discord.connection import Connection
from bot.adapters.discord.places import Places, edited_in, is_elsewhere
from bot.adapters.discord.rendering import Rendered
from bot.adapters.discord.sending import (
    Content,
    Elsewhere,
    FileRefused,
    InChannel,
    InInteraction,
    InParent,
    MessageRefused,
    Place,
    PlaceClosed,
    PlaceGone,
    QuestionGone,
    nonce_of,
)
from bot.adapters.layout import split_markdown
from bot.core.errors import Undeliverable
from bot.core.messages import Address, Answer, Delivery, Sending


class Outbox:
    """Delivers answers part by part, and other messages, each to the best place that accepts it."""

    def __init__(self, connection: Connection, chats: Chats, places: Places) -> None:
        self._connection = connection
        self._chats = chats
        self._places = places

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
        places = await self._places.for_answer(address)
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
            [place, *_] = await self._places.for_answer(address)
            for message in messages:
                await _delete(place, message)

    async def send_placeholder(self, address: Address, text: str, *, replaces: str | None) -> str:
        """Send, or edit, the placeholder that the answer will replace, with a button to stop. Returns its id."""
        places = await self._places.for_answer(address)
        [beginning, *_] = split_markdown(rendering.harmless(text), rendering.LONGEST_MESSAGE - 2) or ["…"]
        buttons = stop_button(address, str(address.details.get("author", 0)))
        content = Content(beginning, nonce_of(*address.key, "draft"), buttons)
        return await places[0].send(content, edited_in(places[0], replaces, first=True))

    async def take_back(self, address: Address, message: str) -> None:
        """Delete a placeholder that no answer will replace."""
        if address.details["kind"] == "interaction":
            [place, *_] = await self._places.for_answer(address)
            if isinstance(place, InInteraction) or message != InInteraction.ORIGINAL:  # its token may have expired
                await _delete(place, message)
        else:
            await self.delete(int(address.chat), int(address.message), message)

    async def reply(self, message: discord.Message, text: str) -> None:
        """Reply to a message with a text that is no answer. Raises PlaceClosed and MessageRefused."""
        place = InChannel(self._connection.client, message.channel.id, message.id, self._chats.forbidden)
        await place.send(Content(text, nonce_of(message.id, "line")), None)

    async def share(self, channel: int, answer: Answer, question: str) -> None:
        """Send a private answer to a channel, below its question. Raises PlaceClosed and MessageRefused."""
        rendered = rendering.render(answer, question=question)
        place = InChannel(self._connection.client, channel, None, self._chats.forbidden)
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
            sent = await _send_with_file(place, places[-1], content, edited_in(place, replaces, first=first))
            break
        except PlaceClosed as closed:
            gone = gone or isinstance(closed, PlaceGone)
            reason = reason if refusing else str(closed)
        except MessageRefused as refusal:
            reason, refusing = (reason, refusing) if refusing else (str(refusal), place)
    if sent and replaces is not None and not refusing and is_elsewhere(sent) != is_elsewhere(replaces):
        await _delete_replaced(places, replaces)
    if refusing is not None:
        sentence = Content(rendering.refusal(reason, sent_directly=bool(sent)), nonce_of(content.nonce, "refusal"))
        with suppress(PlaceClosed, MessageRefused):
            said = await refusing.send(sentence, edited_in(refusing, replaces, first=first))
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


async def _delete_replaced(places: Sequence[Place], message: str) -> None:
    """Delete a placeholder, or an earlier answer, whose place was closed or has opened again since."""
    if message == InInteraction.ORIGINAL:  # stays with its interaction
        return
    for place in places:
        if isinstance(place, Elsewhere) is is_elsewhere(message) and await _delete(place, message):
            return


async def _delete(place: Place, message: str) -> bool:
    """Delete a message. Returns False if it doesn't exist or can't be deleted."""
    with suppress(PlaceClosed, MessageRefused):
        return await place.delete(message)
    return False
