"""Odd, huge and marked-up messages to the whole program, for each adapter: which stay unanswered, and what they show of it."""

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.faults_program import ROOT, Program, until, until_served
from tests.platforms.discord_server import DiscordServer
from tests.platforms.telegram_server import Chat, TelegramServer


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
        await until(lambda: not server.pending and server.private(last).texts, patience)
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
        await until(lambda: server.from_bot(server.direct(last)), patience)
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

        await until_served(session)
        await asyncio.gather(*map(attack, messages))
        if await post("/v1/answers", b'{"question": "still there?"}') != 200:
            wrong.append("the bot does not answer any more")
    return wrong + _insides(told) + await _ended(program)


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


async def _until_no_more_come(answered: Callable[[], int], all_of_them: int, patience: float = 60) -> None:
    """Wait until all are answered, or nobody has been for so many seconds: flood limits alone make 5,000 take minutes."""
    count, since = answered(), time.monotonic()
    while count < all_of_them and time.monotonic() - since < patience:
        await asyncio.sleep(0.5)
        if answered() > count:
            count, since = answered(), time.monotonic()
