"""Explaining an answer: what was searched for, what was read, what it was worth, and what would change the outcome."""

import json

import pytest

from bot.core.documents import Block, Form, FoundPassage, Locator, Passage
from bot.core.messages import Answer, Citation, Outcome, QueryVariant
from bot.core.settings import Settings
from bot.engine.confidence import Features
from bot.engine.conversation import Interpretation
from bot.engine.explain import Explanation, explanation
from bot.engine.judging import Candidate, Judged
from bot.engine.qa import Considered
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


def candidate(
    confidence: float, relevance: float = 2.0, document: str = "a.md", *, contradicts: bool = False
) -> Candidate:
    features = Features(relevance=relevance, lead=0.25, retrieval=0.875, cosine=0.625)
    return Candidate(hit(document, 0.875), Reading(relevance, 1, WORDS), 0.75, features, confidence, contradicts)


def explained(outcome: Outcome, *candidates: Candidate, unread: tuple[str, ...] = ()) -> Explanation:
    """The explanation with a threshold of 0.75, and 0.25 for suggestions."""
    settings = Settings(
        answer={"threshold": 0.75, "suggest_threshold": 0.25}, knowledge={"base_url": "https://example.org/docs"}
    )
    taken = Interpretation((QueryVariant("with what?"),), "with what?")
    judged = Judged(taken, candidates, tuple(hit(document) for document in unread))
    answer = Answer(outcome, "What it says.", "ref", confidence=judged.confidence)
    return explanation(Considered(answer, None, judged), settings)


def declined(*candidates: Candidate, unread: tuple[str, ...] = ()) -> Explanation:
    return explained(Outcome.DECLINED, *candidates, unread=unread)


def test_every_candidate_is_cited_with_its_scores():
    """In the order of the engine; the citation leads to the best words, with the link that an answer would have."""
    first, second = declined(candidate(0.2), candidate(0.125, relevance=-3, document="b c.md")).candidates
    assert first.citation == Citation(
        "a.md", "Guide", ("Care",), (6, 6), None, None, "with citric acid", "https://example.org/docs/a.md"
    )
    assert (first.confidence, first.relevance, first.lead) == (0.2, 2, 0.25)
    assert (first.retrieval, first.cosine) == (0.875, 0.625)
    assert (second.confidence, second.relevance) == (0.125, -3)
    assert second.citation.url == "https://example.org/docs/b%20c.md"


def test_the_outcome_stands_beside_both_bounds():
    """And what was searched for with its weight."""
    told = explained(Outcome.SUGGESTED, candidate(0.5))
    assert (told.outcome, told.answer, told.confidence) == (Outcome.SUGGESTED, "What it says.", 0.5)
    assert (told.threshold, told.suggest_threshold) == (0.75, 0.25)
    assert told.variants == [("with what?", 1.0)]


def test_documents_that_were_not_read_are_named_once_each():
    """The best first."""
    assert declined(candidate(0.2), unread=("c.md", "b.md", "c.md")).unread == ["c.md", "b.md"]


def test_an_answer_is_explained_by_the_threshold_it_reaches():
    """One sentence of advice is enough, whatever else could be said."""
    [advice] = explained(Outcome.ANSWERED, candidate(0.91, relevance=-1), unread=("b.md",)).advice
    assert "confidence 0.91 reaches answer.threshold 0.75" in advice
    assert "A threshold above 0.91 would only suggest it" in advice


@pytest.mark.parametrize(("confidence", "enough"), [(0.679, "0.67"), (0.5, "0.50"), (0.7499, "0.74")])
def test_a_suggestion_is_explained_by_both_bounds(confidence, enough):
    """A threshold that would answer it is rounded down: 0.68 would still only suggest a confidence of 0.679."""
    [advice] = explained(Outcome.SUGGESTED, candidate(confidence)).advice
    assert "is below answer.threshold 0.75" in advice
    assert "reaches answer.suggest_threshold 0.25" in advice
    assert f"A threshold of {enough} would answer it" in advice


def test_a_contradiction_is_why_a_sure_answer_is_only_suggested():
    """No threshold would help."""
    [advice] = explained(Outcome.SUGGESTED, candidate(0.9, contradicts=True)).advice
    assert "speaks of another one" in advice
    assert "threshold" not in advice


def test_an_unsure_suggestion_is_explained_by_its_confidence_first():
    """Whether it contradicts or not."""
    [advice] = explained(Outcome.SUGGESTED, candidate(0.5, contradicts=True)).advice
    assert "below answer.threshold" in advice


