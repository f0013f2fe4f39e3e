"""SIGTERM at any moment ends the program within the ten seconds that containers get, and loses nothing.

The setting `shutdown.grace_seconds` has its default here; its own effect is tested in test_faults.
"""

import asyncio
import random
import signal
import time

import pytest
from running_program import Bot, running, until

from tests.platforms.telegram_server import TelegramServer

CONTAINER_GRACE = 10.0  # seconds
# Converting it takes longer than any test.
ENDLESS = b"*a_ " * 2_000_000 + b"\n\nx" * 300_000


async def stopped(bot: Bot) -> tuple[int, float]:
    """The exit status after SIGTERM, and how many seconds it took."""
    began = time.monotonic()
    status = await bot.stop()
    return status, time.monotonic() - began


def replaced(bot: Bot) -> list[str]:
    """What was logged of threads that were given up."""
    return [line["event"] for line in bot.log if line["event"] == "a model call doesn't return"]


async def test_while_models_load_a_waiting_question_holds_nothing_up(tmp_path):
    """It can't be answered any more, and is by the next start."""
    async with TelegramServer() as server:
        bot = Bot(tmp_path, server, "loading")
        await bot.start()
        waiting = bot.ask("who waits?")
        await until(lambda: len(server.called("sendChatAction")) > 0)
        assert (status_and_seconds := await stopped(bot))[0] == 0
        assert status_and_seconds[1] <= CONTAINER_GRACE
        assert [line["questions"] for line in bot.log if line["event"] == "left for the next start"] == [1]
        assert waiting() == []
        next_one = Bot(tmp_path, server)
        await next_one.start()
        await until(waiting)
        assert await next_one.stop() == 0
    assert len(waiting()) == 1


async def test_while_the_generator_loads(tmp_path):
    """Answers are quotations meanwhile; the thread that loads is not waited for."""
    async with running(tmp_path, "generating", BOT_GENERATOR__PROVIDER="local", BOT_GENERATOR__MODEL="none") as bot:
        await bot.answers()
        assert bot.component("generator")[0] != "ready"
        status, seconds = await stopped(bot)
    assert (status, seconds <= CONTAINER_GRACE) == (0, True)


async def test_while_a_hostile_document_is_read(tmp_path):
    """Its reader is ended, and the questions that wait for the first index are left for the next start."""
    (tmp_path / "knowledge").mkdir()
    (tmp_path / "knowledge" / "endless.md").write_bytes(ENDLESS)
    async with running(tmp_path, BOT_KNOWLEDGE__CONVERT_SECONDS="300") as bot:
        await until(lambda: any(line["event"] == "converter started" for line in bot.log))
        bot.ask("who waits?")
        await until(lambda: len(bot.server.called("sendChatAction")) > 0)
        status, seconds = await stopped(bot)
    assert (status, seconds <= CONTAINER_GRACE) == (0, True)


async def test_at_random_moments_of_the_start(tmp_path):
    """Before the bot has set up its handling of signals the signal itself ends it."""
    chance = random.Random(11)
    async with TelegramServer() as server:
        bot = Bot(tmp_path, server)
        for _ in range(4):
            await bot.start()
            await asyncio.sleep(chance.uniform(0.0, 4.0))
            status, seconds = await stopped(bot)
            assert status in (0, -signal.SIGTERM)
            assert seconds <= CONTAINER_GRACE
            assert not [line for line in bot.said if "Traceback" in line]


@pytest.mark.parametrize("platform_fails", [False, True])
async def test_a_model_call_that_hangs(tmp_path, platform_fails):
    """The answer under way gets the grace; the thread is not waited for any longer, also where Telegram doesn't answer."""
    async with running(tmp_path, BOT_SHUTDOWN__GRACE_SECONDS="1") as bot:
        await bot.answers("before")
        bot.ask("you never return")
        await until(lambda: len(bot.server.called("sendChatAction")) > 0)
        if platform_fails:
            await bot.server.hang_up()
        status, seconds = await stopped(bot)
    assert (status, seconds <= CONTAINER_GRACE) == (0, True)


async def test_model_calls_that_hang_one_after_the_other_as_an_ordinary_user(tmp_path):
    """Each takes one answer, those who ask next are answered by another thread, and none holds up the end."""
    async with TelegramServer() as server:
        bot = Bot(tmp_path, server, BOT_QUEUE__DEADLINE_SECONDS="3")
        await bot.start(ordinary_user=True)
        await bot.answers("before")
        for number in (1, 2):
            bot.ask("you never return")
            await until(lambda number=number: len(replaced(bot)) == number)
            await bot.answers(f"after {number}")
        signs = len(server.called("sendChatAction"))
        bot.ask("you never return")
        await until(lambda: len(server.called("sendChatAction")) > signs)
        status, seconds = await stopped(bot)
    assert (status, seconds <= CONTAINER_GRACE) == (0, True)
