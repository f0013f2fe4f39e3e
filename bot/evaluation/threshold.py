"""A test of the threshold on the operator's own documents, without questions that somebody has to write.

Answerable questions are made from headings and stored questions. Unrelated questions are built in; those on a subject of the
documents are left out. The confidences of both kinds show whether `answer.threshold` fits, and which threshold would.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from uuid import uuid4

from bot.core.documents import Form
from bot.core.messages import Address, Question
from bot.core.text import share_of_words, stems
from bot.engine.qa import Considered
from bot.storage.base import StoredPassage

# Questions that documents on one subject don't answer, on subjects as different as possible.
UNRELATED = (
    "Who won the football world cup in 1974?",
    "How long does a pregnant elephant carry her calf?",
    "What is the capital of Mongolia?",
    "Which composer wrote the opera The Magic Flute?",
    "How many moons does Neptune have?",
    "When did the Berlin Wall fall?",
    "What causes the northern lights?",
    "How do I knit a pair of woollen socks?",
    "Who painted the ceiling of the Sistine Chapel?",
    "Which spices belong in a Thai green curry?",
    "How deep is the Mariana Trench?",
    "What is the offside rule?",
    "How do bees make honey?",
    "Which king had six wives?",
    "What is the boiling point of mercury?",
    "How often should I water an orchid?",
    "Who was the first woman in space?",
    "What is the difference between a crocodile and an alligator?",
    "How tall is Mount Kilimanjaro?",
    "When is the best time to visit Patagonia?",
    "What should I feed a hedgehog?",
    "Who discovered penicillin?",
    "How do I tune a violin?",
    "Which language is spoken in Suriname?",
    "How long does it take to sail across the Atlantic?",
    "What do the rings on a tree trunk tell?",
    "Why did the Roman Empire fall?",
    "How is champagne made?",
    "What are the symptoms of malaria?",
    "Who invented the steam engine?",
)
# A passage with this share of a question's words may answer it.
_COVERED = 0.75
# Fewer questions give no result.
_FEWEST = 8
_TOO_FEW_ANSWERED = 0.6
_TOO_MANY_UNRELATED = 0.1


class ConsideringEngine(Protocol):
    """An engine that also returns how it came to its answer."""

    async def consider(self, question: Question) -> Considered: ...


@dataclass(frozen=True, slots=True)
class ThresholdFit:
    """The confidences of own and of unrelated questions, and how well a threshold separates them."""

    threshold: float
    own: tuple[float, ...]
    unrelated: tuple[float, ...]

    @property
    def answered(self) -> float:
        """The share of own questions that is answered."""
        return _share(self.own, self.threshold)

    @property
    def wrongly_answered(self) -> float:
        """The share of unrelated questions that is answered."""
        return _share(self.unrelated, self.threshold)

    @property
    def enough(self) -> bool:
        """Whether there were enough questions for a result."""
        return min(len(self.own), len(self.unrelated)) >= _FEWEST

    @property
    def fits(self) -> bool:
        return self.answered >= _TOO_FEW_ANSWERED and self.wrongly_answered <= _TOO_MANY_UNRELATED

    @property
    def suggested(self) -> float:
        """The threshold that separates both best; of several, the middle one."""
        steps = [step / 100 for step in range(5, 96)]
        gains = [_share(self.own, step) - _share(self.unrelated, step) for step in steps]
        best = [step for step, gain in zip(steps, gains, strict=True) if gain >= max(gains) - 1e-9]
        return best[len(best) // 2]


def _share(confidences: Sequence[float], threshold: float) -> float:
    return sum(confidence >= threshold for confidence in confidences) / len(confidences) if confidences else 0.0


def heading_question(heading: str, title: str) -> str:
    """A heading as a question about the text below it: as it stands, or as keywords."""
    return heading if heading.endswith("?") else f"{heading} ({title})"


def own_questions(stored: Sequence[StoredPassage], most: int) -> list[str]:
    """Questions that the documents answer: stored questions, and headings as questions. The same ones each time."""
    questions = []
    for passage in stored:
        for block in passage.passage.blocks:
            if block.form is Form.PAIR:
                questions.append(block.context)
            elif block.heading:
                questions.append(heading_question(block.heading[-1], passage.title))
    distinct = sorted({question for question in questions if question.strip()})
    return random.Random(1).sample(distinct, min(most, len(distinct)))  # noqa: S311 - not for secrets


async def fit_threshold(
    engine: ConsideringEngine,
    stored: Sequence[StoredPassage],
    threshold: float,
    *,
    most: int = 40,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ThresholdFit:
    """Ask up to `most` own questions and the unrelated ones. Raises the engine's errors."""
    own = own_questions(stored, most)
    total = len(own) + len(UNRELATED)
    confidences: list[list[float]] = [[], []]
    for number, text in enumerate((*own, *UNRELATED)):
        considered = await engine.consider(lone_question(text))
        is_own = number < len(own)
        if is_own or not _is_spoken_of(considered, text):
            confidences[0 if is_own else 1].append(considered.answer.confidence)
        progress(number + 1, total)
    return ThresholdFit(threshold, tuple(confidences[0]), tuple(confidences[1]))


def _is_spoken_of(considered: Considered, question: str) -> bool:
    wanted = stems(question)
    return any(
        share_of_words(wanted, stems(candidate.hit.found.passage.body)) >= _COVERED
        for candidate in considered.candidates[:1]
    )


def lone_question(text: str) -> Question:
    """A question that the bot asks itself, in a conversation of its own."""
    nobody = uuid4().hex
    return Question(text, nobody, "doctor", Address("doctor", "doctor", nobody), datetime.now(UTC))
