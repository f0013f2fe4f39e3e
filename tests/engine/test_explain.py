"""Explaining an answer: what was searched for, what was read, what it was worth, and what would change the outcome."""

import json

import pytest

from bot.core.documents import Block, Form, FoundPassage, Locator, Passage
from bot.core.messages import Answer, Citation, Outcome, QueryVariant
from bot.core.settings import Settings
from bot.engine.confidence import Features
from bot.engine.explain import Explanation, explanation
from bot.engine.qa import Candidate, Considered
from bot.inference.reader import Reading
from bot.storage.base import Hit

TEXT = "Use soft water.\nDescale it with citric acid."
WORDS = (27, 43)  # with citric acid


def hit(document: str, score: float = 1.0) -> Hit:
    blocks = (
        Block(Form.PARAGRAPH, "Never mind.", ("Care",), Locator((3, 3))),
        Block(Form.PARAGRAPH, TEXT, ("Care",), Locator((5, 6))),
    )
    passage = Passage(blocks, ("Care",), f"Never mind.\n{TEXT}")
    return Hit(FoundPassage(document, "Guide", None, (0, 1), passage), score, (0.5,))


def candidate(confidence: float, covered: float = 0.75, margin: float = 2.0, document: str = "a.md") -> Candidate:
    found = Features(retrieval=0.875, covered=covered, sentence=0.625, margin=margin)
    return Candidate(hit(document, 0.875), Reading(0, 1, WORDS, margin), found, confidence)


def considered(*candidates: Candidate, unread: tuple[str, ...] = ()) -> Considered:
    """What the engine makes of these with a threshold of 0.75."""
    confidence = candidates[0].confidence if candidates else 0.0
    outcome = Outcome.ANSWERED if confidence >= 0.75 else Outcome.DECLINED
    answer = Answer(outcome, "What it says.", "ref", confidence=confidence)
    return Considered(answer, None, [QueryVariant("with what?")], candidates, [hit(document) for document in unread])


def explained(*candidates: Candidate, unread: tuple[str, ...] = ()) -> Explanation:
    settings = Settings(
        answer={"threshold": 0.75, "read_passages": 4}, knowledge={"base_url": "https://example.org/docs"}
    )
    return explanation(considered(*candidates, unread=unread), settings)


def test_every_candidate_is_cited_with_its_scores():
    """In the order of the engine; the citation leads to the best words, with the link that an answer would have."""
    told = explained(candidate(0.5), candidate(0.25, covered=0.125, margin=-3, document="b c.md"))
    first, second = told.candidates
    assert first.citation == Citation(
        "a.md", "Guide", ("Care",), (6, 6), None, None, "with citric acid", "https://example.org/docs/a.md"
    )
    assert (first.confidence, first.retrieval, first.covered) == (0.5, 0.875, 0.75)
    assert (first.sentence, first.margin) == (0.625, 2)
    assert (second.confidence, second.covered, second.margin) == (0.25, 0.125, -3)
    assert second.citation.url == "https://example.org/docs/b%20c.md"


def test_the_outcome_stands_beside_the_threshold():
    """And what was searched for with its weight."""
    told = explained(candidate(0.5))
    assert (told.outcome, told.answer, told.confidence, told.threshold) == (
        Outcome.DECLINED,
        "What it says.",
        0.5,
        0.75,
    )
    assert told.variants == [("with what?", 1.0)]


def test_documents_that_were_not_read_are_named_once_each():
    """The best first."""
    assert explained(candidate(0.5), unread=("c.md", "b.md", "c.md")).unread == ["c.md", "b.md"]


def test_an_answer_is_explained_by_the_threshold_it_reaches():
    """One sentence of advice is enough, whatever else could be said."""
    [advice, *more] = explained(candidate(0.91, covered=0.1, margin=-1), unread=("b.md",)).advice
    assert "confidence 0.91 reaches answer.threshold 0.75" in advice
    assert "A threshold above 0.91 would decline it" in advice
    assert more == []


@pytest.mark.parametrize(("confidence", "enough"), [(0.679, "0.67"), (0.5, "0.50"), (0.004, "0.00"), (0.7499, "0.74")])
def test_a_lower_threshold_is_named_that_would_do(confidence, enough):
    """Rounded down: 0.68 would still decline a confidence of 0.679."""
    [advice] = explained(candidate(confidence)).advice
    assert "is below answer.threshold 0.75" in advice
    assert f"A threshold of {enough} would answer it" in advice


@pytest.mark.parametrize(
    ("best", "unread", "said"),
    [
        (candidate(0.5, covered=0.49), (), "Fewer than half of the question's words"),
        (candidate(0.5, margin=-0.1), (), "likelier that the passage doesn't answer"),
        (candidate(0.5), ("b.md", "b.md"), "2 more passages were found but not read: none would have come first."),
    ],
)
def test_each_weakness_of_the_best_candidate_has_its_advice(best, unread, said):
    """Beside the threshold, and none without its weakness."""
    _, advice = explained(best, unread=unread).advice
    assert said in advice


def test_the_setting_that_left_passages_unread_is_named():
    """Where as many were read as it allows."""
    _, advice = explained(*(candidate(0.5) for _ in range(4)), unread=("b.md",)).advice
    assert "1 more passages were found but not read; answer.read_passages (now 4)" in advice


def test_what_is_at_the_border_is_no_weakness():
    """Half of the words, and as likely as not."""
    assert len(explained(candidate(0.5, covered=0.5, margin=0.0)).advice) == 1


def test_only_the_best_candidate_counts_for_the_advice():
    """Others are weak as a rule."""
    assert len(explained(candidate(0.5), candidate(0.1, covered=0.0, margin=-9)).advice) == 1


def test_that_nothing_was_found_is_said():
    """There is no confidence to speak of."""
    told = explained()
    assert (told.candidates, told.confidence) == ([], 0.0)
    [advice] = told.advice
    assert "Nothing was found at all" in advice


def test_small_talk_is_explained_as_such():
    """Nothing was searched for, so nothing was missed."""
    told = explanation(Considered(Answer(Outcome.SMALL_TALK, "Hello!", "ref")), Settings())
    [advice] = told.advice
    assert "small talk" in advice
    assert (told.variants, told.candidates, told.unread) == ([], [], [])


def test_an_explanation_is_json_for_programs():
    """With the citation of every candidate."""
    said = json.loads(json.dumps(explained(candidate(0.5), unread=("b.md",)).to_json()))
    assert (said["outcome"], said["threshold"], said["unread"]) == ("declined", 0.75, ["b.md"])
    assert said["variants"] == [["with what?", 1.0]]
    [only] = said["candidates"]
    assert (only["citation"]["quote"], only["citation"]["lines"], only["margin"]) == ("with citric acid", [6, 6], 2.0)
