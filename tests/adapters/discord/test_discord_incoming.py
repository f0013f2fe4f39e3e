"""Messages that ask the bot, their edits and deletions, and those that came while it was away."""

import asyncio
import time

import discord
import pytest

from benchmarks.discord_load import Crowd
from bot.core.messages import Answer, Outcome, Policy
from tests.adapters.discord.discord_application import SOURCE, answered, first, labels, silence, suggested
from tests.platforms.outcomes import outcomes

pytestmark = pytest.mark.usefixtures("guild", "channel")


async def test_a_mention_is_answered_as_a_reply(bot, server, channel, ann):
    """With source and buttons, without a preview, and nobody is pinged."""
    asked = await server.say(channel, "@bot how hot?", ann)
    [answer] = await first(server, channel)
    assert answer["content"] == f"re: how hot?\n{SOURCE}"
    assert answer["message_reference"]["message_id"] in (asked["id"], int(asked["id"]))
    assert labels(answer) == ["Helpful", "Not helpful", "Show the passage"]
    assert answer["flags"] & 4


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
    await bot.dispatcher.queue.idle()
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


async def test_codes_of_channels_roles_times_and_commands_become_words(bot, server, guild, channel, ann):
    """As people see them."""
    role = guild["roles"][0]
    text = (
        f"@bot is <#{channel}> for <@&{role['id']}> since <t:86400:R>, and </ask:1> <#1> <@&1> <t:99999999999999999>?"
    )
    await server.say(channel, text, ann)
    await first(server, channel)
    name = server.channels[channel]["name"]
    assert bot.engine.asked[0].text == (
        f"is #{name} for @{role['name']} since 1970-01-02 00:00 UTC, and /ask #a channel @a role a time?"
    )


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
    await application.stores.journal.platforms.set_policy("discord", channel, Policy.ALWAYS)
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
    await bot.dispatcher.queue.idle()
    assert [question.text for question in bot.engine.asked] == ["how hot?", "good morning all", "is it broken?"]
    assert [answer["content"][:4] for answer in answers] == ["re: ", "🔍 Th"]


async def test_nobody_gets_a_suggestion_unasked(bot, server, channel, ann, application):
    """In a channel where everything is answered it is shown to whoever has called the bot, and not to others; a sure answer
    that becomes one, because its question was edited, is taken away."""
    await application.stores.journal.platforms.set_policy("discord", channel, Policy.ALWAYS)
    for text in ("how cold?", "good morning all", "called?"):
        bot.engine.answers[text] = suggested("Use water.", f"r{len(text)}")
    await server.say(channel, "how cold?", ann)
    await server.say(channel, "good morning all", ann)
    asked = await server.say(channel, "how hot?", ann)
    await server.say(channel, "@bot called?", ann)
    await first(server, channel, 2)
    await bot.dispatcher.queue.idle()
    assert [sent["content"][:12] for sent in server.from_bot(channel)] == ["re: how hot?", "I'm not sure"]
    await server.edit(asked, "how cold?")
    await server.until(lambda: len(server.from_bot(channel)) == 1)
    assert len(bot.engine.asked) == 5


async def test_a_new_forum_post_is_answered_once(bot, server, guild, ann, application):
    """Title and text together; what people write below is theirs, unless they call the bot."""
    forum = server.channel(guild, "help", kind=15)
    await server.dispatch("CHANNEL_CREATE", server.channels[forum])
    await application.stores.journal.platforms.set_policy("discord", forum, Policy.FORUM)
    post = await server.post(forum, "Water", "mine is cold", ann)
    [answer] = await first(server, post["id"])
    assert bot.engine.asked[0].text == "Water\nmine is cold"
    assert answer["content"].startswith("re: Water")
    await server.say(post["id"], "how cold is it?", server.user("ben"))
    await silence(server, bot, ann, post["id"])


