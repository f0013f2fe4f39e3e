"""The Telegram adapter against a local Bot API: ways to ask, answers, buttons, edits, policies."""

import asyncio
import time

import pytest
from structlog.testing import capture_logs
from telegram_application import CITATION, until

from bot.adapters.telegram import adapter as adapter_module
from bot.adapters.telegram import flood, progress
from bot.core.errors import IndexUnavailable
from bot.core.messages import Policy
from tests.platforms.telegram_markup import piece, units
from tests.platforms.telegram_server import ANONYMOUS_ADMIN, AS_CHANNEL, BOT, SERVICE

HELPFUL, NOT_HELPFUL, PASSAGE = "Helpful", "Not helpful", "passage"


@pytest.fixture(autouse=True)
def quick_chats(monkeypatch):
    """Flood control has tests of its own."""
    monkeypatch.setattr(flood, "CHAT_RATE", flood.Rate(100, 1.0))


@pytest.fixture
async def application(application_of):
    async with application_of() as application:
        await application.start()
        yield application


# --- ways to ask ------------------------------------------------------------------------------------------------------


async def test_a_private_question_is_answered_with_its_source(server, application, ann):
    """At once, as a message of its own, with a link and without a preview."""
    chat = server.private(ann)
    server.says(chat, ann, "how hot?")
    assert await application.answered(chat) == ["re: how hot?\n\n— Guide › Water (guide.md, lines 3-4)"]
    [sent] = server.called("sendMessage")
    assert sent["link_preview_options"] == {"is_disabled": True}
    assert "reply_parameters" not in sent
    [link] = sent["entities"]
    assert (link["type"], link["url"]) == ("text_link", "https://example.org/guide.md")
    await application.quiet()
    assert server.called("sendChatAction") == []


@pytest.mark.parametrize(
    "text",
    ["@keeper_bot how hot?", "how hot? @Keeper_Bot", "/ask how hot?", "/ask@keeper_bot how hot?", "/ASK how hot?"],
)
async def test_a_group_asks_by_mention_or_command(server, application, ann, text):
    """The mention is no part of the question; the answer is a reply."""
    group = server.group()
    asked = server.says(group, ann, text)
    await application.answered(group)
    assert [question.text for question in application.engine.asked] == ["how hot?"]
    assert group.from_bot[0]["reply_to_message"]["message_id"] == asked["message_id"]


async def test_a_group_asks_by_reply(server, application, ann, bob):
    """A reply follows up the question that was answered, whoever has asked it."""
    group = server.group()
    server.says(group, ann, "/ask one")
    await application.answered(group)
    await application.quiet()
    server.says(group, bob, "and two?", reply_to=group.from_bot[0])
    await application.answered(group, 2)
    one, two = application.engine.asked
    assert (two.text, two.replied_to, two.author) == ("and two?", "one", str(bob["id"]))
    assert two.conversation == one.conversation


async def test_a_reply_to_what_is_not_kept_any_more_follows_up_its_words(server, application, ann):
    """Also to the words that were quoted out of it."""
    group = server.group()
    answer = {"message_id": 77, "date": 1, "chat": group.data, "from": BOT, "text": "It is hot, and wet."}
    server.says(group, ann, "why?", reply_to=answer)
    server.says(group, ann, "why that?", reply_to=answer, quote={"text": "wet", "position": 15})
    await application.answered(group, 2)
    assert [question.replied_to for question in application.engine.asked] == ["It is hot, and wet.", "wet"]


async def test_a_mention_in_reply_asks_what_is_replied_to(server, application, ann, bob):
    """Somebody points the bot at another one's question."""
    group = server.group()
    asked = server.says(group, bob, "does anybody know how hot?")
    server.says(group, ann, "@keeper_bot", reply_to=asked)
    await application.answered(group)
    assert application.engine.asked[0].text == "does anybody know how hot?"


async def test_a_mention_without_a_question_gets_a_hint(server, application, ann):
    """Silence would look like a failure."""
    group = server.group()
    server.says(group, ann, "@keeper_bot")
    [hint] = await application.answered(group)
    assert "Write your question behind my name" in hint


