"""The buttons below an answer in Telegram."""

import time

import pytest
from telegram_application import CITATION, pressed

from tests.platforms.telegram_markup import piece

pytestmark = pytest.mark.usefixtures("quick_chats")


PASSAGE = "passage"  # a part of the label of the button


async def test_buttons_take_feedback_and_show_the_passage(server, application, ann):
    """The passage is shown word for word, with its markup, and only once."""
    chat = server.private(ann)
    server.says(chat, ann, "how hot?")
    await application.answered(chat)
    answer = chat.from_bot[0]
    assert await pressed(server, chat, ann, answer, "👎") == "Thank you. The operator will see it."
    assert await pressed(server, chat, ann, answer, "👍") == "Thank you!"
    [given] = await application.journal.feedback(5)
    assert (given.helpful, given.author) == (True, str(ann["id"]))
    await pressed(server, chat, ann, answer, PASSAGE)
    shown = chat.from_bot[1]
    assert shown["text"] == f"Guide › Water (guide.md, lines 3-4)\n{CITATION.quote}"
    assert piece(shown["text"], next(e for e in shown["entities"] if e["type"] == "blockquote")) == CITATION.quote
    assert "further down" in await pressed(server, chat, ann, answer, PASSAGE)
    assert len(chat.from_bot) == 2


async def test_buttons_work_after_a_restart(server, application_of, ann):
    """They say so when the answer isn't kept any more."""
    chat = server.private(ann)
    async with application_of() as application:
        await application.start()
        server.says(chat, ann, "how hot?")
        await application.answered(chat)
        await application.quiet()
    async with application_of() as application:
        await application.start()
        await pressed(server, chat, ann, chat.from_bot[0], PASSAGE)
        assert CITATION.quote in chat.texts[1]
        await application.journal.erase_older(time.time() + 1, keys_older_than=0)
        said = await pressed(server, chat, ann, chat.from_bot[0], "👍")
        assert said == "This answer isn't kept any more."


async def test_a_button_of_a_deleted_message_is_answered(server, application, ann):
    """The app sends no message along then."""
    chat = server.private(ann)
    server.says(chat, ann, "how hot?")
    await application.answered(chat)
    answer = chat.messages.pop(chat.from_bot[0]["message_id"])
    assert await pressed(server, chat, ann, answer, "👍") == "Thank you!"


async def test_nobody_looks_into_another_chat(server, application, ann, bob):
    """A button that was made up, or forwarded, with the reference of somebody else's answer."""
    server.says(server.private(ann), ann, "how hot?")
    await application.answered(server.private(ann))
    forged = dict(server.private(ann).from_bot[0], message_id=1)
    said = await pressed(server, server.private(bob), bob, forged, PASSAGE)
    assert said == "This answer isn't kept any more."
    assert server.private(bob).texts == []


async def test_without_kept_answers_there_are_no_buttons(server, application_of, ann):
    """Buttons need the kept answer."""
    async with application_of().with_settings(storage={"answer_days": 0}) as application:
        await application.start()
        server.says(server.private(ann), ann, "how hot?")
        await application.answered(server.private(ann))
        assert "reply_markup" not in server.private(ann).from_bot[0]
