"""Scores -> probability: between 0 and 1, and each kind of features counts in the right direction."""

import json
from dataclasses import replace

import pytest

from bot.core.documents import Block, Form, FoundPassage, Passage
from bot.core.errors import WeightsError
from bot.core.messages import QueryVariant
from bot.engine.confidence import SHIPPED, Calibration, Features, answering_sentence, features
from bot.inference.reader import Reading
from bot.storage.base import Hit

NOTHING = Features(retrieval=0.0, covered=0.0, sentence=0.0, margin=-10.0)
MIDDLE = Features(retrieval=0.5, covered=0.5, sentence=0.5, margin=0.0)
EVERYTHING = Features(retrieval=1.0, covered=1.0, sentence=1.0, margin=20.0)
RANGES = [("retrieval", -1, 1), ("covered", 0, 1), ("sentence", -1, 1), ("margin", -20, 20)]


@pytest.mark.parametrize(("name", "low", "high"), RANGES)
def test_more_evidence_never_makes_it_less_sure(name, low, high):
    """Whatever else speaks for the answer."""
    steps = [low + (high - low) * step / 20 for step in range(21)]
    values = [Calibration.load(SHIPPED).confidence(replace(MIDDLE, **{name: value})) for value in steps]
    assert values == sorted(values)
    assert 0 < values[0] <= values[-1] < 1


def test_what_is_found_what_is_read_and_what_it_says_all_count():
    """None is left out of the shipped numbers."""
    weights = Calibration.load(SHIPPED).weights
    assert weights["retrieval"] > 0
    assert weights["sentence"] > 0
    assert weights["margin"] > 0


def test_nothing_in_common_is_no_answer_and_everything_is():
    """The ends of the scale."""
    shipped = Calibration.load(SHIPPED)
    assert shipped.confidence(NOTHING) < 0.02
    assert shipped.confidence(EVERYTHING) > 0.9


def test_the_model_is_logistic():
    """By hand: 1 / (1 + e^-(1 + 2 * 0.5 + 3 * 1 - 0.5 * 10)) = 0.5; and no features is too strong to compute."""
    calibration = Calibration(1, {"retrieval": 2, "covered": 3, "margin": -0.5}, {})
    assert calibration.confidence(Features(0.5, 1, 0, 10)) == pytest.approx(0.5)
    assert calibration.confidence(Features(0, 0, 0, 1e6)) == pytest.approx(0)


def test_a_calibration_survives_its_file(tmp_path):
    """What was saved is loaded, provenance included."""
    weights = {"retrieval": 2.0, "covered": 3.0, "sentence": 0.0, "margin": 0.5}
    calibration = Calibration(-1.5, weights, {"sets": {"a": 3}})
    calibration.save(tmp_path / "c.json")
    assert Calibration.load(tmp_path / "c.json") == calibration


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", '{"intercept": 1, "weights": {"retrieval": 1}, "provenance": {}}', '{"intercept": null}'],
)
def test_what_is_no_calibration_is_named_with_the_fix(tmp_path, content):
    """No traceback, and no guess."""
    file = tmp_path / "c.json"
    file.write_text(content)
    with pytest.raises(WeightsError, match=r"c\.json is no calibration .*--calibrate"):
        Calibration.load(file)


def test_the_shipped_calibration_says_what_it_was_fitted_on():
    """Sets with their numbers of questions."""
    provenance = json.loads(SHIPPED.read_text())["provenance"]
    assert set(provenance["sets"]) >= {"squad2", "doc2dial", "clapnq"}


def test_evidence_is_weighed_over_the_wordings_and_headings_count():
    """By hand: the heading has one of the two words of the variant that weighs three quarters."""
    passage = Passage((Block(Form.PARAGRAPH, "Citric acid."),), ("Descaling",), "Citric acid.")
    hit = Hit(FoundPassage("a.md", "Guide", None, (0, 0), passage), 1.0, (0.2, 0.6))
    variants = [QueryVariant("zebra", 0.25), QueryVariant("descaling zebra", 0.75)]
    found = features(variants, hit, Reading(0, 0, (0, 12), score=1.5), sentence=0.5)
    assert found == Features(retrieval=1.0, covered=pytest.approx(0.75 * 0.5), sentence=0.5, margin=1.5)


@pytest.mark.parametrize(
    ("block", "words", "said"),
    [
        (Block(Form.PARAGRAPH, "It is old. It runs on acid. Amen."), "acid", "It runs on acid."),
        (Block(Form.PARAGRAPH, "Yes. Always.", ("Guide", "May I?")), "Yes", "May I?\nYes."),
        (Block(Form.LIST, "- salt\n- acid\n- lime\n", ("What to use",)), "acid", "What to use\n- acid"),
        (
            Block(Form.TABLE, "| salt | 3 |\n| acid | 4 |", context="| what | how much |"),
            "4",
            "| what | how much |\n| acid | 4 |",
        ),
        (Block(Form.PAIR, "Once a year.", context="How often?"), "Once a year.", "How often?\nOnce a year."),
    ],
)
def test_the_sentence_that_answers_can_be_understood_alone(block, words, said):
    """With the heading that it stands below, the question that it answers, the header of its row."""
    start = block.text.index(words)
    reading = Reading(0, 1, (start, start + len(words)), score=0.0)
    sentence = answering_sentence(Passage((Block(Form.PARAGRAPH, "Before."), block), (), ""), reading)
    assert sentence == said
