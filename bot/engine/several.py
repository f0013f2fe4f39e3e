"""Two short questions in one message, which get two answers."""

import re
from collections.abc import Sequence
from dataclasses import replace

from bot.core.markup import Piece, inline_markdown
from bot.core.messages import Answer, Outcome
from bot.core.text import STOP_WORDS, words
from bot.engine.compose import merged

_ASKS = r"(?:what|which|who|whose|where|when|why|how|can|could|may|must|should|do|does|did|is|are|was|were|will|would|has|have)"
# Between two questions: the mark of the first, or an "and" before the word that the second begins with.
_BETWEEN = re.compile(rf"(?<=\?)\s+(?:and\s+|also[\s,]+)*|,?\s+and\s+(?:also\s+)?(?={_ASKS}\b)", re.IGNORECASE)
_BEGINS = re.compile(rf"{_ASKS}\b", re.IGNORECASE)
_MOST_QUESTIONS = 3
# Longer messages describe one matter at length.
_LONGEST_MESSAGE = 300  # characters


def questions_in(text: str) -> list[str]:
    """The questions of a message that asks several, in order; only the message itself where it is one question."""
    parts = [part.strip() for part in _BETWEEN.split(text)] if len(text) <= _LONGEST_MESSAGE else [text]
    if 1 < len(parts) <= _MOST_QUESTIONS and all(map(_is_question, parts)):
        return [part if part.endswith("?") else f"{part}?" for part in parts]
    return [text]


def _is_question(part: str) -> bool:
    return _BEGINS.match(part) is not None and bool(set(words(part)) - STOP_WORDS)


def are_about_different_things(answers: Sequence[Answer]) -> bool:
    """Whether each has an answer, and not all of them from the same section."""
    sections = {(citation.document, citation.heading) for answer in answers for citation in answer.citations[:1]}
    return all(answer.from_documents for answer in answers) and len(sections) > 1


def together(questions: Sequence[str], answers: Sequence[Answer]) -> Answer:
    """The answers as one, each below its question, and so is what follows of each. As unsure as the least sure of them."""
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
