"""The index: searches rank as computed by hand, and see a change as a whole or not at all."""

import asyncio
import json
import math
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bot.core.documents import Block, Document, Form, Locator, Passage
from bot.core.errors import IndexUnavailable, StorageError
from bot.core.text import content_words
from bot.storage.base import Candidates, FileReport, FileState, IndexedFile, IndexSummary, Scores, SearchQuery
from bot.storage.sqlite.knowledge import SqliteKnowledge

ENCODER = "encoder-1"


@pytest.fixture
async def store(tmp_path: Path):
    store = await SqliteKnowledge.open(tmp_path)
    yield store
    await store.close()


def vector(*values: float) -> Scores:
    """A unit vector of four dimensions."""
    made = np.array([*values, *[0] * (4 - len(values))], dtype=np.float32)
    return made / np.linalg.norm(made)


def state(path: str, size: int = 10) -> FileState:
    return FileState(path, size, 1_700_000_000_000_000_000, f"hash of {path}", "recipe")


def file(path: str, *texts: str, title: str = "Title", heading: tuple[str, ...] = ()) -> IndexedFile:
    """A document with a passage for each text; the key of a text's vector is the text."""
    passages = tuple(Passage((Block(Form.PARAGRAPH, text, heading),), heading, text) for text in texts)
    document = Document(path, title, tuple(block for passage in passages for block in passage.blocks))
    return IndexedFile(state(path), document, passages, texts)


async def put(store: SqliteKnowledge, *files: IndexedFile, encoder: str = ENCODER, **vectors: Scores) -> None:
    """Index the files; a text without a vector of its own gets one that is like no other. More rows are of its sentences."""
    keys = {key for file in files for key in file.vector_keys}
    await store.add_vectors(encoder, {key: np.atleast_2d(vectors.get(key, vector(0, 0, 0, 1))) for key in keys})
    await store.change(encoder, files, [], [])


def query(meaning: Scores, *words: str) -> SearchQuery:
    return SearchQuery(meaning, words)


def by_meaning(cosine: Scores, keyword: Scores) -> Scores:
    return cosine.mean(axis=0)


def by_words(cosine: Scores, keyword: Scores) -> Scores:
    return keyword.sum(axis=0)


async def search(
    store: SqliteKnowledge,
    *queries: SearchQuery,
    rank=by_meaning,
    limit: int = 10,
    candidates: int = 10,
    encoder: str = ENCODER,
) -> list[tuple[str, float]]:
    """Rank the candidates as the retriever does: again where the index has changed between the two reads."""
    while True:
        there = await store.candidates(encoder, queries, candidates)
        scores = rank(there.cosines, there.bm25) if len(there.ids) else np.empty(0, dtype=np.float32)
        best = np.argsort(-scores, kind="stable")[:limit]
        found = await store.passages_of(there.ids[best].tolist(), there.generation)
        if found is not None:
            return [(one.passage.body, round(float(scores[n]), 2)) for one, n in zip(found, best, strict=True)]


def count(folder: Path, table: str) -> int:
    db = sqlite3.connect(folder / "index.sqlite3")
    try:
        return db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608  (the names are our own)
    finally:
        db.close()


# --- before there is an index -----------------------------------------------------------------------------------------


async def test_without_an_index_a_search_says_so(store):
    """And what to do about it; the rest of the store works."""
    with pytest.raises(IndexUnavailable, match=r"There is no index yet\. Make one: knowledge-bot index"):
        await search(store, query(vector(1)))
    assert await store.summary() == IndexSummary(0, 0, None)
    assert await store.files() == []
    assert await store.passages("a.md", 0, 9) == []


async def test_an_index_of_nothing_finds_nothing(store):
    """An empty folder is no error."""
    await store.change(ENCODER, [], [], [])
    assert await search(store, query(vector(1), "word")) == []
    assert await store.summary() == IndexSummary(0, 0, ENCODER)


