"""HTTP as a platform: questions are requests to the bot's own server, answers its responses."""

from collections.abc import Callable, Sequence

from fastapi import APIRouter

from bot.adapters.backend import Backend
from bot.adapters.http.answers import answers_router
from bot.adapters.http.ask_page import ask_site
from bot.adapters.http.chat import Chat
from bot.adapters.http.incoming import PLATFORM, Requests
from bot.adapters.http.openai import openai_router
from bot.adapters.http.quoting import PassagesOf
from bot.adapters.http.tasks import tasks_router
from bot.adapters.http.widget import widget_site
from bot.core.errors import Undeliverable
from bot.core.messages import Address, Answer, Delivery, Sending, Update
from bot.http.server import HttpServer
from bot.http.sessions import Sessions
from bot.http.sites import Site
from bot.observability.health import Health


class HttpAdapter:
    """The Adapter for HTTP clients. It runs the server, which serves other routers too."""

    name = PLATFORM

    def __init__(
        self,
        backend: Backend,
        count_tokens: Callable[[Sequence[str]], list[int]],
        *,
        webhooks: Sequence[APIRouter] = (),
        make_sites: Callable[[Sessions], Sequence[Site]] = lambda _: (),
        passages_of: PassagesOf,
        on_listening: Callable[[int], None] = lambda _: None,
        health: Health,
    ) -> None:
        """`count_tokens` is called in a thread. `webhooks` are further routers, which check access themselves; `make_sites`
        makes further sites for people who sign in, in a thread. `passages_of` reads documents, to show quotes in their place;
        `on_listening` is called with the port, once it is listening."""
        settings = backend.settings.http
        self.requests = Requests(backend, count_tokens)
        api = [answers_router(self.requests), openai_router(self.requests), tasks_router(backend.task_service)]
        chat = Chat(self.requests, backend.journal.answers, passages_of)
        origins = settings.widget_origins
        widget = [widget_site(chat, origins)] if origins else []

        def sites(sessions: Sessions) -> list[Site]:
            return [ask_site(chat), *widget, *make_sites(sessions)]

        self.server = HttpServer(
            settings, health, api=api, webhooks=webhooks, make_sites=sites, on_listening=on_listening
        )

    async def run(self) -> None:
        """Serve until cancelled. Raises SettingsError if the port can't be used."""
        await self.server.run()

    @property
    def trouble(self) -> str | None:
        return None if self.server.listening.is_set() else "it doesn't listen yet"

    async def close(self) -> None:
        """End the waiting requests with a problem, and stop."""
        self.requests.refuse()
        await self.server.close()
        await self.requests.close()

    async def deliver(self, address: Address, answer: Answer, delivery: Delivery) -> None:
        """Pass the answer to the waiting requests. With a key it always counts as delivered, as it can be fetched later."""
        if not self.requests.waits(address) and not address.details.get("keyed"):
            raise Undeliverable("the client has disconnected")

        async def hand_over(_: Sending) -> str:
            self.requests.put(address, answer)
            return address.message

        await delivery.send_part(0, hand_over)

    async def progress(self, address: Address, update: Update) -> None:
        self.requests.put(address, update)
