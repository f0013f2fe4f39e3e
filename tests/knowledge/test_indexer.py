"""Folder -> index with the real encoder and a real database: only what changed is done, and nothing is done by halves."""

import asyncio
import os
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bot.core.errors import DocumentError
from bot.core.messages import QueryVariant
from bot.core.settings import RetrievalSettings
from bot.inference.workers import AsyncEncoder, InferenceWorker, Models
from bot.knowledge import folder as folder_module
from bot.knowledge import scan
from bot.knowledge.converter import Limits
from bot.knowledge.indexer import Indexer, Review
from bot.knowledge.search import Retriever
from bot.storage.base import SearchQuery
from bot.storage.sqlite.knowledge import SqliteKnowledge


@pytest.fixture
async def store(tmp_path):
    store = await SqliteKnowledge.open(tmp_path / "data")
    yield store
    await store.close()


@pytest.fixture
def indexer(store, async_encoder):
    return Indexer(store, async_encoder, passage_tokens=200)


@pytest.fixture
def found(store, async_encoder):
    """Search the index and name the documents found."""
    retriever = Retriever(store, async_encoder, RetrievalSettings())

    async def search(text: str) -> list[str]:
        variants = [QueryVariant(text)]
        hits = await retriever.search(variants, await retriever.encode(variants), hidden=frozenset())
        return [hit.found.document for hit in hits]

    return search


def touch_later(file, seconds: int = 10) -> None:
    """Give a file another time of change, whatever the resolution of the clock."""
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + seconds * 10**9))


async def test_every_file_gets_its_line_with_its_passages_or_the_reason(indexer, folder_of):
    """One broken file stops no other, and nothing disappears silently."""
    folder = folder_of(
        {
            "good.md": "# Good\n\nThe answer is here.",
            "sub/pairs.csv": "question,answer\nWhen?,Now.\n",
            "broken.md": b"\xff\xfe\x00",
            "unread.docx": b"PK\x03\x04 cut off",
            "broken.json": "{",
            "empty.txt": "",
            "only-title.md": "# Title",
        }
    )
    report = await indexer.index_folder(folder)
    by_path = {file.path: file for file in report.files}
    assert {path: file.passages for path, file in by_path.items() if not file.problem} == {
        "good.md": 1,
        "sub/pairs.csv": 1,
    }
    assert "UTF-8" in by_path["broken.md"].problem
    assert "damaged" in by_path["unread.docx"].problem
    assert "not valid JSON" in by_path["broken.json"].problem
    assert by_path["empty.txt"].problem == by_path["only-title.md"].problem == "there is no text in it"
    assert report.passages == 2


async def test_a_second_run_does_nothing(indexer, folder_of):
    """Unchanged files are not even read again, broken ones included."""
    folder = folder_of({"a.md": "One.", "b.md": b"\xff"})
    await indexer.index_folder(folder)
    report = await indexer.index_folder(folder)
    assert (report.changed, report.removed, report.embedded) == ((), (), 0)
    assert len(report.files) == 2


async def test_a_touched_file_with_the_same_content_is_not_cut_again(indexer, folder_of, store):
    """Its new time is noted, so that the next run need not read it either."""
    folder = folder_of({"a.md": "One."})
    await indexer.index_folder(folder)
    touch_later(folder / "a.md")
    assert (await indexer.index_folder(folder)).changed == ()
    [(state, _)] = await store.files()
    assert state.modified_ns == (folder / "a.md").stat().st_mtime_ns


async def test_only_changed_passages_are_embedded(indexer, folder_of, found):
    """An edit in one section leaves the vectors of the others alone."""
    sections = "\n\n".join(f"## Section {n}\n\nFact number {n} is {n * n}." for n in range(10))
    folder = folder_of({"a.md": f"# Facts\n\n{sections}"})
    assert (await indexer.index_folder(folder)).embedded == 10
    (folder / "a.md").write_text(f"# Facts\n\n{sections.replace('Fact number 3 is 9.', 'The zebra has stripes.')}")
    report = await indexer.index_folder(folder)
    assert (report.changed, report.embedded) == (("a.md",), 1)
    assert await found("zebra stripes") == ["a.md"] * len(await found("zebra stripes"))


async def test_a_renamed_file_keeps_its_vectors(indexer, folder_of, found):
    """The content is what was embedded, not the name (the title comes from the heading here)."""
    folder = folder_of({"old.md": "# Zoo\n\nThe zebra has stripes."})
    await indexer.index_folder(folder)
    (folder / "old.md").rename(folder / "new.md")
    report = await indexer.index_folder(folder)
    assert (report.changed, report.removed, report.embedded) == (("new.md",), ("old.md",), 0)
    assert await found("zebra") == ["new.md"]


