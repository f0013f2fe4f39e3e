"""Commands for everybody and for operators, as the server sees them."""

import asyncio

import pytest

from bot.core.errors import EngineBusy
from bot.core.messages import Policy
from tests.adapters.discord.discord_application import SOURCE, answered, first

pytestmark = pytest.mark.usefixtures("guild", "channel")


async def said(server, interaction) -> str:
    """The bot's reply to a command, once it is there; always to this person only."""
    message = await server.until(lambda: interaction.message and interaction.message["content"] and interaction.message)
    assert interaction.ephemeral
    return message["content"]


async def test_a_command_is_deferred_and_answered_with_its_question(bot, server, channel, ann):
    """Discord shows nobody else what was asked, so the answer quotes it."""
    asked = await server.slash(channel, ann, "ask", {"question": "how hot?"})
    answer = await server.until(lambda: asked.message)
    assert asked.response["type"] == 5
    assert not asked.ephemeral
    assert answer["content"] == f"> how hot?\nre: how hot?\n{SOURCE}"


async def test_a_command_is_kept_before_the_bot_is_seen_thinking(bot, server, channel, ann, monkeypatch):
    """Also on a slow disk: whoever kills the bot in between would leave that sign for ever."""
    accept = bot.dispatcher.admission.accept

    async def accepts_slowly(question):
        await asyncio.sleep(0.4)
        assert asked.response is None
        return await accept(question)

    monkeypatch.setattr(bot.dispatcher.admission, "accept", accepts_slowly)
    asked = await server.slash(channel, ann, "ask", {"question": "how hot?"})
    assert "re: how hot?" in (await server.until(lambda: asked.message))["content"]


async def test_a_bot_that_stops_while_it_defers_answers_after_its_next_start(running, server, channel, ann, log):
    """The deferral breaks off with the connection, which is no error, and nobody is told of one."""
    arrived, may_go_on = asyncio.Event(), asyncio.Event()

    async def hold(call: str) -> None:
        if call.endswith("/callback"):
            arrived.set()
            await may_go_on.wait()

    server.hold = hold
    async with running():
        await server.slash(channel, ann, "ask", {"question": "how hot?"})
        await asyncio.wait_for(arrived.wait(), 10)
    may_go_on.set()
    async with running() as bot:
        await bot.dispatcher.queue.idle()
        assert "re: how hot?" in (await first(server, channel))[0]["content"]
    assert [line["event"] for line in log if line["log_level"] == "error"] == []


async def test_answer_this_takes_the_text_of_a_message(bot, server, channel, ann):
    """The context menu; a message without text is declined politely."""
    message = await server.say(channel, "how hot?", server.user("ben"), event=False)
    asked = await server.menu(channel, ann, "Answer this", message)
    assert (await server.until(lambda: asked.message))["content"].startswith("> how hot?\nre: how hot?")
    empty = await server.menu(channel, ann, "Answer this", message | {"content": ""})
    assert "no text" in (await server.until(lambda: empty.message))["content"]
    assert empty.ephemeral


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

        monkeypatch.setattr(bot.dispatcher.admission, "accept", breaks)
        three = await server.slash(channel, ann, "ask", {"question": "three?"})
        told = (await server.until(lambda: three.message))["content"]
        assert "reference" in told
        assert "secret" not in told
        await server.say(channel, "@bot four?", ann)
        line = await server.until(lambda: [m for m in server.from_bot(channel) if m["type"] == 19])
        assert "Something went wrong" in line[0]["content"]
        bot.engine.may_answer.set()
        await server.until(lambda: one.message)


async def test_help_and_privacy_say_what_holds_here(bot, server, channel, ann):
    """With the times of the settings."""
    assert "/ask" in await said(server, await server.slash(channel, ann, "help"))
    privacy = await said(server, await server.slash(channel, ann, "privacy"))
    assert "kept for 30 days" in privacy
    assert "for 30 minutes" in privacy
    assert "Nothing is passed on to any other service." in privacy


async def test_privacy_names_the_server_that_words_the_answers(running, server, channel, ann):
    """And the use for training, which the default settings exclude."""
    sections = {"generator": {"provider": "openai"}, "finetuning": {"chat_messages": True}}
    sections |= {"storage": {"answer_days": 1}, "conversation": {"expire_seconds": 60}}
    async with running(others=sections):
        privacy = await said(server, await server.slash(channel, ann, "privacy"))
    assert "A language model at api.openai.com words the answers" in privacy
    assert "to train a language model" in privacy
    assert "kept for 1 day, so" in privacy
    assert "for 1 minute for" in privacy


async def test_privacy_says_where_nothing_is_kept(running, server, channel, ann):
    """Neither answers nor conversations."""
    sections = {"storage": {"answer_days": 0}, "conversation": {"turns": 0}}
    async with running(others=sections):
        privacy = await said(server, await server.slash(channel, ann, "privacy"))
    assert "- Your question and my answer are erased once the answer is delivered." in privacy
    assert "- A conversation is not remembered." in privacy


async def test_a_new_conversation_refers_to_nothing_before(bot, server, channel, ann, application):
    """The turns are gone."""
    await server.slash(channel, ann, "ask", {"question": "one?"})
    await server.until(lambda: bot.engine.asked)
    await application.answering.conversations.remember(bot.engine.asked[0], answered("text"))
    assert "new conversation" in await said(server, await server.slash(channel, ann, "new"))
    assert (
        await application.stores.journal.conversations.turns(bot.engine.asked[0].conversation, newer_than=0, limit=9)
        == []
    )


