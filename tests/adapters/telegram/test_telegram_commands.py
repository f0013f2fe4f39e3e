"""The commands that everybody has in Telegram, and the menus in which the apps list them."""

import pytest
from telegram_application import until

pytestmark = pytest.mark.usefixtures("quick_chats")


async def test_everybody_has_help_privacy_and_a_new_beginning(server, application, ann):
    """The texts follow the settings."""
    chat = server.private(ann)
    for command in ("/start", "/help", "/privacy", "/new", "/forget", "/nonsense"):
        server.says(chat, ann, command)
    await until(lambda: len(chat.texts) == 6)
    told = "\n".join(chat.texts)
    for words in (
        "I answer questions from documents",
        "30 days",
        "30 minutes",
        "begin anew",
        "/forget me",
        str(ann["id"]),
    ):
        assert words in told
    assert "There is no command /nonsense" in told
    assert "operator" not in told


async def test_privacy_says_where_nothing_is_kept(server, application_of, ann):
    """Neither answers nor conversations."""
    chat = server.private(ann)
    async with application_of().with_settings(storage={"answer_days": 0}, conversation={"turns": 0}) as application:
        await application.start()
        server.says(chat, ann, "/privacy")
        [privacy] = await application.answered(chat)
    assert "A question is kept until it is answered, and then erased. A conversation is not remembered." in privacy


async def test_a_question_is_stopped_on_demand(server, application, ann):
    """The next question is answered."""
    application.engine.may_answer.clear()
    chat = server.private(ann)
    server.says(chat, ann, "slow")
    await until(lambda: application.engine.asked)
    server.says(chat, ann, "/stop")
    assert await application.answered(chat) == ["Stopped."]
    server.says(chat, ann, "/stop")
    assert (await application.answered(chat, 2))[1] == "There is nothing to stop."


async def test_stop_means_the_question_in_work(server, application, ann):
    """The one behind it is answered."""
    application.engine.may_answer.clear()
    chat = server.private(ann)
    server.says(chat, ann, "first?")
    await until(lambda: application.engine.asked)
    server.says(chat, ann, "second?")
    await until(lambda: application.dispatcher.admission.unfinished == 2)
    server.says(chat, ann, "/stop")
    assert await application.answered(chat) == ["Stopped."]
    application.engine.may_answer.set()
    assert (await application.answered(chat, 2))[1].startswith("re: second?")


async def test_a_question_from_before_a_restart_is_stopped(server, application_of, ann):
    """It is in work again then."""
    chat = server.private(ann)
    async with application_of() as application:
        application.ready.clear()
        await application.start()
        server.says(chat, ann, "slow")
        await until(lambda: application.dispatcher.admission.unfinished)
    async with application_of() as application:
        application.engine.may_answer.clear()
        await application.start()
        await until(lambda: application.engine.asked)
        server.says(chat, ann, "/stop")
        await until(lambda: chat.texts[-1:] == ["Stopped."])


async def test_nobody_stops_the_question_of_somebody_else(server, application, ann, bob):
    """A question that follows up an answer to somebody else is stopped by its own author."""
    group = server.group()
    server.says(group, ann, "/ask one")
    await application.answered(group)
    await application.quiet()
    application.engine.may_answer.clear()
    server.says(group, bob, "and two?", reply_to=group.from_bot[0])
    await until(lambda: len(application.engine.asked) == 2)
    server.says(group, ann, "/stop")
    assert (await application.answered(group, 2))[1] == "There is nothing to stop."
    server.says(group, bob, "/stop")
    assert (await application.answered(group, 3))[2] == "Stopped."


async def test_the_apps_are_told_the_commands_when_they_change(server, application_of, ann):
    """By scope and language; an operator sees more, as soon as they have written to the bot."""
    async with application_of(operators=[ann["id"]]) as application:
        await application.start()
        await until(lambda: ("all_group_chats", "fr") in server.commands)
        await application.quiet()
    private, groups = server.commands["all_private_chats", ""], server.commands["all_group_chats", ""]
    named = ["ask", "new", "stop", "summarise", "translate", "task", "help", "privacy", "forget"]
    assert [c["command"] for c in groups] == named
    assert "ask" not in {c["command"] for c in private}
    server.private(ann)
    for _ in range(2):
        async with application_of(operators=[ann["id"]]) as application:
            await application.start()
            await until(lambda: server.called("getUpdates"))
            await application.quiet()
            calls = len(server.called("setMyCommands"))
    assert "reload" in {c["command"] for c in server.commands[f"chat:{ann['id']}", ""]}
    async with application_of(operators=[ann["id"]]) as application:
        await application.start()
        await application.quiet()
        assert len(server.called("setMyCommands")) == calls
