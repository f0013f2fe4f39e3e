"""The loop-lag probe: a blocked event loop is seen."""

import asyncio
import time

import pytest

from bot.observability import metrics
from bot.observability.loop_lag import LoopLagProbe


async def test_a_blocked_loop_is_measured():
    """By its length, in the percentile and in the metric, until the measurements are dropped."""
    async with LoopLagProbe(interval_seconds=0.005) as probe:
        assert probe.percentile(0.99) == 0
        await asyncio.sleep(0.02)
        asyncio.get_running_loop().call_soon(time.sleep, 0.2)
        await asyncio.sleep(0.02)
        assert probe.percentile(1) > 100
        [metric] = metrics.LOOP_LAG.collect()
        seconds = {sample.labels["quantile"]: sample.value for sample in metric.samples}
        assert seconds == {"0.5": probe.percentile(0.5) / 1000, "0.99": pytest.approx(probe.percentile(0.99) / 1000)}
        probe.start_over()
        assert probe.percentile(1) == 0


async def test_only_the_last_measurements_are_kept():
    """So that the memory of a long run is bounded."""
    async with LoopLagProbe(interval_seconds=0.001, kept=3) as probe:
        asyncio.get_running_loop().call_soon(time.sleep, 0.5)
        await asyncio.sleep(0.01)
        assert probe.percentile(1) > 400
        for _ in range(100):  # until the three measurements after it have displaced it
            await asyncio.sleep(0.01)
            if probe.percentile(1) < 400:
                return
        pytest.fail("the oldest measurement is still kept")
