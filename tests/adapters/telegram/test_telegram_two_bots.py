"""Two bots in one group: neither answers the other, and each keeps its own entries."""

import pytest
from telegram_application import TelegramApplication, until

from bot.core.messages import Policy
from tests.platforms.telegram_server import Chat, Json, TelegramServer

pytestmark = pytest.mark.usefixtures("quick_chats")


@pytest.fixture
async def other_server(server):
    """The server of another bot in the same chats. Each bot gets the messages of the other one, as Telegram may let it."""
    server.privacy = False
    async with TelegramServer(bot=654321, privacy=False, beside=server) as other:
        yield other
        assert other.violations == []


def said_by(server: TelegramServer, chat: Chat) -> list[Json]:
    """The messages of a server's bot in a chat."""
    return [message for message in chat.messages.values() if message["from"]["id"] == server.me["id"]]


async def test_each_bot_answers_what_it_is_asked_and_neither_the_other(
    server, other_server, application, ann, tmp_path
):
    """Also where both answer every question: what each of them says looks like one."""
    group = server.group()
    async with TelegramApplication(other_server, tmp_path / "other") as other:
        await other.start()
        for one in (application, other):
            await one.journal.platforms.set_policy("telegram", str(group.id), Policy.ALWAYS)
        server.says(group, ann, "@keeper_bot which pump?")
        await until(lambda: len(said_by(server, group)) == 1)
        server.says(group, ann, f"@{other_server.me['username']} which hose?")
        await until(lambda: len(said_by(other_server, group)) == 1)
        server.says(group, ann, "and how?", reply_to=said_by(server, group)[0])
        await until(lambda: len(said_by(server, group)) == 2)
        server.says(group, ann, "what is for everybody?")
        await until(lambda: len(said_by(server, group)) == 3 and len(said_by(other_server, group)) == 2)
        await application.quiet()
        await other.quiet()
        assert [question.text for question in application.engine.asked] == [
            "which pump?",
            "and how?",
            "what is for everybody?",
        ]
        assert [question.text for question in other.engine.asked] == ["which hose?", "what is for everybody?"]
        mine, theirs = (f"{group.id}:{said['message_id']}@{of.me['id']}" for of, said in (
            (server, said_by(server, group)[0]), (other_server, said_by(other_server, group)[0])))  # fmt: skip
        assert await application.journal.answers.answered_by("telegram", mine)
        assert await other.journal.answers.answered_by("telegram", theirs)
        assert await application.journal.answers.answered_by("telegram", theirs) is None
        assert await other.journal.answers.answered_by("telegram", mine) is None
