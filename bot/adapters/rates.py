"""Rates: how often something may happen, and the limits on replies that are no answers.

Times are seconds of time.monotonic(), so that a clock that is set anew delays nothing.
"""

import time
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field

from bot.adapters.outcomes import MessageOutcome
from bot.adapters.recent import Recent

_REMEMBERED = 5000  # people, and chats, whose replies are counted


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` within `seconds`."""

    count: int
    seconds: float


@dataclass(slots=True)
class Window:
    """The times of the latest events under one rate."""

    rate: Rate
    events: deque[float] = field(default_factory=deque)

    def wait(self, now: float) -> float:
        """Return the seconds until one more may happen."""
        while self.events and self.events[0] <= now - self.rate.seconds:
            self.events.popleft()
        return self.events[0] + self.rate.seconds - now if len(self.events) >= self.rate.count else 0.0

    def count(self, now: float) -> None:
        """Count an event."""
        self.events.append(now)


class ReplyLimits:
    """Limits replies that are no answers, such as hints, help and refusals, by person and by chat.

    They share the chat's message rate with the answers: without a limit, one person who calls for many replies holds up the
    answers to everybody else.
    """

    def __init__(self, *, person: Rate, chat: Rate) -> None:
        """`person`: the rate of replies to one person in one chat; `chat`: the rate of those to all people in it."""
        self._person = person
        self._chat = chat
        self._windows = Recent[Hashable, Window](_REMEMBERED)
        self.left_out = 0

    def take(self, chat: Hashable, person: Hashable) -> MessageOutcome:
        """Count a reply to a person in a chat and return REPLIED.

        If a limit is reached, count nothing and return PERSON_LIMITED or CHAT_LIMITED: the reply is to be left out.
        """
        now = time.monotonic()
        of_person, of_chat = self._window((chat, person), self._person), self._window(chat, self._chat)
        if of_person.wait(now) > 0 or of_chat.wait(now) > 0:
            self.left_out += 1
            return MessageOutcome.PERSON_LIMITED if of_person.wait(now) > 0 else MessageOutcome.CHAT_LIMITED
        of_person.count(now)
        of_chat.count(now)
        return MessageOutcome.REPLIED

    def _window(self, of: Hashable, rate: Rate) -> Window:
        window = self._windows.get(of)
        if window is None:
            window = Window(rate)
        self._windows[of] = window  # it is forgotten last
        return window
