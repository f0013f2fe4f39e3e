"""A crowd asks ten times what is answered: who asks less than the others do hardly notices.

The models sleep instead of computing, so that the order of the work is measured, and not the machine. `benchmarks/faults.py
quiet` measures the same with the real models and by HTTP.
"""

import asyncio
import statistics
import time
from collections.abc import Sequence

import pytest
from questions_parts import Pigeonhole, asked_by, until

from bot.core.errors import EngineBusy
from bot.core.messages import Answer, Outcome, Progress, Question
from bot.core.settings import LimitsSettings, QueueSettings
from bot.inference.workers import InferenceWorker, ModelCall
from bot.questions.dispatcher import Dispatcher

_CALL = 0.015  # seconds that the models need for each of the three jobs of a question
_PEOPLE = 8  # in the crowd
# Seconds in which everybody gets two answers, where all get the same.
_PAUSE = 2 * (_PEOPLE + 1) * 3 * _CALL
_MOST = 2.0  # of the wait beside a crowd, against alone


class SleepingEngine:
    """Answers by three jobs of a worker, one after the other, which take their time."""

    def __init__(self, worker: InferenceWorker[None]) -> None:
        self._worker = worker
        self._calls = [ModelCall(self._think, largest_batch=1) for _ in range(3)]
        self.answered = 0

    @staticmethod
    def _think(items: list[str]) -> Sequence[str]:
        time.sleep(_CALL * len(items))
        return items

    async def answer(self, question: Question, _progress: Progress) -> Answer:
        for call in self._calls:
            await self._worker.run(call, [question.text])
        self.answered += 1
        return Answer(Outcome.ANSWERED, f"re: {question.text}", question.text)


@pytest.mark.slow
async def test_a_quiet_person_waits_hardly_longer_beside_a_crowd(journal):
    """The median; the crowd is answered meanwhile, and is refused where it asks too much."""
    worker = InferenceWorker("overload", lambda: None, capacity=512)
    engine, adapter = SleepingEngine(worker), Pigeonhole()
    dispatcher = Dispatcher(
        engine, journal, QueueSettings(), limits=LimitsSettings(author_questions=0, chat_questions=0)
    )
    dispatcher.register([adapter])

    async def waits(name: str, times: int, pause: float = 0.0) -> list[float]:
        took = []
        for number in range(times):
            began = time.monotonic()
            text = f"{name} {number}"
            await dispatcher.admission.accept(asked_by("quiet", text, "quiet"))
            await until(lambda text=text: f"re: {text}" in adapter.texts[-50:])
            took.append(time.monotonic() - began)
            await asyncio.sleep(pause)
        return took

    refused = 0

    async def crowd(per_second: float) -> None:
        nonlocal refused
        for number in range(10**6):
            try:
                await dispatcher.admission.accept(
                    asked_by(f"one of {number % _PEOPLE}", f"crowd {number}", f"{number % _PEOPLE}")
                )
            except EngineBusy:
                refused += 1
            await asyncio.sleep(1 / per_second)

    alone = await waits("alone", 20)
    asking = asyncio.create_task(crowd(10 / (3 * _CALL)))
    try:
        await asyncio.sleep(2)
        before = engine.answered
        beside = await waits("beside", 20, _PAUSE)
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await dispatcher.close(0)
        await worker.close()
    assert statistics.median(beside) <= _MOST * statistics.median(alone)
    assert engine.answered - before > 2 * len(beside)
    assert refused > 100
