"""Checks of documents with the real encoder: each fault is found with its place, and none in good documents."""

import pytest

from bot.knowledge.checks import check
from bot.knowledge.indexer import Indexer
from bot.storage.sqlite.knowledge import SqliteKnowledge

MILK = "Foam the milk at 65 degrees and no hotter, because it burns above that temperature."
GERMAN = (
    "Der Kaffee wird mit weichem Wasser gekocht, das nicht zu heiß sein darf. Danach wird die Milch aufgeschäumt und in die "
    "Tasse gegossen, bis sie voll ist. Am Ende wird alles gut umgerührt und gleich getrunken."
)


@pytest.fixture
async def store(tmp_path):
    store = await SqliteKnowledge.open(tmp_path / "data")
    yield store
    await store.close()


@pytest.fixture
def findings(store, async_encoder, folder_of):
    """Index files and check them."""

    async def find(files, languages=("en",), documents=None):
        await Indexer(store, async_encoder, 200).index_folder(folder_of(files))
        found = await check(store, async_encoder, languages, documents)
        return [(finding.document, str(finding.locator), finding.text) for finding in found]

    return find


async def test_a_passage_that_is_there_twice_is_found_at_its_second_place(findings):
    """Under another title and heading too."""
    files = {
        "a.md": f"# Guide\n\n## Milk\n\n{MILK}",
        "b.txt": MILK,
        "c.md": "# Water\n\nUse soft water at 92 to 96 degrees.",
    }
    assert await findings(files) == [("b.txt", "line 1", "says nearly the same as a.md, line 5: keep one of them")]


async def test_passages_of_one_pattern_are_no_duplicates(findings):
    """Rows of facts resemble each other and say different things."""
    files = {
        f"{name}.md": f"# {name}\n\nThe shop in {name} opens at {hour}." for name, hour in (("Bonn", 8), ("Rome", 9))
    }
    assert await findings(files) == []


async def test_a_document_in_a_language_that_the_encoder_does_not_serve_is_found(findings):
    """By its text, or by what it says of itself; a setting says which languages are served."""
    files = {
        "de.md": f"# Anleitung\n\n{GERMAN}",
        "en.md": f"# Guide\n\n{MILK} {MILK} Pour it into the cup until it is full.",
    }
    [(document, place, text)] = await findings(files)
    assert (document, place) == ("de.md", "")
    assert text.startswith("its language seems to be `de`, which the encoder doesn't serve")
    assert await findings(files, languages=("en", "de")) == []
    assert await findings(files, languages=()) == []


async def test_a_passage_that_does_not_fit_the_window_is_found(findings, async_encoder):
    """A header that is longer than the window hides the rows."""
    header = " | ".join(f"column number {n} of the table" for n in range(80))
    table = f"| {header} |\n|{'---|' * 80}\n| {' | '.join(map(str, range(80)))} |"
    found = await findings({"a.md": f"# Wide\n\n{table}"})
    assert found
    assert all(f"the encoder reads the first {async_encoder.window}" in text for _, _, text in found)


async def test_stored_pairs_that_contradict_each_other_are_found(findings):
    """One question, two answers, in one file or two; the same answer in more words is none."""
    files = {
        "a.csv": "question,answer\nWhen is the office open?,From 9 to 17.\nWhen is the office open?,From 8 to 16.\n",
        "b.csv": 'question,answer\nWhere is the office?,In Rome.\nWhere is the office?,"In Rome, near the station."\n',
    }
    assert await findings(files) == [
        (
            "a.csv",
            "row 3",
            "the question “When is the office open?” has another answer in a.csv, row 2: keep the one that is right",
        )
    ]


async def test_only_the_documents_asked_for_are_checked_but_against_all_others(findings):
    """After an edit, the report is about what was edited."""
    files = {"a.md": f"# Guide\n\n{MILK}", "b.txt": MILK, "de.md": GERMAN}
    assert [document for document, _, _ in await findings(files, documents={"a.md"})] == ["a.md"]
    assert await findings(files, documents=set()) == []
