"""The fair scheduler: which question gets the next free slot, so that nobody waits for everything that somebody else has asked.

Start-time fair queueing (Goyal, Vin, Cheng, 1996) over two flows, the author and the chat. Each question has a tag, the virtual
time at which it is due, and the lowest tag goes first. A question is due one step after the last one of the same author; a
chat, in which several people ask, may ask several times as much before it has to step back. An author who has asked nothing
lately is due at once, however many questions of others wait. Virtual time goes on by one step while as many slots are given as
questions wait (weighted fair queueing: Demers, Keshav, Shenker, 1989), so that an endless stream of new authors doesn't delay
the earlier ones for ever.

A question that is due at once goes first: its author and its chat have asked nothing lately. If no slot is free it gets one of
a few extra slots, for the first of the line would still wait until one of those under way is answered.
"""

import asyncio
import time
from bisect import bisect_left, insort
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

# A chat may ask as much as so many people before it has to step back.
_PEOPLE_IN_A_CHAT = 4
# How much the latest slot given counts in the pace.
_NEW_SHARE = 0.05


@dataclass(order=True, slots=True)
class _Waiting:
    tag: float
    number: int  # the order of equal tags
    granted: asyncio.Future[None] = field(compare=False)
    moved: Callable[[int], None] = field(compare=False)
    shown: int = field(compare=False, default=0)  # the position that `moved` was called with last


class FairScheduler:
    """Gives a limited number of slots to questions. Runs on the event loop, and is not thread-safe."""

    def __init__(self, parallel: int, extra: int = 0) -> None:
        """Make `parallel` slots, and `extra` further ones for questions that go first."""
        self._parallel = self._free = parallel
        self._extra = extra  # those that are free
        self._line: list[_Waiting] = []  # in order
        self._now = 0.0  # the virtual time
        self._due: dict[Hashable, float] = {}  # the virtual time at which the next question of a flow is due
        self._count = 0
        self._last_given = time.monotonic()
        self._pace = 0.0  # seconds between two slots given while there is a line; 0 before there was one

    def expected_wait(self, author: Hashable, chat: Hashable) -> float:
        """Return the seconds until a question that came now would get a slot, at the present pace."""
        if self._free > 0 or (self._extra > 0 and self._goes_first(author, chat)):
            return 0.0
        ahead = bisect_left(self._line, self._tag(author, chat), key=lambda waiting: waiting.tag)
        standing = (time.monotonic() - self._last_given) / self._parallel if self._line else 0.0
        return (ahead + 1) * max(self._pace, standing)

    @asynccontextmanager
    async def slot(self, author: Hashable, chat: Hashable, moved: Callable[[int], None]) -> AsyncIterator[bool]:
        """Wait for a slot and hold it. Yields whether the question goes first. `moved` is called with the position in the line
        (1: next), at first and whenever it has halved; it must return at once."""
        first = self._goes_first(author, chat)
        extra = first and self._free == 0 and self._extra > 0
        tag = self._note(author, chat)
        if extra:
            self._extra -= 1
        else:
            await self._take(tag, moved)
        try:
            yield first
        finally:
            if extra:
                self._extra += 1
            else:
                self._free += 1
                self._give()

    def _goes_first(self, author: Hashable, chat: Hashable) -> bool:
        return self._tag(author, chat) <= self._now

    def _note(self, author: Hashable, chat: Hashable) -> float:
        """Note a question of an author and a chat. Returns its tag."""
        tag = self._tag(author, chat)
        of_author, of_chat = (max(self._now, self._due.get(flow, 0.0)) for flow in (author, chat))
        self._due[author] = of_author + 1
        self._due[chat] = of_chat + 1 / _PEOPLE_IN_A_CHAT / (1 + of_author - self._now)
        return tag

    async def _take(self, tag: float, moved: Callable[[int], None]) -> None:
        if self._free > 0:
            self._free -= 1
            self._now = max(self._now, tag)
            return
        if not self._line:
            self._last_given = time.monotonic()
        self._count += 1
        waiting = _Waiting(tag, self._count, asyncio.get_running_loop().create_future(), moved)
        insort(self._line, waiting)
        self._show(waiting, self._line.index(waiting) + 1)
        try:
            await waiting.granted
        except asyncio.CancelledError:
            if waiting.granted.done() and not waiting.granted.cancelled():  # granted and given up in the same moment
                self._free += 1
                self._give()
            elif waiting in self._line:  # otherwise `_give` has taken it out in the same moment
                self._line.remove(waiting)
            raise

    def _tag(self, author: Hashable, chat: Hashable) -> float:
        return max(self._now, self._due.get(author, 0.0), self._due.get(chat, 0.0))

    def _give(self) -> None:
        """Give the free slots to the questions that are next."""
        while self._free > 0 and self._line:
            waiting = self._line.pop(0)
            if waiting.granted.cancelled():  # given up, and not taken out of the line yet
                continue
            self._free -= 1
            self._now = max(self._now + 1 / (len(self._line) + 1), waiting.tag)
            waiting.granted.set_result(None)
            self._measure()
        for position, waiting in enumerate(self._line, start=1):
            self._show(waiting, position)
        if not self._line:  # nobody has to step back for what was asked when nobody waited
            self._due.clear()

    def _measure(self) -> None:
        now = time.monotonic()
        seconds, self._last_given = now - self._last_given, now
        self._pace = seconds if not self._pace else self._pace + _NEW_SHARE * (seconds - self._pace)

    @staticmethod
    def _show(waiting: _Waiting, position: int) -> None:
        if not waiting.shown or position <= waiting.shown / 2:
            waiting.shown = position
            waiting.moved(position)
