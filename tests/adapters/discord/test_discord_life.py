"""The life of a message on Discord: edits, deletions, buttons, catching up; and every fault between here and there."""

import asyncio
import threading
import time

import discord
import pytest
from discord.gateway import DiscordWebSocket, KeepAliveHandler
from test_discord_asking import first, labels

from benchmarks.discord_load import Crowd
from bot.core.errors import EngineBusy
from tests.adapters.discord.conftest import ScriptedEngine, answered
from tests.platforms.discord_server import TOKEN

pytestmark = pytest.mark.usefixtures("guild", "channel")


# --- edits and deletions ----------------------------------------------------------------------------------------------


async def test_an_edited_question_gets_its_answer_revised_in_place(bot, server, channel, ann):
    """In the same message, also after a restart; the parts of a longer answer that are not needed any more go."""
    bot.engine.answers["long?"] = answered("\n\n".join(["p" * 1500] * 3))
    asked = await server.say(channel, "@bot long?", ann)
    long = await first(server, channel, 3)
    await bot.admission.idle()
    await server.edit(asked, "@bot short?")
    await server.until(lambda: long[0]["content"].startswith("re: short?"))
    await bot.admission.idle()
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
    await bot.admission.idle()
    await server.delete(asked)
    await server.until(lambda: not server.from_bot(channel))
    assert await application.journal.stored("discord", "ref1") is None


async def test_a_question_that_is_deleted_before_its_answer_gets_none(bot, server, channel, ann):
    """And the typing ends."""
    bot.engine.may_answer.clear()
    asked = await server.say(channel, "@bot how hot?", ann)
    await server.until(lambda: server.count("POST", "/typing"))
    await server.dispatch("MESSAGE_DELETE_BULK", {"ids": [asked["id"]], "channel_id": channel})
    await bot.admission.idle()
    bot.engine.may_answer.set()
    assert server.from_bot(channel) == []
    assert bot.adapter._display._typing == {}


# --- buttons ----------------------------------------------------------------------------------------------------------


async def test_buttons_work_after_a_restart(running, server, channel, ann, application):
    """Feedback with a reason, and the passage with its exact words; nothing of a button is in memory only."""
    async with running():
        await server.say(channel, "@bot how hot?", ann)
        [answer] = await first(server, channel)
    async with running():
        shown = await server.press(answer, "Show the passage", ann)
        passage = await server.until(lambda: shown.message)
        assert passage["content"].startswith("> Use *soft* water.\n-# Guide › Water")
        helpful = await server.press(answer, "Helpful", ann)
        assert "noted" in (await server.until(lambda: helpful.message))["content"]
        opened = await server.press(answer, "Not helpful", server.user("ben"))
        await server.until(lambda: opened.response)
    async with running():
        reason = await server.submit(opened, "It is outdated.")
        assert "noted" in (await server.until(lambda: reason.message))["content"]
        assert all(one.ephemeral for one in (shown, helpful, reason))
    said = {feedback.author: feedback for feedback in await application.journal.feedback(9)}
    assert said[ann["id"]].helpful
    assert said[opened.user["id"]].reason == "It is outdated."


async def test_a_vote_without_a_reason_counts(bot, server, channel, ann, application):
    """Most people close the form."""
    await server.say(channel, "@bot how hot?", ann)
    [answer] = await first(server, channel)
    await bot.admission.idle()
    opened = await server.press(answer, "Not helpful", ann)
    await server.until(lambda: opened.response)
    for _ in range(500):
        if await application.journal.feedback_counts() == (0, 1):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the vote was not counted")


async def test_the_buttons_of_an_erased_answer_say_so(bot, server, channel, ann):
    """Never a press without a word."""
    await server.say(channel, "@bot how hot?", ann)
    [answer] = await first(server, channel)
    await bot.admission.idle()
    await bot.admission.forget("discord", ann["id"])
    for label in ("Helpful", "Show the passage"):
        pressed = await server.press(answer, label, ann)
        assert "not kept any more" in (await server.until(lambda pressed=pressed: pressed.message))["content"]


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
        await bot.admission.idle()
        await server.until(lambda: bot.adapter.trouble is None)
        await application.journal.set_note("discord", "alive_at", str(time.time()))
    await server.say(channel, "@bot missed?", ann)
    await server.say(direct, "direct missed?", ann)
    async with running() as bot:
        await first(server, channel, 2)
        await first(server, direct, 2)
        await bot.admission.idle()
    texts = [message["content"].split("\n")[0] for message in (*server.from_bot(channel), *server.from_bot(direct))]
    assert texts == ["re: before?", "re: missed?", "re: direct before?", "re: direct missed?"]


# --- faults between here and there ------------------------------------------------------------------------------------


