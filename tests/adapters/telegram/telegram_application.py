"""A Telegram adapter in an application of its own: real journal, real dispatcher, real library, local Bot API; answers can be
predicted."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from bot.adapters.backend import Backend
from bot.adapters.telegram.adapter import TelegramAdapter
from bot.core.messages import Answer, Citation, Outcome, Progress, Question, Stage, Update
from bot.core.settings import Settings
from bot.engine.qa import UNSURE, new_reference
from bot.questions.administration import Administration
from bot.questions.dispatcher import Dispatcher
from bot.storage.sqlite.journal import SqliteJournal
from bot.tasks.policy import TaskPolicy
from bot.tasks.runner import Tasks
from bot.tasks.service import TaskService
from tests.platforms.telegram_server import Chat, Json, TelegramServer

CITATION = Citation(
    "guide.md", "Guide", ("Water",), (3, 4), None, None, "Use *soft* water.", "https://example.org/guide.md"
)


class ScriptedEngine:
    """Answers with the question; can be slow, fail, decline, be unsure or say something else."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.texts: dict[str, str] = {}
        self.unsure: set[str] = set()
        self.more: dict[str, str] = {}
        self.errors: dict[str, Exception] = {}
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def answer(self, question: Question, progress: Progress) -> Answer:
        self.asked.append(question)
        progress(Update(Stage.SEARCHING))
        await self.may_answer.wait()
        if error := self.errors.get(question.text):
            raise error
        if question.text == "unknown":
            return Answer(Outcome.DECLINED, "The documents don't answer this.", new_reference())
        text = self.texts.get(question.text, f"re: {question.text}")
        outcome = Outcome.ANSWERED
        if question.text in self.unsure:
            text, outcome = f"{UNSURE}\n\n{text}", Outcome.SUGGESTED
        more = self.more.get(question.text, "")
        return Answer(outcome, text, new_reference(), citations=(CITATION,), retrieved=("guide.md",), more=more)


async def no_passages(_text: str) -> list[Citation]:
    return []


class TelegramApplication:
    """Everything between the local Bot API and the disk. Use as an async context manager; `start` begins to poll."""

    def __init__(self, server: TelegramServer, folder: Path, **telegram: Any) -> None:
        self.server = server
        self.folder = folder
        self.engine = ScriptedEngine()
        self.ready = asyncio.Event()
        self.ready.set()
        defaults = {"token": server.token, "api_url": server.address}
        self.settings = Settings(
            telegram=defaults | telegram, storage={"folder": folder}, knowledge={"folder": folder / "knowledge"}
        )
        self.search: Callable[..., Any] = no_passages
        self.administration: Administration | None = None
        self.tasks = Tasks(self.settings.tasks, None, None, None, None)  # type: ignore[arg-type]
        self.running: asyncio.Task[None] | None = None

    def with_settings(self, **sections: dict[str, Any]) -> Self:
        updated = {name: getattr(self.settings, name).model_copy(update=values) for name, values in sections.items()}
        self.settings = self.settings.model_copy(update=updated)
        return self

    async def __aenter__(self) -> Self:
        self.journal = await SqliteJournal.open(self.folder)
        self.dispatcher = Dispatcher(
            self.engine, self.journal, self.settings.queue, limits=self.settings.limits, ready=self.ready
        )
        administration = self.administration or Administration(
            self.settings, None, None, self.journal, None, None, dispatcher=self.dispatcher
        )
        administration.dispatcher = self.dispatcher
        admission = self.dispatcher.admission
        desk = TaskService(self.tasks, TaskPolicy(self.journal.platforms, allowed=False), admission.count)
        backend = Backend(self.settings, self.journal, admission, administration, desk)
        self.adapter = TelegramAdapter(backend, lambda text: self.search(text))
        self.dispatcher.register([self.adapter])
        return self

    async def start(self) -> None:
        await self.dispatcher.resume()
        self.running = asyncio.create_task(self.adapter.run())

    async def stop(self) -> None:
        """As the daemon stops it: first nothing comes in any more, then what is on its way is delivered."""
        if self.running:
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)
        self.engine.may_answer.set()
        await self.dispatcher.close(2)

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self.adapter.close()
        await self.journal.close()

    async def answered(self, chat: Chat, count: int = 1, seconds: float = 10) -> list[str]:
        """The texts of the bot in a chat, once there are so many."""
        await until(lambda: len(chat.texts) >= count, seconds, lambda: f"there are only {chat.texts}")
        return chat.texts

    async def quiet(self) -> None:
        """Wait until every update is confirmed, every question is answered and nothing more is on its way."""
        await until(lambda: not self.server.pending)
        await self.dispatcher.queue.idle()
        await until(lambda: not self.adapter._background._tasks)


async def until(
    holds: Callable[[], Any], seconds: float = 10, otherwise: Callable[[], str] = lambda: "it did not happen"
) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, otherwise()
        await asyncio.sleep(0.01)


async def pressed(server: TelegramServer, chat: Chat, person: Json, message: Json, label: str) -> str | None:
    """Press the button whose label holds `label`; the text that the bot shows for it."""
    query = server.presses(chat, person, message, label)
    await until(lambda: query in server.callback_answers)
    return server.callback_answers[query].get("text")
