"""The worker for quick model calls, and the encoder and the reader as the event loop uses them.

Waiting jobs run in batches; no job is held back to make a batch larger. Questions go before indexing, and those of people who
have asked less than others (`going_first`) before other questions, but they delay the others for half a second at most. A slot
is freed when its job ends in the thread, not when the caller gives up, because a running model call can't be stopped.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Generic, TypeVar

import numpy as np

from bot.core.errors import DeadlineExceeded, EngineBusy
from bot.inference.encoder import AnyEncoder, Pair, Vector, Vectors
from bot.inference.span_model import SpanModel, SpanQuery, SpanScores
from bot.inference.threads import Loaded, Worker

Item = TypeVar("Item")
Output = TypeVar("Output")


@dataclass(frozen=True, eq=False, slots=True)
class ModelCall(Generic[Item, Output]):
    """A blocking function from items to one row each, in order, which runs in a worker's thread.

    Jobs that wait for the same call run together, up to `largest_batch` items or a single job.
    """

    run: Callable[[list[Item]], Sequence[Output]]
    largest_batch: int


# The time between the encoding and the reading of a question, which the search takes: a few milliseconds, more over a large
# index.
_AFTER_QUESTION = 0.04  # seconds
# The longest that jobs are delayed by those that go before them; without a limit, a busy bot would never see a new document.
_HELD_UP = 0.5  # seconds


class Priority(IntEnum):
    """Jobs of a lower number go first; a batch holds jobs of one priority only."""

    FIRST = 0
    QUESTION = 1
    INDEXING = 2


_QUESTIONS = (Priority.FIRST, Priority.QUESTION)
_first: ContextVar[bool] = ContextVar("_first", default=False)


@contextmanager
def going_first() -> Iterator[None]:
    """Let the jobs of this question go before those of other questions, also in tasks that are started meanwhile."""
    before = _first.set(True)
    try:
        yield
    finally:
        _first.reset(before)


@dataclass(eq=False, slots=True)
class _QueuedCall:
    """A job: a call on some items that waits for the thread, or runs there."""

    call: ModelCall[Any, Any]
    items: Sequence[Any]
    future: "Future[Sequence[Any]]"
    since: float  # on the monotonic clock


@dataclass(eq=False, slots=True)
class _Batch:
    """Jobs that the thread is running together."""

    priority: Priority
    jobs: list[_QueuedCall]
    since: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Models:
    """The models that answer questions. They share a worker, so that they never compete for the cores."""

    encoder: AnyEncoder
    reader: SpanModel


class InferenceWorker(Worker[Loaded, _Batch]):
    """Runs jobs on one or more models.

    `replace_if_stuck`, called regularly, abandons a thread whose batch never returns, fails its jobs and starts another thread
    for the waiting ones.
    """

    def __init__(self, name: str, load: Callable[[], Loaded], *, capacity: int, steps_back: bool = False) -> None:
        """Start the thread. `name`, `load` and `steps_back` as for `Worker`.

        At most `capacity` jobs of questions may wait or run. Jobs of indexing are not limited, and run one by one, so that a
        question waits for no more than one of them.
        """
        self._capacity = capacity
        self._waiting: dict[Priority, deque[_QueuedCall]] = {priority: deque() for priority in Priority}
        self._unfinished = dict.fromkeys(Priority, 0)
        self._ended_at = dict.fromkeys(Priority, 0.0)  # monotonic times at which the last job of each priority ended
        super().__init__(name, load, steps_back=steps_back)

    async def run(
        self,
        call: ModelCall[Item, Output],
        items: Sequence[Item],
        *,
        priority: Priority = Priority.QUESTION,
    ) -> Sequence[Output]:
        """Run a call on `items` and return its rows, in order. Raises the error that the call raises on these items.

        Raises EngineBusy at once if the worker is full, and DeadlineExceeded if its thread is replaced. A job whose caller is
        cancelled before its turn never runs.
        """
        future: Future[Sequence[Output]] = Future()
        if priority is Priority.QUESTION and _first.get():
            priority = Priority.FIRST
        with self._changed:
            if self._closed:
                raise RuntimeError("the worker is closed")
            if priority in _QUESTIONS and self._questions >= self._capacity:
                raise EngineBusy(self._questions)
            self._unfinished[priority] += 1
            self._waiting[priority].append(_QueuedCall(call, items, future, time.monotonic()))
            self._changed.notify_all()
        return await asyncio.wrap_future(future)

    def let_pass(self, longest_seconds: float = 0.05) -> None:
        """Block the calling thread, not the worker's own, while questions wait or run here, up to `longest_seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._questions, longest_seconds)

    def replace_if_stuck(self, after_seconds: float) -> bool:
        """Abandon the thread if its batch has run for `after_seconds`, and start another one. Safe from any thread.

        The jobs of the batch fail with DeadlineExceeded. Returns whether the thread was replaced.
        """
        with self._changed:
            stuck = self._running
            if self._closed or stuck is None or time.monotonic() - stuck.since < after_seconds:
                return False
            self._replace_thread(stuck)
        for job in stuck.jobs:
            with suppress(InvalidStateError):  # it has just returned, or its caller is gone
                job.future.set_exception(DeadlineExceeded(after_seconds))
        return True

    @property
    def _questions(self) -> int:
        """Return the number of jobs of questions that wait or run."""
        return sum(self._unfinished[priority] for priority in _QUESTIONS)

    def _give_up_waiting(self) -> None:
        for priority, jobs in self._waiting.items():
            for job in jobs:
                job.future.cancel()
            self._unfinished[priority] -= len(jobs)
            jobs.clear()

    def _ended(self, batch: _Batch) -> None:
        self._unfinished[batch.priority] -= len(batch.jobs)
        self._ended_at[batch.priority] = time.monotonic()

    def _pause(self) -> float | None:
        due = [self._due(priority) for priority, jobs in self._waiting.items() if jobs]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _due(self, priority: Priority) -> float:
        """Return the monotonic time from which the first waiting job of a priority may run.

        A question has several jobs, such as encoding and reading; indexing doesn't begin in between, unless it has waited for
        too long.
        """
        if priority in _QUESTIONS:
            return -math.inf
        return min(max(self._ended_at[question] for question in _QUESTIONS) + _AFTER_QUESTION, self._overdue(priority))

    def _overdue(self, priority: Priority) -> float:
        """Return the monotonic time from which the first waiting job of a priority goes before all others."""
        return max(self._waiting[priority][0].since, self._ended_at[priority]) + _HELD_UP

    def _take(self) -> _Batch:
        """Take the next jobs, in order, all of one priority and one call."""
        now = time.monotonic()
        waiting_ones = [priority for priority, jobs in self._waiting.items() if jobs and self._due(priority) <= now]
        late = [
            priority for priority in waiting_ones if priority > min(waiting_ones) and self._overdue(priority) <= now
        ]
        priority = max(late, default=min(waiting_ones))
        waiting = self._waiting[priority]
        taken = [waiting.popleft()]
        call, size = taken[0].call, len(taken[0].items)
        if priority in _QUESTIONS:
            for job in [job for job in waiting if job.call is call]:
                if size + len(job.items) > call.largest_batch:
                    break
                size += len(job.items)
                waiting.remove(job)
                taken.append(job)
        return _Batch(priority, taken)

    def _run(self, batch: _Batch) -> None:
        if wanted := [job for job in batch.jobs if job.future.set_running_or_notify_cancel()]:
            self._run_together(wanted)

    def _run_together(self, jobs: list[_QueuedCall]) -> None:
        try:
            results = jobs[0].call.run([item for job in jobs for item in job.items])
        except BaseException as error:  # the thread must survive, and every caller must get the error
            if len(jobs) > 1:  # run each alone, so that only the bad ones fail
                for job in jobs:
                    self._run_together([job])
            else:
                with suppress(InvalidStateError):
                    jobs[0].future.set_exception(_travelling(error))
            return
        start = 0
        for job in jobs:
            with suppress(InvalidStateError):  # abandoned, see `replace_if_stuck`
                job.future.set_result(results[start : start + len(job.items)])
            start += len(job.items)


