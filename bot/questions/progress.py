"""Progress of one question on its way to the adapter."""

import asyncio
from collections.abc import Callable, Coroutine

import structlog

from bot.core.messages import Adapter, Address, Update

_log = structlog.stdlib.get_logger(__name__)
# Seconds that an update which is being shown may still take when the answer is ready.
_LAST_UPDATE = 10.0

StartTask = Callable[[Coroutine[None, None, None], str], "asyncio.Task[None]"]
"""(coroutine, name) -> the running task, which its owner keeps until it ends."""


class ProgressRelay:
    """Passes updates to an adapter in the background, one at a time, so that a slow platform delays no answer.

    While an update is being shown only the newest of the others waits.
    """

    def __init__(self, adapter: Adapter | None, address: Address, start: StartTask) -> None:
        """Relay updates about one question. `adapter`: None if the platform is not running; updates are dropped then."""
        self._adapter = adapter
        self._address = address
        self._start = start
        self._latest: Update | None = None
        self._sending: asyncio.Task[None] | None = None

    def __call__(self, update: Update) -> None:
        if self._adapter is None:
            return
        self._latest = update
        if self._sending is None:
            self._sending = self._start(self._send(self._adapter), f"progress:{self._address.platform}")

    def drop(self) -> None:
        """Show nothing more after the update that is being shown."""
        self._latest = None

    async def end(self) -> None:
        """Show nothing more, and wait for the update that is being shown: it must not arrive after the answer."""
        self.drop()
        if self._sending is not None:
            await asyncio.wait((self._sending,), timeout=_LAST_UPDATE)
            if self._sending is not None:
                self._sending.cancel()

    async def _send(self, adapter: Adapter) -> None:
        try:
            while self._latest is not None:
                update, self._latest = self._latest, None
                await adapter.progress(self._address, update)
        except Exception as error:
            _log.warning("progress not shown", platform=self._address.platform, error=type(error).__name__)
        finally:
            self._sending = None
