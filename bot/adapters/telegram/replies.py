"""Short replies to messages, such as help or a refusal, and the background tasks of the adapter."""

import asyncio
from collections.abc import Awaitable, Coroutine

import structlog
from telegram import Message
from telegram.error import TelegramError

from bot.adapters.outcomes import MessageOutcome, note_outcome
from bot.adapters.rates import Rate, ReplyLimits
from bot.adapters.telegram.addressing import PLATFORM, author_of, is_group
from bot.adapters.telegram.formatting import plain, split
from bot.adapters.telegram.places import Place, place_of_reply
from bot.adapters.telegram.sending import Sender
from bot.core.errors import Undeliverable
from bot.core.messages import NotSent
from bot.core.text import counted

_log = structlog.stdlib.get_logger(__name__)
# Seconds for which confirming updates waits for short replies to them.
_SETTLING = 1.5
# Replies to one person, and to all in one chat: in a group half of its messages are left for answers.
_PERSON_IN_GROUP = Rate(3, 60.0)
_GROUP = Rate(9, 60.0)
_PERSON_IN_PRIVATE = Rate(12, 60.0)


class Background:
    """Tasks that run beside the handling of updates, until they end or the adapter is closed."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._short: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[None, None, None], *, long: bool = False) -> None:
        """Run `work` as a task. `settle` doesn't wait for a long one."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if not long:
            self._short.add(task)

    async def settle(self) -> None:
        """Wait for the short tasks that were started since the last call, for 1.5 seconds at most."""
        if self._short:
            await asyncio.wait(self._short, timeout=_SETTLING)
            self._short.clear()

    async def close(self) -> None:
        """Cancel every task and wait until all have ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Replies:
    """Replies to messages in the background. A reply that can't be sent is dropped and logged.

    One person and one group get few replies a minute; further ones are left out and counted. Operators are not limited in their
    private chats.
    """

    def __init__(self, sender: Sender, background: Background, operators: frozenset[str]) -> None:
        self._sender = sender
        self._background = background
        self._operators = operators
        self._in_groups = ReplyLimits(person=_PERSON_IN_GROUP, chat=_GROUP)
        self._in_private = ReplyLimits(person=_PERSON_IN_PRIVATE, chat=_PERSON_IN_PRIVATE)

    def say(self, message: Message, text: str) -> None:
        """Reply with `text`, unless it is empty or one reply too many."""
        if not text:
            note_outcome(PLATFORM, MessageOutcome.CARRIED_OUT)
            return
        if not self._may_reply(message):
            return
        place = place_of_reply(message)
        self._background.start(self._send(place, text), long=self._sender.must_wait(place))

    def say_result(self, message: Message, work: Awaitable[str]) -> None:
        """Run `work`, which may take long, and reply with the text that it returns."""
        self._background.start(self._say_result(message, work), long=True)

    def describe(self) -> str:
        """Return how many replies were left out, in a few words for an operator; empty if none was."""
        left_out = self._in_groups.left_out + self._in_private.left_out
        return f"{counted(left_out, 'hint or refusal', 'hints and refusals')} left out" if left_out else ""

    async def _say_result(self, message: Message, work: Awaitable[str]) -> None:
        self.say(message, await work)

    def _may_reply(self, message: Message) -> bool:
        """Count a reply to a message, and note the outcome. Returns False if it is one too many."""
        person = author_of(message)
        outcome = MessageOutcome.REPLIED
        if is_group(message.chat):
            outcome = self._in_groups.take(message.chat_id, person)
        elif person not in self._operators:
            outcome = self._in_private.take(message.chat_id, person)
        note_outcome(PLATFORM, outcome)
        return outcome is MessageOutcome.REPLIED

    async def _send(self, place: Place, text: str) -> None:
        try:
            for part in split(plain(text)):
                await self._sender.send(place, part)
        except (TelegramError, Undeliverable, NotSent) as error:
            _log.warning("a reply was not sent", error=type(error).__name__)