async def test_what_people_say_to_each_other_is_left_alone(server, application_of, ann, bob):
    """Also where the bot may read everything."""
    server.privacy = False
    async with application_of() as application:
        await application.start()
        group = server.group()
        said = server.says(group, ann, "lovely weather")
        server.says(group, bob, "indeed", reply_to=said)
        server.says(group, bob, "/ask@other_bot something")
        server.says(group, bob, "/start@other_bot")
        await application.quiet()
        assert (application.engine.asked, group.texts) == ([], [])


async def test_a_topic_is_answered_in_its_topic(server, application, ann):
    """And General, whose id is 1, without naming it."""
    forum = server.group(is_forum=True)
    server.says(forum, ann, "/ask one", topic=7)
    server.says(forum, ann, "/ask two")
    server.says(forum, ann, "/ask three", topic=1)
    await application.answered(forum, 3)
    assert [sent.get("message_thread_id") for sent in server.called("sendMessage")] == [7, None, None]


async def test_a_comment_below_a_post_of_a_channel_is_answered_there(server, application, ann):
    """In the discussion group, whose threads are no topics: a reply is all that it takes."""
    group = server.group()
    comment = server.says(group, ann, "/ask one", message_thread_id=55)
    await application.answered(group)
    [sent] = server.called("sendMessage")
    assert "message_thread_id" not in sent
    assert sent["reply_parameters"]["message_id"] == comment["message_id"]


async def test_topics_are_conversations_of_their_own(server, application, ann, bob):
    """By person; a setting shares them."""
    forum = server.group(is_forum=True)
    for person, topic in ((ann, 7), (ann, 8), (bob, 7), (ann, 7)):
        server.says(forum, person, "/ask x", topic=topic)
    await application.answered(forum, 4)
    conversations = [
        question.conversation for question in sorted(application.engine.asked, key=lambda q: int(q.address.message))
    ]
    assert len(set(conversations)) == 3
    assert conversations[0] == conversations[3]


async def test_conversations_of_a_group_can_be_shared(server, application_of, ann, bob):
    """A follow-up may refer to what somebody else has asked."""
    async with application_of(shared_conversations=True) as application:
        await application.start()
        group = server.group()
        server.says(group, ann, "/ask one")
        server.says(group, bob, "/ask two")
        await application.answered(group, 2)
        assert len({question.conversation for question in application.engine.asked}) == 1


async def test_captions_ask_too(server, application, ann):
    """Below a photo in private, below a document by mention."""
    server.sends_photo(server.private(ann), ann, "what is this?")
    group = server.group()
    server.sends_document(group, ann, "x.pdf", b"x", "@keeper_bot what does it say?")
    await application.quiet()
    assert sorted(question.text for question in application.engine.asked) == ["what does it say?", "what is this?"]


async def test_a_slash_alone_makes_no_command(server, application, ann):
    """Nor does a path, whatever else stands in the message."""
    server.says(server.private(ann), ann, "/ what is https://example.org/ for?")
    await application.answered(server.private(ann))
    assert application.engine.asked[0].text == "/ what is https://example.org/ for?"


async def test_the_command_alone_gets_a_hint_in_a_private_chat_too(server, application, ann):
    """Nothing is left without a word."""
    server.says(server.private(ann), ann, "/ask")
    [hint] = await application.answered(server.private(ann))
    assert "Just write one" in hint


async def test_what_is_no_text_gets_a_hint(server, application, ann):
    """A photo without words, in private."""
    server.sends_photo(server.private(ann), ann)
    assert "I answer questions that are written" in (await application.answered(server.private(ann)))[0]


async def test_what_the_service_itself_says_gets_no_hint(server, application, ann):
    """A message was pinned, say."""
    server.says(
        server.private(ann), ann, "", pinned_message={"message_id": 1, "date": 0, "chat": server.private(ann).data}
    )
    await application.quiet()
    assert server.private(ann).texts == []


async def test_an_anonymous_admin_and_a_channel_are_answered(server, application):
    """The service posts in their place, in the name of a bot."""
    group = server.group()
    channel = server.group("Channel", kind="channel")
    server.says(group, ANONYMOUS_ADMIN, "/ask one", sender_chat=group.data)
    server.says(group, AS_CHANNEL, "/ask two", sender_chat=channel.data)
    await application.answered(group, 2)
    assert {question.author for question in application.engine.asked} == {str(group.id), str(channel.id)}


