"""Ways to ask on Discord, and the answers that come: seen through the eyes of the server."""

import asyncio

import pytest

from bot.core.messages import Answer, Outcome, Policy

pytestmark = pytest.mark.usefixtures("guild", "channel")
SOURCE = "-# Guide › Water \\(guide.md, lines 3-4\\) · <https://example.org/g.md>"


async def first(server, channel, count: int = 1):
    """The messages of the bot in a channel, once there are so many."""
    return await server.until(lambda: len(server.from_bot(channel)) >= count and server.from_bot(channel))


async def silence(server, bot, asked, channel):
    """Give the bot the time to do nothing: a later question is answered first."""
    before = len(server.from_bot(channel))
    await server.say(channel, "@bot are you there?", asked)
    await first(server, channel, before + 1)
    await bot.admission.idle()
    assert [text.text for text in bot.engine.asked][-1] == "are you there?"
    assert len(server.from_bot(channel)) == before + 1


def labels(message) -> list[str]:
    return [button["label"] for row in message["components"] for button in row["components"]]


async def test_a_mention_is_answered_as_a_reply(bot, server, channel, ann):
    """With source and buttons, without a preview, and nobody is pinged."""
    asked = await server.say(channel, "@bot how hot?", ann)
    [answer] = await first(server, channel)
    assert answer["content"] == f"re: how hot?\n{SOURCE}"
    assert answer["message_reference"]["message_id"] in (asked["id"], int(asked["id"]))
    assert labels(answer) == ["Helpful", "Not helpful", "Show the passage"]
    assert answer["flags"] & 4


async def test_a_command_is_deferred_and_answered_with_its_question(bot, server, channel, ann):
    """Discord shows nobody else what was asked, so the answer quotes it."""
    asked = await server.slash(channel, ann, "ask", {"question": "how hot?"})
    answer = await server.until(lambda: asked.message)
    assert asked.response["type"] == 5
    assert not asked.ephemeral
    assert answer["content"] == f"> how hot?\nre: how hot?\n{SOURCE}"


async def test_a_private_answer_is_for_the_asker_only_and_can_be_shared_once(bot, server, channel, ann):
    """Sharing says who asked; the button goes with the first press."""
    asked = await server.slash(channel, ann, "ask", {"question": "how hot?", "private": True})
    answer = await server.until(lambda: asked.message)
    assert asked.ephemeral
    assert labels(answer) == ["Helpful", "Not helpful", "Show the passage", "Share"]
    pressed = await server.press(answer, "Share", ann)
    [shared] = await first(server, channel)
    assert shared["content"] == f"> ann\\: how hot?\nre: how hot?\n{SOURCE}"
    assert labels(pressed.message) == ["Helpful", "Not helpful", "Show the passage"]


async def test_answer_this_takes_the_text_of_a_message(bot, server, channel, ann):
    """The context menu; a message without text is declined politely."""
    message = await server.say(channel, "how hot?", server.user("ben"), event=False)
    asked = await server.menu(channel, ann, "Answer this", message)
    assert (await server.until(lambda: asked.message))["content"].startswith("> how hot?\nre: how hot?")
    empty = await server.menu(channel, ann, "Answer this", message | {"content": ""})
    assert "no text" in (await server.until(lambda: empty.message))["content"]
    assert empty.ephemeral


async def test_a_direct_message_is_a_question(bot, server, ann):
    """Without any mention, and one conversation."""
    direct = server.direct(ann)
    await server.say(direct, "how hot?", ann)
    await first(server, direct)
    await server.say(direct, "and why?", ann)
    await first(server, direct, 2)
    assert len({question.conversation for question in bot.engine.asked}) == 1


async def test_a_reply_to_an_answer_follows_it_up_also_by_somebody_else(bot, server, channel, ann):
    """The conversation is the one of the first question, which is what the reply refers to."""
    await server.say(channel, "@bot how hot?", ann)
    [answer] = await first(server, channel)
    await bot.admission.idle()
    await server.say(channel, "and why?", server.user("ben"), reply_to=answer, mentions=(server.me,))
    await first(server, channel, 2)
    one, two = bot.engine.asked
    assert (two.text, two.replied_to, two.conversation) == ("and why?", "how hot?", one.conversation)


async def test_calling_the_bot_below_a_question_answers_that_question(bot, server, channel, ann):
    """`@bot` alone as a reply; alone without one it says how to ask."""
    question = await server.say(channel, "how hot?", ann)
    await server.say(channel, "@bot", server.user("ben"), reply_to=question)
    [answer] = await first(server, channel)
    assert answer["content"].startswith("re: how hot?")
    await server.say(channel, "@bot", ann)
    [_, helped] = await first(server, channel, 2)
    assert "Ways to ask" in helped["content"]


