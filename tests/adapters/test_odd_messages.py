"""A sample of benchmarks/odd_messages.py: each message has its outcome, and a reply where one is due."""

import asyncio

from tests.platforms.both_platforms import BothPlatforms
from tests.platforms.hostile import hostile_messages
from tests.platforms.odd_messages import send_odd_messages


async def test_each_odd_message_has_an_outcome_and_the_reply_that_is_due(tmp_path):
    texts = await asyncio.to_thread(hostile_messages, 60)
    async with BothPlatforms.running(tmp_path) as bot:
        counts, wrong = await send_odd_messages(bot, texts, seed=1)
    assert wrong == []
    assert all(counts[platform]["accepted"] > 10 for platform in counts)
