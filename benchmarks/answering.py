"""What an answer costs beside its model calls, and how many users are served at once.

    python benchmarks/answering.py [--questions 200] [--users 64] [--folder knowledge]

Questions go the whole way, through the dispatcher and its journal on disk to an adapter that only counts them. They are
made from the headings of the documents, each asked in a conversation of its own.
"""

import argparse
import asyncio
import math
import statistics
import tempfile
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bot.core.messages import Address, Answer, Delivery, Question, Sending, Update
from bot.core.settings import LogSettings, Settings
from bot.inference.encoder import AnyEncoder, Pair, Vectors
from bot.inference.span_model import ScoredSpan, SpanQuery
from bot.inference.workers import Models
from bot.knowledge.loaders import LOADERS, load
from bot.observability.logs import configure_logging
from bot.observability.loop_lag import LoopLagProbe
from bot.questions.dispatcher import Dispatcher
from bot.runtime.application import open_application
from bot.runtime.loading import load_models

PLATFORM = "benchmark"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--users", type=int, default=64)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent.parent / "knowledge")
    options = parser.parse_args()
    configure_logging(LogSettings(), quiet=True)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            knowledge={"folder": options.folder},
            storage={"folder": folder},
            queue={"capacity": 10 * options.users, "parallel": options.users},
        )
        asyncio.run(measure(settings, questions_from(options.folder, options.questions), options.users))


def questions_from(folder: Path, count: int) -> list[str]:
    """Headings under their document's title, in turn, as often as it takes."""
    documents = [
        load(file.name, file.read_bytes()) for file in sorted(folder.rglob("*")) if file.suffix.lower() in LOADERS
    ]
    headings = [
        f"{block.heading[-1]} {document.title}" for document in documents for block in document.blocks if block.heading
    ]
    distinct = list(dict.fromkeys(headings))
    return [distinct[number % len(distinct)] for number in range(count)]


class ModelClock:
    """Watches the models: the time that their calls take, and what they are given."""

    def __init__(self, models: Models) -> None:
        self._encode, self._match, self._read = models.encoder.encode, models.encoder.match, models.reader.read
        models.encoder.encode = self.encode  # type: ignore[method-assign]
        models.encoder.match = self.match  # type: ignore[method-assign]
        models.reader.read = self.read  # type: ignore[method-assign]
        self.start_over()

    def encode(self, texts: Sequence[str]) -> Vectors:
        started = time.perf_counter()
        try:
            return self._encode(texts)
        finally:
            self.seconds += time.perf_counter() - started
            self.texts += texts

    def match(self, pairs: Sequence[Pair]) -> list[float]:
        started = time.perf_counter()
        try:
            return self._match(pairs)
        finally:
            self.seconds += time.perf_counter() - started
            self.pairs += pairs

    def read(self, queries: Sequence[SpanQuery]) -> list[list[ScoredSpan]]:
        started = time.perf_counter()
        try:
            return self._read(queries)
        finally:
            seconds = time.perf_counter() - started
            self.seconds += seconds
            self.reading_seconds += seconds
            self.queries += queries

    def start_over(self) -> None:
        self.seconds = self.reading_seconds = 0.0
        self.texts: list[str] = []
        self.pairs: list[Pair] = []
        self.queries: list[SpanQuery] = []


class Users:
    """An adapter whose users each wait for the answer to what they asked."""

    name = PLATFORM

    def __init__(self) -> None:
        self.answers = 0
        self._waiting: dict[str, asyncio.Event] = {}

    async def run(self) -> None:
        """Nothing comes in by itself."""

    async def deliver(self, address: Address, _answer: Answer, delivery: Delivery) -> None:
        async def send(_sending: Sending) -> str:
            self.answers += 1
            self._waiting.pop(address.message).set()
            return address.message

        await delivery.send_part(0, send)

    async def progress(self, address: Address, update: Update) -> None:
        """Nobody watches."""

    async def ask(self, dispatcher: Dispatcher, text: str) -> None:
        """One question in a conversation of its own, until its answer is there."""
        message = uuid.uuid4().hex
        answered = self._waiting[message] = asyncio.Event()
        await dispatcher.admission.accept(
            Question(text, message, "user", Address(PLATFORM, "chat", message), datetime.now(UTC))
        )
        await answered.wait()


