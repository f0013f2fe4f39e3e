"""Questions on both platforms and by HTTP while the program is killed at random moments: which are lost, or come twice."""

import asyncio
import random
import signal
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from benchmarks.discord_load import NOT_TAKEN
from benchmarks.discord_load import Crowd as Members
from benchmarks.faults_program import Program, until
from tests.platforms.discord_server import DiscordServer
from tests.platforms.telegram_load import MARK, answers_in
from tests.platforms.telegram_load import Crowd as People
from tests.platforms.telegram_server import Limits, TelegramServer


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
        await until(lambda: all(answers_in(people.said_to(n)) for n in range(asked_people)), patience)
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
