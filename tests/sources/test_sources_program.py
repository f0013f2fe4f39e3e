"""Sources from the settings to the answer: the commands, the doctor, and the daemon's background work."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from bot.core.messages import Address, Answer, Question
from bot.core.settings import Settings
from bot.knowledge.watcher import FolderWatcher
from bot.observability.health import Health, State
from bot.runtime.application import open_application
from bot.runtime.doctor import examine
from bot.runtime.maintenance import keep_fetching
from bot.sources.fetching import Fetcher, describe_status
from bot.sources.store import SourceStatus, watched
from tests.knowledge.formats.exports.export_writers import zipped
from tests.platforms.website_server import Website, page

PAGE = "Home " + "a" * 32 + ".md"


@pytest.fixture
async def site():
    async with Website.running() as running:
        running.pages = {
            "/": page("Harbour", "The harbour has two piers.", "/opening"),
            "/opening": page("Opening hours", "The harbour office opens at nine o'clock."),
        }
        yield running


def source_of(site: Website, **settings) -> dict:
    return {"name": "port", "url": site.address, "private": True, "requests_per_second": 1000} | settings


async def test_a_website_is_answered_from_and_so_is_its_change(site, settings, models):
    """Fetched, indexed and cited by address, a change within the next interval; the index keeps what a failure leaves."""
    settings.knowledge.folder.mkdir()
    (settings.knowledge.folder / "guide.md").write_text("# Guide\n\nKettles are descaled every week.\n")
    settings = settings.model_copy(update={"sources": Settings(sources=[source_of(site, interval_seconds=1)]).sources})
    fetcher, health = Fetcher(settings.sources[0], settings), Health()
    component = health.component("source port", essential=False)

    async with open_application(settings, models) as application:
        watcher = FolderWatcher(
            application.indexer, settings.knowledge.folder, rescan_seconds=60, beside=watched(settings)
        )

        async def answered_with(part: str, text: str) -> Answer:
            """Ask until the answer has this part."""
            question = Question(text, text, "a", Address("t", "t", text), datetime.now(UTC))
            async with asyncio.timeout(40):
                while part not in (answer := await application.answering.engine.answer(question)).text:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            return answer

        await application.indexer.index_folder(settings.knowledge.folder)
        tasks = [asyncio.create_task(watcher.run()), asyncio.create_task(keep_fetching(fetcher, component))]
        [citation] = (await answered_with("nine o'clock", "When does the harbour office open?")).citations
        assert (citation.document, citation.url) == ("port:opening.html", f"{site.address}/opening")
        site.pages["/opening"] = page("Opening hours", "The harbour office opens at eleven o'clock.")
        await answered_with("eleven o'clock", "When does the harbour office open?")
        assert health.report("source port").state is State.READY
        assert "2 documents, fetched" in health.report("source port").detail
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_the_commands_tell_how_sources_are_and_fetch_them(tmp_path, command):
    """With what has changed; a wrong name is told with the right ones."""
    (tmp_path / "knowledge").mkdir()
    assert "There are no sources" in command("sources").stdout
    remote = tmp_path / "remote"
    (tmp_path / "bot.toml").write_text(f'[[sources]]\nname = "repo"\nkind = "git"\nurl = "{remote}"\nprivate = true\n')
    assert command("sources").stdout == f"repo (git, {remote}): not fetched yet\n"
    failed = command("sources", "fetch", "repo")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "repo: git ls-remote has failed" in failed.stderr
    assert "never fetched: git ls-remote has failed" in command("sources").stdout
    assert "there are repo" in command("sources", "fetch", "port").stderr.replace("\n", " ")
    [told] = json.loads(command("sources", "--json").stdout)
    assert (told["name"], told["documents"], told["url"]) == ("repo", 0, str(remote))


def test_an_export_is_fetched_and_told_like_any_source(tmp_path, command):
    """Its path counts from the folder of the settings file. One that was replaced is due at once."""
    (tmp_path / "knowledge").mkdir()
    (tmp_path / "wiki.zip").write_bytes(zipped({PAGE: "# Home\n\nThe valve is red.\n", "notes.csv": "a,b\n1,2\n"}))
    (tmp_path / "bot.toml").write_text('[[sources]]\nname = "wiki"\nkind = "notion"\nfile = "wiki.zip"\n')
    assert command("sources").stdout == f"wiki (notion, {tmp_path}/wiki.zip): not fetched yet\n"
    fetched = command("sources", "fetch", "wiki")
    assert fetched.stdout == "added: Home.md\nadded: notes.csv\nwiki: 2 documents; 2 added, 0 changed, 0 removed.\n"
    [told] = json.loads(command("sources", "--json").stdout)
    assert (told["kind"], told["documents"], told["problem"]) == ("notion", 2, "")
    assert told["due_in_seconds"] > 80_000
    (tmp_path / "wiki.zip").write_bytes(zipped({"other.txt": "x"}))
    [told] = json.loads(command("sources", "--json").stdout)
    assert told["due_in_seconds"] == 0


async def test_a_running_bot_reads_an_export_that_is_replaced(tmp_path, settings):
    """And says what is wrong with it, while it keeps what it had."""
    export = tmp_path / "wiki.zip"
    export.write_bytes(zipped({PAGE: "# Home\n\nThe valve is red.\n"}))
    source = {"name": "wiki", "kind": "notion", "file": str(export)}
    settings = settings.model_copy(update={"sources": Settings(sources=[source]).sources})
    fetcher, statuses = Fetcher(settings.sources[0], settings), asyncio.Queue[SourceStatus]()
    for content, wanted in (("# Home\n\nThe valve is blue.\n", ""), (None, "no page of Notion in it")):
        task = asyncio.create_task(fetcher.keep_fetching(statuses.put_nowait))
        export.write_bytes(zipped({PAGE: content} if content else {"other.txt": "x"}))
        async with asyncio.timeout(40):
            while not (status := await statuses.get()).fetched or wanted not in status.problem:
                pass
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert "What was fetched before is kept: 1 document, fetched" in describe_status(status, status.tried)
    assert "blue" in (settings.storage.folder / "sources" / "wiki" / "Home.md").read_text()


async def test_the_doctor_names_a_source_that_fails(site, settings, models, folder_of):
    """With its problem and what was kept."""
    folder_of({"note.md": "The kettle must be descaled every week.\n"})
    settings = settings.model_copy(update={"sources": Settings(sources=[source_of(site)]).sources})

    async def nobody():
        return
        yield

    async def said() -> str:
        found = [one async for one in examine(settings, nobody(), models)]
        return next(f"{one.level}: {one.text}" for one in found if one.subject == "source port")

    assert (await said()).startswith("warning: not fetched yet. A bot that runs tries again by itself")
    await Fetcher(settings.sources[0], settings).fetch()
    assert (await said()).startswith("ok: 2 documents, fetched")