@pytest.mark.parametrize(("confidence", "enough"), [(0.179, "0.17"), (0.004, "0.00"), (0.2499, "0.24")])
def test_a_lower_bound_is_named_that_would_suggest(confidence, enough):
    """Rounded down as well."""
    [advice] = declined(candidate(confidence)).advice
    assert "is below answer.suggest_threshold 0.25" in advice
    assert f"One of {enough} would suggest it" in advice


def test_that_the_reader_finds_no_answer_has_its_advice():
    """Beside the bound; what is as likely as not has none, and only the best candidate counts."""
    _, advice = declined(candidate(0.2, relevance=-0.1)).advice
    assert "likelier that the passage doesn't answer" in advice
    assert len(declined(candidate(0.2, relevance=0.0), candidate(0.1, relevance=-9)).advice) == 1


def test_that_nothing_was_found_is_said():
    """There is no confidence to speak of."""
    told = declined()
    assert (told.candidates, told.confidence) == ([], 0.0)
    [advice] = told.advice
    assert "Nothing was found" in advice


def test_small_talk_is_explained_as_such():
    """Nothing was searched for, so nothing was missed."""
    told = explanation(Considered(Answer(Outcome.SMALL_TALK, "Hello!", "ref")), Settings())
    [advice] = told.advice
    assert "small talk" in advice
    assert (told.variants, told.candidates, told.unread) == ([], [], [])


def test_an_older_section_and_several_questions_are_named():
    """Which one was preferred can't be seen from the numbers."""
    taken = Interpretation((QueryVariant("with what?"),), "with what?")
    newest, older = candidate(0.875, document="b.md"), candidate(0.5)
    judged = Judged(taken, (newest, older), (), older=(older,))
    answer = Answer(Outcome.ANSWERED, "What it says.", "ref", confidence=0.875)
    advice = explanation(Considered(answer, None, judged, questions=("With what?", "When?")), Settings()).advice
    assert advice[0] == "Taken as 2 questions; the passages below were read for the first one."
    assert advice[-1] == "“Guide › Care” (a.md) is older than the first passage or replaced by it."


def test_a_section_that_is_shown_beside_the_first_is_named():
    taken = Interpretation((QueryVariant("with what?"),), "with what?")
    first, beside = candidate(0.875, document="b.md"), candidate(0.5)
    judged = Judged(taken, (first, beside), (), beside)
    answer = Answer(Outcome.ANSWERED, "What they say.", "ref", confidence=0.875)
    advice = explanation(Considered(answer, None, judged), Settings()).advice
    assert advice[-1] == (
        "“Guide › Care” (a.md) comes so close that it is shown too; the confidence is that one of the two is right."
    )


def test_the_other_sections_of_a_suggestion_are_named():
    taken = Interpretation((QueryVariant("with what?"),), "with what?")
    first, next_best = candidate(0.875, document="b.md"), candidate(0.5)
    judged = Judged(taken, (first, next_best), ())
    for outcome, shown in (
        (Outcome.SUGGESTED, (first.hit, next_best.hit)),
        (Outcome.SUGGESTED, (first.hit,)),  # the other says nothing
        (Outcome.ANSWERED, (first.hit,)),
    ):
        answer = Answer(outcome, "What they say.", "ref", confidence=0.5)
        advice = explanation(Considered(answer, None, judged, shown), Settings()).advice
        said = "“Guide › Care” (a.md) ranks next, and is suggested too because the first is not sure."
        assert (advice[-1] == said) is (len(shown) > 1)


def test_lines_are_for_a_chat():
    """The advice, then each candidate with its place."""
    told = declined(candidate(0.2), candidate(0.1, document="b.md"))
    advice, first, second = told.lines()
    assert [advice] == told.advice
    assert first.startswith("0.20: with citric acid (a.md; relevance +2.0, lead +0.25, search 0.88, meaning 0.62)")
    assert "(b.md;" in second


def test_an_explanation_is_json_for_programs():
    """With the citation of every candidate."""
    said = json.loads(json.dumps(declined(candidate(0.2), unread=("b.md",)).to_json()))
    assert (said["outcome"], said["threshold"], said["suggest_threshold"]) == ("declined", 0.75, 0.25)
    assert (said["variants"], said["unread"]) == ([["with what?", 1.0]], ["b.md"])
    [only] = said["candidates"]
    assert (only["citation"]["quote"], only["citation"]["lines"], only["relevance"]) == (
        "with citric acid",
        [6, 6],
        2.0,
    )