async def test_the_title_of_a_post_asks_where_its_message_is_a_picture(bot, server, guild, ann, application):
    """It has no words of its own."""
    forum = server.channel(guild, "help", kind=15)
    await server.dispatch("CHANNEL_CREATE", server.channels[forum])
    await application.stores.journal.platforms.set_policy("discord", forum, Policy.FORUM)
    post = await server.post(forum, "Why is my water cold?", "", ann)
    await first(server, post["id"])
    assert bot.engine.asked[0].text == "Why is my water cold?"


def _forwarded(text: str) -> dict[str, object]:
    """The fields of a message that forwards another one."""
    words = {
        "type": 0,
        "content": text,
        "embeds": [],
        "attachments": [],
        "flags": 0,
        "mentions": [],
        "mention_roles": [],
    }
    words |= {"timestamp": "2026-01-01T00:00:00+00:00", "edited_timestamp": None, "components": [], "sticker_items": []}
    return {
        "message_snapshots": [{"message": words}],
        "message_reference": {"type": 1, "message_id": "1", "channel_id": "1"},
    }


async def test_a_forwarded_question_is_asked(bot, server, channel, ann):
    """Sent to the bot directly, or by "Answer this"."""
    direct = server.direct(ann)
    await server.say(direct, "", ann, **_forwarded("how hot?"))
    await first(server, direct)
    message = await server.say(channel, "", ann, **_forwarded("how deep?"))
    asked = await server.menu(channel, ann, "Answer this", message)
    await server.until(lambda: asked.message)
    assert [question.text for question in bot.engine.asked] == ["how hot?", "how deep?"]


async def test_a_long_paste_is_read(bot, server, ann):
    """Discord's client makes a file of it. Other files are not opened, nor one that is too large."""
    direct, text = server.direct(ann), "how hot? " * 300
    paste = server.attach("message.txt", text.encode())["resolved"]["attachments"]
    await server.say(direct, "", ann, attachments=list(paste.values()))
    await first(server, direct)
    other = server.attach("notes.txt", b"how deep?")["resolved"]["attachments"]
    huge = server.attach("message.txt", b"x" * 200_000)["resolved"]["attachments"]
    for files in (other, huge):
        await server.say(direct, "", ann, attachments=list(files.values()))
    await first(server, direct, 2)
    assert [question.text for question in bot.engine.asked] == [text.strip()]


async def test_what_a_proxy_repeats_is_answered_where_the_settings_say_so(running, server, channel, ann):
    """A proxy writes by a webhook, as another author."""
    proxied = {"webhook_id": "7", "application_id": "466378653216014359"}
    async with running(proxies=[466378653216014359]) as bot:
        await server.say(channel, "@bot how hot?", server.user("June", bot=True), **proxied)
        await server.say(channel, "@bot how deep?", server.user("feed", bot=True), webhook_id="8", application_id="9")
        await server.say(channel, "@bot how long?", ann)
        await first(server, channel, 2)
        assert {question.text for question in bot.engine.asked} == {"how hot?", "how long?"}


async def test_one_person_who_asks_much_holds_up_nobody_in_a_channel(running, server, channel, ann):
    """Of the messages that a channel takes, each person has one on its way at a time."""
    server.message_limit = (5, 1.0)
    async with running(limits={"author_questions": 0, "chat_questions": 0}):
        for number in range(15):
            await server.say(channel, f"@bot {number}?", ann)
        asked = await server.say(channel, "@bot how hot?", server.user("cem"))
        mine = await server.until(
            lambda: [m for m in server.from_bot(channel) if str(m["message_reference"]["message_id"]) == asked["id"]],
            15,
        )
        assert server.from_bot(channel).index(mine[0]) < 7


async def test_a_channel_can_be_switched_off(bot, server, channel, ann, application):
    """Mentions are ignored there, and a command says why it isn't answered."""
    await application.stores.journal.platforms.set_policy("discord", channel, Policy.OFF)
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


