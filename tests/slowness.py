"""How slow the machine is at the moment, by which bounds on computing are multiplied instead of being loose everywhere."""

import statistics
import time

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
