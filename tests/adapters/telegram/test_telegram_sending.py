"""Calls to Telegram that fail: lost acknowledgements, and a service that can't be reached."""

import asyncio

import pytest
from telegram_application import until

from bot.adapters.telegram import sending
from bot.questions import delivery


@pytest.fixture
async def application(application_of):
    """An application that doesn't take updates in yet."""
    async with application_of() as application:
        yield application


async def test_a_lost_acknowledgement_repeats_the_part_and_says_so(server, application, ann):
    """The bot can't know that the part has arrived."""
    server.break_next("sendMessage", "lost")
    server.says(server.private(ann), ann, "one")
    await application.start()
    first, second = await application.answered(server.private(ann), 2)
    assert first.startswith("re: one")
    assert second.startswith("(sent again")
    assert application.dispatcher.counts["repeated"] == 1


async def test_a_lost_acknowledgement_of_an_edit_repeats_nothing(server, application, ann, monkeypatch):
    """Editing twice is as good as once."""
    chat = server.private(ann)
    asked = server.says(chat, ann, "one")
    await application.start()
    await application.answered(chat)
    await application.quiet()
    server.break_next("editMessageText", "lost")
    server.edits(chat, asked, "two")
    await application.quiet()
    assert [text.split("\n")[0] for text in chat.texts] == ["re: two"]
    assert application.dispatcher.counts["repeated"] == 0


@pytest.mark.parametrize("pause", [0.3, 0.02], ids=["tried again at once", "tried again by the dispatcher"])
async def test_what_was_certainly_not_sent_is_sent_without_a_mark(application, server, ann, monkeypatch, pause):
    """The service can't be reached at all for a while."""
    monkeypatch.setattr(sending, "_PAUSES", (pause, pause, pause))
    monkeypatch.setattr(delivery, "_PAUSES", (0.2,) * 20)
    await application.start()
    application.engine.may_answer.clear()
    server.says(server.private(ann), ann, "one")
    await until(lambda: application.engine.asked)
    await server.hang_up()
    application.engine.may_answer.set()
    await asyncio.sleep(0.4)
    await server.pick_up()
    assert (await application.answered(server.private(ann)))[0].startswith("re: one")
    assert application.dispatcher.counts["repeated"] == 0
