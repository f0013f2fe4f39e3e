"""More questions than the bot can answer, and very many of them: overload, a quiet user beside a crowd, and a soak."""

import asyncio
import itertools
import random
import signal
import statistics
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import psutil

from benchmarks.answering import PLATFORM, questions_from
from benchmarks.faults_program import Program, until_served
from bot.core.errors import EngineBusy
from bot.core.messages import Address, Answer, Delivery, Question, Sending, Update
from bot.core.settings import Settings
from bot.observability.loop_lag import LoopLagProbe
from bot.questions.dispatcher import Dispatcher
from bot.runtime.application import open_application

MOST_LAG = 10.0  # milliseconds, 99th percentile
MOST_WAIT = 2.0  # of a quiet user beside a crowd, against alone
MOST_GROWTH = 1.05  # of the resident memory after the warm-up
Say = Callable[[str], None]


class Users:
    """An adapter whose users each wait for the answer to what they asked, and note how long it took."""

    name = PLATFORM

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.outcomes: Counter[str] = Counter()
        self._waiting: dict[str, asyncio.Event] = {}

    async def run(self) -> None:
        """Nothing comes in by itself."""

    async def progress(self, address: Address, update: Update) -> None:
        """Nobody watches."""

    async def deliver(self, address: Address, answer: Answer, delivery: Delivery) -> None:
        async def send(_sending: Sending) -> str:
            self.outcomes[answer.outcome.value] += 1
            self._waiting.pop(address.message).set()
            return address.message

        await delivery.send_part(0, send)

    async def ask(self, dispatcher: Dispatcher, text: str, user: str) -> bool:
        """One question, until its answer is there. False: it was refused."""
        message = uuid.uuid4().hex
        answered = self._waiting[message] = asyncio.Event()
        started = time.perf_counter()
        address = Address(PLATFORM, user, message)
        try:
            await dispatcher.admission.accept(Question(text, message, user, address, datetime.now(UTC)))
        except EngineBusy:
            del self._waiting[message]
            self.outcomes["refused"] += 1
            return False
        await answered.wait()
        self.seconds.append(time.perf_counter() - started)
        return True


async def overload(settings: Settings, seconds: float, say: Say) -> bool:
    """As many people as the queue has room for, then ten times as many; whether the figures are within bounds."""
    room = settings.queue.capacity
    async with open_application(settings) as application:
        await application.indexer.index_folder(settings.knowledge.folder)
        texts = questions_from(settings.knowledge.folder, 500)
        worst: dict[int, float] = {}
        lags = []
        for people in (room, 10 * room):
            dispatcher, users = (
                Dispatcher(
                    application.answering.engine, application.stores.journal, settings.queue, limits=settings.limits
                ),
                Users(),
            )
            dispatcher.register([users])
            end = time.monotonic() + seconds

            async def person(
                name: str, dispatcher: Dispatcher = dispatcher, users: Users = users, end: float = end
            ) -> None:
                chance = random.Random(name)  # noqa: S311
                while time.monotonic() < end:
                    if not await users.ask(dispatcher, chance.choice(texts), name):
                        await asyncio.sleep(chance.uniform(0.5, 1.5))  # told to ask again in a moment

            async with LoopLagProbe(interval_seconds=0.005) as probe:
                await asyncio.gather(*(person(f"person {n}") for n in range(people)))
            worst[people] = _percentile(users.seconds, 0.95)
            lags.append(probe.percentile(0.99))
            say(
                f"{people} people: {len(users.seconds)} answered, {users.outcomes['refused']} times refused; accepted ones "
                f"p50 {statistics.median(users.seconds):.2f} s, p95 {worst[people]:.2f} s; loop lag p99 {lags[-1]:.1f} ms; "
                f"failed {users.outcomes['failed']}"
            )
            await dispatcher.close(5)
        at_capacity, over = worst.values()
        say(f"p95 under overload against p95 at capacity: {over / at_capacity:.2f} (at most 2)")
        return over <= 2 * at_capacity and max(lags) <= MOST_LAG


_PEOPLE = 8  # in the crowd