async def test_the_same_event_twice_is_one_question(bot, server, channel, ann):
    """A resumed connection repeats events; of messages, commands and buttons."""
    await server.say(channel, "@bot one?", ann, twice=True)
    asked = await server.slash(channel, ann, "ask", {"question": "two?"}, twice=True)
    await first(server, channel, 2)
    await bot.admission.idle()
    assert [question.text for question in bot.engine.asked] == ["one?", "two?"]
    assert len(server.from_bot(channel)) == 2
    assert not asked.waiting


async def test_a_dropped_connection_is_resumed_and_nothing_is_lost(bot, server, channel, ann):
    """What was said meanwhile is replayed."""
    bot.engine.may_answer.clear()
    await server.say(channel, "@bot one?", ann)
    await server.until(lambda: bot.engine.asked)
    await server.drop_gateway()
    bot.engine.may_answer.set()
    await server.say(channel, "@bot two?", ann)
    await first(server, channel, 2)
    assert (server.resumes, server.identifies) == (1, 1)


async def test_discord_may_ask_to_reconnect(bot, server, channel, ann):
    """As it does every few hours."""
    await server.ask_to_reconnect()
    await server.until(lambda: server.resumes)
    await server.say(channel, "@bot one?", ann)
    await first(server, channel)


async def test_an_invalid_session_is_begun_anew(bot, server, channel, ann):
    """And the ways to ask work as before."""
    await server.invalidate(resumable=False)
    await server.until(lambda: server.identifies == 2, seconds=20)
    await server.say(channel, "@bot one?", ann)
    await first(server, channel)


async def test_a_session_that_timed_out_is_begun_anew(bot, server, channel, ann):
    """Code 4009: nothing can be resumed, and what is asked afterwards is answered."""
    server._session = ""
    await server.drop_gateway(4009)
    await server.until(lambda: server.identifies == 2, seconds=20)
    await server.say(channel, "@bot one?", ann)
    await first(server, channel)


async def test_a_server_that_the_bot_joins_is_served_and_one_that_it_left_is_not(bot, server, channel, ann):
    """Both while it runs; an answer that is due there when it is thrown out harms nobody else."""
    other = server.guild("another")
    there = server.channel(other)
    await server.dispatch("GUILD_CREATE", other)
    await server.say(there, "@bot one?", ann)
    await first(server, there)
    bot.engine.may_answer.clear()
    await server.say(there, "@bot two?", ann)
    await server.until(lambda: len(bot.engine.asked) == 2)
    del server.guilds[other["id"]], server.channels[there]
    await server.dispatch("GUILD_DELETE", {"id": other["id"]})
    bot.engine.may_answer.set()
    await server.say(channel, "@bot three?", ann)
    await first(server, channel)
    assert len(server.from_bot(there)) == 1


async def test_server_errors_and_rate_limits_delay_an_answer_only(bot, server, channel, ann):
    """Once each."""
    server.fail("POST", "/messages", status=500)
    server.fail("POST", "/messages", status=429, retry_after=0.2)
    await server.say(channel, "@bot one?", ann)
    await first(server, channel)
    await bot.admission.idle()
    assert len(server.from_bot(channel)) == 1
    assert bot.admission.counts["repeated"] == 0


async def test_a_send_whose_answer_was_lost_is_not_doubled(bot, server, channel, ann):
    """The nonce makes it the same message, though the bot can't know and counts it as in doubt."""
    server.lose_answer("POST", "/messages")
    await server.say(channel, "@bot one?", ann)
    await first(server, channel)
    await bot.admission.idle()
    assert len(server.from_bot(channel)) == 1
    assert bot.admission.counts["repeated"] == 1


async def test_a_response_whose_answer_was_lost_is_edited_again(bot, server, channel, ann):
    """Which needs no mark, because it can't be doubled."""
    server.lose_answer("PATCH", "original")
    asked = await server.slash(channel, ann, "ask", {"question": "one?"})
    await server.until(lambda: asked.message)
    await bot.admission.idle()
    assert asked.message["content"].startswith("> one?\nre: one?")
    assert (len(server.from_bot(channel)), bot.admission.counts["repeated"]) == (1, 0)


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
    assert answer["content"].startswith("re: one?")
    tries = server.count("POST", f"{channel}/messages")
    await server.say(channel, "@bot two?", ann)
    await server.say(server.direct(ann), "three?", ann)
    await first(server, server.direct(ann), 2)
    assert server.count("POST", f"{channel}/messages") == tries
    server.forbidden.clear()
    await server.dispatch("CHANNEL_UPDATE", server.channels[channel])
    await server.say(channel, "@bot four?", ann)
    await first(server, channel)


