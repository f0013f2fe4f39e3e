"""Shows that an answer is coming: "typing", or a placeholder with the text so far, which the answer replaces."""

import asyncio
import time
from dataclasses import dataclass, field

import structlog

from bot.adapters.discord.connection import Connection
from bot.adapters.discord.outgoing import Outbox
from bot.adapters.discord.sending import InInteraction
from bot.adapters.recent import Recent
from bot.adapters.texts import progress_text
from bot.core.messages import Address, Stage, Update
from bot.storage.base import PartStore

_log = structlog.stdlib.get_logger(__name__)
_TYPING_AFTER = 0.3  # seconds; an answer that comes sooner needs no sign
_LONGEST_TYPING = 180.0  # seconds
_EDIT_EVERY = 1.0  # seconds, for each channel
_CHANNELS = 2000  # of which the last edit is remembered


@dataclass(eq=False, slots=True)
class _Showing:
    """The progress of one question as it is shown."""

    address: Address
    over: bool = False
    typing: asyncio.Task[None] | None = None
    placeholder: str | None = None  # the message's id
    sending: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def by_interaction(self) -> bool:
        """Whether the question came by an interaction, whose response is its placeholder from the beginning."""
        return bool(self.address.details["kind"] == "interaction")


class ProgressDisplay:
    """Shows the progress of questions."""

    def __init__(self, connection: Connection, outbox: Outbox, parts: PartStore) -> None:
        self._connection = connection
        self._outbox = outbox
        self._parts = parts
        self._showing: dict[tuple[str, str, str], _Showing] = {}
        self._last_edit = Recent[str, float](_CHANNELS)  # by channel

    async def show(self, address: Address, update: Update) -> None:
        """Show the progress of a question, if it was addressed to the bot."""
        if address.details.get("unprompted"):
            return
        showing = self._showing.setdefault(address.key, _Showing(address))
        if update.stage is Stage.WRITING:
            await self._show_text(showing, update.text)
        elif not showing.by_interaction:
            showing.typing = showing.typing or self._connection.start(self._type(address))
        elif update.stage in (Stage.STARTING, Stage.QUEUED):
            await self._show_text(showing, f"⏳ {progress_text(update)}")

    def end(self, address: Address) -> None:
        """End the display of a question. Its placeholder stays until the answer replaces it."""
        if showing := self._showing.pop(address.key, None):
            showing.over = True
            if showing.typing:
                showing.typing.cancel()

    async def end_all(self, author: str) -> None:
        """End the displays of the questions of one author, and delete their placeholders."""
        for showing in [one for one in self._showing.values() if str(one.address.details.get("author")) == author]:
            self.end(showing.address)
            async with showing.sending:  # an edit after the deletion would be sent as a new message
                placeholder = showing.placeholder or (InInteraction.ORIGINAL if showing.by_interaction else None)
                if placeholder is not None:
                    await self._outbox.take_back(showing.address, placeholder)

    async def _type(self, address: Address) -> None:
        """Show that the bot is typing until cancelled, for three minutes at most."""
        channel = self._connection.client.get_partial_messageable(int(address.chat))
        await asyncio.sleep(_TYPING_AFTER)
        try:
            async with channel.typing():
                await asyncio.sleep(_LONGEST_TYPING)
        except Exception as error:
            _log.info("typing not shown", error=type(error).__name__)

    async def _show_text(self, showing: _Showing, text: str) -> None:
        """Put text into the placeholder, at most once a second in a channel.

        The pause comes after the edit, so that the text of the next edit is the latest one. The answer waits for it too.
        """
        chat = showing.address.chat
        await asyncio.sleep(max(0.0, self._last_edit.get(chat, 0.0) + _EDIT_EVERY - time.monotonic()))
        if showing.by_interaction or showing.placeholder is not None:
            await self._send(showing, text)
        # The answer waits for it some seconds at most, and is sent beside it then: it is noted, or taken back, all the same.
        elif not await asyncio.shield(self._connection.start(self._place(showing, text))):
            return
        self._last_edit[chat] = time.monotonic()
        await asyncio.sleep(_EDIT_EVERY)

    async def _place(self, showing: _Showing, text: str) -> bool:
        """Send a placeholder and note it. Returns False if no answer will replace it: it is not sent then, or taken back."""
        if not await self._parts.takes_placeholder(showing.address):
            return False
        try:
            sent = await self._send(showing, text)
        except ConnectionError:  # the client has ended, and the answer comes after the next start
            return False
        if sent is None or await self._parts.placed(showing.address, sent):
            return sent is not None
        await self._outbox.take_back(showing.address, sent)
        return False

    async def _send(self, showing: _Showing, text: str) -> str | None:
        """Send or edit the placeholder and return its id; None if the display has ended."""
        async with showing.sending:
            if not showing.over:
                showing.placeholder = await self._outbox.send_placeholder(
                    showing.address, text, replaces=showing.placeholder
                )
                return showing.placeholder
        return None
