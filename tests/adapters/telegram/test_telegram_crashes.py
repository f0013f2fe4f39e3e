"""kill -9 at the worst moments, over a real socket and a real journal: nothing is lost, nothing is said twice unmarked."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from telegram_application import until

from tests.platforms.telegram_load import MARK, drive
from tests.platforms.telegram_server import TOKEN, Json, TelegramServer

pytestmark = pytest.mark.timeout(400)  # a machine that does much else takes a minute to start a process
PROGRAM = Path(__file__).with_name("telegram_program.py")


@pytest.fixture
async def start(server, tmp_path):
    """Start the adapter in a process of its own; the last one is ended with the test."""
    started: list[asyncio.subprocess.Process] = []

    async def start() -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(sys.executable, str(PROGRAM), server.address, str(tmp_path))
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def killed_when(server: TelegramServer, process, happens) -> None:
    """Kill the process when the service has carried out a call, before the process gets the response."""

    def kill(method: str, parameters: Json) -> None:
        if happens(method, parameters) and process.returncode is None:
            process.send_signal(signal.SIGKILL)

    server.on_done = kill
    await process.wait()
    server.on_done = lambda _method, _parameters: None


async def test_killed_between_fetch_and_journal(server, start):
    """The updates were not confirmed, so they come again."""
    ann = server.person("Ann")
    process = await start()
    await until(lambda: server.called("getUpdates"), 90)
    server.says(server.private(ann), ann, "one")
    await killed_when(server, process, lambda method, _: method == "getUpdates" and server.pending)
    assert server.private(ann).texts == []
    await start()
    await until(lambda: server.private(ann).texts, 90)
    assert [text.split("\n")[0] for text in server.private(ann).texts] == ["re: one"]


async def test_killed_between_send_and_acknowledgement(server, start):
    """The answer has arrived without an acknowledgement, so it is sent again and says so."""
    ann = server.person("Ann")
    process = await start()
    server.says(server.private(ann), ann, "one")
    await killed_when(server, process, lambda method, _: method == "sendMessage")
    await start()
    await until(lambda: len(server.private(ann).texts) == 2, 90)
    first, second = server.private(ann).texts
    assert first.startswith("re: one")
    assert second.startswith(MARK)


async def test_killed_between_placeholder_and_answer(server, start):
    """The placeholder becomes the answer after the restart."""
    ann = server.person("Ann")
    process = await start()
    server.says(server.private(ann), ann, "slow one")
    await until(lambda: server.private(ann).texts == ["Searching the documents…"], 90)
    await asyncio.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await start()
    await until(lambda: server.private(ann).texts[0].startswith("re: slow one"), 90)
    assert len(server.private(ann).texts) == 1


async def test_a_crowd_with_faults_and_a_kill_is_answered_once(server, start):
    """A small sample of benchmarks/telegram_load.py."""
    books, _ = await drive(
        server,
        start,
        ask=lambda n: f"{'slow ' if n % 20 == 0 else ''}question {n}",
        questions=150,
        kills=1,
        per_second=60,
        groups=10,
        patience=30,
    )
    assert (books.lost, books.doubled, books.ignored_waits) == ([], [], 0), "\n".join(books.lines())
    assert books.kills == 1


@asynccontextmanager
async def program(place: Path, server: TelegramServer, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The whole program, as an operator starts it, in a folder with one document. Without the encoder it starts sooner."""
    (place / "knowledge").mkdir(exist_ok=True)
    (place / "knowledge" / "guide.md").write_text("# Guide\n\nUse water at 92 degrees for brewing coffee.\n")
    known = {
        "TELEGRAM_TOKEN": TOKEN,
        "BOT_TELEGRAM__API_URL": server.address,
        "BOT_LOG__FORMAT": "json",
        "BOT_ENCODER__MODEL": "none",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "run"),
        cwd=place,
        env=os.environ | known | environment,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_the_program_serves_telegram_until_it_is_told_to_stop(server, tmp_path):
    """It uses a webhook, answers from its document, offers it inline, and removes the webhook when it stops."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/hook"
    async with program(tmp_path, server, BOT_TELEGRAM__WEBHOOK_URL=url, BOT_HTTP__PORT=str(port)) as process:
        ann = server.person("Ann")
        server.says(server.private(ann), ann, "how hot should the water for brewing coffee be?")
        await until(lambda: any("92 degrees" in text for text in server.private(ann).texts), 200)
        query = server.types_inline(ann, "brewing coffee")
        await until(lambda: query in server.inline_answers)
        assert server.inline_answers[query]["results"][0]["title"] == "Guide"
        process.send_signal(signal.SIGTERM)
        _, logged = await process.communicate()
    assert process.returncode == 0, logged.decode()
    assert server.webhook == {}
    assert b'"event": "stopped"' in logged
    assert b"coffee" not in logged
    assert TOKEN.encode() not in logged


async def test_the_program_ends_with_the_fix_where_the_token_is_refused(server, tmp_path):
    """The message doesn't hold the token."""
    async with program(tmp_path, server, TELEGRAM_TOKEN="1:wrong") as process:
        _, logged = await process.communicate()
    assert process.returncode == 2
    assert b"@BotFather" in logged
    assert b"1:wrong" not in logged
