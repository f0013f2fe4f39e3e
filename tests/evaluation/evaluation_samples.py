"""Questions, answers and results that the tests of the evaluation are made of, with as few words as they need."""

from bot.core.messages import Answer, Citation, Outcome
from bot.engine.confidence import Features
from bot.evaluation.questions import EvaluationQuestion, QuestionKind
from bot.evaluation.run import EvaluationResult


def answerable(*golds: str, doc: str = "gold.md", question: str = "What is it?") -> EvaluationQuestion:
    return EvaluationQuestion("q", question, QuestionKind.ANSWERABLE, golds, frozenset({doc}))


UNANSWERABLE = EvaluationQuestion("u", "Why not?", QuestionKind.UNANSWERABLE, ())
OFFTOPIC = EvaluationQuestion("o", "Who won?", QuestionKind.OFFTOPIC, ())


def answered(
    span: str, *, text: str = "", doc: str = "gold.md", confidence: float = 0.9, retrieved: tuple[str, ...] = ()
) -> Answer:
    return Answer(
        Outcome.ANSWERED,
        text or span,
        "ref",
        span=span,
        confidence=confidence,
        citations=(Citation(doc, "Title", ("Install", "Linux"), (3, 4), None, None, span, None),),
        retrieved=retrieved or (doc,),
    )


def suggested(text: str, *, confidence: float = 0.3) -> Answer:
    return Answer(Outcome.SUGGESTED, text, "ref", confidence=confidence, retrieved=("gold.md",))


def declined(confidence: float = 0.1, retrieved: tuple[str, ...] = ()) -> Answer:
    return Answer(
        Outcome.DECLINED, "The documents don't answer this.", "ref", confidence=confidence, retrieved=retrieved
    )


def result(
    question: EvaluationQuestion,
    answer: Answer,
    latency_ms: float = 10.0,
    forced: Answer | None = None,
    features: Features | None = None,
) -> EvaluationResult:
    """The result for an answer. A declined one would have been answered otherwise only if `forced` is given."""
    return EvaluationResult(question, answer, latency_ms, forced or (answer if answer.answered else None), features)
