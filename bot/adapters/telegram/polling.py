"""Polling under a watchdog: fetches updates, hands them over, and then confirms them.

The library's own loop waits for ever when its connection pool hangs. Here a poll that overruns its time is cancelled and its
pool is built anew; if the next one hangs too, `run` raises, and the daemon starts the adapter again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import structlog
from telegram import Bot, Update
from telegram.error import Conflict, InvalidToken, RetryAfter, TelegramError
from telegram.request import BaseRequest, HTTPXRequest

from bot.adapters.telegram.flood import seconds
from bot.core.errors import StorageError
from bot.core.tls import trusted_certificates

_log = structlog.stdlib.get_logger(__name__)
WANTED = ("message", "edited_message", "callback_query", "inline_query", "my_chat_member")
# Updates fetched at once: the library reads all of them in one go on the event loop.
_BATCH = 20
# Seconds for which Telegram holds a poll that has no news: less than the half minute after which many proxies give up.
POLL_SECONDS = 25
# Seconds that a poll may take longer than the service was asked to wait; after that it hangs.
GRACE = 10.0
# Seconds for a pool to close; one that takes longer is abandoned.
_CLOSING = 2.0
# Times that the pool is rebuilt before the whole adapter is.
_MOST_REBUILDS = 1
_LONGEST_PAUSE = 15.0
# Seconds before polling again beside another bot that polls too, and after the journal could not be written.
_CONFLICT_PAUSE = 20.0
_STORAGE_PAUSE = 5.0


HandleUpdates = Callable[[Sequence[Update]], Awaitable[None]]
"""Takes updates in. When it returns they are durable; where it raises StorageError they are to come again."""


class PollingStalled(Exception):
    """No poll comes back, and a new connection pool doesn't help."""


@dataclass(slots=True)
class PollingHealth:
    """The state of polling. `since`: when the last poll came back, by time.monotonic(). `conflict`: another program polls."""

    since: float
    rebuilds: int = 0
    conflict: bool = False

    @property
    def silent_seconds(self) -> float:
        """Seconds since the last poll came back."""
        return time.monotonic() - self.since

    @property
    def silent(self) -> bool:
        """Whether the last poll is overdue."""
        return self.silent_seconds > POLL_SECONDS + GRACE


def polling_request() -> HTTPXRequest:
    """Return a connection pool of one connection for polling alone, which sending can't use up."""
    return HTTPXRequest(
        connection_pool_size=1,
        pool_timeout=5.0,
        connect_timeout=10.0,
        read_timeout=GRACE,
        httpx_kwargs={"verify": trusted_certificates()},
    )


class Poller:
    """Fetches updates until cancelled. `health` is kept up to date."""

    def __init__(self, bot: Bot, request: BaseRequest, handle: HandleUpdates) -> None:
        """`request` is the pool that `bot` polls through."""
        self._bot = bot
        self._request = request
        self._handle = handle
        self._offset: int | None = None
        self._failures = 0
        self._rebuilds = 0  # since the last poll that came back
        self.health = PollingHealth(time.monotonic())

    async def run(self) -> None:
        """Poll until cancelled. Raises InvalidToken, and PollingStalled."""
        while True:
            updates = await self._poll()
            try:
                await self._hand_over(updates)
            except StorageError as error:
                _log.error("updates can't be kept and will be fetched again", error=str(error))
                await asyncio.sleep(_STORAGE_PAUSE)

    async def _hand_over(self, updates: Sequence[Update]) -> None:
        if updates:
            await self._handle(updates)
            self._offset = updates[-1].update_id + 1

    async def _poll(self) -> Sequence[Update]:
        """Return the next updates; after a failure none, and after a pause."""
        try:
            async with asyncio.timeout(POLL_SECONDS + GRACE):
                updates = await self._fetch()
        except InvalidToken:
            raise
        except RetryAfter as error:
            await asyncio.sleep(seconds(error.retry_after))
        except Conflict:
            await self._yield_to_the_other()
        except TimeoutError:
            _log.warning("a poll hangs", seconds=POLL_SECONDS + GRACE)
            await self._rebuild()
        except TelegramError as error:
            await self._pause_after(error)
        else:
            self._came_back()
            return updates
        return ()

    async def _fetch(self) -> Sequence[Update]:
        try:
            return await self._bot.get_updates(self._offset, _BATCH, timeout=POLL_SECONDS, allowed_updates=WANTED)
        except TelegramError:
            raise
        except Exception:  # the library can't read one of them
            return await self._fetch_readable()

    async def _fetch_readable(self) -> Sequence[Update]:
        """Fetch the updates, with an empty one, to be confirmed too, for each that the library can't read."""
        offset = f"&offset={self._offset}" if self._offset is not None else ""
        raw = await self._request.post(f"{self._bot.base_url}/getUpdates?limit={_BATCH}{offset}")
        updates = []
        for data in cast("list[dict[str, Any]]", raw):
            try:
                updates.append(Update.de_json(data, self._bot))
            except Exception as error:
                _log.error(
                    "an update can't be read and is left out", update=data["update_id"], error=type(error).__name__
                )
                updates.append(Update(data["update_id"]))  # confirmed with the others
        return updates

    def _came_back(self) -> None:
        if self._failures or self._rebuilds or self.health.conflict:
            _log.info("polling works again", after_seconds=round(self.health.silent_seconds))
        self._failures = self._rebuilds = 0
        self.health.since = time.monotonic()
        self.health.conflict = False

    async def _yield_to_the_other(self) -> None:
        """Pause, because another program polls with the same token: each message reaches one of the two only."""
        if not self.health.conflict:
            _log.error(
                "another program polls with this bot's token, or has set a webhook: stop the other one, or give this one "
                "a token of its own from @BotFather"
            )
        self.health.conflict = True
        self.health.since = time.monotonic()  # the service answers
        await asyncio.sleep(_CONFLICT_PAUSE)

    async def _pause_after(self, error: TelegramError) -> None:
        self._failures += 1
        silent = self.health.silent_seconds
        pause = min(_LONGEST_PAUSE, 0.5 * 2 ** min(self._failures, 10))
        _log.warning("a poll failed", error=type(error).__name__, silent_seconds=round(silent), retry_seconds=pause)
        if silent > (self._rebuilds + 1) * (POLL_SECONDS + GRACE):
            await self._rebuild()
        await asyncio.sleep(pause)

    async def _rebuild(self) -> None:
        """Build the connection pool anew. Raises PollingStalled, with the pool closed, if that was tried before."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING):
                await self._request.shutdown()
        if self._rebuilds >= _MOST_REBUILDS:
            raise PollingStalled
        self._rebuilds += 1
        self.health.rebuilds += 1
        await self._request.initialize()
        _log.warning("the connection pool for polling is built anew", rebuilds=self.health.rebuilds)
