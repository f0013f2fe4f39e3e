"""Which of two sections about one thing is in force."""

import pytest

from bot.core.documents import Block, Form, FoundPassage, Passage
from bot.engine.confidence import Features
from bot.engine.judging import Candidate
from bot.engine.versions import in_force
from bot.inference.reader import Reading
from bot.storage.base import Hit


def candidate(
    document: str, title: str, text: str, relevance: float = 2.0, confidence: float = 0.7, heading=()
) -> Candidate:
    passage = Passage((Block(Form.PARAGRAPH, text, tuple(heading)),), tuple(heading), text)
    hit = Hit(FoundPassage(document, title, None, (0, 0), passage), 0.5, (0.5,))
    return Candidate(hit, Reading(relevance, 0, (0, 1)), 0.5, Features(relevance, 0.1, 0.5, 0.5), confidence)


RULES_2021 = candidate("rules-2021.md", "Boat rules 2021", "A boat costs 20 euros.", confidence=0.8)
RULES_2024 = candidate("rules-2024.md", "Boat rules 2024", "A boat costs 30 euros.", 1.0, 0.4)


def test_the_later_date_in_a_name_wins():
    """It is as likely right as the older one seemed, and the older one is named."""
    [first, second], older = in_force("What does a boat cost?", [RULES_2021, RULES_2024])
    assert first.hit is RULES_2024.hit
    assert first.confidence == 0.8
    assert second is RULES_2021
    assert older == (RULES_2021,)


def test_the_newest_stays_first():
    """The older one is named all the same."""
    assert in_force("What does a boat cost?", [RULES_2024, RULES_2021]) == ([RULES_2024, RULES_2021], (RULES_2021,))


def test_all_older_editions_are_known():
    """So that none of them is suggested."""
    rules_2022 = candidate("rules-2022.md", "Boat rules 2022", "A boat costs 25 euros.", 1.5)
    [first, *_], older = in_force("What does a boat cost?", [rules_2022, RULES_2024, RULES_2021])
    assert first.hit is RULES_2024.hit
    assert older == (rules_2022, RULES_2021)


@pytest.mark.parametrize("question", ["What did a boat cost in 2021?", "boat rules 2021"])
def test_a_question_about_an_edition_gets_that_one(question):
    assert in_force(question, [RULES_2021, RULES_2024])[1] == ()


@pytest.mark.parametrize(
    ("best", "other"),
    [
        (("v1.9/setup.md", "Setup", "Use make."), ("v1.10/setup.md", "Setup", "Use just.")),
        (("a.md", "Mooring", "Moor at pier 1."), ("b.md", "Berths", "This page replaces “Mooring”. Moor at pier 2.")),
        (("a.md", "Mooring", "It is superseded by the page on berths. Moor at pier 1."), ("b.md", "Berths", "Pier 2.")),
        (
            ("draft.md", "Fees 2020-01-01", "5 euros"),
            ("draft.md.md", "Fees 2020-01-01", "This supersedes fees 2020-01-01."),
        ),
    ],
)
def test_what_says_that_it_replaces_another_or_has_the_later_version_wins(best, other):
    best, other = candidate(*best), candidate(*other)
    assert in_force("where do I moor, and what does it cost?", [best, other])[1] == (best,)


@pytest.mark.parametrize(
    "other",
    [
        candidate("rules-2024.md", "Boat rules 2024", "Dogs are welcome.", relevance=-3.0),  # about something else
        candidate("news-2024.md", "Club news 2024", "A boat costs 30 euros."),
        candidate("other.md", "Other", "This replaces the boat rules of 2019."),
        candidate("other.md", "Other", "The office replaces broken boats."),
        candidate("rules-2021.md", "Boat rules 2021", "Version 2 was made in 2024.", heading=["2024"]),
    ],
)
def test_what_is_not_its_successor_replaces_nothing(other):
    candidates = [RULES_2021, other]
    assert in_force("What does a boat cost?", candidates) == (candidates, ())


def test_nothing_found_is_no_error():
    assert in_force("What?", []) == ([], ())
