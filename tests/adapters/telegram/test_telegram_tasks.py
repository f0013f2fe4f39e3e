"""Tasks on Telegram: in reply to a message, where an operator allows them."""

import pytest
from telegram_application import until

from bot.core.settings import Settings
from bot.storage.sqlite.knowledge import SqliteKnowledge
from bot.tasks.runner import open_tasks

pytestmark = pytest.mark.usefixtures("quick_chats")


@pytest.fixture
async def application(application_of, async_encoder, ann, tmp_path):
    """With tasks, and Ann for its operator."""
    knowledge = await SqliteKnowledge.open(tmp_path)
    async with (
        open_tasks(Settings(), async_encoder, knowledge, lambda: None) as tasks,
        application_of(operators=(ann["id"],)) as application,
    ):
        await application.stop()
        application.tasks = tasks
    async with application:
        await application.start()
        yield application
    await knowledge.close()


async def test_a_message_is_summarised_by_a_reply_where_it_is_allowed(server, application, ann, bob):
    """In a group, once an operator has allowed it there."""
    group = server.group()
    message = server.says(group, bob, "The pump is loud today. Somebody should look at it before noon.")
    server.says(group, bob, "/summarise", reply_to=message)
    assert "unless an operator allows it" in (await application.answered(group))[0]
    server.says(group, ann, "/tasks on")
    assert "from now on: on" in (await application.answered(group, 2))[1]
    server.says(group, bob, "/summarise", reply_to=message)
    assert "• The pump is loud today." in (await application.answered(group, 3))[2]
    server.says(group, bob, "/translate", reply_to=message)
    assert "models download" in (await application.answered(group, 4))[3]


async def test_commands_for_tasks_say_how_they_are_used(server, application, ann, bob):
    """And that a document isn't there; people who are no operators can't allow anything."""
    chat, other = server.private(ann), server.private(bob)
    server.says(chat, ann, f"/tasks {chat.id} on")
    await application.answered(chat)
    for count, (command, told) in enumerate(
        (
            ("/summarise", "name a document"),
            ("/translate", "write the text behind it"),
            ("/task", "/task sentiment: say whether"),
            ("/summarise other.md", "no such document"),
            ("/task summarise The pump is loud.", "• The pump is loud."),
            ("/tasks", f"{chat.id}: on"),
        ),
        start=2,
    ):
        server.says(chat, ann, command)
        assert told in (await application.answered(chat, count))[-1]
    server.says(other, bob, "/tasks on")
    assert "There is no command /tasks" in (await application.answered(other))[0]


async def test_a_task_is_stopped(server, application, ann):
    """By /stop of the same person."""
    chat = server.private(ann)
    server.says(chat, ann, f"/tasks {chat.id} on")
    await application.answered(chat)
    async with application.tasks._one_at_a_time:
        server.says(chat, ann, "/task summarise The pump is loud.")
        await until(lambda: application.tasks._running)
        server.says(chat, ann, "/stop")
        assert (await application.answered(chat, 2))[1] == "Stopped."


async def test_what_was_allowed_moves_with_a_group(server, application, ann):
    """That becomes a supergroup."""
    group = server.group()
    server.says(group, ann, "/tasks on")
    await application.answered(group)
    new = server.becomes_supergroup(group, ann)
    await application.quiet()
    kept = await application.journal.platforms.policies("telegram:tasks")
    assert list(kept) == [str(new.id)]
