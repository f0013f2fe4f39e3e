"""A bot on both platforms, in one process: real adapters and a real journal between the two local servers, so that it can be
restarted, and each call held back until it is let through."""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from unittest.mock import patch

import discord
import yarl

from bot.adapters.backend import Backend
from bot.adapters.discord import DiscordAdapter, backoff
from bot.adapters.discord import progress as discord_progress
from bot.adapters.discord.connection import Connection
from bot.adapters.rates import Rate
from bot.adapters.telegram import flood, sending
from bot.adapters.telegram import progress as telegram_progress
from bot.adapters.telegram.adapter import TelegramAdapter
from bot.core.messages import Address, Answer, Citation, Outcome, Progress, Question, Stage, Update
from bot.core.references import new_reference
from bot.core.settings import Settings
from bot.observability.health import Health
from bot.questions import delivery
from bot.questions.administration import Administration
from bot.questions.dispatcher import Dispatcher
from bot.runtime import supervision
from bot.storage.sqlite.journal import SqliteJournal
from bot.tasks.policy import TaskPolicy
from bot.tasks.runner import Tasks
from bot.tasks.service import TaskService
from tests.platforms.discord_server import TOKEN, DiscordServer, Json
from tests.platforms.telegram_server import TelegramServer

_CITATION = Citation("guide.md", "Guide", ("Water",), (3, 4), None, None, "Use soft water.", "https://example.org/g.md")
_HELD_BY_DISCORD = re.compile(r"(POST|PATCH|DELETE) .*(/messages|/callback|/webhooks|/threads|/channels/\d+$)")
_HELD_BY_TELEGRAM = ("sendMessage", "editMessageText", "deleteMessage", "answerCallbackQuery")
_ARRIVED = 0.02  # seconds after which a call has reached its server
_PATIENCE = 60.0  # seconds until everything must have come to rest, also on a busy machine


class Turnstile:
    """Holds back what comes through until it is let through, or is open."""

    def __init__(self) -> None:
        self.open = True
        self._waiting: list[asyncio.Future[None]] = []

    async def pass_through(self) -> None:
        """Wait to be let through."""
        if not self.open:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            await waiting

    def let_one(self, chance: random.Random) -> None:
        """Let one through, any of those that wait."""
        if self._waiting:
            self._let(self._waiting.pop(chance.randrange(len(self._waiting))))

    def let_all(self) -> None:
        """Stay open from now on."""
        self.open = True
        while self._waiting:
            self._let(self._waiting.pop())

    @staticmethod
    def _let(waiting: "asyncio.Future[None]") -> None:
        if not waiting.done():
            waiting.set_result(None)


class HeldEngine:
    """Repeats each question, when it is let to."""

    def __init__(self, turnstile: Turnstile) -> None:
        self._turnstile = turnstile

    async def answer(self, question: Question, progress: Progress) -> Answer:
        progress(Update(Stage.SEARCHING))
        progress(Update(Stage.WRITING, f"draft: {question.text}"))
        await self._turnstile.pass_through()
        reference = new_reference()
        text = f"re: {question.text}"
        return Answer(Outcome.ANSWERED, text, reference, citations=(_CITATION,), retrieved=("guide.md",), more="More.")


