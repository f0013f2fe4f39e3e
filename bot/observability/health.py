"""How the parts of a running bot are: a component for each that can fail alone, with its state, since when, and what is wrong.

Pure, and safe from any thread. Whoever runs a part reports on it; `/health/ready` and `/metrics` show what was said last.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class State(StrEnum):
    STARTING = "starting"  # on its way, with nothing wrong so far
    READY = "ready"
    DEGRADED = "degraded"  # does its work, but worse or not all of it
    DOWN = "down"  # doesn't do its work; it is being tried again
    FAILED = "failed"  # doesn't do its work, and won't before an operator mends something

    @property
    def serves(self) -> bool:
        """Whether the component does its work."""
        return self in (State.READY, State.DEGRADED)


@dataclass(frozen=True, slots=True)
class Report:
    """What was said last about one component.

    `since` is when it entered this state. `detail` says what is wrong and how to mend it, or what is to be known about a
    component that is well; it is shown to operators, so there is no user's text and no token in it. An `essential`
    component is one without which the bot isn't ready.
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
    """What a part of the bot reports by. Made by `Health.component`; `starting` until something else is said."""

    def __init__(self, health: Health, name: str) -> None:
        self._health = health
        self.name = name

    @property
    def report(self) -> Report:
        """What was said last."""
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
    """All components of one running bot."""

    def __init__(
        self,
        listener: Callable[[Report], None] = lambda _: None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`listener` is told each time a component enters another state, in the thread that reports it."""
        self._listener = listener
        self._now = now
        self._lock = threading.Lock()
        self._reports: dict[str, Report] = {}

    def component(self, name: str, *, essential: bool = True) -> Component:
        """The component of this name, which is added where there is none yet."""
        with self._lock:
            if name not in self._reports:
                self._reports[name] = Report(name, State.STARTING, self._now(), essential=essential)
        return Component(self, name)

    def report(self, name: str) -> Report:
        """What was said last about a component. Raises KeyError if there is none of this name."""
        with self._lock:
            return self._reports[name]

    @property
    def reports(self) -> list[Report]:
        """Of every component, in the order they were added."""
        with self._lock:
            return list(self._reports.values())

    @property
    def ready(self) -> bool:
        """Whether there are essential components, and all of them do their work."""
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
