"""Races: people act on both platforms while each call and each answer is held back until chance lets it through.

A `Sequence` tries one order: questions, double taps, edits, deletions, stops, threads that are closed, connections that break
and restarts, between the two ends of every call that sends something. Then all is let through, and the books must balance: one
answer to the last form of each question that stands, nothing for a deleted one. The same seed makes the same choices; what the
sockets and the disk make of them differs a little from run to run.
"""

import asyncio
import math
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import discord
import yarl

from bot.adapters.discord import DiscordAdapter, dialling
from bot.adapters.discord import progress as discord_progress
from bot.adapters.discord.connection import Connection
from bot.adapters.rates import Rate
from bot.adapters.telegram import flood, sending
from bot.adapters.telegram import progress as telegram_progress
from bot.adapters.telegram.adapter import TelegramAdapter
from bot.core.messages import Address, Answer, Citation, Outcome, Progress, Question, Stage, Update
from bot.core.references import new_reference
from bot.core.settings import Settings
from bot.engine.conversation import Conversations
from bot.observability.health import Health
from bot.questions import delivery
from bot.questions.administration import Administration
from bot.questions.dispatcher import Dispatcher
from bot.runtime import supervision
from bot.storage.sqlite.journal import SqliteJournal
from tests.platforms.discord_server import TOKEN, DiscordServer, Interaction, Json
from tests.platforms.telegram_server import Chat, TelegramServer

_CITATION = Citation("guide.md", "Guide", ("Water",), (3, 4), None, None, "Use soft water.", "https://example.org/g.md")
_NUMBER = re.compile(r"\bq(\d+)v(\d+)\b")
_MARKED = "sent again"
_HELD_BY_DISCORD = re.compile(r"(POST|PATCH|DELETE) .*(/messages|/callback|/webhooks|/threads|/channels/\d+$)")
_HELD_BY_TELEGRAM = ("sendMessage", "editMessageText", "deleteMessage", "answerCallbackQuery")
_TAKEN_IN = 2.0  # seconds after which an event has been taken in, also on a busy machine
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


class House:
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
    async def running(cls, folder: Path) -> "AsyncIterator[House]":
        async with DiscordServer.running() as of_discord, TelegramServer(limits=None) as of_telegram:
            with _in_a_hurry(of_discord):
                house = cls((of_discord, of_telegram), folder)
                await house.open()
                try:
                    yield house
                finally:
                    house.turnstile.let_all()
                    await house.close()

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
        forget = Conversations(self.journal.conversations, settings.conversation).forget
        admission = self.dispatcher.admission
        admission.withdraw = self._noting(admission.withdraw)  # type: ignore[method-assign]
        self.on_discord = DiscordAdapter(admission, administration, self.journal, forget, settings.discord)
        self.on_telegram = TelegramAdapter(admission, administration, self.journal, forget, _no_passages, settings)
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
        (dialling, "_AT_ONCE", 10_000),
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


# --- one sequence -----------------------------------------------------------------------------------------------------


@dataclass
class Asked:
    """A question that somebody has asked, and what they have done with it since."""

    number: int
    by: Json
    where: str | Chat
    source: Json | Interaction
    version: int = 0
    deleted_at: float = 0.0
    told: bool = True  # whether the bot has seen the deletion
    stopped: bool = False
    restarted: bool = False  # a placeholder that was on its way may stand beside the answer

    @property
    def text(self) -> str:
        return f"q{self.number}v{self.version}"


