"""The desk between adapters and engine: accept -> journal -> order -> engine -> deliver -> done.

A question is acknowledged only when the journal has it. Questions of one conversation are answered in the order they came,
conversations side by side. Whatever a crash or a stop leaves undone is taken up again by `resume`.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

import structlog

from bot.engine.qa import new_reference
from bot.errors import BotError, DeadlineExceeded, EngineBusy
from bot.messages import Adapter, Address, Answer, Engine, Outcome, Question, Stage, Update
from bot.settings import QueueSettings
from bot.storage.base import Journal, Pending

_log = structlog.stdlib.get_logger(__name__)
# Seconds between the tries to deliver one answer; after the last one it waits in the journal for the next start.
_DELIVERY_PAUSES = (1.0, 5.0, 15.0)


class Dispatcher:
    """Takes questions from any adapter and sees to it that each is answered once."""

    def __init__(self, engine: Engine, journal: Journal, settings: QueueSettings) -> None:
        self._engine = engine
        self._journal = journal
        self._settings = settings
        self._adapters: dict[str, Adapter] = {}
        self._slots = asyncio.Semaphore(settings.parallel)
        self._waiting: dict[str, deque[tuple[Pending, float]]] = {}  # by conversation, with the time of acceptance
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepting = 0  # on their way into the journal
        self._open = True

    def register(self, adapters: Iterable[Adapter]) -> None:
        """Make adapters known, by name, as the ones to deliver through."""
        self._adapters |= {adapter.name: adapter for adapter in adapters}

    @property
    def unfinished(self) -> int:
        """How many accepted questions are not delivered yet."""
        return self._accepting + sum(map(len, self._waiting.values()))

    async def accept(self, question: Question) -> bool:
        """Take a question in; when this returns, it is in the journal. False: this message was accepted before.

        Raises EngineBusy if too many wait already or the bot is stopping, and StorageError if it could not be kept; the
        caller tells the user then.
        """
        if not self._open or self.unfinished >= self._settings.capacity:
            raise EngineBusy(self.unfinished)
        self._accepting += 1
        try:
            entry = await self._journal.accept(question)
        finally:
            self._accepting -= 1
        if entry is None:
            return False
        self._schedule(Pending(entry, question, answer=None))
        return True

    async def resume(self) -> int:
        """Take up what was left undone before the last stop, and return how many questions that is."""
        pending = await self._journal.pending()
        for entry in pending:
            self._schedule(entry)
        return len(pending)

    async def idle(self) -> None:
        """Wait until every accepted question is delivered or put off to the next start."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self, grace_seconds: float) -> None:
        """Accept nothing more, let what runs finish within the grace, and leave the rest to the next start."""
        self._open = False
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await self.idle()
        for task in self._tasks:
            task.cancel()
        left = self.unfinished
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if left:
            _log.warning("left for the next start", questions=left)

    def _schedule(self, pending: Pending) -> None:
        conversation = pending.question.conversation
        if self._slots.locked():
            self._relay(pending.question.address)(Update(Stage.QUEUED, str(self.unfinished + 1)))
        waiting = self._waiting.setdefault(conversation, deque())
        waiting.append((pending, time.perf_counter()))
        if len(waiting) == 1:
            self._start(self._work_through(conversation), name=f"conversation:{conversation}")

    def _start(self, work: "Awaitable[None]", name: str) -> None:
        async def run() -> None:
            await work

        task = asyncio.create_task(run(), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work_through(self, conversation: str) -> None:
        """Handle the questions of one conversation, one after the other, until none is left."""
        waiting = self._waiting[conversation]
        try:
            while waiting:
                pending, accepted = waiting[0]
                async with self._slots:
                    await self._handle(pending, waited=time.perf_counter() - accepted)
                waiting.popleft()
        finally:
            del self._waiting[conversation]

    async def _handle(self, pending: Pending, waited: float) -> None:
        question = pending.question
        try:
            answer = pending.answer
            if answer is None:
                answer = await self._answer(question)
                await self._journal.answered(pending.id, answer)
            delivered = await self._deliver(pending.id, question.address, answer)
            if delivered:
                await self._journal.done(pending.id)
        except (
            Exception
        ):  # the journal can't be written, or a bug: the entry stays as it was, the next one gets its turn
            _log.exception("question put off to the next start", platform=question.address.platform)
            return
        _log.info(
            "question",
            reference=answer.reference,
            platform=question.address.platform,
            outcome=answer.outcome.value,
            delivered=delivered,
            waited_ms=round(waited * 1000, 1),
            **{f"{stage}_ms": milliseconds for stage, milliseconds in answer.timings_ms.items()},
        )

    async def _answer(self, question: Question) -> Answer:
        """The engine's answer, or one that says what went wrong: whoever asked is told something in any case."""
        reference = new_reference()
        seconds = self._settings.deadline_seconds
        try:
            try:
                async with asyncio.timeout(seconds):
                    return await self._engine.answer(question, self._relay(question.address))
            except TimeoutError as error:
                raise DeadlineExceeded(seconds) from error
        except BotError as error:
            _log.warning("no answer", reference=reference, error=type(error).__name__)
            text = str(error)
        except Exception:
            _log.exception("failure", reference=reference)
            text = "Something went wrong on our side. Please ask again, or tell the operator."
        return Answer(Outcome.FAILED, f"{text} (reference {reference})", reference)

    async def _deliver(self, entry: int, address: Address, answer: Answer) -> bool:
        """Whether the answer has arrived. If not, it stays in the journal."""
        adapter = self._adapters.get(address.platform)
        if adapter is None:
            _log.warning("answer kept: its platform is not running", platform=address.platform)
            return False
        delivery = _JournalledDelivery(self._journal, entry)
        for pause in (*_DELIVERY_PAUSES, None):
            try:
                await adapter.deliver(address, answer, delivery)
            except Exception as error:
                _log.warning(
                    "delivery failed", reference=answer.reference, error=type(error).__name__, retry_seconds=pause
                )
                if pause is not None:
                    await asyncio.sleep(pause)
            else:
                return True
        return False

    def _relay(self, address: Address) -> "_ProgressRelay":
        return _ProgressRelay(self._adapters.get(address.platform), address, self._start)


class _JournalledDelivery:
    """A Delivery that notes each part in the journal before and after it is sent."""

    def __init__(self, journal: Journal, entry: int) -> None:
        self._journal = journal
        self._entry = entry

    async def send_part(self, part: int, send: Callable[[bool], Awaitable[str]]) -> str:
        known = await self._journal.part(self._entry, part)
        if known is not None and known.message is not None:
            return known.message
        await self._journal.part_begins(self._entry, part)
        message = await send(known is not None)
        await self._journal.part_sent(self._entry, part, message)
        return message


class _ProgressRelay:
    """Passes updates on to an adapter in the background, so that a slow platform holds up no answer: one at a time, and
    only the latest of those that came meanwhile."""

    def __init__(
        self, adapter: Adapter | None, address: Address, start: Callable[[Awaitable[None], str], None]
    ) -> None:
        self._adapter = adapter
        self._address = address
        self._start = start
        self._latest: Update | None = None
        self._sending = False

    def __call__(self, update: Update) -> None:
        if self._adapter is None:
            return
        self._latest = update
        if not self._sending:
            self._sending = True
            self._start(self._send(self._adapter), f"progress:{self._address.platform}")

    async def _send(self, adapter: Adapter) -> None:
        try:
            while self._latest is not None:
                update, self._latest = self._latest, None
                await adapter.progress(self._address, update)
        except Exception as error:
            _log.warning("progress not shown", platform=self._address.platform, error=type(error).__name__)
        finally:
            self._sending = False
