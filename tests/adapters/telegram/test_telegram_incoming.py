"""Questions by Telegram: the ways to ask, what is left alone, refusals, and a backlog."""

import asyncio
import time

import pytest
from structlog.testing import capture_logs
from telegram_application import until

from bot.adapters.rates import Rate
from bot.adapters.telegram import flood, incoming, progress, updates
from bot.core.messages import Policy
from tests.platforms.outcomes import outcomes
from tests.platforms.telegram_server import ANONYMOUS_ADMIN, AS_CHANNEL, BOT, SERVICE

pytestmark = pytest.mark.usefixtures("quick_chats")


async def test_a_private_question_is_answered_with_its_source(server, application, ann):
    """The answer comes at once, as a message of its own, with a link and without a preview."""
    chat = server.private(ann)
    server.says(chat, ann, "how hot?")
    assert await application.answered(chat) == ["re: how hot?\n\n— Guide › Water (guide.md, lines 3-4) · example.org"]
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
    """A quoted part of the message is followed up in its place."""
    group = server.group()
    answer = {"message_id": 77, "date": 1, "chat": group.data, "from": BOT, "text": "It is hot, and wet."}
    server.says(group, ann, "why?", reply_to=answer)
    server.says(group, ann, "why that?", reply_to=answer, quote={"text": "wet", "position": 15})
    await application.answered(group, 2)
    assert [question.replied_to for question in application.engine.asked] == ["It is hot, and wet.", "wet"]


async def test_a_mention_in_reply_asks_what_is_replied_to(server, application, ann, bob):
    """A mention of the bot below another person's question asks that question."""
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
    """This holds where the bot can read every message too."""
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
    """In General, whose id is 1, the topic is not named."""
    forum = server.group(is_forum=True)
    server.says(forum, ann, "/ask one", topic=7)
    server.says(forum, ann, "/ask two")
    server.says(forum, ann, "/ask three", topic=1)
    await application.answered(forum, 3)
    sent = {call["text"].partition("\n")[0]: call.get("message_thread_id") for call in server.called("sendMessage")}
    assert sent == {"re: one": 7, "re: two": None, "re: three": None}


async def test_a_comment_below_a_post_of_a_channel_is_answered_there(server, application, ann):
    """In the discussion group, whose threads are no topics: a reply is all that it takes."""
    group = server.group()
    comment = server.says(group, ann, "/ask one", message_thread_id=55)
    await application.answered(group)
    [sent] = server.called("sendMessage")
    assert "message_thread_id" not in sent
    assert sent["reply_parameters"]["message_id"] == comment["message_id"]


