"""Supervision: one platform's trouble is its own."""

import asyncio

import pytest
from structlog.testing import capture_logs

from bot import supervision
from bot.errors import BotError, SettingsError
from bot.health import Health


class Platform:
    """An adapter that goes through these ends, one a start, then runs until it is cancelled."""

    def __init__(self, name: str, *ends: Exception | None) -> None:
        self.name = name
        self._ends = list(ends)
        self.starts = 0
        self.recovered = asyncio.Event()

    async def run(self) -> None:
        self.starts += 1
        if self._ends:
            end = self._ends.pop(0)
            if end is not None:
                raise end
            return
        self.recovered.set()
        await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def quick_restarts(monkeypatch):
    monkeypatch.setattr(supervision, "_RESTART_PAUSES", (0.0, 0.01))


@pytest.fixture(autouse=True)
def log():
    """What is logged, and not drawn with all its tracebacks."""
    with capture_logs() as lines:
        yield lines


async def test_a_failed_adapter_is_started_again_and_the_others_go_on():
    """As often as it takes."""
    failing = Platform("failing", *[ConnectionError()] * 5)
    healthy = Platform("healthy")
    states: dict[str, str] = {}
    running = asyncio.create_task(supervision.run_all([failing, healthy], states, Health()))
    await failing.recovered.wait()
    assert (failing.starts, healthy.starts) == (6, 1)
    assert states == {"failing": "running", "healthy": "running"}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_no_restart_cures_stops_this_adapter_alone():
    """A bad token, say; the state says why."""
    bad = Platform("bad", SettingsError(["discord.token: refused"]))
    good = Platform("good")
    states: dict[str, str] = {}
    running = asyncio.create_task(supervision.run_all([bad, good], states, Health()))
    await good.recovered.wait()
    await asyncio.sleep(0)
    assert states == {"bad": "stopped: discord.token: refused", "good": "running"}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_bot_whose_every_adapter_was_stopped_ends_with_the_error():
    """A service manager sees a failure, and the message is printed once more."""
    with pytest.raises(BotError, match="refused"):
        await supervision.run_all([Platform("a", SettingsError(["refused"]))], {}, Health())


async def test_an_adapter_that_has_no_more_to_give_is_no_failure():
    """The end of a pipe."""
    await supervision.run_all([Platform("pipe", None), Platform("bad", BotError("x"))], {}, Health())
