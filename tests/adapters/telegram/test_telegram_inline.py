"""Inline queries in Telegram."""

import asyncio

import pytest
from telegram_application import TelegramApplication, until

from bot.adapters.rates import Rate
from bot.adapters.telegram import inline
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


async def test_inline_queries_of_one_person_are_limited(server, application, ann, bob, monkeypatch):
    """Those beyond it are answered with nothing and are not cached; other people's go on."""
    monkeypatch.setattr(inline, "_PERSON", Rate(3, 60.0))
    asked: list[str] = []

    async def search(text: str) -> list[Citation]:
        asked.append(text)
        return [found(1)]

    application.search = search
    for number in range(5):
        query = server.types_inline(ann, f"how hot {number}")
        await until(lambda query=query: query in server.inline_answers)
    assert asked == ["how hot 0", "how hot 1", "how hot 2"]
    assert (server.inline_answers[query]["results"], server.inline_answers[query]["cache_time"]) == ([], 0)
    other = server.types_inline(bob, "how cold?")
    await until(lambda: other in server.inline_answers)
    assert asked[-1] == "how cold?"


async def test_few_inline_queries_are_searched_at_once(server, application, ann, bob, monkeypatch):
    """However many people type: questions must not wait for them."""
    monkeypatch.setattr(inline, "_MOST_AT_ONCE", 1)
    may_go_on = asyncio.Event()
    asked: list[str] = []

    async def search(text: str) -> list[Citation]:
        asked.append(text)
        await may_go_on.wait()
        return [found(1)]

    application.search = search
    first = server.types_inline(ann, "how hot?")
    await until(lambda: asked)
    second = server.types_inline(bob, "how cold?")
    await until(lambda: second in server.inline_answers)
    assert server.inline_answers[second]["results"] == []
    may_go_on.set()
    await until(lambda: first in server.inline_answers)
    assert (asked, len(server.inline_answers[first]["results"])) == (["how hot?"], 1)


async def test_inline_queries_can_be_switched_off(server, tmp_path, ann):
    """For documents that are not for everybody."""
    async with TelegramApplication(server, tmp_path, inline=False) as application:
        await application.start()
        query = server.types_inline(ann, "how hot?")
        await until(lambda: not server.pending)
        await application.quiet()
        assert query not in server.inline_answers
