"""Test the threshold on the operator's own documents, with generated questions.

Answerable questions are made from headings and question-answer pairs, and reworded; an answer is right if it cites the section
that its question was made from. Unrelated questions are built in, apart from any that the documents may answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.core.messages import Outcome
from bot.core.settings import AnswerSettings
from bot.core.text import share_of_words, stems
from bot.engine.qa import Considered
from bot.evaluation.own_questions import OwnQuestion, lone_question
from bot.evaluation.run import ConsideringEngine

# Questions about very different subjects, nearly all of which documents about one subject don't answer.
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
_MAX_COVERAGE = 0.75
# Fewer questions give no result.
_MIN_QUESTIONS = 8
_MIN_RIGHT = 0.5
_MAX_WRONG = 0.15
_MAX_UNRELATED = 0.1
# A threshold that gains less than this share of the questions is not worth a change.
_MIN_GAIN = 0.1


@dataclass(frozen=True, slots=True)
class QuestionOutcome:
    """The outcome of a question. `right`: the answer, given or withheld, cites the section that was asked for.

    `confidence` is that of the answer, given or withheld, or 0 if it is never given as sure, at any threshold.
    """

    outcome: Outcome
    right: bool
    confidence: float


@dataclass(frozen=True, slots=True)
class ThresholdFit:
    """The outcomes of own and of unrelated questions at a threshold. Thresholds below `lowest` have no effect."""

    threshold: float
    own: tuple[QuestionOutcome, ...]
    unrelated: tuple[QuestionOutcome, ...]
    lowest: float = 0.0

    def share(self, outcome: Outcome, *, right: bool) -> float:
        """Return the share of own questions with this outcome that cite the right section, or a wrong one."""
        found = sum(asked.outcome is outcome and asked.right == right for asked in self.own)
        return found / len(self.own) if self.own else 0.0

    @property
    def declined(self) -> float:
        """The share of own questions that are neither answered nor get a suggestion."""
        shown = (Outcome.ANSWERED, Outcome.SUGGESTED)
        return sum(asked.outcome not in shown for asked in self.own) / len(self.own) if self.own else 0.0

    @property
    def unrelated_answered(self) -> float:
        """The share of unrelated questions that are answered."""
        found = sum(asked.outcome is Outcome.ANSWERED for asked in self.unrelated)
        return found / len(self.unrelated) if self.unrelated else 0.0

    @property
    def enough(self) -> bool:
        """Whether the number of questions is sufficient for a result."""
        return min(len(self.own), len(self.unrelated)) >= _MIN_QUESTIONS

    @property
    def fits(self) -> bool:
        """Whether answers are right often enough, and no other threshold is clearly better."""
        return (
            self.share(Outcome.ANSWERED, right=True) >= _MIN_RIGHT
            and self.share(Outcome.ANSWERED, right=False) <= _MAX_WRONG
            and self.unrelated_answered <= _MAX_UNRELATED
            and not self.is_improved
        )

    @property
    def is_improved(self) -> bool:
        """Whether the suggested threshold is worth a change."""
        gained = self.gain(self.suggested) - self.gain(self.threshold)
        return gained > _MIN_GAIN * (len(self.own) + len(self.unrelated))

    @property
    def suggested(self) -> float:
        """The threshold with the most gain; of several, the middle one."""
        steps = [step / 100 for step in range(5, 96) if step / 100 >= self.lowest]
        gains = [self.gain(step) for step in steps]
        best = [step for step, gain in zip(steps, gains, strict=True) if gain == max(gains)]
        return best[len(best) // 2]

    def gain(self, threshold: float) -> int:
        """Return the right answers at a threshold minus the wrong ones. Answers to unrelated questions are wrong."""
        given = [asked.right for asked in (*self.own, *self.unrelated) if asked.confidence >= threshold]
        return 2 * sum(given) - len(given)


async def fit_threshold(
    engine: ConsideringEngine,
    own: Sequence[OwnQuestion],
    reworded: Sequence[str],
    bounds: AnswerSettings,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ThresholdFit:
    """Ask the own questions in their reworded form, and the unrelated ones. `bounds` are the engine's settings.

    Raises the errors of the engine.
    """
    total = len(own) + len(UNRELATED)
    answered, beside = [], []
    for number, (question, text) in enumerate(zip(own, reworded, strict=True), start=1):
        answered.append(_outcome(await engine.consider(lone_question(text), forced=True), question))
        progress(number, total)
    for number, text in enumerate(UNRELATED, start=len(own) + 1):
        considered = await engine.consider(lone_question(text), forced=True)
        if not _may_be_answered(considered, text):
            beside.append(_outcome(considered, None))
        progress(number, total)
    return ThresholdFit(bounds.threshold, tuple(answered), tuple(beside), min(0.95, bounds.suggest_threshold))


def _outcome(considered: Considered, question: OwnQuestion | None) -> QuestionOutcome:
    """Return the outcome of a question. `question` is None for an unrelated one."""
    given, forced = considered.answer, considered.forced
    never_sure = any(candidate.contradicts for candidate in considered.candidates[:1])
    return QuestionOutcome(
        outcome=given.outcome,
        right=bool(question and forced and question.is_answered_by(forced)),
        confidence=forced.confidence if forced and not never_sure else 0.0,
    )


def _may_be_answered(considered: Considered, question: str) -> bool:
    wanted = stems(question)
    return any(
        share_of_words(wanted, stems(candidate.hit.found.passage.body)) >= _MAX_COVERAGE
        for candidate in considered.candidates[:1]
    )
