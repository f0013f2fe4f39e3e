"""The desk between adapters and engine: accept -> journal -> order -> engine -> deliver -> done.

A question is acknowledged only when the journal has it. Questions of one conversation are answered in the order they came,
conversations side by side, and nobody waits for all that somebody else has asked (`turns`). From its acceptance on a question
has a deadline, which the engine is told. Whatever a crash or a stop leaves undone is taken up again by `resume`. A question
may be edited (`revise`), deleted (`withdraw`) or stopped at any time; its answer is kept for the buttons below it (`stored`).
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Hashable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import repeat
from typing import TypeVar

import structlog

from bot.core.errors import BotError, DeadlineExceeded, EngineBusy, RateLimited, StorageError, Undeliverable
from bot.core.messages import (
    Adapter,
    Address,
    Answer,
    Engine,
    NotSent,
    Outcome,
    Question,
    Sending,
    Stage,
    Superseded,
    Update,
)
from bot.core.settings import LimitsSettings, QueueSettings
from bot.engine.qa import new_reference
from bot.observability import metrics
from bot.questions.limits import QuestionLimits
from bot.questions.scheduler import FairScheduler
from bot.storage.base import Forgotten, Journal, Pending, Stored

_log = structlog.stdlib.get_logger(__name__)
T = TypeVar("T")
# Seconds between the tries to deliver one answer, half a day of them; after the last one it waits for the next start.
_DELIVERY_PAUSES = (1.0, 5.0, 15.0, 60.0, *repeat(300.0, 144))
# Seconds that showing progress may still take when the answer is there.
_LAST_PROGRESS = 10.0


# Seconds until a question that could not be noted, because the disk is full say, is taken up again.
_PUT_OFF_PAUSE = 5.0
# Seconds that the engine has for a question in any case.
_LEAST = 10.0
_EXPIRED = "You asked this long ago, while I was away. Please ask again if you still want to know."
_ALL = "all"


class _CutOff(Enum):
    """Why the work on a question was ended early."""

    STOPPED = "whoever asked has stopped it"
    DROPPED = "it was edited, deleted or forgotten"


@dataclass(eq=False, slots=True)
class _Job:
    """One question on its way through the desk."""

    pending: Pending
    relay: "_ProgressRelay"
    taken_up: float = field(default_factory=time.monotonic)
    waited: float = 0.0  # seconds for its turn
    cut_off: _CutOff | None = None
    thinking: asyncio.Task[Answer] | None = None
    begun: bool = False
    counted: bool = False  # among those that wait for an answer of the engine
    dropped: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def address(self) -> Address:
        return self.pending.question.address

    @property
    def who(self) -> tuple[Hashable, Hashable]:
        """Whose question it is, and which chat's, for the turns."""
        return _who(self.pending.question)

    def end_early(self, reason: _CutOff) -> None:
        self.cut_off = reason
        if reason is _CutOff.DROPPED:
            self.dropped.set()
        if self.thinking is not None:
            self.thinking.cancel()


def _who(question: Question) -> tuple[Hashable, Hashable]:
    platform = question.address.platform
    return ("author", platform, question.author), ("chat", platform, question.address.chat)


