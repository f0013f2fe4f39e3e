"""Logging. Log lines carry references, counts and times; never a user's text, never a token.

`redaction` removes tokens from every line. Texts can't be recognised, so they must not be logged: the bot's own lines hold
none, and libraries, which log requests and responses below INFO, are never logged below INFO.
"""

import logging
import sys
import threading
from collections.abc import Collection
from contextlib import suppress
from types import TracebackType
from typing import TextIO

import structlog

from bot.core.settings import LogSettings
from bot.observability.redaction import Redaction

# Libraries whose INFO lines are noise, or hold secrets (httpx: URLs with a token).
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
    """Send the log lines of the bot and its libraries to standard error in one form. Called by the command line.

    `quiet` omits lines of level info, so that a person at the terminal can read the answers. `secrets`, and words that look
    like a secret, are masked.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    pretty = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        # The default tracebacks show the values of variables, which may be texts and tokens.
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
    """Reports a line that can't be formatted by the place it came from, without its content."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (the name is logging's)
        with suppress(Exception):
            self.stream.write(f"a log line of {record.name} can't be shown ({record.pathname}:{record.lineno})\n")


def _log_crash(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """Log an uncaught exception like any other line, instead of printing it to standard error."""
    if error is None or issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    structlog.stdlib.get_logger("bot").critical("crashed", exc_info=(kind, error, trace))