class BothPlatforms:
    """Both servers, and a bot on both platforms, which can be restarted."""

    def __init__(self, servers: tuple[DiscordServer, TelegramServer], folder: Path) -> None:
        self.discord, self.telegram = servers
        self.turnstile = Turnstile()
        self.discord.strict = False
        self.discord.hold = self._hold_discord
        self.telegram.hold = self._hold_telegram
        self._engine = HeldEngine(self.turnstile)
        self._folder = folder
        self.guild = self.discord.guild()
        self.withdrawn: dict[str, float] = {}  # when the bot had taken in the deletion of each message

    @classmethod
    @asynccontextmanager
    async def running(cls, folder: Path) -> "AsyncIterator[BothPlatforms]":
        async with DiscordServer.running() as of_discord, TelegramServer(limits=None) as of_telegram:
            with _in_a_hurry(of_discord):
                bot = cls((of_discord, of_telegram), folder)
                await bot.open()
                try:
                    yield bot
                finally:
                    bot.turnstile.let_all()
                    await bot.close()

    async def open(self) -> None:
        """Start the bot, and wait until it is connected."""
        settings = Settings(
            discord={"token": TOKEN, "threads": True},
            telegram={"token": self.telegram.token, "api_url": self.telegram.address},
            storage={"folder": self._folder},
            limits={"author_questions": 0, "chat_questions": 0},
            queue={"parallel": 8, "deadline_seconds": 20 * _PATIENCE},  # no answer is held back for so long
        )
        self.journal = await SqliteJournal.open(self._folder)
        self.dispatcher = Dispatcher(self._engine, self.journal, settings.queue, limits=settings.limits)
        administration = Administration(settings, None, None, self.journal, None, None, self.dispatcher)  # type: ignore[arg-type]
        admission = self.dispatcher.admission
        admission.withdraw = self._noting(admission.withdraw)  # type: ignore[method-assign]
        tasks = Tasks(settings.tasks, None, None, None, None)  # type: ignore[arg-type]
        desk = TaskService(tasks, TaskPolicy(self.journal.platforms, allowed=False), admission.count)
        backend = Backend(settings, self.journal, admission, administration, desk)
        self.on_discord = DiscordAdapter(backend)
        self.on_telegram = TelegramAdapter(backend, _no_passages)
        self.dispatcher.register([self.on_discord, self.on_telegram])
        await self.dispatcher.resume()
        self._serving = asyncio.create_task(supervision.run_all([self.on_discord, self.on_telegram], {}, Health()))
        await self.connected()

    async def connected(self) -> None:
        """Wait until the bot is connected to Discord."""
        await self.discord.until(lambda: self.discord._sockets, _PATIENCE)

    async def close(self) -> None:
        """Stop the bot without any grace. The calls that it has made are done before it can be back."""
        self._serving.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)
        await self.dispatcher.close(0)
        await self.on_telegram.close()
        await self.journal.close()
        was_open = self.turnstile.open
        self.turnstile.let_all()
        await self.discord.until(lambda: not self.discord._sockets, _PATIENCE)
        await asyncio.sleep(_ARRIVED)
        self.turnstile.open = was_open

    async def rest(self) -> None:
        """Let everything through, and wait until nothing more happens."""
        self.turnstile.let_all()
        quiet_since, seen = time.monotonic(), -1
        async with asyncio.timeout(_PATIENCE):
            while time.monotonic() - quiet_since < 0.1:
                await asyncio.sleep(0.01)
                done = len(self.discord.requests) + len(self.telegram.calls)
                busy = self.dispatcher.admission.unfinished or self.telegram.pending or not self.discord._sockets
                if busy or done != seen:
                    quiet_since, seen = time.monotonic(), done

    def _noting(self, withdraw: Callable[[Address], Awaitable[list[str]]]) -> Callable[[Address], Awaitable[list[str]]]:
        """Note when deletions have been taken in."""

        async def withdraw_and_note(address: Address) -> list[str]:
            messages = await withdraw(address)
            self.withdrawn[address.message] = time.monotonic()
            return messages

        return withdraw_and_note

    async def _hold_discord(self, call: str) -> None:
        if _HELD_BY_DISCORD.match(call):
            await self.turnstile.pass_through()

    async def _hold_telegram(self, method: str, _parameters: Json) -> None:
        if method in _HELD_BY_TELEGRAM:
            await self.turnstile.pass_through()


async def _no_passages(_text: str) -> list[Citation]:
    return []


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield


def _in_a_hurry(server: DiscordServer) -> ExitStack:
    """Turn discord.py to the server, and shorten the pauses of the bot and of the libraries."""
    stack = ExitStack()
    make = Connection._new_client

    def ready_soon(self: Connection, *arguments: object) -> object:
        client = make(self, *arguments)  # type: ignore[arg-type]
        client._connection.guild_ready_timeout = 0.05
        return client

    async def at_once(*_: object, **__: object) -> None:
        """Takes the place of the library's pause of five seconds."""

    for target, name, value in (
        (discord.http.Route, "BASE", server.api),
        (discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(server.gateway)),
        (discord.Client, "before_identify_hook", at_once),
        (Connection, "_new_client", ready_soon),
        (backoff, "_AT_ONCE", 10_000),
        (delivery, "_PAUSES", (0.02,) * 50),
        (sending, "_PAUSES", (0.02,) * 3),
        (discord_progress, "_EDIT_EVERY", 0.02),
        (telegram_progress, "_TYPING_AFTER", 0.005),
        (telegram_progress, "_PLACEHOLDER_AFTER", 0.01),
        (telegram_progress, "_BETWEEN_EDITS", 0.02),
        (flood, "CHAT_RATE", Rate(10_000, 1.0)),
        (flood, "GROUP_RATE", Rate(10_000, 1.0)),
        (flood, "OVERALL_RATE", Rate(10_000, 1.0)),
    ):
        stack.enter_context(patch.object(target, name, value))
    return stack