async def test_nobody_is_answered_who_is_no_person(server, application_of, ann):
    """Other bots, posts of the linked channel, results of inline queries, posts in a channel."""
    server.privacy = False
    async with application_of(policy="always") as application:
        await application.start()
        group = server.group()
        channel = server.group("Channel", kind="channel")
        server.says(group, {"id": 9, "is_bot": True, "first_name": "Other"}, "/ask me?")
        server.forwards_to_discussion(group, channel, "what a day?")
        server.says(group, ann, "from the documents?", via_bot=BOT)
        server.says(group, SERVICE, "@keeper_bot hello?")
        server.posts_in_channel(channel, "@keeper_bot hello?")
        await application.quiet()
        assert application.engine.asked == []


async def test_a_policy_decides_when_a_group_is_answered(server, application_of, ann, bob):
    """Always: every question, but not what people say to each other. Off: not even when addressed."""
    server.privacy = False
    async with application_of() as application:
        group, silent = server.group(), server.group()
        await application.journal.set_policy("telegram", str(group.id), Policy.ALWAYS)
        await application.journal.set_policy("telegram", str(silent.id), Policy.OFF)
        await application.start()
        first = server.says(group, ann, "how hot should the water be?")
        server.says(group, bob, "about 90 degrees?", reply_to=first)
        server.says(group, bob, "@someone_else do you know how?")
        server.says(group, bob, "lovely weather")
        server.says(silent, ann, "@keeper_bot how hot?")
        server.says(silent, ann, "/ask how hot?")
        await application.quiet()
        assert [question.text for question in application.engine.asked] == ["how hot should the water be?"]


async def test_a_forum_can_be_answered_where_topics_begin(server, application_of, ann, bob):
    """The first message of a new topic only, whatever it says."""
    server.privacy = False
    async with application_of(policy="forum") as application:
        await application.start()
        forum = server.group(is_forum=True)
        made = {"message_id": 900, "date": int(time.time()), "chat": forum.data, "from": ann}
        new = made | {"forum_topic_created": {"name": "Help", "icon_color": 7322096}}
        old = new | {"date": int(time.time()) - 100_000}
        server.says(forum, ann, "it is too hot", topic=900, reply_to=new)
        server.says(forum, bob, "what is?", topic=900, reply_to=new)
        server.says(forum, bob, "is it?", topic=901, reply_to=old)
        server.says(forum, bob, "@keeper_bot is it?", topic=901, reply_to=old)
        await application.answered(forum, 2)
        await application.quiet()
        assert {question.text for question in application.engine.asked} == {"it is too hot", "is it?"}
        assert len(application.engine.asked) == 2


async def test_a_name_that_is_markup_hurts_nothing(server, application):
    """Nor does one that turns the direction of reading."""
    person = server.person("<b>&*_[x](y)\u202e")
    server.says(server.private(person), person, "<i>how_hot*?")
    [answer] = await application.answered(server.private(person))
    assert answer.startswith("re: <i>how_hot*?")


# --- answers ----------------------------------------------------------------------------------------------------------


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


async def test_busy_and_too_often_are_told(server, application_of, ann, bob):
    """And whoever is told so may ask again."""
    application = application_of().with_settings(queue={"capacity": 1}, limits={"author_questions": 2})
    async with application:
        await application.start()
        application.engine.may_answer.clear()
        server.says(server.private(ann), ann, "one")
        await until(lambda: application.engine.asked)
        server.says(server.private(bob), bob, "two")
        assert "1 question is waiting already" in (await application.answered(server.private(bob)))[0]
        application.engine.may_answer.set()
        await application.quiet()
        for text in ("three", "four"):
            server.says(server.private(ann), ann, text)
            await application.quiet()
        assert "Please ask again in" in server.private(ann).texts[-1]


async def test_a_slow_answer_is_announced_and_then_put_in_the_same_place(server, application, ann, monkeypatch):
    """Typing, a placeholder, and the answer edited into it."""
    monkeypatch.setattr(progress, "_PLACEHOLDER_AFTER", 0.2)
    monkeypatch.setattr(progress, "_TYPING_AFTER", 0.05)
    application.engine.may_answer.clear()
    chat = server.private(ann)
    server.says(chat, ann, "slow")
    assert await application.answered(chat) == ["Searching the documents…"]
    application.engine.may_answer.set()
    await application.quiet()
    assert chat.texts == ["re: slow\n\n— Guide › Water (guide.md, lines 3-4)"]
    assert "reply_markup" in chat.from_bot[0]
    assert server.called("sendChatAction") == [{"chat_id": chat.id, "action": "typing"}]


