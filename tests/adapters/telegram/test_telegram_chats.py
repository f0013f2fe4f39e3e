"""The state of chats, and how much of it is held in memory."""

from bot.adapters.recent import Recent
from bot.adapters.telegram import chats
from bot.adapters.telegram.chats import Chats
from bot.core.messages import Policy


async def test_only_the_latest_chats_are_held_in_memory(server, application_of, ann, monkeypatch):
    """A block of an older chat is read from the journal again."""
    monkeypatch.setattr(chats, "_REMEMBERED", 10)
    async with application_of() as application:
        state = Chats(application.journal, Policy.MENTION)
        await state.mark_blocked(ann["id"])
        for chat in range(1, 31):
            await state.mark_reachable(chat)
            assert not await state.is_blocked(chat)
        assert len(state._blocked) == 10
        assert ann["id"] not in state._blocked
        assert await state.is_blocked(ann["id"])
        await state.mark_reachable(ann["id"])
        for chat in range(1, 31):
            await state.mark_reachable(chat)
        assert not await state.is_blocked(ann["id"])


def test_the_entries_that_were_set_last_are_kept():
    """Setting an entry again makes it a late one."""
    recent = Recent[str, int](2)
    recent["a"], recent["b"] = 1, 2
    recent["a"] = 3
    recent["c"] = 4
    assert list(recent.items()) == [("a", 3), ("c", 4)]
