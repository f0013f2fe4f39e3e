"""Questions that the documents answer, and which citations answer them."""

import pytest

from bot.core.documents import Block, Form, Locator, Passage
from bot.core.messages import Answer, Citation, Outcome
from bot.evaluation.own_questions import QuestionSource, own_questions
from bot.storage.base import StoredPassage

PAIR = Block(Form.PAIR, "Yes.", (), Locator(), "Is it open?", ())
TEXT = Block(Form.PARAGRAPH, "Text.", ("Opening hours",), Locator(), "", ())
QUESTION = Block(Form.PARAGRAPH, "Text.", ("Who may come?",), Locator(), "", ())


def stored(*blocks: Block, document: str = "a.md", title: str = "Guide") -> list[StoredPassage]:
    return [StoredPassage(document, title, "en", Passage((block,), block.heading, block.text)) for block in blocks]


def cited(document: str = "a.md", heading: tuple[str, ...] = (), quote: str = "Text.") -> Citation:
    return Citation(document, "Guide", heading, None, None, None, quote, None)


def test_questions_are_the_stored_ones_and_the_headings():
    """Each once, the same ones each time, and no more than were wanted."""
    passages = stored(PAIR, TEXT, TEXT, QUESTION)
    assert sorted(one.text for one in own_questions(passages, 10)) == [
        "Is it open?",
        "Opening hours (Guide)",
        "Who may come?",
    ]
    assert own_questions(passages, 2) == own_questions(passages, 2)
    assert len(own_questions(passages, 2)) == 2


def test_the_same_heading_in_two_documents_is_answered_by_both():
    """If their titles are the same too; else the title must be in the question."""
    twice = [*stored(TEXT), *stored(TEXT, document="b.md"), *stored(TEXT, document="c.md", title="Shop")]
    guide, shop = sorted(own_questions(twice, 10), key=lambda one: one.text)
    assert guide.sections == (QuestionSource("a.md", ("Opening hours",)), QuestionSource("b.md", ("Opening hours",)))
    assert shop.sections == (QuestionSource("c.md", ("Opening hours",)),)
    assert not guide.is_plain
    assert not shop.is_plain
    assert own_questions(stored(TEXT), 1)[0].is_plain


@pytest.mark.parametrize(
    ("citation", "holds"),
    [
        (cited(heading=("Opening hours",)), True),
        (cited(heading=("Opening hours", "On Sundays")), True),
        (cited(heading=("Prices",)), False),
        (cited(heading=()), False),
        (cited("b.md", ("Opening hours",)), False),
    ],
)
def test_a_section_holds_what_is_cited_below_its_heading(citation, holds):
    assert QuestionSource("a.md", ("Opening hours",)).holds(citation) is holds


def test_a_stored_pair_is_answered_by_its_answer_alone():
    """All pairs of a file have the same document and heading."""
    [question] = own_questions(stored(PAIR), 1)
    right, wrong = (Answer(Outcome.SUGGESTED, "", "ref", citations=(cited(quote=quote),)) for quote in ("Yes.", "No."))
    assert question.is_answered_by(right)
    assert not question.is_answered_by(wrong)
