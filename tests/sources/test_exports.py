"""Exports of other programs as sources: replaced, missing, of another kind, or damaged."""

import asyncio
import io
import zipfile

import pytest

from bot.core.errors import SourceError
from bot.core.settings import Settings
from bot.knowledge.converter import Converter
from bot.sources.fetching import seconds_until_due
from tests.knowledge.formats.exports import export_writers as written
from tests.knowledge.formats.exports.export_writers import A, B, zipped
from tests.knowledge.formats.exports.exporting import STAFF


async def test_an_export_that_is_replaced_is_due_at_once_and_read_as_what_it_is_now(fetcher, texts, tmp_path):
    """Files that stay the same are the same files. A damaged export leaves what was there."""
    made = fetcher("notion", written.notion(written.notion_files()))
    await made.fetch()
    status = await made.status()
    assert seconds_until_due(made.source, status, status.tried + 1) > 80_000
    before = (tmp_path / "data/sources/wiki/Home/Tasks.csv").stat()
    files = written.notion_files()
    del files[f"Home/Setup first steps {B}.md"]
    made = fetcher("notion", written.notion(files | {f"Home {A}.md": "# Home\n\nNew.\n"}))
    assert seconds_until_due(made.source, status, status.tried + 1) <= 0
    changes = (await made.fetch()).changes
    assert (changes.changed, changes.removed) == (("Home.md",), ("Home/Setup first steps.md",))
    assert (tmp_path / "data/sources/wiki/Home/Tasks.csv").stat().st_ino == before.st_ino
    made = fetcher("notion", written.notion(files)[:-400])
    with pytest.raises(SourceError, match="no ZIP archive, or it is damaged or not complete yet"):
        await made.fetch()
    assert texts()["Home.md"] == "# Home\n\nNew.\n"
    assert "not complete yet" in (await made.status()).problem


@pytest.mark.parametrize(
    ("kind", "export", "problem"),
    [
        ("notion", zipped({"a.md": "# A\n\nA.\n"}), "no page of Notion in it; export"),
        ("confluence", zipped({"a.html": "A"}), "no page of Confluence in it; export"),
        ("google", zipped({"a.bin": "A"}), "no document in it; export"),
        ("telegram", zipped({"messages.html": "A"}), "no result.json in it; export the chat"),
        ("telegram", zipped({"result.json": '{"name": "x", "messages": ['}), "is not complete"),
        ("google", b"PK", "this is no ZIP archive"),
        ("google", {"x/a.bin": "A"}, "holds neither a ZIP archive nor a document; check the setting file"),
    ],
)
async def test_an_export_of_another_kind_is_told_with_what_to_export(fetcher, kind, export, problem):
    with pytest.raises(SourceError, match=problem):
        await fetcher(kind, export, staff=[STAFF] if kind == "telegram" else []).fetch()


async def test_a_missing_export_is_told(fetcher):
    made = fetcher("google", b"")
    made.source.file.unlink()
    with pytest.raises(SourceError, match="No such file or directory\\); check the setting file"):
        await made.fetch()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"kind": "notion"}, "needs the path of an export of Notion: file"),
        ({"kind": "telegram", "file": "x.zip"}, 'such as "user123456789": staff'),
        ({"kind": "telegram", "file": "x.zip", "staff": ["Max"]}, 'such as "user123456789": staff'),
        ({"kind": "google", "file": "x.zip", "link": "https://x.org/{id}"}, "a link that doesn't fit"),
        ({"kind": "notion", "file": "x.zip", "link": "https://x.org/"}, "with {id} in it: link"),
    ],
)
def test_settings_that_no_export_has_are_told(settings, problem):
    with pytest.raises(ValueError, match=problem):
        Settings(sources=[{"name": "wiki"} | settings])


async def test_links_in_a_folder_are_not_followed(fetcher, texts, tmp_path):
    made = fetcher("google", {"a.csv": "Room,Price\nBlue,90\n"})
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    (made.source.file / "link.csv").symlink_to(tmp_path / "secret.csv")
    (made.source.file / "folder").symlink_to(tmp_path)
    await made.fetch()
    assert list(texts()) == ["a.csv"]


async def test_a_page_that_ends_the_converter_costs_only_itself(fetcher, texts, monkeypatch):
    """What was read of it before is kept."""
    await fetcher("confluence", written.confluence()).fetch()
    part = Converter.part

    def killed(self, rules, number, size):
        if number == 1:
            self._started().kill()
        return part(self, rules, number, size)

    monkeypatch.setattr(Converter, "part", killed)
    fetched = await fetcher("confluence", written.confluence()).fetch()
    assert len(texts()) == 4
    assert not fetched.changes
    assert "could not be read (reading it has crashed the reader" in " ".join(fetched.notes)


async def test_an_export_of_which_nothing_can_be_read_is_given_up(fetcher, texts):
    """After ten files in a row; what was read before stays."""
    await fetcher("google", zipped({"old.csv": "Room,Price\nBlue,90\n"})).fetch()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for number in range(12):
            archive.writestr(f"{number}.csv", "Room,Price\nRed,80\n")
    damaged = packed.getvalue().replace(b"Red", b"Rot")  # not what the checksums say
    with pytest.raises(SourceError, match=r"10 files in a row could not be read, the last one 9\.csv: it is damaged"):
        await fetcher("google", damaged).fetch()
    assert list(texts()) == ["old.csv"]


async def test_a_fetch_that_is_cancelled_ends_its_process(fetcher):
    many = {f"Page {n:032x}.md": f"# Page {n}\n\nText.\n" for n in range(3000)}
    made = fetcher("notion", zipped(many))
    task = asyncio.create_task(made.fetch())
    await asyncio.sleep(1.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await made.status()).fetched == 0
