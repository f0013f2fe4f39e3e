"""Discord under load and under faults: the whole program against a local Discord, killed and started again meanwhile.

    python benchmarks/discord_load.py [--questions 2000] [--kills 5] [--rounds 5] [--sharded] [--bots 2]
        [--skip-deferrals]

Prints the time from a command to its deferral while the engine is busy, the number of questions by their outcome, the number
of parts that were sent again because they were in doubt, and the lag of the event loop; ends with status 1 where a question
was lost, answered twice or, with two bots in the channels, answered by the one that was not asked. The deferrals are measured
with the real engine. The faults are measured with an engine that repeats the question, because they concern its way and not its
answer.
"""

import argparse
import asyncio
import json
import os
import random
import re
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.platforms.discord_server import TOKEN, DiscordServer, Interaction, Json  # noqa: E402

QUESTIONS = ("how do I install the bot", "what is a passage", "how long is a conversation kept", "who won the cup")
CHANNELS = 20
BUSY = 64  # questions that keep the engine busy while deferrals are measured
AT_ONCE = 120  # questions without an answer at any time
REPEATED = "sent again"
NOT_TAKEN = "not taken: Discord says so"
BY_THE_OTHER = "answered by the other bot"
OTHER_TOKEN = "another.token.for-tests"  # noqa: S105
_BAD = ("lost", "twice", BY_THE_OTHER)
_NUMBER = re.compile(r"no\. (\d+)x")


