"""Questions and answers survive a restart: from JSON they come back the same."""

import json
from dataclasses import FrozenInstanceError
from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.messages import Address, Answer, Citation, Outcome, QueryVariant, Question, Stage, Turn, Update

TEXT = st.text()
PLACES = st.none() | st.integers(1, 10**6)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
ADDRESSES = st.builds(Address, TEXT, TEXT, TEXT, st.dictionaries(TEXT, JSON_VALUES, max_size=3))
QUESTIONS = st.builds(
    Question,
    text=TEXT,
    conversation=TEXT,
    author=TEXT,
    address=ADDRESSES,
    received_at=st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3, minutes=-30))])),
    replied_to=st.none() | TEXT,
)
CITATIONS = st.builds(
    Citation,
    document=TEXT,
    title=TEXT,
    heading=st.lists(TEXT, max_size=3).map(tuple),
    lines=st.none() | st.tuples(st.integers(1), st.integers(1)),
    page=PLACES,
    row=PLACES,
    quote=TEXT,
    url=st.none() | TEXT,
)
ANSWERS = st.builds(
    Answer,
    outcome=st.sampled_from(Outcome),
    text=TEXT,
    reference=TEXT,
    span=st.none() | TEXT,
    confidence=st.floats(0, 1),
    citations=st.lists(CITATIONS, max_size=3).map(tuple),
    retrieved=st.lists(TEXT, max_size=3).map(tuple),
    timings_ms=st.dictionaries(TEXT, st.floats(0, 1e6), max_size=3),
    more=TEXT,
)


@given(QUESTIONS)
def test_a_question_comes_back_from_json_as_it_was(question):
    """With its address, its time zone and every character."""
    back = Question.from_json(json.loads(json.dumps(question.to_json())))
    assert back == question
    assert back.received_at.utcoffset() == question.received_at.utcoffset()


@given(ANSWERS)
def test_an_answer_comes_back_from_json_as_it_was(answer):
    """Tuples are tuples again, and the outcome is an outcome."""
    back = Answer.from_json(json.loads(json.dumps(answer.to_json())))
    assert back == answer
    assert isinstance(back.outcome, Outcome)
    assert hash(back.citations) == hash(answer.citations)


def test_the_json_of_an_answer_speaks_to_people_and_programs():
    """Its names are a promise to whoever reads the HTTP interface or the evaluation's file."""
    citation = Citation("a.md", "A", ("H",), (1, 2), None, None, "quote", "https://x.org")
    data = Answer(Outcome.ANSWERED, "text", "ref", "span", 0.9, (citation,), ("a.md",), {"total": 1.5}).to_json()
    assert json.loads(json.dumps(data)) == {
        "outcome": "answered",
        "answered": True,
        "answer": "text",
        "reference": "ref",
        "span": "span",
        "confidence": 0.9,
        "citations": [
            {
                "document": "a.md",
                "title": "A",
                "heading": ["H"],
                "lines": [1, 2],
                "page": None,
                "row": None,
                "quote": "quote",
                "url": "https://x.org",
                "paragraph": None,
                "markup": "markdown",
                "number": None,
            }
        ],
        "retrieved": ["a.md"],
        "timings_ms": {"total": 1.5},
        "late": False,
        "phrasing": None,
        "more": "",
        "pieces": [{"text": "text", "markup": "markdown", "bold": None}],
        "more_pieces": [],
    }


def test_an_answer_that_an_earlier_version_wrote_has_nothing_more():
    """It waits in the journal while the bot is brought up to date."""
    answer = Answer(Outcome.DECLINED, "text", "ref")
    written = answer.to_json()
    del written["more"]
    assert Answer.from_json(written) == answer


def test_the_json_of_a_suggestion_says_that_it_is_no_sure_answer():
    data = Answer(Outcome.SUGGESTED, "text", "ref").to_json()
    assert (data["outcome"], data["answered"], data["answer"]) == ("suggested", False, "text")


@pytest.mark.parametrize("outcome", Outcome)
def test_only_an_answer_from_the_documents_counts_as_answered(outcome):
    """Small talk, suggesting, declining and failing don't."""
    assert Answer(outcome, "text", "ref").answered is (outcome is Outcome.ANSWERED)


@pytest.mark.parametrize(
    "message",
    [
        Address("test", "chat", "1"),
        Answer(Outcome.DECLINED, "text", "ref"),
        Turn("q", "a"),
        Update(Stage.QUEUED),
        QueryVariant("text"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_messages_are_frozen(message):
    """They pass from task to task, and nobody may change them on the way."""
    name = next(iter(type(message).__slots__))
    with pytest.raises(FrozenInstanceError):
        setattr(message, name, "other")
