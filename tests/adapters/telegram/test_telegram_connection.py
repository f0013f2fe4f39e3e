"""The connection to Telegram at its start, and what is logged of its failures."""

import pytest
from structlog.testing import capture_logs
from telegram_application import TelegramApplication, until

from bot.adapters.telegram import connection
from bot.core.errors import SettingsError
from tests.platforms.telegram_server import TOKEN, TelegramServer


@pytest.fixture
async def application(application_of):
    """An application that doesn't take updates in yet."""
    async with application_of() as application:
        yield application


async def test_another_bot_over_the_same_data_answers(tmp_path):
    """Its messages in private chats have the numbers that those of the bot before it had."""
    for number, question in enumerate(("how hot?", "how do I install it?")):
        async with TelegramServer(bot=1001 + number) as server, TelegramApplication(server, tmp_path) as application:
            await application.start()
            chat = server.private(server.person("Ann"))
            server.says(chat, chat.members[0], question)
            assert (await application.answered(chat))[0].startswith(f"re: {question}")
            await application.quiet()
            assert server.commands
            assert server.violations == []


async def test_a_reply_to_another_bot_of_the_same_number_follows_nothing_up(tmp_path):
    """Nor does a corrected question change the answer that the bot before it gave."""
    for number in range(2):
        async with TelegramServer(bot=1001 + number) as server, TelegramApplication(server, tmp_path) as application:
            await application.start()
            group = server.group(kind="group")
            ann, bob = server.person("Ann"), server.person("Bob")
            asked = server.says(group, (ann, bob)[number], f"/ask {number}?")
            await application.answered(group)
            await application.quiet()
            server.says(group, ann, "and why?", reply_to=group.from_bot[0])
            await application.answered(group, 2)
            assert [question.replied_to for question in application.engine.asked] == [None, f"{number}?"]
            server.edits(group, asked, f"/ask {number} again?")
            await until(lambda: len(application.engine.asked) == 3)
            await application.quiet()
            assert len(group.texts) == 2


async def test_a_refused_token_stops_the_adapter_with_the_fix_and_without_the_token(application_of):
    """The message of the library's error holds the token."""
    async with application_of(token="1:wrong") as application:
        with pytest.raises(SettingsError, match="@BotFather") as refused:
            await application.adapter.run()
        assert "1:wrong" not in str(refused.value)
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__


async def test_a_service_that_is_not_there_yet_is_waited_for(server, application, ann, monkeypatch):
    """Bot and network may start in any order."""
    monkeypatch.setattr(connection, "_CONNECT_PAUSES", (0.05,))
    server.break_next("getMe", "502", 3)
    await application.start()
    server.says(server.private(ann), ann, "one")
    await application.answered(server.private(ann))


async def test_no_text_and_no_token_is_logged(server, application, ann, caplog, monkeypatch):
    """The library would log raw updates, and addresses that hold the token."""
    monkeypatch.setattr(connection, "_CONNECT_PAUSES", (0.05,))
    for method in ("getMe", "getUpdates", "sendMessage"):
        server.break_next(method, "garbage")
    server.update("message", {"message_id": "what?", "text": "my secret"})
    with capture_logs() as lines:
        await application.start()
        server.says(server.private(ann), ann, "my secret question")
        await application.answered(server.private(ann))
    logged = caplog.text + repr(lines)
    assert "an update can't be read" in logged
    assert "secret" not in logged
    assert TOKEN not in logged
