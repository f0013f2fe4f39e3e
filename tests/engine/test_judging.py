"""Passages found -> candidates: the reader's relevance and the search's score rank them together."""

from dataclasses import replace

import pytest

from bot.core.documents import Block, Form, FoundPassage, Passage
from bot.core.messages import QueryVariant
from bot.engine.confidence import Calibration, Features
from bot.engine.conversation import Interpretation
from bot.engine.judging import Judge, Judged
from bot.engine.logistic import LogisticModel
from bot.inference.reader import Reading
from bot.storage.base import Hit

# The confidence is 1 / (1 + e^-relevance).
NOTHING = {"relevance": 0.0, "lead": 0.0, "retrieval": 0.0, "cosine": 0.0}
CALIBRATION = Calibration(LogisticModel(700, NOTHING), LogisticModel(0.0, {**NOTHING, "relevance": 1.0}), {})


class FakeReader:
    """Finds the passages of these documents so relevant; None: they have no words."""

    def __init__(self, relevance: dict[str, float | None]) -> None:
        self.relevance = relevance
        self.asked: list[tuple[str, list[str]]] = []

    async def read(self, question, passages):
        self.asked.append((question, [found.document for found in passages]))
        logits = [self.relevance.get(found.document, 0.0) for found in passages]
        return [None if logit is None else Reading(logit, 0, (0, 1)) for logit in logits]


def hit(document: str, score: float, text: str = "Text.", heading: str = "", **block) -> Hit:
    headings = (heading,) if heading else ()
    passage = Passage((Block(Form.PARAGRAPH, text, headings, **block),), headings, text)
    return Hit(FoundPassage(document, "Title", None, (0, 0), passage), score, (0.25,))


def taken(text: str = "how?", *variants: QueryVariant) -> Interpretation:
    return Interpretation(variants or (QueryVariant(text),), text)


async def judged(*hits: Hit, question: str = "how?", read: int = 9, **relevance: float | None) -> Judged:
    return await Judge(FakeReader(relevance), CALIBRATION, read).judge(taken(question), hits)


def order(found: Judged) -> list[str]:
    return [candidate.hit.found.document for candidate in found.candidates]


async def test_relevance_and_search_rank_combined():
    """By hand: 0.63 + 0.02 * 3 is more than 0.65, and less than 0.72."""
    found = await judged(hit("a", 0.72), hit("b", 0.65), hit("c", 0.63), c=3.0)
    assert order(found) == ["a", "c", "b"]
    assert [candidate.rank for candidate in found.candidates] == pytest.approx([0.72, 0.69, 0.65])


async def test_all_passages_are_read_in_one_batch_up_to_the_limit():
    """For the question as it is taken; the others are named as unread, and stand behind."""
    reader = FakeReader({"b": 9.0})
    hits = [hit("a", 0.9), hit("b", 0.8), hit("c", 0.7), hit("d", 0.6)]
    found = await Judge(reader, CALIBRATION, 2).judge(taken("how? first"), hits)
    assert reader.asked == [("how? first", ["a", "b"])]
    assert order(found) == ["b", "a"]
    assert list(found.unread) == hits[2:]
    assert [one.found.document for one in found.hits] == ["b", "a", "c", "d"]


async def test_what_the_search_puts_far_behind_is_not_read():
    """It may lead no more; a passage just in reach is read."""
    reader = FakeReader({"c": 9.0})
    hits = [hit("a", 0.8), hit("b", 0.71), hit("c", 0.69)]
    found = await Judge(reader, CALIBRATION, 9).judge(taken(), hits)
    assert reader.asked == [("how?", ["a", "b"])]
    assert list(found.unread) == hits[2:]


async def test_the_lead_over_what_is_unread_is_that_of_the_search():
    """By hand: 0.8 - 0.5, as if the unread one were as relevant. A passage of the same section is no rival."""
    found = await judged(hit("a", 0.8), hit("a", 0.7, text="More."), hit("b", 0.5), a=2.0)
    assert found.candidates[0].features.lead == pytest.approx(0.3)


async def test_the_confidence_is_that_of_the_best():
    """The calibration makes it of the features."""
    found = await judged(hit("a", 0.9), hit("b", 0.1), a=1.0, b=2.0)
    assert found.confidence == found.candidates[0].confidence == pytest.approx(0.731, abs=0.001)


async def test_features_are_those_that_confidence_is_made_of():
    """By hand: the cosines weigh 0.25 * 0.2 + 0.75 * 0.6."""
    one = hit("a", 0.5)
    variants = QueryVariant("now?", 0.25), QueryVariant("now? how?", 0.75)
    found = await Judge(FakeReader({"a": 3.0}), CALIBRATION, 9).judge(
        taken("now? how?", *variants), [Hit(one.found, one.score, (0.2, 0.6))]
    )
    [candidate] = found.candidates
    assert candidate.features == Features(
        relevance=3.0, lead=pytest.approx(0.1), retrieval=0.5, cosine=pytest.approx(0.5)
    )


