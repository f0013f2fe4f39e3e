"""The health of the components of a running bot."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from bot.observability.health import Health, Report, State


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> datetime:
        self.time += timedelta(seconds=seconds)
        return self.time


def test_a_component_starts_and_a_bot_is_ready_when_all_do_their_work():
    """One that is still on its way, or down, or failed for good, is one that the bot isn't ready for."""
    health = Health()
    assert not health.ready  # nothing runs yet
    encoder, discord = health.component("encoder"), health.component("discord")
    encoder.ready("all-MiniLM-L6-v2")
    assert not health.ready
    discord.ready()
    assert health.ready
    for trouble in (discord.down, discord.failed, discord.starting):
        trouble("x")
        assert not health.ready
        discord.ready()
    discord.degraded("answers are late: 2,000 servers on one shard")
    assert health.ready


def test_what_is_not_essential_may_be_down():
    """Answers are quotes where no generator runs."""
    health = Health()
    health.component("encoder").ready()
    health.component("generator", essential=False).failed("no weights; run: knowledge-bot models download")
    assert health.ready


def test_since_is_when_the_state_was_entered():
    """Another word about the same state doesn't change it."""
    clock = Clock()
    component = Health(now=clock).component("telegram")
    began = clock.time
    clock.advance(5)
    component.starting("logging in")
    assert component.report == Report("telegram", State.STARTING, began, "logging in")
    fell = clock.advance(5)
    component.down("no network")
    clock.advance(60)
    component.down("no network, for a minute")
    assert component.report.since == fell
    assert component.report.detail == "no network, for a minute"


def test_the_same_name_is_the_same_component():
    """An adapter that is started again reports where it did before; what it is worth was said at first."""
    health = Health()
    health.component("discord", essential=False).down("the connection was reset")
    again = health.component("discord")
    assert again.report.state is State.DOWN
    assert not again.report.essential
    assert len(health.reports) == 1
    with pytest.raises(KeyError):
        health.report("telegram")


def test_a_listener_hears_of_every_other_state_and_of_nothing_else():
    """One line of log for each change, however often a state is confirmed."""
    heard: list[tuple[str, State]] = []
    component = Health(lambda report: heard.append((report.name, report.state))).component("discord")
    component.ready()
    component.ready("again")
    component.down("x")
    component.ready()
    assert heard == [("discord", State.READY), ("discord", State.DOWN), ("discord", State.READY)]


def test_the_form_for_programs_names_every_component():
    """In the order they were added, with their times."""
    health = Health(now=Clock())
    health.component("encoder").ready()
    health.component("telegram").failed("telegram.token: refused")
    assert health.to_json() == {
        "status": "not ready",
        "components": [
            {
                "name": "encoder",
                "state": "ready",
                "since": "2026-01-01T00:00:00+00:00",
                "detail": "",
                "essential": True,
            },
            {
                "name": "telegram",
                "state": "failed",
                "since": "2026-01-01T00:00:00+00:00",
                "detail": "telegram.token: refused",
                "essential": True,
            },
        ],
    }


def test_threads_may_report_at_once():
    """A model is loaded in one while the event loop is asked from another."""
    changes: list[Report] = []
    health = Health(changes.append)
    component = health.component("encoder")

    def flicker(_: int) -> None:
        for _ in range(200):
            component.down("x")
            component.ready()
            assert health.to_json()["status"] in ("ready", "not ready")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(flicker, range(4)))
    assert component.report.state is State.READY
    assert {change.state for change in changes} == {State.DOWN, State.READY}