def _travelling(error: BaseException) -> Exception:
    """Return the error in a form that a future can carry: StopIteration would hang its caller, SystemExit end the loop."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return RuntimeError(f"a model call raised {error!r}")


class AsyncEncoder:
    """The encoder for the event loop: encodes texts in the worker's thread.

    Its properties and `count_tokens` raise ModelsLoading until the worker has loaded its models.
    """

    # This many sentences of ordinary length take about a tenth of a second on two cores.
    _LARGEST_BATCH = 128
    # And so many passages, those of several questions. Smaller batches took a third more time for 64 users.
    _MOST_PAIRS = 48

    def __init__(self, worker: InferenceWorker[Models]) -> None:
        self._worker = worker
        self._encode: ModelCall[str, Vector] = ModelCall(
            lambda texts: list(self._encoder.encode(texts)), self._LARGEST_BATCH
        )
        self._match: ModelCall[Pair, float] = ModelCall(lambda pairs: self._encoder.match(pairs), self._MOST_PAIRS)

    @property
    def identity(self) -> str:
        return self._encoder.identity

    @property
    def window(self) -> int:
        return self._encoder.window

    @property
    def by_meaning(self) -> bool:
        return self._encoder.by_meaning

    @property
    def description(self) -> Mapping[str, Any]:
        return self._encoder.description

    async def loaded(self) -> AnyEncoder:
        """Wait until the encoder is loaded and return it. Raises the error that loading raises."""
        return (await self._worker.loaded()).encoder

    async def encode(self, texts: Sequence[str], *, priority: Priority = Priority.QUESTION) -> Vectors:
        """Return one unit vector per text. Raises EngineBusy and DeadlineExceeded as `InferenceWorker.run` does."""
        rows = await self._worker.run(self._encode, texts, priority=priority)
        return np.stack(rows) if rows else np.empty((0, self._encoder.dimension), dtype=np.float32)

    async def match(self, pairs: Sequence[Pair]) -> Sequence[float]:
        """Return how well each passage matches its question. Raises EngineBusy and DeadlineExceeded as `encode` does."""
        return await self._worker.run(self._match, pairs)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens in each text. Blocking; safe from any thread."""
        return self._encoder.count_tokens(texts)

    @property
    def _encoder(self) -> AnyEncoder:
        return self._worker.models.encoder


class AsyncReader:
    """The reader for the event loop: reads passages in the worker's thread."""

    # This many passages of ordinary length take less than half a second on two cores.
    _LARGEST_BATCH = 24

    def __init__(self, worker: InferenceWorker[Models]) -> None:
        self._worker = worker
        self._read: ModelCall[SpanQuery, SpanScores] = ModelCall(
            lambda queries: self._worker.models.reader.read(queries), self._LARGEST_BATCH
        )

    @property
    def description(self) -> dict[str, Any]:
        """Return facts about the reader. Raises ModelsLoading until the worker has loaded its models."""
        return self._worker.models.reader.description

    async def read(self, queries: Sequence[SpanQuery]) -> Sequence[SpanScores]:
        """Return the scores of each query. Raises EngineBusy and DeadlineExceeded as `InferenceWorker.run` does."""
        return await self._worker.run(self._read, queries)
