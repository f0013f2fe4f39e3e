"""Asking: every question in a conversation of its own, in order, one at a time unless told otherwise."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from evaluation_samples import answered, declined, result

from bot.core.errors import EngineBusy
from bot.core.messages import Answer, Outcome, Question, Turn
from bot.core.settings import Settings
from bot.engine.qa import Considered
from bot.evaluation.questions import EarlierMessage, EvaluationQuestion, QuestionKind
from bot.evaluation.run import ask_all, prediction
from bot.inference.workers import Models
from bot.runtime.application import open_application
from bot.storage.base import ConversationStore
from bot.storage.sqlite.conversations import SqliteConversations
from bot.storage.sqlite.journal import SqliteJournal


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteConversations]:
    journal = await SqliteJournal.open(tmp_path)
    yield journal.conversations
    await journal.close()


class EchoEngine:
    """Answers each question with its own words after as many milliseconds as its text says, and keeps what it saw.

    It is too busy for a question of 0 milliseconds.
    """

    def __init__(self, store: ConversationStore) -> None:
        self._store = store
        self.asked: list[Question] = []
        self.turns: list[list[Turn]] = []
        self.under_way = 0
        self.most_under_way = 0
        self.begun = asyncio.Event()

    async def consider(self, question: Question, *, forced: bool) -> Considered:
        assert forced
        if question.text == "0":
            raise EngineBusy(3)
        self.asked.append(question)
        self.turns.append(await self._store.turns(question.conversation, newer_than=0, limit=100))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        self.begun.set()
        await asyncio.sleep(int(question.text) / 1000)
        self.under_way -= 1
        return Considered(Answer(Outcome.ANSWERED, question.text, "ref", span=question.text))


def questions(*milliseconds: int, history: tuple[EarlierMessage, ...] = ()) -> list[EvaluationQuestion]:
    return [EvaluationQuestion(f"q{n}", str(n), QuestionKind.ANSWERABLE, history=history) for n in milliseconds]


async def test_results_come_in_the_order_of_the_questions(store: SqliteConversations) -> None:
    asked = questions(20, 5, 1, 10)
    results = await ask_all(EchoEngine(store), store, asked, parallel=4)
    assert [result.question for result in results] == asked
    assert [result.answer.text for result in results] == ["20", "5", "1", "10"]


async def test_latency_is_the_engines_own(store: SqliteConversations) -> None:
    (result,) = await ask_all(EchoEngine(store), store, questions(30))
    assert 30 <= result.latency_ms < 1000


@pytest.mark.parametrize(("parallel", "most"), [(1, 1), (3, 3)])
async def test_as_many_are_under_way_as_allowed(store: SqliteConversations, parallel: int, most: int) -> None:
    engine = EchoEngine(store)
    await ask_all(engine, store, questions(20, 21, 22, 23, 24, 25), parallel=parallel)
    assert engine.most_under_way == most


async def test_progress_counts_to_the_end(store: SqliteConversations) -> None:
    told: list[tuple[int, int]] = []
    await ask_all(EchoEngine(store), store, questions(1, 2, 3), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


async def test_history_is_put_into_the_conversation_and_taken_out_again(store: SqliteConversations) -> None:
    """A user's message goes with what the assistant said next: nothing, or all that it said in a row."""
    history = (
        EarlierMessage("assistant", "Hello."),
        EarlierMessage("user", "How to install?"),
        EarlierMessage("user", "Please."),
        EarlierMessage("assistant", "On what?"),
        EarlierMessage("assistant", "Windows?"),
        EarlierMessage("user", "Linux."),
    )
    engine = EchoEngine(store)
    await ask_all(engine, store, questions(1, history=history))
    assert engine.turns == [[Turn("How to install?", ""), Turn("Please.", "On what?\n\nWindows?"), Turn("Linux.", "")]]
    assert await store.turns(engine.asked[0].conversation, newer_than=0, limit=100) == []


async def test_conversations_are_never_shared(store: SqliteConversations) -> None:
    engine = EchoEngine(store)
    for _ in range(2):
        await ask_all(engine, store, questions(1, 2))
    assert len({question.conversation for question in engine.asked}) == 4
    assert {question.address.platform for question in engine.asked} == {"evaluation"}


