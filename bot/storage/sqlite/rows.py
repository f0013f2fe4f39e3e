"""Pieces of statements, and the reading of columns, that the stores of the journal share."""

import json

from bot.core.messages import Answer, Question

KEY = "platform = ? AND chat = ? AND message = ?"
"""The condition for the row of an address; its parameters are `Address.key`."""

ERASED = "question = NULL, answer = NULL, author = NULL, reference = NULL"
"""The assignments that erase the texts of a question."""


def question_from(text: str) -> Question:
    """The question in a column `question`."""
    return Question.from_json(json.loads(text))


def answer_from(text: str) -> Answer:
    """The answer in a column `answer`."""
    return Answer.from_json(json.loads(text))
