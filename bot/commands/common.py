"""Shared by the commands: options, settings, the application around a piece of work, progress and printing."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Container, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.core.settings import CONFIG_VARIABLE, Settings, erase_secret_variables, load_settings

if TYPE_CHECKING:
    from bot.adapters.screen import Screen
    from bot.core.messages import Citation
    from bot.knowledge.indexer import IndexReport
    from bot.runtime.application import Application
    from bot.storage.base import Hit


_BETWEEN_LINES = 10.0  # seconds


class ExitCode(IntEnum):
    FAILURE = 1
    WRONG_SETTINGS = 2
    INTERRUPTED = 130


ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", envvar=CONFIG_VARIABLE, help="The settings file. Default: bot.toml, if there is one."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def settings_of(config: Path | None) -> Settings:
    """Return the settings, take their secrets out of the environment, and set up logging for warnings and errors only."""
    settings = load_settings(config)
    erase_secret_variables()
    log_as(settings, quiet=True)
    return settings


def log_as(settings: Settings, *, quiet: bool) -> None:
    """Set up logging. `quiet` is for people at a terminal: warnings and errors only."""
    from bot.observability.logs import configure_logging

    configure_logging(settings.log, quiet=quiet, secrets=settings.secrets)


def with_application(
    settings: Settings,
    work: "Callable[[Application], Awaitable[None]]",
    *,
    fresh: bool = True,
    golden: bool = True,
    accept: bool = False,
) -> None:
    """Open the application, bring the index up to date if it is to be `fresh`, do the work and close."""
    from bot.runtime.application import open_application

    async def run() -> None:
        async with open_application(settings, golden=golden, accept=accept) as application:
            if fresh:
                await refresh_index(application)
            await work(application)

    asyncio.run(run())


async def refresh_index(application: "Application", *, lines: bool = False) -> "IndexReport":
    """Index what has changed, with a progress bar on a terminal, or with `lines` elsewhere."""
    with progress_bar("Indexing passages", lines=lines) as show:
        folder = application.settings.knowledge.folder
        report = await application.indexer.index_folder(folder, lambda step: show(step.done, step.total))
    if report.review is not None and not report.review.accepted:
        complain("The previous index was kept, because golden questions got worse:", *report.review.findings)
    return report


async def best_passages(
    application: "Application", text: str, count: int, *, hidden: "Container[str]" = frozenset()
) -> "list[tuple[Hit, Citation]]":
    """Return the best passages for a text, best first, each with its citation, but for those of the sources `hidden`."""
    from bot.core.messages import QueryVariant
    from bot.engine.compose import cite_passage

    variants = [QueryVariant(text)]
    hits = await application.answering.retriever.search(
        variants, await application.answering.retriever.encode(variants), count, hidden=hidden
    )
    return [(hit, cite_passage(hit.found, application.settings.knowledge.base_url)) for hit in hits]


@contextmanager
def progress_bar(what: str, *, lines: bool = False) -> Iterator["Callable[..., None]"]:
    """Show the progress, its rate and the time left. Where standard error is no terminal, show nothing, or with `lines` a line
    every ten seconds.

    Yields a function of (done, total, words), in which words may be left out.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    from bot.adapters.screen import Screen

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed or 0:.0f}/s")

    screen = Screen(stderr=True)
    last_line = time.monotonic()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}", style="dim", markup=False),
    )
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task(what, total=None, visible=False, words="")

        def show(done: int, total: int, words: str = "") -> None:
            nonlocal last_line
            if lines and not screen.is_terminal and (now := time.monotonic()) - last_line >= _BETWEEN_LINES:
                last_line = now
                say(f"{what}: {done} of {total}", aside=True)
            bar.update(task, completed=done, total=total, visible=total > 0, words=words)

        yield show


def console() -> "Screen":
    """Standard output, for tables and other text with a layout."""
    from bot.adapters.screen import Screen

    return Screen()


def printable(text: str) -> str:
    """Return an argument with undecodable bytes replaced."""
    return text.encode(errors="replace").decode()


def print_json(data: Any) -> None:
    from bot.adapters.screen import json_line

    typer.echo(json_line(data))


def say(text: str = "", *, aside: bool = False, end: str = "\n") -> None:
    """Print text of any origin to standard output, or `aside`, to standard error."""
    from bot.core.text import safe

    typer.echo(safe(text) + end, err=aside, nl=False)


def complain(*lines: str) -> None:
    """Print lines to standard error, in red on a terminal."""
    from bot.core.text import safe

    for line in lines:
        typer.secho(safe(line), err=True, fg="red" if sys.stderr.isatty() else None)
