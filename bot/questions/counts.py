"""Counts of what became of questions: since the start for operators, and as metrics."""

from collections import Counter

from bot.core.messages import Answer, Question
from bot.observability import metrics


class QuestionCounts:
    """Counts questions and parts of answers.

    `since_start` says how many questions were accepted, refused (busy, limited), revised and withdrawn, how many of each
    outcome were delivered, how many could not be, how many came late or had expired, how many were put off because the
    journal could not be written, and how many parts were sent again because they were in doubt (`repeated`).
    """

    def __init__(self) -> None:
        self.since_start: Counter[str] = Counter()

    def accepted(self, question: Question) -> None:
        self.since_start["accepted"] += 1
        metrics.ACCEPTED.labels(question.address.platform).inc()

    def refused(self, question: Question, reason: str) -> None:
        """Count a refusal. `reason`: busy or limited."""
        self.since_start[f"refused_{reason}"] += 1
        metrics.REFUSED.labels(question.address.platform, reason).inc()

    def revised(self) -> None:
        self.since_start["revised"] += 1

    def withdrawn(self) -> None:
        self.since_start["withdrawn"] += 1

    def resumed(self, questions: int) -> None:
        if questions:
            self.since_start["resumed"] += questions

    def expired(self) -> None:
        self.since_start["expired"] += 1

    def put_off(self) -> None:
        self.since_start["put_off"] += 1

    def repeated(self) -> None:
        self.since_start["repeated"] += 1
        metrics.REPEATED.inc()

    def done(self, question: Question, answer: Answer, waited: float, *, delivered: bool) -> None:
        """Count a question by the outcome of its answer, or as undelivered. `waited`: seconds until the engine began."""
        outcome = answer.outcome.value if delivered else "undelivered"
        self.since_start[outcome] += 1
        if answer.late:
            self.since_start["late"] += 1
        metrics.QUESTIONS.labels(question.address.platform, outcome).inc()
        metrics.stages_took({"waited": waited * 1000, **answer.timings_ms})

    def delivery_failed(self, question: Question) -> None:
        metrics.DELIVERY_FAILURES.labels(question.address.platform).inc()
