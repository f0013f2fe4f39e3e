"""How answers are sent, through every fault on the way, and the places that they go to."""

import pytest

from bot.adapters.discord import chats
from bot.core.messages import Answer, Outcome
from tests.adapters.discord.discord_application import ScriptedEngine, answered, first

pytestmark = pytest.mark.usefixtures("guild", "channel")


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


async def test_a_long_answer_takes_several_messages_and_then_a_file(bot, server, channel, ann):
    """Code closed and opened again; the buttons below the last one; beyond the limit all of it is in a file."""
    code = "\n".join(f"print({n})" for n in range(400))
    bot.engine.answers["code?"] = answered(f"Run:\n\n```python\n{code}\n```\n", "code")
    bot.engine.answers["book?"] = answered("x" * 30_000, "book")
    await server.say(channel, "@bot code?", ann)
    parts = await server.until(
        lambda: server.from_bot(channel) and server.from_bot(channel)[-1]["components"] and server.from_bot(channel)
    )
    assert all(part["content"].count("```") % 2 == 0 for part in parts)
    assert [bool(part["components"]) for part in parts] == [False] * (len(parts) - 1) + [True]
    await server.say(channel, "@bot book?", ann)
    book = (await first(server, channel, len(parts) + 1))[-1]
    assert len(book["content"]) <= 2000
    assert book["files"] == {"answer.md": "x" * 30_000}


async def test_server_errors_and_rate_limits_delay_an_answer_only(bot, server, channel, ann):
    """Once each."""
    server.fail("POST", "/messages", status=500)
    server.fail("POST", "/messages", status=429, retry_after=0.2)
    await server.say(channel, "@bot one?", ann)
    await first(server, channel)
    await bot.dispatcher.queue.idle()
    assert len(server.from_bot(channel)) == 1
    assert bot.dispatcher.counts["repeated"] == 0


async def test_a_send_whose_answer_was_lost_is_not_doubled(bot, server, channel, ann):
    """The nonce makes it the same message, though the bot can't know and counts it as in doubt."""
    server.lose_answer("POST", "/messages")
    await server.say(channel, "@bot one?", ann)
    await first(server, channel)
    await bot.dispatcher.queue.idle()
    assert len(server.from_bot(channel)) == 1
    assert bot.dispatcher.counts["repeated"] == 1


async def test_a_response_whose_answer_was_lost_is_edited_again(bot, server, channel, ann):
    """Which needs no mark, because it can't be doubled."""
    server.lose_answer("PATCH", "original")
    asked = await server.slash(channel, ann, "ask", {"question": "one?"})
    await server.until(lambda: asked.message)
    await bot.dispatcher.queue.idle()
    assert asked.message["content"].startswith("> one?\nre: one?")
    assert (len(server.from_bot(channel)), bot.dispatcher.counts["repeated"]) == (1, 0)


async def test_an_expired_command_is_answered_in_the_channel(bot, server, channel, ann):
    """Or directly, if the answer is private."""
    bot.engine.may_answer.clear()
    public = await server.slash(channel, ann, "ask", {"question": "public?"})
    private = await server.slash(channel, ann, "ask", {"question": "private?", "private": True})
    await server.until(lambda: public.response and private.response)
    public.expired = private.expired = True
    bot.engine.may_answer.set()
    [answer] = await first(server, channel)
    assert answer["content"].startswith("> public?\nre: public?")
    [secret] = await first(server, server.direct(ann))
    assert secret["content"].startswith("> private?\nre: private?")


async def test_a_channel_in_which_the_bot_may_not_write_gets_no_second_try(bot, server, channel, ann):
    """The answer goes to the asker directly; the channel is left in peace until its permissions change."""
    server.forbidden.add(channel)
    await server.say(channel, "@bot one?", ann)
    [answer] = await first(server, server.direct(ann))
    assert answer["content"].startswith(f"> one?\n-# Asked in <#{channel}>, where I can't show all of this.\nre: one?")
    tries = server.count("POST", f"{channel}/messages")
    await server.say(channel, "@bot two?", ann)
    await server.say(server.direct(ann), "three?", ann)
    await first(server, server.direct(ann), 2)
    assert server.count("POST", f"{channel}/messages") == tries
    server.forbidden.clear()
    await server.dispatch("CHANNEL_UPDATE", server.channels[channel])
    await server.say(channel, "@bot four?", ann)
    await first(server, channel)


