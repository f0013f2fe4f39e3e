"""Short replies to messages, such as help or a refusal, and the background tasks of the adapter."""

import asyncio
from collections.abc import Awaitable, Coroutine

import structlog
from telegram import Message
from telegram.error import TelegramError

from bot.adapters.telegram.formatting import plain, split
from bot.adapters.telegram.places import place_of_reply
from bot.adapters.telegram.sending import Sender
from bot.core.errors import Undeliverable
from bot.core.messages import NotSent

_log = structlog.stdlib.get_logger(__name__)
# Seconds for which confirming updates waits for short replies to them.
_SETTLING = 1.5


class Background:
    """Tasks that run beside the handling of updates, until they end or the adapter is closed."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._short: set[asyncio.Task[None]] = set()

    @property
    def idle(self) -> bool:
        """Whether no task is running."""
        return not self._tasks

    def start(self, work: Coroutine[None, None, None], *, long: bool = False) -> None:
        """Run `work` as a task. `settle` doesn't wait for a long one."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if not long:
            self._short.add(task)

    async def settle(self) -> None:
        """Wait a moment for the short tasks that were started since the last call."""
        if self._short:
            await asyncio.wait(self._short, timeout=_SETTLING)
            self._short.clear()

    async def close(self) -> None:
        """Cancel every task and wait until all have ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Replies:
    """Replies to messages in the background. A reply that can't be sent is dropped and logged."""

    def __init__(self, sender: Sender, background: Background) -> None:
        self._sender = sender
        self._background = background

    def say(self, message: Message, text: str) -> None:
        """Reply with `text`; an empty one sends nothing."""
        self._background.start(self._send(message, text))

    def say_result(self, message: Message, work: Awaitable[str]) -> None:
        """Run `work`, which may take long, and reply with the text that it returns."""
        self._background.start(self._send_result(message, work), long=True)

    async def _send_result(self, message: Message, work: Awaitable[str]) -> None:
        await self._send(message, await work)

    async def _send(self, message: Message, text: str) -> None:
        place = place_of_reply(message)
        try:
            for part in split(plain(text)) if text else ():
                await self._sender.send(place, part)
        except (TelegramError, Undeliverable, NotSent) as error:
            _log.warning("a reply was not sent", error=type(error).__name__)
