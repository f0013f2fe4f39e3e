"""How long a website takes to be fetched, and how soon a changed page is answered from.

    python benchmarks/sources.py [--pages 2000] [--indexed 100] [--interval 5]

A local website of that many pages is served, each with links to others, to a server that is not among the hosts, and with a
redirect to it. Measured are: the first fetch, a second one without any change, one with a changed page; then, with a part of
the pages indexed, the time from a change until it is answered from, and the requests that the other server got.
"""

import argparse
import asyncio
import tempfile
import threading
import time
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from bot.core.messages import Address, Question
from bot.core.settings import LogSettings, Settings
from bot.knowledge.watcher import FolderWatcher
from bot.observability.health import Health
from bot.observability.logs import configure_logging
from bot.observability.loop_lag import LoopLagProbe
from bot.runtime.application import Application, open_application
from bot.runtime.maintenance import keep_fetching
from bot.sources.fetching import Fetcher
from bot.sources.store import watched
from tests.platforms.website_server import Website, page, redirect


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=2000)
    parser.add_argument("--indexed", type=int, default=100)
    parser.add_argument("--interval", type=float, default=5)
    options = parser.parse_args()
    configure_logging(LogSettings(level="error"), quiet=True)
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(measure(Path(place), options.pages, options.indexed, options.interval, Servers(loop)))


class Servers:
    """The website and the other server, in the loop of another thread, so that they hold up nothing that is measured."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.website = self._in_loop(self._started())
        self.other = self._in_loop(self._started())

    def _in_loop(self, work: Coroutine[Any, Any, Website]) -> Website:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _started(self) -> Website:
        return await Website.running().__aenter__()


async def measure(place: Path, pages: int, indexed: int, interval: float, servers: Servers) -> None:
    fill(servers.website, servers.other.address, pages)
    async with LoopLagProbe() as lag:
        fetcher = Fetcher(*settings_of(place, servers.website, pages + 10, interval))
        for what in ("first fetch", "nothing changed", "one page changed"):
            if what == "one page changed":
                servers.website.pages["/docs/7"] = numbered(7, "Now it says this.", servers.other.address, pages)
            servers.website.requests.clear()
            started = time.perf_counter()
            fetched = await fetcher.fetch()
            seconds = time.perf_counter() - started
            statuses = [status for _, status in servers.website.requests]
            told = ", ".join(f"{statuses.count(status)} times {status}" for status in sorted(set(statuses)))
            print_line(f"{what}: {fetched.documents} pages in {seconds:.1f} s ({told}); {fetched.changes}")
        print_line(f"99 % of the loop lag is below {lag.percentile(0.99):.0f} ms")
    await answer_from_change(place / "part", pages, indexed, interval, servers)
    print_line(f"requests to the server that is not among the hosts: {len(servers.other.requests)}")


async def answer_from_change(place: Path, pages: int, indexed: int, interval: float, servers: Servers) -> None:
    source, settings = settings_of(place, servers.website, indexed, interval)
    component = Health().component("source site", essential=False)
    async with open_application(settings) as application:
        watcher = FolderWatcher(
            application.indexer, settings.knowledge.folder, rescan_seconds=60, beside=watched(settings)
        )
        tasks = [
            asyncio.create_task(watcher.run()),
            asyncio.create_task(keep_fetching(Fetcher(source, settings), component)),
        ]
        started = time.perf_counter()
        while not (await application.stores.knowledge.summary()).passages:
            await asyncio.sleep(0.05)
        print_line(f"{indexed} pages fetched and indexed in {time.perf_counter() - started:.1f} s")
        said = "The okapi of the benchmark sleeps in the cellar."
        servers.website.pages["/docs/7"] = numbered(7, said, servers.other.address, pages)
        started = time.perf_counter()
        while "cellar" not in await answer(application, "Where does the okapi of the benchmark sleep?"):
            await asyncio.sleep(0.2)
        print_line(
            f"one page changed: answered from after {time.perf_counter() - started:.1f} s, interval {interval:g} s"
        )
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def settings_of(place: Path, website: Website, pages: int, interval: float) -> tuple[Any, Settings]:
    source = {"name": "site", "url": f"{website.address}/docs/", "private": True, "pages": pages, "depth": 100}
    settings = Settings(
        knowledge={"folder": place / "knowledge"},
        storage={"folder": place / "data"},
        sources=[source | {"requests_per_second": 1000, "interval_seconds": interval}],
    )
    settings.knowledge.folder.mkdir(parents=True)
    return settings.sources[0], settings


def fill(website: Website, other: str, pages: int) -> None:
    website.pages["/docs/"] = page("Start", "All pages begin here.", "1", "2", "away")
    website.pages["/docs/away"] = redirect(f"{other}/secret")
    for number in range(1, pages):
        words = " ".join(f"word{number * step % 9973}" for step in range(1, 60))
        website.pages[f"/docs/{number}"] = numbered(number, words, other, pages)


def numbered(number: int, text: str, other: str, pages: int) -> str:
    next_ones = [str(next_one) for next_one in (2 * number + 1, 2 * number + 2) if next_one < pages]
    return page(f"Page {number}", text, *next_ones, "away", f"{other}/{number}", "/elsewhere", "?print=1")


async def answer(application: Application, text: str) -> str:
    conversation = f"benchmark:{time.perf_counter()}"
    question = Question(text, conversation, "b", Address("benchmark", "b", conversation), datetime.now(UTC))
    return (await application.answering.engine.consider(question)).answer.text


def print_line(text: str) -> None:
    Console().print(text, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
