"""Limits on how many questions one author and one chat may ask within a minute.

A question counts by the time at which it was asked, so that those of a day on which the bot was away are not too many at
once. The counts are in memory, so a restart begins anew. Times are those of the monotonic clock: a clock that is set back would
lock people out until it has caught up. Authors without an id are not limited here: they are callers by HTTP without a user
name, who are limited by address.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bot.core import clock
from bot.core.errors import RateLimited
from bot.core.messages import Question
from bot.core.settings import LimitsSettings

_WINDOW = 60.0  # seconds over which questions are counted
_Flow = tuple[str, str, str]  # ("author" or "chat", platform, id)


@dataclass(slots=True)
class _Counted:
    """When the questions of one flow were asked, in the order of their arrival, and when the last of them arrived."""

    asked: list[float] = field(default_factory=list)
    last_came: float = 0.0

    def since(self, at: float, window: float) -> list[float]:
        """Return the times within the window before `at`, the earliest first, without those asked later by more than a window.

        Those before the window are forgotten: questions come in order, but for those of several chats after an absence.
        """
        self.asked = [one for one in self.asked if one > at - window]
        return sorted(one for one in self.asked if one < at + window)


class QuestionLimits:
    """Counts questions by author and by chat, and refuses questions above the limits."""

    def __init__(self, settings: LimitsSettings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._counted: dict[_Flow, _Counted] = {}
        self._cleared_at = monotonic()

    def count(self, question: Question) -> None:
        """Count a question. Raises RateLimited, and doesn't count it, where its author or its chat has asked too many."""
        now, window = self._monotonic(), _WINDOW
        asked_at = now - max(0.0, clock.now() - question.received_at.timestamp())
        self._clear(now - window)
        limits = self._limits(question)
        for flow, most in limits.items():
            near = self._counted.setdefault(flow, _Counted()).since(asked_at, window)
            if len(near) >= most:
                raise RateLimited(near[len(near) - most] + window - asked_at)
        for flow in limits:
            self._counted[flow].asked.append(asked_at)
            self._counted[flow].last_came = now

    def take_back(self, question: Question) -> None:
        """Undo the counting of a question that was a repeated event."""
        for flow in self._limits(question):
            if (counted := self._counted.get(flow)) and counted.asked:
                counted.asked.pop()

    def _limits(self, question: Question) -> dict[_Flow, int]:
        """Return the limits of the author and of the chat, as far as they are limited."""
        platform, chat, author = question.address.platform, question.address.chat, question.author
        most = {
            ("author", platform, author): self._settings.author_questions,
            ("chat", platform, chat): self._settings.chat_questions,
        }
        return {flow: count for flow, count in most.items() if count and flow[-1]}

    def _clear(self, until: float) -> None:
        """Once a window, forget the authors and chats from which nothing has come since `until`."""
        if self._cleared_at <= until:
            self._counted = {flow: counted for flow, counted in self._counted.items() if counted.last_came > until}
            self._cleared_at = self._monotonic()