class Program:
    """The bot as a process, which can be killed and started again."""

    def __init__(self, server: DiscordServer, folder: Path, engine: str, *, sharded: bool, token: str = TOKEN) -> None:
        self._server = server
        self._token = token
        self._engine = engine
        self._folder = folder
        self._sharded = sharded
        self._process: asyncio.subprocess.Process | None = None
        self._log = folder / "log"
        self.lags: list[float] = []
        self.repeated = 0

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-W", "ignore", "-m", "tests.platforms.serve"),
                *(self._server.api, self._server.gateway, self._engine, "run"),
                cwd=self._folder,
                env=os.environ
                | {
                    "PYTHONPATH": str(ROOT),
                    "DISCORD_TOKEN": self._token,
                    "BOT_KNOWLEDGE__FOLDER": str(ROOT / "knowledge" if self._engine == "real" else self._folder),
                    "BOT_LIMITS__CHAT_QUESTIONS": "0",
                    "BOT_DISCORD__SHARDED": str(self._sharded),
                },
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log,
            )
        await self._server.until(self._connected, seconds=120)

    async def kill(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()
        await self._server.until(lambda: not self._connected())

    def _connected(self) -> bool:
        return any(session.me is self._server.bots[self._token] for session in self._server._sockets.values())

    async def stop(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGTERM)
        await self._process.wait()
        for line in self._log.read_text().splitlines():
            said = json.loads(line) if line.startswith("{") else {}
            if "loop_lag_p99_ms" in said:
                self.lags.append(said["loop_lag_p99_ms"])
            if said.get("event") == "drained":
                self.repeated += said.get("repeated", 0)


class Crowd:
    """Members that ask, and the outcome for each of them."""

    def __init__(self, server: DiscordServer, *, bots: int = 1) -> None:
        """`bots`: with 2, every second mention is one of another bot in the channels."""
        self._server = server
        guild = server.guild()
        self._other = server.another_bot(OTHER_TOKEN) if bots > 1 else None
        self._to_other: set[str] = set()  # the messages that mention the other bot
        self._channels = [server.channel(guild, f"channel-{n}") for n in range(CHANNELS)]
        self._chance = random.Random(7)  # noqa: S311
        self.messages: list[Json] = []
        self.commands: list[tuple[str, Interaction]] = []

    async def ask(self, *, by_command: bool | None = None) -> None:
        """Send a question of a new member: a command, a mention or a direct message. Some events come twice."""
        number = len(self.messages) + len(self.commands)
        text = f"{self._chance.choice(QUESTIONS)} (no. {number}x)"
        user = self._server.user(f"member {number}")
        channel = self._channels[number % CHANNELS]
        twice = self._chance.random() < 0.05
        if by_command if by_command is not None else self._chance.random() < 0.5:
            options = {"question": text, "private": self._chance.random() < 0.2}
            self.commands.append((text, await self._server.slash(channel, user, "ask", options, twice=twice)))
        elif self._chance.random() < 0.2:
            self.messages.append(await self._server.say(self._server.direct(user), text, user, twice=twice))
        elif self._other and number % 2:
            text, mentions = f"<@{self._other['id']}> {text}", (self._other,)
            self.messages.append(await self._server.say(channel, text, user, mentions=mentions, twice=twice))
            self._to_other.add(self.messages[-1]["id"])
        else:
            self.messages.append(await self._server.say(channel, f"@bot {text}", user, twice=twice))

    def trouble(self) -> None:
        """Let the next call of some kind fail."""
        match self._chance.randrange(4):
            case 0:
                self._server.fail("POST", "/messages", status=500)
            case 1:
                self._server.fail("POST", "/messages", status=429, retry_after=0.3)
            case 2:
                self._server.lose_answer("POST", "/messages")
            case _:
                self._server.lose_answer("PATCH", "original")

    def outcomes(self) -> Counter[str]:
        """The number of questions by outcome."""
        return Counter(outcome for _, _, outcome in self.each())

    def each(self) -> Iterator[tuple[str, str, str]]:
        """(way of asking, id of the message or the command, outcome) of each question."""
        said = [message for messages in self._server.messages.values() for message in messages]
        bots = {bot["id"] for bot in self._server.bots.values()}
        said = [message for message in said if message["author"]["id"] in bots]
        by_bots = Counter(
            (str((message.get("message_reference") or {}).get("message_id")), message["author"]["id"])
            for message in said
        )
        seen = Counter(str((message.get("message_reference") or {}).get("message_id")) for message in said)
        marked = Counter(
            str((message.get("message_reference") or {}).get("message_id"))
            for message in said
            if REPEATED in message["content"]
        )
        quoted = Counter(number for message in said for number in set(_NUMBER.findall(message["content"])))
        for message in self.messages:
            count, repeated = seen[message["id"]], marked[message["id"]]
            outcome = "lost" if not count else "twice" if count - repeated > 1 else "answered or refused"
            asked = self._other if message["id"] in self._to_other and self._other else self._server.me
            if count > by_bots[message["id"], asked["id"]]:
                outcome = BY_THE_OTHER
            place = self._server.channels[message["channel_id"]]
            yield "mention" if place.get("guild_id") else "direct message", message["id"], outcome
        for text, command in self.commands:
            private = command.message is not None and command.ephemeral
            # A refusal doesn't quote the question, so the response itself counts.
            count = max(quoted[_NUMBER.findall(text)[0]] + private, command.message is not None)
            if not count and command.response is None:
                outcome = NOT_TAKEN
            else:
                outcome = "lost" if not count else "twice" if count > 1 else "answered or refused"
            yield "command", command.id, outcome

    async def settle(self, waiting: int, seconds: float = 120) -> None:
        """Wait until at most `waiting` questions have no answer yet. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while self.waiting > waiting:
                await asyncio.sleep(0.25)

    @property
    def waiting(self) -> int:
        """The number of questions without an answer yet."""
        found = self.outcomes()
        return found["lost"] + found[NOT_TAKEN]


@asynccontextmanager
async def a_crowd_and_a_bot(
    folder: Path, engine: str, *, sharded: bool, bots: int = 1
) -> AsyncIterator[tuple[DiscordServer, Crowd, Program]]:
    async with DiscordServer.running() as server:
        server.strict = False
        crowd, program = Crowd(server, bots=bots), Program(server, folder, engine, sharded=sharded)
        programs = [program]
        if bots > 1:
            (folder / "other").mkdir()
            programs.append(Program(server, folder / "other", engine, sharded=sharded, token=OTHER_TOKEN))
        for one in programs:
            await one.start()
        try:
            yield server, crowd, program
        finally:
            for one in programs:
                await one.stop()


async def deferrals(folder: Path, rounds: int, *, sharded: bool) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds from event to deferral while the models are still loaded, and then while the engine has `BUSY` questions to
    answer, both in order; and the loop lags."""
    async with a_crowd_and_a_bot(folder, "real", sharded=sharded) as (server, crowd, program):
        for _ in range(1 + rounds):
            for _ in range(BUSY):
                await crowd.ask(by_command=False)
            commands = len(crowd.commands)
            for _ in range(20):
                await crowd.ask(by_command=True)
                await asyncio.sleep(0.01)
            await server.until(lambda n=commands: all(c.response for _, c in crowd.commands[n:]), seconds=60)
            await crowd.settle(0, seconds=600)
        waits = [(command.responded or 99) * 1000 for _, command in crowd.commands]
        while_starting = len(waits) // (1 + rounds)
    return sorted(waits[:while_starting]), sorted(waits[while_starting:]), program.lags


async def faults(folder: Path, questions: int, kills: int, *, sharded: bool, bots: int) -> tuple[Crowd, int]:
    """The outcomes of questions under faults, and the number of parts that the last run sent again."""
    async with a_crowd_and_a_bot(folder, "echo", sharded=sharded, bots=bots) as (server, crowd, program):
        kill_at = {questions * (n + 1) // (kills + 1) for n in range(kills)}
        for number in range(questions):
            if number % 25 == 0:
                crowd.trouble()
            if number % 200 == 199:
                await server.drop_gateway()
            await crowd.ask()
            if number in kill_at:
                await program.kill()
                await program.start()
            if number % 10 == 9:
                await crowd.settle(AT_ONCE, seconds=600)
            await asyncio.sleep(0.02)
        with suppress(TimeoutError):  # what Discord had to refuse for the bot stays without an answer
            await crowd.settle(crowd.outcomes()[NOT_TAKEN], seconds=60)
        await asyncio.sleep(5)
    return crowd, program.repeated


def shares(milliseconds: list[float]) -> Iterator[tuple[str, str]]:
    """Rows about waits, given in order."""
    for share in (0.5, 0.9, 0.99):
        yield f"event to deferral, p{share * 100:g}", f"{milliseconds[int(share * (len(milliseconds) - 1))]:.0f} ms"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5, help="of commands while the engine is busy")
    parser.add_argument("--sharded", action="store_true", help="connect in two shards")
    parser.add_argument("--bots", type=int, choices=(1, 2), default=1, help="in the channels; one of them is killed")
    parser.add_argument("--skip-deferrals", action="store_true", help="measure the faults only")
    options = parser.parse_args()
    questions, kills = options.questions, options.kills
    table = Table("figure", "value", box=None, header_style="bold")
    if not options.skip_deferrals:
        with tempfile.TemporaryDirectory() as folder:
            starting, waits, lags = asyncio.run(deferrals(Path(folder), options.rounds, sharded=options.sharded))
        for figure, value in shares(waits):
            table.add_row(figure, value)
        table.add_row("event to deferral while the models are loaded, longest", f"{starting[-1]:.0f} ms")
        table.add_row("loop lag, p99, while starting and after", ", ".join(f"{lag:.1f} ms" for lag in lags))
    with tempfile.TemporaryDirectory() as folder:
        crowd, repeated = asyncio.run(
            faults(Path(folder), questions, kills, sharded=options.sharded, bots=options.bots)
        )
    outcomes = crowd.outcomes()
    for name, count in outcomes.items():
        table.add_row(f"{questions} questions, {kills} kills: {name}", str(count))
    table.add_row("parts sent again after the last start, in doubt", str(repeated))
    for way, identity, outcome in crowd.each():
        if outcome in _BAD:
            table.add_row(outcome, f"{way} {identity}")
    Console().print(table)
    return 1 if any(outcomes[outcome] for outcome in _BAD) else 0


if __name__ == "__main__":
    sys.exit(main())
