"""Neighbours that were found together become one passage, as long as a reader can still read it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.documents import Block, Form, FoundPassage, Passage
from bot.knowledge.search import merge_neighbours
from bot.storage.base import Hit


def hit(
    position: int,
    score: float = 0.5,
    document: str = "a.md",
    heading: tuple[str, ...] = (),
    form: Form = Form.PARAGRAPH,
) -> Hit:
    passage = Passage((Block(form, f"text {position}", heading),), heading, f"body {position}")
    return Hit(FoundPassage(document, "A", None, (position, position), passage), score, (score,))


def places(hits: list[Hit]) -> list[tuple[int, int]]:
    return [hit.found.positions for hit in hits]


@pytest.mark.parametrize("positions", [(4, 5), (5, 4)])
def test_neighbours_are_joined_in_the_order_of_the_document(positions):
    """Whichever of them was found first, whose score counts."""
    [merged] = merge_neighbours([hit(positions[0], 0.9), hit(positions[1], 0.2)])
    assert (merged.score, merged.cosines) == (0.9, (0.9,))
    assert merged.found.positions == (4, 5)
    assert [block.text for block in merged.found.passage.blocks] == ["text 4", "text 5"]
    assert merged.found.passage.body == "body 4\nbody 5"


def test_the_joined_passage_stands_where_the_better_one_stood():
    """What lies between the two in rank stays where it is."""
    merged = merge_neighbours([hit(1, 0.9), hit(7, 0.8), hit(2, 0.7), hit(9, 0.6)])
    assert places(merged) == [(1, 2), (7, 7), (9, 9)]
    assert [hit.score for hit in merged] == [0.9, 0.8, 0.6]


@pytest.mark.parametrize(
    "other",
    [
        hit(3),
        hit(1),
        hit(2, document="b.md"),
        hit(2, heading=("H",)),
        hit(2, form=Form.PAIR),
    ],
    ids=["not next to it", "itself", "another document", "another heading", "a stored pair"],
)
def test_others_stay_apart(other):
    """Only passages that follow each other under one heading belong together."""
    hits = [hit(1), other]
    assert merge_neighbours(hits) == hits
    assert merge_neighbours(hits[::-1]) == hits[::-1]


def test_stored_pairs_stay_apart_from_each_other():
    """Two rows of a table of answers have nothing to do with each other."""
    hits = [hit(1, form=Form.PAIR), hit(2, form=Form.PAIR)]
    assert merge_neighbours(hits) == hits


def test_a_run_does_not_outgrow_three_passages():
    """The next one begins a run of its own."""
    assert places(merge_neighbours([hit(n) for n in range(1, 8)])) == [(1, 3), (4, 6), (7, 7)]
    assert places(merge_neighbours([hit(n) for n in range(7, 0, -1)])) == [(5, 7), (2, 4), (1, 1)]


def test_nothing_found_is_nothing_merged():
    """No hits, no passages."""
    assert merge_neighbours([]) == []


@given(st.lists(st.integers(0, 12), unique=True))
def test_merging_keeps_every_passage_once(positions):
    """In runs of three at most, each in the order of the document; the best comes first as before."""
    merged = merge_neighbours([hit(position, -place) for place, position in enumerate(positions)])
    covered = [n for first, last in places(merged) for n in range(first, last + 1)]
    assert sorted(covered) == sorted(positions)
    assert all(last - first < 3 for first, last in places(merged))
    assert all(
        [block.text for block in each.found.passage.blocks]
        == [f"text {n}" for n in range(each.found.positions[0], each.found.positions[1] + 1)]
        for each in merged
    )
    assert all(one.score > two.score for one, two in pairwise(merged))