# --- ranking ----------------------------------------------------------------------------------------------------------


async def test_a_search_ranks_by_the_cosine(store):
    """Computed by hand: (1, 0) to (1, 0), (1, 1) / sqrt(2), (0, 1) and (-1, 0)."""
    await put(
        store,
        file("a.md", "same", "near", "far", "opposite"),
        same=vector(1),
        near=vector(1, 1),
        far=vector(0, 1),
        opposite=vector(-1),
    )
    ranked = await search(store, query(vector(1)))
    assert ranked == [("same", 1.0), ("near", 0.71), ("far", 0.0), ("opposite", -1.0)]
    assert await search(store, query(vector(1)), limit=2) == ranked[:2]


async def test_several_variants_are_ranked_together(store):
    """Each passage has the cosine to each of them; here the passage between the two wins."""
    await put(store, file("a.md", "one", "two", "both"), one=vector(1), two=vector(0, 1), both=vector(1, 1))
    ranked = await search(store, query(vector(1)), query(vector(0, 1)), limit=3, candidates=3)
    assert ranked == [("both", 0.71), ("one", 0.5), ("two", 0.5)]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("configuraton", ["configuration"]),  # one letter is missing
        ("cofniguratoin", ["configuration"]),  # two pairs are swapped
        ("confguraton", ["configuration"]),
        ("cnofigratoin", []),  # too many errors
        ("configuring", ["configuration"]),  # another form of the word
        ("wather", ["water", "weather"]),  # either may be meant
        ("waters", ["water"]),
        ("pora", []),  # short words are taken as they are
        ("xonfiguration", []),
    ],
)
async def test_a_typing_error_finds_the_word_that_was_meant(store, typed, found):
    """A word that stands somewhere in the index is never taken for another one."""
    await put(store, file("a.md", "the configuration", "rain water", "bad weather", "port"))
    assert (
        sorted(text.split()[-1] for text, score in await search(store, query(vector(1), typed), rank=by_words) if score)
        == found
    )


async def test_what_is_indexed_later_is_no_typing_error(store):
    """The words are those of the index as it is now."""
    others = file("b.md", "rain", "snow")
    await put(store, file("a.md", "weather"), others)
    assert dict(await search(store, query(vector(1), "wather"), rank=by_words))["weather"] > 0
    await put(store, file("a.md", "weather", "wather"), others)
    scores = dict(await search(store, query(vector(1), "wather"), rank=by_words))
    assert scores["wather"] > 0
    assert scores["weather"] == 0


@pytest.mark.parametrize(
    "typed", ["ERR_1042", "v2.3.1", "fs.inotify.max_user_watches", "max_user_watches", "compose.yaml"]
)
async def test_an_identifier_is_found_as_written(store, typed):
    """Its parts count together and in order, not one by one."""
    texts = (
        "see ERR_1042 or v2.3.1",
        "set fs.inotify.max_user_watches in compose.yaml",
        "1042 ERR v3.2.1",
        "max watches user yaml",
    )
    await put(store, file("a.md", *texts))
    scores = dict(await search(store, query(vector(1), *content_words(typed)), rank=by_words))
    assert [text for text, score in scores.items() if score] == [next(text for text in texts if typed in text)]


async def test_a_passage_has_the_cosine_of_its_best_sentence(store):
    """Kept in 8 bits, which changes a cosine by less than a hundredth. One without sentences has that of the whole."""
    sentences = np.stack([vector(0, 0, 1), vector(1, 0, 0.1), vector(0.3, 0.9)])
    await put(store, file("a.md", "three", "none", "one"), three=sentences, none=vector(1, 1), one=sentences[[2, 0]])
    there = await store.candidates(ENCODER, [query(vector(1)), query(vector(0, 0, 1))], 5)
    assert there.cosines == pytest.approx(np.array([[0, 0.707, 0.316], [1, 0, 0]]), abs=0.001)
    expected = [[sentences[1, 0], 0.7071, 0.0], [sentences[1, 2], 0.0, 1.0]]
    assert there.sentences == pytest.approx(np.array(expected), abs=0.01)


