"""The console over a long history, while the bot answers: how long each page takes, and how late the event loop is.

    python benchmarks/console.py [--questions 100000] [--per-second 16] [--rounds 5]

The program runs as a process of its own over the handbook. It ends with status 1 where a page takes 300 ms or the event loop is
later than 10 ms in more than one of 100 cases.
"""

import argparse
import asyncio
import json
import math
import os
import random
import signal
import socket
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from bot.core.messages import Address, Answer, Citation, Outcome, Question
from bot.storage.sqlite.journal import FILE, SqliteJournal

ROOT = Path(__file__).parent.parent
TOKEN = "benchmark-operators-token"  # noqa: S105
MOST_MILLISECONDS = 300.0
MOST_LAG = 10.0  # milliseconds, 99th percentile
DAYS = 29
WORDS = (
    "how do i install the bot on my machine when its token expires and what does restart change for documents".split()
)
ASKED = ("How do I back up the bot?", "Which formats can be read?", "How do I set the threshold?", "Who won the match?")
PAGES = (
    "questions",
    "questions?text=token+expires",
    "questions?text=nothing+has+this",
    "questions?outcome=declined&platform=discord",
    "questions?rating=wrong",
    "questions?chat=chat-77",
    "questions?after={deep},1",
    "questions/50000",
    "gaps",
    "entries",
    "documents",
    "threshold",
    "threshold?threshold=0.6",
    "quality",
    "health",
    "settings",
)


async def fill(folder: Path, questions: int) -> None:
    """A journal with so many questions of the last days, of which one in 50 was rated."""
    await (await SqliteJournal.open(folder)).close()
    chance, now = random.Random(1), time.time()  # noqa: S311 - it can be repeated
    rows, ratings = [], []
    for number in range(questions):
        at = now - DAYS * 86_400 * (1 - number / questions)
        address = Address(("discord", "telegram", "http")[number % 3], f"chat-{number % 400}", str(number))
        text = f"{' '.join(chance.choices(WORDS, k=9))} {number}?"
        question = Question(text, f"c{number % 500}", f"u{number % 3000}", address, datetime.fromtimestamp(at, UTC))
        quote = " ".join(chance.choices(WORDS, k=60))
        answer = Answer(
            chance.choices([Outcome.ANSWERED, Outcome.SUGGESTED, Outcome.DECLINED], [6, 2, 2])[0],
            " ".join(chance.choices(WORDS, k=120)),
            f"{number:08x}",
            confidence=chance.random(),
            citations=(Citation("operating.md", "Operating", ("Backup",), (1, 2), None, None, quote, None),),
            retrieved=tuple(f"document-{place}.md" for place in range(8)),
        )
        texts = json.dumps(question.to_json()), json.dumps(answer.to_json())
        rows.append((*address.key, at, *texts, question.author, answer.reference, at + 1))
        if number % 50 == 0:
            ratings.append((address.platform, answer.reference, "u", chance.random() < 0.6, "", at))
    with closing(sqlite3.connect(folder / FILE)) as db, db:
        db.executemany(
            "INSERT INTO questions (platform, chat, message, accepted_at, question, answer, author, reference, done_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        db.executemany("INSERT INTO feedback VALUES (?, ?, ?, ?, ?, ?)", ratings)


async def start(folder: Path) -> tuple[asyncio.subprocess.Process, str]:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    environment = os.environ | {
        "BOT_STORAGE__FOLDER": str(folder),
        "BOT_KNOWLEDGE__FOLDER": str(ROOT / "knowledge"),
        "BOT_HTTP__PORT": str(port),
        "BOT_HTTP__OPERATOR_TOKEN": TOKEN,
        "BOT_LIMITS__AUTHOR_QUESTIONS": "0",
        "BOT_LIMITS__CHAT_QUESTIONS": "0",
        "BOT_LOG__FORMAT": "json",
        "PYTHONPATH": str(ROOT),
    }
    log = (folder / "log").open("wb")
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        "run",
        env=environment,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stderr=log,
        stdout=log,
    )
    address = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=address) as client, asyncio.timeout(400):
        while True:
            with suppress(httpx.HTTPError):
                if (await client.get("/health/ready")).status_code == 200:
                    return program, address
            await asyncio.sleep(0.5)