async def test_the_lead_is_over_the_best_of_another_section():
    """Two passages of one section don't compete; what is behind has a negative lead, and none is beyond a half."""
    found = await judged(
        hit("a", 0.9, heading="One"),
        hit("a", 0.85, heading="One"),
        hit("a", 0.81, heading="Two"),
        hit("b", 0.82),
        b=-30.0,
    )
    assert [candidate.features.lead for candidate in found.candidates] == pytest.approx([0.09, 0.04, -0.09, -0.5])
    assert found.candidates[0].section == found.candidates[1].section == ("a", ("One",))


async def test_a_passage_without_words_is_no_candidate():
    """It is passed over."""
    assert order(await judged(hit("a", 0.9), hit("b", 0.8), a=None)) == ["b"]


async def test_nothing_found_is_no_confidence():
    """And no error."""
    found = await judged()
    assert (found.candidates, found.unread, found.confidence, found.hits) == ((), (), 0.0, [])


async def test_what_speaks_of_a_sibling_comes_behind():
    """P-300 is not P-400, however relevant it seems."""
    found = await judged(
        hit("a", 0.9, "The P-300 costs 90 euros."),
        hit("b", 0.7, "The P-400 costs 120 euros."),
        question="How much is the P-400?",
    )
    assert order(found) == ["b", "a"]
    assert [candidate.contradicts for candidate in found.candidates] == [False, True]


async def test_what_agrees_is_read_behind_what_contradicts():
    """However far ahead the search puts the sibling."""
    found = await judged(hit("a", 0.9, "The P-300."), hit("b", 0.65, "The P-400."), question="The P-400?")
    assert order(found) == ["b", "a"]


@pytest.mark.parametrize(
    "one",
    [
        hit("a", 0.9, "It costs 120 euros, the P-300 only 90.", heading="P-400"),
        hit("a", 0.9, "120 euros, the P-300 only 90.", context="How much is the P-400?"),
        hit("a", 0.9, "The p-400 costs more than the P-300."),
    ],
)
async def test_a_detail_may_stand_anywhere_in_a_passage(one):
    """In a heading or in the question of a stored pair too."""
    [candidate] = (await judged(one, question="How much is the P-400?")).candidates
    assert not candidate.contradicts


async def test_without_the_best_the_next_one_leads():
    """Its lead is over those behind it that aren't shown."""
    judge = Judge(FakeReader({}), CALIBRATION, 9)
    found = await judge.judge(taken(), [hit("a", 0.9), hit("b", 0.87), hit("c", 0.84), hit("d", 0.82)])
    assert [one.features.lead for one in found.candidates] == pytest.approx([0.06, -0.03, -0.06, -0.08])
    without = await judge.without_best(found)
    assert order(without) == ["b", "c", "d"]
    assert [one.found.document for one in without.hits] == ["b", "c", "d", "a"]
    assert [one.features.lead for one in without.candidates] == pytest.approx([0.05, -0.03, -0.05])


async def test_the_best_of_another_section_that_comes_close_stands_beside():
    """Not one of the same section, one that contradicts the question, or one that is far behind."""
    found = await judged(hit("a", 0.9), hit("a", 0.89), hit("b", 0.88), hit("c", 0.87))
    assert found.beside is not None
    assert found.beside is found.candidates[2]
    alone = await judged(hit("a", 0.9), hit("a", 0.89), hit("b", 0.78))
    assert alone.beside is None
    other = await judged(hit("a", 0.9, "The P-400."), hit("b", 0.9, "The P-300."), question="The P-400?")
    assert other.beside is None
    assert (await judged()).beside is None


async def test_a_suggestion_has_the_two_best_of_other_sections_as_alternatives():
    """They may be further behind than what stands beside an answer. An older edition is none."""
    hits = [hit("a", 0.9), hit("a", 0.89), hit("b", 0.83), hit("b", 0.82), hit("c", 0.81), hit("d", 0.81)]
    found = await judged(*hits)
    assert [one.hit for one in found.alternatives] == [hits[2], hits[4]]
    assert [one.hit for one in replace(found, older=(found.candidates[2],)).alternatives] == [hits[4], hits[5]]
    far = await judged(hit("a", 0.9), hit("b", 0.79))
    assert far.alternatives == []
    other = await judged(hit("a", 0.9, "The P-400."), hit("b", 0.9, "The P-300."), question="The P-400?")
    assert other.alternatives == []


async def test_where_none_of_the_best_says_anything_the_next_passages_are_read():
    """They are judged among themselves; the others stand among what was found."""
    reader = FakeReader({"a": None})
    found = await Judge(reader, CALIBRATION, 9).judge(taken(), [hit("a", 0.9), hit("b", 0.5), hit("c", 0.45)])
    assert order(found) == ["b", "c"]
    assert [documents for _, documents in reader.asked] == [["a"], ["b", "c"]]
    assert [one.found.document for one in found.hits] == ["b", "c", "a"]


async def test_without_the_only_one_the_next_passages_are_read():
    """They were far behind it, and are judged among themselves."""
    reader = FakeReader({})
    judge = Judge(reader, CALIBRATION, 9)
    found = await judge.judge(taken(), [hit("a", 0.9), hit("b", 0.5), hit("c", 0.45)])
    assert order(found) == ["a"]
    without = await judge.without_best(found)
    assert order(without) == ["b", "c"]
    assert [documents for _, documents in reader.asked] == [["a"], ["b", "c"]]
    assert [one.found.document for one in without.hits] == ["b", "c", "a"]
