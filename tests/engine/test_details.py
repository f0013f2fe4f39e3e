"""Codes, versions and names with a number in them: a passage about P-300 says nothing of P-400."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.engine.details import contradicts, details, siblings

CODES = st.builds(
    "{}{}{}".format,
    st.text(string.ascii_letters, min_size=1, max_size=4),
    st.sampled_from(["", "-", "_"]),
    st.integers(0, 9999),
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("How much is the P-400?", {"p-400"}),
        ("E23 and ERR_1042.", {"e23", "err_1042"}),
        ("since v2.3.1, or SQLite3", {"v2.3.1", "sqlite3"}),
        ("at 10.20.0.51, not 3.11", {"10.20.0.51", "3.11"}),
        ("in 2024, for 250 people, twice", set()),  # amounts
        ("fs.inotify.max_user_watches", set()),  # no number
        ("", set()),
    ],
)
def test_details_are_words_with_a_number_in_them(text, found):
    """In any case, without the punctuation around them."""
    assert details(text) == found


@pytest.mark.parametrize(
    ("question", "passage"),
    [
        ("How much is the P-400?", "The P-300 costs 90 euros."),
        ("what does e23 mean", "E22: the tank is empty."),
        ("Does it run on v2.3?", "It runs on v2.4."),
        ("Which Java for a 1.20.4 server?", "1.7 to 1.16.5 need Java 8, 26.1.1+ needs Java 25."),
        ("Which Java for a 1.20.4 server?", "Use Java 8 from 1.7.10 to 1.16.5."),
        ("Does it run on 3.8.4?", "It runs on 3.9.2 up to 3.12.1."),
        ("We are on 26.1, how do we go back?", "Going back (pre 26.1): copy both folders."),
        ("We are on 3.2, how do we go back?", "Before 3.2, delete the cache."),
    ],
)
def test_a_sibling_without_the_detail_itself_contradicts(question, passage):
    """However alike the sentences are."""
    assert contradicts(question, passage)


@pytest.mark.parametrize(
    ("question", "passage"),
    [
        ("How much is the P-400?", "The p-400 costs more than the P-300."),
        ("How much is the P-400?", "Prices are on request."),
        ("How much is the P-400?", "It needs SQLite3."),
        ("How much is it for 400 people?", "For 300 people it costs 90 euros."),
        ("How much is it?", "The P-300 costs 90 euros."),
        ("P-300 or P-400?", "Only the P-300 is sold."),
        ("made for version 69.0, only knows 65.0", "made for version 65.0, only knows 61.0"),
        ("Which Java for a 1.20.4 server?", "| 1.17 to 1.19 | Java 17 | 1.20 to 1.21.11 | Java 21 |"),
        ("Does it run on 3.12.4?", "It runs on 3.12."),
        ("Does it run on v3.12.4?", "It runs on v3.9.2 or later."),
        ("Does it run on 3.12.4?", "It runs since 3.10.1."),
        ("Does it run on 3.12.4?", "It runs on 3.10.1 onwards."),
        ("Does it run on 3.8.4?", "It runs on 3.10.1 or older."),
        ("We are on 26.1, how do we go back?", "Before 26.1 you copied folders. With 26.1 you don't."),
    ],
)
def test_what_speaks_of_the_detail_or_of_no_sibling_does_not(question, passage):
    """A passage without any such detail may speak of all of them."""
    assert not contradicts(question, passage)


@given(CODES, st.lists(CODES, max_size=5), st.randoms())
def test_where_the_detail_stands_there_is_no_contradiction(detail, others, random):
    """Whatever stands beside it, in upper or lower case."""
    said = [*others, random.choice([detail, detail.upper(), detail.lower()])]
    random.shuffle(said)
    assert not contradicts(f"what about {detail}?", f"We have {', '.join(said)}.")


@given(st.text(), st.text())
def test_what_contradicts_names_a_sibling(question, passage):
    """And no text is an error."""
    if contradicts(question, passage):
        assert siblings(question, [passage])
        assert not details(question) <= details(passage)


@given(st.text())
def test_no_text_contradicts_itself(text):
    """All its details are there."""
    assert not contradicts(text, text)


def test_siblings_are_named_as_they_stand_each_once():
    """In the order of the passages."""
    passages = ["The P-300 and the p-200.", "The P-300, with SQLite3 or 4."]
    assert siblings("How much is the P-400?", passages) == ["P-300", "p-200"]
    assert siblings("How much is it?", passages) == []