async def test_a_bug_in_reading_a_message_is_told(server, application, ann, monkeypatch):
    """And the next one is answered."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch, capture_logs():
        patch.setattr(adapter_module, "command_in", broken)
        server.says(server.private(ann), ann, "one")
        assert (await application.answered(server.private(ann)))[0].startswith("Something went wrong")
    server.says(server.private(ann), ann, "two")
    await application.answered(server.private(ann), 2)


async def test_typing_ends_whatever_happens(server, application, ann, monkeypatch):
    """Here the question is forgotten before it is answered; the placeholder goes too."""
    monkeypatch.setattr(progress, "_PLACEHOLDER_AFTER", 0.1)
    monkeypatch.setattr(progress, "_TYPING_AFTER", 0.05)
    monkeypatch.setattr(progress, "_TYPING_LASTS", 0.05)
    application.engine.may_answer.clear()
    chat = server.private(ann)
    server.says(chat, ann, "slow")
    await application.answered(chat)
    server.says(chat, ann, "/forget me")
    await until(lambda: any("Erased: 1 questions" in text for text in chat.texts))
    await application.quiet()
    assert len(chat.texts) == 1
    typed = len(server.called("sendChatAction"))
    await asyncio.sleep(0.2)
    assert len(server.called("sendChatAction")) == typed


async def test_a_question_is_stopped_on_demand(server, application, ann):
    """And the next one is answered."""
    application.engine.may_answer.clear()
    chat = server.private(ann)
    server.says(chat, ann, "slow")
    await until(lambda: application.engine.asked)
    server.says(chat, ann, "/stop")
    assert await application.answered(chat) == ["Stopped."]
    server.says(chat, ann, "/stop")
    assert (await application.answered(chat, 2))[1] == "There is nothing to stop."


async def test_a_slow_answer_to_an_edited_question_has_no_placeholder(server, application, ann, monkeypatch):
    """The answer to be edited stands there already."""
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


# --- buttons ----------------------------------------------------------------------------------------------------------


async def pressed(server, application, chat, person, message, label):
    query = server.presses(chat, person, message, label)
    await until(lambda: query in server.callback_answers)
    return server.callback_answers[query].get("text")


async def test_buttons_take_feedback_and_show_the_passage(server, application, ann):
    """The passage word for word, markup and all, and only once."""
    chat = server.private(ann)
    server.says(chat, ann, "how hot?")
    await application.answered(chat)
    answer = chat.from_bot[0]
    assert await pressed(server, application, chat, ann, answer, "👎") == "Thank you. The operator will see it."
    assert await pressed(server, application, chat, ann, answer, "👍") == "Thank you!"
    [given] = await application.journal.feedback(5)
    assert (given.helpful, given.author) == (True, str(ann["id"]))
    await pressed(server, application, chat, ann, answer, PASSAGE)
    shown = chat.from_bot[1]
    assert shown["text"] == f"Guide › Water (guide.md, lines 3-4)\n{CITATION.quote}"
    assert piece(shown["text"], next(e for e in shown["entities"] if e["type"] == "blockquote")) == CITATION.quote
    assert "further down" in await pressed(server, application, chat, ann, answer, PASSAGE)
    assert len(chat.from_bot) == 2


async def test_buttons_work_after_a_restart(server, application_of, ann):
    """And say so when the answer isn't kept any more."""
    chat = server.private(ann)
    async with application_of() as application:
        await application.start()
        server.says(chat, ann, "how hot?")
        await application.answered(chat)
        await application.quiet()
    async with application_of() as application:
        await application.start()
        await pressed(server, application, chat, ann, chat.from_bot[0], PASSAGE)
        assert CITATION.quote in chat.texts[1]
        await application.journal.erase_older(time.time() + 1, keys_older_than=0)
        said = await pressed(server, application, chat, ann, chat.from_bot[0], "👍")
        assert said == "This answer isn't kept any more."


