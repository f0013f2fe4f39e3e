"""Races: people act on both platforms while each call and each answer is held back until chance lets it through.

A `Sequence` tries one order: questions, double taps, edits, deletions, stops, threads that are closed, connections that break
and restarts, between the two ends of every call that sends something. Then all is let through, and the books must balance: one
answer to the last form of each question that stands, nothing for a deleted one. The same seed makes the same choices; what the
sockets and the disk make of them differs a little from run to run.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.platforms.both_platforms import BothPlatforms
from tests.platforms.discord_server import Interaction, Json
from tests.platforms.race_checks import TAKEN_IN, AskedQuestion, Checks, Record
from tests.platforms.telegram_server import Chat


@dataclass
class Sequence:
    """One order of events in places of its own."""

    bot: BothPlatforms
    seed: int
    numbers: Iterator[int]
    steps: int = 25
    done: list[str] = field(default_factory=list)  # the steps, to be read when the books don't balance

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._record = Record(self.bot, self.seed)
        self._checks = Checks(self._record)

    async def run(self) -> list[str]:
        """Do the steps, and return what is wrong afterwards."""
        turnstile = self.bot.turnstile
        await self.bot.discord.dispatch("CHANNEL_CREATE", self.bot.discord.channels[self._record.channel])
        turnstile.open = False
        for _ in range(self.steps):
            act = self._chance.choice(self._acts())
            self.done.append(act.__name__.strip("_"))
            await act()
            await asyncio.sleep(self._chance.choice((0, 0, 0.001, 0.004, 0.01)))
        try:
            await self.bot.rest()
        except TimeoutError:
            return [*self._checks.faults(), f"no rest: {self.bot.dispatcher.admission.unfinished} unfinished"]
        return list(self._checks.faults())

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
        self.bot.turnstile.let_one(self._chance)

    # --- asking

    def _next(self, by: Json, where: str | Chat) -> AskedQuestion:
        asked = AskedQuestion(next(self.numbers), by, where, {})
        self._record.asked.append(asked)
        return asked

    async def _mentions(self) -> None:
        asked = self._next(self._record.ann, self._record.channel)
        twice = self._chance.random() < 0.2
        asked.source = await self.bot.discord.say(
            self._record.channel, f"@bot {asked.text}", self._record.ann, twice=twice
        )

    async def _writes(self) -> None:
        asked = self._next(self._record.ann, self._record.direct)
        asked.source = await self.bot.discord.say(self._record.direct, asked.text, self._record.ann)

    async def _commands(self) -> None:
        asked = self._next(self._record.ann, self._record.channel)
        options = {"question": asked.text, "private": self._chance.random() < 0.5}
        twice = self._chance.random() < 0.2
        asked.source = await self.bot.discord.slash(self._record.channel, self._record.ann, "ask", options, twice=twice)

    async def _asks_telegram(self) -> None:
        asked = self._next(self._record.cem, self._record.private)
        asked.source = self.bot.telegram.says(self._record.private, self._record.cem, asked.text)

    async def _asks_group(self) -> None:
        asked = self._next(self._record.cem, self._record.group)
        asked.source = self.bot.telegram.says(self._record.group, self._record.cem, f"/ask {asked.text}")

    # --- changing one's mind

    def _one(self, *, of_discord: bool | None = None) -> AskedQuestion | None:
        """A question that stands and can be edited or deleted."""
        standing = [
            asked
            for asked in self._record.asked
            if not asked.deleted_at
            and isinstance(asked.source, dict)
            and of_discord in (None, isinstance(asked.where, str))
        ]
        return self._chance.choice(standing) if standing else None

    async def _edits(self) -> None:
        if asked := self._one():
            asked.version += 1
            asked.stopped_earlier |= asked.stopped
            asked.stopped = False
            if isinstance(asked.where, str):
                mention = "@bot " if asked.where == self._record.channel else ""
                await self.bot.discord.edit(asked.source, f"{mention}{asked.text}")  # type: ignore[arg-type]
            else:
                command = "/ask " if asked.where.is_group else ""
                asked.source = self.bot.telegram.edits(asked.where, asked.source, f"{command}{asked.text}")  # type: ignore[arg-type]

    async def _deletes(self) -> None:
        """Delete a message on Discord: of deletions on Telegram no bot is told."""
        if asked := self._one(of_discord=True):
            asked.deleted_at = time.monotonic()
            await self.bot.discord.delete(asked.source)  # type: ignore[arg-type]

    async def _stops(self) -> None:
        """Press a Stop button on Discord, or send /stop on Telegram."""
        buttons = [
            message
            for channel in self._record.places()
            for message in self.bot.discord.from_bot(channel)
            if any(b["label"] == "Stop" for row in message["components"] for b in row["components"])
        ]
        for asked in self._record.asked:
            asked.stopped = True  # which of them is stopped depends on the order
        if buttons and self._chance.random() < 0.5:
            twice = self._chance.random() < 0.5
            await self.bot.discord.press(self._chance.choice(buttons), "Stop", self._record.ann, twice=twice)
        else:
            where = self._chance.choice((self._record.private, self._record.group))
            self.bot.telegram.says(where, self._record.cem, "/stop")

    async def _taps(self) -> None:
        """Tap a button below an answer, often twice."""
        if self._chance.random() < 0.5:
            shown = [
                m for chat in (self._record.private, self._record.group) for m in chat.from_bot if "reply_markup" in m
            ]
            if shown:
                message, label = self._chance.choice(shown), self._chance.choice(("passage", "More", "👍"))
                chat = self.bot.telegram.chats[message["chat"]["id"]]
                for _ in range(self._chance.choice((1, 2))):
                    self.bot.telegram.presses(chat, self._record.cem, message, label)
            return
        shown = [m for channel in self._record.places() for m in self.bot.discord.from_bot(channel) if m["components"]]
        shown += [
            asked.source.message
            for asked in self._record.asked
            if isinstance(asked.source, Interaction) and asked.source.message and asked.source.message["components"]
        ]
        if shown:
            message = self._chance.choice(shown)
            names = [b["label"] for row in message["components"] for b in row["components"] if b["label"] != "Stop"]
            names += ["Share"] * 3 * ("Share" in names)
            if names:
                twice = self._chance.random() < 0.5
                await self.bot.discord.press(message, self._chance.choice(names), self._record.ann, twice=twice)

    async def _closes_thread(self) -> None:
        """Somebody closes or locks the thread of an answer, or opens it again."""
        if threads := self._record.threads():
            thread, locked = self._chance.choice(threads), self._chance.random() < 0.2
            await self.bot.discord.archive(thread, locked=locked, archived=self._chance.random() < 0.7)

    # --- what breaks

    async def _loses_connection(self) -> None:
        if self._chance.random() < 0.5:
            await self.bot.discord.ask_to_reconnect()
        else:
            await self.bot.discord.drop_gateway(4000)

    async def _loses_session(self) -> None:
        self._untold()
        await self.bot.discord.drop_gateway(4000, resumable=False)
        await self.bot.connected()

    async def _loses_answer(self) -> None:
        self._record.lossy = True
        if self._chance.random() < 0.5:
            method = self._chance.choice(("sendMessage", "editMessageText"))
            self.bot.telegram.break_next(method, "lost", applies=lambda call: "draft: " not in call["text"])
        else:
            self.bot.discord.fail("POST", "/messages", status=self._chance.choice((500, 502)))

    async def _restarts(self) -> None:
        self._untold()
        self._record.lossy = True
        for asked in self._record.asked:
            asked.restarted = True
        await self.bot.close()
        await self.bot.open()

    def _untold(self) -> None:
        """What was deleted at this moment may not have come to the bot, nor what began a direct conversation."""
        began = next((asked for asked in self._record.asked if asked.where == self._record.direct), None)
        for asked in self._record.asked:
            if asked.deleted_at and time.monotonic() - asked.deleted_at < TAKEN_IN:
                asked.told = False
            if asked is began and time.monotonic() - asked.asked_at < TAKEN_IN:
                asked.unheard = True
