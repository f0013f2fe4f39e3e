"""Flood control: limits how often the bot sends and edits, and keeps the waits that the service asks for.

The service allows about one message a second in a chat, 20 a minute in a group and 30 a second in all; edits count. Each chat
waits by itself and holds up no other, and a fair queue serves the people in it. Times are seconds of time.monotonic().
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

from bot.adapters.rates import Rate, Window
from bot.core.text import counted
from bot.observability import metrics
from bot.questions.scheduler import FairScheduler

# A little less than the service allows, because messages that leave evenly may arrive unevenly.
CHAT_RATE = Rate(3, 3.5)
GROUP_RATE = Rate(18, 61.0)
OVERALL_RATE = Rate(25, 1.1)
# Typing signs in all chats: each is a call of its own, behind which answers wait where hundreds of questions do.
TYPING_RATE = Rate(10, 1.0)
# Chats that have been quiet for this long are forgotten.
_QUIET = 120.0


def seconds(duration: timedelta | int) -> float:
    """Return a duration in seconds; its type depends on the version of the library."""
    return duration.total_seconds() if isinstance(duration, timedelta) else float(duration)


@dataclass(slots=True)
class _Chat:
    windows: tuple[Window, ...]
    scheduler: FairScheduler = field(default_factory=lambda: FairScheduler(1))
    waiting: int = 0  # messages that wait for the slot or hold it
    not_before: float = 0.0  # the end of the wait that the service has asked for


class FloodControl:
    """A rate limiter for messages, by chat and over all chats.

    `counts`: messages that `waited`, whole seconds (`seconds_waited`), and messages that the service `refused`.
    """

    def __init__(self) -> None:
        self._overall = Window(OVERALL_RATE)
        self._typing = Window(TYPING_RATE)
        self._chats: dict[int, _Chat] = {}
        self.counts: Counter[str] = Counter()
        self._waited = 0.0

    async def acquire(self, chat: int, person: str = "") -> None:
        """Wait until something may be sent to the chat for a person, and count it as sent.

        The queue of a chat is fair between people, so that messages for one don't wait for all that are for another.
        """
        known = self._chat(chat)
        started = time.monotonic()
        known.waiting += 1
        try:
            async with known.scheduler.slot(("person", person), "chat", lambda _place: None):
                while (wait := self._wait(known)) > 0:  # noqa: ASYNC110  (time is what is waited for)
                    await asyncio.sleep(wait)
                self._count(known)
        finally:
            known.waiting -= 1
        if (waited := time.monotonic() - started) > 0.01:
            metrics.FLOOD_WAITS.labels("telegram").inc()
            metrics.FLOOD_WAIT_SECONDS.labels("telegram").inc(waited)
            self._waited += waited
            self.counts["waited"] += 1
            self.counts["seconds_waited"] = round(self._waited)

    def try_acquire(self, chat: int) -> bool:
        """Count an optional message as sent, if it may be sent to the chat now. Returns False if it may not."""
        if self.must_wait(chat):
            return False
        self._count(self._chat(chat))
        return True

    def try_typing(self, chat: int) -> bool:
        """Count a typing sign, if one may be shown in the chat now. Returns False if it may not."""
        now = time.monotonic()
        if self._chat(chat).not_before > now or self._typing.wait(now) > 0:
            return False
        self._typing.count(now)
        return True

    def must_wait(self, chat: int) -> bool:
        """Whether a message to the chat would have to wait now."""
        known = self._chat(chat)
        return known.waiting > 0 or self._wait(known) > 0

    def refused(self, chat: int, seconds: float) -> None:
        """Send nothing to the chat for `seconds`, because the service refused a message."""
        known = self._chat(chat)
        known.not_before = max(known.not_before, time.monotonic() + seconds)
        self.counts["refused"] += 1

    def describe(self) -> str:
        """Return the counts in one line for an operator."""
        waited = counted(self.counts["waited"], "message")
        return (
            f"flood control: {waited} waited, {self.counts['seconds_waited']} s in all, "
            f"{self.counts['refused']} refused by the service"
        )

    def _wait(self, chat: _Chat) -> float:
        now = time.monotonic()
        return max(chat.not_before - now, self._overall.wait(now), *(window.wait(now) for window in chat.windows))

    def _count(self, chat: _Chat) -> None:
        for window in (self._overall, *chat.windows):
            window.count(time.monotonic())

    def _chat(self, chat: int) -> _Chat:
        if chat not in self._chats:
            self._forget_quiet_ones()
            group = chat < 0  # as the ids of groups are
            windows = (Window(CHAT_RATE), Window(GROUP_RATE)) if group else (Window(CHAT_RATE),)
            self._chats[chat] = _Chat(windows)
        return self._chats[chat]

    def _forget_quiet_ones(self) -> None:
        now = time.monotonic()
        for chat, known in list(self._chats.items()):
            last = max((sent for window in known.windows for sent in window.events), default=0.0)
            if now - max(last, known.not_before) > _QUIET and not known.waiting:
                del self._chats[chat]
