"""What the bot survives, measured: kill -9 under load, hostile messages, overload, and a soak.

    python benchmarks/faults.py kills    [--kills 100]         Discord, Telegram and HTTP together, killed at random moments
    python benchmarks/faults.py hostile  [--messages 10000]    odd, huge and marked-up messages, for each adapter
    python benchmarks/faults.py overload [--seconds 30]        ten times as many people as the queue has room for
    python benchmarks/faults.py quiet    [--seconds 30]        how long one waits while a crowd asks ten times too much
    python benchmarks/faults.py soak     [--questions 50000]   memory, open files and threads over many questions

The first two run the whole program against local servers, with an engine that repeats the question; `quiet` runs it with the
real models and asks by HTTP; the others go from the dispatcher to an adapter that only counts, with the real models and the
real journal. Each ends with status 1 where a figure is out of bounds.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import signal
import socket
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import psutil
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))

from benchmarks.answering import PLATFORM, questions_from  # noqa: E402
from benchmarks.discord_load import NOT_TAKEN  # noqa: E402
from benchmarks.discord_load import Crowd as Members  # noqa: E402
from bot.core.errors import EngineBusy  # noqa: E402
from bot.core.messages import Address, Answer, Delivery, Question, Sending, Update  # noqa: E402
from bot.core.settings import LogSettings, Settings  # noqa: E402
from bot.observability.logs import configure_logging  # noqa: E402
from bot.observability.loop_lag import LoopLagProbe  # noqa: E402
from bot.questions.dispatcher import Dispatcher  # noqa: E402
from bot.runtime.application import open_application  # noqa: E402
from tests.platforms.discord_server import TOKEN as DISCORD_TOKEN  # noqa: E402
from tests.platforms.discord_server import DiscordServer  # noqa: E402
from tests.platforms.hostile import hostile_messages  # noqa: E402
from tests.platforms.telegram_load import MARK, answers_in  # noqa: E402
from tests.platforms.telegram_load import Crowd as People  # noqa: E402
from tests.platforms.telegram_server import TOKEN as TELEGRAM_TOKEN  # noqa: E402
from tests.platforms.telegram_server import Chat, Limits, TelegramServer  # noqa: E402

MOST_LAG = 10.0  # milliseconds, 99th percentile
MOST_WAIT = 2.0  # of a quiet user beside a crowd, against alone
MOST_GROWTH = 1.05  # of the resident memory after the warm-up
Say = Callable[[str], None]


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


# --- kill -9 ----------------------------------------------------------------------------------------------------------


@dataclass
class Survived:
    """What became of the questions of both platforms and of HTTP."""

    asked: int = 0
    kills: int = 0
    lost: list[str] = field(default_factory=list)  # accepted, and not answered
    unseen: list[str] = field(default_factory=list)  # never reached the bot, nor was caught up
    unknown_chats: int = 0  # the same in a direct chat that is new, which nothing of Discord's tells a bot of
    twice: int = 0  # without a mark
    marked: int = 0
    refused_by_discord: int = 0  # commands while no bot was there: Discord itself says so
    wrong: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        return [
            f"questions asked                 {self.asked}",
            f"kill -9                         {self.kills}",
            f"accepted and lost               {len(self.lost)} {', '.join(self.lost[:10])}",
            f"never came to the bot           {len(self.unseen)} {', '.join(self.unseen[:10])}",
            f"first words in a direct chat    {self.unknown_chats} never came: Discord doesn't list such chats",
            f"twice without a mark            {self.twice}",
            f"sent again, marked so           {self.marked}",
            f"commands that found no bot      {self.refused_by_discord} (Discord told the users)",
            *self.wrong[:5],
        ]


class Requests:
    """Programs that ask by HTTP, each with a key of its own, and send the request again until it is answered."""

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}"
        self._asking: dict[str, asyncio.Task[str]] = {}

    def ask(self) -> None:
        key = f"request-{len(self._asking)}"
        self._asking[key] = asyncio.create_task(self._answer(key))

    async def settle(self, patience: float) -> tuple[list[str], list[str]]:
        """Wait for the answers. Returns the keys without one, and those that get another when the request comes once more."""
        await asyncio.wait([asyncio.create_task(asyncio.sleep(0)), *self._asking.values()], timeout=patience)
        for asking in self._asking.values():
            asking.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)
        done = {
            key: asking.result() for key, asking in self._asking.items() if asking.done() and not asking.cancelled()
        }
        again = await asyncio.gather(*(self._answer(key) for key in done))
        return [key for key in self._asking if key not in done], [
            key for (key, answer), other in zip(done.items(), again, strict=True) if answer != other
        ]

    async def _answer(self, key: str) -> str:
        body, headers = {"question": f"{key} by HTTP", "user": key}, {"Idempotency-Key": key}
        async with aiohttp.ClientSession(self._address) as session:
            while True:
                with suppress(aiohttp.ClientError):
                    async with session.post("/v1/answers", json=body, headers=headers) as response:
                        if response.status == 200:
                            return await response.text()
                await asyncio.sleep(0.5)


async def kill_under_load(
    folder: Path, kills: int, *, per_second: float = 20.0, longest: float = 6.0, patience: float = 120, seed: int = 5
) -> Survived:
    """Ask on both platforms and by HTTP all the time, and kill the program at random moments, every other time while it starts
    or soon after, also on a slow machine.

    `longest`: seconds until the next kill at most. `patience`: seconds to wait for the last answers on each platform; on
    Discord it passes whole where somebody new wrote while no program was there, for that answer never comes.
    """
    chance = random.Random(seed)  # noqa: S311
    async with DiscordServer.running() as discord, TelegramServer(limits=Limits()) as telegram:
        discord.strict = False
        members, people = Members(discord), People(telegram, groups=20)
        program, survived = Program(folder, discord, telegram), Survived()
        requests = Requests(program.http_port)
        asked_people = 0

        async def ask() -> None:
            nonlocal asked_people
            while True:
                people.asks(f"question {asked_people} of Telegram")
                asked_people += 1
                if asked_people % 4 == 0:
                    requests.ask()
                if discord._sockets:
                    await members.ask()
                await asyncio.sleep(2 / per_second)

        await program.start()
        asking = asyncio.create_task(ask())
        for number in range(kills):
            if number % 2:
                await program.listens()
            await asyncio.sleep(chance.uniform(0.3, longest))
            await program.end(signal.SIGKILL)
            survived.kills += 1
            await program.start()
        await asyncio.sleep(3)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        with suppress(TimeoutError):
            await members.settle(members.outcomes()[NOT_TAKEN], seconds=patience)
        await _until(lambda: all(answers_in(people.said_to(n)) for n in range(asked_people)), patience)
        without_answer, with_others = await requests.settle(patience)
        await asyncio.sleep(3)
        status = await program.end(signal.SIGTERM)
        outcomes = members.outcomes()
        survived.asked = asked_people + sum(outcomes.values()) + asked_people // 4
        survived.twice = outcomes["twice"] + len(with_others)
        survived.lost += without_answer
        with closing(sqlite3.connect(folder / "data" / "journal.sqlite3")) as journal:
            rows = journal.execute("SELECT platform, chat, message FROM questions").fetchall()
        accepted = {message if platform == "discord" else f"{chat} {message}" for platform, chat, message in rows}
        for kind, identifier, outcome in members.each():
            if outcome == "lost" and identifier in accepted:
                survived.lost.append(f"{kind} {identifier} on Discord")
            elif outcome == "lost" and kind == "direct message":  # each comes from somebody new
                survived.unknown_chats += 1
            elif outcome == "lost":
                survived.unseen.append(f"{kind} {identifier} on Discord")
        survived.refused_by_discord = outcomes[NOT_TAKEN]
        for number in range(asked_people):
            answers = answers_in(people.said_to(number))
            marked = [text for text in answers if text.startswith(MARK)]
            survived.marked += len(marked)
            if not answers:
                (survived.lost if people.place_of(number) in accepted else survived.unseen).append(
                    f"question {number} of Telegram"
                )
            survived.twice += len(answers) - len(marked) > 1
        survived.wrong += [] if status == 0 else [f"the last run ended with status {status}"]
        return survived


# --- hostile messages -------------------------------------------------------------------------------------------------


async def hostile_telegram(folder: Path, messages: list[str], patience: float = 600) -> list[str]:
    """What went wrong: each message that addresses the bot gets an answer, and every one has an outcome in the metrics."""
    async with TelegramServer(privacy=False) as server:
        program = Program(folder, None, server)
        await program.start()
        chats: dict[int, Chat] = {}  # those in which the bot was addressed, by the number of the message
        for number, text in enumerate(messages):
            chat, addressed = _attack_telegram(server, number, text)
            chats |= {number: chat} if addressed else {}
        last = server.person("Last")
        server.says(server.private(last), last, "still there?")
        await _until(lambda: not server.pending and server.private(last).texts, patience)
        await _until_no_more_come(lambda: sum(bool(chat.texts) for chat in chats.values()), len(chats))
        wrong = [f"no answer to {messages[n]!r:.80}" for n, chat in chats.items() if not chat.texts]
        wrong += _insides(text for chat in chats.values() for text in chat.texts)
        wrong += [] if server.private(last).texts else ["the bot does not answer any more"]
        wrong += await _without_outcome(program, "telegram", len(messages) + 1)
        return wrong + await _ended(program)


def _attack_telegram(server: TelegramServer, number: int, text: str) -> tuple[Chat, bool]:
    """Send a message in one of several ways. Returns its chat, and whether it addresses the bot for certain."""
    person = server.person(f"Person {number}")
    match number % 5:
        case 0:
            chat = server.private(person)
            server.sends_photo(chat, person, text[:1024])
            return chat, True
        case 1:
            chat = server.group(f"Group {number}")
            server.says(chat, person, f"@keeper_bot {text}")
            return chat, True
        case 2:
            chat = server.group(f"Group {number}")
            server.says(chat, person, text)
            return chat, False
    chat = server.private(person)
    server.says(chat, person, text)
    return chat, True


async def hostile_discord(folder: Path, messages: list[str], patience: float = 600) -> list[str]:
    """What went wrong: each message that addresses the bot gets an answer, and every one has an outcome in the metrics."""
    async with DiscordServer.running() as server:
        server.strict = False
        guild = server.guild()
        channels = [server.channel(guild, f"channel-{n}") for n in range(50)]
        program = Program(folder, server, None)
        await program.start()
        await server.until(lambda: server._sockets, seconds=60)
        places: dict[int, str] = {}  # those in which the bot was addressed, by the number of the message
        for number, text in enumerate(messages):
            member = server.user(f"member {number}")
            if number % 3 == 2:
                await server.say(channels[number % 50], text[:2000], member)
            else:
                places[number] = server.direct(member)
                await server.say(places[number], text[:2000], member)
            if number % 50 == 49:
                await asyncio.sleep(0.2)
        last = server.user("last")
        await server.say(server.direct(last), "still there?", last)
        await _until(lambda: server.from_bot(server.direct(last)), patience)
        await _until_no_more_come(lambda: sum(bool(server.from_bot(place)) for place in places.values()), len(places))
        wrong = [f"no answer to {messages[n]!r:.80}" for n, place in places.items() if not server.from_bot(place)]
        wrong += _insides(message["content"] for place in places.values() for message in server.from_bot(place))
        wrong += [] if server.from_bot(server.direct(last)) else ["the bot does not answer any more"]
        wrong += await _without_outcome(program, "discord", len(messages) + 1)
        return wrong + await _ended(program)


async def hostile_terminal(folder: Path, messages: list[str]) -> list[str]:
    """What went wrong: every line of a pipe is answered."""
    (folder / "knowledge").mkdir(exist_ok=True)
    lines = [" ".join(text.split("\n")).replace("\r", " ") for text in messages]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-m", "tests.platforms.serve", "-", "-", "echo", "chat"),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, told = await process.communicate("\n".join(lines).encode("utf-8", "replace") + b"\nstill there?\n")
    wrong = [] if process.returncode == 0 else [f"status {process.returncode}: {told.decode()[-300:]}"]
    wrong += [] if b"You asked: still there?" in out else ["the last line was not answered"]
    return wrong + _insides([told.decode()])


async def hostile_http(folder: Path, messages: list[str]) -> list[str]:
    """What went wrong: each message comes as a question, as a request's body, and in two fields of a chat completion."""
    program = Program(folder, None, None)
    await program.start()
    wrong: list[str] = []
    told: list[str] = []
    side_by_side = asyncio.Semaphore(16)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{program.http_port}") as session:

        async def post(path: str, body: bytes) -> int:
            async with (
                side_by_side,
                session.post(path, data=body, headers={"Content-Type": "application/json"}) as response,
            ):
                told.append(await response.text())
                kind = response.content_type
                if response.status >= 500 or kind not in ("application/json", "application/problem+json"):
                    wrong.append(f"{path}: status {response.status}, {kind}, {told[-1][:200]}")
                return response.status

        async def attack(text: str) -> None:
            question, chat = {"question": text}, {"model": text, "messages": [{"role": "user", "content": text}]}
            await post("/v1/answers", json.dumps(question).encode())
            await post("/v1/answers", text.encode("utf-8", "replace"))
            await post("/v1/chat/completions", json.dumps(chat).encode())

        await _until_served(session)
        await asyncio.gather(*map(attack, messages))
        if await post("/v1/answers", b'{"question": "still there?"}') != 200:
            wrong.append("the bot does not answer any more")
    return wrong + _insides(told) + await _ended(program)


