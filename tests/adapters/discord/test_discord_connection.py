"""Logging in, staying connected, and the end of a connection."""

import asyncio
import threading

import discord
import pytest
from discord.gateway import DiscordWebSocket, KeepAliveHandler

from bot.adapters.discord.backoff import ReconnectBackoff
from tests.adapters.discord.discord_application import first, silence
from tests.platforms.discord_server import TOKEN

pytestmark = pytest.mark.usefixtures("guild", "channel")


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


async def test_a_dropped_connection_is_resumed_and_nothing_is_lost(bot, server, channel, ann):
    """Messages of the meantime are replayed."""
    bot.engine.may_answer.clear()
    await server.say(channel, "@bot one?", ann)
    await server.until(lambda: bot.engine.asked)
    await server.drop_gateway()
    bot.engine.may_answer.set()
    await server.say(channel, "@bot two?", ann)
    await first(server, channel, 2)
    assert (server.resumes, server.identifies) == (1, 1)


async def test_messages_that_come_together_keep_their_order(bot, server, channel, ann):
    """The first one is a reply, whose answer is looked up, and the second one isn't."""
    direct = server.direct(ann)
    await server.say(direct, "zero?", ann)
    [answer] = await first(server, direct)
    await bot.dispatcher.queue.idle()
    await server.drop_gateway()
    await server.say(direct, "one?", ann, reply_to=answer)
    await server.say(direct, "two?", ann)
    await first(server, direct, 3)
    assert [question.text for question in bot.engine.asked] == ["zero?", "one?", "two?"]


async def test_a_message_that_was_deleted_while_the_connection_was_down_is_not_answered(bot, server, channel, ann):
    """Both events are replayed at once."""
    bot.engine.may_answer.clear()
    await server.drop_gateway()
    await server.delete(await server.say(channel, "@bot one?", ann))
    await server.connected()
    bot.engine.may_answer.set()
    await silence(server, bot, ann, channel)


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
    server.forget_sessions()
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
        await server.connected(shards=2)
        await server.say(channel, "@bot one?", ann)
        await first(server, channel)


async def test_a_gateway_that_accepts_and_hangs_up_is_dialled_ever_less(running, server, channel, ann):
    """And listened to as soon as it stays."""
    async with running():
        server.gateway_hangs_up = True
        before = server.dialled
        await server.drop_gateway(4000)
        await asyncio.sleep(3)
        assert 1 <= server.dialled - before <= 5
        server.gateway_hangs_up = False
        await server.until(lambda: server._sockets, seconds=10)
        await server.say(channel, "@bot one?", ann)
        await first(server, channel)


def test_the_pauses_between_dials_grow_and_end(monkeypatch):
    """A shard may connect three times at once; what is a minute ago doesn't count."""
    now = 1000.0
    monkeypatch.setattr("bot.adapters.discord.backoff.time.monotonic", lambda: now)
    backoff = ReconnectBackoff()
    pauses = []
    for _ in range(9):
        pauses.append(backoff.pause(1))
        now += pauses[-1]
    assert pauses[:7] == [0, 0, 0, 1, 2, 4, 8]
    assert max(pauses) <= 30
    now += 61
    assert backoff.pause(1) == 0