async def test_an_index_of_an_earlier_version_is_searched_without_sentences(tmp_path):
    """Until it has been made again, which the new recipe sees to."""
    store = await SqliteKnowledge.open(tmp_path)
    await put(store, file("a.md", "apple"), apple=vector(1, 1))
    await store.close()
    db = sqlite3.connect(tmp_path / "index.sqlite3")
    db.executescript("ALTER TABLE vectors DROP COLUMN sentences; PRAGMA user_version = 1")
    db.close()
    store = await SqliteKnowledge.open(tmp_path)
    there = await store.candidates(ENCODER, [query(vector(1))], 5)
    assert there.sentences.tolist() == there.cosines.tolist()
    assert await search(store, query(vector(1))) == [("apple", 0.71)]
    await store.close()


async def test_words_are_scored_with_bm25(store):
    """Computed by hand with k1 = 1.2 and b = 0.75; title and heading count as part of a passage."""
    texts = ("apple pear", "apple apple plum cherry", "plum", "nut", "nut nut")
    await put(store, file("a.md", *texts, title="T", heading=("H",)))
    lengths = {text: len(text.split()) + 2 for text in texts}
    average = sum(lengths.values()) / len(texts)

    def expected(text: str) -> float:
        times = text.split().count("apple")
        rarity = math.log((len(texts) - 2 + 0.5) / (2 + 0.5))
        return rarity * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * lengths[text] / average))

    scored = dict(await search(store, query(vector(1), "apple"), rank=by_words))
    assert set(scored) == set(texts)
    assert scored["apple pear"] == pytest.approx(expected("apple pear"), abs=0.01)
    assert scored["apple apple plum cherry"] == pytest.approx(expected("apple apple plum cherry"), abs=0.01)
    assert [scored[text] for text in texts[2:]] == [0, 0, 0]


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("install", True),
        ("installing", True),
        ("cafe", True),
        ("CAFÉ", True),
        ("wi-fi", True),
        ("fi-wi", False),
        ("don't", True),
        ("u.s", True),
        ("日本", True),
        ("guide", True),
        ("setup", True),
        ("inst", False),
        ("missing", False),
        ("_", False),
        ('"', False),
        ("", False),
        ('install" OR "missing', False),
        ("NOT", False),
        ("body:install", False),
        ("*", False),
    ],
)
async def test_words_are_found_in_every_form_and_never_read_as_commands(store, word, found):
    """Stems and accents meet; what people type is no query language."""
    text = "Installed in the café with Wi-Fi. Don't go to the U.S. 日本 is far"
    await put(store, file("a.md", text, title="A guide", heading=("Setup",)), file("b.md", "x", "y", "z"))
    scores = dict(await search(store, query(vector(1), word), rank=by_words))
    assert scores == {text: pytest.approx(scores[text]), "x": 0, "y": 0, "z": 0}
    assert (scores[text] > 0) is found


async def test_candidates_come_from_meaning_and_from_words(store):
    """The best of each kind, so that neither a rare word nor a paraphrase is missed."""
    texts = [f"text{n}" for n in range(20)]
    vectors = {text: vector(20 - n, n) for n, text in enumerate(texts)}
    await put(store, file("a.md", *texts), **vectors)
    ranked = await search(store, query(vector(1), "text15"), rank=by_meaning, candidates=3)
    assert [text for text, _ in ranked] == ["text0", "text1", "text2", "text15"]


async def test_without_words_meaning_alone_decides(store):
    """And what is like nothing is found all the same: to decline is for the engine."""
    await put(store, file("a.md", "one"), one=vector(0, 1))
    assert await search(store, query(vector(1))) == [("one", 0.0)]


# --- candidates -------------------------------------------------------------------------------------------------------


