"""The program: its options, its commands in the order of its help, and the handling of errors."""

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

import typer

from bot import __version__
from bot.commands import (
    answers,
    documents,
    evaluation,
    finetune,
    history,
    models,
    operations,
    serving,
    setup,
    sources,
    tasks,
)
from bot.commands.common import ExitCode, complain, say
from bot.core.errors import BotError, SettingsError
from bot.core.process import protect_memory

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Answers questions from your own documents, in their own words, and says so when they don't answer.",
)


def main() -> None:
    """Run a command and end the process with its exit code."""
    protect_memory()
    code = run_command()
    if any(thread.daemon for thread in threading.enumerate()):
        # A model that is being loaded, or hangs, can't be stopped, and its thread would crash the interpreter's own end.
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # its reader has enough, or it is closed
                stream.flush()
        os._exit(code)
    sys.exit(code)


def run_command() -> int:
    """Run a command and return its exit code. An error that its user can mend is one message without a traceback."""
    try:
        app()
    except SystemExit as end:
        return int(end.code or 0)
    except SettingsError as error:
        complain("Please correct the settings:", *error.problems)
        return ExitCode.WRONG_SETTINGS
    except BotError as error:
        complain(str(error))
        return ExitCode.FAILURE
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # the reader of our output has enough
        sys.stderr.close()
        return ExitCode.FAILURE
    except OSError as error:
        if error.filename is None:
            raise
        complain(f"{error.filename}: {error.strerror}")  # a file or folder that the user has named
        return ExitCode.FAILURE
    return 0


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)] = False,
) -> None:
    if version:
        say(f"knowledge-bot {__version__}")
        raise typer.Exit


# In the order in which the help lists them; it lists the groups last.
_COMMANDS: tuple[Callable[..., None], ...] = (
    serving.run,
    serving.web,
    serving.chat,
    serving.ask,
    models.generate,
    tasks.task,
    documents.search,
    documents.index,
    operations.status,
    operations.health,
    documents.add,
    documents.remove,
    operations.policy,
    history.questions,
    answers.feedback,
    operations.forget,
    evaluation.evaluate,
    answers.explain,
    answers.gaps,
    setup.setup,
    operations.doctor,
    operations.bench,
    operations.backup,
    operations.restore,
    models.train_reader,
    models.train_relevance,
)
for _command in _COMMANDS:
    app.command()(_command)
app.add_typer(sources.app, name="sources")
app.add_typer(models.app, name="models")
app.add_typer(finetune.app, name="finetune")
