"""Shows that an answer is coming: a typing sign, and after two seconds a placeholder, which the answer replaces.

Both end with the answer, or else after the longest time that an answer may take.
"""

import asyncio
import time
from dataclasses import dataclass, field

from telegram.error import NetworkError

from bot.adapters.telegram.places import Sent, place_of_answer
from bot.adapters.telegram.sending import Sender
from bot.adapters.texts import progress_text
from bot.core.errors import StorageError
from bot.core.messages import Address, Stage, Update
from bot.storage.base import PartStore

# Most answers come sooner and need no typing sign.
_TYPING_AFTER = 0.4  # seconds
_TYPING_LASTS = 4.5  # seconds, a little less than the service shows it
_PLACEHOLDER_AFTER = 2.0  # seconds
_BETWEEN_EDITS = 3.0  # seconds
_CLOSING = 1.0  # seconds in which a placeholder is noted at the end
_LONGEST_DRAFT = 3500  # characters


@dataclass(eq=False, slots=True)
class _Showing:
    """The progress of one question as it is shown."""

    address: Address
    update: Update
    over: asyncio.Event = field(default_factory=asyncio.Event)
    typing: asyncio.Task[None] | None = None
    placing: asyncio.Task[None] | None = None
    placeholder: Sent | None = None

    @property
    def text(self) -> str:
        draft = f"{self.update.text} …".strip()
        return draft[:_LONGEST_DRAFT] if self.update.stage is Stage.WRITING else progress_text(self.update)


class ProgressDisplay:
    """Shows the progress of questions, each by a typing sign and a placeholder that is edited at intervals."""

    def __init__(self, sender: Sender, parts: PartStore, longest_seconds: float) -> None:
        """`longest_seconds`: for how long at most progress is shown for one question."""
        self._sender = sender
        self._parts = parts
        self._longest = longest_seconds
        self._showing: dict[tuple[str, str, str], _Showing] = {}

    def show(self, address: Address, update: Update) -> None:
        """Show the latest progress of a question; the first call for a question starts the display."""
        showing = self._showing.get(address.key)
        if showing is not None:
            showing.update = update
            return
        showing = self._showing[address.key] = _Showing(address, update)
        showing.typing = asyncio.create_task(self._type(showing))
        showing.placing = asyncio.create_task(self._hold_place(showing))

    async def end(self, address: Address) -> Sent | None:
        """Stop the display of a question, and return its placeholder if it has one. Nothing is shown after that."""
        showing = self._showing.pop(address.key, None)
        if showing is None:
            return None
        showing.over.set()
        if showing.typing:
            showing.typing.cancel()
        if showing.placing:  # not cancelled: a placeholder that was sent must be noted
            await asyncio.wait((showing.placing,))
        return showing.placeholder

    async def end_all(self, author: str) -> None:
        """Stop the displays of the questions of one author, and delete their placeholders."""
        theirs = [showing.address for showing in self._showing.values() if showing.address.details["author"] == author]
        for address in theirs:
            if (placeholder := await self.end(address)) is not None:
                await self._sender.delete(placeholder)

    async def close(self) -> None:
        """Stop every display. A placeholder that is being sent has a moment to be noted."""
        placing = []
        for showing in self._showing.values():
            showing.over.set()
            if showing.typing:
                showing.typing.cancel()
            if showing.placing:
                placing.append(showing.placing)
        if placing:
            _, late = await asyncio.wait(placing, timeout=_CLOSING)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _type(self, showing: _Showing) -> None:
        """Renew the typing sign before it ends."""
        place = place_of_answer(showing.address)
        until = time.monotonic() + self._longest
        await asyncio.sleep(_TYPING_AFTER)
        while time.monotonic() < until:
            await self._sender.typing(place)
            await asyncio.sleep(_TYPING_LASTS)

    async def _hold_place(self, showing: _Showing) -> None:
        """Send the placeholder, and edit it whenever the progress has changed."""
        until = time.monotonic() + self._longest
        pause, shown = _PLACEHOLDER_AFTER, ""
        while time.monotonic() < until and not await _set_within(showing.over, pause):
            text = showing.text
            if showing.placeholder is None:
                if not await self._send_placeholder(showing, text):
                    return
            elif text != shown:
                await self._sender.edit_if_possible(showing.placeholder, text)
            pause, shown = _BETWEEN_EDITS, text
        if not showing.over.is_set():
            self._showing.pop(showing.address.key, None)

    async def _send_placeholder(self, showing: _Showing, text: str) -> bool:
        """Try to send the placeholder. Returns False if none is to be sent any more.

        That is so if the answer edits or repeats a message or isn't wanted any more, if the journal failed, and if the
        placeholder may have arrived: nothing is known of it then, and each further one might stand beside it.
        """
        try:
            if not await self._parts.takes_placeholder(showing.address):
                return False
            showing.placeholder = await self._sender.placeholder(place_of_answer(showing.address), text)
            if showing.placeholder is not None and not await self._parts.placed(
                showing.address, str(showing.placeholder)
            ):
                await self._sender.delete(showing.placeholder)  # the question was withdrawn meanwhile
                return False
        except (StorageError, NetworkError):
            return False
        return True


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait until the event is set, for `seconds` at most. Returns whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
