"""The buttons below answers."""

import asyncio
from dataclasses import replace

import pytest

from bot.adapters.discord import rendering
from tests.adapters.discord.discord_application import SOURCE, answered, first, labels, silence, suggested

EPHEMERAL = 1 << 6

pytestmark = pytest.mark.usefixtures("guild", "channel")


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


async def test_a_double_tap_shares_once(bot, server, channel, ann):
    """Both presses come before the button is gone."""
    asked = await server.slash(channel, ann, "ask", {"question": "how hot?", "private": True})
    answer = await server.until(lambda: asked.message)
    for _ in range(2):
        await server.press(answer, "Share", ann)
    await first(server, channel)
    await silence(server, bot, ann, channel)
    assert len(server.from_bot(channel)) == 2
    assert server.count("POST", f"/channels/{channel}/messages") == 2


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
    said = {feedback.author: feedback for feedback in await application.stores.journal.answers.feedback(9)}
    assert said[ann["id"]].helpful
    assert said[opened.user["id"]].reason == "It is outdated."


async def test_a_suggestion_is_rated_with_other_words(running, server, channel, ann, application):
    """It is shown with its source like an answer, and a rating of it counts like one of an answer, also after a restart."""
    async with running() as bot:
        bot.engine.answers["how hot?"] = suggested("Use *soft* water.")
        await server.say(channel, "@bot how hot?", ann)
        [answer] = await first(server, channel)
        await bot.dispatcher.queue.idle()
    assert answer["content"] == f"I'm not sure this is it:\n\nUse *soft* water.\n{SOURCE}"
    assert labels(answer) == ["That's it", "No", "Show the passage"]
    async with running():
        helpful = await server.press(answer, "That's it", ann)
        assert "noted" in (await server.until(lambda: helpful.message))["content"]
        opened = await server.press(answer, "No", server.user("ben"))
        await server.until(lambda: opened.response)
        reason = await server.submit(opened, "")
        assert "noted" in (await server.until(lambda: reason.message))["content"]
        assert await application.stores.journal.answers.feedback_counts() == (1, 1)


@pytest.mark.parametrize("kind", [answered, suggested])
async def test_more_shows_the_rest_of_the_section(running, server, channel, ann, kind):
    """To whoever presses the button only, in as many messages as it takes, harmless as an answer; also after a restart."""
    rest = "\n\n".join(f"{number}. step, @everyone " + "x" * 900 for number in range(1, 4))
    async with running() as bot:
        bot.engine.answers["how hot?"] = replace(kind("Use water."), more=rest)
        await server.say(channel, "@bot how hot?", ann)
        [answer] = await first(server, channel)
        await bot.dispatcher.queue.idle()
        assert labels(answer)[2:] == ["Show the passage", "More"]
    async with running():
        pressed = await server.press(answer, "More", ann)
        [second] = await server.until(lambda: pressed.followups)
        assert pressed.ephemeral
        assert second["flags"] & EPHEMERAL
        shown = pressed.message["content"] + "\n\n" + second["content"]
        assert shown == rest.replace("@everyone", "@\u200beveryone")


async def test_more_than_messages_take_comes_as_a_file(running, server, channel, ann, monkeypatch):
    """As of a long answer."""
    monkeypatch.setattr(rendering, "_MOST_PARTS", 1)
    async with running() as bot:
        bot.engine.answers["how hot?"] = replace(answered("Use water."), more="\n\n".join(["word " * 300] * 3))
        await server.say(channel, "@bot how hot?", ann)
        [answer] = await first(server, channel)
        await bot.dispatcher.queue.idle()
        pressed = await server.press(answer, "More", ann)
        shown = await server.until(lambda: pressed.message)
        assert [attached["filename"] for attached in shown["attachments"]] == ["answer.md"]


async def test_a_shared_suggestion_keeps_its_buttons(bot, server, channel, ann):
    """The private one loses the button Share only, and the shared one has the same words."""
    bot.engine.answers["how hot?"] = suggested("Use water.", more="And wait.")
    asked = await server.slash(channel, ann, "ask", {"question": "how hot?", "private": True})
    answer = await server.until(lambda: asked.message)
    await bot.dispatcher.queue.idle()
    assert labels(answer) == ["That's it", "No", "Show the passage", "More", "Share"]
    pressed = await server.press(answer, "Share", ann)
    [shared] = await first(server, channel)
    assert labels(pressed.message) == labels(shared) == ["That's it", "No", "Show the passage", "More"]


async def test_a_vote_without_a_reason_counts(bot, server, channel, ann, application):
    """Most people close the form."""
    await server.say(channel, "@bot how hot?", ann)
    [answer] = await first(server, channel)
    await bot.dispatcher.queue.idle()
    opened = await server.press(answer, "Not helpful", ann)
    await server.until(lambda: opened.response)
    for _ in range(500):
        if await application.stores.journal.answers.feedback_counts() == (0, 1):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the vote was not counted")


async def test_the_buttons_of_an_erased_answer_say_so(bot, server, channel, ann):
    """Never a press without a word."""
    bot.engine.answers["how hot?"] = replace(answered("Use water."), more="And wait.")
    asked = await server.slash(channel, ann, "ask", {"question": "how hot?", "private": True})
    answer = await server.until(lambda: asked.message)
    await bot.dispatcher.queue.idle()
    await bot.dispatcher.admission.forget("discord", ann["id"])
    for label in ("Helpful", "Show the passage", "More", "Share"):
        pressed = await server.press(answer, label, ann)
        assert "isn't kept any more" in (await server.until(lambda pressed=pressed: pressed.message))["content"]


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


async def test_an_edit_after_a_stop_is_answered(bot, server, channel, ann):
    """Also if Discord takes its time to accept the response to the button."""
    bot.engine.drafts = ["Use"]
    bot.engine.may_answer.clear()
    asked = await server.say(channel, "@bot how hot?", ann)
    [draft] = await first(server, channel)
    may_respond = asyncio.Event()

    async def hold_responses(call: str) -> None:
        if call.endswith("/callback"):
            await may_respond.wait()

    server.hold = hold_responses
    await server.press(draft, "Stop", ann)
    await server.until(lambda: server.count("POST", "/callback"))
    await server.edit(asked, "@bot how cold?")
    await server.until(lambda: bot.dispatcher.counts["revised"])
    may_respond.set()
    bot.engine.may_answer.set()
    await server.until(lambda: draft["content"].startswith("re: how cold?"))
