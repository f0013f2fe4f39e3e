"""The buttons below an answer in Telegram."""

import time

import pytest
from telegram_application import pressed, until

from tests.platforms.telegram_markup import piece

pytestmark = pytest.mark.usefixtures("quick_chats")


PASSAGE = "passage"  # a part of the label of the button
QUOTE = "Use soft water."  # what is shown of the citation


def buttons_of(message) -> list[list[dict[str, str]]]:
    return message["reply_markup"]["inline_keyboard"]


def labels(message) -> list[list[str]]:
    return [[button["text"] for button in row] for row in buttons_of(message)]


async def test_buttons_take_feedback_and_show_the_passage(server, application, ann):
    """The passage is shown word for word, with its markup, and only once."""
    chat = server.private(ann)
    server.says(chat, ann, "how hot?")
    await application.answered(chat)
    answer = chat.from_bot[0]
    assert await pressed(server, chat, ann, answer, "👎") == "Thank you. The operator will see it."
    assert await pressed(server, chat, ann, answer, "👍") == "Thank you!"
    [given] = await application.journal.answers.feedback(5)
    assert (given.helpful, given.author) == (True, str(ann["id"]))
    await pressed(server, chat, ann, answer, PASSAGE)
    shown = chat.from_bot[1]
    assert shown["text"] == f"Guide › Water (guide.md, lines 3-4) · example.org\n{QUOTE}"
    assert piece(shown["text"], next(e for e in shown["entities"] if e["type"] == "blockquote")) == QUOTE
    assert piece(shown["text"], next(e for e in shown["entities"] if e["type"] == "italic")) == "soft"
    assert "further down" in await pressed(server, chat, ann, answer, PASSAGE)
    assert len(chat.from_bot) == 2


@pytest.mark.parametrize("label", [PASSAGE, "More"])
async def test_a_double_tap_shows_once(server, application, ann, label):
    """Both presses come with the same poll; the second one sends nothing, and says so."""
    chat = server.private(ann)
    application.engine.more["how hot?"] = "And wait."
    server.says(chat, ann, "how hot?")
    await application.answered(chat)
    await application.quiet()
    queries = [server.presses(chat, ann, chat.from_bot[0], label) for _ in range(2)]
    await until(lambda: all(query in server.callback_answers for query in queries))
    await application.quiet()
    assert len(chat.from_bot) == 2
    said = [server.callback_answers[query].get("text", "") for query in queries]
    assert sorted(said) == ["", "It is shown further down already."]


async def test_a_press_after_a_failed_one_shows_the_passage(server, application, ann):
    """Only what has arrived counts as shown."""
    chat = server.private(ann)
    server.says(chat, ann, "how hot?")
    await application.answered(chat)
    server.break_next("sendMessage", "400:Bad Request: not enough rights")
    await pressed(server, chat, ann, chat.from_bot[0], PASSAGE)
    assert len(chat.from_bot) == 1
    await pressed(server, chat, ann, chat.from_bot[0], PASSAGE)
    assert QUOTE in chat.texts[1]


async def test_a_press_whose_outcome_is_unknown_says_so(server, application, ann):
    """The connection breaks after Telegram has sent the passage; a further press would show it again."""
    chat = server.private(ann)
    server.says(chat, ann, "how hot?")
    await application.answered(chat)
    server.break_next("sendMessage", "lost")
    assert "If nothing is shown" in await pressed(server, chat, ann, chat.from_bot[0], PASSAGE)
    assert QUOTE in chat.texts[1]


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
        assert QUOTE in chat.texts[1]
        await application.journal.erasure.erase_before(time.time() + 1, keys_before=0)
        said = await pressed(server, chat, ann, chat.from_bot[0], "👍")
        assert said == "This answer isn't kept any more."


async def test_a_suggestion_is_rated_with_other_words(server, application_of, ann, bob):
    """It is shown with its source like an answer, and a rating of it counts like one of an answer, also after a restart."""
    chat = server.group()
    async with application_of() as application:
        await application.start()
        application.engine.unsure.add("how hot?")
        application.engine.texts["how hot?"] = "Use *soft* water."
        server.says(chat, ann, "/ask how hot?")
        await application.answered(chat)
        await application.quiet()
    answer = chat.from_bot[0]
    assert answer["text"].startswith("I'm not sure this is it:\n\nUse soft water.\n\n— Guide › Water")
    assert labels(answer) == [["👍 That's it", "👎 No"], ["📄 Show the passage"]]
    async with application_of() as application:
        await application.start()
        assert await pressed(server, chat, ann, answer, "That's it") == "Thank you!"
        assert await pressed(server, chat, bob, answer, "No") == "Thank you. The operator will see it."
        said = {given.author: given.helpful for given in await application.journal.answers.feedback(5)}
        assert said == {str(ann["id"]): True, str(bob["id"]): False}


@pytest.mark.parametrize("unsure", [True, False])
async def test_more_shows_the_rest_of_the_section(server, application_of, ann, unsure):
    """As a reply, rendered and cut like an answer, and once; also after a restart."""
    chat = server.private(ann)
    rest = "Then **wait**.\n\n" + "\n\n".join("x" * 3000 for _ in range(2))
    async with application_of() as application:
        await application.start()
        application.engine.unsure = {"how hot?"} if unsure else set()
        application.engine.more["how hot?"] = rest
        server.says(chat, ann, "how hot?")
        await application.answered(chat)
        await application.quiet()
    answer = chat.from_bot[0]
    assert labels(answer)[1] == ["📄 Show the passage", "➕ More"]
    assert all(len(button["callback_data"].encode()) <= 64 for row in buttons_of(answer) for button in row)
    async with application_of() as application:
        await application.start()
        await pressed(server, chat, ann, answer, "More")
        shown = chat.from_bot[1:]
        assert [len(part["text"]) for part in shown] == [len("Then wait.") + 2 + 3000, 3000]
        assert piece(shown[0]["text"], shown[0]["entities"][0]) == "wait"
        assert shown[0]["reply_to_message"]["message_id"] == answer["message_id"]
        assert "further down" in await pressed(server, chat, ann, answer, "More")
        await pressed(server, chat, ann, answer, PASSAGE)
        assert len(chat.from_bot) == 4


async def test_more_of_an_answer_that_is_not_kept(server, application, ann):
    """The same is said as by the other buttons."""
    chat = server.private(ann)
    application.engine.more["how hot?"] = "And wait."
    server.says(chat, ann, "how hot?")
    await application.answered(chat)
    await application.quiet()
    await application.journal.erasure.erase_before(time.time() + 1, keys_before=0)
    assert await pressed(server, chat, ann, chat.from_bot[0], "More") == "This answer isn't kept any more."
    assert len(chat.from_bot) == 1


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
