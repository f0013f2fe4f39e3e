"""Ask the engine the questions of an evaluation, each in a new conversation."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import uuid4

from bot.core.messages import Address, Answer, Question, Turn
from bot.engine.confidence import Features
from bot.engine.qa import Considered
from bot.evaluation.questions import EarlierMessage, EvaluationQuestion
from bot.storage.base import ConversationStore

PLATFORM = "evaluation"

AskingProgress = Callable[[int, int], None]
"""Called with (answered questions, all questions) after each answer, on the event loop. Must not block."""


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """The answer to a question. `latency_ms` is the wall time of the engine alone.

    `forced` is the answer at a threshold of 0, and `features` are those of its candidate; either is None if there is none.
    """

    question: EvaluationQuestion
    answer: Answer
    latency_ms: float
    forced: Answer | None = None
    features: Features | None = None


class ConsideringEngine(Protocol):
    """An engine that returns the candidates of an answer too."""

    async def consider(self, question: Question, *, forced: bool) -> Considered:
        """Answer a question as `QAEngine.consider` does."""


async def ask_all(
    engine: ConsideringEngine,
    conversations: ConversationStore,
    questions: Sequence[EvaluationQuestion],
    *,
    parallel: int = 1,
    progress: AskingProgress = lambda _done, _total: None,
) -> list[EvaluationResult]:
    """Ask every question, and return the results in the order of the questions.

    `parallel` questions (at least 1) are asked at a time. With more than 1, latencies include waiting for other questions.
    `conversations` must be the store that the engine reads; the turns added for a question are removed again, also on
    cancellation. Raises the first error of the engine or the store, and cancels the other questions.
    """
    results: dict[int, EvaluationResult] = {}
    waiting = iter(enumerate(questions))

    async def work() -> None:
        for number, question in waiting:
            results[number] = await _ask(engine, conversations, question)
            progress(len(results), len(questions))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(parallel):
                group.create_task(work())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return [results[number] for number in range(len(questions))]


def prediction(result: EvaluationResult) -> dict[str, Any]:
    """Return a result as a JSON object for external scorers. `retrieved` names at most ten documents, best first."""
    answer = result.answer
    return {
        "id": result.question.id,
        "outcome": answer.outcome.value,
        "answered": answer.answered,
        "answer": answer.text,
        "span": answer.span,
        "confidence": answer.confidence,
        "retrieved": list(answer.retrieved),
        "citations": [asdict(citation) for citation in answer.citations],
        "latency_ms": round(result.latency_ms, 2),
    }


async def _ask(
    engine: ConsideringEngine, conversations: ConversationStore, question: EvaluationQuestion
) -> EvaluationResult:
    # Of this run alone: an earlier one that was killed may have left turns behind.
    conversation = f"{PLATFORM}:{uuid4()}"
    asked = Question(
        text=question.question,
        conversation=conversation,
        author=PLATFORM,
        address=Address(PLATFORM, conversation, question.id),
        received_at=datetime.now(UTC),
    )
    try:
        for turn in _turns(question.history):
            await conversations.add_turn(conversation, turn, time.time())
        started = time.perf_counter()
        considered = await engine.consider(asked, forced=True)
        latency_ms = (time.perf_counter() - started) * 1000
        features = considered.candidates[0].features if considered.candidates else None
        return EvaluationResult(question, considered.answer, latency_ms, considered.forced, features)
    finally:
        await conversations.forget(conversation)


def _turns(history: Iterable[EarlierMessage]) -> list[Turn]:
    """Return each message of the user with the assistant's messages before the next one, possibly none, joined."""
    turns: list[Turn] = []
    for role, text in history:
        if role == "user":
            turns.append(Turn(text, ""))
        elif turns:  # a greeting before the first question answers nothing
            last = turns[-1]
            turns[-1] = Turn(last.question, "\n\n".join(filter(None, (last.answer, text))))
    return turns