async def test_a_channel_that_takes_no_files_gets_the_beginning_of_a_long_answer(bot, server, channel, ann):
    """With a word about the rest. Others are answered in that channel as before."""
    server.files_forbidden.add(channel)
    bot.engine.answers["manual?"] = answered("y" * 30_000, "manual")
    await server.say(channel, "@bot manual?", ann)
    [beginning] = await first(server, channel)
    assert beginning["content"].startswith("yyy")
    assert "I may not attach files here" in beginning["content"]
    assert "in the file" not in beginning["content"]
    assert "files" not in beginning
    assert beginning["components"]
    [whole] = await first(server, server.direct(ann))
    assert whole["content"].startswith("> manual?\n")
    assert whole["files"] == {"answer.md": "y" * 30_000}
    await server.until(lambda: "all of it is in your direct messages" in server.from_bot(channel)[0]["content"])
    await server.say(channel, "@bot which pump?", server.user("cem"))
    assert (await first(server, channel, 2))[1]["content"].startswith("re: which pump?")


async def test_a_refusal_of_one_message_closes_no_channel(bot, server, channel, ann):
    """Such as one for its content: only a missing permission says something about the next one."""
    server.fail("POST", f"{channel}/messages", status=403, code=20009)
    await server.say(channel, "@bot one?", ann)
    await first(server, server.direct(ann))
    await server.say(channel, "@bot which pump?", ann)
    assert (await first(server, channel))[0]["content"].startswith("re: which pump?")


async def test_a_role_for_the_bot_opens_its_channels_again(bot, server, channel, guild, ann):
    server.forbidden.add(channel)
    await server.say(channel, "@bot one?", ann)
    await first(server, server.direct(ann))
    server.forbidden.clear()
    await server.change_roles(guild, [guild["id"]])
    await server.say(channel, "@bot which pump?", ann)
    assert (await first(server, channel))[0]["content"].startswith("re: which pump?")


async def test_an_unlocked_thread_is_listened_to_again(bot, server, channel, guild, ann):
    """The channel above it is open all the time, and gets the answer."""
    thread = (await server._open_thread(channel, server._id(), "pumps", ann["id"]))["id"]
    server.forbidden.add(thread)
    await server.say(thread, "@bot one?", ann)
    await first(server, channel)
    server.forbidden.clear()
    await server.dispatch("THREAD_UPDATE", server.channels[thread])
    await server.say(thread, "@bot which pump?", ann)
    assert (await first(server, thread))[0]["content"].startswith("re: which pump?")


async def test_an_answer_that_went_to_the_asker_goes_with_its_question(bot, server, channel, ann):
    """And a reply to it is a follow-up."""
    server.forbidden.add(channel)
    asked = await server.say(channel, "@bot which pump?", ann)
    [answer] = await first(server, server.direct(ann))
    await bot.dispatcher.queue.idle()
    await server.say(server.direct(ann), "and which hose?", ann, reply_to=answer)
    await first(server, server.direct(ann), 2)
    assert bot.engine.asked[1].conversation == bot.engine.asked[0].conversation
    await server.delete(asked)
    await server.until(lambda: answer not in server.from_bot(server.direct(ann)))


@pytest.mark.parametrize(("code", "reason"), [(200000, "the AutoMod of this server blocks it"), (50109, "code 50109")])
async def test_an_answer_that_discord_refuses_goes_to_the_asker(bot, server, channel, ann, code, reason):
    """A sentence in its place says so."""
    server.fail("POST", f"{channel}/messages", status=400, code=code)
    await server.say(channel, "@bot which pump?", ann)
    [answer] = await first(server, server.direct(ann))
    assert "re: which pump?" in answer["content"]
    [sentence] = await first(server, channel)
    assert sentence["content"] == f"⚠️ Discord doesn't take my answer here: {reason}. It is in your direct messages."