async def test_a_conversation_goes_on_where_threads_are_refused(running, server, channel, ann, application):
    """In the channel, for each person by themselves; once it is known, no thread is tried any more. /new begins anew."""
    async with running(threads=True) as bot:
        server.fail("POST", "/threads", status=403, code=50013, times=9)
        await server.say(channel, "@bot one?", ann)
        await first(server, channel)
        await server.say(channel, "@bot and why?", ann)
        await first(server, channel, 2)
        await server.say(channel, "@bot another?", server.user("ben"))
        await first(server, channel, 3)
        asked = await server.slash(channel, ann, "ask", {"question": "and how?"})
        await server.until(lambda: asked.message)
        one, and_why, another, and_how = [question.conversation for question in bot.engine.asked]
        assert one == and_why == and_how != another
        assert server.count("POST", "/threads") == 1
        await bot.dispatcher.queue.idle()
        new = await server.slash(channel, ann, "new", {})
        await server.until(lambda: new.message)
        await server.say(channel, "@bot three?", ann)
        await server.until(lambda: len(bot.engine.asked) == 5)
        assert bot.engine.asked[-1].conversation not in (one, another)


async def test_no_thread_is_tried_without_the_permission(running, server, guild, channel, ann):
    """It is tried again when the bot gets it."""
    everyone = guild["roles"][0]
    permissions = discord.Permissions(int(everyone["permissions"]))
    permissions.update(administrator=False, create_public_threads=False)
    everyone["permissions"] = str(permissions.value)
    async with running(threads=True) as bot:
        await server.say(channel, "@bot one?", ann)
        await server.say(channel, "@bot and why?", ann)
        await first(server, channel, 2)
        assert len({question.conversation for question in bot.engine.asked}) == 1
        assert server.count("POST", "/threads") == 0
        everyone["permissions"] = str(2**40 - 1)
        await server.dispatch("GUILD_ROLE_UPDATE", {"guild_id": guild["id"], "role": everyone})
        asked = await server.say(channel, "@bot two?", ann)
        await first(server, asked["id"])


async def test_two_hundred_members_ask_at_once(running, server, channel):
    """Each is answered or visibly refused, although Discord takes five messages in five seconds only."""
    server.message_limit = (50, 1.0)
    users = [server.user(f"member {n}") for n in range(200)]
    async with running(queue={"capacity": 100}) as bot:
        asked = [await server.say(channel, "@bot how hot?", user) for user in users]

        def marked() -> list[str]:
            return [message["id"] for message in asked if "reactions" in message]

        await server.until(lambda: len(server.from_bot(channel)) + len(marked()) == 200, seconds=60)
        messages = server.from_bot(channel)
        replied_to = [str(message["message_reference"]["message_id"]) for message in messages]
        assert sorted(replied_to + marked()) == sorted(message["id"] for message in asked)
        in_words = [message for message in messages if message["content"].startswith("⏳")]
        assert len(in_words) == 5
        refused = len(in_words) + len(marked())
        assert bot.dispatcher.counts["refused_busy"] + bot.dispatcher.counts["refused_limited"] == refused


async def test_who_asks_too_often_is_told_once_and_then_by_a_mark(running, server, channel, ann):
    """Words every time would be as much of a flood."""
    async with running(limits={"author_questions": 1}):
        asked = [await server.say(channel, f"@bot {n}?", ann) for n in range(3)]
        await server.until(lambda: len(server.from_bot(channel)) == 2 and "reactions" in asked[2])
        told = [message["content"] for message in server.from_bot(channel) if message["content"].startswith("⏳")]
        assert len(told) == 1
        assert "Please ask again in" in told[0]


async def test_empty_mentions_hold_up_no_answer(bot, server, channel, ann):
    """One person gets one hint, several people get some, the others a mark; the answer to a question doesn't wait for them."""
    server.message_limit = (5, 5.0)
    for _ in range(30):
        await server.say(channel, "@bot", ann)
    for n in range(30):
        await server.say(channel, "@bot", server.user(f"member {n}"))
    asked = await server.say(channel, "@bot how hot?", server.user("ben"))
    await server.until(
        lambda: asked["id"] in [str(m["message_reference"]["message_id"]) for m in server.from_bot(channel)], seconds=8
    )
    assert len(server.from_bot(channel)) <= 6


