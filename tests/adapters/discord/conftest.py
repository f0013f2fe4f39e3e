"""The local Discord, and bots that are connected to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import discord
import pytest
import structlog
import yarl
from structlog.testing import LogCapture

from bot.core.messages import Engine
from bot.questions import delivery
from bot.runtime import supervision
from bot.runtime.application import open_application
from tests.adapters.discord.discord_application import RunningBot, ScriptedEngine
from tests.platforms.discord_server import TOKEN, DiscordServer


@pytest.fixture(autouse=True)
def log():
    """The lines of the log, each with its traceback as text. A test that fails prints them."""
    capture, before = LogCapture(), structlog.get_config()
    structlog.configure(processors=[structlog.processors.format_exc_info, capture])
    yield capture.entries
    structlog.configure(**before)
    for line in capture.entries:
        print(line.pop("exception", ""), line)  # noqa: T201


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr(delivery, "_PAUSES", (0.05, 0.05, 0.1, 0.5, 1.0, 2.0))
    monkeypatch.setattr(supervision, "_RESTART_PAUSES", (0.05, 0.2, 0.5))
    monkeypatch.setattr(discord.Client, "before_identify_hook", _identify_at_once)


async def _identify_at_once(*_: object, **__: object) -> None:
    """Takes the place of the library's pause of five seconds."""


@pytest.fixture
async def server(monkeypatch):
    """A local Discord. The test fails if the bot has done something that Discord refuses."""
    async with DiscordServer.running() as server:
        monkeypatch.setattr(discord.http.Route, "BASE", server.api)
        monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(server.gateway))
        yield server
        assert server.violations == []


@pytest.fixture
async def application(settings, models, folder_of):
    folder_of({"guide.md": "# Guide\n\n## Water\n\nUse water at 92 degrees.\n"})
    async with open_application(settings, models) as application:
        yield application


@pytest.fixture
def engine():
    return ScriptedEngine()


@pytest.fixture
def running(server, application, engine, settings):
    """Start bots, one after the other on the same journal: `async with running(threads=True) as bot`."""

    @asynccontextmanager
    async def run(
        *, engine: Engine = engine, queue=None, limits=None, others=None, wait=True, **options
    ) -> AsyncIterator[RunningBot]:
        sections = {"queue": queue or {}, "limits": limits or {}, **(others or {})}
        changed = {name: getattr(settings, name).model_copy(update=values) for name, values in sections.items()}
        changed["discord"] = settings.discord.model_validate({"token": TOKEN, **options})
        bot = RunningBot(application, engine, settings.model_copy(update=changed))
        await bot.start()
        try:
            await server.until(lambda: not wait or server._sockets or bot.ended.done())
            yield bot
        finally:
            await bot.stop()

    return run


@pytest.fixture
async def bot(running):
    async with running() as bot:
        yield bot


@pytest.fixture
def guild(server):
    return server.guild()


@pytest.fixture
def channel(server, guild):
    return server.channel(guild)


@pytest.fixture
def ann(server):
    return server.user("ann")
