"""The thread of a worker, which loads models and runs them, so that the event loop never waits for one."""

import asyncio
import os
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

from bot.core.errors import ModelsLoading

Loaded = TypeVar("Loaded")
Batch = TypeVar("Batch")
# Threads that step back yield the processor to the others; while these do nothing it is as fast as without.
_NICENESS = 15


class Worker(ABC, Generic[Loaded, Batch]):
    """A daemon thread that loads one or more models first and then runs batches, one after the other.

    A subclass keeps what waits, makes batches of it and runs them. A thread whose batch never returns can't be ended:
    `_replace_thread` abandons it and starts another one.
    """

    def __init__(self, name: str, load: Callable[[], Loaded], *, steps_back: bool = False) -> None:
        """Start the thread, which calls `load` first. `steps_back`: give it a lower priority than all others.

        A subclass calls this last, because the thread uses what the subclass keeps.
        """
        self._name = name
        self._steps_back = steps_back
        self._closed = False
        self._changed = threading.Condition()  # its lock guards what waits and what runs
        self._running: Batch | None = None
        self._abandoned = 0  # threads that haven't returned
        self._loaded: Future[Loaded] = Future()
        self._loaded.set_running_or_notify_cancel()  # so that cancelling a waiter doesn't cancel it
        self._start_thread(partial(self._load, load))

    @property
    def models(self) -> Loaded:
        """Return the loaded models. Raises ModelsLoading until they are loaded, or the error that loading raised."""
        if not self._loaded.done():
            raise ModelsLoading
        return self._loaded.result()

    async def loaded(self) -> Loaded:
        """Wait until the models are loaded and return them. Raises the error that loading raises.

        A load can't be stopped: it goes on when the caller is cancelled.
        """
        return await asyncio.wrap_future(self._loaded)

    async def close(self, wait_seconds: float = 5.0) -> None:
        """Refuse what comes, give up what waits, and wait up to `wait_seconds` for the running batch to end.

        Models that are still being loaded are not waited for: their thread ends after the load.
        """
        with self._changed:
            self._closed = True
            self._give_up_waiting()
            self._changed.notify_all()
        if self._loaded.done():
            await asyncio.to_thread(self._thread.join, wait_seconds)

    # --- what a subclass does; all but `_run` is called under the lock

    @abstractmethod
    def _pause(self) -> float | None:
        """Return the seconds until the next batch may begin, None if nothing waits."""

    @abstractmethod
    def _take(self) -> Batch:
        """Take the next batch of what waits. Called when `_pause` has returned 0."""

    @abstractmethod
    def _run(self, batch: Batch) -> None:
        """Run a batch in the thread. Raises nothing: errors go to those who wait."""

    @abstractmethod
    def _give_up_waiting(self) -> None:
        """Tell those who wait that the worker is closed."""

    def _ended(self, batch: Batch) -> None:
        """Take note that a batch has ended, or was abandoned."""

    # --- the thread

    def _start_thread(self, target: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=self._begin, args=(target,), name=f"worker-{self._name}", daemon=True)
        self._thread.start()

    def _begin(self, target: Callable[[], None]) -> None:
        if self._steps_back:  # before anything is computed, because the threads that torch starts inherit it
            _step_back()
        target()

    def _load(self, load: Callable[[], Loaded]) -> None:
        try:
            self._loaded.set_result(load())
        except BaseException as error:  # raised by `models` and `loaded`
            self._loaded.set_exception(error)
        self._work()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (pause := self._pause()) != 0:
                    self._changed.wait(pause)
                if self._closed:
                    return
                batch = self._running = self._take()
            self._run(batch)
            with self._changed:
                if self._running is not batch:  # another thread has taken over
                    self._abandoned -= 1
                    return
                self._end(batch)
                self._changed.notify_all()

    def _replace_thread(self, stuck: Batch) -> None:
        """Abandon the thread, which runs the batch `stuck`, and start another one. The caller holds the lock."""
        self._abandoned += 1
        self._end(stuck)
        self._start_thread(self._work)

    def _end(self, batch: Batch) -> None:
        self._running = None
        self._ended(batch)


AnyWorker = TypeVar("AnyWorker", bound=Worker[Any, Any])


async def loaded_worker(worker: AnyWorker) -> AnyWorker:
    """Wait until the models of a worker are loaded and return the worker.

    Raises the error that loading raises. The worker is closed then, and if the caller is cancelled.
    """
    try:
        await worker.loaded()
    except BaseException:
        await worker.close()
        raise
    return worker


def _step_back() -> None:
    """Give the calling thread, and the threads that torch starts from it, a lower priority than all others."""
    with suppress(OSError):
        if sys.platform == "linux":  # only Linux has a niceness per thread
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
