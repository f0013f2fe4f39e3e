"""The running bot notices what happens in its folder: with the real events of the operating system, and without."""

import asyncio
from contextlib import asynccontextmanager

import pytest
import structlog

from bot.core.messages import QueryVariant
from bot.core.settings import RetrievalSettings
from bot.knowledge import watcher as watcher_module
from bot.knowledge.indexer import Indexer
from bot.knowledge.search import Retriever
from bot.knowledge.watcher import FolderWatcher
from bot.storage.sqlite.knowledge import SqliteKnowledge


@pytest.fixture
async def store(tmp_path):
    store = await SqliteKnowledge.open(tmp_path / "data")
    yield store
    await store.close()


@pytest.fixture
def found(store, async_encoder):
    retriever = Retriever(store, async_encoder, RetrievalSettings())

    async def search(text: str) -> list[str]:
        variants = [QueryVariant(text)]
        hits = await retriever.search(variants, await retriever.encode(variants), hidden=frozenset())
        return [hit.found.document for hit in hits]

    return search


class ReportingIndexer(Indexer):
    """Hands out the report of each run."""

    def __init__(self, store, encoder) -> None:
        super().__init__(store, encoder, 200)
        self.reports: asyncio.Queue = asyncio.Queue()

    async def index_folder(self, folder, *progress):
        report = await super().index_folder(folder, *progress)
        self.reports.put_nowait(report)
        return report


@asynccontextmanager
async def watching(store, async_encoder, folder, rescan_seconds=60.0):
    """A running watcher, and the reports that it has made. The first one is there when this begins."""
    indexer = ReportingIndexer(store, async_encoder)
    running = asyncio.create_task(FolderWatcher(indexer, folder, rescan_seconds=rescan_seconds).run())
    try:
        await asyncio.wait_for(indexer.reports.get(), 20)
        await asyncio.sleep(0.5)  # the operating system needs a moment until it tells of changes
        yield indexer.reports
    finally:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def next_report(reports, seconds=15):
    return await asyncio.wait_for(reports.get(), seconds)


@pytest.mark.slow
async def test_what_happens_in_the_folder_gets_into_the_answers(store, async_encoder, folder_of, found):
    """Written, renamed, deleted: each is followed, and only what is new is embedded."""
    folder = folder_of({"a.md": "# A\n\nTrains leave at noon."})
    async with watching(store, async_encoder, folder) as reports:
        (folder / "b.md").write_text("# B\n\nThe zebra has stripes.")
        report = await next_report(reports)
        assert (report.changed, report.embedded) == (("b.md",), 1)
        assert (await found("zebra stripes"))[0] == "b.md"
        (folder / "b.md").rename(folder / "c.md")
        report = await next_report(reports)
        assert (report.changed, report.removed, report.embedded) == (("c.md",), ("b.md",), 0)
        (folder / "c.md").unlink()
        assert (await next_report(reports)).removed == ("c.md",)
        assert await found("zebra stripes") == ["a.md"]


@pytest.mark.slow
async def test_a_burst_of_changes_is_waited_for(store, async_encoder, folder_of):
    """Copying a folder is one change of the index, or few."""
    folder = folder_of({"a.md": "One."})
    async with watching(store, async_encoder, folder) as reports:
        for number in range(40):
            (folder / f"{number}.md").write_text(f"Text number {number}.")
            await asyncio.sleep(0.01)
        seen = 0
        count = 0
        while seen < 40:
            seen += len((await next_report(reports)).changed)
            count += 1
        assert count <= 3


async def test_without_events_the_folder_is_looked_at_now_and_then(store, async_encoder, folder_of, monkeypatch):
    """As on network drives, or where the system watches too much already."""

    async def refused(*_args, **_options):
        raise OSError("too many folders are watched")
        yield

    monkeypatch.setattr(watcher_module, "awatch", refused)
    folder = folder_of({"a.md": "One."})
    async with watching(store, async_encoder, folder, rescan_seconds=0.5) as reports:
        (folder / "b.md").write_text("Two.")
        assert (await next_report(reports)).changed == ("b.md",)


@pytest.mark.slow
async def test_a_folder_that_goes_away_keeps_the_index_until_it_comes_back(
    store, async_encoder, folder_of, found, tmp_path
):
    """As a volume does; it is said once, and what has changed meanwhile is seen then."""
    folder = folder_of({"a.md": "The zebra has stripes."})
    with structlog.testing.capture_logs() as logs:
        async with watching(store, async_encoder, folder, rescan_seconds=0.5) as reports:
            folder.rename(tmp_path / "away")
            await asyncio.sleep(2.5)
            assert await found("zebra") == ["a.md"]
            (tmp_path / "away" / "b.md").write_text("Trains leave at noon.")
            (tmp_path / "away").rename(folder)
            assert (await next_report(reports)).changed == ("b.md",)
            (folder / "c.md").write_text("It is watched again.")
            assert (await next_report(reports)).changed == ("c.md",)
    told = [log for log in logs if log["event"] == "documents not indexed"]
    assert len(told) == 1
    assert "There is no folder" in told[0]["problem"]


@pytest.mark.slow
async def test_a_document_that_cannot_be_read_is_in_the_log(store, async_encoder, folder_of):
    """With its path and what to do, once."""
    folder = folder_of({"a.md": "One."})
    with structlog.testing.capture_logs() as logs:
        async with watching(store, async_encoder, folder) as reports:
            (folder / "b.docx").write_bytes(b"no archive")
            await next_report(reports)
    [told] = [log for log in logs if log["event"] == "document not read"]
    assert (told["path"], told["log_level"]) == ("b.docx", "warning")
    assert "save it again" in told["reason"]