async def test_the_role_of_the_bot_counts_as_its_name(bot, server, guild, channel, ann):
    """People pick it from the list without noticing."""
    role = guild["roles"][1]["id"]
    await server.say(channel, f"<@&{role}> how hot?", ann, mention_roles=[role])
    [answer] = await first(server, channel)
    assert answer["content"].startswith("re: how hot?")


async def test_marks_become_names_in_what_is_asked(bot, server, channel, ann):
    """The documents know no ids."""
    ben = server.user("ben")
    await server.say(channel, f"@bot who is <@{ben['id']}> <:smile:123456789012345678>?", ann, mentions=(ben,))
    await first(server, channel)
    assert bot.engine.asked[0].text == "who is @ben :smile:?"


async def test_what_is_not_for_the_bot_is_left_alone(bot, server, channel, ann):
    """By default everything without a mention; bots and webhooks always, so that no two bots talk for ever."""
    await server.say(channel, "how hot?", ann)
    await server.say(channel, "@bot how hot?", server.user("other bot", bot=True))
    await server.say(channel, "@bot how hot?", ann, webhook_id="123")
    await server.say(channel, "@bot joined", ann, type=7)
    await silence(server, bot, ann, channel)
    assert len(bot.engine.asked) == 1


async def test_an_ask_channel_answers_questions_and_stays_out_of_talk(bot, server, channel, ann, application):
    """What is said to others is not for the bot; and what doesn't look like a question is answered only if it can be."""
    await application.journal.set_policy("discord", channel, Policy.ALWAYS)
    bot.engine.answers["good morning all"] = Answer(Outcome.DECLINED, "The documents don't answer this.", "r")
    bot.engine.answers["is it broken?"] = Answer(Outcome.DECLINED, "The documents don't answer this.", "r2")
    asked = await server.say(channel, "how hot?", ann)
    await first(server, channel)
    ben = server.user("ben")
    await server.say(channel, "about 92 degrees", ben, reply_to=asked)
    await server.say(channel, "ask her?", ben, mentions=(ann,))
    await server.say(channel, "good morning all", ben)
    await server.say(channel, "is it broken?", ben)
    answers = await first(server, channel, 2)
    await bot.admission.idle()
    assert [question.text for question in bot.engine.asked] == ["how hot?", "good morning all", "is it broken?"]
    assert [answer["content"][:4] for answer in answers] == ["re: ", "🔍 Th"]


async def test_a_new_forum_post_is_answered_once(bot, server, guild, ann, application):
    """Title and text together; what people write below is theirs, unless they call the bot."""
    forum = server.channel(guild, "help", kind=15)
    await server.dispatch("CHANNEL_CREATE", server.channels[forum])
    await application.journal.set_policy("discord", forum, Policy.FORUM)
    post = await server.post(forum, "Water", "mine is cold", ann)
    [answer] = await first(server, post["id"])
    assert bot.engine.asked[0].text == "Water\nmine is cold"
    assert answer["content"].startswith("re: Water")
    await server.say(post["id"], "how cold is it?", server.user("ben"))
    await silence(server, bot, ann, post["id"])


async def test_a_channel_can_be_switched_off(bot, server, channel, ann, application):
    """Mentions are ignored there, and a command says why it isn't answered."""
    await application.journal.set_policy("discord", channel, Policy.OFF)
    await server.say(channel, "@bot how hot?", ann)
    asked = await server.slash(channel, ann, "ask", {"question": "how hot?"})
    assert "I don't answer in this channel" in (await server.until(lambda: asked.message))["content"]
    assert bot.engine.asked == []


async def test_a_question_may_get_a_thread_of_its_own(running, server, channel, ann):
    """Named after it; what is written in the thread needs no mention and is one conversation."""
    async with running(threads=True) as bot:
        asked = await server.say(channel, "@bot how hot?", ann)
        [answer] = await first(server, asked["id"])
        assert server.channels[asked["id"]]["name"] == "how hot?"
        assert "message_reference" not in answer
        await server.say(asked["id"], "and why?", ann)
        await first(server, asked["id"], 2)
        assert len({question.conversation for question in bot.engine.asked}) == 1
        assert server.from_bot(channel) == []


async def test_without_the_content_intent_the_rest_works_in_full(running, server, channel, ann, log):
    """Mention, reply with a ping, direct message, command; what is off is said at the start, with how to turn it on."""
    server.content_allowed = False
    async with running():
        await server.until(lambda: server._sockets, seconds=15)
        await server.say(channel, "not for the bot?", ann)
        await server.say(channel, "@bot one?", ann)
        [answer] = await first(server, channel)
        await server.say(channel, "two?", ann, reply_to=answer, mentions=(server.me,))
        await first(server, channel, 2)
        direct = server.direct(ann)
        await server.say(direct, "three?", ann)
        await first(server, direct)
        asked = await server.slash(channel, ann, "ask", {"question": "four?"})
        await server.until(lambda: asked.message)
    assert [text["content"].split("\n")[0] for text in server.from_bot(channel)][:2] == ["re: one?", "re: two?"]
    warned = [line for line in log if line["log_level"] == "warning"]
    assert any("Message Content Intent" in line.get("missing", "") for line in warned)


