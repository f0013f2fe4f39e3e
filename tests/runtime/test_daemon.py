"""The daemon in this process: what it keeps of the questions of people who go away once they are answered."""

import asyncio
import uuid

import pytest

from bot.core import clock
from bot.core.messages import Address, Answer, Delivery, Outcome, Question, Sending, Update
from bot.core.settings import Settings
from bot.inference.workers import Models
from bot.questions.administration import Administration
from bot.questions.dispatcher import Dispatcher
from bot.runtime.application import Application
from bot.runtime.daemon import serve
from bot.storage.base.history import HistoryFilter
from bot.storage.stores import open_journal

ANSWERED, DECLINED = "use water at what degrees?", "who won the football match?"


class Visitor:
    """An adapter: somebody who asks two questions, one after the other, and has no more to ask."""

    name = "visitor"

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.outcomes: list[Outcome] = []
        self._dispatcher = dispatcher
        self._answered = asyncio.Event()

    async def run(self) -> None:
        for text in (ANSWERED, DECLINED):
            self._answered.clear()
            address = Address(self.name, "chat", uuid.uuid4().hex)
            await self._dispatcher.admission.accept(Question(text, text, "someone", address, clock.utc_now()))
            await self._answered.wait()

    async def progress(self, address: Address, update: Update) -> None:
        """Who asks doesn't watch."""

    async def deliver(self, address: Address, answer: Answer, delivery: Delivery) -> None:
        async def send(_sending: Sending) -> str:
            self.outcomes.append(answer.outcome)
            return address.message

        await delivery.send_part(0, send)
        self._answered.set()


@pytest.mark.parametrize(
    ("answer_days", "at_terminal", "kept"),
    [
        (30, False, {Outcome.ANSWERED, Outcome.DECLINED}),
        (0, False, set()),
        (30, True, {Outcome.DECLINED}),
    ],
)
async def test_what_is_kept_of_delivered_answers(
    settings: Settings, models: Models, folder_of, monkeypatch, answer_days, at_terminal, kept
):
    """All for as long as the setting says; at the terminal, where no buttons need them, only the gaps."""
    monkeypatch.setattr("bot.runtime.loading.load_models", lambda _: models)
    folder_of({"guide.md": "# Guide\n\nUse water at 92 to 96 degrees.\n"})
    storage = settings.storage.model_copy(update={"answer_days": answer_days})
    settings = settings.model_copy(update={"storage": storage})
    visitors: list[Visitor] = []

    def services(_: Application, dispatcher: Dispatcher, __: Administration) -> list[Visitor]:
        visitors.append(Visitor(dispatcher))
        return visitors

    async def refresh(application: Application) -> None:
        await application.indexer.index_folder(settings.knowledge.folder)

    await serve(settings, services, refresh, at_terminal=at_terminal)
    assert visitors[0].outcomes == [Outcome.ANSWERED, Outcome.DECLINED]
    async with open_journal(settings.storage.folder) as journal:
        found = await journal.history.page(HistoryFilter(), 9)
    assert {one.answer.outcome for one in found if one.answer} == kept
