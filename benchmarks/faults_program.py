"""The whole program, as the measurements of faults run it: its start, its end, its log, and waiting for it."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import aiohttp

from tests.platforms.discord_server import TOKEN as DISCORD_TOKEN
from tests.platforms.discord_server import DiscordServer
from tests.platforms.telegram_server import TOKEN as TELEGRAM_TOKEN
from tests.platforms.telegram_server import TelegramServer

ROOT = Path(__file__).parent.parent


class Program:
    """The whole program, with an engine that repeats the question or the real one, on one platform or on both."""

    def __init__(
        self,
        folder: Path,
        discord: DiscordServer | None,
        telegram: TelegramServer | None,
        engine: str = "echo",
        **environment: str,
    ) -> None:
        self._folder = folder
        self._engine = engine
        (folder / "knowledge").mkdir(exist_ok=True)
        self._server = (discord.api, discord.gateway) if discord else ("-", "-")
        self._environment = {"PYTHONPATH": str(ROOT), "BOT_LOG__FORMAT": "json", "BOT_LIMITS__CHAT_QUESTIONS": "0"}
        self._environment |= {"BOT_LIMITS__AUTHOR_QUESTIONS": "0", "BOT_QUEUE__CAPACITY": "4096"}
        if discord:
            self._environment["DISCORD_TOKEN"] = DISCORD_TOKEN
        if telegram:
            self._environment |= {"TELEGRAM_TOKEN": TELEGRAM_TOKEN, "BOT_TELEGRAM__API_URL": telegram.address}
        self.http_port = _free_port()
        self._environment["BOT_HTTP__PORT"] = str(self.http_port)
        self._environment |= environment
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-W", "ignore", "-m", "tests.platforms.serve", *self._server, self._engine, "run"),
                cwd=self._folder,
                env=os.environ | self._environment,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log,
            )

    async def end(self, number: signal.Signals) -> int:
        assert self.process
        self.process.send_signal(number)
        return await self.process.wait()

    async def listens(self, seconds: float = 600) -> None:
        """Wait until it accepts connections, for so long at most."""
        async with asyncio.timeout(seconds):
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.http_port)
                    writer.close()
                    return
                await asyncio.sleep(0.05)

    def logged(self, event: str) -> list[dict[str, object]]:
        lines = (self._folder / "log").read_text().splitlines()
        said = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in said if line["event"] == event]


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


async def until(holds: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        await asyncio.sleep(0.05)


async def until_served(session: aiohttp.ClientSession, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while True:
            with suppress(aiohttp.ClientError):
                async with session.get("/health/ready") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.05)
