"""Fixtures for the tests of the Telegram adapter: a local Bot API, people, and an application around the adapter."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from telegram_application import TelegramApplication

from bot.adapters.rates import Rate
from bot.adapters.telegram import flood, polling
from tests.platforms.telegram_server import Json, TelegramServer


@pytest.fixture(autouse=True)
def short_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polls that have no news come back soon, so that tests end soon."""
    monkeypatch.setattr(polling, "POLL_SECONDS", 2)


@pytest.fixture
async def server():
    """Every call is held against the published description, where that is present beside the repository."""
    async with TelegramServer() as server:
        yield server
        assert server.violations == []


@pytest.fixture
def application_of(server: TelegramServer, tmp_path: Path) -> Callable[..., TelegramApplication]:
    """Make an application with certain settings of Telegram."""
    return lambda **telegram: TelegramApplication(server, tmp_path, **telegram)


@pytest.fixture
async def application(application_of: Callable[..., TelegramApplication]) -> AsyncIterator[TelegramApplication]:
    """An application that takes updates in."""
    async with application_of() as application:
        await application.start()
        yield application


@pytest.fixture
def quick_chats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lift the limit of a chat, for tests whose subject is not flood control."""
    monkeypatch.setattr(flood, "CHAT_RATE", Rate(100, 1.0))


@pytest.fixture
def ann(server: TelegramServer) -> Json:
    return server.person("Ann")


@pytest.fixture
def bob(server: TelegramServer) -> Json:
    return server.person("Bob")
