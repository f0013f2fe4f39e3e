"""The whole program against the local Discord: real processes, a real kill -9. Without the encoder it starts sooner."""

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from tests.platforms.discord_server import TOKEN, DiscordServer

pytestmark = pytest.mark.timeout(400)  # a machine that does much else takes a minute to start a process
QUESTION = "how hot should the water be?"
ANSWER = "Use water at **92 to 96 degrees**."
SECRET = "a-token-that-discord-refuses"  # noqa: S105


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "knowledge").mkdir()
    (tmp_path / "knowledge" / "guide.md").write_text("# Brewing guide\n\n## Water\n\nUse water at 92 to 96 degrees.\n")
    return tmp_path


@asynccontextmanager
async def program(server: DiscordServer, place: Path, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    root = Path(__file__).parents[3]
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "tests.platforms.serve",
            server.api,
            server.gateway,
            "real",
            "run",
        ),
        cwd=place,
        env=os.environ
        | {"PYTHONPATH": str(root), "DISCORD_TOKEN": TOKEN, "OMP_NUM_THREADS": "1", "BOT_ENCODER__MODEL": "none"}
        | environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_run_serves_discord_and_survives_kill_9_at_each_stage(server, guild, channel, ann, place):
    """Killed while it answers, while it sends, and after: each question gets its answer, and none gets two."""
    asked = []
    for stage in ("gateway", "send", "after"):
        async with program(server, place) as process:
            await server.until(lambda: server._sockets, seconds=90)
            user = server.user(stage)
            slash = await server.slash(channel, user, "ask", {"question": QUESTION})
            asked.append(slash)
            said = await server.say(channel, f"@bot {QUESTION}", user)
            match stage:
                case "gateway":
                    await server.until(lambda: _journalled(place) == 2, seconds=90)
                    # A command that was not yet acknowledged can't be answered in its place any more.
                    await server.until(lambda slash=slash: slash.response, seconds=90)
                case "send":
                    server.lose_answer("POST", f"{channel}/messages")
                    await server.until(lambda: _journalled(place) == 4, seconds=90)
                    await server.until(lambda said=said: _answers(server, channel, said), seconds=90)
                case "after":
                    arrived = lambda said=said, slash=slash: slash.message and _answers(server, channel, said)  # noqa: E731
                    await server.until(arrived, seconds=90)
            process.send_signal(signal.SIGKILL)
            await process.wait()
    async with program(server, place) as process:
        await server.until(lambda: server._sockets, seconds=90)
        await server.until(lambda: all(slash.message for slash in asked), seconds=90)
        answered = lambda: [message for message in server.from_bot(channel) if ANSWER in message["content"]]  # noqa: E731
        await server.until(lambda: len(answered()) >= 6, seconds=90)
        await asyncio.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert len(answered()) == len(server.from_bot(channel)) == 6


def _journalled(place: Path) -> int:
    """How many questions the journal has."""
    with closing(sqlite3.connect(place / "data" / "journal.sqlite3")) as db:
        return db.execute("SELECT count(*) FROM questions").fetchone()[0]


def _answers(server: DiscordServer, channel: str, said: dict[str, object]) -> list[object]:
    return [m for m in server.from_bot(channel) if str(m.get("message_reference", {}).get("message_id")) == said["id"]]


async def test_a_bad_token_is_one_clear_line_and_a_failure(server, place):
    """As a service manager and its operator see it; the token itself is never printed."""
    async with program(server, place, DISCORD_TOKEN=SECRET) as process:
        _, told = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode == 2
    lines = told.decode()
    assert lines.count("Developer Portal") == 2  # the log, and the last word of the program
    assert "Traceback" not in lines
    assert SECRET not in lines
