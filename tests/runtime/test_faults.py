"""Faults that really happen to the running program: it says what is wrong, loses nothing, and recovers by itself.

The program is the whole one, against a local Telegram; its engine repeats the question, so that it starts at once.
"""

import asyncio
import os
import random
import resource
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from running_program import Bot, running, until

from benchmarks.faults_hostile import hostile_discord, hostile_http, hostile_telegram, hostile_terminal
from benchmarks.faults_kills import kill_under_load
from bot.storage.sqlite.connection import damage
from tests.platforms.hostile import hostile_messages
from tests.platforms.telegram_server import TelegramServer


@pytest.fixture
async def bot(tmp_path):
    async with running(tmp_path) as bot:
        yield bot


@pytest.fixture
def small_disk(tmp_path):
    """A disk of two megabytes, where this process may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True)  # noqa: S607
    if mounted.returncode:
        pytest.skip("mounting is not permitted here; the same by a limit on the size of files is tested beside this")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)  # noqa: S607


def remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)  # noqa: S607


async def test_kill_9_at_random_moments_under_load_loses_nothing(tmp_path):
    """Discord and Telegram together: a small sample of `benchmarks/faults.py kills`."""
    survived = await kill_under_load(tmp_path, 3, longest=3.0, patience=30)
    assert survived.kills == 3
    assert survived.asked > 40
    assert (survived.lost, survived.unseen, survived.twice, survived.wrong) == ([], [], 0, []), survived.lines()


@pytest.mark.parametrize("attack", [hostile_telegram, hostile_discord, hostile_terminal, hostile_http])
async def test_hostile_messages_are_answered_or_refused_and_show_nothing_of_the_inside(attack, tmp_path):
    """A small sample of `benchmarks/faults.py hostile`."""
    assert await attack(tmp_path, await asyncio.to_thread(hostile_messages, 30)) == []


async def test_an_indexing_that_is_killed_leaves_a_whole_index(tmp_path):
    """At any moment: the next one goes on, and what can be searched is whole all the time."""
    chance = random.Random(3)
    (tmp_path / "knowledge").mkdir()
    for number in range(150):
        words = " ".join(f"word{number}{n}" for n in range(120))
        (tmp_path / "knowledge" / f"{number}.md").write_text(f"# Document {number}\n\n## Part\n\n{words}.\n")
    index = tmp_path / "data" / "index.sqlite3"
    async with TelegramServer() as server:
        bot = Bot(tmp_path, server)
        for _ in range(4):
            await bot.start()
            await until(index.exists)
            await asyncio.sleep(chance.uniform(0.0, 1.0))
            await bot.kill()
            assert not await asyncio.to_thread(damage, index)
            if index.stat().st_size:
                assert whole(index)
        await bot.start()
        await bot.answers()
        assert await bot.stop() == 0
    with closing(sqlite3.connect(index)) as db:
        assert db.execute("SELECT count(*) FROM documents").fetchone() == (150,)
    assert whole(index)


def whole(index: Path) -> bool:
    """Whether every passage has its words and its vector, and the other way round."""
    with closing(sqlite3.connect(index)) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'passages'").fetchone():
            return True
        [orphans] = db.execute(
            "SELECT count(*) FROM passages WHERE vector_key NOT IN (SELECT key FROM vectors) "
            "OR document NOT IN (SELECT id FROM documents)"
        ).fetchone()
        [passages] = db.execute("SELECT count(*) FROM passages").fetchone()
        [words] = db.execute("SELECT count(*) FROM words").fetchone()
    return orphans == 0 and words == passages


async def test_a_full_disk_is_told_and_what_was_asked_is_answered_when_there_is_room(small_disk, tmp_path):
    """With a disk that is really full, journal and all; without a restart."""
    async with running(tmp_path, BOT_STORAGE__FOLDER=str(small_disk)) as bot:
        await bot.answers()
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            while True:
                file.write(b"x" * 4096)
        waiting = bot.ask("x" * 3000)
        await until(lambda: bot.component("journal")[0] == "down")
        assert "free some space" in bot.component("journal")[1]
        assert waiting() == []
        filler.unlink()
        await until(waiting)
        await until(lambda: bot.component("journal")[0] in ("ready", "degraded"))
        assert await bot.stop() == 0


async def test_files_that_may_not_grow_are_survived(bot):
    """As with a quota: writing is tried again later, and the process lives."""
    await bot.answers()
    before = bot.limit(resource.RLIMIT_FSIZE, 1000)
    waiting = bot.ask("during the quota")
    await until(lambda: bot.component("journal")[0] == "down")
    assert waiting() == []
    bot.limit(resource.RLIMIT_FSIZE, before)
    await until(waiting)
    await bot.answers("after the quota")
    assert await bot.stop() == 0


async def test_no_file_can_be_opened_any_more_and_then_again(bot):
    """Out of file descriptors: connections fail, the process lives, and works when there are some again."""
    await bot.answers()
    before = bot.limit(resource.RLIMIT_NOFILE, 5)
    waiting = bot.ask("without files")
    await bot.server.hang_up()
    await bot.server.pick_up()
    await asyncio.sleep(2)
    bot.limit(resource.RLIMIT_NOFILE, before)
    await until(waiting, 60)
    await bot.answers("with files again")
    assert await bot.stop() == 0


async def test_a_locked_database_is_waited_for(bot):
    """Another program holds the journal for a while: questions wait, none is lost."""
    await bot.answers()
    with closing(sqlite3.connect(bot.place / "data" / "journal.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        waiting = bot.ask("during the lock")
        await asyncio.sleep(1.5)
        assert waiting() == []
        other.execute("ROLLBACK")
    await until(waiting)
    assert await bot.stop() == 0


async def test_a_damaged_journal_is_kept_aside_only_when_told_to(bot):
    """Clear words and an end otherwise; with the option the bot starts anew, and the old file is still there."""
    await bot.answers()
    assert await bot.stop() == 0
    journal = bot.place / "data" / "journal.sqlite3"
    damaged = journal.read_bytes()[:4096] + b"\xff" * 20_000
    journal.write_bytes(damaged)
    await bot.start()
    assert await bot.ended() == 1
    told = bot.said[-1]
    assert "The file is damaged: restore a backup (knowledge-bot restore), or start with --set-damaged-aside" in told
    assert journal.read_bytes() == damaged
    await bot.start("--set-damaged-aside")
    await bot.answers("after the damage")
    [aside] = [file for file in journal.parent.glob("*.damaged-*") if not file.name.endswith(("-wal", "-shm"))]
    assert aside.read_bytes() == damaged
    assert await bot.stop() == 0


async def test_a_folder_that_can_t_be_written_is_told_with_the_fix(small_disk, tmp_path):
    """A disk that is mounted read-only; one line, no traceback."""
    remount(small_disk, "ro")
    async with running(tmp_path, BOT_STORAGE__FOLDER=str(small_disk / "data")) as bot:
        assert await bot.ended() == 1
    assert f"{small_disk / 'data'}: Read-only file system" in bot.said[-1]
    assert "check its owner and permissions" in bot.said[-1]
    assert len(bot.said) == 1


async def test_a_model_call_that_never_returns_takes_one_answer_and_not_the_bot(tmp_path):
    """Its asker is told at the deadline, the next question is answered by another thread, and the health says so."""
    async with running(tmp_path, BOT_QUEUE__DEADLINE_SECONDS="3") as bot:
        await bot.answers("before")
        stuck = bot.ask("you never return")
        await until(lambda: any("longer than 3 seconds" in said for said in stuck()), 20, stuck)
        await until(lambda: bot.component("models")[0] == "degraded", 20)
        assert "another thread has taken over" in bot.component("models")[1]
        await bot.answers("after")
        assert await bot.stop() == 0


async def test_a_second_signal_ends_the_program_at_once(tmp_path):
    """The first one waits for answers under way."""
    async with running(tmp_path, BOT_SHUTDOWN__GRACE_SECONDS="100") as bot:
        await bot.answers("before")
        bot.ask("you never return")
        await until(lambda: len(bot.server.called("sendChatAction")) > 0)
        bot.process.send_signal(signal.SIGTERM)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(bot.process.wait()), 1.5)
        bot.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(bot.process.wait(), 20) == 128 + signal.SIGTERM


async def test_what_does_not_end_within_the_grace_is_handed_to_the_next_start(tmp_path):
    """Exit status 0, and the question is still there."""
    async with running(tmp_path, BOT_SHUTDOWN__GRACE_SECONDS="1") as bot:
        await bot.answers("before")
        waiting = bot.ask("you never return")
        await until(lambda: len(bot.server.called("sendChatAction")) > 0)
        assert await bot.stop() == 0
        assert waiting() == []
        [left] = [line["questions"] for line in bot.log if line["event"] == "left for the next start"]
        assert left == 1


async def test_the_knowledge_folder_goes_away_and_comes_back(tmp_path):
    """As an unmounted volume does: answers go on from the index, the health says what is wrong and when it is well again."""
    async with running(tmp_path, BOT_KNOWLEDGE__RESCAN_SECONDS="0.5") as bot:
        (tmp_path / "knowledge" / "a.md").write_text("# A\n\nText.\n")
        await bot.answers("before")
        (tmp_path / "knowledge").rename(tmp_path / "elsewhere")
        await until(lambda: bot.component("index")[0] == "degraded")
        await bot.answers("meanwhile")
        (tmp_path / "elsewhere").rename(tmp_path / "knowledge")
        await until(lambda: bot.component("index")[0] == "ready")
        assert await bot.stop() == 0


async def test_a_document_that_is_written_all_the_time_holds_nobody_up_and_is_read_when_it_rests(tmp_path):
    """It grows, is cut off and is replaced, as by programs that log or synchronise; never half of a version is indexed."""
    (tmp_path / "knowledge").mkdir()
    document = tmp_path / "knowledge" / "log.md"
    document.write_text("# Log\n\nbegun.\n")
    writing = True

    async def write() -> None:
        while writing:
            for _ in range(20):
                with document.open("a") as stream:
                    stream.write("A line that was logged.\n" * 500)
                await asyncio.sleep(0.005)
            os.truncate(document, 100)
            (tmp_path / "new").write_text("# Log\n\nbegun anew.\n")
            (tmp_path / "new").rename(document)

    async with running(tmp_path, BOT_KNOWLEDGE__RESCAN_SECONDS="0.5") as bot:
        written = asyncio.create_task(write())
        await bot.answers("meanwhile")
        await asyncio.sleep(3)
        await bot.answers("still")
        writing = False
        await written
        document.write_text("# Log\n\nended.\n")
        await until(lambda: indexed_text(tmp_path / "data" / "index.sqlite3") == ["ended."])
        assert await bot.stop() == 0
        assert not [line for line in bot.said if "Traceback" in line]


def indexed_text(index: Path) -> list[str]:
    """The bodies of all passages."""
    with closing(sqlite3.connect(index)) as db:
        return [body for (body,) in db.execute("SELECT body FROM words ORDER BY rowid")]
