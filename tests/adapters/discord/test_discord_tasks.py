"""Tasks on Discord: where they are allowed, and only with messages that the asker may read."""

import pytest

pytestmark = pytest.mark.usefixtures("guild", "channel")
_READ_HISTORY = 1 << 16


@pytest.fixture
def reader(server):
    """Somebody who may read the earlier messages."""
    return server.user("rita") | {"permissions": str(_READ_HISTORY | 1 << 11)}


async def said(server, interaction) -> str:
    """The response once it is no sign of work any more; always to this person only."""
    message = await server.until(
        lambda: (
            interaction.message
            and interaction.message["content"]
            and "working" not in interaction.message["content"]
            and interaction.message
        )
    )
    assert interaction.ephemeral
    assert message["components"] == []
    return message["content"]


async def test_the_last_messages_are_summarised_where_it_is_allowed(bot, server, channel, ann, reader):
    """By an operator, for the channel; not for people who may not read the earlier messages."""
    await server.say(channel, "The release is on Monday at nine.", ann, event=False)
    await server.say(channel, "Everybody please test the installer.", server.user("ben"), event=False)
    refused = await server.slash(channel, reader, "summarise")
    assert "unless an operator allows it" in await said(server, refused)
    allowed = await server.slash(channel, server.owner, "bot tasks", {"state": "on"})
    assert "**on**" in await said(server, allowed)
    summary = await said(server, await server.slash(channel, reader, "summarise", {"messages": 5}))
    assert "The release is on Monday at nine" in summary
    assert "ann" in summary
    assert "may not read the earlier messages" in await said(server, await server.slash(channel, ann, "summarise"))
    assert server.from_bot(channel) == []


async def test_messages_and_documents_by_menu_and_by_name(bot, server, channel, reader):
    """A message by its menu or its link, a document by its path."""
    await server.slash(channel, server.owner, "bot tasks", {"state": "on"})
    await bot.administration.reload()
    document = await said(server, await server.slash(channel, reader, "summarise", {"document": "guide.md"}))
    assert "92 degrees" in document
    message = await server.say(channel, "The pump is loud today.", server.user("ben"), event=False)
    assert "The pump is loud" in await said(server, await server.menu(channel, reader, "Summarise this", message))
    linked = {"task": "summarise", "message": f"https://discord.com/channels/1/{channel}/{message['id']}"}
    assert "The pump is loud" in await said(server, await server.slash(channel, reader, "task", linked))
    elsewhere = {"task": "summarise", "message": "123456789012345678"}
    assert "no such message" in await said(server, await server.slash(channel, reader, "task", elsewhere))
    missing = await said(server, await server.menu(channel, reader, "Translate this", message))
    assert "models download" in missing


async def test_a_thread_is_summarised_from_the_message_that_began_it(bot, server, channel, ann, reader):
    """With what was written in it."""
    await server.slash(channel, server.owner, "bot tasks", {"state": "on"})
    message = await server.say(channel, "The printer on the second floor is broken.", ann, event=False)
    thread = await server._open_thread(channel, message["id"], "printer", ann["id"])
    await server.say(thread["id"], "A technician repairs it on Friday morning.", ann, event=False)
    summary = await said(server, await server.menu(channel, reader, "Summarise this", message))
    assert "A technician repairs it on Friday morning" in summary
    assert "The printer on the second floor" in summary


async def test_a_task_is_stopped_by_its_button(bot, server, channel, reader):
    """While it waits for its turn, here."""
    await server.slash(channel, server.owner, "bot tasks", {"state": "on"})
    async with bot.desk.tasks._one_at_a_time:
        asked = await server.slash(channel, reader, "task", {"task": "summarise", "text": "The pump is loud."})
        await server.until(lambda: asked.message and asked.message["components"] and bot.desk.tasks._running)
        await server.press(asked.message, "Stop", reader)
        assert "Stopped" in await said(server, asked)


async def test_tasks_count_as_questions(running, server, channel, reader):
    """One person may do as many within a minute as they may ask."""
    async with running(limits={"author_questions": 1}):
        await server.slash(channel, server.owner, "bot tasks", {"state": "on"})
        one = await server.slash(channel, reader, "task", {"task": "summarise", "text": "The pump is loud."})
        assert "The pump is loud" in await said(server, one)
        two = await server.slash(channel, reader, "task", {"task": "summarise", "text": "The pump is loud."})
        assert "Please ask again in" in await said(server, two)
