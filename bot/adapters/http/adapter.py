"""HTTP as a platform: questions are requests to the bot's own server, and answers are their responses."""

from collections.abc import Callable, Sequence

from fastapi import APIRouter

from bot.adapters.http.answers import answers_router
from bot.adapters.http.incoming import PLATFORM, Requests
from bot.adapters.http.openai import openai_router
from bot.core.errors import Undeliverable
from bot.core.messages import Address, Answer, Delivery, Sending, Update
from bot.core.settings import HttpSettings
from bot.http.server import HttpServer
from bot.observability.health import Health
from bot.questions.admission import Admission
from bot.storage.base import AnswerStore


class HttpAdapter:
    """The Adapter of those who ask by HTTP. It runs the server, which serves other routers beside its own."""

    name = PLATFORM

    def __init__(
        self,
        admission: Admission,
        answers: AnswerStore,
        count_tokens: Callable[[Sequence[str]], list[int]],
        settings: HttpSettings,
        *,
        webhooks: Sequence[APIRouter] = (),
        health: Health,
    ) -> None:
        """`count_tokens` is called in a thread. `webhooks`: routers of others, which check themselves who may use them."""
        self.requests = Requests(admission, answers, count_tokens, settings)
        api = (answers_router(self.requests), openai_router(self.requests))
        self.server = HttpServer(settings, health, api=api, webhooks=webhooks)

    async def run(self) -> None:
        """Serve until cancelled. Raises SettingsError where the port can't be had."""
        await self.server.run()

    @property
    def trouble(self) -> str | None:
        return None if self.server.listening.is_set() else "it doesn't listen yet"

    async def close(self) -> None:
        """Tell those who still wait that the bot stops, and end."""
        self.requests.refuse()
        await self.server.close()
        await self.requests.close()

    async def deliver(self, address: Address, answer: Answer, delivery: Delivery) -> None:
        """Hand the answer to those who wait. With a key it counts as delivered in any case: it can be asked for again."""
        if not self.requests.waits(address) and not address.details.get("keyed"):
            raise Undeliverable("whoever asked is gone")

        async def hand_over(_: Sending) -> str:
            self.requests.put(address, answer)
            return address.message

        await delivery.send_part(0, hand_over)

    async def progress(self, address: Address, update: Update) -> None:
        self.requests.put(address, update)
