"""Answers by Telegram: their parts, their formatting, and what an edited question makes of them."""

import pytest
from telegram_application import until

from bot.core.errors import IndexUnavailable
from tests.platforms.telegram_markup import units

pytestmark = pytest.mark.usefixtures("quick_chats")


async def test_a_long_answer_comes_in_parts_with_the_buttons_below_the_last(server, application, ann):
    """None longer than the service takes, in order, the formatting going on."""
    application.engine.texts["long"] = "```\n" + "\n".join(f"line {n}" for n in range(1500)) + "\n```"
    chat = server.private(ann)
    server.says(chat, ann, "long")
    await until(lambda: any("reply_markup" in message for message in chat.from_bot))
    assert [bool(message.get("reply_markup")) for message in chat.from_bot] == [False] * 3 + [True]
    assert all(units(text) <= 4096 for text in chat.texts)
    assert [message["entities"][0]["type"] for message in chat.from_bot] == ["pre"] * 4


async def test_markup_that_is_refused_is_sent_as_plain_text(server, application, ann):
    """Better without bold than not at all."""
    chat = server.private(ann)
    application.engine.texts["x"] = "**bold** words"
    server.break_next("sendMessage", "400:Bad Request: can't parse entities")
    server.says(chat, ann, "x")
    assert (await application.answered(chat))[0].startswith("bold words")
    assert "entities" not in chat.from_bot[0]


async def test_declining_and_failing_are_told(server, application, ann):
    """A failure with the reference that is in the log."""
    chat = server.private(ann)
    application.engine.errors["broken"] = ZeroDivisionError("secret")
    application.engine.errors["empty"] = IndexUnavailable("There is nothing to search yet.")
    for text in ("unknown", "broken", "empty"):
        server.says(chat, ann, text)
    declined, broken, empty = await application.answered(chat, 3)
    assert declined == "The documents don't answer this."
    assert broken.startswith("Something went wrong on our side.")
    assert "reference" in broken
    assert empty.startswith("There is nothing to search yet.")
    assert all("reply_markup" not in message for message in chat.from_bot)


async def test_a_closed_topic_is_given_up(server, application, ann):
    """Nothing can be sent to a closed topic, and trying again would not help."""
    forum = server.group(is_forum=True)
    forum.closed_topics.add(7)
    server.says(forum, ann, "/ask one", topic=7)
    server.says(forum, ann, "/ask two", topic=8)
    await application.answered(forum)
    await application.quiet()
    assert await application.journal.questions.pending() == []
    assert application.dispatcher.counts["undelivered"] == 1


# --- edited questions -------------------------------------------------------------------------------------------------


async def test_an_edited_question_is_answered_in_place(server, application, ann):
    """Text, caption, and command."""
    chat = server.private(ann)
    text = server.says(chat, ann, "how hit?")
    photo = server.sends_photo(chat, ann, "and this?")
    await application.answered(chat, 2)
    await application.quiet()
    server.edits(chat, text, "how hot?")
    server.edits(chat, photo, "and that?")
    await application.quiet()
    await until(lambda: chat.texts[1].startswith("re: and that?"))
    assert [text.split("\n")[0] for text in chat.texts] == ["re: how hot?", "re: and that?"]


async def test_an_edit_that_shortens_an_answer_takes_the_rest_away(server, application, ann):
    """A message that mentions the bot only after an edit is answered."""
    application.engine.texts["long"] = "words " * 1500
    group = server.group()
    server.privacy = False
    asked = server.says(group, ann, "/ask long")
    await application.answered(group, 3)
    await application.quiet()
    server.edits(group, asked, "/ask short")
    await application.quiet()
    await until(lambda: len(group.texts) == 1)
    assert group.texts[0].startswith("re: short")
    said = server.says(group, ann, "how hot?")
    server.edits(group, said, "@keeper_bot how hot?")
    assert (await application.answered(group, 2))[1].startswith("re: how hot?")


async def test_an_answer_to_an_edited_question_is_sent_anew_where_the_old_one_is_gone(server, application, ann):
    """Somebody has deleted it."""
    chat = server.private(ann)
    asked = server.says(chat, ann, "one")
    await application.answered(chat)
    await application.quiet()
    del chat.messages[chat.from_bot[0]["message_id"]]
    server.edits(chat, asked, "two")
    assert (await application.answered(chat))[0].startswith("re: two")