async def quiet(folder: Path, knowledge: Path, seconds: float, say: Say) -> bool:
    """One user by HTTP asks alone, and then beside a crowd that asks ten times as much as is answered.

    Beside the crowd the user asks half as often as everybody could whom the answers were divided among equally, from an address
    of its own.
    """
    environment = {"BOT_KNOWLEDGE__FOLDER": str(knowledge), "BOT_QUEUE__CAPACITY": "256"}
    program, texts = Program(folder, None, None, "real", **environment), questions_from(knowledge, 500)
    await program.start()
    address = f"http://127.0.0.1:{program.http_port}"
    connector = aiohttp.TCPConnector(limit=0, local_addr=("127.0.0.2", 0))
    async with (
        AsyncExitStack() as stack,
        aiohttp.ClientSession(address) as own,
        aiohttp.ClientSession(address, connector=connector) as session,
    ):
        stack.push_async_callback(program.end, signal.SIGTERM)
        crowd, user = HttpCrowd(session, texts), HttpCrowd(own, texts)
        await until_served(own, 600)  # it makes an index first
        await user.asks_alone("quiet", 5)  # warm
        alone = await user.asks_alone("quiet", max(20, int(seconds / 2)))
        answered = await crowd.ask_in_turn(16, seconds / 3)
        rate = 10 * answered
        say(f"alone: p50 {statistics.median(alone):.3f} s, p95 {_percentile(alone, 0.95):.3f} s")
        say(f"sixteen side by side: {answered:.1f} answers a second")
        flood = asyncio.create_task(crowd.flood(_PEOPLE, rate))
        await asyncio.sleep(seconds / 6)
        crowd.outcomes.clear()
        since = time.monotonic()
        beside = await user.asks_alone("quiet", len(alone), between=2 * (_PEOPLE + 1) / answered)
        took = time.monotonic() - since
        flood.cancel()
        await asyncio.gather(flood, return_exceptions=True)
    done = {str(status): f"{count / took:.1f}" for status, count in sorted(crowd.outcomes.items())}
    say(
        f"beside {crowd.outcomes.total() / took:.0f} questions a second: p50 {statistics.median(beside):.3f} s, "
        f"p95 {_percentile(beside, 0.95):.3f} s; of the crowd's a second, by status: {done}"
    )
    ratios = statistics.median(beside) / statistics.median(alone), _percentile(beside, 0.95) / _percentile(alone, 0.95)
    say(f"against alone: p50 {ratios[0]:.2f}, p95 {ratios[1]:.2f} (at most {MOST_WAIT:g})")
    return max(ratios) <= MOST_WAIT


class HttpCrowd:
    """People who ask by HTTP, each with a name."""

    def __init__(self, session: aiohttp.ClientSession, texts: list[str]) -> None:
        self._session = session
        self._texts = texts
        self._chance = random.Random(4)  # noqa: S311
        self.outcomes: Counter[int] = Counter()  # of the crowd's questions, by status

    async def _ask(self, name: str) -> tuple[int, float]:
        """The status, and the seconds that it took."""
        began = time.perf_counter()
        body = {"question": self._chance.choice(self._texts), "user": name}
        async with self._session.post("/v1/answers", json=body) as response:
            await response.read()
        return response.status, time.perf_counter() - began

    async def asks_alone(self, name: str, times: int, between: float = 0.0) -> list[float]:
        """Ask one question after the other. Returns how many seconds each took; raises RuntimeError if one was refused."""
        took = []
        for _ in range(times):
            status, seconds = await self._ask(name)
            if status != 200:
                raise RuntimeError(f"{name} got status {status}")
            took.append(seconds)
            await asyncio.sleep(between)
        return took

    async def ask_in_turn(self, people: int, seconds: float) -> float:
        """So many people ask again as soon as they are answered. Returns how many are answered a second."""
        end, answered = time.monotonic() + seconds, 0

        async def person(name: str) -> None:
            nonlocal answered
            while time.monotonic() < end:
                await self._ask(name)
                answered += time.monotonic() < end

        await asyncio.gather(*(person(f"in turn {n}") for n in range(people)))
        return answered / seconds

    async def flood(self, people: int, per_second: float) -> None:
        """Ask so much, whether or not earlier questions are answered, until cancelled."""

        async def one(name: str) -> None:
            with suppress(aiohttp.ClientError):
                status, _ = await self._ask(name)
                self.outcomes[status] += 1

        async with asyncio.TaskGroup() as group:
            due = time.monotonic()
            for number in itertools.count():
                group.create_task(one(f"crowd {number % people}"))
                due += 1 / per_second
                await asyncio.sleep(max(0.0, due - time.monotonic()))


async def soak(settings: Settings, questions: int, warm_up: int, say: Say) -> bool:
    """Whether memory, open files and threads stay as they are after the first `warm_up` questions."""
    process = psutil.Process()
    async with open_application(settings) as application:
        await application.indexer.index_folder(settings.knowledge.folder)
        texts = questions_from(settings.knowledge.folder, 2000)
        dispatcher, users = (
            Dispatcher(application.answering.engine, application.stores.journal, settings.queue),
            Users(),
        )
        dispatcher.register([users])
        numbers = iter(range(questions))
        seen: list[tuple[int, int, int]] = []

        def look() -> None:
            seen.append((process.memory_info().rss, process.num_fds(), process.num_threads()))
            done, (memory, files, threads) = len(users.seconds), seen[-1]
            say(f"{done:>7} questions: {memory / 2**20:.1f} MB, {files} files, {threads} threads")

        async def person(name: str) -> None:
            for number in numbers:
                await users.ask(dispatcher, texts[number % len(texts)], f"{name} {number % 500}")
                if len(users.seconds) == warm_up or len(users.seconds) % max(1, questions // 10) == 0:
                    look()

        async with LoopLagProbe() as probe:
            await asyncio.gather(*(person(f"person {n}") for n in range(16)))
        await dispatcher.queue.idle()
        look()
        (memory, files, threads), (memory_after, files_after, threads_after) = seen[0], seen[-1]
        say(f"memory at the end against that after {warm_up}: {memory_after / memory:.3f} (at most {MOST_GROWTH})")
        say(f"loop lag p99 {probe.percentile(0.99):.1f} ms")
        await dispatcher.close(5)
        return memory_after <= MOST_GROWTH * memory and files_after <= files and threads_after <= threads


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
