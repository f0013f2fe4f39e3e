"""What operators and everybody may do by command, through the eyes of the server."""

import pytest
from test_discord_asking import first

from bot.core.messages import Policy
from tests.adapters.discord.conftest import answered

pytestmark = pytest.mark.usefixtures("guild", "channel")


async def said(server, interaction) -> str:
    """What the bot said to a command, once it has; always to this person only."""
    message = await server.until(lambda: interaction.message and interaction.message["content"] and interaction.message)
    assert interaction.ephemeral
    return message["content"]


async def test_help_and_privacy_say_what_holds_here(bot, server, channel, ann):
    """With the times of the settings."""
    assert "/ask" in await said(server, await server.slash(channel, ann, "help"))
    privacy = await said(server, await server.slash(channel, ann, "privacy"))
    assert "kept for 30 days" in privacy
    assert "for 30 minutes" in privacy


async def test_a_new_conversation_refers_to_nothing_before(bot, server, channel, ann, application):
    """The turns are gone."""
    await server.slash(channel, ann, "ask", {"question": "one?"})
    await server.until(lambda: bot.engine.asked)
    await application.answering.conversations.remember(bot.engine.asked[0], answered("text"))
    assert "new conversation" in await said(server, await server.slash(channel, ann, "new"))
    assert await application.journal.turns(bot.engine.asked[0].conversation, newer_than=0, limit=9) == []


async def test_everybody_can_have_themselves_forgotten(bot, server, channel, ann):
    """Questions with their answers, and how many there were."""
    await server.say(channel, "@bot one?", ann)
    await first(server, channel)
    await bot.dispatcher.idle()
    assert "Erased: 1 questions" in await said(server, await server.slash(channel, ann, "forget me"))
    assert await bot.dispatcher.stored("discord", "ref1") is None


async def test_the_owner_sees_the_status(bot, server, channel):
    """The documents, and how the platform is."""
    await bot.administration.reload()
    status = await said(server, await server.slash(channel, server.owner, "bot status"))
    assert "1 documents, 1 passages" in status
    assert "discord\\: running" in status


@pytest.mark.parametrize("command", ["status", "reload", "feedback", "remove", "gaps"])
async def test_the_documents_are_for_operators_only(bot, server, channel, ann, settings, command):
    """Who manages a server doesn't manage the bot; nothing happens, and the command says so."""
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
    assert await application.journal.policies("discord") == {channel: Policy.ALWAYS, guild["id"]: Policy.OFF}
    await server.say(channel, "how hot?", ann)
    await first(server, channel)
    await said(server, await server.slash(channel, manager, "bot policy", {"policy": "default"}))
    assert await application.journal.policies("discord") == {guild["id"]: Policy.OFF}
    refused = await said(server, await server.slash(channel, server.user("ben"), "bot policy", {"policy": "off"}))
    assert "for the operators" in refused


async def test_documents_are_added_reported_and_removed(bot, server, channel, application, settings):
    """By attachment; a path that leaves the folder is refused, and completion names what there is."""
    await bot.administration.reload()
    file = server.attach("new.md", b"# New\n\nSeven litres.\n")
    given = {"file": next(iter(file["resolved"]["attachments"]))}
    added = await server.slash(channel, server.owner, "bot add", given | {"path": "sub/new.md"}, **file)
    assert "sub/new.md\\: 1 passages" in await said(server, added)
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


async def test_operators_read_what_people_think(bot, server, channel, ann):
    """With the question and the reason."""
    await server.say(channel, "@bot how hot?", ann)
    await first(server, channel)
    await bot.dispatcher.idle()
    await bot.dispatcher.feedback("discord", "ref1", "1", helpful=False, reason="too *short*")
    told = await said(server, await server.slash(channel, server.owner, "bot feedback"))
    assert told == "👎 how hot?\n-# too \\*short\\*"