async def test_a_refusal_is_told_where_the_asker_takes_no_messages(bot, server, channel, ann):
    server.closed_dms.add(ann["id"])
    server.fail("POST", f"{channel}/messages", status=400, code=200000)
    await server.say(channel, "@bot which pump?", ann)
    [sentence] = await first(server, channel)
    assert "Please ask again in other words" in sentence["content"]


async def test_nothing_is_deleted_in_a_thread_that_never_was(bot, server, channel, ann):
    """A deleted question takes one message along, by one call."""
    asked = await server.say(channel, "@bot which pump?", ann)
    [answer] = await first(server, channel)
    await bot.dispatcher.queue.idle()
    await server.delete(asked)
    await server.until(lambda: not server.from_bot(channel))
    await bot.dispatcher.queue.idle()
    assert server.count("DELETE", answer["id"]) == 1


async def test_an_answer_without_any_place_is_given_up(bot, server, channel, ann, application):
    """The channel is deleted in mid-answer, and the asker takes no messages: its texts are erased."""
    bot.engine.may_answer.clear()
    server.closed_dms.add(ann["id"])
    await server.say(channel, "@bot one?", ann)
    await server.until(lambda: bot.engine.asked)
    await server.remove_channel(channel)
    bot.engine.may_answer.set()
    await bot.dispatcher.queue.idle()
    assert await application.stores.journal.questions.pending() == []
    assert bot.dispatcher.counts["undelivered"] == 1


async def test_a_missing_right_to_read_the_history_costs_the_reply_only(bot, server, channel, ann):
    """The answer stands there without it."""
    server.fail("POST", "/messages", status=400, code=160002)
    await server.say(channel, "@bot one?", ann)
    [answer] = await first(server, channel)
    assert "message_reference" not in answer


async def test_a_slow_discord_loses_nothing(bot, server, channel, ann):
    """Half a second for each call."""
    server.latency = 0.5
    asked = await server.slash(channel, ann, "ask", {"question": "one?"})
    await server.say(channel, "@bot two?", ann)
    await server.until(lambda: asked.message)
    await first(server, channel, 2)
    assert asked.responded < 3


async def test_an_answer_is_delivered_after_a_restart(running, server, channel, ann):
    """Of a message and of a command, in the place that was waiting for it."""
    first_engine = ScriptedEngine()
    first_engine.may_answer.clear()
    async with running(engine=first_engine):
        asked = await server.slash(channel, ann, "ask", {"question": "one?"})
        await server.say(channel, "@bot two?", server.user("ben"))
        await server.until(lambda: len(first_engine.asked) == 2 and asked.waiting)
    async with running():
        await first(server, channel, 2)
    assert asked.message["content"].startswith("> one?\nre: one?")
    assert len(server.from_bot(channel)) == 2


# --- threads that are closed ------------------------------------------------------------------------------------------


async def _in_thread(server, bot, channel, ann, *, close):
    """The thread of a question whose answer comes once the thread was closed by `close`."""
    bot.engine.may_answer.clear()
    asked = await server.say(channel, "@bot which pump?", ann)
    await server.until(lambda: bot.engine.asked)
    thread = (await server._open_thread(channel, asked["id"], "which pump?", server.me["id"]))["id"]
    await close(thread)
    bot.engine.may_answer.set()
    return asked, thread


async def test_an_archived_thread_is_reopened(running, server, channel, ann):
    async with running(threads=True) as bot:
        _, thread = await _in_thread(server, bot, channel, ann, close=server.archive)
        await first(server, thread)
        assert server.from_bot(channel) == []
        assert not server.channels[thread]["thread_metadata"]["archived"]