async def test_a_removed_file_vanishes_from_search(indexer, folder_of, found):
    """Its text is no longer found by meaning or by word."""
    folder = folder_of({"a.md": "The zebra has stripes.", "b.md": "Trains leave at noon."})
    await indexer.index_folder(folder)
    (folder / "a.md").unlink()
    await indexer.index_folder(folder)
    assert await found("zebra stripes") == ["b.md"]


async def test_hidden_files_are_passed_over_and_links_are_refused(indexer, folder_of, tmp_path):
    """Nothing outside the folder is read; each link is told of, because somebody has put it there."""
    folder = folder_of(
        {"a.md": "One.", ".hidden.md": "No.", ".git/x.md": "No.", "~$a.docx": "No.", "picture.png": "No."}
    )
    (tmp_path / "secret.md").write_text("secret")
    (folder / "link.md").symlink_to(tmp_path / "secret.md")
    (folder / "twice.md").symlink_to("a.md")
    (folder / "lost.md").symlink_to("nowhere.md")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x.md").write_text("secret")
    (folder / "linked").symlink_to(tmp_path / "outside")
    report = await indexer.index_folder(folder)
    assert [file.path for file in report.files if file.passages] == ["a.md"]
    assert {file.path: file.problem[:30] for file in report.files if file.problem} == {
        "link.md": "it is a link out of the folder",
        "linked": "links to folders are not follo",
        "lost.md": "it is a link that leads nowher",
        "twice.md": "it is a link to a.md, which is",
    }
    assert report.passed_over == {".png": 1}


async def test_links_to_a_hidden_place_within_the_folder_are_followed(indexer, folder_of):
    """So Kubernetes shows a volume: each file is a link into a hidden folder, which is exchanged for another."""
    folder = folder_of({"..2026_1/a.md": "The zebra has stripes."})
    (folder / "..data").symlink_to("..2026_1")
    (folder / "a.md").symlink_to("..data/a.md")
    report = await indexer.index_folder(folder)
    assert [(file.path, file.passages, file.problem) for file in report.files] == [("a.md", 1, None)]


async def test_a_missing_folder_leaves_the_index_as_it_was(indexer, folder_of, found, tmp_path):
    """The error names the folder and the setting; the last index still answers."""
    await indexer.index_folder(folder_of({"a.md": "The zebra has stripes."}))
    with pytest.raises(DocumentError, match=r"knowledge\.folder"):
        await indexer.index_folder(tmp_path / "nowhere")
    assert await found("zebra") == ["a.md"]


async def test_a_sentence_is_found_among_others_that_speak_of_something_else(indexer, folder_of, store, async_encoder):
    """Where the whole passage is less like the question than another. A line of code and a word alone have no vector."""
    park = (
        "Dogs stay on the lead.\n\n- Tickets are sold at the gate until noon.\n- Fires are lit at the pond only.\n"
        "- Lost children wait at the fountain.\n- Bicycles are left outside.\n- On Sundays a band plays in the pavilion.\n"
        "- Groups of more than ten book a guide.\n- Nobody feeds the swans.\n- Ice\n\n"
        "| Day | Opens |\n|---|---|\n| Sunday in winter | 10:30 |\n\n```\nopen the gate now\n```\n"
    )
    await indexer.index_folder(folder_of({"park.md": park, "shop.md": "The shop is closed on Sundays and holidays."}))
    texts = ["is there a band on sundays", "Sunday in winter 10:30", "open the gate now", "Ice"]
    there = await store.candidates(
        async_encoder.identity, [SearchQuery(one, ()) for one in await async_encoder.encode(texts)], 5
    )
    [park, shop], [park_by_sentence, shop_by_sentence] = there.cosines[0], there.sentences[0]
    assert park < shop
    assert park_by_sentence > shop_by_sentence + 0.2
    assert there.sentences[1].max() > 0.99
    assert there.sentences[2:].max() < 0.9


