"""Workers: threads for blocking model calls, so that the event loop never waits for one.

A worker has one thread, which loads its models first and then runs one batch at a time over the jobs that wait at that moment;
no job is held back to make a batch larger. Questions go before indexing, but delay it for half a second at most. A slot is
freed when the job has ended in the thread, not when its waiter gives up, because a running model call can't be stopped.
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np

from bot.core.errors import DeadlineExceeded, EngineBusy, ModelsLoading
from bot.inference.encoder import AnyEncoder, Vector, Vectors
from bot.inference.span_model import Judgement, SpanModel, Task

Item = TypeVar("Item")
Row = TypeVar("Row")
Loaded = TypeVar("Loaded")


@dataclass(frozen=True, eq=False, slots=True)
class ModelCall(Generic[Item, Row]):
    """A blocking call that maps items to one row each, in their order; only a worker's thread makes it.

    Jobs that wait for the same call are run together, up to `largest_batch` items, or one job.
    """

    run: Callable[[list[Item]], Sequence[Row]]
    largest_batch: int


# Between the encoding of a question and its reading lies the search: a few milliseconds, more over a large index.
_AFTER_QUESTION = 0.04  # seconds
# So long may questions hold up indexing, job by job: without an end to it, a bot in demand would never see a new document.
_HELD_UP = 0.5  # seconds


class Priority(IntEnum):
    """Jobs of a lower number go first; a batch holds jobs of one priority only."""

    QUESTION = 0
    INDEXING = 1


@dataclass(eq=False, slots=True)
class _Job:
    call: ModelCall[Any, Any]
    items: Sequence[Any]
    future: "Future[Sequence[Any]]"
    since: float  # on the monotonic clock


@dataclass(eq=False, slots=True)
class _Batch:
    """Jobs that the thread is running together."""

    priority: Priority
    jobs: list[_Job]
    since: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Models:
    """The models that answer questions. They share a worker, so that they never compete for the cores."""

    encoder: AnyEncoder
    reader: SpanModel


class InferenceWorker(Generic[Loaded]):
    """One thread for one or more models: it loads them first, and then runs the jobs over them.

    A thread whose batch never returns can't be ended. `replace_if_stuck`, called now and then, gives it up, fails those who
    wait for it, and lets another thread take over the jobs that wait.
    """

    def __init__(self, name: str, load: Callable[[], Loaded], *, capacity: int) -> None:
        """`load` is called in the thread, and jobs wait for it. At most `capacity` questions' jobs wait or run.

        Indexing is not limited in number, and runs job by job, so that a question waits for no more than one of them.
        """
        self._name = name
        self._capacity = capacity
        self._waiting: dict[Priority, deque[_Job]] = {priority: deque() for priority in Priority}
        self._unfinished = dict.fromkeys(Priority, 0)
        self._quiet_until = 0.0  # on the monotonic clock: indexing waits until then
        self._indexed_at = 0.0  # when the last job of indexing ended
        self._closed = False
        self._changed = threading.Condition()
        self._running: _Batch | None = None
        self._loaded: Future[Loaded] = Future()
        self._loaded.set_running_or_notify_cancel()  # so that cancelling a waiter doesn't cancel it
        self._begin(partial(self._load, load))

    @property
    def models(self) -> Loaded:
        """What was loaded. Raises ModelsLoading until then, and what loading has raised."""
        if not self._loaded.done():
            raise ModelsLoading
        return self._loaded.result()

    async def loaded(self) -> Loaded:
        """Wait until the models are loaded. Raises what loading raises."""
        return await asyncio.wrap_future(self._loaded)

    async def run(
        self,
        call: ModelCall[Item, Row],
        items: Sequence[Item],
        *,
        priority: Priority = Priority.QUESTION,
    ) -> Sequence[Row]:
        """Run a call over `items` and return its rows, in their order. Raises what the call raises over these items.

        Raises EngineBusy at once if the worker is full, and DeadlineExceeded if its thread is replaced. A job whose waiter was
        cancelled before its turn is never run.
        """
        future: Future[Sequence[Row]] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("the worker is closed")
            if priority is Priority.QUESTION and self._unfinished[priority] >= self._capacity:
                raise EngineBusy(self._unfinished[priority])
            self._unfinished[priority] += 1
            self._waiting[priority].append(_Job(call, items, future, time.monotonic()))
            self._changed.notify_all()
        return await asyncio.wrap_future(future)

    def let_pass(self, longest_seconds: float = 0.05) -> None:
        """Block the calling thread, which must be another one, while questions wait or run here, up to `longest_seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._unfinished[Priority.QUESTION], longest_seconds)

    async def close(self, wait_seconds: float = 5.0, *, loading_seconds: float = 5.0) -> None:
        """Cancel the jobs that wait, let the running batch end, and wait for the thread. Later jobs are refused.

        While the models are still being loaded it waits for `loading_seconds` more: the thread must not meet the end of the
        interpreter.
        """
        with self._changed:
            self._closed = True
            for priority, jobs in self._waiting.items():
                for job in jobs:
                    job.future.cancel()
                self._unfinished[priority] -= len(jobs)
                jobs.clear()
            self._changed.notify_all()
        await asyncio.to_thread(self._thread.join, wait_seconds + (0.0 if self._loaded.done() else loading_seconds))

    def replace_if_stuck(self, after_seconds: float) -> bool:
        """Give up the thread if its batch has been running for so long, and start another one. Those who wait for the batch
        get DeadlineExceeded. Returns whether it was so. From any thread."""
        with self._changed:
            stuck = self._running
            if self._closed or stuck is None or time.monotonic() - stuck.since < after_seconds:
                return False
            self._end(stuck)
            self._begin(self._work)
        for job in stuck.jobs:
            with suppress(InvalidStateError):  # it has just returned, or its waiter is gone
                job.future.set_exception(DeadlineExceeded(after_seconds))
        return True

    def _begin(self, target: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=target, name=f"worker-{self._name}", daemon=True)
        self._thread.start()

    def _load(self, load: Callable[[], Loaded]) -> None:
        try:
            self._loaded.set_result(load())
        except BaseException as error:  # raised to everybody who asks for the models
            self._loaded.set_exception(error)
        self._work()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (pause := self._pause()) != 0:
                    self._changed.wait(pause)
                if self._closed:
                    return
                priority, taken = self._take()
                batch = self._running = _Batch(priority, taken)
            self._run([job for job in taken if job.future.set_running_or_notify_cancel()])
            with self._changed:
                if self._running is not batch:  # it took too long: another thread has taken over
                    return
                self._end(batch)
                self._changed.notify_all()

    def _end(self, batch: "_Batch") -> None:
        self._running = None
        self._unfinished[batch.priority] -= len(batch.jobs)
        if batch.priority is Priority.QUESTION:
            self._quiet_until = time.monotonic() + _AFTER_QUESTION
        else:
            self._indexed_at = time.monotonic()

    def _pause(self) -> float | None:
        """Seconds until the next batch may begin; None where nothing waits.

        A question comes twice, to be encoded and to be read, so indexing does not begin in between.
        """
        if self._waiting[Priority.QUESTION]:
            return 0
        if self._waiting[Priority.INDEXING]:
            return max(0.0, min(self._quiet_until, self._indexing_due()) - time.monotonic())
        return None

    def _indexing_due(self) -> float:
        """When indexing goes before questions, on the monotonic clock."""
        jobs = self._waiting[Priority.INDEXING]
        return max(jobs[0].since, self._indexed_at) + _HELD_UP if jobs else math.inf

    def _take(self) -> tuple[Priority, list[_Job]]:
        """The jobs of the next batch, in order: of the first priority that has any, and of the call whose turn it is."""
        if self._waiting[Priority.QUESTION] and time.monotonic() < self._indexing_due():
            priority = Priority.QUESTION
        else:
            priority = Priority.INDEXING
        waiting = self._waiting[priority]
        taken = [waiting.popleft()]
        call, size = taken[0].call, len(taken[0].items)
        if priority is Priority.QUESTION:
            for job in [job for job in waiting if job.call is call]:
                if size + len(job.items) > call.largest_batch:
                    break
                size += len(job.items)
                waiting.remove(job)
                taken.append(job)
        return priority, taken

    def _run(self, jobs: list[_Job]) -> None:
        if not jobs:
            return
        try:
            results = jobs[0].call.run([item for job in jobs for item in job.items])
        except BaseException as error:  # the thread must live on, and every waiter must get the error
            if len(jobs) > 1:  # each runs alone, so that the others get their rows
                for job in jobs:
                    self._run([job])
            else:
                with suppress(InvalidStateError):
                    jobs[0].future.set_exception(_travelling(error))
            return
        start = 0
        for job in jobs:
            with suppress(InvalidStateError):  # given up, see `replace_if_stuck`
                job.future.set_result(results[start : start + len(job.items)])
            start += len(job.items)


def _travelling(error: BaseException) -> Exception:
    """The error in a form that ends one waiter: a StopIteration would hang it, a SystemExit would end the event loop."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return RuntimeError(f"a model call raised {error!r}")


class AsyncEncoder:
    """The encoder of a worker, for the event loop: texts are encoded in the worker's thread.

    Its properties and `count_tokens` raise ModelsLoading until the worker has loaded its models.
    """

    # So many sentences of ordinary length take about a tenth of a second on two cores.
    _LARGEST_BATCH = 128

    def __init__(self, worker: InferenceWorker[Models]) -> None:
        self._worker = worker
        self._encode: ModelCall[str, Vector] = ModelCall(
            lambda texts: list(self._encoder.encode(texts)), self._LARGEST_BATCH
        )

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

    async def encode(self, texts: Sequence[str], *, priority: Priority = Priority.QUESTION) -> Vectors:
        """One unit vector a text. Raises EngineBusy and DeadlineExceeded as `InferenceWorker.run` does."""
        rows = await self._worker.run(self._encode, texts, priority=priority)
        return np.stack(rows) if rows else np.empty((0, self._encoder.dimension), dtype=np.float32)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens in each text. Blocking, from any thread."""
        return self._encoder.count_tokens(texts)

    @property
    def _encoder(self) -> AnyEncoder:
        return self._worker.models.encoder


class AsyncReader:
    """The reader of a worker, for the event loop: passages are read in the worker's thread."""

    # So many passages of ordinary length take about half a second on two cores.
    _LARGEST_BATCH = 24

    def __init__(self, worker: InferenceWorker[Models]) -> None:
        self._worker = worker
        self._read: ModelCall[Task, Judgement] = ModelCall(
            lambda tasks: self._worker.models.reader.read(tasks), self._LARGEST_BATCH
        )

    @property
    def description(self) -> dict[str, Any]:
        """Raises ModelsLoading until the worker has loaded its models."""
        return self._worker.models.reader.description

    async def read(self, tasks: Sequence[Task]) -> Sequence[Judgement]:
        """A judgement of each task. Raises EngineBusy and DeadlineExceeded as `InferenceWorker.run` does."""
        return await self._worker.run(self._read, tasks)
