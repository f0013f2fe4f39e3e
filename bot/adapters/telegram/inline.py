"""Inline queries: `@bot words`, typed in any chat, offers the best passages to be put into that chat with their sources."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog
from telegram import InlineQuery
from telegram.error import TelegramError

from bot.adapters.telegram.rendering import inline_result
from bot.core.errors import BotError
from bot.core.messages import Citation

_log = structlog.stdlib.get_logger(__name__)
Search = Callable[[str], Awaitable[Sequence[Citation]]]
"""Finds passages for a text, best first."""
# A query comes with every letter that is typed; one is answered when no other follows within this time.
_SETTLED = 0.3  # seconds
_SHORTEST = 3  # characters
_CACHED = 30  # seconds that the service may answer the same query by itself


class InlineQueries:
    """Answers inline queries in the background."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._latest: dict[int, asyncio.Task[None]] = {}  # by user

    def take(self, query: InlineQuery) -> None:
        """Answer a query, unless another one of the same person comes within a moment."""
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
                found = await self._search(text)
            except BotError as error:  # busy, or no index: the next query may succeed
                _log.warning("no passages for an inline query", error=type(error).__name__)
                cached = 0
        results = [inline_result(number, citation) for number, citation in enumerate(found)]
        try:
            await query.answer(results, cache_time=cached, is_personal=False)
        except TelegramError as error:  # too late: another query has come, or the service was slow
            _log.debug("an inline query was not answered", error=type(error).__name__)