async def test_an_interrupted_run_resumes_with_the_vectors_it_had(
    store, encoder, async_encoder, folder_of, monkeypatch
):
    """Readers see nothing of a run that was cut off, and the next run computes only the rest."""
    monkeypatch.setattr("bot.knowledge.embedding._STORED_AT_ONCE", 8)
    monkeypatch.setattr("bot.knowledge.embedding._EMBEDDED_AT_ONCE", 200)
    folder = folder_of({f"{n}.md": f"Animal number {n} eats {n} apples." for n in range(24)})
    worker = InferenceWorker("failing", lambda: Models(encoder, None), capacity=8)
    await worker.loaded()
    failing = AsyncEncoder(worker)
    calls = 0
    encode = failing.encode

    async def dies_in_the_middle(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls > 4:
            raise OSError("power failure")
        return await encode(*args, **kwargs)

    monkeypatch.setattr(failing, "encode", dies_in_the_middle)
    with pytest.raises(ExceptionGroup):
        await Indexer(store, failing, 200).index_folder(folder)
    assert (await store.summary()).passages == 0
    report = await Indexer(store, async_encoder, 200).index_folder(folder)
    assert report.passages == 24
    assert 0 < report.embedded <= 16


async def test_another_recipe_makes_the_passages_again(store, async_encoder, folder_of):
    """A changed setting for the length of passages takes effect without touching the files."""
    folder = folder_of(
        {"a.md": "\n\n".join(f"Paragraph number {n} says something about topic {n}." for n in range(30))}
    )
    first = await Indexer(store, async_encoder, 200).index_folder(folder)
    second = await Indexer(store, async_encoder, 64).index_folder(folder)
    assert second.changed == ("a.md",)
    assert second.passages > first.passages


async def test_progress_counts_up_to_the_total(indexer, folder_of):
    """The last figure shown is the total."""
    steps = []
    await indexer.index_folder(folder_of({f"{n}.md": f"Text number {n}." for n in range(9)}), steps.append)
    assert [step.total for step in steps] == [9] * len(steps)
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert (steps[0].done, steps[-1].done) == (0, 9)


@pytest.mark.slow
async def test_searching_while_indexing_sees_the_old_index_or_the_new_one(indexer, folder_of, found):
    """Never half of a change, whatever the moment."""
    folder = folder_of({f"{n}.md": f"# Old {n}\n\nThe zebra number {n} runs." for n in range(12)})
    await indexer.index_folder(folder)
    for n in range(12):
        (folder / f"{n}.md").unlink()
        (folder / f"new{n}.md").write_text(f"# New {n}\n\nThe zebra number {n} sleeps.")
    indexing = asyncio.create_task(indexer.index_folder(folder))
    seen = set()
    while not indexing.done():
        seen.add(frozenset(path.startswith("new") for path in await found("zebra")))
    await indexing
    seen.add(frozenset(path.startswith("new") for path in await found("zebra")))
    assert seen == {frozenset({False}), frozenset({True})}


# --- hostile folders --------------------------------------------------------------------------------------------------


async def test_what_is_no_ordinary_file_is_never_opened(indexer, folder_of):
    """Opening a pipe would wait for ever."""
    folder = folder_of({"a.md": "One."})
    os.mkfifo(folder / "pipe.md")
    report = await asyncio.wait_for(indexer.index_folder(folder), 20)
    assert [(file.path, file.problem) for file in report.files] == [
        ("a.md", None),
        ("pipe.md", "it is no ordinary file; remove it, or put a copy here"),
    ]


async def test_names_that_are_odd_or_no_text_stop_nothing(indexer, folder_of):
    """Line breaks, characters that turn the reading direction, names that differ in case, bytes that are no UTF-8."""
    folder = folder_of({"a\nb.md": "One.", "c\u202edm.exe.md": "Two.", "Same.md": "Three.", "same.md": "Four."})
    (folder / os.fsdecode(b"\xff.md")).write_text("Five.")
    report = await indexer.index_folder(folder)
    assert [(file.path, file.passages) for file in report.files] == [
        ("Same.md", 1),
        ("\\xff.md", 0),
        ("a\nb.md", 1),
        ("c\u202edm.exe.md", 1),
        ("same.md", 1),
    ]
    assert (await indexer.index_folder(folder)).changed == ()


async def test_a_file_that_is_too_large_is_not_even_read(store, async_encoder, folder_of):
    """It is told with both sizes and the setting."""
    indexer = Indexer(store, async_encoder, 200, largest_bytes=2**20)
    report = await indexer.index_folder(folder_of({"a.txt": b"x" * (3 * 2**20), "b.txt": "small"}))
    assert report.files[0].problem == (
        "it has 3 megabytes, and 1 is read at most; divide it, or raise knowledge.largest_megabytes"
    )
    assert report.files[1].passages == 1


async def test_a_file_that_is_written_to_all_the_time_keeps_its_last_version(indexer, folder_of, found, monkeypatch):
    """Half a file is no new version. When the writing ends, it is read."""
    folder = folder_of({"a.md": "The zebra has stripes.", "b.md": "Trains leave at noon."})
    await indexer.index_folder(folder)
    fstat = os.fstat
    writing = True

    def growing(descriptor: int) -> os.stat_result:
        status = fstat(descriptor)
        if writing:
            with (folder / "a.md").open("a") as stream:
                stream.write("More and more. ")
        return status

    monkeypatch.setattr(folder_module.os, "fstat", growing)
    (folder / "a.md").write_text("Half a ")
    report = await indexer.index_folder(folder)
    assert "being written to" in report.files[0].warnings[0]
    assert (await found("zebra"))[0] == "a.md"
    assert await indexer.has_changed(folder)
    writing = False
    assert (await indexer.index_folder(folder)).changed == ("a.md",)
    assert not await indexer.has_changed(folder)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="there are no users to change to")
