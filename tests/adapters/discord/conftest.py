"""The real adapter and the real discord.py against the local Discord, with the real journal and an engine on a string."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import discord
import pytest
import structlog
import yarl
from structlog.testing import LogCapture

from bot.adapters.discord import DiscordAdapter
from bot.core.messages import Answer, Citation, Engine, Outcome, Question, Stage, Update
from bot.core.settings import Settings
from bot.observability.health import Health
from bot.questions import delivery
from bot.questions.dispatcher import Dispatcher
from bot.runtime import supervision
from bot.runtime.application import Application, administration_of, open_application
from tests.platforms.discord_server import TOKEN, DiscordServer

CITATION = Citation(
    "guide.md", "Guide", ("Water",), (3, 4), None, None, "Use *soft* water.", "https://example.org/g.md"
)


class ScriptedEngine:
    """Answers `re: question`, or as it was told for a question; can be held up."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.answers: dict[str, Answer] = {}
        self.drafts: list[str] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._count = 0

    async def answer(self, question: Question, progress: Callable[[Update], None]) -> Answer:
        self.asked.append(question)
        self._count += 1
        progress(Update(Stage.SEARCHING))
        for draft in self.drafts:
            progress(Update(Stage.WRITING, draft))
            await asyncio.sleep(0.05)
        await self.may_answer.wait()
        known = self.answers.get(question.text)
        return known or answered(f"re: {question.text}", f"ref{self._count}")


def answered(text: str, reference: str = "ref") -> Answer:
    return Answer(Outcome.ANSWERED, text, reference, confidence=0.9, citations=(CITATION,), retrieved=("guide.md",))


class RunningBot:
    """The adapter under the daemon's supervision."""

    def __init__(self, application: Application, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self.dispatcher = Dispatcher(engine, application.journal, settings.queue, limits=settings.limits)
        self.administration = administration_of(application, self.dispatcher)
        self.administration.settings = settings
        forget = application.answering.conversations.forget
        self.adapter = DiscordAdapter(
            self.dispatcher, self.administration, application.journal, forget, settings.discord
        )
        self.dispatcher.register([self.adapter])
        self.ended: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.dispatcher.resume()
        self.ended = asyncio.create_task(supervision.run_all([self.adapter], self.administration.platforms, Health()))

    async def stop(self) -> None:
        if self.ended is not None:
            self.ended.cancel()
            await asyncio.gather(self.ended, return_exceptions=True)
            await asyncio.sleep(0)  # events that discord.py has just begun
        await self.dispatcher.close(0)


@pytest.fixture(autouse=True)
def log():
    """What is logged, each line with its traceback as text; shown by a test that fails."""
    capture, before = LogCapture(), structlog.get_config()
    structlog.configure(processors=[structlog.processors.format_exc_info, capture])
    yield capture.entries
    structlog.configure(**before)
    for line in capture.entries:
        print(line.pop("exception", ""), line)  # noqa: T201


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr(delivery, "_PAUSES", (0.05, 0.05, 0.1, 0.5, 1.0, 2.0))
    monkeypatch.setattr(supervision, "_RESTART_PAUSES", (0.05, 0.2, 0.5))


@pytest.fixture
async def server(monkeypatch):
    """Every test ends with nothing that Discord would have refused."""
    async with DiscordServer.running() as server:
        monkeypatch.setattr(discord.http.Route, "BASE", server.api)
        monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(server.gateway))
        yield server
        assert server.violations == []


@pytest.fixture
async def application(settings, models, folder_of):
    folder_of({"guide.md": "# Guide\n\n## Water\n\nUse water at 92 degrees.\n"})
    async with open_application(settings, models) as application:
        yield application


@pytest.fixture
def engine():
    return ScriptedEngine()


@pytest.fixture
def running(server, application, engine, settings):
    """Start bots, one after the other on the same journal: `async with running(threads=True) as bot`."""

    @asynccontextmanager
    async def run(
        *, engine: Engine = engine, queue=None, limits=None, wait=True, **options
    ) -> AsyncIterator[RunningBot]:
        changed = {
            "discord": settings.discord.model_validate({"token": TOKEN, **options}),
            "queue": settings.queue.model_copy(update=queue or {}),
            "limits": settings.limits.model_copy(update=limits or {}),
        }
        bot = RunningBot(application, engine, settings.model_copy(update=changed))
        await bot.start()
        try:
            await server.until(lambda: not wait or server._sockets or bot.ended.done())
            yield bot
        finally:
            await bot.stop()

    return run


@pytest.fixture
async def bot(running):
    async with running() as bot:
        yield bot


@pytest.fixture
def guild(server):
    return server.guild()


@pytest.fixture
def channel(server, guild):
    return server.channel(guild)


@pytest.fixture
def ann(server):
    return server.user("ann")
