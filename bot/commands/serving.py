"""The bot at work: it serves the platforms and the terminal, or answers a single question."""

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from bot import __version__
from bot.commands.common import (
    ConfigOption,
    JsonOption,
    best_passages,
    complain,
    console,
    print_json,
    printable,
    refresh_index,
    settings_of,
    with_application,
)
from bot.core.errors import SettingsError
from bot.core.settings import Settings, load_settings
from bot.core.text import counted

if TYPE_CHECKING:
    from fastapi import APIRouter

    from bot.adapters.http import HttpAdapter
    from bot.adapters.telegram.adapter import TelegramAdapter
    from bot.core.messages import Citation, Question, Service
    from bot.http.server import HttpServer
    from bot.knowledge.indexer import IndexReport
    from bot.questions.administration import Administration
    from bot.questions.dispatcher import Dispatcher
    from bot.runtime.application import Application

# As many passages as anyone looks through in the list of an inline query.
_INLINE_RESULTS = 5

AsideOption = Annotated[
    bool,
    typer.Option("--set-damaged-aside", help="Rename a damaged index or journal and begin a new one, which loses it."),
]


def run(set_damaged_aside: AsideOption = False, config: ConfigOption = None) -> None:
    """Run the daemon: every platform whose token is set, and HTTP. Without a platform: the terminal, if there is one."""
    settings = load_settings(config)
    if not settings.platforms and sys.stdin.isatty():
        _serve_terminal(settings_of(config), set_damaged_aside)
    elif settings.platforms or settings.http.enabled:
        _serve_platforms(settings, set_damaged_aside)
    else:
        raise SettingsError(
            [
                "there is no platform to serve, and standard input is no terminal; set DISCORD_TOKEN or TELEGRAM_TOKEN, "
                "allow questions by HTTP (http.enabled), or ask from a pipe: knowledge-bot chat"
            ]
        )


def _serve_platforms(settings: Settings, set_damaged_aside: bool) -> None:
    from bot.observability.logs import configure_logging
    from bot.runtime.daemon import serve

    def services(
        application: "Application", dispatcher: "Dispatcher", administration: "Administration"
    ) -> "list[Service]":
        """One for each platform whose token is set, and HTTP."""
        made: list[Service] = []
        webhooks: list[APIRouter] = []
        if "discord" in settings.platforms:
            from bot.adapters.discord import DiscordAdapter

            journal, forget = application.stores.journal, application.answering.conversations.forget
            made.append(DiscordAdapter(dispatcher.admission, administration, journal, forget, settings.discord))
        if "telegram" in settings.platforms:
            telegram = _telegram(application, dispatcher, administration)
            made.append(telegram)
            webhooks += [telegram.webhook.router] if telegram.webhook else []
        if settings.http.enabled:
            made.append(_http(application, dispatcher, webhooks))
        elif webhooks:
            raise SettingsError(["telegram.webhook_url: the webhook needs the HTTP server; set http.enabled to true"])
        return made

    configure_logging(settings.log, quiet=False, secrets=settings.secrets)
    asyncio.run(serve(settings, services, refresh_index, set_damaged_aside=set_damaged_aside))


def _telegram(
    application: "Application", dispatcher: "Dispatcher", administration: "Administration"
) -> "TelegramAdapter":
    from bot.adapters.telegram.adapter import TelegramAdapter

    async def search(text: str) -> "Sequence[Citation]":
        return [citation for _, citation in await best_passages(application, text, _INLINE_RESULTS)]

    journal, forget = application.stores.journal, application.answering.conversations.forget
    return TelegramAdapter(dispatcher.admission, administration, journal, forget, search, application.settings)


def _http(application: "Application", dispatcher: "Dispatcher", webhooks: "Sequence[APIRouter]") -> "HttpAdapter":
    from bot.adapters.http import HttpAdapter

    adapter = HttpAdapter(
        dispatcher.admission,
        application.stores.journal.answers,
        application.inference.encoder.count_tokens,
        application.settings.http,
        application.settings.limits,
        webhooks=webhooks,
        health=application.health,
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
        f"More ways to ask: {server.address}/docs",
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

    # What comes from a pipe may ask about what was written a moment ago.
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
