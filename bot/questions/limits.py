"""How many questions one person and one chat may ask in a while. Counted in memory: a restart begins anew.

By the monotonic clock: one that is set back would lock people out until it has caught up. Who has no id is not
limited: programs that ask by HTTP without naming a user.
"""

import time
from collections import deque
from collections.abc import Callable

from bot.core.errors import RateLimited
from bot.core.messages import Question
from bot.core.settings import LimitsSettings

_Who = tuple[str, str, str]


class QuestionLimits:
    def __init__(self, settings: LimitsSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._asked: dict[_Who, deque[float]] = {}  # when, within the window, oldest first
        self._cleared_at = clock()

    def count(self, question: Question) -> None:
        """Count a question. Raises RateLimited, and doesn't count it, where its author or its chat has asked too many."""
        now, window = self._clock(), self._settings.window_seconds
        self._clear(now - window)
        limits = self._limits(question)
        for who, most in limits.items():
            asked = self._asked.setdefault(who, deque())
            while asked and asked[0] <= now - window:
                asked.popleft()
            if len(asked) >= most:
                raise RateLimited(asked[len(asked) - most] + window - now)
        for who in limits:
            self._asked[who].append(now)

    def take_back(self, question: Question) -> None:
        """The question that was just counted was a repeated event."""
        for who in self._limits(question):
            if asked := self._asked.get(who):
                asked.pop()

    def _limits(self, question: Question) -> dict[_Who, int]:
        """How many questions each of those may ask who are limited."""
        platform, chat, author = question.address.platform, question.address.chat, question.author
        most = {
            ("author", platform, author): self._settings.author_questions,
            ("chat", platform, chat): self._settings.chat_questions,
        }
        return {who: count for who, count in most.items() if count and who[-1]}

    def _clear(self, until: float) -> None:
        """Once a window, forget those who have asked nothing since `until`."""
        if self._cleared_at <= until:
            self._asked = {who: asked for who, asked in self._asked.items() if asked and asked[-1] > until}
            self._cleared_at = self._clock()
