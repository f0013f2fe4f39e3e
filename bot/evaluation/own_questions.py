"""Make questions that the operator's documents answer from their headings and question-answer pairs."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

from bot.core.documents import Block, Form
from bot.core.messages import Address, Answer, Citation, Question
from bot.storage.base import StoredPassage


@dataclass(frozen=True, slots=True)
class QuestionSource:
    """The source of a question: everything below a heading of a document, or the answer of one question-answer pair."""

    document: str
    heading: tuple[str, ...]
    pair: str | None = None

    def holds(self, citation: Citation) -> bool:
        """Whether the quotation is from this section or one of its subsections."""
        if citation.document != self.document:
            return False
        if self.pair is not None:
            return citation.quote in self.pair or self.pair in citation.quote
        return citation.heading[: len(self.heading)] == self.heading


@dataclass(frozen=True, slots=True)
class OwnQuestion:
    """A question with the sections that answer it: several if they have the same heading.

    `subject` is the heading or the question of a pair. `title` is that of the document, empty for a pair. `beginning` is the
    first text of the section. `is_plain`: the subject is unique, so that the title may be left out.
    """

    text: str
    subject: str
    title: str
    beginning: str
    sections: tuple[QuestionSource, ...]
    is_plain: bool = True

    def is_answered_by(self, answer: Answer) -> bool:
        """Whether the answer or suggestion cites one of the sections."""
        return any(section.holds(citation) for section in self.sections for citation in answer.citations)


def own_questions(stored: Sequence[StoredPassage], most: int) -> list[OwnQuestion]:
    """Return up to `most` distinct questions, sampled with a fixed seed."""
    distinct: dict[str, OwnQuestion] = {}
    for passage in stored:
        for block in passage.passage.blocks:
            for made in _questions_of(passage, block):
                before = distinct.setdefault(made.text, made)
                if not set(made.sections) <= set(before.sections):
                    distinct[made.text] = replace(before, sections=(*before.sections, *made.sections))
    named = Counter(question.subject.lower() for question in distinct.values())
    questions = [
        replace(distinct[text], is_plain=named[distinct[text].subject.lower()] == 1) for text in sorted(distinct)
    ]
    return random.Random(1).sample(questions, min(most, len(questions)))  # noqa: S311 - not for secrets


def _questions_of(passage: StoredPassage, block: Block) -> Iterator[OwnQuestion]:
    """Yield the question of a block, if it has one."""
    if block.form is Form.PAIR:
        subject, title, pair = block.context.strip(), "", block.text
        text = subject
    elif block.heading:
        subject, title, pair = block.heading[-1].strip(), passage.title, None
        text = heading_question(subject, title) if subject else ""
    else:
        return
    if text:
        yield OwnQuestion(text, subject, title, block.text, (QuestionSource(passage.document, block.heading, pair),))


def heading_question(heading: str, title: str) -> str:
    """Return a heading as a question about its text: unchanged if it is a question, else with the title as keywords."""
    return heading if heading.endswith("?") else f"{heading} ({title})"


def lone_question(text: str) -> Question:
    """Return a question of the bot itself, in a new conversation."""
    nobody = uuid4().hex
    return Question(text, nobody, "doctor", Address("doctor", "doctor", nobody), datetime.now(UTC))