async def test_files_and_folders_without_permission_are_told_and_hurt_nothing(store, async_encoder):
    """A folder that can't be looked into keeps what was indexed of it, for it may only be unreadable for a while."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)  # noqa: ASYNC240
        (folder / "closed").mkdir()
        (folder / "closed" / "a.md").write_text("The zebra has stripes.")
        (folder / "b.md").write_text("Trains leave at noon.")
        (folder / "secret.md").write_text("Nobody reads this.")
        indexer = Indexer(store, async_encoder, 200)
        await indexer.index_folder(folder)
        (folder / "closed").chmod(0)
        (folder / "secret.md").chmod(0)
        touch_later(folder / "secret.md")
        os.utime(folder / "secret.md", ns=(0, 10**18))
        nobody, before = 65534, os.geteuid()
        if before == 0:
            os.seteuid(nobody)
        try:
            report = await indexer.index_folder(folder)
        finally:
            os.seteuid(before)
        told = {file.path: (file.passages, file.problem) for file in report.files}
        (folder / "closed").chmod(0o755)
    assert told["b.md"] == (1, None)
    assert told["closed/a.md"] == (1, None)
    assert told["secret.md"] == (0, "can't be read (Permission denied); check its permissions")
    assert told["closed"][1].startswith("this folder can't be read (Permission denied); what was indexed of it is kept")


async def test_a_folder_that_is_not_mounted_keeps_the_last_index(indexer, folder_of, found, tmp_path):
    """The empty place of a mount is another folder. One that was emptied by hand is the same, and is believed."""
    folder = folder_of({"a.md": "The zebra has stripes."})
    await indexer.index_folder(folder)
    folder.rename(tmp_path / "elsewhere")
    folder.mkdir()
    with pytest.raises(DocumentError, match="as if something were not mounted"):
        await indexer.index_folder(folder)
    assert await found("zebra") == ["a.md"]
    folder.rmdir()
    (tmp_path / "elsewhere").rename(folder)
    (folder / "a.md").unlink()
    assert (await indexer.index_folder(folder)).removed == ("a.md",)
    assert await found("zebra") == []


async def test_a_rescan_opens_no_file_that_looks_the_same(indexer, folder_of, monkeypatch):
    """A change is found by names, sizes and times, so that looking through a large folder costs little."""
    folder = await asyncio.to_thread(folder_of, {f"{n % 20}/{n}.md": "" for n in range(200)})
    report = await indexer.index_folder(folder)
    assert {file.problem for file in report.files} == {"there is no text in it"}
    assert len(report.files) == 200
    opened: list[Path] = []
    monkeypatch.setattr(scan, "read_file", lambda file: opened.append(file) or folder_module.read_file(file))
    assert not await indexer.has_changed(folder)
    await indexer.index_folder(folder)
    assert opened == []
    (folder / "7" / "7.md").rename(folder / "7" / "8.md")
    assert await indexer.has_changed(folder)
    await indexer.index_folder(folder)
    assert opened == [folder / "7" / "8.md"]


# --- freshness --------------------------------------------------------------------------------------------------------


class Idle:
    """A reviewer with nothing to examine changes by, as in a folder without golden questions."""

    async def is_needed(self):
        return False

    async def review(self, _change):
        return Review(True)

    async def accepted(self):
        pass


@pytest.mark.slow
async def test_what_is_deleted_during_a_long_indexing_vanishes_at_once(
    store, async_encoder, folder_of, found, monkeypatch
):
    """Nobody waits for the embedding of others; and what was deleted meanwhile is not put in at its end."""
    indexer = Indexer(store, async_encoder, 200, reviewer=Idle())
    folder = folder_of({"old.md": "The zebra has stripes.", "kept.md": "Trains leave at noon."})
    await indexer.index_folder(folder)
    for n in range(40):
        (folder / f"{n}.md").write_text(f"Fact number {n} is about animal {n}.")
    monkeypatch.setattr("bot.knowledge.embedding._EMBEDDED_AT_ONCE", 50)
    encode, held = async_encoder.encode, asyncio.Event()

    async def slow(texts, **options):
        if "priority" in options:
            await held.wait()
        return await encode(texts, **options)

    monkeypatch.setattr(async_encoder, "encode", slow)
    indexing = asyncio.create_task(indexer.index_folder(folder))
    await asyncio.sleep(1)
    (folder / "old.md").unlink()
    (folder / "7.md").unlink()
    assert await indexer.forget_missing(folder) == ["old.md"]
    assert await found("zebra stripes") == ["kept.md"]
    held.set()
    report = await indexing
    assert "7.md" not in report.changed
    assert {"old.md", "7.md"}.isdisjoint(await found("zebra stripes animal 7"))


@pytest.mark.slow
async def test_a_cancelled_indexing_ends_its_reader_at_once(indexer, folder_of):
    """The bot stops without waiting for a file that never ends."""
    folder = folder_of({"slow.md": b"*a_ " * 2_000_000 + b"\n\nx" * 300_000, "b.md": "x"})
    indexing = asyncio.create_task(indexer.index_folder(folder))
    await asyncio.sleep(1)
    indexing.cancel()
    started = asyncio.get_running_loop().time()
    with pytest.raises(asyncio.CancelledError):
        await indexing
    assert asyncio.get_running_loop().time() - started < Limits().seconds / 2


async def test_a_long_scan_leaves_the_event_loop_its_threads(indexer, folder_of, monkeypatch):
    """Names are resolved in them, for one."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    scanning, goes_on, read = asyncio.Event(), threading.Event(), scan.Scanner.scan

    def long_scan(*args):
        loop.call_soon_threadsafe(scanning.set)
        assert goes_on.wait(20), "nothing else ran meanwhile"
        return read(*args)

    monkeypatch.setattr(scan.Scanner, "scan", long_scan)
    indexing = asyncio.create_task(indexer.index_folder(folder_of({"a.md": "Trains leave at noon."})))
    await scanning.wait()
    await asyncio.to_thread(goes_on.set)
    assert (await indexing).passages == 1


