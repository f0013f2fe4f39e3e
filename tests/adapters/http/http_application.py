"""An HTTP server in an application of its own: real journal, real dispatcher, real sockets; answers can be predicted."""

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import httpx
from fastapi import APIRouter

from bot.adapters.backend import Backend
from bot.adapters.http import HttpAdapter
from bot.core.documents import Block, Form, Passage
from bot.core.messages import Answer, Citation, Outcome, Progress, Question, Stage, Update
from bot.core.settings import Settings
from bot.engine.qa import UNSURE, new_reference
from bot.http.sessions import Sessions
from bot.http.sites import Site
from bot.observability.health import Health
from bot.questions.dispatcher import Dispatcher
from bot.storage.sqlite.journal import SqliteJournal
from bot.tasks.policy import TaskPolicy
from bot.tasks.runner import Tasks
from bot.tasks.service import TaskService

CITATION = Citation(
    "guide.md", "Guide", ("Water",), (3, 4), None, None, "Use soft water.", "https://example.org/guide.md"
)
DOCUMENTS = {
    "guide.md": [
        Passage((Block(Form.PARAGRAPH, "Use soft water.", ("Coffee",)),), ("Coffee",), ""),
        Passage(
            (
                Block(Form.PARAGRAPH, "Fill the kettle.", ("Water",)),
                Block(Form.PARAGRAPH, "Use soft water. <b>Not</b> hot.", ("Water",)),
            ),
            ("Water",),
            "",
        ),
    ]
}
TLS = ssl.create_default_context()  # made once, for that takes longer than a test may block its loop
TOKEN = "0123456789abcdef-a-token"  # noqa: S105


class ScriptedEngine:
    """Answers with the question; can be slow, fail, decline or be unsure."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.cancelled: list[str] = []
        self.errors: dict[str, Exception] = {}
        self.stuck: set[str] = set()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def answer(self, question: Question, progress: Progress) -> Answer:
        self.asked.append(question)
        progress(Update(Stage.SEARCHING))
        try:
            await self.may_answer.wait()
            if question.text in self.stuck:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.append(question.text)
            raise
        if error := self.errors.get(question.text):
            raise error
        if question.text == "unknown":
            return Answer(Outcome.DECLINED, "The documents don't answer this.", new_reference())
        text, outcome = f"re: {question.text}\nsecond line", Outcome.ANSWERED
        if question.text == "unsure":
            text, outcome = f"{UNSURE}\n\n{text}", Outcome.SUGGESTED
        return Answer(outcome, text, new_reference(), citations=(CITATION,), retrieved=("guide.md",), more="third line")


class HttpApplication:
    """Everything between the sockets and the disk. Use as an async context manager."""

    def __init__(
        self,
        folder: Path,
        *webhooks: APIRouter,
        make_sites: Callable[[Sessions], Sequence[Site]] = lambda _: (),
        **sections: dict[str, Any],
    ) -> None:
        self.folder = folder
        self.make_sites = make_sites
        self.webhooks = webhooks
        self.engine = ScriptedEngine()
        self.settings = Settings(
            **{"http": {"port": 0}, "storage": {"folder": folder}} | sections,  # type: ignore[arg-type]
        )
        self.health = Health()
        self.tasks: Tasks | None = None
        self.http = self.health.component("http")

    async def __aenter__(self) -> Self:
        self.journal = await SqliteJournal.open(self.folder)
        self.dispatcher = Dispatcher(self.engine, self.journal, self.settings.queue, limits=self.settings.limits)
        admission = self.dispatcher.admission
        desk = TaskService(self.tasks, TaskPolicy(self.journal.platforms, allowed=False), admission.count)
        self.adapter = HttpAdapter(
            Backend(self.settings, self.journal, admission, None, desk),
            lambda texts: [len(text.split()) for text in texts],
            webhooks=self.webhooks,
            make_sites=self.make_sites,
            passages_of=self.passages_of,
            health=self.health,
        )
        self.server = self.adapter.server
        self.dispatcher.register([self.adapter])
        await self.dispatcher.resume()
        self.running = asyncio.create_task(self.adapter.run())
        await self.server.listening.wait()
        self.http.ready()
        self.address = f"http://127.0.0.1:{self.server.port}"
        self.client = httpx.AsyncClient(base_url=self.address, timeout=10, verify=TLS)
        return self

    async def passages_of(self, document: str) -> list[Passage]:
        return DOCUMENTS.get(document, [])

    async def stop(self, grace_seconds: float = 2) -> None:
        """As the daemon stops it: nothing comes in any more, what is on its way is answered, then all is closed."""
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        await self.dispatcher.close(grace_seconds)
        await self.adapter.close()

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()
        self.engine.may_answer.set()
        await self.stop()
        await self.journal.close()

    async def ask(self, question: str, **more: Any) -> httpx.Response:
        headers = more.pop("headers", {})
        return await self.client.post("/v1/answers", json={"question": question} | more, headers=headers)


async def until(holds: Callable[[], Any], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.01)
