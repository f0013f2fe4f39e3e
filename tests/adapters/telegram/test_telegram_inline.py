"""Inline queries in Telegram."""

import pytest
from telegram_application import TelegramApplication, until

from bot.core.errors import EngineBusy
from bot.core.messages import Citation

pytestmark = pytest.mark.usefixtures("quick_chats")


def found(number: int, quote: str = "Use *soft* water.") -> Citation:
    return Citation("guide.md", "Guide", ("Water", str(number)), (3, 4), None, None, quote, None)


async def test_an_inline_query_shows_the_best_passages(server, application, ann):
    """With their source, to be put into any chat; cached for a short time."""
    asked: list[str] = []

    async def search(text: str) -> list[Citation]:
        asked.append(text)
        return [found(1), found(2, "long " * 2000)]

    application.search = search
    for typed in ("", "ho", "how", "how h"):
        last = server.types_inline(ann, typed)
    await until(lambda: last in server.inline_answers)
    assert asked == ["how h"]
    answer = server.inline_answers[last]
    assert 0 < answer["cache_time"] <= 60
    first, second = answer["results"]
    assert first["title"] == "Guide › Water › 1"
    assert (
        first["input_message_content"]["message_text"] == "Use soft water.\n\n— Guide › Water › 1 (guide.md, lines 3-4)"
    )
    assert len(second["input_message_content"]["message_text"]) < 2000


async def test_an_inline_query_that_can_not_be_answered_is_answered_with_nothing(server, application, ann):
    """Too short, or the bot is busy: then nothing is cached either."""

    async def busy(_text: str) -> list[Citation]:
        raise EngineBusy(5)

    application.search = busy
    short = server.types_inline(ann, "h")
    await until(lambda: short in server.inline_answers)
    long = server.types_inline(ann, "how hot?")
    await until(lambda: long in server.inline_answers)
    assert (server.inline_answers[long]["results"], server.inline_answers[long]["cache_time"]) == ([], 0)


async def test_inline_queries_can_be_switched_off(server, tmp_path, ann):
    """For documents that are not for everybody."""
    async with TelegramApplication(server, tmp_path, inline=False) as application:
        await application.start()
        query = server.types_inline(ann, "how hot?")
        await until(lambda: not server.pending)
        await application.quiet()
        assert query not in server.inline_answers
