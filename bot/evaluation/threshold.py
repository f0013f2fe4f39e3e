"""A test of the threshold on the operator's own documents, without questions that somebody has to write.

Answerable questions are made from headings and stored questions, and asked in other words; an answer is right if it cites the
section that its question was made from. Unrelated questions are built in; those on a subject of the documents are left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.core.messages import Outcome, Question
from bot.core.settings import AnswerSettings
from bot.core.text import share_of_words, stems
from bot.engine.qa import Considered
from bot.evaluation.own_questions import OwnQuestion, lone_question

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
_TOO_FEW_RIGHT = 0.5
_TOO_MANY_WRONG = 0.15
_TOO_MANY_UNRELATED = 0.1
# A threshold that gains less than this share of the questions is not worth a change.
_WORTH_IT = 0.1


class ConsideringEngine(Protocol):
    """An engine that also returns how it came to its answer."""

    async def consider(self, question: Question, *, forced: bool) -> Considered: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """The outcome of a question. `right`: the section that was answered, suggested or withheld is the one that was asked for.

    `confidence` is that of the answer, given or withheld; 0 where no threshold would give it.
    """

    outcome: Outcome
    right: bool
    confidence: float


@dataclass(frozen=True, slots=True)
class ThresholdFit:
    """The outcomes of own and of unrelated questions at a threshold. One below `lowest` would have no effect."""

    threshold: float
    own: tuple[Asked, ...]
    unrelated: tuple[Asked, ...]
    lowest: float = 0.0

    def share(self, outcome: Outcome, *, right: bool) -> float:
        """The share of own questions with this outcome, from the section they were made from or from another one."""
        found = sum(asked.outcome is outcome and asked.right == right for asked in self.own)
        return found / len(self.own) if self.own else 0.0

    @property
    def declined(self) -> float:
        """The share of own questions that get no section at all."""
        shown = (Outcome.ANSWERED, Outcome.SUGGESTED)
        return sum(asked.outcome not in shown for asked in self.own) / len(self.own) if self.own else 0.0

    @property
    def unrelated_answered(self) -> float:
        """The share of unrelated questions that is answered."""
        found = sum(asked.outcome is Outcome.ANSWERED for asked in self.unrelated)
        return found / len(self.unrelated) if self.unrelated else 0.0

    @property
    def enough(self) -> bool:
        """Whether there were enough questions for a result."""
        return min(len(self.own), len(self.unrelated)) >= _FEWEST

    @property
    def fits(self) -> bool:
        """Whether answers are right often enough, and no other threshold is clearly better."""
        return (
            self.share(Outcome.ANSWERED, right=True) >= _TOO_FEW_RIGHT
            and self.share(Outcome.ANSWERED, right=False) <= _TOO_MANY_WRONG
            and self.unrelated_answered <= _TOO_MANY_UNRELATED
            and not self.is_improved
        )

    @property
    def is_improved(self) -> bool:
        """Whether the suggested threshold is worth a change."""
        gained = self.gain(self.suggested) - self.gain(self.threshold)
        return gained > _WORTH_IT * (len(self.own) + len(self.unrelated))

    @property
    def suggested(self) -> float:
        """The threshold with the most gain; of several, the middle one."""
        steps = [step / 100 for step in range(5, 96) if step / 100 >= self.lowest]
        gains = [self.gain(step) for step in steps]
        best = [step for step, gain in zip(steps, gains, strict=True) if gain == max(gains)]
        return best[len(best) // 2]

    def gain(self, threshold: float) -> int:
        """How many answers are right at a threshold, less those that are wrong; unrelated questions have wrong ones only."""
        given = [asked.right for asked in (*self.own, *self.unrelated) if asked.confidence >= threshold]
        return 2 * sum(given) - len(given)


async def fit_threshold(
    engine: ConsideringEngine,
    own: Sequence[OwnQuestion],
    reworded: Sequence[str],
    bounds: AnswerSettings,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ThresholdFit:
    """Ask the own questions, each as it is reworded, and the unrelated ones. `bounds`: those that the engine has.

    Raises the engine's errors.
    """
    total = len(own) + len(UNRELATED)
    answered, beside = [], []
    for number, (question, text) in enumerate(zip(own, reworded, strict=True), start=1):
        answered.append(_asked(await engine.consider(lone_question(text), forced=True), question))
        progress(number, total)
    for number, text in enumerate(UNRELATED, start=len(own) + 1):
        considered = await engine.consider(lone_question(text), forced=True)
        if not _is_spoken_of(considered, text):
            beside.append(_asked(considered, None))
        progress(number, total)
    return ThresholdFit(bounds.threshold, tuple(answered), tuple(beside), min(0.95, bounds.suggest_threshold))


def _asked(considered: Considered, question: OwnQuestion | None) -> Asked:
    """`question`: None for one that is unrelated."""
    given, forced = considered.answer, considered.forced
    never_sure = any(candidate.contradicts for candidate in considered.candidates[:1])
    return Asked(
        outcome=given.outcome,
        right=bool(question and forced and question.is_answered_by(forced)),
        confidence=forced.confidence if forced and not never_sure else 0.0,
    )


def _is_spoken_of(considered: Considered, question: str) -> bool:
    wanted = stems(question)
    return any(
        share_of_words(wanted, stems(candidate.hit.found.passage.body)) >= _COVERED
        for candidate in considered.candidates[:1]
    )
