"""Lanes: threads of our own for blocking model calls, so that the event loop never waits for one.

A lane has one thread, which runs one batch at a time over whatever jobs wait at that moment; nothing is held back to
make a batch larger. Questions go before indexing. A slot is freed when the job has ended in the thread, not when its
waiter gives up, because a running model call can't be stopped.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from bot.errors import DeadlineExceeded, EngineBusy
from bot.inference.encoder import Encoder, Vectors

Item = TypeVar("Item")
Results = npt.NDArray[np.float32]

# Between the encoding of a question and its reading lies the search: a few milliseconds, more over a large index.
_AFTER_QUESTION = 0.04  # seconds


class Priority(IntEnum):
    """Jobs of a lower number go first; a batch holds jobs of one priority only."""

    QUESTION = 0
    INDEXING = 1


@dataclass(slots=True)
class _Job(Generic[Item]):
    items: Sequence[Item]
    future: "Future[Results]"


class BatchingLane(Generic[Item]):
    """One inference thread. `run_batch` maps items to an array with one row each, and is called by that thread only."""

    def __init__(
        self, name: str, run_batch: Callable[[list[Item]], Results], *, capacity: int, largest_batch: int
    ) -> None:
        """At most `capacity` questions' jobs wait or run; a batch has up to `largest_batch` of their items, or one job.

        Indexing is not limited in number, and runs job by job, so that a question waits for no more than one of them.
        """
        self._run_batch = run_batch
        self._capacity = capacity
        self._largest_batch = largest_batch
        self._waiting: dict[Priority, deque[_Job[Item]]] = {priority: deque() for priority in Priority}
        self._unfinished = dict.fromkeys(Priority, 0)
        self._quiet_until = 0.0  # on the monotonic clock: indexing waits until then
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=f"lane-{name}", daemon=True)
        self._thread.start()

    async def run(
        self, items: Sequence[Item], *, priority: Priority = Priority.QUESTION, deadline_seconds: float | None = None
    ) -> Results:
        """The rows for `items`, in their order. Raises what `run_batch` raises over these items.

        Raises EngineBusy at once if the lane is full, and DeadlineExceeded if the result is not there in time. A job
        whose waiter gave up before its turn is never run.
        """
        future: Future[Results] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("the lane is closed")
            if priority is Priority.QUESTION and self._unfinished[priority] >= self._capacity:
                raise EngineBusy(self._unfinished[priority])
            self._unfinished[priority] += 1
            self._waiting[priority].append(_Job(items, future))
            self._changed.notify()
        try:
            async with asyncio.timeout(deadline_seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            if deadline_seconds is None:  # raised by the job itself
                raise
            raise DeadlineExceeded(deadline_seconds) from error

    async def close(self, wait_seconds: float = 5.0) -> None:
        """Cancel what waits, let the running batch end, and wait for the thread. Later jobs are refused."""
        with self._changed:
            self._closed = True
            for priority, jobs in self._waiting.items():
                for job in jobs:
                    job.future.cancel()
                self._unfinished[priority] -= len(jobs)
                jobs.clear()
            self._changed.notify()
        await asyncio.to_thread(self._thread.join, wait_seconds)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (pause := self._pause()) != 0:
                    self._changed.wait(pause)
                if self._closed:
                    return
                priority, taken = self._take()
            self._run([job for job in taken if job.future.set_running_or_notify_cancel()])
            with self._changed:
                self._unfinished[priority] -= len(taken)
                if priority is Priority.QUESTION:
                    self._quiet_until = time.monotonic() + _AFTER_QUESTION

    def _pause(self) -> float | None:
        """Seconds until the next batch may begin; None where nothing waits.

        A question comes twice, to be encoded and to be read, so indexing does not begin in between.
        """
        if self._waiting[Priority.QUESTION]:
            return 0
        if self._waiting[Priority.INDEXING]:
            return max(0.0, self._quiet_until - time.monotonic())
        return None

    def _take(self) -> tuple[Priority, list[_Job[Item]]]:
        """The jobs of the next batch, in order, all of the first priority that has any."""
        priority = next(priority for priority in Priority if self._waiting[priority])
        waiting = self._waiting[priority]
        taken = [waiting.popleft()]
        size = len(taken[0].items)
        while priority is Priority.QUESTION and waiting and size + len(waiting[0].items) <= self._largest_batch:
            size += len(waiting[0].items)
            taken.append(waiting.popleft())
        return priority, taken

    def _run(self, jobs: list[_Job[Item]]) -> None:
        if not jobs:
            return
        try:
            results = self._run_batch([item for job in jobs for item in job.items])
        except BaseException as error:  # the thread must live on, and every waiter must hear of it
            if len(jobs) > 1:  # which of them it was shows when each runs alone
                for job in jobs:
                    self._run([job])
            else:
                jobs[0].future.set_exception(_travelling(error))
            return
        start = 0
        for job in jobs:
            job.future.set_result(results[start : start + len(job.items)])
            start += len(job.items)


def _travelling(error: BaseException) -> Exception:
    """The error in a form that ends one waiter: a StopIteration would hang it, a SystemExit would end the event loop."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return RuntimeError(f"a model call raised {error!r}")


class EncodingLane:
    """An encoder behind its lane: what the other rooms know of the encoder."""

    # So many sentences of ordinary length take about a tenth of a second on two cores.
    _LARGEST_BATCH = 128

    def __init__(self, encoder: Encoder, capacity: int) -> None:
        self._encoder = encoder
        self._lane = BatchingLane("encode", encoder.encode, capacity=capacity, largest_batch=self._LARGEST_BATCH)
        self.identity = encoder.identity
        self.window = encoder.window
        self.description = encoder.description

    async def encode(
        self, texts: Sequence[str], *, priority: Priority = Priority.QUESTION, deadline_seconds: float | None = None
    ) -> Vectors:
        """One unit vector a text. Raises EngineBusy and DeadlineExceeded as `BatchingLane.run` does."""
        return await self._lane.run(texts, priority=priority, deadline_seconds=deadline_seconds)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens in each text. Blocking, from any thread."""
        return self._encoder.count_tokens(texts)

    async def close(self) -> None:
        await self._lane.close()