async def bodies(store: SqliteKnowledge, candidates: Candidates) -> list[str]:
    found = await store.passages_of(candidates.ids.tolist(), candidates.generation)
    assert found is not None
    return [one.passage.body for one in found]


async def test_candidates_are_arrays_with_a_column_a_passage(store):
    """Cosines and BM25 of every query, also where only the other score or another query chose the passage."""
    texts = ("apple", "pear", "plum", "nut")
    await put(store, file("a.md", *texts), apple=vector(1), pear=vector(1, 1), plum=vector(0, 1), nut=vector(0, 0, 1))
    candidates = await store.candidates(ENCODER, [query(vector(1)), query(vector(0, 1), "nut")], 1)
    assert await bodies(store, candidates) == ["apple", "plum", "nut"]
    assert candidates.cosines == pytest.approx(np.array([[1, 0, 0], [0, 1, 0]]), abs=1e-3)
    assert candidates.bm25[0].tolist() == [0, 0, 0]
    assert (candidates.bm25[1] > 0).tolist() == [False, False, True]
    assert (candidates.ids.dtype, candidates.cosines.dtype, candidates.bm25.dtype) == (np.int64, np.float32, np.float32)
    assert (np.diff(candidates.ids) > 0).all()


async def test_passages_come_in_the_order_of_their_ids(store):
    """With document and place; no ids give none."""
    await put(store, file("a.md", "one", "two"), file("b.md", "three"))
    candidates = await store.candidates(ENCODER, [query(vector(0, 0, 0, 1))], 3)
    backwards = candidates.ids.tolist()[::-1]
    found = await store.passages_of(backwards, candidates.generation)
    assert found is not None
    assert [(one.document, one.positions, one.passage.body) for one in found] == [
        ("b.md", (0, 0), "three"),
        ("a.md", (1, 1), "two"),
        ("a.md", (0, 0), "one"),
    ]
    assert await store.passages_of([], candidates.generation) == []


async def test_passages_of_another_generation_are_refused(store, tmp_path):
    """Also where another store changed the index, and where the passages themselves are still in it."""
    await put(store, file("a.md", "apple"), apple=vector(1))
    candidates = await store.candidates(ENCODER, [query(vector(1))], 5)
    other = await SqliteKnowledge.open(tmp_path)
    await put(other, file("a.md", "apple"), file("b.md", "nut"))
    await other.close()
    assert await store.passages_of(candidates.ids.tolist(), candidates.generation) is None
    again = await store.candidates(ENCODER, [query(vector(1))], 5)
    assert again.generation > candidates.generation
    assert await bodies(store, again) == ["apple", "nut"]


async def test_touching_files_keeps_the_generation(store):
    """A search under way needn't begin again when only times have changed."""
    await put(store, file("a.md", "apple"))
    candidates = await store.candidates(ENCODER, [query(vector(1))], 5)
    await store.change(ENCODER, [], [], [replace(state("a.md"), modified_ns=5)])
    assert await bodies(store, candidates) == ["apple"]


async def test_candidates_of_no_index_an_empty_one_and_another_encoder(store):
    """The first and the last are errors that say what to do; of nothing there are none."""
    with pytest.raises(IndexUnavailable, match="There is no index yet"):
        await store.candidates(ENCODER, [query(vector(1))], 5)
    await store.change(ENCODER, [], [], [])
    nothing = await store.candidates(ENCODER, [query(vector(1), "word"), query(vector(1))], 5)
    assert (nothing.ids.shape, nothing.cosines.shape, nothing.bm25.shape) == ((0,), (2, 0), (2, 0))
    with pytest.raises(IndexUnavailable, match=f"made by the encoder {ENCODER}"):
        await store.candidates("encoder-2", [query(vector(1))], 5)


