"""The work on one accepted question: how far it is, and how it is ended early."""

import asyncio
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

from bot.core.messages import Adapter, Address, Question, Superseded
from bot.questions.progress import ProgressRelay
from bot.storage.base import Pending


class Reason(Enum):
    """Why the work on a question is ended early."""

    STOPPED = "its author has stopped it"  # the answer says so
    DROPPED = "it was edited, deleted or forgotten"  # there is no answer


@dataclass(eq=False, slots=True)
class Work:
    """One accepted question and the asyncio task that works on it."""

    pending: Pending
    adapter: Adapter | None  # None: the platform is not running
    relay: ProgressRelay
    earlier: tuple["asyncio.Task[None]", ...]  # those that work on the questions before this one in its conversation
    taken_up: float = field(default_factory=time.monotonic)  # when its deadline began
    waited: float = 0.0  # seconds until the engine began
    answered: bool = False  # the engine is not needed any more
    reason: Reason | None = None
    task: "asyncio.Task[None] | None" = None
    _sending: bool = False

    def __post_init__(self) -> None:
        self.answered = self.pending.answer is not None

    @property
    def question(self) -> Question:
        return self.pending.question

    @property
    def address(self) -> Address:
        return self.pending.question.address

    def end(self, reason: Reason) -> None:
        """Cancel the task for a reason. A message that is being sent goes out and is noted first, see `sending`."""
        self.reason = reason
        asyncio.get_running_loop().call_soon(self._cancel)  # once the task has begun, so that it can handle it

    async def dropped(self) -> None:
        """Drop the question, and wait until nothing more happens for it."""
        self.end(Reason.DROPPED)
        if self.task is not None:
            await asyncio.wait((self.task,))

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Keep `end` from cancelling the task while a message may go out: a message that is not noted could not be
        deleted. Raises Superseded afterwards if the question was dropped meanwhile."""
        self._sending = True
        try:
            yield
        finally:
            self._sending = False
        if self.reason is Reason.DROPPED:
            raise Superseded

    def _cancel(self) -> None:
        too_late = self.reason is Reason.STOPPED and self.answered
        if self.task is not None and not self._sending and not too_late:
            self.task.cancel()

    async def earlier_ended(self) -> None:
        """Wait until the questions before this one in its conversation need nothing more."""
        if self.earlier:
            await asyncio.wait(self.earlier)


def flows(question: Question) -> tuple[Hashable, Hashable]:
    """Return the author and the chat of a question: the flows between which capacity and slots are shared fairly."""
    platform = question.address.platform
    return ("author", platform, question.author), ("chat", platform, question.address.chat)
