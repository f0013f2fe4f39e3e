"""A sample of benchmarks/races.py: no order of events loses, doubles or orphans an answer."""

import itertools

from tests.platforms.both_platforms import BothPlatforms
from tests.platforms.races import Sequence


async def test_no_order_of_events_loses_doubles_or_orphans_an_answer(tmp_path):
    numbers = itertools.count(1)
    async with BothPlatforms.running(tmp_path) as bot:
        for seed in range(6):
            sequence = Sequence(bot, seed, numbers)
            assert await sequence.run() == [], f"seed {seed}: {sequence.done}"
