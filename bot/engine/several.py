"""Split a message with two or three short questions, and combine their answers."""

import re
from collections.abc import Sequence
from dataclasses import replace

from bot.core.markup import Piece, inline_markdown
from bot.core.messages import Answer, Outcome
from bot.core.text import STOP_WORDS, words
from bot.engine.compose import merged

_QUESTION_WORD = (
    r"(?:what|which|who|whose|where|when|why|how|can|could|may|must|should|do|does|did|is|are|was|were|will|would|has|"
    r"have)"
)
# The boundary of two questions: the question mark of the first, or "and" before the question word of the second.
_BOUNDARY = re.compile(
    rf"(?<=\?)\s+(?:and\s+|also[\s,]+)*|,?\s+and\s+(?:also\s+)?(?={_QUESTION_WORD}\b)", re.IGNORECASE
)
_BEGINS_AS_QUESTION = re.compile(rf"{_QUESTION_WORD}\b", re.IGNORECASE)
_MAX_QUESTIONS = 3
# A longer message describes a single problem at length.
_MAX_MESSAGE_LENGTH = 300  # characters


def questions_in(text: str) -> list[str]:
    """Return the questions of a message in order, or only the message itself if it doesn't ask several."""
    parts = [part.strip() for part in _BOUNDARY.split(text)] if len(text) <= _MAX_MESSAGE_LENGTH else [text]
    if 1 < len(parts) <= _MAX_QUESTIONS and all(map(_is_question, parts)):
        return [part if part.endswith("?") else f"{part}?" for part in parts]
    return [text]


def _is_question(part: str) -> bool:
    return _BEGINS_AS_QUESTION.match(part) is not None and bool(set(words(part)) - STOP_WORDS)


def are_about_different_things(answers: Sequence[Answer]) -> bool:
    """Whether each answer comes from the documents, and not all of them from the same section."""
    sections = {(citation.document, citation.heading) for answer in answers for citation in answer.citations[:1]}
    return all(answer.from_documents for answer in answers) and len(sections) > 1


def combined(questions: Sequence[str], answers: Sequence[Answer]) -> Answer:
    """Combine answers into one, each below its question, as well as their continuations. The lowest confidence counts."""
    names = [Piece(f"**{inline_markdown(question[:1].upper() + question[1:])}**") for question in questions]
    shared = replace(
        answers[0],
        outcome=Outcome.ANSWERED if any(answer.answered for answer in answers) else Outcome.SUGGESTED,
        confidence=min(answer.confidence for answer in answers),
        citations=tuple(citation for answer in answers for citation in answer.citations),
        retrieved=tuple(dict.fromkeys(document for answer in answers for document in answer.retrieved)),
        timings_ms={
            stage: round(sum(answer.timings_ms.get(stage, 0.0) for answer in answers), 2)
            for stage in dict.fromkeys(stage for answer in answers for stage in answer.timings_ms)
        },
        phrasing=next((answer.phrasing for answer in answers if answer.phrasing), None),
    )
    named = list(zip(names, answers, strict=True))
    return shared.saying(
        merged(piece for name, answer in named for piece in (name, *answer.pieces)),
        merged(piece for name, answer in named if answer.more for piece in (name, *answer.more_pieces)),
    )
