"""HTTP as a platform: questions are requests to the bot's own server, answers its responses."""

from collections.abc import Callable, Sequence

from fastapi import APIRouter

from bot.adapters.http.answers import answers_router
from bot.adapters.http.incoming import PLATFORM, Requests
from bot.adapters.http.openai import openai_router
from bot.core.errors import Undeliverable
from bot.core.messages import Address, Answer, Delivery, Sending, Update
from bot.core.settings import HttpSettings, LimitsSettings
from bot.http.server import HttpServer
from bot.observability.health import Health
from bot.questions.admission import Admission
from bot.storage.base import AnswerStore


class HttpAdapter:
    """The Adapter for HTTP clients. It runs the server, which serves other routers too."""

    name = PLATFORM

    def __init__(
        self,
        admission: Admission,
        answers: AnswerStore,
        count_tokens: Callable[[Sequence[str]], list[int]],
        settings: HttpSettings,
        limits: LimitsSettings,
        *,
        webhooks: Sequence[APIRouter] = (),
        health: Health,
    ) -> None:
        """`count_tokens` is called in a thread. `webhooks` are further routers, which check access themselves."""
        self.requests = Requests(admission, answers, count_tokens, settings, limits)
        api = (answers_router(self.requests), openai_router(self.requests))
        self.server = HttpServer(settings, health, api=api, webhooks=webhooks)

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