async def test_an_answer_without_any_place_is_given_up(bot, server, channel, ann, application):
    """The channel is deleted in mid-answer, and the asker takes no messages: its texts are erased."""
    bot.engine.may_answer.clear()
    server.closed_dms.add(ann["id"])
    await server.say(channel, "@bot one?", ann)
    await server.until(lambda: bot.engine.asked)
    await server.remove_channel(channel)
    bot.engine.may_answer.set()
    await bot.admission.idle()
    assert await application.journal.pending() == []
    assert bot.admission.counts["undelivered"] == 1


async def test_a_missing_right_to_read_the_history_costs_the_reply_only(bot, server, channel, ann):
    """The answer stands there without it."""
    server.fail("POST", "/messages", status=400, code=160002)
    await server.say(channel, "@bot one?", ann)
    [answer] = await first(server, channel)
    assert "message_reference" not in answer


async def test_busy_and_broken_are_told_on_commands(running, server, channel, ann, monkeypatch):
    """Politely, in the place of the answer; nobody is left with a bot that is thinking."""
    async with running(queue={"capacity": 1}) as bot:
        bot.engine.may_answer.clear()
        one = await server.slash(channel, ann, "ask", {"question": "one?"})
        await server.until(lambda: bot.engine.asked and one.response)
        two = await server.slash(channel, ann, "ask", {"question": "two?"})
        assert str(EngineBusy(1)).split(".")[0] in (await server.until(lambda: two.message))["content"]

        async def breaks(_question):
            raise ZeroDivisionError("secret")

        monkeypatch.setattr(bot.admission, "accept", breaks)
        three = await server.slash(channel, ann, "ask", {"question": "three?"})
        told = (await server.until(lambda: three.message))["content"]
        assert "reference" in told
        assert "secret" not in told
        await server.say(channel, "@bot four?", ann)
        line = await server.until(lambda: [m for m in server.from_bot(channel) if m["type"] == 19])
        assert "Something went wrong" in line[0]["content"]
        bot.engine.may_answer.set()
        await server.until(lambda: one.message)


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


# --- start and stop ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [({"token": "wrong"}, "discord.token: the token was refused"), ({}, "discord.sharded = true")],
)
async def test_what_no_restart_cures_stops_the_adapter_with_one_line(running, server, log, options, told):
    """A bad token; too many servers for one connection."""
    if not options:
        server.fatal_close = 4011
    async with running(**options) as bot:
        with pytest.raises(Exception, match=r"refused|sharded"):
            await asyncio.wait_for(asyncio.shield(bot.ended), 10)
        assert told in bot.administration.platforms["discord"]
    [line] = [line for line in log if line["log_level"] == "error"]
    assert line["event"] == "adapter stopped for good"


async def test_commands_are_sent_to_discord_only_when_they_have_changed(running, server):
    """Discord allows two hundred a day."""
    for _ in range(3):
        async with running():
            pass
    assert server.syncs == 1
    assert {command["name"] for command in server.commands} >= {
        "ask",
        "Answer this",
        "help",
        "new",
        "privacy",
        "forget",
        "bot",
    }


async def test_the_first_connection_may_fail(running, server, channel, ann):
    """discord.py dies of it; the bot is started again."""
    server.gateway_down = True
    async with running(wait=False) as bot:
        await server.until(lambda: server.count("GET", "/users/@me") >= 2)
        server.gateway_down = False
        await server.connected()
        await server.say(channel, "@bot one?", ann)
        await first(server, channel)
        assert bot.administration.platforms == {"discord": "running"}


def heartbeats() -> list[KeepAliveHandler]:
    """The threads of this process that keep a connection to Discord alive."""
    return [thread for thread in threading.enumerate() if isinstance(thread, KeepAliveHandler)]


async def test_the_end_of_the_bot_ends_its_own_heartbeats_only(running, server, monkeypatch):
    """Also that of a connection which was still being made, and no heartbeat of another client in the process."""

    async def hangs(connection):
        try:
            await asyncio.Event().wait()
        finally:
            await connection.socket.close()

    async with discord.Client(intents=discord.Intents.none()) as other:
        connected = asyncio.create_task(other.start(TOKEN))
        await server.connected()
        monkeypatch.setattr(DiscordWebSocket, "identify", hangs)
        async with running(wait=False):
            await server.until(lambda: len(heartbeats()) == 2)
        await server.until(lambda: len(heartbeats()) < 2)
        await asyncio.sleep(0.1)
        assert [thread.ws for thread in heartbeats()] == [other.ws]
    await connected


async def test_shards_answer_too(running, server, channel, ann):
    """By setting."""
    async with running(sharded=True):
        await server.say(channel, "@bot one?", ann)
        await first(server, channel)


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
