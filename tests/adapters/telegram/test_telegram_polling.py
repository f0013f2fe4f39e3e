"""Polling of Telegram: polls that hang or fail, another poller, and updates that can't be read or kept."""

import asyncio

import pytest
from structlog.testing import capture_logs
from telegram_application import until

from bot.adapters.telegram import polling
from bot.adapters.telegram.polling import PollingStalled
from bot.core.errors import StorageError


@pytest.fixture
async def application(application_of):
    """An application that doesn't take updates in yet."""
    async with application_of() as application:
        yield application


@pytest.fixture
def quick_watchdog(monkeypatch):
    monkeypatch.setattr(polling, "POLL_SECONDS", 1)
    monkeypatch.setattr(polling, "GRACE", 0.3)


async def test_a_poll_that_hangs_is_noticed_and_healed(server, application_of, ann, quick_watchdog):
    """The connection pool is built anew, and nothing is lost."""
    async with application_of() as application:
        server.break_next("getUpdates", "hang")
        await application.start()
        server.says(server.private(ann), ann, "one")
        await application.answered(server.private(ann), seconds=5)
        assert "1 pool built anew" in application.adapter.describe()


async def test_a_pool_that_can_not_be_healed_restarts_the_adapter_alone(server, application_of, ann, quick_watchdog):
    """The daemon starts it again when `run` raises; questions on their way are answered meanwhile."""
    async with application_of() as application:
        server.break_next("getUpdates", "hang", 2)
        with pytest.raises(PollingStalled):
            await asyncio.wait_for(application.adapter.run(), 10)
        await application.start()
        server.says(server.private(ann), ann, "one")
        await application.answered(server.private(ann))


@pytest.mark.parametrize("kind", ["502", "reset", "garbage", "429:1", "lost"])
async def test_a_poll_that_fails_is_tried_again(server, application, ann, kind):
    """Its updates come with a later poll, once."""
    server.break_next("getUpdates", kind)
    server.says(server.private(ann), ann, "one")
    await application.start()
    await application.answered(server.private(ann))
    await application.quiet()
    assert len(application.engine.asked) == 1


async def test_another_poller_is_told_clearly_and_outlived(server, application, ann, monkeypatch):
    """Each of the two would miss the other's messages."""
    monkeypatch.setattr(polling, "_CONFLICT_PAUSE", 0.1)
    conflict = "409:Conflict: terminated by other getUpdates request"
    server.break_next("getUpdates", conflict, 3)
    with capture_logs() as lines:
        await application.start()
        await until(lambda: "another program polls" in application.adapter.describe())
        server.says(server.private(ann), ann, "one")
        await application.answered(server.private(ann))
    told = [line["event"] for line in lines if "another program polls" in line["event"]]
    assert len(told) == 1
    assert "another program" not in application.adapter.describe()


async def test_an_update_that_the_library_can_not_read_holds_up_no_other(server, application, ann):
    """It is left out, and confirmed with the others."""
    server.says(server.private(ann), ann, "one")
    server.update("message", {"message_id": "what?", "date": "never"})
    server.says(server.private(ann), ann, "two")
    await application.start()
    await application.answered(server.private(ann), 2)
    await application.quiet()


async def test_what_can_not_be_kept_is_not_confirmed(server, application, ann, monkeypatch):
    """The disk is full for a while: Telegram keeps the message meanwhile."""
    monkeypatch.setattr(polling, "_STORAGE_PAUSE", 0.05)
    accept = application.journal.questions.accept
    full = True

    async def maybe_full(question):
        if full:
            raise StorageError("the disk is full")
        return await accept(question)

    monkeypatch.setattr(application.journal.questions, "accept", maybe_full)
    server.says(server.private(ann), ann, "one")
    await application.start()
    await asyncio.sleep(0.3)
    assert len(server.pending) == 1
    full = False
    await application.answered(server.private(ann))
    await application.quiet()


async def test_polling_removes_a_webhook_that_was_left_behind(server, application, ann):
    """By a bot that was killed, say."""
    server.webhook = {"url": "http://127.0.0.1:9/"}
    server.says(server.private(ann), ann, "one")
    await application.start()
    await application.answered(server.private(ann))
