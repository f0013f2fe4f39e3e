"""Limits on how many questions one author and one chat may ask within a minute.

They are counted in memory, so a restart begins anew, and by the monotonic clock: a clock that is set back would lock people out
until it has caught up. Authors without an id are not limited: programs that ask by HTTP without naming a user.
"""

import time
from collections import deque
from collections.abc import Callable

from bot.core.errors import RateLimited
from bot.core.messages import Question
from bot.core.settings import LimitsSettings

_WINDOW = 60.0  # seconds over which questions are counted
_Flow = tuple[str, str, str]  # ("author" or "chat", platform, id)


class QuestionLimits:
    """Counts questions by author and by chat, and refuses those that are too many."""

    def __init__(self, settings: LimitsSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._asked: dict[_Flow, deque[float]] = {}  # when, within the window, oldest first
        self._cleared_at = clock()

    def count(self, question: Question) -> None:
        """Count a question. Raises RateLimited, and doesn't count it, where its author or its chat has asked too many."""
        now, window = self._clock(), _WINDOW
        self._clear(now - window)
        limits = self._limits(question)
        for flow, most in limits.items():
            asked = self._asked.setdefault(flow, deque())
            while asked and asked[0] <= now - window:
                asked.popleft()
            if len(asked) >= most:
                raise RateLimited(asked[len(asked) - most] + window - now)
        for flow in limits:
            self._asked[flow].append(now)

    def take_back(self, question: Question) -> None:
        """Undo the counting of a question that was a repeated event."""
        for flow in self._limits(question):
            if asked := self._asked.get(flow):
                asked.pop()

    def _limits(self, question: Question) -> dict[_Flow, int]:
        """How many questions the author and the chat may ask, as far as they are limited."""
        platform, chat, author = question.address.platform, question.address.chat, question.author
        most = {
            ("author", platform, author): self._settings.author_questions,
            ("chat", platform, chat): self._settings.chat_questions,
        }
        return {flow: count for flow, count in most.items() if count and flow[-1]}

    def _clear(self, until: float) -> None:
        """Once a window, forget the authors and chats that have asked nothing since `until`."""
        if self._cleared_at <= until:
            self._asked = {flow: asked for flow, asked in self._asked.items() if asked and asked[-1] > until}
            self._cleared_at = self._clock()
