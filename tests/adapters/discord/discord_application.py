"""The real adapter under the daemon's supervision, with an engine that a test controls, and looks at its messages."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from bot.adapters.backend import Backend
from bot.adapters.discord import DiscordAdapter
from bot.core.messages import Answer, Citation, Engine, Outcome, Question, Stage, Update
from bot.core.settings import Settings
from bot.engine.qa import UNSURE
from bot.observability.health import Health
from bot.questions.dispatcher import Dispatcher
from bot.runtime import supervision
from bot.runtime.application import Application, administration_of
from bot.tasks.policy import TaskPolicy
from bot.tasks.service import TaskService

CITATION = Citation(
    "guide.md", "Guide", ("Water",), (3, 4), None, None, "Use *soft* water.", "https://example.org/g.md"
)
SOURCE = "-# Guide › Water \\(guide.md, lines 3-4\\) · <https://example.org/g.md>"


class ScriptedEngine:
    """Answers with `re: question`, or with the answer given for it in `answers`, once `may_answer` is set."""

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


def suggested(text: str, reference: str = "ref", more: str = "") -> Answer:
    return replace(answered(f"{UNSURE}\n\n{text}", reference), outcome=Outcome.SUGGESTED, confidence=0.3, more=more)


class RunningBot:
    """The adapter under the daemon's supervision."""

    def __init__(self, application: Application, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self.dispatcher = Dispatcher(engine, application.stores.journal, settings.queue, limits=settings.limits)
        self.administration = administration_of(application, self.dispatcher)
        self.administration.settings = settings
        journal, admission = application.stores.journal, self.dispatcher.admission
        self.desk = TaskService(application.tasks, TaskPolicy(journal.platforms, allowed=False), admission.count)
        self.adapter = DiscordAdapter(Backend(settings, journal, admission, self.administration, self.desk))
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


async def first(server, channel, count: int = 1):
    """The messages of the bot in a channel, once there are so many."""
    return await server.until(lambda: len(server.from_bot(channel)) >= count and server.from_bot(channel))


async def silence(server, bot, asked, channel):
    """Give the bot the time to do nothing: a later question is answered first."""
    before = len(server.from_bot(channel))
    await server.say(channel, "@bot are you there?", asked)
    await first(server, channel, before + 1)
    await bot.dispatcher.queue.idle()
    assert [text.text for text in bot.engine.asked][-1] == "are you there?"
    assert len(server.from_bot(channel)) == before + 1


def labels(message) -> list[str]:
    return [button["label"] for row in message["components"] for button in row["components"]]
