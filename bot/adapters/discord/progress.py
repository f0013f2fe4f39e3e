"""Shows that an answer is coming: "typing", or a placeholder with the text so far, which the answer replaces."""

import asyncio
import time

import structlog

from bot.adapters.discord.connection import Connection
from bot.adapters.discord.outgoing import Outbox
from bot.adapters.layout import STARTING
from bot.adapters.recent import Recent
from bot.core.messages import Address, Stage, Update
from bot.storage.base import PartStore

_log = structlog.stdlib.get_logger(__name__)
_TYPING_AFTER = 0.3  # seconds; an answer that comes sooner needs no sign
_LONGEST_TYPING = 180.0  # seconds
_EDIT_EVERY = 1.0  # seconds, for each channel
_CHANNELS = 2000  # of which the last edit is remembered

Key = tuple[str, str, str]


class ProgressDisplay:
    """Shows the progress of questions."""

    def __init__(self, connection: Connection, outbox: Outbox, parts: PartStore) -> None:
        self._connection = connection
        self._outbox = outbox
        self._parts = parts
        self._typing: dict[Key, asyncio.Task[None]] = {}
        self._placeholders: dict[Key, str] = {}  # the message ids
        self._last_edit = Recent[str, float](_CHANNELS)  # by channel

    async def show(self, address: Address, update: Update) -> None:
        """Show the progress of a question, if it was addressed to the bot."""
        if address.details.get("unprompted"):
            return
        if update.stage is Stage.WRITING:
            await self._show_text(address, update.text)
        elif address.details["kind"] == "message":
            if address.key not in self._typing:
                self._typing[address.key] = self._connection.start(self._type(address))
        elif update.stage is Stage.STARTING:
            await self._show_text(address, f"⏳ {STARTING}")
        elif update.stage is Stage.QUEUED:
            await self._show_text(address, f"⏳ Number {update.text} in the line…")

    def end(self, address: Address) -> None:
        """End the display of a question. Its placeholder stays until the answer replaces it."""
        self._placeholders.pop(address.key, None)
        if typing := self._typing.pop(address.key, None):
            typing.cancel()

    async def _type(self, address: Address) -> None:
        """Show that the bot is typing until cancelled, for three minutes at most."""
        channel = self._connection.client.get_partial_messageable(int(address.chat))
        await asyncio.sleep(_TYPING_AFTER)
        try:
            async with channel.typing():
                await asyncio.sleep(_LONGEST_TYPING)
        except Exception as error:
            _log.info("typing not shown", error=type(error).__name__)

    async def _show_text(self, address: Address, text: str) -> None:
        """Put text into the placeholder, at most once a second in a channel.

        The pause comes after the edit, so that the text of the next edit is the latest one. The answer waits for it too.
        """
        last = self._last_edit.get(address.chat, 0.0)
        await asyncio.sleep(max(0.0, last + _EDIT_EVERY - time.monotonic()))
        if placeholder := self._placeholders.get(address.key):
            await self._outbox.send_placeholder(address, text, replaces=placeholder)
        elif not await self._takes_placeholder(address):
            return
        # The answer waits for it some seconds at most, and is sent beside it then: it is noted, or taken back, all the same.
        elif placed := await asyncio.shield(self._connection.start(self._place(address, text))):
            self._placeholders[address.key] = placed
        self._last_edit[address.chat] = time.monotonic()
        await asyncio.sleep(_EDIT_EVERY)

    async def _place(self, address: Address, text: str) -> str | None:
        """Send a placeholder and return its id, or take it back and return None if no answer will replace it."""
        sent = await self._outbox.send_placeholder(address, text, replaces=None)
        if await self._parts.placed(address, sent):
            return sent
        await self._outbox.take_back(address, sent)
        return None

    async def _takes_placeholder(self, address: Address) -> bool:
        """Whether the answer will take the place of a placeholder; the response to an interaction always has one."""
        return address.details["kind"] == "interaction" or await self._parts.takes_placeholder(address)
