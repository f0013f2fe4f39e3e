"""The search over a real index with the real encoder."""

import pytest

from bot.core.messages import QueryVariant
from bot.core.settings import RetrievalSettings
from bot.knowledge.indexer import Indexer
from bot.knowledge.search import Retriever
from bot.storage.sqlite.knowledge import SqliteKnowledge

# Each speaks of many things; one names in passing what is asked for.
PAGES = {
    "arrival.md": "# Arrival\n\nThe gate opens at 7. Park behind the barn, pay at the machine, and keep the ticket in the car. "
    "Dogs wait in the kennel. Prams are lent at the hut, and so are umbrellas. Lockers take a coin.",
    "pond.md": "# The pond\n\nThe pond was dug by monks. Carp live in it, and a heron comes in the evening. It froze in 1963, "
    "so that people skated from bank to bank.",
    "animals.md": "# Animals\n\nGoats, sheep and hens walk about. They are fed at noon, and children may help with that.",
}


@pytest.fixture
async def retriever(tmp_path, folder_of, async_encoder):
    store = await SqliteKnowledge.open(tmp_path / "data")
    await Indexer(store, async_encoder, passage_tokens=200).index_folder(folder_of(PAGES))
    yield Retriever(store, async_encoder, RetrievalSettings())
    await store.close()


async def found(retriever: Retriever, *asked: tuple[str, float]) -> list[tuple[str, float]]:
    variants = [QueryVariant(text, weight) for text, weight in asked]
    hits = await retriever.search(variants, await retriever.encode(variants), hidden=frozenset())
    return [(hit.found.document, hit.score) for hit in hits]


async def test_a_detail_among_many_things_is_found(retriever):
    """Best first, by scores up to 1."""
    hits = await found(retriever, ("can i borrow a buggy for my baby", 1.0))
    assert hits[0][0] == "arrival.md"
    assert [score for _, score in hits] == sorted((score for _, score in hits), reverse=True)
    assert hits[0][1] <= 1


async def test_the_match_is_that_of_all_variants_by_their_weights(retriever, monkeypatch):
    """Where all passages are compared."""
    monkeypatch.setattr("bot.knowledge.search._MATCH_MARGIN", 2.0)
    first, second = ("when are the goats fed", "how old is the pond")
    alone = [dict(await found(retriever, (text, 1.0))) for text in (first, second)]
    both = dict(await found(retriever, (first, 0.75), (second, 0.25)))
    for document in PAGES:
        assert both[document] == pytest.approx(0.75 * alone[0][document] + 0.25 * alone[1][document], abs=0.02)


async def test_what_is_far_behind_is_not_compared(retriever, async_encoder, monkeypatch):
    """It stays behind, as if it matched as badly as the worst that was."""
    compared: list[str] = []
    match = async_encoder.match

    async def counting(pairs):
        compared.extend(pair.passage for pair in pairs)
        return await match(pairs)

    monkeypatch.setattr(async_encoder, "match", counting)
    hits = await found(retriever, ("when are the goats fed", 1.0))
    assert [text.split("\n")[0] for text in compared] == ["Animals"]
    assert hits[0][0] == "animals.md"
    assert len(hits) == len(PAGES)


async def test_an_index_without_passages_finds_nothing(tmp_path, folder_of, async_encoder):
    store = await SqliteKnowledge.open(tmp_path / "empty")
    await Indexer(store, async_encoder, passage_tokens=200).index_folder(folder_of({"empty.md": ""}))
    assert await found(Retriever(store, async_encoder, RetrievalSettings()), ("anything?", 1.0)) == []
    await store.close()
