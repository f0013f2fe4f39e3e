"""The program's commands in the process of the tests: a second each instead of ten, which go into importing the libraries.

For tests of what a command does. Those of signals, terminals, pipes and kills start real processes.
"""

import io
import logging
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import structlog

from bot import cli
from bot.core.settings import EncoderSettings, ReaderSettings, Settings
from bot.inference.workers import Models
from bot.runtime import loading

_load_models = loading.load_models


class Commands:
    """Runs commands in a folder. `command("ask", "how hot?", "--json", BOT_ANSWER__THRESHOLD="0.2")`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, models: Models) -> None:
        """`models` are used where the settings name the encoder and the reader that they name by default."""
        self._monkeypatch = monkeypatch
        self._folder = folder
        self._models = models

    def __call__(self, *arguments: str, **environment: str) -> CompletedProcess[str]:
        said, complained = io.StringIO(), io.StringIO()
        configured = structlog.get_config()
        with self._monkeypatch.context() as patched, redirect_stdout(said), redirect_stderr(complained):
            patched.chdir(self._folder)
            patched.setattr(sys, "argv", ["knowledge-bot", *arguments])
            patched.setattr("bot.observability.logs.configure_logging", _log_warnings)
            patched.setattr(loading, "load_models", self._loaded)
            for name, value in environment.items():
                patched.setenv(name, value)
            try:
                code = cli.run_command()
            finally:
                structlog.configure(**configured)
        return CompletedProcess(arguments, code, said.getvalue(), complained.getvalue())

    def _loaded(self, settings: Settings) -> Models:
        if (settings.encoder, settings.reader) == (EncoderSettings(), ReaderSettings()):
            return self._models
        return _load_models(settings)


def _log_warnings(*_: object, **__: object) -> None:
    """As the commands do, but so that it can be undone: loggers are not kept as they are now."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