async def test_everybody_can_have_themselves_forgotten(bot, server, channel, ann, application):
    """Questions with their answers, and how many there were."""
    await server.say(channel, "@bot one?", ann)
    await first(server, channel)
    await bot.dispatcher.queue.idle()
    assert "Erased: 1 question with its answer, 0 conversation turns" in await said(
        server, await server.slash(channel, ann, "forget me")
    )
    assert await application.stores.journal.answers.stored("discord", "ref1") is None


async def test_the_owner_sees_the_status(bot, server, channel):
    """The documents, and how the platform is."""
    await bot.administration.reload()
    status = await said(server, await server.slash(channel, server.owner, "bot status"))
    assert "1 document, 1 passage" in status
    assert "discord\\: running" in status


@pytest.mark.parametrize("command", ["status", "reload", "feedback", "remove", "gaps"])
async def test_the_documents_are_for_operators_only(bot, server, channel, ann, settings, command):
    """Managing a server doesn't give the right to manage the bot; nothing happens, and the command says so."""
    options = {"path": "guide.md"} if command == "remove" else None
    manager = ann | {"permissions": str(2**40 - 1)}
    assert "for the operators" in await said(server, await server.slash(channel, manager, f"bot {command}", options))
    assert (settings.knowledge.folder / "guide.md").exists()


async def test_operators_can_be_named(running, server, channel, ann):
    """Then the owner of the application is none by itself."""
    async with running(operators=(int(ann["id"]),)):
        assert "documents" in await said(server, await server.slash(channel, ann, "bot status"))
        assert "for the operators" in await said(server, await server.slash(channel, server.owner, "bot status"))


async def test_policies_are_set_by_who_manages_the_server(bot, server, guild, channel, ann, application):
    """For a channel, for the whole server, and back; nobody else can."""
    manager = ann | {"permissions": str(1 << 5)}
    set_ = await server.slash(channel, manager, "bot policy", {"policy": "always"})
    assert "always" in await said(server, set_)
    await said(server, await server.slash(channel, manager, "bot policy", {"policy": "off", "server": True}))
    assert await application.stores.journal.platforms.policies("discord") == {
        channel: Policy.ALWAYS,
        guild["id"]: Policy.OFF,
    }
    await server.say(channel, "how hot?", ann)
    await first(server, channel)
    await said(server, await server.slash(channel, manager, "bot policy", {"policy": "default"}))
    assert await application.stores.journal.platforms.policies("discord") == {guild["id"]: Policy.OFF}
    refused = await said(server, await server.slash(channel, server.user("ben"), "bot policy", {"policy": "off"}))
    assert "for the operators" in refused


async def test_documents_are_added_reported_and_removed(bot, server, channel, application, settings):
    """By attachment; a path that leaves the folder is refused, and completion names what there is."""
    await bot.administration.reload()
    file = server.attach("new.md", b"# New\n\nSeven litres.\n")
    given = {"file": next(iter(file["resolved"]["attachments"]))}
    added = await server.slash(channel, server.owner, "bot add", given | {"path": "sub/new.md"}, **file)
    assert await said(server, added) == "sub/new.md\\: 1 passage"
    outside = await server.slash(channel, server.owner, "bot add", given | {"path": "../new.md"}, **file)
    assert "⚠️" in await said(server, outside)
    assert not (settings.knowledge.folder.parent / "new.md").exists()
    (settings.knowledge.folder / "broken.json").write_text("{")
    report = await said(server, await server.slash(channel, server.owner, "bot reload"))
    assert "broken.json\\: not read" in report
    typed = await server.complete(channel, server.owner, "bot remove", "path", "new")
    choices = await server.until(lambda: typed.response and typed.response["data"]["choices"])
    assert [choice["value"] for choice in choices] == ["sub/new.md"]
    removed = await server.slash(channel, server.owner, "bot remove", {"path": "sub/new.md"})
    assert "removed" in await said(server, removed)
    assert not (settings.knowledge.folder / "sub" / "new.md").exists()


async def test_a_long_report_comes_as_a_file(bot, server, channel, settings):
    """Nothing of it is cut off."""
    for n in range(100):
        (settings.knowledge.folder / f"{'long name ' * 5}{n}.md").write_text("# T\n\nText.\n")
    asked = await server.slash(channel, server.owner, "bot reload")
    await said(server, asked)
    assert len(asked.message["files"]["answer.md"].splitlines()) == 102


async def test_operators_see_what_the_documents_lack_and_why(bot, server, channel, ann):
    """The declined questions, and how an answer comes about."""
    await bot.administration.reload()
    owner = server.owner
    assert await said(server, await server.slash(channel, owner, "bot gaps")) == "Nothing was declined."
    asked = {"question": "which water should I use?"}
    explained = await said(server, await server.slash(channel, owner, "bot explain", asked))
    assert "answer.threshold" in explained
    assert "guide.md" in explained


async def test_operators_read_what_people_think(bot, server, channel, ann, application):
    """With the question and the reason."""
    await server.say(channel, "@bot how hot?", ann)
    await first(server, channel)
    await bot.dispatcher.queue.idle()
    await application.stores.journal.answers.add_feedback("discord", "ref1", "1", helpful=False, reason="too *short*")
    told = await said(server, await server.slash(channel, server.owner, "bot feedback"))
    assert told == "👎 how hot?\n-# too \\*short\\*"


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
