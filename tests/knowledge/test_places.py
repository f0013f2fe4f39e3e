"""The folders of sources beside the knowledge folder: their paths and addresses in the index, and what a lost one leaves."""

import json

import pytest

from bot.core.documents import address_at
from bot.core.errors import DocumentError
from bot.knowledge.indexer import Indexer
from bot.knowledge.places import MANIFEST
from bot.storage.sqlite.knowledge import SqliteKnowledge


@pytest.fixture
async def store(tmp_path):
    store = await SqliteKnowledge.open(tmp_path / "data")
    yield store
    await store.close()


@pytest.fixture
def wiki(tmp_path):
    folder = tmp_path / "data" / "sources" / "wiki"
    folder.mkdir(parents=True)
    (folder / "setup.md").write_text("# Setup\n\nPlug it in.\n")
    published(folder, "https://wiki.example/setup")
    return folder


def published(folder, address: str) -> None:
    (folder / MANIFEST).write_text(json.dumps({"addresses": {"setup.md": address}}))


def paths(report) -> list[str]:
    return [file.path for file in report.files]


async def test_a_source_is_indexed_beside_the_folder_with_the_addresses_of_its_files(
    store, async_encoder, folder_of, wiki
):
    """One that is published elsewhere is read again, also with the same content."""
    folder = folder_of({"setup.md": "# Setup\n\nIn the folder.\n"})
    indexer = Indexer(store, async_encoder, 200, sources={"wiki": wiki})
    assert paths(await indexer.index_folder(folder)) == ["setup.md", "wiki:setup.md"]
    assert not await indexer.has_changed(folder)
    assert await indexer.behind(folder) == 0
    published(wiki, "https://wiki.example/other")
    assert await indexer.has_changed(folder)
    report = await indexer.index_folder(folder)
    assert (report.changed, report.embedded) == (("wiki:setup.md",), 0)
    (wiki / "setup.md").unlink()
    assert (await indexer.index_folder(folder)).removed == ("wiki:setup.md",)


async def test_links_of_a_fetched_page_lead_where_they_led_there(store, async_encoder, folder_of, wiki):
    """Not to files of the folder that it was fetched into."""
    page = "<h1>Setup</h1><p>Plug it in as in <a href='../plugs'>Plugs</a>.</p>"
    (wiki / "setup.html").write_text(page)
    (wiki / MANIFEST).write_text(json.dumps({"addresses": {"setup.html": "https://wiki.example/a/setup"}}))
    await Indexer(store, async_encoder, 200, sources={"wiki": wiki}).index_folder(folder_of({"a.md": "# A\n\nText.\n"}))
    texts = [stored.passage.blocks[0].text for stored in await store.stored() if stored.document == "wiki:setup.html"]
    assert texts == ["Plug it in as in [Plugs](https://wiki.example/plugs)."]


async def test_what_is_lost_of_one_place_takes_nothing_from_the_others(store, async_encoder, folder_of, wiki, tmp_path):
    """A source that is gone keeps its documents until it is fetched again; a knowledge folder that isn't mounted, too."""
    folder = folder_of({"a.md": "# A\n\nIn the folder.\n"})
    indexer = Indexer(store, async_encoder, 200, sources={"wiki": wiki})
    await indexer.index_folder(folder)
    wiki.rename(tmp_path / "aside")
    assert paths(await indexer.index_folder(folder)) == ["a.md", "wiki:setup.md"]
    (tmp_path / "aside").rename(wiki)
    folder.rename(tmp_path / "unmounted")
    folder.mkdir()
    with pytest.raises(DocumentError, match="is empty and is not the one"):
        await indexer.index_folder(folder)
    assert await indexer.forget_missing(folder) == []
    assert {state.path for state, _ in await store.files()} == {"a.md", "wiki:setup.md"}


async def test_a_source_that_is_no_longer_one_leaves_the_index(store, async_encoder, folder_of, wiki):
    """Its files may still be there."""
    folder = folder_of({"a.md": "# A\n\nIn the folder.\n"})
    await Indexer(store, async_encoder, 200, sources={"wiki": wiki}).index_folder(folder)
    assert paths(await Indexer(store, async_encoder, 200).index_folder(folder)) == ["a.md"]


@pytest.mark.parametrize(
    ("url", "lines", "address"),
    [
        ("https://x.example/a", (1, 2), "https://x.example/a"),
        ("https://x.example/a#L{first}-L{last}", (1, 2), "https://x.example/a#L1-L2"),
        ("https://x.example/a#L{first}-L{last}", None, "https://x.example/a"),
        ("https://x.example/a?h=main#n{first}", None, "https://x.example/a?h=main"),
        ("https://x.example/a?h=main&line={first}", None, "https://x.example/a?h=main"),
        ("", (1, 2), ""),
    ],
)
def test_an_address_names_lines_where_it_can(url, lines, address):
    assert address_at(url, lines) == address