async def test_the_same_event_twice_is_one_question(bot, server, channel, ann):
    """A resumed connection repeats events; of messages, commands and buttons."""
    await server.say(channel, "@bot one?", ann, twice=True)
    asked = await server.slash(channel, ann, "ask", {"question": "two?"}, twice=True)
    await first(server, channel, 2)
    await bot.dispatcher.queue.idle()
    assert [question.text for question in bot.engine.asked] == ["one?", "two?"]
    assert len(server.from_bot(channel)) == 2
    assert not asked.waiting


# --- edits and deletions ----------------------------------------------------------------------------------------------


async def test_an_edited_question_gets_its_answer_revised_in_place(bot, server, channel, ann):
    """In the same message, also after a restart; the parts of a longer answer that are not needed any more go."""
    bot.engine.answers["long?"] = answered("\n\n".join(["p" * 1500] * 3))
    asked = await server.say(channel, "@bot long?", ann)
    long = await first(server, channel, 3)
    await bot.dispatcher.queue.idle()
    await server.edit(asked, "@bot short?")
    await server.until(lambda: long[0]["content"].startswith("re: short?"))
    await bot.dispatcher.queue.idle()
    assert [message["id"] for message in server.from_bot(channel)] == [long[0]["id"]]
    assert labels(long[0]) == ["Helpful", "Not helpful", "Show the passage"]


async def test_an_edit_that_changes_no_text_changes_no_answer(bot, server, channel, ann):
    """Discord reports a preview that appears as an edit."""
    asked = await server.say(channel, "@bot how hot?", ann)
    await first(server, channel)
    await server.edit(asked, "@bot how hot?")
    await server.dispatch("MESSAGE_UPDATE", asked | {"edited_timestamp": None, "content": "@bot other"})
    await server.say(channel, "@bot next?", ann)
    await first(server, channel, 2)
    assert [question.text for question in bot.engine.asked] == ["how hot?", "next?"]


async def test_a_message_that_is_edited_to_call_the_bot_is_a_question(bot, server, channel, ann):
    """People forget the mention and add it."""
    said = await server.say(channel, "how hot?", ann)
    await server.edit(said | {"mentions": [server.me]}, "@bot how hot?")
    [answer] = await first(server, channel)
    assert answer["content"].startswith("re: how hot?")


async def test_a_deleted_question_takes_its_answer_along(bot, server, channel, ann, application):
    """From the channel and from the journal."""
    asked = await server.say(channel, "@bot how hot?", ann)
    await first(server, channel)
    await bot.dispatcher.queue.idle()
    await server.delete(asked)
    await server.until(lambda: not server.from_bot(channel))
    assert await application.stores.journal.answers.stored("discord", "ref1") is None


async def test_a_question_that_is_deleted_before_its_answer_gets_none(bot, server, channel, ann):
    """And the typing ends."""
    bot.engine.may_answer.clear()
    asked = await server.say(channel, "@bot how hot?", ann)
    await server.until(lambda: server.count("POST", "/typing"))
    await server.dispatch("MESSAGE_DELETE_BULK", {"ids": [asked["id"]], "channel_id": channel})
    await bot.dispatcher.queue.idle()
    bot.engine.may_answer.set()
    assert server.from_bot(channel) == []
    assert bot.adapter._display._showing == {}


# --- catching up ------------------------------------------------------------------------------------------------------


async def test_what_was_asked_while_the_bot_was_away_is_answered_at_the_start(
    running, server, channel, ann, application
):
    """In channels and directly, what was answered before not again."""
    direct = server.direct(ann)
    async with running() as bot:
        await server.say(channel, "@bot before?", ann)
        await server.say(direct, "direct before?", ann)
        await first(server, direct)
        await first(server, channel)
        await bot.dispatcher.queue.idle()
        await server.until(lambda: bot.adapter.trouble is None)
        await application.stores.journal.platforms.set_note("discord", "alive_at", str(time.time()))
    await server.say(channel, "@bot missed?", ann)
    await server.say(direct, "direct missed?", ann)
    async with running() as bot:
        await first(server, channel, 2)
        await first(server, direct, 2)
        await bot.dispatcher.queue.idle()
    texts = [message["content"].split("\n")[0] for message in (*server.from_bot(channel), *server.from_bot(direct))]
    assert texts == ["re: before?", "re: missed?", "re: direct before?", "re: direct missed?"]