async def test_candidates_and_their_passages_are_of_one_edition(store):
    """While the index is exchanged again and again, whatever comes back is complete; what doesn't is asked for again."""
    await put(store, file("a.md", "old 0"), file("b.md", "old 0 too"))

    async def exchange() -> None:
        for n in range(1, 15):
            await put(store, file("a.md", f"new {n}"), file("b.md", f"new {n} too"))

    changing = asyncio.create_task(exchange())
    editions = set()
    while not changing.done():
        candidates = await store.candidates(ENCODER, [query(vector(0, 0, 0, 1), "new", "old")], 5)
        found = await store.passages_of(candidates.ids.tolist(), candidates.generation)
        if found is not None:
            edition, too = sorted(one.passage.body for one in found)
            assert too == f"{edition} too"
            editions.add(edition)
    await changing
    assert len(editions) > 1


# --- what comes back --------------------------------------------------------------------------------------------------


async def test_a_passage_comes_back_as_it_was_put_in(store):
    """Every form, locator, context and part; with its document and its place there."""
    blocks = (
        Block(Form.PARAGRAPH, "text **é** 😀\n", ("H", "I"), Locator(lines=(3, 4))),
        Block(Form.TABLE, "| 1 |", ("H", "I"), Locator(lines=(9, 9)), "| a |\n|---|", (1, 3)),
        Block(Form.CODE, "```\n\x0c\n```", ("H", "I"), Locator(page=5)),
        Block(Form.LIST, "- a", ("H", "I")),
        Block(Form.PAIR, "yes", ("H", "I"), Locator(row=7), "really?"),
    )
    passage = Passage(blocks, ("H", "I"), "body of it\nwith lines")
    document = Document("folder/ä b.md", "The Title", blocks, "https://x.org", "de", ("a warning",))
    indexed = IndexedFile(state("folder/ä b.md"), document, (file("x", "first").passages[0], passage), ("first", "key"))
    await put(store, indexed, key=vector(1))
    there = await store.candidates(ENCODER, [query(vector(1))], 2)
    [_, found] = await store.passages_of(there.ids.tolist(), there.generation) or []
    assert found.passage == passage
    assert (found.document, found.title, found.url) == ("folder/ä b.md", "The Title", "https://x.org")
    assert found.positions == (1, 1)
    assert await store.passages("folder/ä b.md", 1, 1) == [passage]


async def test_passages_of_a_document_come_in_order(store):
    """Those that are there, of the places asked for."""
    await put(store, file("a.md", "zero", "one", "two", "three"), file("b.md", "other"))

    async def bodies(document: str, first: int, last: int) -> list[str]:
        return [passage.body for passage in await store.passages(document, first, last)]

    assert await bodies("a.md", 1, 2) == ["one", "two"]
    assert await bodies("a.md", -5, 0) == ["zero"]
    assert await bodies("a.md", 3, 99) == ["three"]
    assert await bodies("a.md", 2, 1) == []
    assert await bodies("missing.md", 0, 9) == []


async def test_files_are_listed_with_their_state_and_report(store):
    """Those that could not be read too, by path."""
    unread = IndexedFile(state("b.md"), None, (), (), "not UTF-8 text")
    warned = file("c.md", "x", "y")
    assert warned.document is not None
    warned = replace(warned, document=replace(warned.document, warnings=("one", "two")))
    await put(store, warned, unread, file("a.md", "z"))
    assert await store.files() == [
        (state("a.md"), FileReport("a.md", 1)),
        (state("b.md"), FileReport("b.md", 0, "not UTF-8 text")),
        (state("c.md"), FileReport("c.md", 2, None, ("one", "two"))),
    ]
    assert await store.summary() == IndexSummary(2, 3, ENCODER)


# --- changes ----------------------------------------------------------------------------------------------------------


