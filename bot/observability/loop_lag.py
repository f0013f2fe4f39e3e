"""The loop-lag probe: how late the event loop is, measured while it runs."""

import asyncio
import time
from collections import deque
from functools import partial
from typing import Self

from bot.observability import metrics


class LoopLagProbe:
    """Measures continuously how late the event loop runs callbacks that are due. Use as an async context manager.

    The lag is also exported as the metric `knowledge_bot_event_loop_lag_seconds`.
    """

    def __init__(self, interval_seconds: float = 0.02, kept: int = 15_000) -> None:
        """Measure every `interval_seconds` and keep the last `kept` measurements."""
        self._interval = interval_seconds
        self._lags: deque[float] = deque(maxlen=kept)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._measure(), name="loop-lag")
        for share in (0.5, 0.99):
            metrics.LOOP_LAG.labels(str(share)).set_function(partial(self._seconds, share))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task:
            self._task.cancel()

    def percentile(self, share: float) -> float:
        """Return the lag in milliseconds that a `share` (0..1) of the kept measurements did not exceed; 0 before the first."""
        ordered = sorted(self._lags)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else 0.0

    def start_over(self) -> None:
        """Drop the kept measurements."""
        self._lags.clear()

    def _seconds(self, share: float) -> float:
        return self.percentile(share) / 1000

    async def _measure(self) -> None:
        while True:
            due = time.perf_counter() + self._interval
            await asyncio.sleep(self._interval)
            self._lags.append(max(0.0, time.perf_counter() - due))
