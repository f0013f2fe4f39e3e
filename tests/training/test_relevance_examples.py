"""Examples for the relevance model: the passages that the bot's own search finds for a question, and which are right."""

import json
import random
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bot.core.documents import Document
from bot.core.messages import QueryVariant
from bot.core.settings import RetrievalSettings
from bot.inference.encoder import Vectors
from bot.knowledge.indexer import Indexer
from bot.knowledge.search import Retriever
from bot.storage.base import Hit
from bot.storage.sqlite.knowledge import SqliteKnowledge
from bot.training.relevance_examples import (
    Documentation,
    Group,
    ask,
    encyclopedia_groups,
    section_id,
)

# --- a folder of training data ----------------------------------------------------------------------------------------

SOURCE = "potters/kiln"
BISQUE = "Stack the pots rim to rim.\n\nFire them to **cone 04** over nine hours."
GLAZE = "Dip each pot for three seconds.\n\nWipe its foot with a sponge."
CRACKS = "It cooled too fast.\n\nLeave the lid shut until 90 degrees."
CLUB = "The club fires to **cone 04** on Mondays.\n\nMembers bring their own shelves."
SECTIONS = [
    ("firing.md", "Firing", ("Firing the kiln", "Bisque firing"), BISQUE),
    ("firing.md", "Firing", ("Firing the kiln", "Glazing"), GLAZE),
    ("help.md", "Help", ("Why did my pot crack?",), CRACKS),
    ("club.md", "Club", ("Meetings",), CLUB),
]


def asked(number: int, question: str, subtype: str, answer: str = "", key: str = "") -> dict[str, Any]:
    """A question about a section, with the characters of its text that answer and that matter most."""
    path, _, headings, text = SECTIONS[number]
    name = section_id(SOURCE, path, headings, text)

    def place(words: str) -> list[int]:
        return [text.index(words), text.index(words) + len(words)]

    places = {"answer": place(answer) if answer else None, "key": [place(key)] if key else []}
    return {"id": name, "question": question, "subtype": subtype, **places}


QUESTIONS = [
    asked(0, "how hot is the first firing", "fact", "Fire them to **cone 04** over nine hours.", "to **cone 04**"),
    asked(1, "how long do I dip a pot", "howto", "Dip each pot for three seconds.", "three seconds"),
    asked(1, "which glaze is safe for food?", "unanswerable"),
]


def write_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The sections of one source in two files, and the questions about them."""
    data = tmp_path / "training-data"
    data.mkdir()
    names = "path", "title", "headings", "text"
    rows = [{"source": SOURCE, **dict(zip(names, section, strict=True))} for section in SECTIONS]
    write_rows(data / "sections.jsonl", rows[:2])
    write_rows(data / "sections-more.jsonl", rows[2:])
    write_rows(data / "questions.jsonl", QUESTIONS)
    return data


def lines_of(documents: list[Document], path: str, lines: tuple[int, int]) -> str:
    """The text of these lines of a document, in the blocks' words."""
    [document] = [document for document in documents if document.path == path]
    places = [(block.locator.lines, block.text) for block in document.blocks]
    return "\n".join(text for at, text in places if at and at[0] <= lines[1] and at[1] >= lines[0])


def test_an_answer_is_at_its_lines_of_the_document(folder: Path) -> None:
    """Also below other sections of the same file; a heading that asks is answered by all that stands below it."""
    documents, questions = Documentation(folder).documents(SOURCE)
    answers = {one.question: lines_of(documents, one.document, one.lines) for one in questions if one.lines}
    assert answers["how hot is the first firing"] == "Fire them to **cone 04** over nine hours."
    assert answers["how long do I dip a pot"] == "Dip each pot for three seconds."
    assert answers["Why did my pot crack?"] == CRACKS.replace("\n\n", "\n")
    assert [one.question for one in questions if one.lines is None] == ["which glaze is safe for food?"]


def test_of_the_headings_put_as_questions_every_other_one_stays_on_its_passage(tmp_path: Path) -> None:
    """One section of twelve gives such a question."""
    rows = [
        {
            "source": SOURCE,
            "path": "a.md",
            "title": "A",
            "headings": [f"Glaze number {number}"],
            "text": f"Shelf {number}.",
        }
        for number in range(48)
    ]
    write_rows(tmp_path / "sections.jsonl", rows)
    write_rows(tmp_path / "questions.jsonl", [])
    _, questions = Documentation(tmp_path).documents(SOURCE)
    assert [(one.question, one.without_heading) for one in questions] == [
        ("Glaze number 0?", True),
        ("Glaze number 12?", False),
        ("Glaze number 24?", True),
        ("Glaze number 36?", False),
    ]