@dataclass
class Sequence:
    """One order of events in places of its own."""

    house: House
    seed: int
    numbers: Iterator[int]
    steps: int = 25
    asked: list[Asked] = field(default_factory=list)
    done: list[str] = field(default_factory=list)  # the steps, to be read when the books don't balance

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        guild = self.house.guild
        self._ann, self._cem = self.house.discord.user("ann"), self.house.telegram.person("Cem")
        self._channel = self.house.discord.channel(guild, f"channel-{self.seed}")
        self._direct = self.house.discord.direct(self._ann)
        self._group = self.house.telegram.group(f"group {self.seed}")
        self._private = self.house.telegram.private(self._cem)
        self._lossy = False  # what buttons show may come twice

    async def run(self) -> list[str]:
        """Do the steps, and return what is wrong afterwards."""
        turnstile = self.house.turnstile
        await self.house.discord.dispatch("CHANNEL_CREATE", self.house.discord.channels[self._channel])
        turnstile.open = False
        for _ in range(self.steps):
            act = self._chance.choice(self._acts())
            self.done.append(act.__name__.strip("_"))
            await act()
            await asyncio.sleep(self._chance.choice((0, 0, 0.001, 0.004, 0.01)))
        try:
            await self.house.rest()
        except TimeoutError:
            return [*self._wrong(), f"no rest: {self.house.dispatcher.admission.unfinished} unfinished"]
        return list(self._wrong())

    def _acts(self) -> list[Callable[[], object]]:
        """What may happen next, each as often as it is likely."""
        asking = [self._mentions, self._writes, self._commands, self._asks_telegram, self._asks_group]
        changing = [
            self._edits,
            self._deletes,
            self._edits,
            self._deletes,
            self._stops,
            self._taps,
            self._closes_thread,
        ]
        breaking = [self._loses_connection, self._loses_session, self._loses_answer, self._restarts]
        rare = [self._chance.choice(breaking)] if self._chance.random() < 0.3 else []
        return [*asking, *changing, self._taps, *rare, *[self._lets] * 15]  # type: ignore[list-item]

    async def _lets(self) -> None:
        self.house.turnstile.let_one(self._chance)

    # --- asking

    def _next(self, by: Json, where: str | Chat) -> Asked:
        asked = Asked(next(self.numbers), by, where, {})
        self.asked.append(asked)
        return asked

    async def _mentions(self) -> None:
        asked = self._next(self._ann, self._channel)
        twice = self._chance.random() < 0.2
        asked.source = await self.house.discord.say(self._channel, f"@bot {asked.text}", self._ann, twice=twice)

    async def _writes(self) -> None:
        asked = self._next(self._ann, self._direct)
        asked.source = await self.house.discord.say(self._direct, asked.text, self._ann)

    async def _commands(self) -> None:
        asked = self._next(self._ann, self._channel)
        options = {"question": asked.text, "private": self._chance.random() < 0.5}
        twice = self._chance.random() < 0.2
        asked.source = await self.house.discord.slash(self._channel, self._ann, "ask", options, twice=twice)

    async def _asks_telegram(self) -> None:
        asked = self._next(self._cem, self._private)
        asked.source = self.house.telegram.says(self._private, self._cem, asked.text)

    async def _asks_group(self) -> None:
        asked = self._next(self._cem, self._group)
        asked.source = self.house.telegram.says(self._group, self._cem, f"/ask {asked.text}")

    # --- changing one's mind

    def _one(self, *, of_discord: bool | None = None) -> Asked | None:
        """A question that stands and can be edited or deleted."""
        standing = [
            asked
            for asked in self.asked
            if not asked.deleted_at
            and isinstance(asked.source, dict)
            and of_discord in (None, isinstance(asked.where, str))
        ]
        return self._chance.choice(standing) if standing else None

    async def _edits(self) -> None:
        if asked := self._one():
            asked.version += 1
            asked.stopped = False
            if isinstance(asked.where, str):
                mention = "@bot " if asked.where == self._channel else ""
                await self.house.discord.edit(asked.source, f"{mention}{asked.text}")  # type: ignore[arg-type]
            else:
                command = "/ask " if asked.where.is_group else ""
                asked.source = self.house.telegram.edits(asked.where, asked.source, f"{command}{asked.text}")  # type: ignore[arg-type]

    async def _deletes(self) -> None:
        """Delete a message on Discord: of deletions on Telegram no bot is told."""
        if asked := self._one(of_discord=True):
            asked.deleted_at = time.monotonic()
            await self.house.discord.delete(asked.source)  # type: ignore[arg-type]

    async def _stops(self) -> None:
        """Press a Stop button on Discord, or send /stop on Telegram."""
        buttons = [
            message
            for channel in self._places()
            for message in self.house.discord.from_bot(channel)
            if any(b["label"] == "Stop" for row in message["components"] for b in row["components"])
        ]
        for asked in self.asked:
            asked.stopped = True  # which of them is stopped depends on the order
        if buttons and self._chance.random() < 0.5:
            twice = self._chance.random() < 0.5
            await self.house.discord.press(self._chance.choice(buttons), "Stop", self._ann, twice=twice)
        else:
            where = self._chance.choice((self._private, self._group))
            self.house.telegram.says(where, self._cem, "/stop")

    async def _taps(self) -> None:
        """Tap a button below an answer, often twice."""
        if self._chance.random() < 0.5:
            shown = [m for chat in (self._private, self._group) for m in chat.from_bot if "reply_markup" in m]
            if shown:
                message, label = self._chance.choice(shown), self._chance.choice(("passage", "More", "👍"))
                chat = self.house.telegram.chats[message["chat"]["id"]]
                for _ in range(self._chance.choice((1, 2))):
                    self.house.telegram.presses(chat, self._cem, message, label)
            return
        shown = [m for channel in self._places() for m in self.house.discord.from_bot(channel) if m["components"]]
        shown += [
            asked.source.message
            for asked in self.asked
            if isinstance(asked.source, Interaction) and asked.source.message and asked.source.message["components"]
        ]
        if shown:
            message = self._chance.choice(shown)
            names = [b["label"] for row in message["components"] for b in row["components"] if b["label"] != "Stop"]
            names += ["Share"] * 3 * ("Share" in names)
            if names:
                twice = self._chance.random() < 0.5
                await self.house.discord.press(message, self._chance.choice(names), self._ann, twice=twice)

    async def _closes_thread(self) -> None:
        """Somebody closes or locks the thread of an answer, or opens it again."""
        if threads := self._threads():
            thread, locked = self._chance.choice(threads), self._chance.random() < 0.2
            await self.house.discord.archive(thread, locked=locked, archived=self._chance.random() < 0.7)

    # --- what breaks

    async def _loses_connection(self) -> None:
        if self._chance.random() < 0.5:
            await self.house.discord.ask_to_reconnect()
        else:
            await self.house.discord.drop_gateway(4000)

    async def _loses_session(self) -> None:
        self._untold()
        await self.house.discord.drop_gateway(4000, resumable=False)
        await self.house.connected()

    async def _loses_answer(self) -> None:
        self._lossy = True
        if self._chance.random() < 0.5:
            method = self._chance.choice(("sendMessage", "editMessageText"))
            self.house.telegram.break_next(method, "lost", applies=lambda call: "draft: " not in call["text"])
        else:
            self.house.discord.fail("POST", "/messages", status=self._chance.choice((500, 502)))

    async def _restarts(self) -> None:
        self._untold()
        self._lossy = True
        for asked in self.asked:
            asked.restarted = True
        await self.house.close()
        await self.house.open()

    def _untold(self) -> None:
        """What was deleted at this moment may not have come to the bot."""
        for asked in self.asked:
            if asked.deleted_at and time.monotonic() - asked.deleted_at < _TAKEN_IN:
                asked.told = False

    # --- the books

    def _places(self) -> list[str]:
        """The channels of Discord in which the bot may have written."""
        return [self._channel, self._direct, *self._threads()]

    def _threads(self) -> list[str]:
        messages = [
            asked.source["id"] for asked in self.asked if isinstance(asked.source, dict) and "id" in asked.source
        ]
        return [message for message in messages if message in self.house.discord.channels]

    def _wrong(self) -> Iterator[str]:
        for asked in self.asked:
            said = list(self._said_to(asked))
            if asked.deleted_at:
                yield from self._wrong_after_deletion(asked, said)
            else:
                yield from self._wrong_beside(asked, said)
        on_discord = [asked for asked in self.asked if isinstance(asked.where, str)]
        yield from self._wrong_about_stopping(on_discord, list(self._texts_on_discord()))
        for chat in (self._private, self._group):
            yield from self._wrong_about_stopping([one for one in self.asked if one.where is chat], chat.texts)
            yield from self._wrong_about_taps(chat)

    def _wrong_about_stopping(self, together: list[Asked], texts: list[str]) -> Iterator[str]:
        """Each question without an answer was stopped, and says so; `together`: those in the places with these `texts`."""
        unanswered = [
            asked
            for asked in together
            if not asked.deleted_at and asked.stopped and not any("re: " in text for text in self._said_to(asked))
        ]
        stopped = [text for text in texts if "Stopped." in text]
        if len(stopped) < len(unanswered):
            yield f"one of {[asked.text for asked in unanswered]}: lost among {texts}, {len(stopped)} were stopped"
        stopped = [text for text in stopped if _MARKED not in text]
        if len(stopped) > len(unanswered) and not any(asked.deleted_at for asked in together):
            yield f"{len(stopped)} say that they were stopped, {len(unanswered)} have no answer"

    def _wrong_about_taps(self, chat: Chat) -> Iterator[str]:
        """What a button shows below an answer, it shows once."""
        mine = {message["message_id"] for message in chat.from_bot}
        shown = Counter(
            (message["reply_to_message"]["message_id"], message["text"])
            for message in chat.from_bot
            if message.get("reply_to_message", {}).get("message_id") in mine
        )
        if not self._lossy and (twice := [text for text, count in shown.items() if count > 1]):
            yield f"shown twice: {twice}"

    def _wrong_beside(self, asked: Asked, said: list[str]) -> Iterator[str]:
        """What is wrong about the answer to a question that stands."""
        if isinstance(asked.source, Interaction) and asked.source.response is None:
            return  # Discord has told the person that no bot was there
        shared = [text for text in said if text.startswith("> ann")]  # by the button; others quote no name
        answers = [text for text in said if "re: " in text and text not in shared]
        if any(_MARKED in text for text in answers):  # an earlier form may stand above the one that says so
            answers = [text for text in answers if asked.text in text] or answers
        clean = [text for text in answers if _MARKED not in text]
        if (drafts := [text for text in said if "draft: " in text]) and not asked.restarted:
            yield f"{asked.text}: left over {drafts}"
        if any(asked.text not in text for text in answers):
            yield f"{asked.text}: answered in an earlier form {answers}"
        if not answers and not asked.stopped:  # those that were stopped are counted
            yield f"{asked.text}: lost among {list(self._texts(asked))}"
        if len(shared) > 1 and not asked.restarted:
            yield f"{asked.text}: shared twice {shared}"
        if len(clean) > 1:
            yield f"{asked.text}: doubled {answers}"

    def _wrong_after_deletion(self, asked: Asked, said: list[str]) -> Iterator[str]:
        if asked.restarted:
            said = [text for text in said if "draft: " not in text]
        if asked.told and said:
            yield f"{asked.text}: orphaned {said}"
        late = [
            request
            for request in self.house.discord.requests
            if request.method == "POST"
            and request.at > self.house.withdrawn.get(asked.source["id"], math.inf) + _TAKEN_IN  # type: ignore[index]
            and isinstance(request.body, dict)
            and f"re: q{asked.number}v"
            in str(request.body.get("content"))  # a late placeholder is taken back, see above
        ]
        if asked.told and late:
            after = late[0].at - self.house.withdrawn[asked.source["id"]]  # type: ignore[index]
            yield f"{asked.text}: {late[0].body} sent to {late[0].path} {after:.1f} s after its deletion"

    def _said_to(self, asked: Asked) -> Iterator[str]:
        """The texts of the bot that name a question, each once."""
        for text in self._texts(asked):
            if any(number == str(asked.number) for number, _ in _NUMBER.findall(text)):
                yield text

    def _texts(self, asked: Asked) -> Iterator[str]:
        if isinstance(asked.where, Chat):
            yield from asked.where.texts
            return
        yield from self._texts_on_discord()

    def _texts_on_discord(self) -> Iterator[str]:
        for asked in self.asked:
            if isinstance(asked.source, Interaction) and asked.source.ephemeral:
                yield from (m["content"] for m in (asked.source.message, *asked.source.followups) if m)
        for channel in self._places():
            yield from (message["content"] for message in self.house.discord.from_bot(channel))