async def test_topics_are_conversations_of_their_own(server, application, ann, bob):
    """Each person has one in each topic."""
    forum = server.group(is_forum=True)
    for person, topic in ((ann, 7), (ann, 8), (bob, 7), (ann, 7)):
        server.says(forum, person, "/ask x", topic=topic)
    await application.answered(forum, 4)
    conversations = [
        question.conversation
        for question in sorted(application.engine.asked, key=lambda q: int(q.address.message.partition("@")[0]))
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


async def test_an_album_gets_one_reply(server, application, ann, bob):
    """Its pictures come one by one, the caption with the first of them; one without a caption gets one hint."""
    asked, silent = server.private(ann), server.private(bob)
    for number in range(3):
        server.sends_photo(asked, ann, "how hot?" if number == 0 else None, media_group_id="1")
        server.sends_photo(silent, bob, media_group_id="2")
    await application.quiet()
    assert [len(asked.texts), len(silent.texts)] == [1, 1]
    assert asked.texts[0].startswith("re: how hot?")


async def test_a_slash_alone_makes_no_command(server, application, ann):
    """Nor does a path, with a link elsewhere in the message."""
    server.says(server.private(ann), ann, "/ what is https://example.org/ for?")
    await application.answered(server.private(ann))
    assert application.engine.asked[0].text == "/ what is https://example.org/ for?"


async def test_the_command_alone_gets_a_hint_in_a_private_chat_too(server, application, ann):
    """Silence would look like a failure."""
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
    """The service posts for them in the name of a bot."""
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


async def test_a_comment_below_a_post_asks_everybody(server, application_of, ann, bob):
    """It replies to the post that the service forwards; a reply to a comment is to its author."""
    server.privacy = False
    async with application_of(policy="always") as application:
        await application.start()
        channel, group = server.group("News", kind="channel"), server.group()
        post = server.forwards_to_discussion(group, channel, "The new pump is here")
        comment = server.says(group, ann, "how do I fit it?", reply_to=post, message_thread_id=post["message_id"])
        await application.answered(group)
        server.says(group, bob, "why do you ask?", reply_to=comment, message_thread_id=post["message_id"])
        server.says(group, bob, "???")
        await application.quiet()
        assert [question.text for question in application.engine.asked] == ["how do I fit it?"]


async def test_the_name_of_the_bot_asks_the_words_that_are_quoted(server, application_of, ann, bob):
    """Not all of the message that they are from."""
    async with application_of() as application:
        await application.start()
        group = server.group()
        said = server.says(group, bob, "It rains. How warm is the water? I'd rather know.")
        quote = {"text": "How warm is the water?", "position": 10}
        server.says(group, ann, "@keeper_bot", reply_to=said, quote=quote)
        await application.answered(group)
        assert application.engine.asked[0].text == "How warm is the water?"


async def test_a_policy_decides_when_a_group_is_answered(server, application_of, ann, bob):
    """Always: every question, but not what people say to each other. Off: not even when addressed."""
    server.privacy = False
    async with application_of() as application:
        group, silent = server.group(), server.group()
        await application.journal.platforms.set_policy("telegram", str(group.id), Policy.ALWAYS)
        await application.journal.platforms.set_policy("telegram", str(silent.id), Policy.OFF)
        await application.start()
        first = server.says(group, ann, "how hot should the water be?")
        server.says(group, bob, "about 90 degrees?", reply_to=first)
        server.says(group, bob, "@someone_else do you know how?")
        server.says(group, bob, "lovely weather")
        server.says(silent, ann, "@keeper_bot how hot?")
        server.says(silent, ann, "/ask how hot?")
        await application.quiet()
        assert [question.text for question in application.engine.asked] == ["how hot should the water be?"]


async def test_nobody_gets_a_suggestion_unasked(server, application_of, ann, monkeypatch):
    """In a group where every question is answered it is shown to whoever has called the bot or replies to it, and not to
    others; a placeholder, and a sure answer that becomes a suggestion because its question was edited, are taken away."""
    monkeypatch.setattr(progress, "_PLACEHOLDER_AFTER", 0.05)
    server.privacy = False
    async with application_of(policy="always") as application:
        await application.start()
        group = server.group()
        application.engine.unsure = {"how cold?", "how long?"}
        asked = server.says(group, ann, "how hot?")
        await application.answered(group)
        await application.quiet()
        application.engine.may_answer.clear()
        server.says(group, ann, "how cold?")
        await application.answered(group, 2)  # the placeholder
        application.engine.may_answer.set()
        await application.quiet()
        assert [text.split("\n")[0] for text in group.texts] == ["re: how hot?"]
        for text in ("@keeper_bot how cold?", "/ask how cold?"):
            server.says(group, ann, text)
        server.says(group, ann, "how long?", reply_to=group.from_bot[0])
        await application.answered(group, 4)
        server.edits(group, asked, "how cold?")
        await application.quiet()
        assert len(application.engine.asked) == 6
        assert [text.split("\n")[0] for text in group.texts] == ["I'm not sure this is it:"] * 3


async def test_a_forum_can_be_answered_where_topics_begin(server, application_of, ann, bob):
    """Only the first message of a new topic is answered, whether it is a question or not."""
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


async def test_busy_and_too_often_are_told(server, application_of, ann, bob):
    """The person may ask again later."""
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


async def test_a_bug_in_reading_a_message_is_told(server, application, ann, monkeypatch):
    """The next message is answered."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch, capture_logs():
        patch.setattr(updates, "command_in", broken)
        server.says(server.private(ann), ann, "one")
        assert (await application.answered(server.private(ann)))[0].startswith("Something went wrong")
    server.says(server.private(ann), ann, "two")
    await application.answered(server.private(ann), 2)


# --- a backlog --------------------------------------------------------------------------------------------------------


async def test_a_backlog_is_answered_in_order_and_late_questions_with_regret(server, application_of, ann, monkeypatch):
    """Telegram keeps the questions for which the queue has no room."""
    monkeypatch.setattr(flood, "CHAT_RATE", Rate(100, 1.0))
    monkeypatch.setattr(incoming, "_BACKLOG_PAUSE", 0.02)
    application = application_of().with_settings(queue={"capacity": 3}, limits={"author_questions": 0})
    async with application:
        group = server.group()
        yesterday = time.time() - 80_000
        for n in range(12):
            server.says(group, ann, f"/ask {n}", at=yesterday + n)
        server.says(server.private(ann), ann, "now")
        await application.start()
        await application.answered(group, 12, seconds=20)
        await application.answered(server.private(ann))
        assert [question.text for question in application.engine.asked if question.text != "now"] == [
            str(n) for n in range(12)
        ]
        assert all(text.startswith("This took a while") for text in group.texts)
        assert not server.private(ann).texts[0].startswith("This took a while")


async def test_questions_of_an_absence_count_by_when_they_were_asked(server, application_of, ann, monkeypatch):
    """Nobody has asked too often who asked once a minute, though all of it comes at once."""
    monkeypatch.setattr(flood, "CHAT_RATE", Rate(100, 1.0))
    application = application_of().with_settings(limits={"author_questions": 2})
    async with application:
        chat = server.private(ann)
        for minutes in range(8, 0, -1):
            server.says(chat, ann, f"{minutes}?", at=time.time() - 60 * minutes)
        await application.start()
        await application.answered(chat, 8)
        assert len(application.engine.asked) == 8


async def test_nobody_is_refused_while_the_bot_gets_ready(server, application_of, monkeypatch):
    """Telegram keeps the questions for which the queue has no room; refusing them would help nobody."""
    monkeypatch.setattr(incoming, "_BACKLOG_PAUSE", 0.02)
    application = application_of().with_settings(queue={"capacity": 3})
    async with application:
        application.ready.clear()
        people = [server.person(f"Person {n}") for n in range(8)]
        for person in people:
            server.says(server.private(person), person, "one")
        await application.start()
        await until(lambda: application.dispatcher.counts["accepted"] == 3)
        await asyncio.sleep(0.3)
        assert application.dispatcher.counts["accepted"] == 3
        application.ready.set()
        for person in people:
            [text] = await application.answered(server.private(person))
            assert text.startswith("re: one")


async def test_a_late_repetition_of_an_answered_question_is_no_late_question(server, application_of, ann):
    """The bot was killed before it could confirm, and was away for long."""
    chat = server.private(ann)
    async with application_of() as application:
        await application.start()
        asked = server.says(chat, ann, "one")
        await application.answered(chat)
        await application.quiet()
    async with application_of() as application:
        server.update("message", asked | {"date": int(time.time()) - 80_000})
        await application.start()
        await application.quiet()
        assert len(chat.texts) == 1


async def test_no_message_disappears_without_an_outcome(server, application, ann, bob):
    """Each is counted once: what becomes a question, what gets a reply, and what gets none, with the reason."""
    server.privacy = False
    before, group, private = outcomes("telegram"), server.group(), server.private(ann)
    server.says(private, ann, "how hot?")
    server.edits(private, private.messages[1], "how hot?")
    server.says(group, ann, "well, hello there")
    server.says(group, bob, "/ask@another_bot how?")
    server.says(group, bob, "/weather")
    for _ in range(4):
        server.says(group, bob, "@keeper_bot")
    server.sends_photo(private, ann)
    server.says(group, {**bob, "is_bot": True}, "@keeper_bot how?")
    await application.quiet()
    assert outcomes("telegram") - before == {
        "accepted": 1, "repeated": 1, "not_addressed": 1, "for_another_bot": 1, "unknown_command": 1, "replied": 4,
        "person_limited": 1, "written_by_bot": 1,
    }  # fmt: skip
    assert "1 hint or refusal left out" in application.adapter.describe()


async def test_the_answer_to_a_question_that_was_deleted_is_not_sent(server, application, ann):
    """No bot is told of deletions on Telegram, but nobody can reply to a message that is gone."""
    group = server.group()
    application.engine.may_answer.clear()
    asked = server.says(group, ann, "/ask how hot?")
    await until(lambda: application.engine.asked)
    del group.messages[asked["message_id"]]
    application.engine.may_answer.set()
    await application.quiet()
    assert group.texts == []
    assert application.dispatcher.counts["undelivered"] == 1
