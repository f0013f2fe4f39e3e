"""Inline queries: `@bot words`, typed in any chat, offers the best passages, with sources, to be put into that chat."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog
from telegram import InlineQuery
from telegram.error import TelegramError

from bot.adapters.rates import Rate, Window
from bot.adapters.recent import Recent
from bot.adapters.telegram.rendering import inline_result
from bot.core.errors import BotError, EngineBusy, RateLimited
from bot.core.messages import Citation

_log = structlog.stdlib.get_logger(__name__)
Search = Callable[[str], Awaitable[Sequence[Citation]]]
"""Finds passages for a text, best first."""
# A query comes with every letter that is typed; one is answered when no other follows within this time.
_SETTLED = 0.3  # seconds
_SHORTEST = 3  # characters
_CACHED = 30  # seconds that the service may answer the same query by itself
# A search takes the machine as long as a question does. More than these are answered with nothing.
_PERSON = Rate(60, 60.0)  # by one person, who types without a break
_MOST_AT_ONCE = 4  # by all together
_REMEMBERED = 5000  # people whose searches are counted


class InlineQueries:
    """Answers inline queries in the background."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._latest: dict[int, asyncio.Task[None]] = {}  # by user
        self._searched = Recent[int, Window](_REMEMBERED)  # by user
        self._searching = 0

    def take(self, query: InlineQuery) -> None:
        """Answer a query, unless another one of the same person follows within 0.3 seconds."""
        if earlier := self._latest.get(query.from_user.id):
            earlier.cancel()
        task = self._latest[query.from_user.id] = asyncio.create_task(self._answer(query))
        task.add_done_callback(lambda done: self._forget(query.from_user.id, done))

    def _forget(self, user: int, done: "asyncio.Task[None]") -> None:
        if self._latest.get(user) is done:
            del self._latest[user]
        if not done.cancelled() and (error := done.exception()):
            _log.error("an inline query failed", error=type(error).__name__)

    async def _answer(self, query: InlineQuery) -> None:
        text = query.query.strip()
        found: Sequence[Citation] = ()
        cached = _CACHED
        if len(text) >= _SHORTEST:
            await asyncio.sleep(_SETTLED)
            try:
                found = await self._search_within_limits(query.from_user.id, text)
            except BotError as error:  # busy, or no index: the next query may succeed
                _log.debug("no passages for an inline query", error=type(error).__name__)
                cached = 0
        results = [inline_result(number, citation) for number, citation in enumerate(found)]
        try:
            await query.answer(results, cache_time=cached, is_personal=False)
        except TelegramError as error:  # too late: another query has come, or the service was slow
            _log.debug("an inline query was not answered", error=type(error).__name__)

    async def _search_within_limits(self, user: int, text: str) -> Sequence[Citation]:
        """Search. Raises RateLimited if the person searches too often, and EngineBusy if too many search at once."""
        now = time.monotonic()
        searched = self._searched.get(user, Window(_PERSON))
        if (wait := searched.wait(now)) > 0:
            raise RateLimited(wait)
        if self._searching >= _MOST_AT_ONCE:
            raise EngineBusy(self._searching)
        searched.count(now)
        self._searched[user] = searched
        self._searching += 1
        try:
            return await self._search(text)
        finally:
            self._searching -= 1
