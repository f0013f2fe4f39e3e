"""The bot at work: it serves the platforms and the terminal, or answers a single question."""

import asyncio
import sys
import threading
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot import __version__
from bot.commands.common import (
    ConfigOption,
    JsonOption,
    best_passages,
    complain,
    console,
    log_as,
    print_json,
    printable,
    refresh_index,
    settings_of,
    with_application,
)
from bot.core.errors import BotError, SettingsError
from bot.core.settings import Settings
from bot.core.text import counted

if TYPE_CHECKING:
    from fastapi import APIRouter

    from bot.adapters.http import HttpAdapter
    from bot.adapters.setting_up import PlatformSetup
    from bot.adapters.telegram.adapter import TelegramAdapter
    from bot.core.documents import Passage
    from bot.core.messages import Citation, Question, Service
    from bot.http.server import HttpServer
    from bot.http.sessions import Sessions
    from bot.http.sites import Site
    from bot.knowledge.indexer import IndexReport
    from bot.questions.administration import Administration
    from bot.questions.dispatcher import Dispatcher
    from bot.runtime.application import Application
    from bot.tasks.desk import TaskDesk

# As many passages as anyone looks through in the list of an inline query.
_INLINE_RESULTS = 5
# No document has so many passages.
_ALL = 2**31

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
    from bot.runtime.daemon import serve

    def services(
        application: "Application", dispatcher: "Dispatcher", administration: "Administration"
    ) -> "list[Service]":
        """Make a service for each platform whose token is set, and one for HTTP."""
        made: list[Service] = []
        webhooks: list[APIRouter] = []
        if "discord" in settings.platforms:
            from bot.adapters.discord import DiscordAdapter

            journal, forget = application.stores.journal, application.answering.conversations.forget
            desk = _desk(application, dispatcher)
            made.append(
                DiscordAdapter(dispatcher.admission, administration, journal, forget, settings.discord, tasks=desk)
            )
        if "telegram" in settings.platforms:
            telegram = _telegram(application, dispatcher, administration)
            made.append(telegram)
            webhooks += [telegram.webhook.router] if telegram.webhook else []
        if settings.http.enabled:
            make_console = partial(_console, application, administration, config)
            made.append(_http(application, dispatcher, webhooks, make_console, on_listening))
        elif webhooks:
            raise SettingsError(["telegram.webhook_url: the webhook needs the HTTP server; set http.enabled to true"])
        return made

    log_as(settings, quiet=False)
    asyncio.run(serve(settings, services, refresh_index, set_damaged_aside=set_damaged_aside))


def _desk(application: "Application", dispatcher: "Dispatcher") -> "TaskDesk":
    from bot.tasks.desk import TaskDesk
    from bot.tasks.policy import TaskPolicy

    policy = TaskPolicy(application.stores.journal.platforms, allowed=application.settings.tasks.allowed)
    return TaskDesk(application.tasks, policy, dispatcher.admission.count)


def _telegram(
    application: "Application", dispatcher: "Dispatcher", administration: "Administration"
) -> "TelegramAdapter":
    from bot.adapters.telegram.adapter import TelegramAdapter
    from bot.adapters.telegram.addressing import PLATFORM
    from bot.core.messages import Address
    from bot.core.scopes import Scopes

    # The passages may be put into any chat, so that only those are found that are for all of them.
    hidden = Scopes(application.settings.sources).hidden_from(Address(PLATFORM, "", ""))

    async def search(text: str) -> "Sequence[Citation]":
        return [citation for _, citation in await best_passages(application, text, _INLINE_RESULTS, hidden=hidden)]

    journal, forget = application.stores.journal, application.answering.conversations.forget
    desk = _desk(application, dispatcher)
    return TelegramAdapter(
        dispatcher.admission, administration, journal, forget, search, application.settings, tasks=desk
    )


