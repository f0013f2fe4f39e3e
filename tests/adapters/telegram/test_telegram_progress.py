"""Progress on Telegram: the typing sign and the placeholder."""

import asyncio

import pytest
from telegram_application import until

from bot.adapters.telegram import progress, rendering
from bot.questions import delivery

pytestmark = pytest.mark.usefixtures("quick_chats")


async def test_a_slow_answer_is_announced_and_then_put_in_the_same_place(server, application, ann, monkeypatch):
    """The typing sign, a placeholder, and the answer edited into it."""
    monkeypatch.setattr(progress, "_PLACEHOLDER_AFTER", 0.2)
    monkeypatch.setattr(progress, "_TYPING_AFTER", 0.05)
    application.engine.may_answer.clear()
    chat = server.private(ann)
    server.says(chat, ann, "slow")
    assert await application.answered(chat) == ["Searching the documents…"]
    application.engine.may_answer.set()
    await application.quiet()
    assert chat.texts == ["re: slow\n\n— Guide › Water (guide.md, lines 3-4) · example.org"]
    assert "reply_markup" in chat.from_bot[0]
    assert server.called("sendChatAction") == [{"chat_id": chat.id, "action": "typing"}]


async def test_a_placeholder_that_may_have_arrived_is_the_last_one(server, application, ann, monkeypatch):
    """Its acknowledgement was lost: the bot can neither edit nor delete it, and sends no other beside it."""
    monkeypatch.setattr(progress, "_PLACEHOLDER_AFTER", 0.05)
    monkeypatch.setattr(progress, "_BETWEEN_EDITS", 0.05)
    application.engine.may_answer.clear()
    server.break_next("sendMessage", "lost")
    chat = server.private(ann)
    server.says(chat, ann, "slow")
    await application.answered(chat)
    await asyncio.sleep(0.5)
    application.engine.may_answer.set()
    await application.quiet()
    assert [text.split("\n")[0] for text in chat.texts] == ["Searching the documents…", "re: slow"]


async def test_typing_ends_whatever_happens(server, application, ann, monkeypatch):
    """The question is forgotten before it is answered; the placeholder is deleted too."""
    monkeypatch.setattr(progress, "_PLACEHOLDER_AFTER", 0.1)
    monkeypatch.setattr(progress, "_TYPING_AFTER", 0.05)
    monkeypatch.setattr(progress, "_TYPING_LASTS", 0.05)
    application.engine.may_answer.clear()
    chat = server.private(ann)
    server.says(chat, ann, "slow")
    await application.answered(chat)
    server.says(chat, ann, "/forget me")
    await until(lambda: any("Erased: 1 question with its answer" in text for text in chat.texts))
    await application.quiet()
    assert len(chat.texts) == 1
    typed = len(server.called("sendChatAction"))
    await asyncio.sleep(0.2)
    assert len(server.called("sendChatAction")) == typed


async def test_a_slow_answer_to_an_edited_question_has_no_placeholder(server, application, ann, monkeypatch):
    """The earlier answer will be edited instead."""
    monkeypatch.setattr(progress, "_PLACEHOLDER_AFTER", 0.05)
    chat = server.private(ann)
    asked = server.says(chat, ann, "one")
    await application.answered(chat)
    await application.quiet()
    application.engine.may_answer.clear()
    server.edits(chat, asked, "two")
    await until(lambda: len(application.engine.asked) == 2)
    await asyncio.sleep(0.2)
    application.engine.may_answer.set()
    await application.quiet()
    assert [text.split("\n")[0] for text in chat.texts] == ["re: two"]


async def test_an_edit_while_the_answer_is_in_doubt_leaves_no_placeholder(server, application, ann, monkeypatch):
    """The corrected answer repeats the one that may have arrived, and would not replace a placeholder."""
    monkeypatch.setattr(progress, "_PLACEHOLDER_AFTER", 0.05)
    monkeypatch.setattr(delivery, "_PAUSES", (5.0,))
    chat = server.private(ann)
    server.break_next("sendMessage", "lost")
    asked = server.says(chat, ann, "one")
    await application.answered(chat)
    application.engine.may_answer.clear()
    server.edits(chat, asked, "two")
    await until(lambda: len(application.engine.asked) == 2)
    await asyncio.sleep(0.3)
    application.engine.may_answer.set()
    await application.quiet()
    assert [text.split("\n")[0] for text in chat.texts] == ["re: one", rendering.AGAIN]
