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
    with_house,
)
from bot.errors import SettingsError
from bot.settings import Settings, load_settings

if TYPE_CHECKING:
    from fastapi import APIRouter

    from bot.adapters.telegram.adapter import TelegramAdapter
    from bot.administration import Administration
    from bot.daemon import House
    from bot.dispatcher import Dispatcher
    from bot.http_server import HttpServer
    from bot.knowledge.indexer import IndexReport
    from bot.messages import Citation, Question, Service

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
    from bot.daemon import serve
    from bot.telemetry import configure_logging

    def services(house: "House", dispatcher: "Dispatcher", administration: "Administration") -> "list[Service]":
        """One for each platform whose token is set, and HTTP."""
        made: list[Service] = []
        webhooks: list[APIRouter] = []
        if "discord" in settings.platforms:
            from bot.adapters.discord import DiscordAdapter

            forget = house.conversations.forget
            made.append(DiscordAdapter(dispatcher, administration, house.journal, forget, settings.discord))
        if "telegram" in settings.platforms:
            telegram = _telegram(house, dispatcher, administration)
            made.append(telegram)
            webhooks += [telegram.webhook.router] if telegram.webhook else []
        if settings.http.enabled:
            made.append(_http(house, dispatcher, webhooks))
        elif webhooks:
            raise SettingsError(["telegram.webhook_url: the webhook needs the HTTP server; set http.enabled to true"])
        return made

    configure_logging(settings.log, quiet=False, secrets=settings.secrets)
    asyncio.run(serve(settings, services, refresh_index, set_damaged_aside=set_damaged_aside))


def _telegram(house: "House", dispatcher: "Dispatcher", administration: "Administration") -> "TelegramAdapter":
    from bot.adapters.telegram.adapter import TelegramAdapter

    async def search(text: str) -> "Sequence[Citation]":
        return [citation for _, citation in await best_passages(house, text, _INLINE_RESULTS)]

    return TelegramAdapter(house.settings, dispatcher, administration, house.journal, house.conversations, search)


def _http(house: "House", dispatcher: "Dispatcher", webhooks: "Sequence[APIRouter]") -> "HttpServer":
    from bot.adapters.http import HttpAdapter
    from bot.http_server import HttpServer

    settings = house.settings.http
    api = HttpAdapter(dispatcher, house.lane.count_tokens, settings)
    server = HttpServer(settings, webhooks, api=api, health=house.health)
    if webhooks or not house.settings.platforms:  # nobody could ask without it
        server.listen()
    if not house.settings.platforms:
        _say_how_to_ask(server)
    return server


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
    from bot.administration import Administration
    from bot.daemon import House, serve
    from bot.dispatcher import Dispatcher
    from bot.messages import Adapter

    report: IndexReport | None = None

    async def refresh(house: House) -> None:
        nonlocal report
        report = await refresh_index(house)

    def adapters(house: House, dispatcher: Dispatcher, _administration: Administration) -> list[Adapter]:
        history = house.settings.storage.folder / "terminal_history"
        return [TerminalAdapter(dispatcher.accept, history=history, greeting=_greeting(report))]

    # What comes from a pipe may ask about what was written a moment ago.
    fresh = not sys.stdin.isatty()
    asyncio.run(serve(settings, adapters, refresh, at_terminal=True, fresh=fresh, set_damaged_aside=set_damaged_aside))


def _greeting(report: "IndexReport | None") -> str:
    if report is None:
        return f"knowledge-bot {__version__}. Ask a question; /help lists the commands."
    if not report.passages:
        return "There are no documents yet: put some into the knowledge folder and start again."
    count = sum(1 for file in report.files if file.passages)
    known = f"{count} documents, {report.passages} passages"
    return f"knowledge-bot {__version__}: {known}. Ask a question; /help lists the commands."


def ask(
    text: Annotated[str, typer.Argument(help="The question.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Ask one question and print the answer with its source."""

    async def answer(house: "House") -> None:
        from bot.adapters.terminal import rendered

        await house.generator_loaded.wait()
        answer = (await house.engine.consider(_question(text))).answer  # nobody can follow up
        if as_json:
            print_json(answer.to_json())
        else:
            console().print(rendered(answer))

    with_house(settings_of(config), answer)


def _question(text: str) -> "Question":
    """A question from the command line, in a conversation of its own."""
    from datetime import UTC, datetime
    from uuid import uuid4

    from bot.messages import Address, Question

    conversation = uuid4().hex
    address = Address("command", "command", conversation)
    return Question(printable(text), conversation, "command", address, datetime.now(UTC))