def _console(
    application: "Application", administration: "Administration", config: Path | None, sessions: "Sessions"
) -> "list[Site]":
    """The console. It is closed if `http.operator_token` is empty."""
    from bot.console.parts import Parts
    from bot.console.site import console_site
    from bot.questions.entries import Entries

    def models() -> "dict[str, Mapping[str, object]]":
        inference, phraser = application.inference, application.answering.phraser
        try:
            told = {"encoder": inference.encoder.description, "reader": inference.reader.description}
        except BotError:  # they are being loaded, or can't be, which their component says
            return {}
        return told | ({"generator": phraser.generator.description} if phraser and phraser.generator else {})

    def make_setup(platform: str, token: str) -> "PlatformSetup":
        from bot.adapters.setting_up import PlatformSetup

        return PlatformSetup(platform, application.settings, config, token)

    parts = Parts(administration, Entries(administration), application.health, models, make_setup, config)
    return [console_site(parts, sessions)]


def _http(
    application: "Application",
    dispatcher: "Dispatcher",
    webhooks: "Sequence[APIRouter]",
    make_sites: "Callable[[Sessions], Sequence[Site]]",
    on_listening: Callable[[int], None],
) -> "HttpAdapter":
    from bot.adapters.http import HttpAdapter

    async def passages_of(document: str) -> "Sequence[Passage]":
        return await application.stores.knowledge.passages(document, 0, _ALL)

    adapter = HttpAdapter(
        dispatcher.admission,
        application.stores.journal.answers,
        application.inference.encoder.count_tokens,
        application.settings,
        webhooks=webhooks,
        make_sites=make_sites,
        passages_of=passages_of,
        on_listening=on_listening,
        health=application.health,
        tasks=_desk(application, dispatcher),
    )
    if webhooks or not application.settings.platforms:  # nobody could ask without it
        adapter.server.listen()
    if not application.settings.platforms:
        _say_how_to_ask(adapter.server)
    return adapter


def _say_how_to_ask(server: "HttpServer") -> None:
    complain(
        "No platform has a token, so questions are taken by HTTP. Ask, once the bot has started:",
        f"  curl {server.address}/v1/answers -H 'Content-Type: application/json' "
        + ("-H 'Authorization: Bearer ...' " if server.needs_token else "")
        + """-d '{"question": "What can you answer?"}'""",
        f"In a browser: {server.address}/ask/   More ways to ask: {server.address}/docs",
    )


def chat(set_damaged_aside: AsideOption = False, config: ConfigOption = None) -> None:
    """Talk to the bot in this terminal. From a pipe: one question a line."""
    _serve_terminal(settings_of(config), set_damaged_aside)


def _serve_terminal(settings: Settings, set_damaged_aside: bool) -> None:
    from bot.adapters.terminal import TerminalAdapter
    from bot.core.messages import Adapter
    from bot.questions.administration import Administration
    from bot.questions.dispatcher import Dispatcher
    from bot.runtime.application import Application
    from bot.runtime.daemon import serve

    report: IndexReport | None = None

    async def refresh(application: Application) -> None:
        nonlocal report
        report = await refresh_index(application)

    def adapters(application: Application, dispatcher: Dispatcher, _administration: Administration) -> list[Adapter]:
        history = application.settings.storage.folder / "terminal_history"
        return [TerminalAdapter(dispatcher.admission.accept, history=history, greeting=_greeting(report))]

    # Questions from a pipe may be about documents that were written a moment ago.
    fresh = not sys.stdin.isatty()
    asyncio.run(serve(settings, adapters, refresh, at_terminal=True, fresh=fresh, set_damaged_aside=set_damaged_aside))


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
    """A question from the command line, in a conversation of its own."""
    from datetime import UTC, datetime
    from uuid import uuid4

    from bot.core.messages import Address, Question

    conversation = uuid4().hex
    address = Address("command", "command", conversation)
    return Question(printable(text), conversation, "command", address, datetime.now(UTC))
