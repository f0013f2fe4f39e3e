"""Delivery of answers: sends their parts, edits existing messages, or deletes them."""

import asyncio
from functools import partial

import structlog
from telegram import InlineKeyboardMarkup

from bot.adapters.telegram import rendering
from bot.adapters.telegram.chats import Chats
from bot.adapters.telegram.formatting import RichText
from bot.adapters.telegram.places import Place, Sent, place_of_answer
from bot.adapters.telegram.sending import MessageGone, Sender
from bot.core.errors import Undeliverable
from bot.core.messages import Address, Answer, Delivery, Sending

_log = structlog.stdlib.get_logger(__name__)


class Outbox:
    """Delivers answers part by part, within the flood limits of their chats."""

    def __init__(self, sender: Sender, chats: Chats, *, buttons: bool) -> None:
        """`buttons`: whether an answer from the documents gets buttons, which need answers to be kept."""
        self._sender = sender
        self._chats = chats
        self._buttons = buttons

    async def deliver(self, address: Address, answer: Answer, delivery: Delivery) -> None:
        """Send the parts that have not been sent, and delete the messages of a longer earlier answer.

        Raises Undeliverable if no other try can succeed, NotSent if a part was certainly not sent, and Superseded.
        After any other error the part may have arrived.
        """
        chat = int(address.chat)
        if await self._chats.is_blocked(chat):
            raise Undeliverable("the bot was blocked or removed there")
        parts = await asyncio.to_thread(rendering.parts_of, answer, late=answer.late or address.details["late"])
        keyboard = rendering.buttons(answer) if answer.from_documents and self._buttons else None
        place = place_of_answer(address)
        for number, part in enumerate(parts):
            below = keyboard if number == len(parts) - 1 else None
            await self._sender.acquire(place)
            await delivery.send_part(number, partial(self._send_part, place, part, below))
        await self._delete_left_over(delivery, len(parts))

    async def withdraw(self, delivery: Delivery) -> None:
        """Delete the messages of an earlier answer, and a placeholder."""
        await self._delete_left_over(delivery, 0)

    async def _delete_left_over(self, delivery: Delivery, parts: int) -> None:
        for message in await delivery.left_over(parts):
            await self._sender.delete(Sent.from_text(message))

    async def _send_part(
        self, place: Place, part: RichText, keyboard: InlineKeyboardMarkup | None, sending: Sending
    ) -> str:
        """Send or edit one part, for which `Sender.acquire` has waited, and return the id of its message."""
        *before, last = rendering.marked_as_repeated(part) if sending.repeated else [part]
        if sending.replaces is not None:
            try:
                await self._sender.edit(Sent.from_text(sending.replaces), last, keyboard, acquired=True)
                return sending.replaces
            except MessageGone:
                _log.info("a message to edit is gone, sent anew")
        for piece in before:
            await self._sender.send(place, piece)
        acquired = not before and sending.replaces is None
        return str(await self._sender.send(place, last, keyboard, acquired=acquired))
