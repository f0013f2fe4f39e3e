"""Inline queries: `@bot words` in any chat shows the best passages, to be put into that chat with their source."""

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
# A query comes with every letter that is typed: the last one within this time counts.
_SETTLED = 0.3  # seconds
_SHORTEST = 3  # characters
_CACHED = 30  # seconds that the service may answer the same query by itself


class InlineQueries:
    def __init__(self, search: Search) -> None:
        self._search = search
        self._latest: dict[int, asyncio.Task[None]] = {}  # by user

    def take(self, query: InlineQuery) -> None:
        """Answer a query in a while, unless the same person types on."""
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
            except BotError as error:  # busy, or no index: the next letter may bring more
                _log.warning("no passages for an inline query", error=type(error).__name__)
                cached = 0
        results = [inline_result(number, citation) for number, citation in enumerate(found)]
        try:
            await query.answer(results, cache_time=cached, is_personal=False)
        except TelegramError as error:  # too late: somebody has typed on, or the service was slow
            _log.debug("an inline query was not answered", error=type(error).__name__)
