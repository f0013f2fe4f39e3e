"""The running program against a local Telegram, for tests of faults and of its end."""

import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.ordinary_user import as_ordinary_user
from tests.platforms.telegram_server import TOKEN, TelegramServer

ROOT = Path(__file__).parents[2]


class Bot:
    """The running program, and one person after the other who asks it."""

    def __init__(self, place: Path, server: TelegramServer, engine: str = "echo", **environment: str) -> None:
        """`engine`: one of `tests.platforms.serve`."""
        self.place = place
        self._engine = engine
        self.server = server
        self._environment = environment
        self._people = 0
        self.process: asyncio.subprocess.Process | None = None
        self.said: list[str] = []  # to standard error
        (place / "knowledge").mkdir(exist_ok=True)

    async def start(self, *arguments: str, ordinary_user: bool = False) -> None:
        environment = {
            "TELEGRAM_TOKEN": TOKEN,
            "BOT_TELEGRAM__API_URL": self.server.address,
            "BOT_LIMITS__CHAT_QUESTIONS": "0",
            "BOT_LOG__FORMAT": "json",
            "PYTHONPATH": str(ROOT),
        }
        program = (sys.executable, "-m", "tests.platforms.serve", "-", "-", self._engine, "run", *arguments)
        self.process = await asyncio.create_subprocess_exec(
            *(as_ordinary_user(*program) if ordinary_user else program),
            cwd=self.place,
            env=os.environ | environment | self._environment,
            stderr=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.create_task(self._read(self.process.stderr))

    async def _read(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self.said.append(line.decode().rstrip())

    async def ended(self) -> int:
        """Wait until the program ends by itself, and for its last words."""
        status = await asyncio.wait_for(self.process.wait(), 60)
        await self._reading
        return status

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.said if line.startswith("{")]

    def component(self, name: str) -> tuple[str, str]:
        """Its state as logged last, with the detail."""
        said = [line for line in self.log if line.get("component") == name and line["event"] == "component"]
        return (said[-1]["state"], said[-1]["detail"]) if said else ("", "")

    def ask(self, text: str = "how are things?") -> Callable[[], list[str]]:
        """Ask in a chat of one's own; what is called tells what was said there."""
        self._people += 1
        person = self.server.person(f"Person {self._people}")
        chat = self.server.private(person)
        self.server.says(chat, person, text)
        return lambda: [said for said in chat.texts if not said.endswith("…")]

    async def answers(self, text: str = "how are things?", seconds: float = 40) -> None:
        said = self.ask(text)
        await until(lambda: any(text in answer for answer in said()), seconds, said)

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    def limit(self, which: int, soft: int) -> int:
        """Change a limit of the running process; what it was."""
        before, hard = resource.prlimit(self.process.pid, which)
        resource.prlimit(self.process.pid, which, (soft, hard))
        return before


async def until(
    holds: Callable[[], object], seconds: float = 40, otherwise: Callable[[], object] = lambda: "no"
) -> None:
    end = asyncio.get_running_loop().time() + seconds
    while not holds():
        assert asyncio.get_running_loop().time() < end, otherwise()
        await asyncio.sleep(0.02)


@asynccontextmanager
async def running(place: Path, engine: str = "echo", **environment: str) -> AsyncIterator[Bot]:
    async with TelegramServer() as server:
        bot = Bot(place, server, engine, **environment)
        await bot.start()
        try:
            yield bot
        finally:
            if bot.process.returncode is None:
                await bot.kill()
