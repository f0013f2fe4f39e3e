"""How slow the machine is at the moment, by which bounds on computing are multiplied instead of being loose everywhere."""

import asyncio
import statistics
import time
from typing import Self

# Processor time of the computing below on a server's core at rest.
_AT_REST = 0.54e-3  # seconds


def slowness() -> float:
    """How many times longer than at rest a fixed piece of computing takes now, in processor time: at least 1.

    A machine that does much else takes longer also by this clock, for its cores share caches and slow down.
    """
    return max(1.0, statistics.median(_seconds() for _ in range(21)) / _AT_REST)


def _seconds() -> float:
    started, total = time.thread_time(), 0
    for number in range(20_000):
        total += number * number % 7
    return time.thread_time() - started


class Held:
    """How long the event loop computes between two chances for others, in milliseconds of processor time: what a busy machine
    adds doesn't count."""

    def __init__(self) -> None:
        self.milliseconds: list[float] = []
        self._slow = slowness()

    async def __aenter__(self) -> Self:
        self._looking = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._looking.cancel()
        self._slow = max(self._slow, slowness())

    @property
    def within_bounds(self) -> bool:
        """10 ms of computing in 99 of 100 cases, 30 at most; both longer on a slow machine."""
        return self._percentile(0.99) <= 10 * self._slow and max(self.milliseconds) <= 30 * self._slow

    def __str__(self) -> str:
        return f"99 of 100: {self._percentile(0.99):.1f} ms, all: {max(self.milliseconds):.1f} ms; slowness {self._slow:.1f}"

    def _percentile(self, share: float) -> float:
        ordered = sorted(self.milliseconds)
        return ordered[int(share * len(ordered))]

    async def _look(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.001)
            self.milliseconds.append((time.thread_time() - before) * 1000)
