"""Two short questions in one message: taken apart where each can stand alone, answered as one reply."""

import pytest

from bot.core.messages import Answer, Citation, Outcome
from bot.engine.several import are_about_different_things, combined, questions_in


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("What does a tent cost, and what does a boat cost?", ["What does a tent cost?", "what does a boat cost?"]),
        ("Where is the office? And when is it open?", ["Where is the office?", "when is it open?"]),
        ("where is the office? can I park there", ["where is the office?", "can I park there?"]),
        ("How do I join and how much is it and who do I write to?", None),
    ],
)
def test_each_question_stands_by_itself(text, parts):
    """With its own mark; three are the most."""
    assert questions_in(text) == (parts or ["How do I join?", "how much is it?", "who do I write to?"])


@pytest.mark.parametrize(
    "text",
    [
        "What does a tent cost?",
        "What is the difference between a tent and a boat?",
        "I have a tent and a boat. What do they cost?",  # the first is no question
        "Why? What does a boat cost?",  # it says nothing by itself
        "What is a, and what is b, and what is c, and what is d?",
        "Where is the office? " * 20,
        "???",
    ],
)
def test_what_is_one_question_stays_one(text):
    assert questions_in(text) == [text]


def answered(text: str, heading: str, outcome: Outcome = Outcome.ANSWERED, **values) -> Answer:
    citation = Citation("a.md", "Park", (heading,), (1, 1), None, None, None, text, None)
    return Answer(outcome, text, "r1", span=text, citations=(citation,), retrieved=("a.md",), **values)


def test_the_reply_has_each_answer_below_its_question():
    """And is as unsure as the least sure of them."""
    tent = answered("9 euros", "Tents", confidence=0.9, timings_ms={"read": 5.0}, more="More on tents.")
    boat = answered("30 euros", "Boats", confidence=0.6, timings_ms={"read": 7.5})
    both = combined(["A tent?", "a boat?"], [tent, boat])
    assert both.text == "**A tent?**\n\n9 euros\n\n**A boat?**\n\n30 euros"
    assert (both.outcome, both.confidence, both.span) == (Outcome.ANSWERED, 0.6, "9 euros")
    assert [citation.heading for citation in both.citations] == [("Tents",), ("Boats",)]
    assert (both.retrieved, both.timings_ms, both.more) == (("a.md",), {"read": 12.5}, "**A tent?**\n\nMore on tents.")


def test_only_answers_from_different_sections_are_put_combined():
    """One section answers both as it is, and a part without an answer leaves the message whole."""
    tent, boat = answered("9 euros", "Prices"), answered("30 euros", "Prices")
    assert not are_about_different_things([tent, boat])
    assert are_about_different_things([tent, answered("30", "Boats", Outcome.SUGGESTED)])
    assert not are_about_different_things([tent, Answer(Outcome.DECLINED, "no", "r2")])