async def test_a_button_of_a_deleted_message_is_answered(server, application, ann):
    """The app sends no message along then."""
    chat = server.private(ann)
    server.says(chat, ann, "how hot?")
    await application.answered(chat)
    answer = chat.messages.pop(chat.from_bot[0]["message_id"])
    assert await pressed(server, application, chat, ann, answer, "👍") == "Thank you!"


async def test_nobody_looks_into_another_chat(server, application, ann, bob):
    """A button that was made up, or forwarded, with the reference of somebody else's answer."""
    server.says(server.private(ann), ann, "how hot?")
    await application.answered(server.private(ann))
    forged = dict(server.private(ann).from_bot[0], message_id=1)
    said = await pressed(server, application, server.private(bob), bob, forged, PASSAGE)
    assert said == "This answer isn't kept any more."
    assert server.private(bob).texts == []


async def test_without_kept_answers_there_are_no_buttons(server, application_of, ann):
    """They would lead nowhere."""
    async with application_of().with_settings(storage={"answer_days": 0}) as application:
        await application.start()
        server.says(server.private(ann), ann, "how hot?")
        await application.answered(server.private(ann))
        assert "reply_markup" not in server.private(ann).from_bot[0]


# --- the life of a message --------------------------------------------------------------------------------------------


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
    """And one that mentions the bot at last asks."""
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


async def test_a_group_that_moves_takes_its_policy_and_its_questions_along(server, application, ann):
    """The answer to what was asked before comes in the new group."""
    group = server.group(kind="group")
    await application.journal.set_policy("telegram", str(group.id), Policy.OFF)
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
    assert await application.journal.policies("telegram") == {str(new.id): Policy.OFF}
    said = await pressed(server, application, moved, ann, moved.from_bot[0], "👍")
    assert said == "Thank you!"


async def test_a_chat_that_has_blocked_the_bot_is_left_alone_until_it_is_back(server, application, ann):
    """Also over a restart: it stands in the journal."""
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
    assert await application.journal.note("telegram", f"gone:{ann['id']}")
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
    assert await application.journal.pending() == []


async def test_a_closed_topic_is_given_up(server, application, ann):
    """Nothing can be said there, and trying for hours would not help."""
    forum = server.group(is_forum=True)
    forum.closed_topics.add(7)
    server.says(forum, ann, "/ask one", topic=7)
    server.says(forum, ann, "/ask two", topic=8)
    await application.answered(forum)
    await application.quiet()
    assert await application.journal.pending() == []
    assert application.dispatcher.counts["undelivered"] == 1


# --- commands ---------------------------------------------------------------------------------------------------------


async def test_everybody_has_help_privacy_and_a_new_beginning(server, application, ann):
    """In the words of the settings."""
    chat = server.private(ann)
    for command in ("/start", "/help", "/privacy", "/new", "/forget", "/nonsense"):
        server.says(chat, ann, command)
    await until(lambda: len(chat.texts) == 6)
    told = "\n".join(chat.texts)
    for words in (
        "I answer questions from documents",
        "30 days",
        "30 minutes",
        "begin anew",
        "/forget me",
        str(ann["id"]),
    ):
        assert words in told
    assert "There is no command /nonsense" in told
    assert "operator" not in told


async def test_the_apps_are_told_the_commands_when_they_change(server, application_of, ann):
    """By scope and language; an operator sees more, as soon as they have written to the bot."""
    async with application_of(operators=[ann["id"]]) as application:
        await application.start()
        await until(lambda: ("all_group_chats", "fr") in server.commands)
        await application.quiet()
    private, groups = server.commands["all_private_chats", ""], server.commands["all_group_chats", ""]
    assert [c["command"] for c in groups] == ["ask", "new", "stop", "help", "privacy", "forget"]
    assert "ask" not in {c["command"] for c in private}
    server.private(ann)
    for _ in range(2):
        async with application_of(operators=[ann["id"]]) as application:
            await application.start()
            await until(lambda: server.called("getUpdates"))
            await application.quiet()
            calls = len(server.called("setMyCommands"))
    assert "reload" in {c["command"] for c in server.commands[f"chat:{ann['id']}", ""]}
    async with application_of(operators=[ann["id"]]) as application:
        await application.start()
        await application.quiet()
        assert len(server.called("setMyCommands")) == calls