async def test_an_engines_error_comes_out_as_it_is(store: SqliteConversations) -> None:
    with pytest.raises(EngineBusy):
        await ask_all(EchoEngine(store), store, questions(60_000, 0), parallel=2)


async def test_cancelling_leaves_no_turns_behind(store: SqliteConversations) -> None:
    engine = EchoEngine(store)
    task = asyncio.create_task(ask_all(engine, store, questions(60_000, history=(EarlierMessage("user", "So?"),))))
    await engine.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.turns(engine.asked[0].conversation, newer_than=0, limit=100) == []


@pytest.mark.parametrize(
    ("bounds", "outcome"),
    [
        ({"threshold": 0.0, "suggest_threshold": 0.0}, Outcome.ANSWERED),
        ({"threshold": 1.0, "suggest_threshold": 0.0}, Outcome.SUGGESTED),
        ({"threshold": 1.0, "suggest_threshold": 1.0}, Outcome.DECLINED),
    ],
)
async def test_what_would_be_answered_comes_with_what_is(
    settings: Settings, models: Models, folder_of: Callable[..., Path], bounds: dict[str, float], outcome: Outcome
) -> None:
    """From the real engine: the same words and the same features on either side of the bounds."""
    folder_of({"guide.md": "# Guide\n\nUse water at 92 degrees. It should be soft.\n"})
    settings = settings.model_copy(update={"answer": settings.answer.model_copy(update=bounds)})
    question = EvaluationQuestion("1", "how hot should the water be?", QuestionKind.ANSWERABLE)
    async with open_application(settings, models) as application:
        await application.indexer.index_folder(settings.knowledge.folder)
        (result,) = await ask_all(application.answering.engine, application.stores.journal.conversations, [question])
    assert result.answer.outcome is outcome
    assert result.forced is not None and result.features is not None
    assert "92 degrees" in result.forced.text
    assert result.forced.answered
    assert 0 < result.forced.confidence == result.answer.confidence < 1
    assert result.features.cosine > 0


async def test_where_nothing_is_found_nothing_would_be_answered(
    settings: Settings, models: Models, folder_of: Callable[..., Path]
) -> None:
    """At any threshold; small talk is not searched for either."""
    folder_of({"picture.png": b""})
    async with open_application(settings, models) as application:
        await application.indexer.index_folder(settings.knowledge.folder)
        results = await ask_all(
            application.answering.engine,
            application.stores.journal.conversations,
            [
                EvaluationQuestion("1", "how hot should the water be?", QuestionKind.UNANSWERABLE),
                EvaluationQuestion("2", "Thanks a lot!", QuestionKind.OFFTOPIC),
            ],
        )
    assert [result.answer.outcome for result in results] == [Outcome.DECLINED, Outcome.SMALL_TALK]
    assert [(result.forced, result.features) for result in results] == [(None, None)] * 2


def test_a_prediction_is_one_json_object() -> None:
    (question,) = questions(1)
    answer = answered("Run it.", text="First: **Run it.**", confidence=0.75, retrieved=("gold.md", "other.md"))
    assert json.loads(json.dumps(prediction(result(question, answer, 12.3456)))) == {
        "id": "q1",
        "outcome": "answered",
        "answered": True,
        "answer": "First: **Run it.**",
        "span": "Run it.",
        "confidence": 0.75,
        "retrieved": ["gold.md", "other.md"],
        "citations": [
            {
                "document": "gold.md",
                "title": "Title",
                "heading": ["Install", "Linux"],
                "lines": [3, 4],
                "page": None,
                "row": None,
                "quote": "Run it.",
                "url": None,
                "paragraph": None,
                "markup": "markdown",
                "number": None,
            }
        ],
        "latency_ms": 12.35,
    }


def test_a_declined_question_is_predicted_without_a_span() -> None:
    (question,) = questions(1)
    predicted = prediction(result(question, declined(0.25)))
    assert (predicted["outcome"], predicted["answered"], predicted["span"]) == ("declined", False, None)
    assert (predicted["citations"], predicted["confidence"]) == ([], 0.25)