async def test_a_changed_file_replaces_what_stood_under_its_path(store, tmp_path):
    """Nothing of the old text is found any more, by words or by meaning; other files stay."""
    await put(store, file("a.md", "apple", "pear"), file("b.md", "plum"), apple=vector(1))
    await put(store, file("a.md", "nut"), nut=vector(0, 1))
    assert {text for text, _ in await search(store, query(vector(1), "apple", "pear", "nut", "plum"))} == {
        "nut",
        "plum",
    }
    assert all(score == 0 for _, score in await search(store, query(vector(1), "apple"), rank=by_words))
    assert count(tmp_path, "vectors") == count(tmp_path, "passages") == count(tmp_path, "words") == 2


async def test_a_removed_file_leaves_nothing_behind(store, tmp_path):
    """No document, no passages, no words, no vectors, and no text in the file."""
    await put(store, file("a.md", "secret apple"), file("b.md", "plum"))
    await store.change(ENCODER, [], ["a.md", "never-there.md"], [])
    assert [text for text, _ in await search(store, query(vector(1), "secret"))] == ["plum"]
    assert [count(tmp_path, table) for table in ("documents", "passages", "words", "vectors")] == [1, 1, 1, 1]
    await store.change(ENCODER, [], ["b.md"], [])
    assert await search(store, query(vector(1), "plum")) == []


async def test_a_vector_that_two_passages_share_stays_for_the_other(store):
    """The same text in two documents is embedded once."""
    await put(store, file("a.md", "same"), file("b.md", "same"), same=vector(1))
    await store.change(ENCODER, [], ["a.md"], [])
    assert await search(store, query(vector(1))) == [("same", 1.0)]


async def test_known_vectors_are_those_of_this_encoder(store):
    """So that only the missing ones are computed; an interrupted run finds what it had made."""
    await store.add_vectors(ENCODER, {"a": vector(1)[None], "b": vector(1)[None]})
    assert await store.known_vectors(ENCODER, ["a", "b", "c"]) == {"a", "b"}
    assert await store.known_vectors("encoder-2", ["a"]) == set()
    assert await store.known_vectors(ENCODER, []) == set()
    await store.change(ENCODER, [file("x.md", "a")], [], [])
    assert await store.known_vectors(ENCODER, ["a", "b"]) == {"a"}


async def test_a_file_that_was_only_touched_keeps_its_passages(store):
    """Its new size and time are noted; a search needn't load anything again."""
    await put(store, file("a.md", "apple"), apple=vector(1))
    before = await search(store, query(vector(1)))
    touched = replace(state("a.md"), size=99, modified_ns=5)
    await store.change(ENCODER, [], [], [touched])
    assert [known for known, _ in await store.files()] == [touched]
    assert await search(store, query(vector(1))) == before


async def test_a_change_that_fails_changes_nothing(store):
    """All files of it are put in, or none; the vectors of the old index are still there."""
    await put(store, file("a.md", "apple"), apple=vector(1))
    await store.add_vectors(ENCODER, {"nut": vector(0, 1)[None]})
    broken = replace(file("c.md", "x"), vector_keys=("x", "one too many"))
    with pytest.raises(ValueError, match="longer"):
        await store.change(ENCODER, [file("a.md", "nut"), broken], ["a.md"], [])
    assert await search(store, query(vector(1), "nut")) == [("apple", 1.0)]
    assert await store.known_vectors(ENCODER, ["apple", "nut"]) == {"apple", "nut"}


async def test_a_passage_without_a_vector_is_never_put_in(store, tmp_path):
    """Another indexing may have dropped the vectors that this one had made: then it has to run again."""
    await put(store, file("a.md", "apple"), apple=vector(1))
    await store.add_vectors(ENCODER, {"nut": vector(0, 1)[None]})
    other = await SqliteKnowledge.open(tmp_path)
    await put(other, file("b.md", "plum"))
    with pytest.raises(StorageError, match=r"at the same time\. Run it once more"):
        await store.change(ENCODER, [file("c.md", "nut")], [], [])
    assert {text for text, _ in await search(store, query(vector(1), "nut"))} == {"apple", "plum"}
    await other.close()


# --- encoders ---------------------------------------------------------------------------------------------------------


