"""The console of a bot with the real engine, documents of its own, and an operator who may sign in."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest
from adapters.http.http_application import TLS

from bot.adapters.backend import Backend
from bot.adapters.http import HttpAdapter
from bot.adapters.setting_up import PlatformSetup
from bot.console.parts import Parts
from bot.console.site import console_site
from bot.core.messages import Address, Answer, Outcome, Question
from bot.core.settings import Settings
from bot.questions.dispatcher import Dispatcher
from bot.questions.entries import Entries
from bot.runtime.application import administration_of, open_application

OPERATORS = "fedcba9876543210-the-operators"
GUIDE = "# Kettle\n\nThe kettle holds seven litres.\n\n# Water\n\nUse soft water at 92 degrees.\n"


class Console:
    """What tests do with the console, and what is behind it."""

    def __init__(self, application, server, client: httpx.AsyncClient) -> None:
        self.application = application
        self.server = server
        self.journal = application.stores.journal
        self.client = client

    async def get(self, path: str, **params: str) -> str:
        response = await self.client.get(f"/console{path}", params=params or None)
        assert response.status_code == 200, response.text
        return response.text

    async def until_gone(self, text: str, path: str) -> str:
        """The page, once it doesn't have the text any more, as a browser sees it that shows it again and again."""
        for _ in range(400):
            if text not in (page := await self.get(path)):
                return page
            await asyncio.sleep(0.05)
        raise AssertionError(f"{path} still says: {text}")

    async def form_token(self, page: str, action: str) -> str:
        """The hidden field of the form with this action on a page."""
        pattern = rf'action="/console{re.escape(action)}"[^>]*>\s*<input type="hidden" name="form_token" value="(\w+)">'
        [token, *_] = re.findall(pattern, await self.get(page))
        return token

    async def send(
        self, page: str, action: str, *, files: dict[str, object] | None = None, **fields: str
    ) -> httpx.Response:
        """Fill in the form with this action on a page, and follow where it leads."""
        data = fields | {"form_token": await self.form_token(page, action)}
        return await self.client.post(f"/console{action}", data=data, files=files, follow_redirects=True)

    async def ask(
        self, text: str, answer: str = "an answer", outcome: Outcome = Outcome.ANSWERED, **more: object
    ) -> int:
        """Put a question with its answer into the journal."""
        address = Address("discord", "chat-7", text)
        entry = await self.journal.questions.accept(Question(text, "c", "author-5", address, datetime.now(UTC)))
        made = Answer(outcome, answer, f"ref-{entry}", **more)
        await self.journal.questions.answered(entry, 0, made)
        await self.journal.questions.done(entry, 0, keep=True)
        return entry


@pytest.fixture
def console_settings(settings: Settings, folder_of: Callable[..., object]) -> Settings:
    folder_of({"guide.md": GUIDE})
    http = settings.http.model_copy(update={"port": 0})
    return Settings(
        **settings.model_dump(exclude={"http"}),
        http=http.model_dump() | {"operator_token": OPERATORS},
    )


@pytest.fixture
async def console(console_settings, models, tmp_path):
    """Signed in."""
    config = tmp_path / "bot.toml"
    async with open_application(console_settings, models) as application:
        await application.indexer.index_folder(console_settings.knowledge.folder)
        dispatcher = Dispatcher(application.answering.engine, application.stores.journal, console_settings.queue)
        administration = administration_of(application, dispatcher)

        def make_sites(sessions):
            parts = Parts(
                administration,
                Entries(administration),
                application.health,
                lambda: {"encoder": {"model": "m"}},
                lambda platform, token: PlatformSetup(platform, console_settings, config, token),
                config,
            )
            return [console_site(parts, sessions)]

        backend = Backend(console_settings, application.stores.journal, dispatcher.admission, administration, None)
        adapter = HttpAdapter(
            backend,
            application.inference.encoder.count_tokens,
            passages_of=None,
            make_sites=make_sites,
            health=application.health,
        )
        dispatcher.register([adapter])
        running = asyncio.create_task(adapter.run())
        await adapter.server.listening.wait()
        address = f"http://127.0.0.1:{adapter.server.port}"
        async with httpx.AsyncClient(base_url=address, timeout=20, verify=TLS, headers={"Origin": address}) as client:
            await client.post("/sign-in", data={"token": OPERATORS})
            client.headers["Accept"] = "text/html"
            yield Console(application, adapter.server, client)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await dispatcher.close(1)
        await adapter.close()
