"""Scores -> probability: between 0 and 1, and each kind of evidence counts in the right direction."""

from dataclasses import replace

import pytest

from bot.documents import Block, Form, FoundPassage, Passage
from bot.engine.confidence import Evidence, confidence, evidence
from bot.inference.reader import Reading
from bot.messages import Wording
from bot.storage.base import Hit

MIDDLE = Evidence(passage_cosine=0.5, text_cosine=0.5, covered=0.5)


@pytest.mark.parametrize("name", ["passage_cosine", "text_cosine", "covered"])
def test_more_evidence_never_makes_it_less_sure(name):
    """Whatever else speaks for the answer."""
    values = [confidence(replace(MIDDLE, **{name: value / 10})) for value in range(-10, 11)]
    assert values == sorted(values)
    assert 0 < values[0] < values[-1] < 1


def test_nothing_in_common_is_no_answer_and_everything_is():
    """The ends of the scale."""
    assert confidence(Evidence(0, 0, 0)) < 0.01
    assert confidence(Evidence(1, 1, 1)) > 0.99


def test_evidence_is_weighed_over_the_wordings_and_headings_count():
    """By hand: cosines 0.2 and 0.6 at weights a quarter and three quarters; the heading has one of the two words."""
    passage = Passage((Block(Form.PARAGRAPH, "Citric acid."),), ("Descaling",), "Citric acid.")
    hit = Hit(FoundPassage("a.md", "Guide", None, (0, 0), passage), 1.0, (0.2, 0.6))
    wordings = [Wording("zebra", 0.25), Wording("descaling zebra", 0.75)]
    found = evidence(wordings, hit, Reading(0, 0, (0, 12), score=1.0, cosine=0.4, shared=0.0))
    assert found.passage_cosine == pytest.approx(0.25 * 0.2 + 0.75 * 0.6)
    assert found.text_cosine == 0.4
    assert found.covered == pytest.approx(0.75 * 0.5)
