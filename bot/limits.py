"""How many questions one person and one chat may ask in a while. Counted in memory: a restart begins anew.

Who has no id is not limited: programs that ask by HTTP without naming a user.
"""

import time

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from bot.errors import RateLimited
from bot.messages import Question
from bot.settings import LimitsSettings


class QuestionLimits:
    def __init__(self, settings: LimitsSettings) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._author = _item(settings.author_questions, settings.window_seconds)
        self._chat = _item(settings.chat_questions, settings.window_seconds)

    async def count(self, question: Question) -> None:
        """Count a question. Raises RateLimited, and doesn't count it, where its author or its chat has asked too many."""
        address = question.address
        for item, *who in (
            (self._author, "author", address.platform, question.author),
            (self._chat, "chat", address.platform, address.chat),
        ):
            if item is not None and who[-1] and not await self._limiter.hit(item, *who):
                window = await self._limiter.get_window_stats(item, *who)
                raise RateLimited(window.reset_time - time.time())


def _item(count: int, seconds: int) -> RateLimitItemPerSecond | None:
    return RateLimitItemPerSecond(count, seconds) if count else None
