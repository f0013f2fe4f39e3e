"""Erasing and grouping over a long history: how long each takes, and how long questions wait meanwhile.

    python benchmarks/journal.py [--questions 100000]

Somebody is forgotten who asked 33 of the questions, then somebody who asked half of all; then what isn't answered is grouped by
the real encoder, once the questions are encoded, which the bot does beside the answering. It ends with status 1 where one of
these takes more than two seconds, or where a byte of what was forgotten is left in a file.
"""

import argparse
import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from benchmarks.console import fill
from bot.core.messages import Address, Question
from bot.core.settings import LogSettings, Settings
from bot.observability.logs import configure_logging
from bot.runtime.application import administration_of, open_application
from bot.storage.sqlite.journal import FILE, SqliteJournal

MOST_SECONDS = 2.0
MOST_WAIT = 1.0  # seconds, of a question that is accepted meanwhile
T = TypeVar("T")


async def measure(settings: Settings, questions: int) -> bool:
    """Whether everything is within the bounds."""
    folder = settings.storage.folder
    await fill(folder, questions)
    _give_half_to(folder / FILE, "much")
    print(f"{questions} questions, {(folder / FILE).stat().st_size / 2**20:.0f} MiB")  # noqa: T201
    good = True
    async with open_application(settings, golden=False) as application:
        journal = application.stores.journal
        for platform, author in (("telegram", "u1"), ("discord", "much")):
            forgotten, seconds, waits = await _timed(journal, journal.erasure.forget_author(platform, author))
            good &= _say(f"forget {author}, {forgotten.questions} questions", seconds, waits)
        left = [file.name for file in folder.iterdir() if b"much said" in file.read_bytes()]
        print(f"files that still hold what was forgotten: {', '.join(left) or 'none'}")  # noqa: T201
        began = time.perf_counter()
        await administration_of(application).gaps()
        print(f"encoding in the background: {time.perf_counter() - began:.2f} s")  # noqa: T201
        gaps, seconds, waits = await _timed(journal, administration_of(application).gaps())
        good &= _say(f"gaps, {len(gaps)} groups", seconds, waits)
    return good and not left


def _give_half_to(journal: Path, author: str) -> None:
    """As if one author had asked every other question, in words that can be found again."""
    with closing(sqlite3.connect(journal)) as db, db:
        db.create_function("fingerprint", -1, lambda *_: "")
        db.execute(
            "UPDATE questions SET platform = 'discord', author = ?1, "
            "question = json_set(question, '$.author', ?1, '$.text', ?1 || ' said ' || id) WHERE id % 2",
            (author,),
        )


async def _timed(journal: SqliteJournal, work: Awaitable[T]) -> tuple[T, float, list[float]]:
    """The result, the seconds that it took, and those that questions waited for their acceptance meanwhile."""
    waits: list[float] = []

    async def ask() -> None:
        for number in range(10**6):
            began = time.perf_counter()
            address = Address("benchmark", "chat", f"{began} {number}")
            await journal.questions.accept(Question("?", "c", "somebody", address, datetime.now(UTC)))
            waits.append(time.perf_counter() - began)
            await asyncio.sleep(0.02)

    asking = asyncio.create_task(ask())
    began = time.perf_counter()
    result = await work
    seconds = time.perf_counter() - began
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    return result, seconds, waits


def _say(what: str, seconds: float, waits: list[float]) -> bool:
    longest = max(waits, default=0.0)
    print(f"{what}: {seconds:.2f} s (at most {MOST_SECONDS:g}); a question waited {longest:.2f} s at most")  # noqa: T201
    return seconds <= MOST_SECONDS and longest <= MOST_WAIT


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=100_000)
    options = parser.parse_args()
    configure_logging(LogSettings(level="error"), quiet=True)
    with tempfile.TemporaryDirectory() as folder:
        return 0 if asyncio.run(measure(Settings(storage={"folder": folder}), options.questions)) else 1


if __name__ == "__main__":
    sys.exit(main())
