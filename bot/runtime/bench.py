"""`knowledge-bot bench`: the speed of this machine with the models of the settings, and the settings that suit it.

Runs over the operator's own index where there is one, in conversations of its own, and keeps nothing.
"""

import asyncio
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from bot.core import clock
from bot.core.documents import embedded_text
from bot.core.messages import Address, Question
from bot.core.settings import Settings
from bot.evaluation.own_questions import own_questions
from bot.evaluation.threshold import UNRELATED
from bot.inference.prompts import Excerpt, PromptContent
from bot.runtime.application import Application
from bot.storage.base import StoredPassage
from bot.storage.stores import open_journal

_PASSAGES = 256
_USERS = 16
_WRITES = 50
_WARM_UP = 3
_FEWEST_TOKENS = 4
# An answer that takes longer feels slow.
_COMFORTABLE_MS = 1500.0
_SENTENCE = "Documents are cut into passages, and each passage is turned into a vector that stands for its meaning. "
_Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Measurements:
    """The measurements. Rates are by second, times in milliseconds."""

    passages_a_second: float
    one_question_ms: float  # median, one question at a time
    questions_a_second: float  # with many users at once
    read_ms: float  # median, the part of a question that is for reading
    acceptances_a_second: float  # questions that the journal makes durable
    tokens_a_second: float | None = None  # of a local generator, one text at a time
    first_token_ms: float | None = None  # which has to read the prompt before

    def lines(self) -> list[str]:
        """Return the measurements as lines for people."""
        return [
            f"indexing: {self.passages_a_second:.0f} passages a second",
            f"one question at a time: {self.one_question_ms:.0f} ms, {self.read_ms:.0f} ms of them for reading",
            f"{_USERS} people at once: {self.questions_a_second:.1f} questions a second",
            f"the disk makes {self.acceptances_a_second:.0f} questions a second durable",
            *(
                [
                    f"the generator: {self.tokens_a_second:.0f} tokens a second, the first after {self.first_token_ms:.0f} ms"
                ]
                if self.tokens_a_second
                else []
            ),
        ]


async def measure(application: Application, progress: _Progress = lambda _done, _total: None) -> Measurements:
    """Measure, which takes some seconds to a minute. Raises the errors of the engine."""
    stored = await application.stores.knowledge.stored()
    questions = [one.text for one in own_questions(stored, 40)] or list(UNRELATED)
    total = len(questions) * 2 + 3
    encoded = await _encoding_rate(application, stored)
    progress(1, total)
    for text in questions[:_WARM_UP]:
        await application.answering.engine.consider(_question(text))
    times, reads = [], []
    for done, text in enumerate(questions, start=2):
        started = time.perf_counter()
        answer = (await application.answering.engine.consider(_question(text))).answer
        times.append((time.perf_counter() - started) * 1000)
        reads.append(answer.timings_ms.get("read", 0.0))
        progress(done, total)
    rate = await _questions_rate(application, questions)
    progress(total - 2, total)
    written = await _write_rate(application.settings.storage.folder)
    progress(total - 1, total)
    tokens, first = await _writing_rate(application, stored)
    progress(total, total)
    return Measurements(encoded, statistics.median(times), rate, statistics.median(reads), written, tokens, first)


def recommended(figures: Measurements, settings: Settings) -> list[str]:
    """Return settings that suit the machine better than the present ones, each with its reason."""
    advice = []
    in_time = figures.questions_a_second * settings.queue.deadline_seconds
    if settings.queue.capacity > 2 * in_time:
        advice.append(
            f"queue.capacity = {max(8, round(in_time))}: more questions can't be answered within queue.deadline_seconds, so it "
            "is kinder to refuse them at once"
        )
    share = figures.read_ms / figures.one_question_ms if figures.one_question_ms else 0.0
    fewer = max(2, round(settings.answer.read_passages * _COMFORTABLE_MS / max(figures.one_question_ms, 1.0)))
    if figures.one_question_ms > _COMFORTABLE_MS and share > 0.5 and fewer < settings.answer.read_passages:
        advice.append(f"answer.read_passages = {fewer}: most of a question's time is for reading")
    if figures.tokens_a_second:
        longest = int(figures.tokens_a_second * settings.generator.deadline_seconds)
        if longest < settings.generator.max_new_tokens:
            advice.append(
                f"generator.max_new_tokens = {max(16, longest)}: more can't be written within generator.deadline_seconds; or a "
                "smaller model"
            )
    if figures.acceptances_a_second < 2 * figures.questions_a_second:
        advice.append(
            "storage.folder on a quicker disk: making questions durable takes longer than answering them; a network drive, say"
        )
    return advice


async def _encoding_rate(application: Application, stored: Sequence[StoredPassage]) -> float:
    texts = [embedded_text(one.title, one.passage.heading, one.passage.body) for one in stored[:_PASSAGES]] or [
        _SENTENCE * 10
    ]
    texts = list(itertools.islice(itertools.cycle(texts), _PASSAGES))
    await application.inference.encoder.encode(texts[:16])
    started = time.perf_counter()
    await application.inference.encoder.encode(texts)
    return len(texts) / (time.perf_counter() - started)


async def _questions_rate(application: Application, questions: Sequence[str]) -> float:
    waiting = iter(questions)

    async def user() -> None:
        for text in waiting:
            await application.answering.engine.consider(_question(text))

    started = time.perf_counter()
    await asyncio.gather(*(user() for _ in range(_USERS)))
    return len(questions) / (time.perf_counter() - started)


async def _write_rate(folder: Path) -> float:
    with TemporaryDirectory(dir=folder, prefix=".bench-") as place:
        async with open_journal(Path(place)) as journal:
            started = time.perf_counter()
            for text in itertools.islice(itertools.cycle(UNRELATED), _WRITES):
                await journal.questions.accept(_question(text))
            seconds = time.perf_counter() - started
    return _WRITES / seconds


async def _writing_rate(application: Application, stored: Sequence[StoredPassage]) -> tuple[float | None, float | None]:
    """Return (tokens a second, milliseconds until the first one) of a local generator; None where there is none.

    A remote generator isn't asked, because its use may be paid for.
    """
    await application.answering.generator_loaded.wait()
    generator = application.answering.phraser.generator if application.answering.phraser else None
    if generator is None or application.settings.generator.provider != "local":
        return None, None
    text = " ".join(one.passage.body for one in stored[:3]) or _SENTENCE * 5
    prompt = PromptContent(UNRELATED[0], (Excerpt("Documents", text),))
    started = time.perf_counter()
    moments = []
    async with aclosing(generator.stream(prompt)) as pieces:
        async for _ in pieces:  # one a token
            moments.append(time.perf_counter())
    if len(moments) < _FEWEST_TOKENS:
        return None, None
    return (len(moments) - 1) / (moments[-1] - moments[0]), (moments[0] - started) * 1000


def _question(text: str) -> Question:
    nobody = uuid4().hex
    return Question(text, nobody, "bench", Address("bench", "bench", nobody), clock.utc_now())
