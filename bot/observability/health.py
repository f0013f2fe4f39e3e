"""The health of a running bot: a component for each part that can fail alone, with its state, since when, and the reason.

Safe from any thread. The code that runs a part reports its state; `/health/ready` and `/metrics` show the latest reports.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class State(StrEnum):
    STARTING = "starting"  # no problem so far
    READY = "ready"
    DEGRADED = "degraded"  # works, but worse or in part
    DOWN = "down"  # doesn't work; is tried again
    FAILED = "failed"  # doesn't work until an operator mends something

    @property
    def serves(self) -> bool:
        """Whether a component in this state works."""
        return self in (State.READY, State.DEGRADED)


@dataclass(frozen=True, slots=True)
class Report:
    """The latest report on one component.

    `since` is the time at which it entered this state. `detail` names the problem and its fix, or describes a component that
    works; it is shown to operators, so it holds no user's text and no token. The bot is ready only if each `essential`
    component works.
    """

    name: str
    state: State
    since: datetime  # with a time zone
    detail: str = ""
    essential: bool = True

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "state": self.state.value,
            "since": self.since.isoformat(timespec="seconds"),
            "detail": self.detail,
            "essential": self.essential,
        }


class Component:
    """The handle by which a part of the bot reports its state. Made by `Health.component`, in the state `starting`."""

    def __init__(self, health: Health, name: str) -> None:
        self._health = health
        self.name = name

    @property
    def report(self) -> Report:
        """The latest report."""
        return self._health.report(self.name)

    def starting(self, detail: str = "") -> None:
        self._health._change(self.name, State.STARTING, detail)

    def ready(self, detail: str = "") -> None:
        self._health._change(self.name, State.READY, detail)

    def degraded(self, detail: str) -> None:
        self._health._change(self.name, State.DEGRADED, detail)

    def down(self, detail: str) -> None:
        self._health._change(self.name, State.DOWN, detail)

    def failed(self, detail: str) -> None:
        self._health._change(self.name, State.FAILED, detail)


class Health:
    """The components of one running bot."""

    def __init__(
        self,
        listener: Callable[[Report], None] = lambda _: None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`listener` is called when a component enters another state, in the thread that reports it."""
        self._listener = listener
        self._now = now
        self._lock = threading.Lock()
        self._reports: dict[str, Report] = {}

    def component(self, name: str, *, essential: bool = True) -> Component:
        """Return the component with this name, added if it is new."""
        with self._lock:
            if name not in self._reports:
                self._reports[name] = Report(name, State.STARTING, self._now(), essential=essential)
        return Component(self, name)

    def report(self, name: str) -> Report:
        """Return the latest report on a component. Raises KeyError if no component has this name."""
        with self._lock:
            return self._reports[name]

    @property
    def reports(self) -> list[Report]:
        """The latest report on every component, in the order they were added."""
        with self._lock:
            return list(self._reports.values())

    @property
    def ready(self) -> bool:
        """Whether all essential components work; False if there are none."""
        essential = [report for report in self.reports if report.essential]
        return bool(essential) and all(report.state.serves for report in essential)

    def to_json(self) -> dict[str, Any]:
        return {
            "status": "ready" if self.ready else "not ready",
            "components": [report.to_json() for report in self.reports],
        }

    def _change(self, name: str, state: State, detail: str) -> None:
        with self._lock:
            before = self._reports[name]
            entered = state is not before.state
            after = replace(before, state=state, detail=detail, since=self._now() if entered else before.since)
            self._reports[name] = after
        if entered:
            self._listener(after)
