"""A day of Telegram in a few minutes, with the whole program as a process of its own against a local Bot API.

    python benchmarks/telegram_load.py [--questions 2000] [--kills 5] [--per-second 20] [--skip-stall]

First: how long until a poll that hangs is noticed and healed, with the default settings. Then many people ask while the service
breaks and the bot is killed with kill -9 and started again. Each question must be answered or visibly refused, and none
twice, except for parts that say that they are sent again. It ends with status 1 where one of the figures is out of bounds.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))

from tests.platforms.telegram_load import drive  # noqa: E402
from tests.platforms.telegram_server import TOKEN, Limits, TelegramServer  # noqa: E402

FACTS = [
    f"The {thing} opens at {hour} o'clock." for hour, thing in enumerate(("gate", "shop", "bar", "pool", "hall"), 5)
]
QUESTIONS = (
    "when does the gate open?",
    "when does the shop open?",
    "when does the pool open?",
    "who won the match?",
    "hi",
)
LONGEST_STALL = 90.0  # seconds
MOST_LAG = 10.0  # milliseconds, 99th percentile


class Program:
    """The program in a folder of its own; what it logs is kept there."""

    def __init__(self, server: TelegramServer, folder: Path) -> None:
        self._server = server
        self._folder = folder
        (folder / "knowledge").mkdir()
        (folder / "knowledge" / "hours.md").write_text("# Opening hours\n\n" + "\n\n".join(FACTS) + "\n")
        self._log = (folder / "log").open("ab")

    async def start(self) -> asyncio.subprocess.Process:
        environment = {
            "TELEGRAM_TOKEN": TOKEN,
            "BOT_TELEGRAM__API_URL": self._server.address,
            "BOT_LOG__FORMAT": "json",
            "BOT_LIMITS__CHAT_QUESTIONS": "0",
            "PYTHONPATH": str(ROOT),
        }
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "run"), cwd=self._folder, env=os.environ | environment, stderr=self._log
        )

    async def stop(self, process: asyncio.subprocess.Process) -> tuple[float, float]:
        """Stop it as a service manager does; the loop lag that it then has logged, of its start and since then, in
        milliseconds (99th percentile)."""
        process.send_signal(signal.SIGTERM)
        await process.wait()
        return self._lag("ready"), self._lag("stopped")

    def _lag(self, event: str) -> float:
        lines = (self._folder / "log").read_text().splitlines()
        logged = [json.loads(line) for line in lines if f'"event": "{event}"' in line]
        return float(logged[-1]["loop_lag_p99_ms"]) if logged else float("inf")


async def stall_seconds(hanging_polls: int) -> float:
    """Seconds from when a poll hangs until a question that was asked then is answered."""
    async with TelegramServer() as server:
        with tempfile.TemporaryDirectory() as folder:
            program = Program(server, Path(folder))
            process = await program.start()
            ann = server.person("Ann")
            server.says(server.private(ann), ann, QUESTIONS[0])
            await _until(lambda: server.private(ann).texts, 60)
            server.break_next("getUpdates", "hang", hanging_polls)
            server.says(
                server.private(ann), ann, QUESTIONS[1]
            )  # ends the poll that waits; it is in time for the next one
            await _until(lambda: len(server.private(ann).texts) > 1, 30)
            server.says(server.private(ann), ann, QUESTIONS[2])
            began = time.monotonic()
            await _until(lambda: len(server.private(ann).texts) > 2, 2 * LONGEST_STALL)
            seconds = time.monotonic() - began
            await program.stop(process)
            return seconds


async def _until(holds: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        await asyncio.sleep(0.05)


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--per-second", type=float, default=20.0)
    parser.add_argument("--skip-stall", action="store_true")
    options = parser.parse_args()
    say = partial(Console().print, markup=False, highlight=False)
    good = True
    if not options.skip_stall:
        for polls, healed_by in ((1, "a new connection pool"), (2, "a new start of the adapter")):
            seconds = await stall_seconds(polls)
            good &= seconds <= LONGEST_STALL
            say(f"poll stall healed after   {seconds:.1f} s by {healed_by} (at most {LONGEST_STALL:.0f})")
    async with TelegramServer(limits=Limits()) as server:
        with tempfile.TemporaryDirectory() as folder:
            program = Program(server, Path(folder))
            books, process = await drive(
                server,
                program.start,
                lambda n: QUESTIONS[n % len(QUESTIONS)],
                questions=options.questions,
                kills=options.kills,
                per_second=options.per_second,
            )
            starting, lag = await program.stop(process)
    say("\n".join(books.lines()))
    say(f"loop lag p99             {lag:.1f} ms since the last start was over (at most {MOST_LAG:.0f})")
    say(f"loop lag p99, starting   {starting:.1f} ms, while the models were loaded")
    say(f"against the description  {len(server.violations)} violations {server.violations[:3] or ''}")
    return 0 if good and not (books.lost or books.doubled or server.violations) and lag <= MOST_LAG else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