class Dispatcher:
    """Takes questions from any adapter and sees to it that each is answered once.

    `counts` says how many questions were accepted, refused (busy, limited), revised and withdrawn since the start, how many
    of each outcome were delivered, how many could not be, how many came late or had expired, how many were put off because the
    journal could not be written, and how many parts were sent again because they were in doubt (`repeated`).
    """

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        settings: QueueSettings,
        *,
        limits: LimitsSettings | None = None,
        keep: Collection[Outcome] = frozenset(Outcome),
        ready: asyncio.Event | None = None,
    ) -> None:
        """`limits`: None where one person asks, who has all of it. `keep`: with which outcome question and answer are kept once
        delivered, for edits, buttons and the list of gaps. `ready`: until it is set the engine is not asked, and no deadline
        begins."""
        self._engine = engine
        self._journal = journal
        self._settings = settings
        self._limits = QuestionLimits(limits) if limits else None
        self._keep = keep
        self._adapters: dict[str, Adapter] = {}
        self._ready = ready
        self._turns = FairScheduler(settings.parallel)
        self._waiting: dict[str, deque[_Job]] = {}  # by conversation
        self._jobs: dict[tuple[str, str, str], _Job] = {}  # the latest of each message that is unfinished
        self._tasks: set[asyncio.Task[None]] = set()
        self._put_off: set[asyncio.Task[None]] = set()
        self._accepting = 0  # on their way into the journal
        self._unanswered: Counter[Hashable] = Counter()  # by author, by chat, and all of them
        self._open = True
        self.counts: Counter[str] = Counter()
        metrics.UNFINISHED.set_function(lambda: self.unfinished)

    def register(self, adapters: Iterable[Adapter]) -> None:
        """Make adapters known, by name, as the ones to deliver through."""
        self._adapters |= {adapter.name: adapter for adapter in adapters}

    @property
    def unfinished(self) -> int:
        """How many accepted questions are not delivered yet."""
        return self._accepting + sum(map(len, self._waiting.values()))

    @property
    def waiting(self) -> int:
        """How many accepted questions the engine has not answered yet."""
        return self._accepting + self._unanswered[_ALL]

    # --- what adapters ask for

    @property
    def ready(self) -> bool:
        """Whether questions are answered, and not only taken in because the bot has just been started."""
        return self._ready is None or self._ready.is_set()

    async def accept(self, question: Question) -> bool:
        """Take a question in; when this returns, it is in the journal. False: this message was accepted before.

        Raises EngineBusy if too many wait already or the bot is stopping, RateLimited if its author or chat asks too often,
        and StorageError if it could not be kept; the caller tells the user then.
        """
        try:
            entry = await self._admitted(question, self._journal.accept)
        except (EngineBusy, RateLimited) as refusal:
            if await self._journal.known(question.address):
                return False
            reason = "busy" if isinstance(refusal, EngineBusy) else "limited"
            self.counts[f"refused_{reason}"] += 1
            metrics.REFUSED.labels(question.address.platform, reason).inc()
            raise
        if entry is None:
            if self._limits:
                self._limits.take_back(question)
            return False
        self.counts["accepted"] += 1
        metrics.ACCEPTED.labels(question.address.platform).inc()
        self._schedule(Pending(entry, question, answer=None))
        return True

    async def revise(self, question: Question) -> bool:
        """Answer an edited question again, in place of the answer to the one with the same address. What was sent for that
        is edited. False: there is nothing to revise, for the text is the same or the question isn't kept (any more).

        Raises what `accept` raises; the old answer stands then.
        """
        pending = await self._admitted(question, self._journal.revise)
        if pending is None:
            return False
        self.counts["revised"] += 1
        if job := self._jobs.get(question.address.key):
            job.end_early(_CutOff.DROPPED)
        self._schedule(pending)
        return True

    async def withdraw(self, address: Address) -> list[str]:
        """A question was deleted: erase it, with its turn, and drop an answer that is still to come.

        The ids of the messages that were sent for it, which the adapter is to delete.
        """
        entry = await self._journal.withdraw(address)
        if entry is None:
            return []
        self.counts["withdrawn"] += 1
        if job := self._jobs.get(address.key):
            job.end_early(_CutOff.DROPPED)
            if job.begun:
                await job.over.wait()
        return await self._journal.take_parts(entry)

    async def stop(self, address: Address) -> bool:
        """Stop the work on a question; its answer says so. False: there is nothing to stop (any more)."""
        job = self._jobs.get(address.key)
        if job is None or job.cut_off or job.pending.answer or (job.begun and job.thinking is None):
            return False
        job.end_early(_CutOff.STOPPED)
        return True

    async def placed(self, address: Address, message: str) -> None:
        """A placeholder was sent for a question, which the first part of its answer is to replace (`Sending.replaces`)."""
        await self._journal.placed(address, message)

    async def known(self, address: Address) -> bool:
        """Whether this message was accepted before."""
        return await self._journal.known(address)

    async def place(self, address: Address) -> str | None:
        """The message that the first part of the answer will replace, where there is one already: no placeholder is needed."""
        return await self._journal.place(address)

    async def stored(self, platform: str, reference: str) -> Stored | None:
        """The question and the answer with this reference, or None where they are not kept any more."""
        return await self._journal.stored(platform, reference)

    async def asked(self, address: Address) -> tuple[Question, Answer | None] | None:
        """The question with this address, with its answer where there is one; None where it isn't kept (any more)."""
        return await self._journal.asked(address)

    async def answered_by(self, platform: str, message: str) -> Question | None:
        """The question that a message of ours answers, as long as it is kept: what a reply to that follows up."""
        return await self._journal.answered_by(platform, message)

    async def feedback(self, platform: str, reference: str, author: str, *, helpful: bool, reason: str = "") -> bool:
        """Note what somebody thinks of an answer; the last word counts. False: the answer isn't kept any more."""
        return await self._journal.add_feedback(platform, reference, author, helpful=helpful, reason=reason)

    async def forget(self, platform: str, author: str) -> Forgotten:
        """Erase what somebody has asked on a platform, their turns and their feedback, and drop answers still to come."""
        forgotten = await self._journal.forget_author(platform, author)
        theirs = [
            job
            for job in self._jobs.values()
            if (job.address.platform, job.pending.question.author) == (platform, author)
        ]
        for job in theirs:
            job.end_early(_CutOff.DROPPED)
        if theirs:  # the engine may have been quicker
            await asyncio.gather(*(job.over.wait() for job in theirs if job.begun))
            await self._journal.forget_author(platform, author)
        return forgotten

    # --- start and stop

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
        for task in (*self._tasks, *self._put_off):
            task.cancel()
        left = self.unfinished
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if left:
            _log.warning("left for the next start", questions=left)

    # --- order

    async def _admitted(self, question: Question, keep: Callable[[Question], Awaitable[T]]) -> T:
        if not self._open or self._is_too_much(question):
            raise EngineBusy(self.waiting)
        if self._limits:
            self._limits.count(question)
        self._accepting += 1
        try:
            return await keep(question)
        finally:
            self._accepting -= 1

    def _is_too_much(self, question: Question) -> bool:
        """Whether there is no room for a question, or it could not be answered in time.

        Nobody may have more questions waiting than there is room left: one author or chat takes half of the room at most, two
        a third each, and a newcomer always finds some.
        """
        room = self._settings.capacity - self.waiting
        if room <= 0:
            return True
        if self._limits and any(self._unanswered[flow] >= room for flow in _who(question)):
            return True
        return self._turns.expected_wait(*_who(question)) > self._settings.deadline_seconds

    def _schedule(self, pending: Pending) -> None:
        address = pending.question.address
        job = _Job(pending, _ProgressRelay(self._adapters.get(address.platform), address, self._start))
        self._jobs[address.key] = job
        if pending.answer is None:
            job.counted = True
            self._unanswered.update((_ALL, *job.who))
        conversation = pending.question.conversation
        waiting = self._waiting.setdefault(conversation, deque())
        waiting.append(job)
        if len(waiting) == 1:
            self._start(self._work_through(conversation), name=f"conversation:{conversation}")

    def _no_longer_waits(self, job: _Job) -> None:
        if job.counted:
            job.counted = False
            for flow in (_ALL, *job.who):
                self._unanswered[flow] -= 1
                if not self._unanswered[flow]:
                    del self._unanswered[flow]

    def _start(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _work_through(self, conversation: str) -> None:
        """Handle the questions of one conversation, one after the other, until none is left."""
        waiting = self._waiting[conversation]
        try:
            while waiting:
                job = waiting[0]
                try:
                    await self._handle(job)
                finally:
                    self._no_longer_waits(job)
                    job.over.set()
                    if self._jobs.get(job.address.key) is job:
                        del self._jobs[job.address.key]
                waiting.popleft()
        finally:
            del self._waiting[conversation]

    # --- one question

    async def _handle(self, job: _Job) -> None:
        pending = job.pending
        try:
            answer = pending.answer or await self._answer_in_turn(job)
            self._no_longer_waits(job)
            await job.relay.end()
            delivered = await self._deliver(job, answer)
        except Superseded:
            _log.info("question superseded", platform=job.address.platform)
            return
        except StorageError as error:  # the entry stays as it was, and the next one gets its turn
            _log.error("question put off", platform=job.address.platform, error=str(error))
            self._take_up_later(job.pending)
            return
        except Exception:  # a bug
            _log.exception("question put off to the next start", platform=job.address.platform)
            return
        outcome = answer.outcome.value if delivered else "undelivered"
        self.counts[outcome] += 1
        metrics.QUESTIONS.labels(job.address.platform, outcome).inc()
        phrasing = answer.phrasing
        metrics.stages_took({"waited": job.waited * 1000, **answer.timings_ms})
        if answer.late:
            self.counts["late"] += 1
        _log.info(
            "question",
            reference=answer.reference,
            platform=job.address.platform,
            outcome=answer.outcome.value,
            delivered=delivered,
            waited_ms=round(job.waited * 1000, 1),
            **({"phrased": phrasing.outcome.value, "reasons": phrasing.reasons} if phrasing else {}),
            **{f"{stage}_ms": milliseconds for stage, milliseconds in answer.timings_ms.items()},
        )

    async def _answer_in_turn(self, job: _Job) -> Answer:
        """Wait until it is this question's turn, have it answered, and note the answer. Raises Superseded and StorageError."""
        if self._ready and not self.ready:
            job.relay(Update(Stage.STARTING))
            await self._ready.wait()
            job.taken_up = time.monotonic()
        age = time.time() - job.pending.question.received_at.timestamp()
        if age > self._settings.expire_seconds and job.cut_off is None:
            self.counts["expired"] += 1
            answer = Answer(Outcome.FAILED, _EXPIRED, new_reference())
        else:
            answer = await self._answer_before(job, job.taken_up + self._settings.deadline_seconds)
            answer = replace(answer, late=age > self._settings.late_seconds)
        await self._journal.answered(job.pending.id, job.pending.revision, answer)
        job.pending = replace(job.pending, answer=answer)
        return answer

    async def _answer_before(self, job: _Job, deadline: float) -> Answer:
        try:
            # Who has waited for so long behind a question of their own still gets what can be had at once.
            async with asyncio.timeout(max(deadline - time.monotonic(), self._least_seconds)) as waiting:
                async with self._turns.turn(*job.who, lambda place: job.relay(Update(Stage.QUEUED, str(place)))):
                    waiting.reschedule(None)
                    job.begun = True
                    job.waited = time.monotonic() - job.taken_up
                    return await self._answer(job, deadline)
        except TimeoutError:
            if not waiting.expired():
                raise
            return _failed(DeadlineExceeded(self._settings.deadline_seconds), new_reference())

    @property
    def _least_seconds(self) -> float:
        """What a question gets in any case once it is its turn."""
        return min(self._settings.deadline_seconds, _LEAST)

    async def _answer(self, job: _Job, deadline: float) -> Answer:
        """The engine's answer, or one that says what went wrong: whoever asked is told something in any case.

        Raises Superseded where the question was edited, deleted or forgotten.
        """
        reference = new_reference()
        if job.cut_off is None:
            question = replace(job.pending.question, deadline=deadline)
            job.thinking = asyncio.create_task(self._think(question, reference, job.relay))
            try:
                await asyncio.wait((job.thinking,))
            finally:
                thinking, job.thinking = job.thinking, None
                thinking.cancel()
            if not thinking.cancelled():
                return thinking.result()
        if job.cut_off is _CutOff.STOPPED:
            return Answer(Outcome.STOPPED, "Stopped.", reference)
        raise Superseded

    async def _think(self, question: Question, reference: str, relay: "_ProgressRelay") -> Answer:
        try:
            try:
                async with asyncio.timeout(max(question.seconds_left, self._least_seconds)):
                    return await self._engine.answer(question, relay)
            except TimeoutError as error:
                raise DeadlineExceeded(self._settings.deadline_seconds) from error
        except BotError as error:
            _log.warning("no answer", reference=reference, error=type(error).__name__)
            return _failed(error, reference)
        except Exception:
            _log.exception("failure", reference=reference)
            text = "Something went wrong on our side. Please ask again, or tell the operator."
            return Answer(Outcome.FAILED, f"{text} (reference {reference})", reference)

    def _take_up_later(self, pending: Pending) -> None:
        """The journal can't be written at the moment: try again after a while, without a restart."""
        self.counts["put_off"] += 1

        async def take_up() -> None:
            await asyncio.sleep(_PUT_OFF_PAUSE)
            if self._open and pending.question.address.key not in self._jobs:
                self._schedule(pending)

        task = asyncio.create_task(take_up(), name="put-off")
        self._put_off.add(task)
        task.add_done_callback(self._put_off.discard)

    async def _deliver(self, job: _Job, answer: Answer) -> bool:
        """Whether the answer has arrived. If not, it stays in the journal, unless it never will. Raises Superseded."""
        adapter = self._adapters.get(job.address.platform)
        if adapter is None:
            _log.warning("answer kept: its platform is not running", platform=job.address.platform)
            return False
        entry, revision = job.pending.id, job.pending.revision
        delivery = _JournalledDelivery(self._journal, entry, revision, self.counts)
        for pause in (*_DELIVERY_PAUSES, None):
            try:
                await adapter.deliver(job.address, answer, delivery)
            except Superseded:
                raise
            except Undeliverable as error:
                _log.warning("answer given up", reference=answer.reference, reason=str(error))
                await self._journal.done(entry, revision, keep=False)
                return False
            except Exception as error:
                metrics.DELIVERY_FAILURES.labels(job.address.platform).inc()
                _log.warning(
                    "delivery failed", reference=answer.reference, error=type(error).__name__, retry_seconds=pause
                )
                if pause is not None:
                    await _pause_unless(job.dropped, pause)
            else:
                await self._journal.done(entry, revision, keep=answer.outcome in self._keep)
                return True
        return False


def _failed(error: BotError, reference: str) -> Answer:
    return Answer(Outcome.FAILED, f"{error} (reference {reference})", reference)


async def _pause_unless(dropped: asyncio.Event, seconds: float) -> None:
    """Wait so long, or until the question is dropped. Raises Superseded then."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await dropped.wait()
    if dropped.is_set():
        raise Superseded


class _JournalledDelivery:
    """A Delivery that notes each part in the journal before and after it is sent."""

    def __init__(self, journal: Journal, entry: int, revision: int, counts: Counter[str]) -> None:
        self._journal = journal
        self._entry = entry
        self._revision = revision
        self._counts = counts

    async def send_part(self, part: int, send: Callable[[Sending], Awaitable[str]]) -> str:
        known = await self._journal.part_begins(self._entry, self._revision, part)
        if known is not None and known.message is not None and known.current:
            return known.message
        replaces = known.message if known is not None else None
        repeated = known is not None and replaces is None
        self._counts["repeated"] += repeated
        metrics.REPEATED.inc(repeated)
        try:
            message = await send(Sending(repeated, replaces))
        except NotSent:
            if known is None:
                await self._journal.part_unsent(self._entry, part)
            raise
        await self._journal.part_sent(self._entry, self._revision, part, message)
        return message

    async def left_over(self, parts: int) -> list[str]:
        return await self._journal.left_over(self._entry, parts)


class _ProgressRelay:
    """Passes updates on to an adapter in the background, so that a slow platform holds up no answer: one at a time, and
    only the latest of those that came meanwhile."""

    def __init__(
        self,
        adapter: Adapter | None,
        address: Address,
        start: Callable[[Coroutine[None, None, None], str], asyncio.Task[None]],
    ) -> None:
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

    async def end(self) -> None:
        """Show nothing more, and wait for what is being shown: it must not come after the answer."""
        self._latest = None
        if self._sending is not None:
            await asyncio.wait((self._sending,), timeout=_LAST_PROGRESS)
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
