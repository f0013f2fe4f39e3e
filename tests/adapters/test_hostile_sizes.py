"""The largest messages that a platform lets people send, made to be slow to read: nobody else is held up by them."""

import asyncio
import io
import sys
import time
from collections.abc import Callable

import pytest

from bot.adapters.screen import Screen
from bot.adapters.terminal import TerminalAdapter
from bot.core.messages import Answer, Outcome, Question, Sending
from tests.platforms.both_platforms import BothPlatforms
from tests.slowness import Held, slowness

PIECES = (
    "a",
    "what? ",
    "[x](",
    "**",
    "`",
    "```\n",
    "<@1> ",
    "> ",
    "| a ",
    "- \n",
    "e\u0301",
    "\u202e",
    "𝕳",
    "((((",
    "<b>",
    "\n",
)
_WAITED = 1.0  # seconds of computing at most, until somebody else who asks meanwhile is answered


def of_length(length: int) -> list[str]:
    """Texts of so many UTF-16 units."""
    return [f"q {piece * length}".encode("utf-16-le")[: 2 * length].decode("utf-16-le", "ignore") for piece in PIECES]


async def answered(there: Callable[[], object]) -> float:
    """The seconds of processor time until an answer is there: what a busy machine adds doesn't count."""
    began = time.process_time()
    async with asyncio.timeout(60):
        while not there():  # noqa: ASYNC110 - the servers have no event for it
            await asyncio.sleep(0.005)
    return time.process_time() - began


async def test_on_telegram(tmp_path):
    """One after the other, with as many entities as a message can have, and with an earlier message of the same size."""
    async with BothPlatforms.running(tmp_path) as bot:
        server, quiet = bot.telegram, bot.telegram.person("Quiet")
        async with Held() as held:
            for number, text in enumerate(of_length(4096)):
                person = server.person(f"Person {number}")
                chat = server.private(person)
                entities = [{"type": "bold", "offset": 2 * at, "length": 2} for at in range(100)]
                earlier = server.says(chat, person, text, entities=entities)
                await bot.rest()
                server.says(chat, person, text, reply_to=earlier)
                await bot.rest()
        for text in of_length(4096):
            server.says(server.private(server.person("Loud")), server.person("Loud"), text)
        server.says(server.private(quiet), quiet, "quiet?")
        waited = await answered(lambda: server.private(quiet).from_bot)
        await bot.rest()
    assert held.within_bounds, str(held)
    assert waited <= _WAITED * slowness()


async def test_on_discord(tmp_path):
    """One after the other, with an earlier message of the same size that each replies to."""
    async with BothPlatforms.running(tmp_path) as bot:
        server, quiet = bot.discord, bot.discord.user("quiet")
        async with Held() as held:
            for text in of_length(4000):
                person = server.user(text[:32])
                place = server.direct(person)
                earlier = await server.say(place, text, person)
                await bot.rest()
                await server.say(place, text, person, reply_to=earlier)
                await bot.rest()
        for text in of_length(4000):
            loud = server.user(f"loud {text[:20]}")
            await server.say(server.direct(loud), text, loud)
        await server.say(server.direct(quiet), "quiet?", quiet)
        waited = await answered(lambda: server.from_bot(server.direct(quiet)))
        await bot.rest()
    assert held.within_bounds, str(held)
    assert waited <= _WAITED * slowness()


@pytest.mark.parametrize("length", [19_000, 2_000_000])
async def test_at_a_terminal(length, tmp_path, monkeypatch):
    """Lines from a pipe, of any length: those that are too long for a question are refused and not shown."""
    questions: list[Question] = []

    class Straight:
        repeated = False

        async def send_part(self, _part, send):
            return await send(Sending(False))

    async def answer(question: Question) -> None:
        await asyncio.sleep(0.1)
        said = Answer(Outcome.ANSWERED, "re: " + question.text[:500], "ref")
        await adapter.deliver(question.address, said, Straight())

    async with asyncio.TaskGroup() as group:

        async def accept(question: Question) -> bool:
            questions.append(question)
            group.create_task(answer(question))
            return True

        lines = [text.replace("\n", " ") for text in await asyncio.to_thread(of_length, length)]
        monkeypatch.setattr(sys, "stdin", io.StringIO(await asyncio.to_thread("\n".join, [*lines, "quiet?"])))
        file = io.StringIO()
        screen = Screen(file=file, width=100)
        adapter = TerminalAdapter(accept, history=tmp_path / "history", greeting="Hi.", console=screen)
        async with Held() as held:
            await adapter.run()
    assert held.within_bounds, str(held)
    assert questions[-1].text == "quiet?"
    refused = file.getvalue().count("A question may have up to 20000 characters")
    assert len(questions) + refused == len(lines) + 1
