"""Shows that an answer is coming: "typing" after a moment, and a placeholder after two seconds, which the answer replaces.

Neither outlives its question: both end when the answer comes, and by themselves when it takes longer than any may take.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bot.adapters.layout import STARTING
from bot.adapters.telegram.outgoing import Place, Sender, Sent
from bot.core.errors import StorageError
from bot.core.messages import Address, Stage, Update

# Most answers come before this; a call for each of them would be for nothing.
_TYPING_AFTER = 0.4  # seconds
_TYPING_LASTS = 4.5  # seconds, a little less than the service shows it
_PLACEHOLDER_AFTER = 2.0  # seconds
_BETWEEN_EDITS = 3.0  # seconds
_LONGEST_DRAFT = 3500  # characters
_STAGES = {
    Stage.STARTING: STARTING,
    Stage.QUEUED: "Number {text} in the line…",
    Stage.SEARCHING: "Searching the documents…",
    Stage.READING: "Reading what was found…",
    Stage.WRITING: "{text} …",
}


@dataclass(eq=False, slots=True)
class _Showing:
    address: Address
    update: Update
    over: asyncio.Event = field(default_factory=asyncio.Event)
    typing: asyncio.Task[None] | None = None
    placing: asyncio.Task[None] | None = None
    placeholder: Sent | None = None

    @property
    def text(self) -> str:
        return _STAGES[self.update.stage].format(text=self.update.text).strip()[:_LONGEST_DRAFT]


class Presence:
    def __init__(
        self,
        sender: Sender,
        *,
        place: Callable[[Address], Awaitable[str | None]],
        placed: Callable[[Address, str], Awaitable[None]],
        longest_seconds: float,
    ) -> None:
        """`place` knows, also after a restart, whether a message stands there already that the answer will replace, and
        `placed` notes that one does; `longest_seconds` ends what is shown in any case."""
        self._sender = sender
        self._place = place
        self._placed = placed
        self._longest = longest_seconds
        self._showing: dict[tuple[str, str, str], _Showing] = {}

    def show(self, address: Address, update: Update) -> None:
        """Begin to show that a question is worked on, or show how far it has come."""
        showing = self._showing.get(address.key)
        if showing is not None:
            showing.update = update
            return
        showing = self._showing[address.key] = _Showing(address, update)
        showing.typing = asyncio.create_task(self._type(showing))
        showing.placing = asyncio.create_task(self._hold_place(showing))

    async def end(self, address: Address) -> Sent | None:
        """Show nothing more, once this returns; the placeholder if there is one."""
        showing = self._showing.pop(address.key, None)
        if showing is None:
            return None
        showing.over.set()
        if showing.typing:
            showing.typing.cancel()
        if showing.placing:  # not cancelled: a placeholder that was sent must be known
            await asyncio.wait((showing.placing,))
        return showing.placeholder

    async def end_all(self, author: str) -> None:
        """End what is shown for the questions of one author, and take the placeholders away."""
        theirs = [showing.address for showing in self._showing.values() if showing.address.details["author"] == author]
        for address in theirs:
            if (placeholder := await self.end(address)) is not None:
                await self._sender.delete(placeholder)

    async def _type(self, showing: _Showing) -> None:
        place = place_of(showing.address)
        until = time.monotonic() + self._longest
        await asyncio.sleep(_TYPING_AFTER)
        while time.monotonic() < until:
            await self._sender.typing(place)
            await asyncio.sleep(_TYPING_LASTS)

    async def _hold_place(self, showing: _Showing) -> None:
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
        """Send it if there is a turn; False where none is needed, or could not be noted."""
        try:
            if await self._place(showing.address) is not None:
                return False
            showing.placeholder = await self._sender.placeholder(place_of(showing.address), text)
            if showing.placeholder is not None:
                await self._placed(showing.address, str(showing.placeholder))
        except StorageError:
            return False
        return True


def place_of(address: Address) -> Place:
    """Where the answer to a question belongs; in a private chat it replies to the question only if that is long ago."""
    replies = not address.details["private"] or address.details["late"]
    return Place(int(address.chat), address.details["topic"], int(address.message) if replies else None)


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
