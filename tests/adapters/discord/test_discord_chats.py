"""The direct conversations that are remembered, because Discord lists none."""

import asyncio

from bot.adapters.discord.chats import Chats
from bot.core.settings import DiscordSettings
from bot.storage.sqlite.journal import SqliteJournal


async def test_the_latest_direct_conversations_are_noted(tmp_path):
    """None is lost when two begin at once, and who writes daily is not dropped for those who came later."""
    journal = await SqliteJournal.open(tmp_path)
    try:
        chats = Chats(journal.platforms, DiscordSettings())
        await asyncio.gather(*(chats.note_direct(chat) for chat in range(1, 201)))
        assert sorted(await chats.direct()) == list(range(1, 201))
        await chats.note_direct(1)
        await chats.note_direct(201)
        latest = await chats.direct()
        assert (len(latest), latest[-2:], 2 in latest) == (200, [1, 201], False)
    finally:
        await journal.close()
