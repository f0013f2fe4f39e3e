"""Chats that block the bot, come back or move, and how much of their state is held in memory."""

import time

import pytest
from telegram_application import pressed, until

from bot.adapters.recent import Recent
from bot.adapters.telegram import chats
from bot.adapters.telegram.chats import Chats
from bot.adapters.telegram.formatting import plain
from bot.adapters.telegram.places import Place
from bot.core.messages import Policy

pytestmark = pytest.mark.usefixtures("quick_chats")


async def test_a_group_that_moves_takes_its_policy_and_its_questions_along(server, application, ann):
    """A question that was asked before is answered in the new group."""
    group = server.group(kind="group")
    await application.journal.platforms.set_policy("telegram", str(group.id), Policy.OFF)
    other = server.group(kind="group")
    application.engine.may_answer.clear()
    server.says(other, ann, "/ask one")
    await until(lambda: application.engine.asked)
    new = server.becomes_supergroup(group, ann)
    moved = server.becomes_supergroup(other, ann)
    await until(lambda: not server.pending)
    application.engine.may_answer.set()
    await application.answered(moved)
    await application.quiet()
    assert await application.journal.platforms.policies("telegram") == {str(new.id): Policy.OFF}
    said = await pressed(server, moved, ann, moved.from_bot[0], "👍")
    assert said == "Thank you!"


async def test_a_chat_that_has_blocked_the_bot_is_left_alone_until_it_is_back(server, application, ann):
    """The block is in the journal, so it also holds after a restart."""
    chat = server.private(ann)
    application.engine.may_answer.clear()
    server.says(chat, ann, "one")
    server.says(chat, ann, "two")
    await until(lambda: application.engine.asked)
    server.blocks(ann)
    await until(lambda: not server.pending)
    application.engine.may_answer.set()
    await application.quiet()
    assert server.called("sendMessage") == []
    assert await application.journal.platforms.note("telegram", f"gone:{ann['id']}")
    server.unblocks(ann)
    server.says(chat, ann, "three")
    assert (await application.answered(chat))[0].startswith("re: three")


async def test_a_block_that_nobody_has_told_of_is_found_out_once(server, application, ann):
    """The first call is refused, and there is no second one."""
    chat = server.private(ann)
    application.engine.may_answer.clear()
    for text in ("one", "two", "three"):
        server.says(chat, ann, text)
    await until(lambda: application.engine.asked)
    chat.bot_status = "kicked"
    application.engine.may_answer.set()
    await application.quiet()
    assert len(server.called("sendMessage")) == 1
    assert await application.journal.questions.pending() == []


async def test_only_the_latest_chats_are_held_in_memory(server, application_of, ann, monkeypatch):
    """A block of an older chat is read from the journal again."""
    monkeypatch.setattr(chats, "_REMEMBERED", 10)
    async with application_of() as application:
        state = Chats(application.journal.platforms, Policy.MENTION)
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


async def test_only_the_latest_topics_are_noted(server, application_of, ann, monkeypatch):
    """So that the journal doesn't grow with each topic; the second message of a noted one is not answered."""
    monkeypatch.setattr(chats, "_MOST_TOPICS", 3)
    server.privacy = False
    async with application_of(policy="forum") as application:
        await application.start()
        forum = server.group(is_forum=True)
        for topic in range(900, 905):
            made = {"message_id": topic, "date": int(time.time()), "chat": forum.data, "from": ann}
            made["forum_topic_created"] = {"name": "Help", "icon_color": 7322096}
            server.says(forum, ann, f"first of {topic}", topic=topic, reply_to=made)
            server.says(forum, ann, f"second of {topic}", topic=topic, reply_to=made)
        await application.answered(forum, 5)
        await application.quiet()
        assert sorted(question.text for question in application.engine.asked) == [
            f"first of {topic}" for topic in range(900, 905)
        ]
        noted = await application.journal.platforms.note("telegram", "topics")
        assert [one.partition("=")[0] for one in noted.split()] == [f"{forum.id}:{topic}" for topic in (902, 903, 904)]


async def test_of_a_group_whose_move_was_forgotten_the_service_tells_again(server, application, ann, monkeypatch):
    """Only the latest moves are held in memory."""
    sender = application.adapter._outbox._sender
    monkeypatch.setattr(sender, "_moved", Recent[int, int](1))
    old = [server.group(kind="group") for _ in range(2)]
    for number, group in enumerate(old):
        server.becomes_supergroup(group, ann)
        await sender.send(Place(group.id), plain(f"before {number}"))
    await sender.send(Place(old[0].id), plain("after"))
    assert len(sender._moved) == 1


def test_the_entries_that_were_set_last_are_kept():
    """Setting an entry again makes it a late one."""
    recent = Recent[str, int](2)
    recent["a"], recent["b"] = 1, 2
    recent["a"] = 3
    recent["c"] = 4
    assert list(recent.items()) == [("a", 3), ("c", 4)]