async def _until_served(session: aiohttp.ClientSession, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while True:
            with suppress(aiohttp.ClientError):
                async with session.get("/health/ready") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.05)


def _insides(said: object) -> list[str]:
    """What users have seen of the program's inside. What they wrote themselves comes back, so only whole traces count."""
    return [f"a user saw {text[:200]!r}" for text in said if "Traceback (most recent call" in text]  # type: ignore[attr-defined]


async def _without_outcome(program: Program, platform: str, messages: int) -> list[str]:
    """Return what is wrong with the outcomes in the metrics of so many messages of people."""
    outcomes: Counter[str] = Counter()
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{program.http_port}") as session,
        session.get("/metrics") as response,
    ):
        for family in text_string_to_metric_families(await response.text()):
            for sample in family.samples:
                if sample.name == "knowledge_bot_messages_total" and sample.labels["platform"] == platform:
                    outcomes[sample.labels["outcome"]] += int(sample.value)
    del outcomes["written_by_bot"]  # the bot's own messages, which come back to it on Discord
    missing = messages - outcomes.total()
    return [f"{missing} of {messages} messages without an outcome: {dict(outcomes)}"] if missing else []


async def _ended(program: Program) -> list[str]:
    status = await program.end(signal.SIGTERM)
    failures = [str(line.get("exception", ""))[-200:] for line in program.logged("failure")]
    return [f"status {status}"] * (status != 0) + failures