async def test_the_intent_is_not_asked_for_if_the_operator_says_so(running, server, channel, ann):
    """Bots on many servers have to do without."""
    async with running(message_content=False) as bot:
        assert server.identifies == 1
        await server.say(channel, "@bot one?", ann)
        await first(server, channel)
        assert [question.text for question in bot.engine.asked] == ["one?"]


@pytest.mark.parametrize(
    ("outcome", "begins"),
    [(Outcome.DECLINED, "🔍 "), (Outcome.FAILED, "⚠️ "), (Outcome.STOPPED, "⏹️ "), (Outcome.SMALL_TALK, "said")],
)
async def test_what_is_no_answer_looks_different(bot, server, channel, ann, outcome, begins):
    """At a glance, and without buttons."""
    bot.engine.answers["well?"] = Answer(outcome, "said", "ref")
    await server.say(channel, "@bot well?", ann)
    [answer] = await first(server, channel)
    assert answer["content"].startswith(begins)
    assert answer["components"] == []


async def test_two_hundred_members_ask_at_once(running, server, channel):
    """Each is answered or visibly refused, although Discord takes five messages in five seconds only."""
    server.message_limit = (50, 1.0)
    users = [server.user(f"member {n}") for n in range(200)]
    async with running(queue={"capacity": 100}) as bot:
        asked = [await server.say(channel, "@bot how hot?", user) for user in users]
        await server.until(
            lambda: len({str(m["message_reference"]["message_id"]) for m in server.from_bot(channel)}) == 200,
            seconds=60,
        )
        answers = server.from_bot(channel)
        assert len(answers) == 200
        assert {str(answer["message_reference"]["message_id"]) for answer in answers} == {m["id"] for m in asked}
        refused = [answer for answer in answers if answer["content"].startswith("⏳")]
        assert bot.admission.counts["refused_busy"] + bot.admission.counts["refused_limited"] == len(refused)


async def test_who_asks_too_often_is_told_once_and_then_by_a_mark(running, server, channel, ann):
    """Words every time would be as much of a flood."""
    async with running(limits={"author_questions": 1}):
        asked = [await server.say(channel, f"@bot {n}?", ann) for n in range(3)]
        await server.until(lambda: len(server.from_bot(channel)) == 2 and "reactions" in asked[2])
        told = [message["content"] for message in server.from_bot(channel) if message["content"].startswith("⏳")]
        assert len(told) == 1
        assert "Please ask again in" in told[0]


async def test_typing_is_shown_while_it_takes_and_ends(bot, server, channel, ann):
    """Not for what is answered at once."""
    await server.say(channel, "@bot quick?", ann)
    await first(server, channel)
    assert server.count("POST", "/typing") == 0
    bot.engine.may_answer.clear()
    await server.say(channel, "@bot slow?", ann)
    await server.until(lambda: server.count("POST", "/typing"))
    bot.engine.may_answer.set()
    await first(server, channel, 2)
    await asyncio.sleep(0.05)
    assert bot.adapter._display._typing == {}


async def test_a_draft_is_shown_as_it_grows_and_becomes_the_answer(bot, server, channel, ann):
    """In one message, edited at most once a second, with a button to stop."""
    bot.engine.drafts = ["Use", "Use water", "Use water at"]
    bot.engine.may_answer.clear()
    await server.say(channel, "@bot how hot?", ann)
    [draft] = await first(server, channel)
    assert labels(draft) == ["Stop"]
    await server.until(lambda: draft["content"] == "Use water at")
    bot.engine.may_answer.set()
    await server.until(lambda: draft["content"].startswith("re: how hot?"))
    assert labels(draft) == ["Helpful", "Not helpful", "Show the passage"]
    assert server.from_bot(channel) == [draft]
    assert server.count("PATCH", draft["id"]) == 2


async def test_an_answer_can_be_stopped_by_who_asked(bot, server, channel, ann):
    """By nobody else."""
    bot.engine.drafts = ["Use"]
    bot.engine.may_answer.clear()
    await server.say(channel, "@bot how hot?", ann)
    [draft] = await first(server, channel)
    other = await server.press(draft, "Stop", server.user("ben"))
    assert "Only who has asked" in (await server.until(lambda: other.message))["content"]
    await server.press(draft, "Stop", ann)
    await server.until(lambda: draft["content"] == "⏹️ Stopped.")
