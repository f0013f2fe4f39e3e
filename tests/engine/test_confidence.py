"""Scores -> probability: between 0 and 1, and each score counts in the right direction."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.errors import WeightsError
from bot.engine.confidence import SHIPPED, SHIPPED_BY_WORDS, Calibration, Features
from bot.engine.logistic import LogisticModel

NOTHING = Features(relevance=-10.0, lead=-0.5, retrieval=0.0, cosine=0.0)
MIDDLE = Features(relevance=0.0, lead=0.1, retrieval=0.5, cosine=0.5)
EVERYTHING = Features(relevance=10.0, lead=0.5, retrieval=1.0, cosine=1.0)
WEIGHTS = {"relevance": 2.0, "lead": 3.0, "retrieval": 0.0, "cosine": -0.5}
NONE = dict.fromkeys(WEIGHTS, 0.0)
MODEL = {"intercept": 1, "weights": WEIGHTS}
NUMBERS = st.floats(-1e6, 1e6)


@pytest.mark.parametrize("file", [SHIPPED, SHIPPED_BY_WORDS])
def test_a_passage_that_answers_is_surer_than_one_that_does_not(file):
    """With the shipped numbers, whatever the search says."""
    shipped = Calibration.load(file)
    values = [shipped.confidence(replace(MIDDLE, relevance=relevance)) for relevance in range(-15, 16)]
    assert values == sorted(values)
    assert 0 < values[0] < values[-1] < 1


@pytest.mark.parametrize("file", [SHIPPED, SHIPPED_BY_WORDS])
def test_nothing_in_common_is_no_answer_and_everything_is(file):
    """The ends of the scale."""
    shipped = Calibration.load(file)
    assert shipped.confidence(NOTHING) < 0.1
    assert shipped.confidence(EVERYTHING) > 0.8


def test_the_confidence_is_the_product_of_two_logistic_models():
    """By hand: 1 / (1 + e^-(1 + 2 * 0.5 + 3 * 1 - 0.5 * 10)) = 0.5, and 1 / (1 + e^0) = 0.5."""
    calibration = Calibration(LogisticModel(1, WEIGHTS), LogisticModel(-7, {**NONE, "retrieval": 1}), {})
    assert calibration.confidence(Features(relevance=0.5, lead=1, retrieval=7, cosine=10)) == pytest.approx(0.25)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_no_features_are_too_strong_to_compute(relevance, lead, retrieval, cosine):
    """The result is a probability."""
    calibration = Calibration(LogisticModel(1, WEIGHTS), LogisticModel(1, WEIGHTS), {})
    assert 0 <= calibration.confidence(Features(relevance, lead, retrieval, cosine)) <= 1


def test_a_calibration_survives_its_file(tmp_path):
    """It is loaded as it was saved, provenance included."""
    calibration = Calibration(LogisticModel(-1.5, WEIGHTS), LogisticModel(0.5, NONE), {"sets": {"a": 3}})
    calibration.save(tmp_path / "c.json")
    assert Calibration.load(tmp_path / "c.json") == calibration


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        json.dumps({"on_topic": MODEL, "provenance": {}}),
        json.dumps({"on_topic": MODEL, "right": {"intercept": 1, "weights": {"retrieval": 1}}, "provenance": {}}),
        json.dumps(
            {"on_topic": MODEL, "right": {"intercept": 1, "weights": {**WEIGHTS, "margin": 1}}, "provenance": {}}
        ),
        json.dumps({"on_topic": MODEL, "right": {"intercept": None, "weights": WEIGHTS}, "provenance": {}}),
        json.dumps({**MODEL, "provenance": {}}),  # of one model, as it was once
    ],
)
def test_what_is_no_calibration_is_named_with_the_fix(tmp_path, content):
    """No traceback, and no guess."""
    file = tmp_path / "c.json"
    file.write_text(content)
    with pytest.raises(WeightsError, match=r"c\.json is no calibration .*--calibrate"):
        Calibration.load(file)


def test_the_shipped_calibration_says_what_it_was_fitted_on():
    """Sets with their numbers of questions."""
    assert json.loads(SHIPPED.read_text())["provenance"]["sets"]