# --- overload and soak ------------------------------------------------------------------------------------------------


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
        await _until_served(own, 600)  # it makes an index first
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


async def _until_no_more_come(answered: Callable[[], int], all_of_them: int, patience: float = 60) -> None:
    """Wait until all are answered, or nobody has been for so many seconds: flood limits alone make 5,000 take minutes."""
    count, since = answered(), time.monotonic()
    while count < all_of_them and time.monotonic() - since < patience:
        await asyncio.sleep(0.5)
        if answered() > count:
            count, since = answered(), time.monotonic()


async def _until(holds: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        await asyncio.sleep(0.05)


# --- the command line -------------------------------------------------------------------------------------------------


async def run(options: argparse.Namespace, folder: Path, say: Say) -> bool:
    if options.what == "kills":
        survived = await kill_under_load(folder, options.kills)
        for line in survived.lines():
            say(line)
        return not (survived.lost or survived.unseen or survived.twice or survived.wrong)
    if options.what == "hostile":
        good = True
        adapters: dict[str, Callable[[Path, list[str]], Awaitable[list[str]]]] = {
            "telegram": hostile_telegram,
            "discord": hostile_discord,
            "terminal": hostile_terminal,
            "http": hostile_http,
        }
        messages = hostile_messages(options.messages)
        for name, attack in adapters.items():
            (folder / name).mkdir()
            wrong = await attack(folder / name, messages)
            say(f"{name}: {len(messages)} hostile messages, {len(wrong)} went wrong {wrong[:3] or ''}")
            good &= not wrong
        return good
    if options.what == "quiet":
        return await quiet(folder, options.folder.absolute(), options.seconds, say)
    settings = Settings(
        knowledge={"folder": options.folder},
        storage={"folder": folder},
        limits={"author_questions": 0, "chat_questions": 0},
        queue={"capacity": 64} if options.what == "overload" else {},
    )
    if options.what == "overload":
        return await overload(settings, options.seconds, say)
    return await soak(settings, options.questions, min(2000, options.questions // 5), say)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["kills", "hostile", "overload", "quiet", "soak"])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=30.0, help="of overload and quiet")
    parser.add_argument("--questions", type=int, default=50_000)
    parser.add_argument("--folder", type=Path, default=ROOT / "knowledge", help="the documents of overload and soak")
    options = parser.parse_args()
    configure_logging(LogSettings(level="error"), quiet=True)
    with tempfile.TemporaryDirectory() as folder:
        good = asyncio.run(run(options, Path(folder), lambda line: print(line, flush=True)))  # noqa: T201
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