class Asking:
    """Asks so many questions a second, each by itself, and counts the answers and how long they took."""

    def __init__(self, client: httpx.AsyncClient, per_second: float) -> None:
        self._client = client
        self._per_second = per_second
        self.seconds: list[float] = []
        self.failures: Counter[str] = Counter()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(10**9):
                group.create_task(self._ask(ASKED[number % len(ASKED)]))
                await asyncio.sleep(1 / self._per_second)

    async def _ask(self, text: str) -> None:
        began = time.perf_counter()
        try:
            response = await self._client.post("/v1/answers", json={"question": text})
        except httpx.HTTPError as error:
            self.failures[type(error).__name__] += 1
            return
        if response.status_code == 200:
            self.seconds.append(time.perf_counter() - began)
        else:
            self.failures[response.json()["detail"]] += 1


async def lag(client: httpx.AsyncClient) -> float:
    """The 99th percentile of the last minutes, in milliseconds."""
    text = (await client.get("/metrics")).text
    [line] = [
        one for one in text.splitlines() if one.startswith("knowledge_bot_event_loop_lag_seconds") and "0.99" in one
    ]
    return float(line.split()[-1]) * 1000


async def measure(questions: int, per_second: float, rounds: int) -> bool:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        await fill(folder, questions)
        program, address = await start(folder)
        try:
            # Two clients: in one, waiting questions would use up the connections, and pages would wait for one of those.
            async with (
                httpx.AsyncClient(base_url=address, timeout=60, headers={"Origin": address}) as operator,
                httpx.AsyncClient(base_url=address, timeout=60, limits=httpx.Limits(max_connections=None)) as people,
            ):
                await operator.post("/sign-in", data={"token": TOKEN})
                took, asking, late = await _visits(operator, Asking(people, per_second), rounds)
        finally:
            program.send_signal(signal.SIGTERM)
            await program.wait()
    return _report(took, asking, late, questions, per_second)


async def _visits(
    client: httpx.AsyncClient, asking: Asking, rounds: int
) -> tuple[dict[str, list[float]], Asking, float]:
    task = asyncio.create_task(asking.run())
    deep = time.time() - DAYS / 2 * 86_400
    took: dict[str, list[float]] = {page: [] for page in PAGES}
    for _ in range(rounds):
        for page in PAGES:
            began = time.perf_counter()
            response = await client.get(f"/console/{page.format(deep=deep)}")
            took[page].append((time.perf_counter() - began) * 1000)
            assert response.status_code == 200, (page, response.status_code)
            await asyncio.sleep(0.3)
    late = await lag(client)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return took, asking, late


def _report(took: dict[str, list[float]], asking: Asking, late: float, questions: int, per_second: float) -> bool:
    table = Table("page", "median ms", "slowest ms", title=f"{questions} questions, {per_second:g} asked a second")
    for page, milliseconds in took.items():
        table.add_row(page, f"{statistics.median(milliseconds):.0f}", f"{max(milliseconds):.0f}")
    console = Console()
    console.print(table)
    half = statistics.median(asking.seconds or [math.nan]) * 1000
    for failure, count in asking.failures.most_common():
        console.print(f"{count} questions not answered: {failure}")
    console.print(
        f"{len(asking.seconds)} questions answered meanwhile, half within {half:.0f} ms; "
        f"event loop in 99 of 100 cases late by up to {late:.1f} ms"
    )
    slow = [page for page, milliseconds in took.items() if statistics.median(milliseconds) >= MOST_MILLISECONDS]
    return not slow and not asking.failures and late <= MOST_LAG


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=100_000)
    parser.add_argument("--per-second", type=float, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    sys.exit(0 if asyncio.run(measure(options.questions, options.per_second, options.rounds)) else 1)


if __name__ == "__main__":
    main()
