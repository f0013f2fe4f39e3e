"""Grouping what was declined: by meaning, the most wanted first."""

import json
import math
from datetime import UTC, datetime

import numpy as np

from bot.core.messages import Address, Answer, Outcome, Question
from bot.engine.gaps import Gap, grouped
from bot.storage.base import Declined


def declined(text: str, confidence: float = 0.1, at: float = 0, retrieved: tuple[str, ...] = ()) -> Declined:
    question = Question(text, "c", "someone", Address("test", "chat", text), datetime.now(UTC))
    answer = Answer(Outcome.DECLINED, "No.", "ref", confidence=confidence, retrieved=retrieved)
    return Declined(0, question, answer, at)


def at_degrees(*degrees: float) -> np.ndarray:
    """Unit vectors in a plane. 53 degrees apart is a cosine of 0.602, 54 one of 0.588."""
    return np.array([(math.cos(math.radians(d)), math.sin(math.radians(d))) for d in degrees], dtype=np.float32)


def groups(*degrees: float) -> set[tuple[str, ...]]:
    """The groups of questions at these degrees, each question named by its own."""
    asked = [declined(str(degree), at=-number) for number, degree in enumerate(degrees)]
    return {gap.questions for gap in grouped(asked, at_degrees(*degrees))}


def test_nothing_declined_is_no_gap():
    """A bot that nobody has asked yet."""
    assert grouped([], np.empty((0, 2), dtype=np.float32)) == []


def test_what_is_near_in_meaning_is_one_gap():
    """From a cosine of 0.6 on."""
    assert groups(0, 53, 107) == {("0", "53"), ("107",)}
    assert groups(0, 54) == {("0",), ("54",)}


def test_a_question_joins_the_nearest_group():
    """Not the first that is near enough."""
    assert groups(0, 60, 35) == {("0",), ("60", "35")}


def test_groups_do_not_grow_from_neighbour_to_neighbour():
    """A question near the second of a group but not near its first begins another gap."""
    assert groups(0, 50, 100) == {("0", "50"), ("100",)}


def test_what_is_asked_most_often_comes_first_and_then_what_was_asked_last():
    """Two questions before one, and of the single ones the later before the earlier."""
    asked = [declined("new", at=9), declined("twice", at=2), declined("old", at=3), declined("again", at=1)]
    gaps = grouped(asked, at_degrees(0, 90, 180, 91))
    assert [gap.questions for gap in gaps] == [("twice", "again"), ("new",), ("old",)]
    assert [gap.last_at for gap in gaps] == [2, 9, 3]


def test_a_gap_tells_how_near_the_documents_came():
    """The confidence and the first three documents of the surest question; the questions latest first."""
    asked = [
        declined("first", 0.2, at=1, retrieved=("x.md",)),
        declined("third", 0.5, at=3, retrieved=("a.md", "b.md", "c.md", "d.md")),
        declined("second", 0.4, at=2),
    ]
    assert grouped(asked, at_degrees(0, 1, 2)) == [
        Gap(("third", "second", "first"), 0.5, ("a.md", "b.md", "c.md"), last_at=3)
    ]


def test_a_gap_is_json_for_programs():
    """Every field under its own name."""
    [gap] = grouped([declined("why?", 0.25, at=7, retrieved=("a.md",))], at_degrees(0))
    assert json.loads(json.dumps(gap.to_json())) == {
        "questions": ["why?"],
        "confidence": 0.25,
        "nearest": ["a.md"],
        "last_at": 7,
    }