@pytest.mark.parametrize("archived", [True, False])
async def test_the_answer_in_a_locked_thread_goes_to_the_channel_above(running, server, channel, ann, archived):
    """As a reply to the question; with it, a deleted question takes it along."""
    async with running(threads=True) as bot:

        async def lock(thread):
            await server.archive(thread, locked=True, archived=archived)

        asked, thread = await _in_thread(server, bot, channel, ann, close=lock)
        [answer] = await first(server, channel)
        assert answer["content"].startswith("re: which pump?")
        assert str(answer["message_reference"]["message_id"]) == asked["id"]
        assert (server.from_bot(thread), server.from_bot(server.direct(ann))) == ([], [])
        await bot.dispatcher.queue.idle()
        await server.edit(asked, "@bot which hose?")
        await server.until(lambda: server.from_bot(channel)[0]["content"].startswith("re: which hose?"))
        await server.delete(asked)
        await server.until(lambda: not server.from_bot(channel))


async def test_an_answer_comes_back_to_its_thread_once_that_is_open_again(running, server, channel, ann):
    """And the earlier one, in the channel above, goes."""
    async with running(threads=True) as bot:

        async def lock(thread):
            await server.archive(thread, locked=True)

        asked, thread = await _in_thread(server, bot, channel, ann, close=lock)
        await first(server, channel)
        await bot.dispatcher.queue.idle()
        await server.archive(thread, archived=False)
        await server.edit(asked, "@bot which hose?")
        [answer] = await first(server, thread)
        assert answer["content"].startswith("re: which hose?")
        await server.until(lambda: not server.from_bot(channel))


async def test_a_question_in_a_thread_that_is_locked_then_is_answered_above_with_a_link(bot, server, channel, ann):
    bot.engine.may_answer.clear()
    thread = (await server._open_thread(channel, server._id(), "pumps", ann["id"]))["id"]
    await server.say(thread, "@bot which pump?", ann)
    await server.until(lambda: bot.engine.asked)
    await server.archive(thread, locked=True)
    bot.engine.may_answer.set()
    [answer] = await first(server, channel)
    assert answer["content"].startswith(f"> which pump?\n-# Asked in <#{thread}>, where I can't show all of this.")
    assert server.from_bot(server.direct(ann)) == []


async def test_a_private_thread_tells_the_channel_above_nothing(bot, server, channel, ann):
    bot.engine.may_answer.clear()
    thread = (await server._open_thread(channel, server._id(), "pumps", ann["id"], kind=12))["id"]
    await server.say(thread, "@bot which pump?", ann)
    await server.until(lambda: bot.engine.asked)
    await server.archive(thread, locked=True)
    bot.engine.may_answer.set()
    await first(server, server.direct(ann))
    assert server.from_bot(channel) == []


# --- questions that are deleted while the bot isn't told --------------------------------------------------------------


@pytest.mark.parametrize("threads", [False, True])
async def test_a_question_that_was_deleted_during_a_restart_is_not_answered(running, server, channel, ann, threads):
    """Nothing tells the bot but the refusal of its answer."""
    first_engine = ScriptedEngine()
    first_engine.may_answer.clear()
    async with running(engine=first_engine, threads=threads):
        asked = await server.say(channel, "@bot one?", ann)
        await server.until(lambda: first_engine.asked)
    await server.delete(asked)
    async with running(threads=threads) as bot:
        await server.say(channel, "@bot two?", ann)
        await server.until(lambda: bot.dispatcher.counts["answered"] and not bot.dispatcher.admission.unfinished)
        assert bot.dispatcher.counts["undelivered"] == 1
    said = [message["content"] for channel in list(server.messages) for message in server.from_bot(channel)]
    assert [text.startswith("re: two?") for text in said] == [True]


async def test_only_the_latest_forbidden_channels_are_remembered(monkeypatch):
    """The others are tried again."""
    monkeypatch.setattr(chats, "_MOST_CHANNELS", 2)
    forbidden = chats.ForbiddenChannels()
    for channel in (1, 2, 3):
        forbidden.add(channel)
    assert [channel in forbidden for channel in (1, 2, 3)] == [False, True, True]
