"""Logging and the loop-lag probe. Log lines carry references, counts and times; never a user's text, never a token.

Tokens are taken out of every line (`redaction`). Texts can't be, so nobody logs any: our lines don't, and of the libraries
nothing below INFO is logged, whatever the settings say, for there they write what they send and receive.
"""

import asyncio
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self, TextIO

import structlog

from bot.core.settings import LogSettings
from bot.observability import metrics
from bot.observability.redaction import Redaction

# Libraries that say at INFO what nobody needs to know, or what nobody may know (httpx: URLs that hold a token).
_TALKATIVE = (
    "httpx",
    "httpx2",
    "httpcore",
    "httpcore2",
    "openai",
    "uvicorn",
    "sentence_transformers",
    "transformers",
    "huggingface_hub",
    "urllib3",
    "asyncio",
)


def configure_logging(settings: LogSettings, *, quiet: bool, secrets: Collection[str] = ()) -> None:
    """Send all log lines, ours and the libraries', to standard error in one form. Called once, by the command line.

    `quiet` leaves out the lines of level info, between which a person at the terminal could not read the answers.
    `secrets` are shown nowhere, nor is what looks like one.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    pretty = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        # The default draws tracebacks with the values of all variables, in which there are texts and tokens.
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if pretty
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = _Handler(sys.stderr)
    exceptions: list[structlog.typing.Processor] = [] if pretty else [structlog.processors.format_exc_info]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *exceptions,
                renderer,
                Redaction(secrets),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    level = logging.getLevelNamesMapping()["WARNING" if quiet and settings.level == "info" else settings.level.upper()]
    root.setLevel(max(logging.INFO, level))
    logging.getLogger("bot").setLevel(level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, level))
    sys.excepthook = _log_crash
    threading.excepthook = lambda crash: _log_crash(crash.exc_type, crash.exc_value, crash.exc_traceback)


class _Handler(logging.StreamHandler[TextIO]):
    """Says of a line that can't be made where it came from, and not what was in it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (the name is logging's)
        with suppress(Exception):
            self.stream.write(f"a log line of {record.name} can't be shown ({record.pathname}:{record.lineno})\n")


def _log_crash(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """What nobody has caught goes into the log as everything else, not as it is to standard error."""
    if error is None or issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    structlog.stdlib.get_logger("bot").critical("crashed", exc_info=(kind, error, trace))


class LoopLagProbe:
    """Measures all the time how late the event loop runs what is due. Use as an async context manager."""

    def __init__(self, interval_seconds: float = 0.02, kept: int = 15_000) -> None:
        self._interval = interval_seconds
        self._lags: deque[float] = deque(maxlen=kept)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._measure(), name="loop-lag")
        for share in (0.5, 0.99):
            metrics.LOOP_LAG.labels(str(share)).set_function(partial(self._seconds, share))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task:
            self._task.cancel()

    @property
    def milliseconds(self) -> Sequence[float]:
        """The last measurements, oldest first."""
        return [lag * 1000 for lag in self._lags]

    def percentile(self, share: float) -> float:
        """The lag in milliseconds that `share` (0..1) of the last measurements did not exceed; 0 before the first."""
        ordered = sorted(self._lags)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else 0.0

    def start_over(self) -> None:
        """Forget what has been measured."""
        self._lags.clear()

    def _seconds(self, share: float) -> float:
        return self.percentile(share) / 1000

    async def _measure(self) -> None:
        while True:
            due = time.perf_counter() + self._interval
            await asyncio.sleep(self._interval)
            self._lags.append(max(0.0, time.perf_counter() - due))
