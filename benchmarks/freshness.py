"""How quickly a change in the folder is answered from, and how quickly the bot answers while it indexes.

    python benchmarks/freshness.py [--passages 10000] [--questions 100]

A folder of that many passages is made of the handbook, again and again under other titles. Measured are: questions while
nothing else happens; questions while all the passages are embedded; the time from writing one file until it is answered
from, and how many passages were embedded for it.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bot.core.messages import Address, Question
from bot.core.settings import LogSettings, Settings
from bot.knowledge.watcher import FolderWatcher
from bot.observability.logs import configure_logging
from bot.observability.loop_lag import LoopLagProbe
from bot.runtime.application import Application, open_application

HANDBOOK = Path(__file__).parent.parent / "knowledge"
ASKED = [
    "How do I update the bot?",
    "Which formats can be read?",
    "How long is a passage at most?",
    "Where are the logs?",
    "What does exit code 2 mean?",
    "How do I remove a document?",
    "Is anything sent to the internet?",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=100)
    options = parser.parse_args()
    configure_logging(LogSettings(level="error"), quiet=True)
    asyncio.run(measure(options.passages, options.questions))


async def measure(passages: int, questions: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        settings = Settings(knowledge={"folder": Path(place, "knowledge")}, storage={"folder": Path(place, "data")})
        async with open_application(settings) as application, LoopLagProbe() as lag:
            await asyncio.to_thread(copy_handbook, settings.knowledge.folder, 1)
            edition = await application.indexer.index_folder(settings.knowledge.folder)
            idle = await ask(application, questions)
            await asyncio.to_thread(copy_handbook, settings.knowledge.folder, round(passages / edition.passages))
            indexing = asyncio.create_task(application.indexer.index_folder(settings.knowledge.folder))
            meanwhile: list[float] = []
            while not indexing.done():
                meanwhile += await ask(application, len(ASKED))
                await asyncio.sleep(0.2)
            report = await indexing
            afterwards = await ask(application, questions)
            table = Table("questions", "n", "p50 ms", "p95 ms", "max ms")
            for name, times in (
                ("idle, small index", idle),
                ("while indexing", meanwhile),
                (f"idle, {report.passages} passages", afterwards),
            ):
                table.add_row(name, str(len(times)), *(f"{value:.0f}" for value in (*percentiles(times), max(times))))
            Console().print(table)
            print_line(f"{report.embedded} passages embedded in {report.seconds:.0f} s")
            print_line(f"99 % of the loop lag is below {lag.percentile(0.99):.0f} ms")
            await touch(application, settings.knowledge.folder)


async def ask(application: Application, count: int) -> list[float]:
    """Milliseconds of each question, asked one after the other."""
    times = []
    for number in range(count):
        conversation = f"benchmark:{time.perf_counter()}"
        text = ASKED[number % len(ASKED)]
        question = Question(text, conversation, "b", Address("benchmark", "b", conversation), datetime.now(UTC))
        started = time.perf_counter()
        await application.answering.engine.answer(question)
        times.append((time.perf_counter() - started) * 1000)
        await application.answering.conversations.forget(conversation)
    return times


async def touch(application: Application, folder: Path) -> None:
    """Write to one file and wait until search finds what was written."""
    watching = asyncio.create_task(FolderWatcher(application.indexer, folder, rescan_seconds=60).run())
    await asyncio.sleep(2)
    file = sorted(folder.rglob("*.md"))[-1]  # noqa: ASYNC240
    store = application.stores.knowledge
    for number in range(5):
        text = f"{file.read_text()}\nThe zebra number {number} of the benchmark sleeps in the garden.\n"
        before = await store.files()
        started = time.perf_counter()
        file.write_text(text)
        async with asyncio.timeout(60):
            while await store.files() == before:
                await asyncio.sleep(0.02)
        print_line(f"one file touched: answers follow after {time.perf_counter() - started:.2f} s")
    watching.cancel()


def copy_handbook(folder: Path, editions: int) -> None:
    """Copies of the handbook under other titles."""
    for number in range(editions):
        for file in sorted(HANDBOOK.glob("*.md")):
            copy = folder / str(number) / file.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(file.read_text().replace("# ", f"# Edition {number}: ", 1))


def percentiles(times: Sequence[float]) -> tuple[float, float]:
    return statistics.median(times), statistics.quantiles(times, n=20)[-1]


def print_line(text: str) -> None:
    Console().print(text, highlight=False)


if __name__ == "__main__":
    main()
