"""Notifications to a service manager, over a real socket."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.runtime import systemd
from tests.platforms.telegram_server import TOKEN, TelegramServer

ROOT = Path(__file__).parents[2]


class Manager:
    """The receiving end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1))
        self._socket.setblocking(False)
        self.heard: list[str] = []

    def listen(self) -> list[str]:
        while True:
            try:
                self.heard += self._socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return self.heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["file", "abstract"])
def manager(request, tmp_path, monkeypatch) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify") if request.param == "file" else f"@knowledge-bot-{os.getpid()}")
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    yield manager
    manager.close()


def test_states_arrive_and_a_status_is_one_line(manager):
    """Also if the text has several."""
    systemd.ready()
    systemd.status("two\nlines")
    systemd.stopping(30)
    assert manager.listen() == ["READY=1", "STATUS=two lines", "STOPPING=1", "EXTEND_TIMEOUT_USEC=30000000"]


def test_a_manager_that_is_away_or_busy_hurts_nobody(manager, monkeypatch):
    """Nothing raises, nothing blocks."""
    for _ in range(2000):
        systemd.ready()
    manager.close()
    systemd.ready()
    monkeypatch.delenv("NOTIFY_SOCKET")
    systemd.ready()


async def test_signs_of_life_come_often_enough_and_only_where_they_are_wanted(manager, monkeypatch):
    """For this process, that is."""
    await systemd.show_life()  # returns: nobody watches
    monkeypatch.setenv("WATCHDOG_USEC", "60000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    await systemd.show_life()
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    living = asyncio.create_task(systemd.show_life())
    await asyncio.sleep(0.2)
    living.cancel()
    assert 5 <= manager.listen().count("WATCHDOG=1") <= 11


async def test_the_daemon_tells_when_it_is_ready_that_it_lives_and_that_it_stops(tmp_path, monkeypatch):
    """The whole program as a service manager runs it: accepting questions means ready."""
    manager = Manager(str(tmp_path / "notify"))
    (tmp_path / "knowledge").mkdir()
    environment = {
        "TELEGRAM_TOKEN": TOKEN,
        "NOTIFY_SOCKET": manager.address,
        "WATCHDOG_USEC": "600000",
        "PYTHONPATH": str(ROOT),
    }
    async with TelegramServer() as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.platforms.serve", "-", "-", "echo", "run"),
            cwd=tmp_path,
            env=os.environ | environment | {"BOT_TELEGRAM__API_URL": server.address},
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(60):
                while manager.listen().count("WATCHDOG=1") < 3 or not server.called("getUpdates"):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert "READY=1" in manager.heard
            assert "STOPPING=1" not in manager.heard
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 30) == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert "STOPPING=1" in manager.listen()
    manager.close()
