"""Typing and placeholders."""

import asyncio

import pytest

from bot.adapters.discord.connection import Connection
from bot.adapters.discord.outgoing import Outbox
from bot.adapters.discord.places import Places
from bot.adapters.discord.progress import ProgressDisplay
from bot.core.messages import Stage, Update
from bot.questions import progress as relay
from tests.adapters.discord.discord_application import first, labels

pytestmark = pytest.mark.usefixtures("guild", "channel")


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
    assert bot.adapter._display._showing == {}


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


async def test_a_placeholder_that_arrives_late_is_taken_back(bot, server, channel, ann, monkeypatch):
    """The answer waits for it some seconds at most, and is a message of its own then."""
    monkeypatch.setattr(relay, "_LAST_UPDATE", 0.1)
    bot.engine.drafts = ["Use"]
    arrived, may_go_on = asyncio.Event(), asyncio.Event()

    async def hold(call: str) -> None:
        if call == f"POST /channels/{channel}/messages" and not arrived.is_set():
            arrived.set()
            await may_go_on.wait()

    server.hold = hold
    bot.engine.may_answer.clear()
    await server.say(channel, "@bot how hot?", ann)
    await asyncio.wait_for(arrived.wait(), 10)
    bot.engine.may_answer.set()
    await asyncio.sleep(0.5)
    may_go_on.set()
    await server.until(lambda: server.count("DELETE", ""))
    await bot.dispatcher.queue.idle()
    assert [message["content"].split("\n")[0] for message in server.from_bot(channel)] == ["re: how hot?"]


async def test_a_draft_without_a_connection_is_left_out(bot, server, channel, ann, application, settings):
    """Between the end of a client and the next start; the answer is sent after that."""
    bot.engine.may_answer.clear()
    await server.say(channel, "@bot how hot?", ann)
    await server.until(lambda: bot.engine.asked)
    journal, address = application.stores.journal, bot.engine.asked[0].address
    unconnected = Connection(settings.discord, journal.platforms)
    outbox = Outbox(unconnected, None, Places(unconnected, None))
    await ProgressDisplay(unconnected, outbox, journal.parts).show(address, Update(Stage.WRITING, "Use"))
    assert server.from_bot(channel) == []


async def test_an_edited_question_gets_no_second_message(bot, server, channel, ann):
    """Neither a placeholder, which the answer would not replace: it edits the one before."""
    bot.engine.drafts = ["Use"]
    asked = await server.say(channel, "@bot how hot?", ann)
    await server.until(lambda: server.from_bot(channel) and server.from_bot(channel)[0]["content"].startswith("re:"))
    await bot.dispatcher.queue.idle()
    server.forget_nonces()
    await server.edit(asked, "@bot how cold?")
    await server.until(lambda: server.from_bot(channel)[0]["content"].startswith("re: how cold?"))
    await bot.dispatcher.queue.idle()
    assert len(server.from_bot(channel)) == 1


async def test_the_draft_of_an_answer_to_a_command_stays_until_the_answer(bot, server, channel, ann):
    """In the response to the command, which is edited and never deleted."""
    bot.engine.drafts = ["Use", "Use water"]
    bot.engine.may_answer.clear()
    asked = await server.slash(channel, ann, "ask", {"question": "how hot?"})
    await server.until(lambda: asked.message and asked.message["content"] == "Use water")
    bot.engine.may_answer.set()
    await server.until(lambda: asked.message and asked.message["content"].startswith("> how hot?\nre: how hot?"))
    assert server.from_bot(channel) == [asked.message]
    assert server.count("DELETE", "") == 0


async def test_forgetting_ends_what_is_shown_of_unanswered_questions(running, server, channel, ann):
    """The typing sign, a draft in a message, and the response to a command; those of other people stay."""
    async with running(queue={"parallel": 3}) as bot:
        bot.engine.drafts = ["Use"]
        bot.engine.may_answer.clear()
        await server.say(channel, "@bot one?", ann)
        await server.say(channel, "@bot two?", server.user("ben"))
        asked = await server.slash(channel, ann, "ask", {"question": "three?", "private": True})
        await server.until(lambda: asked.message and len(server.from_bot(channel)) == 2)
        forgotten = await server.slash(channel, ann, "forget me")
        await server.until(lambda: forgotten.message and "Erased: 2 questions" in forgotten.message["content"])
        assert asked.deleted
        [left] = server.from_bot(channel)
        calls = len(server.requests)
        bot.engine.may_answer.set()
        await server.until(lambda: left["content"].startswith("re: two?"))
        await bot.dispatcher.queue.idle()
        assert server.from_bot(channel) == [left]
        assert bot.adapter._display._showing == {}
        assert not [call for call in server.requests[calls:] if call.path.endswith("/typing")]
