"""Puts the services of the running bot together: the adapters of the platforms, HTTP with the console, and the terminal.

The library of a platform is imported only where it is served.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bot.adapters.backend import Backend
from bot.commands.common import best_passages, complain
from bot.core.errors import BotError, SettingsError
from bot.core.messages import Adapter, Address, Citation, Service
from bot.core.platforms import Platform
from bot.core.scopes import Scopes
from bot.questions.administration import Administration
from bot.questions.dispatcher import Dispatcher
from bot.questions.entries import Entries
from bot.runtime.application import Application
from bot.tasks.policy import TaskPolicy
from bot.tasks.service import TaskService

if TYPE_CHECKING:
    from fastapi import APIRouter

    from bot.adapters.http import HttpAdapter
    from bot.adapters.setting_up import PlatformSetup
    from bot.adapters.telegram.adapter import TelegramAdapter
    from bot.core.documents import Passage
    from bot.http.server import HttpServer
    from bot.http.sessions import Sessions
    from bot.http.sites import Site

# As many passages as anyone looks through in the list of an inline query.
_INLINE_RESULTS = 5
# No document has so many passages.
_ALL = 2**31


def platform_services(
    application: Application,
    dispatcher: Dispatcher,
    administration: Administration,
    *,
    config: Path | None,
    on_listening: Callable[[int], None],
) -> list[Service]:
    """Make a service for each platform whose token is set, and one for HTTP.

    `config`: the settings file. `on_listening` is called with the port once the HTTP server answers. Raises SettingsError.
    """
    settings = application.settings
    backend = _backend(application, dispatcher, administration)
    made: list[Service] = []
    webhooks: list[APIRouter] = []
    if Platform.DISCORD in settings.platforms:
        from bot.adapters.discord import DiscordAdapter

        made.append(DiscordAdapter(backend))
    if Platform.TELEGRAM in settings.platforms:
        telegram = _telegram(backend, application)
        made.append(telegram)
        webhooks += [telegram.webhook.router] if telegram.webhook else []
    if settings.http.enabled:
        make_console = partial(_console, application, administration, config)
        made.append(_http(backend, application, webhooks, make_console, on_listening))
    elif webhooks:
        raise SettingsError(["telegram.webhook_url: the webhook needs the HTTP server; set http.enabled to true"])
    return made


def terminal_services(
    application: Application,
    dispatcher: Dispatcher,
    _administration: Administration,
    *,
    greeting: Callable[[], str],
) -> list[Adapter]:
    """Make the adapter of the terminal. `greeting` is called once the index is made."""
    from bot.adapters.terminal import TerminalAdapter

    history = application.settings.storage.folder / "terminal_history"
    return [TerminalAdapter(dispatcher.admission.accept, history=history, greeting=greeting())]


def _backend(application: Application, dispatcher: Dispatcher, administration: Administration) -> Backend:
    settings, journal = application.settings, application.stores.journal
    policy = TaskPolicy(journal.platforms, allowed=settings.tasks.allowed)
    task_service = TaskService(application.tasks, policy, dispatcher.admission.count)
    return Backend(settings, journal, dispatcher.admission, administration, task_service)


def _telegram(backend: Backend, application: Application) -> "TelegramAdapter":
    from bot.adapters.telegram.adapter import TelegramAdapter

    # Inline results can be posted in any chat: search only sources without a scope.
    hidden = Scopes(application.settings.sources).hidden_from(Address(Platform.TELEGRAM, "", ""))

    async def search(text: str) -> Sequence[Citation]:
        return [citation for _, citation in await best_passages(application, text, _INLINE_RESULTS, hidden=hidden)]

    return TelegramAdapter(backend, search)


def _console(
    application: Application, administration: Administration, config: Path | None, sessions: "Sessions"
) -> "list[Site]":
    """Return the console, which is closed if `http.operator_token` is empty."""
    from bot.console.parts import Parts
    from bot.console.site import console_site

    def models() -> dict[str, Mapping[str, object]]:
        inference, phraser = application.inference, application.answering.phraser
        try:
            described = {"encoder": inference.encoder.description, "reader": inference.reader.description}
        except BotError:  # they are being loaded, or can't be, which their component says
            return {}
        return described | ({"generator": phraser.generator.description} if phraser and phraser.generator else {})

    def make_setup(platform: Platform, token: str) -> "PlatformSetup":
        from bot.adapters.setting_up import PlatformSetup

        return PlatformSetup(platform, application.settings, config, token)

    parts = Parts(administration, Entries(administration), application.health, models, make_setup, config)
    return [console_site(parts, sessions)]


def _http(
    backend: Backend,
    application: Application,
    webhooks: "Sequence[APIRouter]",
    make_sites: "Callable[[Sessions], Sequence[Site]]",
    on_listening: Callable[[int], None],
) -> "HttpAdapter":
    from bot.adapters.http import HttpAdapter

    async def passages_of(document: str) -> "Sequence[Passage]":
        return await application.stores.knowledge.passages(document, 0, _ALL)

    adapter = HttpAdapter(
        backend,
        application.inference.encoder.count_tokens,
        webhooks=webhooks,
        make_sites=make_sites,
        passages_of=passages_of,
        on_listening=on_listening,
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
        f"In a browser: {server.address}/ask/   More ways to ask: {server.address}/docs",
    )
