"""Accepted questions and their order: each gets a slot, an answer of the engine, and goes on to delivery.

One asyncio task works on each question. Questions of one conversation are answered in the order they came, conversations side
by side, and slots are shared fairly between authors and chats (`FairScheduler`).
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Hashable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace

import structlog

from bot.core import clock
from bot.core.errors import StorageError
from bot.core.messages import Adapter, Address, Answer, Engine, Question, Stage, Superseded, Update
from bot.core.settings import QueueSettings
from bot.inference.workers import going_first
from bot.questions.asking import ask, expired, overdue, stopped
from bot.questions.counts import QuestionCounts
from bot.questions.delivery import AnswerDelivery
from bot.questions.progress import ProgressRelay
from bot.questions.scheduler import FairScheduler
from bot.questions.work import Reason, Work, flows
from bot.storage.base import Pending, QuestionStore

_log = structlog.stdlib.get_logger(__name__)
# Seconds until a question is taken up again whose answer could not be noted, because the disk is full for example.
_PUT_OFF = 5.0
# Seconds after which an answer begins with a word that it took a while.
_LATE = 600.0
# Seconds that the engine has for a question in any case.
_LEAST = 10.0
# Extra slots for people who have asked nothing lately.
_EXTRA_SLOTS = 2
_ALL = "all"


class QuestionQueue:
    """Works on accepted questions until each is delivered."""

    def __init__(
        self,
        engine: Engine,
        questions: QuestionStore,
        settings: QueueSettings,
        delivery: AnswerDelivery,
        adapters: Mapping[str, Adapter],
        *,
        ready: asyncio.Event | None,
        counts: QuestionCounts,
    ) -> None:
        """Start without questions.

        `adapters`: by name; the adapter of a question must be in it when the question is added. `ready`: until it is set the
        engine is not asked, and no deadline begins.
        """
        self._engine = engine
        self._questions = questions
        self._settings = settings
        self._delivery = delivery
        self._adapters = adapters
        self._ready = ready
        self._counts = counts
        self._scheduler = FairScheduler(settings.parallel, _EXTRA_SLOTS)
        self._conversations: dict[str, deque[Work]] = {}
        self._latest: dict[tuple[str, str, str], Work] = {}  # by the key of the question's address
        self._unanswered: Counter[Hashable] = Counter()  # by author, by chat, and all of them
        self._tasks: set[asyncio.Task[None]] = set()
        self._put_off: set[asyncio.Task[None]] = set()
        self._open = True

    # --- for admission

    @property
    def ready(self) -> bool:
        """Return whether the engine is asked, or waits for its models and the index."""
        return self._ready is None or self._ready.is_set()

    @property
    def unfinished(self) -> int:
        """Return the number of questions that are not delivered yet."""
        return sum(map(len, self._conversations.values()))

    @property
    def unanswered(self) -> int:
        """Return the number of questions that the engine has not answered yet."""
        return self._unanswered[_ALL]

    def unanswered_beside(self, question: Question) -> int:
        """Return the number of unanswered questions of its author or of its chat, the larger of the two."""
        return max(self._unanswered[flow] for flow in flows(question))

    def expected_wait(self, question: Question) -> float:
        """Return the seconds until the engine would begin with this question if it came now."""
        return self._scheduler.expected_wait(*flows(question))

    def find(self, address: Address) -> Work | None:
        """Return the work on the latest revision of a question, None if it is finished."""
        return self._latest.get(address.key)

    def find_all(self, meets: Callable[[Work], bool]) -> list[Work]:
        """Return the unfinished work that meets a condition, on all revisions: a message of an old one may be on its way."""
        return [work for line in self._conversations.values() for work in line if meets(work)]

    # --- in and out

    def add(self, pending: Pending) -> None:
        """Begin to work on a question, after those of its conversation that came before."""
        question = pending.question
        adapter = self._adapters.get(question.address.platform)
        relay = ProgressRelay(adapter, question.address, self._start)
        line = self._conversations.setdefault(question.conversation, deque())
        work = Work(pending, adapter, relay, earlier=tuple(before.task for before in line if before.task is not None))
        line.append(work)
        self._latest[question.address.key] = work
        if not work.answered:
            self._unanswered.update((_ALL, *flows(question)))
        work.task = self._start(self._work_on(work), f"question:{question.address.platform}")
        work.task.add_done_callback(lambda _: self._remove(work))

    def _remove(self, work: Work) -> None:
        self._answered(work)
        work.relay.drop()
        line = self._conversations[work.question.conversation]
        line.remove(work)
        if not line:
            del self._conversations[work.question.conversation]
        if self._latest.get(work.address.key) is work:
            del self._latest[work.address.key]

    def _answered(self, work: Work) -> None:
        """Note that the engine is not needed for this question any more."""
        if not work.answered:
            work.answered = True
            for flow in (_ALL, *flows(work.question)):
                self._unanswered[flow] -= 1
                if not self._unanswered[flow]:
                    del self._unanswered[flow]

    def _start(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def idle(self) -> None:
        """Wait until every question is delivered or put off."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self, grace_seconds: float) -> None:
        """Give running questions the grace to finish, and leave the rest to the next start.

        Questions that wait for models that are still being loaded get no grace: it would pass for nothing.
        """
        self._open = False
        unready = [] if self.ready else self.find_all(lambda work: not work.answered)
        for work in unready:
            if work.task is not None:
                work.task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await self.idle()
        left = len(unready) + self.unfinished
        for task in (*self._tasks, *self._put_off):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if left:
            _log.warning("left for the next start", questions=left)

    # --- one question

    async def _work_on(self, work: Work) -> None:
        """Take a question from its position in the conversation to its delivered answer."""
        try:
            answer = work.pending.answer or await self._answer(work)
            await work.relay.end()
            await work.earlier_ended()
            await self._delivery.deliver(work, answer)
        except Superseded:
            _log.info("question superseded", platform=work.address.platform)
        except asyncio.CancelledError:
            if work.reason is not Reason.DROPPED:  # the bot is being stopped
                raise
            _log.info("question superseded", platform=work.address.platform)
        except StorageError as error:  # its entry in the journal stays as it was
            _log.error("question put off", platform=work.address.platform, error=str(error))
            self._take_up_later(work.pending)
        except Exception:  # a bug
            _log.exception("question put off to the next start", platform=work.address.platform)

    async def _answer(self, work: Work) -> Answer:
        """Return the answer to a question, noted in the journal. Raises Superseded and StorageError."""
        try:
            await work.earlier_ended()
            await self._until_ready(work)
            answer = await self._answer_in_time(work)
        except asyncio.CancelledError:
            if work.reason is not Reason.STOPPED or work.task is None:
                raise
            work.task.uncancel()
            answer = stopped()
        self._answered(work)
        await self._questions.answered(work.pending.id, work.pending.revision, answer)
        work.pending = replace(work.pending, answer=answer)
        return answer

    async def _until_ready(self, work: Work) -> None:
        if self._ready is not None and not self._ready.is_set():
            work.relay(Update(Stage.STARTING))
            await self._ready.wait()
            work.taken_up = time.monotonic()

    async def _answer_in_time(self, work: Work) -> Answer:
        """Return the answer, marked if it is late. The answer to an expired question says that it expired."""
        age = clock.now() - work.question.received_at.timestamp()
        if age > self._settings.expire_seconds:
            self._counts.expired()
            return expired()
        return replace(await self._answer_in_slot(work), late=age > _LATE)

    async def _answer_in_slot(self, work: Work) -> Answer:
        """Wait for a slot, but not beyond the deadline, and ask the engine."""
        allowed = self._settings.deadline_seconds
        deadline = work.taken_up + allowed

        def seconds_left() -> float:  # one that has waited long behind another still gets what can be had at once
            return max(deadline - time.monotonic(), min(allowed, _LEAST))

        def show(position: int) -> None:
            work.relay(Update(Stage.QUEUED, str(position)))

        try:
            async with asyncio.timeout(seconds_left()) as waiting:
                async with self._scheduler.slot(*flows(work.question), show) as first:
                    waiting.reschedule(None)
                    work.waited = time.monotonic() - work.taken_up
                    question = replace(work.question, deadline=deadline)
                    with going_first() if first else nullcontext():
                        return await ask(self._engine, question, work.relay, seconds=seconds_left(), deadline=allowed)
        except TimeoutError:
            if not waiting.expired():
                raise
            return overdue(allowed)

    def _take_up_later(self, pending: Pending) -> None:
        """Try again after a while, without a restart: the journal can't be written at the moment."""
        self._counts.put_off()

        async def take_up() -> None:
            await asyncio.sleep(_PUT_OFF)
            if self._open and pending.question.address.key not in self._latest:
                self.add(pending)

        task = asyncio.create_task(take_up(), name="put-off")
        self._put_off.add(task)
        task.add_done_callback(self._put_off.discard)
