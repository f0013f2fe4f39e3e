"""Limits for callers without a user name: those of one address share the limit of a chat."""

from dataclasses import replace

from fastapi import Request

from bot.core.messages import Question
from bot.core.settings import LimitsSettings
from bot.http.addresses import network_of
from bot.questions.limits import QuestionLimits


class AnonymousLimits:
    """Limits their questions. The addresses are kept in memory for a minute, and nowhere else."""

    def __init__(self, limits: LimitsSettings) -> None:
        self._limits = QuestionLimits(LimitsSettings(author_questions=limits.chat_questions, chat_questions=0))

    def count(self, question: Question, request: Request) -> None:
        """Count a question of somebody without a name. Raises RateLimited where too many come from the address."""
        if not question.author:
            self._limits.count(replace(question, author=network_of(request)))

    def take_back(self, question: Question, request: Request) -> None:
        """Undo the counting of a question that was a repeated request."""
        if not question.author:
            self._limits.take_back(replace(question, author=network_of(request)))
