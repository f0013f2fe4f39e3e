"""The bot at work: it serves the platforms and the terminal, or answers a single question."""

import asyncio
import sys
import threading
import webbrowser
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot import __version__
from bot.commands.common import (
    ConfigOption,
    JsonOption,
    complain,
    console,
    log_as,
    print_json,
    printable,
    refresh_index,
    settings_of,
    with_application,
)
from bot.core.errors import SettingsError
from bot.core.settings import Settings
from bot.core.text import counted

if TYPE_CHECKING:
    from bot.core.messages import Question
    from bot.knowledge.indexer import IndexReport
    from bot.runtime.application import Application

AsideOption = Annotated[
    bool,
    typer.Option("--set-damaged-aside", help="Rename a damaged index or journal and begin a new one, which loses it."),
]


def run(set_damaged_aside: AsideOption = False, config: ConfigOption = None) -> None:
    """Run the daemon: every platform whose token is set, and HTTP. Without a platform: the terminal, if there is one."""
    settings = settings_of(config)
    if not settings.platforms and sys.stdin.isatty():
        _serve_terminal(settings, set_damaged_aside)
    elif settings.platforms or settings.http.enabled:
        _serve_platforms(settings, config, set_damaged_aside)
    else:
        raise SettingsError(
            [
                "there is no platform to serve, and standard input is no terminal; set DISCORD_TOKEN or TELEGRAM_TOKEN, "
                "allow questions by HTTP (http.enabled), or ask from a pipe: knowledge-bot chat"
            ]
        )


def web(
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address of the page.")] = False,
    set_damaged_aside: AsideOption = False,
    config: ConfigOption = None,
) -> None:
    """Run the bot and open the page on which people ask it. Where it runs already: only open the page."""
    from bot.adapters.http.ask_page import PATH
    from bot.runtime.probe import NotLive, ask_ready, local_host

    settings = settings_of(config)
    if not settings.http.enabled:
        raise SettingsError(["http.enabled is false, so there is no page: set it to true"])
    host = local_host(settings.http)

    def show(port: int) -> None:
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}{PATH}/"
        complain(f"Ask at {address}" + (" in a browser." if no_browser else ""))
        if not no_browser:
            threading.Thread(target=webbrowser.open, args=[address], name="browser", daemon=True).start()

    try:
        ask_ready(settings.http)
    except NotLive:
        _serve_platforms(settings, config, set_damaged_aside, show)
    else:
        show(settings.http.port)


def _serve_platforms(
    settings: Settings,
    config: Path | None,
    set_damaged_aside: bool,
    on_listening: Callable[[int], None] = lambda _: None,
) -> None:
    from bot.commands.wiring import platform_services
    from bot.runtime.daemon import serve

    log_as(settings, quiet=False)
    services = partial(platform_services, config=config, on_listening=on_listening)
    asyncio.run(serve(settings, services, refresh_index, set_damaged_aside=set_damaged_aside))


def chat(set_damaged_aside: AsideOption = False, config: ConfigOption = None) -> None:
    """Talk to the bot in this terminal. From a pipe: one question a line."""
    _serve_terminal(settings_of(config), set_damaged_aside)


def _serve_terminal(settings: Settings, set_damaged_aside: bool) -> None:
    from bot.commands.wiring import terminal_services
    from bot.runtime.daemon import serve

    report: IndexReport | None = None

    async def refresh(application: "Application") -> None:
        nonlocal report
        report = await refresh_index(application)

    services = partial(terminal_services, greeting=lambda: _greeting(report))
    # Questions from a pipe may be about documents that were written a moment ago.
    fresh = not sys.stdin.isatty()
    asyncio.run(serve(settings, services, refresh, at_terminal=True, fresh=fresh, set_damaged_aside=set_damaged_aside))


def _greeting(report: "IndexReport | None") -> str:
    if report is None:
        return f"knowledge-bot {__version__}. Ask a question; /help lists the commands."
    if not report.passages:
        return "There are no documents yet: put some into the knowledge folder and start again."
    count = sum(1 for file in report.files if file.passages)
    known = f"{counted(count, 'document')}, {counted(report.passages, 'passage')}"
    return f"knowledge-bot {__version__}: {known}. Ask a question; /help lists the commands."


def ask(
    text: Annotated[str, typer.Argument(help="The question.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Ask one question and print the answer with its source."""

    async def answer(application: "Application") -> None:
        from bot.adapters.terminal import rendered

        await application.answering.generator_loaded.wait()
        answer = (await application.answering.engine.consider(_question(text))).answer  # nobody can follow up
        if as_json:
            print_json(answer.to_json())
        else:
            console().print(rendered(answer))

    with_application(settings_of(config), answer)


def _question(text: str) -> "Question":
    """Return a question from the command line, in a conversation of its own."""
    from datetime import UTC, datetime
    from uuid import uuid4

    from bot.core.messages import Address, Question

    conversation = uuid4().hex
    address = Address("command", "command", conversation)
    return Question(printable(text), conversation, "command", address, datetime.now(UTC))