async def test_what_was_edited_while_the_bot_was_away_is_answered_in_its_last_form(running, server, channel, ann):
    """In place of the answer to the words before."""
    async with running() as bot:
        asked = await server.say(channel, "@bot which pump?", ann)
        await first(server, channel)
        await bot.dispatcher.queue.idle()
        await server.until(lambda: bot.adapter.trouble is None)
    await server.edit(asked, "@bot which hose?")
    async with running():
        await server.until(lambda: server.from_bot(channel)[0]["content"].startswith("re: which hose?"))
    assert len(server.from_bot(channel)) == 1


@pytest.mark.parametrize("edited", [True, False])
async def test_what_changes_while_the_history_is_read_is_not_undone(running, server, channel, ann, application, edited):
    """The history is on its way with the first form of a message when its edit or its deletion comes."""
    asked = await server.say(channel, "@bot which pump?", ann, event=False)
    await application.stores.journal.platforms.set_note("discord", "alive_at", str(time.time() - 60))
    calls: list[str] = []
    let = asyncio.Event()

    async def hold(call: str) -> None:
        if call.startswith("GET") and call.endswith("/messages"):
            calls.append(call)
            if len(calls) == 2:  # once it is done
                await let.wait()

    server.hold = hold
    async with running() as bot:
        await server.until(lambda: len(calls) == 2)
        if edited:
            await server.edit(asked, "@bot which hose?")
            await first(server, channel)
        else:
            await server.delete(asked)
            await silence(server, bot, ann, channel)
        before = outcomes("discord")
        let.set()
        await server.until(lambda: (outcomes("discord") - before)["repeated"])
        await bot.dispatcher.queue.idle()
    texts = [message["content"].split("\n")[0] for message in server.from_bot(channel)]
    assert texts == ["re: which hose?" if edited else "re: are you there?"]


async def test_a_stop_lets_what_came_before_be_handled(running, server, channel, ann, log):
    """A message that has come is answered, here by a hint, although the bot is being stopped."""

    async def hold(call: str) -> None:
        if call.startswith("POST"):
            await asyncio.sleep(0.1)

    async with running():
        server.hold = hold
        await server.say(channel, "@bot", ann)
        await server.until(lambda: server.count("POST", "/messages"))
    [helped] = server.from_bot(channel)
    assert "Ways to ask" in helped["content"]
    assert [line["event"] for line in log if line["log_level"] == "error"] == []


async def test_no_message_disappears_without_an_outcome(bot, server, channel, ann):
    """Each is counted once: what becomes a question, what gets a reply, and what gets none, with the reason."""
    before = outcomes("discord")
    cem = server.user("cem")
    await server.say(channel, "@bot how hot?", ann, twice=True)
    await server.say(channel, "well, hello there", ann)
    await server.say(channel, "@bot how hot?", server.user("other bot", bot=True))
    for _ in range(2):
        await server.say(channel, "@bot", cem)
    await server.say(server.direct(ann), "how deep?", ann)
    await first(server, channel, 2)
    await first(server, server.direct(ann))
    await server.until(lambda: server.count("PUT", "/@me"))
    await asyncio.sleep(0.05)
    # The bot's own messages come to it too: two answers and a hint.
    assert outcomes("discord") - before == {
        "accepted": 2,
        "repeated": 1,
        "not_addressed": 1,
        "written_by_bot": 4,
        "replied": 1,
        "person_limited": 1,
    }