# --- reviews ----------------------------------------------------------------------------------------------------------


class Refusing:
    """A reviewer that says no until told otherwise."""

    def __init__(self):
        self.decision = Review(False, ("It got worse.",))
        self.settled = 0

    async def is_needed(self):
        return True

    async def review(self, change):
        self.change = change
        return self.decision

    async def accepted(self):
        self.settled += 1


async def test_what_was_deleted_goes_before_a_long_embedding_begins(
    store, async_encoder, indexer, folder_of, found, monkeypatch
):
    """One change deletes and adds: the deletion is seen while the rest is still computed. Vectors of a rename are kept."""
    monkeypatch.setattr("bot.knowledge.indexer._MANY", 5)
    folder = folder_of({"old.md": "The zebra has stripes.", "moved.md": "# Trains\n\nTrains leave at noon."})
    await indexer.index_folder(folder)
    (folder / "old.md").unlink()
    (folder / "moved.md").rename(folder / "here.md")
    for n in range(20):
        (folder / f"{n}.md").write_text(f"Fact number {n} is about animal {n}.")
    embedding = asyncio.Event()
    encode, held = async_encoder.encode, asyncio.Event()

    async def slow(texts, **options):
        if "priority" in options:
            await held.wait()
        return await encode(texts, **options)

    monkeypatch.setattr(async_encoder, "encode", slow)
    indexing = asyncio.create_task(indexer.index_folder(folder, lambda _: embedding.set()))
    await embedding.wait()
    assert await found("zebra stripes") == []
    held.set()
    report = await indexing
    assert (report.embedded, report.removed) == (20, ("moved.md", "old.md"))


async def test_a_refused_change_leaves_the_index_as_it_was(store, async_encoder, folder_of, found):
    """And the next accepted one puts in all that was left out, without computing it again."""
    reviewer = Refusing()
    indexer = Indexer(store, async_encoder, 200, reviewer=reviewer)
    folder = folder_of({"a.md": "The zebra has stripes."})
    report = await indexer.index_folder(folder)
    assert (report.review, report.passages, report.embedded) == (reviewer.decision, 0, 1)
    assert [file.state.path for file in reviewer.change.changed] == ["a.md"]
    reviewer.decision = Review(True)
    report = await indexer.index_folder(folder)
    assert (report.passages, report.embedded, reviewer.settled) == (1, 0, 1)
    assert await found("zebra") == ["a.md"]
