"""Whether a threshold tells own questions from unrelated ones."""

import pytest

from bot.core.documents import Block, Form, Locator, Passage
from bot.evaluation.threshold import ThresholdFit, own_questions
from bot.storage.base import StoredPassage


def fit(threshold: float, own: list[float], unrelated: list[float]) -> ThresholdFit:
    return ThresholdFit(threshold, tuple(own), tuple(unrelated))


@pytest.mark.parametrize(
    ("threshold", "fits", "answered", "wrongly"),
    [(0.5, True, 1.0, 0.0), (0.95, False, 0.0, 0.0), (0.1, False, 1.0, 1.0)],
)
def test_a_threshold_fits_if_it_tells_both_apart(threshold, fits, answered, wrongly):
    """Too high declines what the documents answer, too low answers what they don't."""
    found = fit(threshold, [0.8, 0.85, 0.9] * 4, [0.15, 0.2, 0.25] * 4)
    assert (found.fits, found.answered, found.wrongly_answered) == (fits, answered, wrongly)
    assert found.suggested == pytest.approx(0.52, abs=0.02)
    assert found.enough


def test_a_handful_of_questions_says_nothing():
    """Nobody should change a setting for it."""
    assert not fit(0.5, [0.9] * 7, [0.1] * 30).enough


def test_questions_are_the_stored_ones_and_the_headings():
    """Each once, the same ones each time, and no more than were wanted."""
    pair = Block(Form.PAIR, "Yes.", (), Locator(), "Is it open?", ())
    text = Block(Form.PARAGRAPH, "Text.", ("Opening hours",), Locator(), "", ())
    question = Block(Form.PARAGRAPH, "Text.", ("Who may come?",), Locator(), "", ())
    stored = [
        StoredPassage("a.md", "Guide", "en", Passage((block,), block.heading, block.text))
        for block in (pair, text, text, question)
    ]
    assert sorted(own_questions(stored, 10)) == ["Is it open?", "Opening hours (Guide)", "Who may come?"]
    assert own_questions(stored, 2) == own_questions(stored, 2)
    assert len(own_questions(stored, 2)) == 2