async def measure(settings: Settings, texts: list[str], count: int) -> None:
    models = load_models(settings)
    clock = ModelClock(models)
    async with open_application(settings, models) as application:
        await application.indexer.index_folder(settings.knowledge.folder)
        dispatcher = Dispatcher(application.answering.engine, application.stores.journal, settings.queue)
        users = Users()
        dispatcher.register([users])
        for text in texts[:8]:  # warm-up
            await users.ask(dispatcher, text)
        console = Console()
        passages = (await application.stores.knowledge.summary()).passages
        console.print(f"{passages} passages, {len(texts)} questions; {models.encoder.description['dtype_reason']}")
        console.print(await one_at_a_time(users, dispatcher, models, clock, texts))
        console.print(await many_at_once(users, dispatcher, models, clock, texts, count))
        await dispatcher.queue.idle()
        if users.answers != 8 + 2 * len(texts):
            raise SystemExit("a question was lost or answered twice")


async def one_at_a_time(
    users: Users, dispatcher: Dispatcher, models: Models, clock: ModelClock, texts: list[str]
) -> Table:
    totals, beside, reading, read = [], [], [], []
    for text in texts:
        clock.start_over()
        started = time.perf_counter()
        await users.ask(dispatcher, text)
        total = time.perf_counter() - started
        totals.append(total * 1000)
        reading.append(clock.reading_seconds * 1000)
        beside.append((total - clock.seconds) * 1000)
        read.append(list(clock.queries))
    encoding = []
    for queries in read:
        pieces = [piece for query in queries for piece in within(models.encoder, f"{query.question} {query.context}")]
        started = time.perf_counter()
        models.encoder.encode(pieces)
        encoding.append((time.perf_counter() - started) * 1000)
    table = Table("one question at a time", "p50 ms", "p95 ms")
    for name, values in (
        ("from acceptance to delivery", totals),
        ("of that beside the model calls", beside),
        ("reading the passages", reading),
        ("the encoder over the same words", encoding),
    ):
        cuts = statistics.quantiles(values, n=20)
        table.add_row(name, f"{statistics.median(values):.2f}", f"{cuts[18]:.2f}")
    table.add_row("reading against encoding", f"{sum(reading) / sum(encoding):.2f}", "")
    return table


def within(encoder: AnyEncoder, text: str) -> list[str]:
    """The text in as few pieces as fit the encoder's window, which would leave out the rest."""
    [tokens] = encoder.count_tokens([text])
    words = text.split()
    count = math.ceil(tokens / encoder.window)
    return [" ".join(words[len(words) * n // count : len(words) * (n + 1) // count]) for n in range(count)]


async def many_at_once(
    users: Users, dispatcher: Dispatcher, models: Models, clock: ModelClock, texts: list[str], count: int
) -> Table:
    """`count` users who each ask their next question when the last one is answered."""
    waiting = iter(texts)

    async def user() -> None:
        for text in waiting:
            await users.ask(dispatcher, text)

    clock.start_over()
    async with LoopLagProbe(interval_seconds=0.005) as probe:
        started = time.perf_counter()
        await asyncio.gather(*(user() for _ in range(count)))
        seconds = time.perf_counter() - started
    encoded, matched, read, inside = list(clock.texts), list(clock.pairs), list(clock.queries), clock.seconds
    started = time.perf_counter()
    for start in range(0, len(encoded), 128):
        models.encoder.encode(encoded[start : start + 128])
    for start in range(0, len(matched), 24):
        models.encoder.match(matched[start : start + 24])
    for start in range(0, len(read), 24):
        models.reader.read(read[start : start + 24])
    raw = time.perf_counter() - started
    table = Table(f"{count} users at once", "")
    table.add_row("questions a second", f"{len(texts) / seconds:.1f}")
    table.add_row("the same texts through the batched models alone", f"{len(texts) / raw:.1f}")
    table.add_row("share of the bare models' speed", f"{raw / seconds:.2f}")
    table.add_row("share of the time inside model calls", f"{inside / seconds:.2f}")
    table.add_row(
        "event-loop lag p50 / p99 / max, ms",
        f"{probe.percentile(0.5):.2f} / {probe.percentile(0.99):.2f} / {probe.percentile(1):.2f}",
    )
    return table


if __name__ == "__main__":
    main()
