"""A language model that reads several passages: where its sentences come from, and what it changes about the outcome."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime

import openai.resources.chat.completions  # noqa: F401 - takes longer than anything may on the event loop
import pytest

from bot.adapters.layout import source_line
from bot.core.messages import Address, Answer, Outcome, Phrased, Question, Stage
from bot.core.settings import GeneratorSettings, Settings
from bot.engine.explain import explanation
from bot.engine.qa import UNSURE
from bot.inference.workers import Models
from bot.runtime.application import Application, open_application
from tests.platforms.openai_server import OpenAIServer

OPENING = "The reading room opens at nine and closes at six."
CARD = "A yearly card costs 20 euros."
DOCUMENTS = {
    "opening.md": f"# Opening hours of the library\n\n{OPENING}\n",
    "card.md": f"# The library card\n\n{CARD}\n",
    "parking.md": "# Parking at the library\n\nBicycles are parked in the yard.\n",
}
UNSURE_OF_ALL = {"threshold": 1.0, "suggest_threshold": 0.0}
SURE_OF_ALL = {"threshold": 0.0, "suggest_threshold": 0.0}
QUESTION = "When does the reading room of the library open?"


def ask(text: str) -> Question:
    return Question(text, "c", "someone", Address("test", "chat", text), datetime.now(UTC))


@pytest.fixture
async def server():
    async with OpenAIServer.running() as server:
        yield server


@pytest.fixture
def application_with(settings: Settings, models: Models, folder_of, server: OpenAIServer):
    folder_of(DOCUMENTS)

    @asynccontextmanager
    async def make(text: str, bounds: dict[str, float], passages: int = 3):
        """The bot with a model that always writes `text`."""
        server.words = [f"{word} " for word in text.split()]
        generator = GeneratorSettings(
            provider="openai", model="m", base_url=server.address, passages=passages, api_key="key"
        )
        wanted = settings.model_copy(
            update={"generator": generator, "answer": settings.answer.model_copy(update=bounds)}
        )
        async with open_application(wanted, models) as application:
            await application.indexer.index_folder(settings.knowledge.folder)
            await application.answering.generator_loaded.wait()
            yield application

    return make


async def answered(application: Application, text: str = QUESTION) -> Answer:
    return await application.answering.engine.answer(ask(text))


async def test_each_sentence_names_the_passage_that_it_comes_from(application_with):
    """By a number that stands before the passage's source line, too. The numbers that the model writes are not believed."""
    async with application_with(f"{OPENING[:-1]} [7]. {CARD} [1]", SURE_OF_ALL) as application:
        answer = await answered(application, "What must a new reader know about the library, its hours and its card?")
    assert answer.phrasing.outcome is Phrased.KEPT
    first, second = (f"{sentence[:-1]} [{number}]." for number, sentence in enumerate((OPENING, CARD), 1))
    assert answer.text == f"{first} {second}"
    assert [(one.number, one.document) for one in answer.citations] == [(1, "opening.md"), (2, "card.md")]
    assert source_line(answer.citations[1]).startswith("[2] The library card")
    assert Answer.from_json(answer.to_json()) == answer


async def test_a_single_source_needs_no_number(application_with):
    async with application_with("The reading room opens at nine [1].", SURE_OF_ALL) as application:
        answer = await answered(application)
    assert answer.text == "The reading room opens at nine."
    assert [(one.number, one.document) for one in answer.citations] == [(None, "opening.md")]


async def test_what_the_bot_is_unsure_of_a_model_may_answer(application_with):
    """If the passages support every sentence. Until then none is shown, for it could stay a suggestion."""
    async with application_with("The reading room opens at nine.", UNSURE_OF_ALL) as application:
        shown = []
        considered = await application.answering.engine.consider(ask(QUESTION), shown.append)
        answer, [advice] = considered.answer, explanation(considered, application.settings).advice
    assert answer.outcome is Outcome.ANSWERED
    assert advice.startswith("Answered: the confidence 0.")
    assert "below answer.threshold 1" in advice
    assert answer.text == "The reading room opens at nine."
    assert Stage.WRITING in {update.stage for update in shown}
    assert not any(update.text for update in shown)


@pytest.mark.parametrize(
    "text", ["The reading room opens at ten.", "The reading room opens at nine. It has a famous Italian café."]
)
async def test_a_suggestion_stays_one_where_the_passages_dont_support_all_of_the_draft(application_with, text):
    async with application_with(text, UNSURE_OF_ALL) as application:
        answer = await answered(application)
    assert answer.outcome is Outcome.SUGGESTED
    assert answer.text.startswith(UNSURE)
    assert OPENING in answer.text.replace("**", "")
    assert not answer.phrasing.abstains


@pytest.mark.parametrize(
    ("bounds", "outcome"), [(SURE_OF_ALL, Outcome.SUGGESTED), (UNSURE_OF_ALL, Outcome.DECLINED)], ids=["sure", "unsure"]
)
async def test_a_model_may_say_that_the_passages_dont_answer(application_with, server, bounds, outcome):
    """The bot is less sure then. The prompt asks the model for it."""
    async with application_with("The document doesn't say.", bounds) as application:
        considered = await application.answering.engine.consider(ask(QUESTION))
        answer, [advice] = considered.answer, explanation(considered, application.settings).advice
    assert (answer.outcome, answer.phrasing.abstains) == (outcome, True)
    assert "says that they don't answer" in advice
    assert "The document doesn't say." in server.requests[0]["messages"][0]["content"]


async def test_a_model_that_reads_the_quoted_passage_alone_has_no_say(application_with, server):
    """Small models are told neither to abstain, nor about what the bot is unsure of."""
    async with application_with("The document doesn't say.", SURE_OF_ALL, passages=1) as application:
        answer = await answered(application)
    assert (answer.outcome, answer.text.replace("**", "")) == (Outcome.ANSWERED, OPENING)
    assert "write only" not in server.requests[0]["messages"][0]["content"]
    async with application_with("It opens at nine.", UNSURE_OF_ALL, passages=1) as application:
        answer = await answered(application)
    assert (answer.outcome, answer.phrasing) == (Outcome.SUGGESTED, None)
    assert len(server.requests) == 1