async def test_an_index_of_another_encoder_is_refused(store):
    """Its numbers mean something else; the message names both."""
    await put(store, file("a.md", "apple"))
    with pytest.raises(IndexUnavailable, match=r"made by the encoder encoder-1, not by encoder-2\. Make it again"):
        await search(store, query(vector(1)), encoder="encoder-2")


async def test_another_encoder_takes_over_with_the_change_that_puts_its_files_in(store, tmp_path):
    """Until then the old one is searched, and afterwards nothing of it is left."""
    await put(store, file("a.md", "apple"), apple=vector(1))
    await store.add_vectors("encoder-2", {"apple": vector(0, 1)[None]})
    assert await search(store, query(vector(1))) == [("apple", 1.0)]
    await store.change("encoder-2", [file("a.md", "apple")], [], [])
    assert await search(store, query(vector(1)), encoder="encoder-2") == [("apple", 0.0)]
    with pytest.raises(IndexUnavailable):
        await search(store, query(vector(1)))
    assert count(tmp_path, "vectors") == 1


async def test_another_encoder_takes_over_an_index_of_nothing(store):
    """Also where there is no file that could change."""
    await store.change(ENCODER, [], [], [])
    assert await search(store, query(vector(1))) == []
    await store.change("encoder-2", [], [], [])
    assert await search(store, query(vector(1)), encoder="encoder-2") == []


# --- several at once --------------------------------------------------------------------------------------------------


async def test_a_second_store_sees_the_changes_of_the_first(store, tmp_path):
    """As `index` beside a running bot: the next search has the new index, without a restart."""
    other = await SqliteKnowledge.open(tmp_path)
    await put(store, file("a.md", "apple"), apple=vector(1))
    assert await search(other, query(vector(1))) == [("apple", 1.0)]
    await put(store, file("a.md", "apple"), file("b.md", "nut"), apple=vector(1), nut=vector(1, 1))
    assert await search(other, query(vector(1), "nut")) == [("apple", 1.0), ("nut", 0.71)]
    await store.change(ENCODER, [], ["a.md"], [])
    assert await search(other, query(vector(1))) == [("nut", 0.71)]
    await other.close()


async def test_a_search_sees_a_change_as_a_whole(store):
    """While the index is exchanged again and again, every search finds one edition, complete."""
    await put(store, file("a.md", "old 0"), file("b.md", "old 0 too"))

    async def exchange() -> None:
        for n in range(1, 15):
            await put(store, file("a.md", f"new {n}"), file("b.md", f"new {n} too"))

    changing = asyncio.create_task(exchange())
    editions = []
    while not changing.done():
        found = sorted(text for text, _ in await search(store, query(vector(0, 0, 0, 1), "new", "old")))
        assert len(found) == 2 and found[1] == f"{found[0]} too"
        editions.append(found[0])
    await changing
    assert len(set(editions)) > 1


async def test_an_index_survives_a_restart(store, tmp_path):
    """Closed, or cut off."""
    await put(store, file("a.md", "apple"), apple=vector(1, 1))
    again = await SqliteKnowledge.open(tmp_path)
    assert await search(again, query(vector(1))) == [("apple", 0.71)]
    await again.close()
    await again.close()
    await store.close()
    again = await SqliteKnowledge.open(tmp_path)
    assert await search(again, query(vector(1))) == [("apple", 0.71)]
    await again.close()


async def test_thousands_of_passages_are_no_burden_for_the_loop(store):
    """The matrix is loaded once; the loop is never blocked (the fixture of all tests watches it)."""
    numbers = np.random.default_rng(0).standard_normal((2000, 4)).astype(np.float32)
    texts = [f"text{n} common" for n in range(2000)]
    await put(store, file("a.md", *texts), **dict(zip(texts, numbers, strict=True)))
    hits: Sequence[object] = await search(store, query(vector(1), "common", "text77"), limit=20, candidates=100)
    assert len(hits) == 20
    assert json.dumps(hits)