@pytest.mark.parametrize("shard", [0, 1])
async def test_each_shard_catches_up(running, server, ann, application, shard):
    """At the start, and one that has lost its session alone later."""
    guild = server.guild()
    while (int(guild["id"]) >> 22) % 2 != shard:
        await asyncio.sleep(0.001)
        guild = server.guild()
    channel = server.channel(guild)
    missed = await server.say(channel, "@bot missed?", ann, event=False)
    await application.stores.journal.platforms.set_note("discord", "alive_at", str(time.time() - 60))
    async with running(sharded=True) as bot:
        await first(server, channel)
        await bot.dispatcher.queue.idle()
        await server.drop_gateway(resumable=False, shard=shard)
        later = await server.say(channel, "@bot and meanwhile?", ann, event=False)
        await first(server, channel, 2)
    replied_to = [str(message["message_reference"]["message_id"]) for message in server.from_bot(channel)]
    assert replied_to == [missed["id"], later["id"]]


@pytest.mark.parametrize("crashes", [False, True])
async def test_the_first_start_misses_nothing_while_its_shards_connect(running, server, ann, monkeypatch, crashes):
    """They do so one by one, some seconds apart. Also if the bot is stopped before the last one is connected."""
    may_connect = asyncio.Event()

    async def wait_before_the_second(_client, shard, *, initial):
        if shard == 1:
            await may_connect.wait()

    monkeypatch.setattr(discord.Client, "before_identify_hook", wait_before_the_second)
    guild = server.guild()
    while (int(guild["id"]) >> 22) % 2 != 1:
        await asyncio.sleep(0.001)
        guild = server.guild()
    channel = server.channel(guild)
    async with running(sharded=True):
        await server.say(channel, "@bot one?", ann)
        if not crashes:
            may_connect.set()
            await first(server, channel)
    may_connect.set()
    async with running(sharded=True):
        await first(server, channel)


async def test_a_clock_that_was_set_back_since_loses_nothing(running, server, channel, ann, application):
    """By a day, while the bot was away, so that it seems to have been there tomorrow."""
    await server.say(channel, "@bot missed?", ann, event=False)
    await application.stores.journal.platforms.set_note("discord", "alive_at", str(time.time() + 86_400))
    async with running():
        await first(server, channel)


@pytest.mark.parametrize("jump", [-86_400, 86_400])
async def test_a_clock_that_is_set_anew_during_an_absence_loses_nothing(bot, server, channel, ann, monkeypatch, jump):
    """The session ends, the clock jumps by a day, and what was asked meanwhile is answered."""
    await server.until(lambda: bot.adapter.trouble is None)
    await server.say(channel, "@bot missed?", ann, event=False)
    there = time.time
    monkeypatch.setattr("bot.core.clock.time.time", lambda: there() + jump)
    await server.drop_gateway(resumable=False)
    [answer] = await first(server, channel)
    assert "was away" not in answer["content"]


async def test_a_failing_history_keeps_no_other_channel_from_catching_up(
    running, server, guild, channel, ann, application, log
):
    """A message that the library can't read, for example; the log says so."""
    await server.say(channel, "@bot unreadable?", ann, event=False)
    server.messages[channel][-1]["author"] = {"id": ann["id"]}
    other = server.channel(guild, "other")
    await server.say(other, "@bot missed?", ann, event=False)
    await application.stores.journal.platforms.set_note("discord", "alive_at", str(time.time() - 60))
    async with running():
        await first(server, other)
    [line] = [line for line in log if line["event"] == "a channel was not caught up"]
    assert line["log_level"] == "error"


async def test_a_crowd_is_served_through_faults_and_a_restart(running, server):
    """A sample of benchmarks/discord_load.py: each question is answered or refused, none is lost, none twice."""
    crowd = Crowd(server)
    for _ in range(2):
        async with running():
            for number in range(30):
                if number % 10 == 0:
                    crowd.trouble()
                await crowd.ask()
            await server.drop_gateway()
            await crowd.ask(by_command=False)
            await crowd.settle(5, seconds=30)
    async with running():
        await crowd.settle(0, seconds=30)
    assert crowd.outcomes() == {"answered or refused": 62}
