"""Telegram's flood limits, and the waits that the service asks for."""

import asyncio
import time

import pytest
from telegram_application import until

from bot.adapters.telegram import flood
from bot.adapters.telegram.flood import FloodControl, Rate
from tests.platforms.telegram_server import Limits


@pytest.fixture
async def application(application_of):
    """An application that doesn't take updates in yet."""
    async with application_of() as application:
        yield application


async def test_the_wait_that_the_service_asks_for_is_kept_per_chat(server, application, ann):
    """The other chats go on meanwhile."""
    bob = server.person("Bob")
    server.break_next("sendMessage", "429:2", 1, lambda call: call["chat_id"] == ann["id"])
    await application.start()
    for person in (ann, bob):
        server.says(server.private(person), person, "one")
    started = time.monotonic()
    await application.answered(server.private(bob))
    assert time.monotonic() - started < 1.5
    assert server.private(ann).texts == []
    await application.answered(server.private(ann))
    assert time.monotonic() - started > 1.9
    assert application.adapter.flood.counts["refused"] == 1
    assert "1 refused by the service" in application.adapter.describe()


async def test_thirty_groups_at_once_stay_below_the_limits_of_the_service(server, application_of):
    """Every answer arrives, and no wait that the service asked for is ignored."""
    server.limits = Limits()
    application = application_of().with_settings(queue={"parallel": 64})
    async with application:
        await application.start()
        groups = [server.group() for _ in range(30)]
        people = [server.person(f"P{n}") for n in range(30)]
        for n, group in enumerate(groups):
            for asking in range(2):
                server.says(group, people[n], f"/ask {asking}")
        await until(lambda: all(len(group.texts) == 2 for group in groups), 20)
        assert all("sent again" not in text for group in groups for text in group.texts)
        assert server.ignored_waits == 0


async def test_flood_control_keeps_the_order_and_forgets_quiet_chats(monkeypatch):
    """Messages go out in the order of asking, and optional ones don't queue."""
    monkeypatch.setattr(flood, "CHAT_RATE", Rate(2, 0.2))
    monkeypatch.setattr(flood, "_QUIET", 0.1)
    control = FloodControl()
    order: list[int] = []

    async def send(number: int) -> None:
        await control.acquire(1)
        order.append(number)

    started = time.monotonic()
    await asyncio.gather(*(send(n) for n in range(6)))
    assert order == list(range(6))
    assert time.monotonic() - started > 0.35
    assert not control.try_acquire(1)
    assert control.counts["waited"] == 4
    await asyncio.sleep(0.35)
    await control.acquire(2)
    assert list(control._chats) == [2]