# --- groups -----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def groups(folder: Path, tmp_path: Path, async_encoder) -> dict[str, Group]:
    """The passages that the bot's own search finds, by question."""
    store = await SqliteKnowledge.open(tmp_path / "data")
    documents, questions = Documentation(folder).documents(SOURCE)
    await Indexer(store, async_encoder, passage_tokens=200).index_documents(documents)
    told: list[int] = []
    found = await ask(Retriever(store, async_encoder, RetrievalSettings()), SOURCE, questions, told.append)
    await store.close()
    assert told == list(range(1, len(questions) + 1))
    return {group.question: group for group in found}


def right_ones(group: Group) -> list[str]:
    return [candidate.text[candidate.begin :] for candidate in group.candidates if candidate.right]


async def test_the_passage_with_the_answer_is_right_and_its_key_is_marked(groups: dict[str, Group]) -> None:
    """The marked words are the key's own, in the passage behind its title and headings."""
    group = groups["how long do I dip a pot"]
    [right] = [candidate for candidate in group.candidates if candidate.right]
    assert right.text[right.begin :] == GLAZE.replace("\n\n", "\n")
    assert [right.text[slice(*span)] for span in right.spans] == ["three seconds"]
    assert "Glazing" in right.text[: right.begin]
    assert (group.source, group.subtype) == (SOURCE, "howto")
    assert not any(candidate.spans for candidate in group.candidates if not candidate.right)


async def test_a_passage_elsewhere_with_the_key_is_neither_right_nor_wrong(groups: dict[str, Group]) -> None:
    """It may answer as well, so nothing is learnt from it."""
    group = groups["how hot is the first firing"]
    assert len(right_ones(group)) == 1
    assert not any("club" in candidate.text for candidate in group.candidates)
    assert any("club" in candidate.text for candidate in groups["how long do I dip a pot"].candidates)


async def test_a_question_without_an_answer_has_no_right_passage(groups: dict[str, Group]) -> None:
    """All that is found only looks right."""
    group = groups["which glaze is safe for food?"]
    assert group.candidates
    assert right_ones(group) == []


async def test_a_heading_that_asks_is_taken_off_the_passage_that_answers(groups: dict[str, Group]) -> None:
    """Or the model would learn to find a question by its own words."""
    group = groups["Why did my pot crack?"]
    assert right_ones(group) == [CRACKS.replace("\n\n", "\n")]
    assert not any("Why did my pot crack?" in candidate.text for candidate in group.candidates)


class FindsNothing(Retriever):
    """A search over nothing."""

    def __init__(self) -> None:
        pass

    async def encode(self, variants: Sequence[QueryVariant]) -> Vectors:
        return np.zeros((len(variants), 1), dtype=np.float32)

    async def search(
        self,
        variants: Sequence[QueryVariant],
        vectors: Vectors,
        limit: int | None = None,
        *,
        hidden: AbstractSet[str],
    ) -> list[Hit]:
        assert not hidden
        assert len(variants) == len(vectors) and limit
        return []


async def test_what_the_search_cannot_find_is_not_asked(folder: Path) -> None:
    """The model would never read the answer. Questions without one stay, though there is nothing to read."""
    _, questions = Documentation(folder).documents(SOURCE)
    retriever = FindsNothing()
    groups = await ask(retriever, SOURCE, questions, lambda _: None)
    assert [(group.question, group.candidates) for group in groups] == [("which glaze is safe for food?", ())]


def test_paragraphs_of_an_article_stand_beside_the_one_that_is_asked_about(tmp_path: Path) -> None:
    """One that holds the answer's words too is left out, and so are those of other articles."""
    texts = {
        "Clay/1": "Clay is wedged first.",
        "Clay/2": "It is thrown.",
        "Clay/3": "All clay is wedged.",
        "Wax/1": "Hot.",
    }
    rows = [
        {
            "context_id": name,
            "context": text,
            "question": "Done first?",
            "answer": "wedged" if at else None,
            "start": at,
        }
        for name, text, at in [(name, text, text.find("wedged")) for name, text in texts.items()]
    ]
    for row in rows:
        if row["start"] < 0:
            row |= {"answer": None, "start": None}
    write_rows(tmp_path / "squad.jsonl", rows)
    first, second, _, wax = encyclopedia_groups(tmp_path / "squad.jsonl", random.Random(1))
    assert [(one.text, one.right) for one in first.candidates] == [(texts["Clay/1"], True), (texts["Clay/2"], False)]
    [span] = first.candidates[0].spans
    assert texts["Clay/1"][slice(*span)] == "wedged"
    assert (second.subtype, {one.right for one in second.candidates}, len(second.candidates)) == (
        "unanswerable",
        {False},
        3,
    )
    assert [one.text for one in wax.candidates] == ["Hot."]
