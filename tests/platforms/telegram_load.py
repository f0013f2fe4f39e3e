"""A day of Telegram in a few minutes: many people ask, the service breaks, the bot is killed; then the books are balanced."""

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.platforms.telegram_server import Chat, Json, TelegramServer

MARK = "(sent again"
Start = Callable[[], Awaitable[asyncio.subprocess.Process]]
# What goes wrong with every hundredth call or so, by method.
_FAULTS = {
    "sendMessage": ("lost", "reset", "502", "429:1", "garbage"),
    "editMessageText": ("lost", "502"),
    "getUpdates": ("502", "reset", "lost", "429:1"),
    "sendChatAction": ("502", "reset"),
}


@dataclass
class Books:
    """The outcomes of the questions, by their number, from 0."""

    asked: int
    seconds: float = 0.0
    kills: int = 0
    faults: int = 0
    lost: list[int] = field(default_factory=list)  # neither answered nor refused
    doubled: list[int] = field(default_factory=list)  # answered twice, and not marked as repeated
    marked: int = 0  # parts that were sent again after an in-doubt send, and say so
    left_standing: int = 0  # placeholders beside an answer: their sending was in doubt
    ignored_waits: int = 0

    def lines(self) -> list[str]:
        return [
            f"questions asked          {self.asked} in {self.seconds:.0f} s",
            f"kill -9                  {self.kills}",
            f"faults of the service    {self.faults}",
            f"lost                     {len(self.lost)} {self.lost[:10] or ''}",
            f"twice without a mark     {len(self.doubled)} {self.doubled[:10] or ''}",
            f"sent again, marked so    {self.marked}",
            f"placeholders left over   {self.left_standing}",
            f"waits that were ignored  {self.ignored_waits}",
        ]


class Crowd:
    """People who ask one question each, every fourth one in a group."""

    def __init__(self, server: TelegramServer, *, groups: int, seed: int = 1) -> None:
        self._server = server
        self._random = random.Random(seed)
        self._groups = [server.group(f"Group {n}") for n in range(groups)]
        self._asked: list[tuple[Chat, Json]] = []

    def asks(self, text: str) -> None:
        number = len(self._asked)
        person = self._server.person(f"Person {number}")
        if number % 4 == 3:
            group = self._groups[number // 4 % len(self._groups)]
            self._asked.append((group, self._server.says(group, person, f"/ask {text}")))
        else:
            chat = self._server.private(person)
            self._asked.append((chat, self._server.says(chat, person, text)))

    def breaks_something(self) -> int:
        """One call in the near future fails."""
        method = self._random.choice(list(_FAULTS))
        self._server.break_next(method, self._random.choice(_FAULTS[method]))
        return 1

    def place_of(self, number: int) -> str:
        """`chat message`, by which the bot knows a question."""
        _, asked = self._asked[number]
        return f"{asked['chat']['id']} {asked['message_id']}"

    def said_to(self, number: int) -> list[str]:
        """The messages of the bot on a question. In a group they are replies; in private nothing else was asked."""
        chat, asked = self._asked[number]
        messages = chat.from_bot
        if chat.is_group:
            messages = [m for m in messages if m.get("reply_to_message", {}).get("message_id") == asked["message_id"]]
        return [message["text"] for message in messages]


def is_placeholder(text: str) -> bool:
    return text.endswith("…")


async def drive(
    server: TelegramServer,
    start: Start,
    ask: Callable[[int], str],
    *,
    questions: int,
    kills: int,
    per_second: float,
    groups: int = 40,
    patience: float = 120.0,
) -> tuple[Books, asyncio.subprocess.Process]:
    """Ask so many questions, `ask(0)` and so on, while the service breaks and the bot is killed and started again so often.

    `patience`: seconds to wait for the last answers. The bot still runs when this returns.
    """
    crowd = Crowd(server, groups=groups)
    books = Books(questions)
    killed_at = {round(questions * (n + 0.7) / max(1, kills)) - 1 for n in range(kills)}
    process = await start()
    started = time.monotonic()
    for number in range(questions):
        crowd.asks(ask(number))
        if number % 25 == 24:
            books.faults += crowd.breaks_something()
        if number in killed_at:
            process.send_signal(signal.SIGKILL)
            await process.wait()
            books.kills += 1
            process = await start()
        await asyncio.sleep(max(0.0, started + number / per_second - time.monotonic()))
    until = time.monotonic() + patience
    while any(not answers_in(crowd.said_to(n)) for n in range(questions)):
        if time.monotonic() > until:
            break
        await asyncio.sleep(0.5)
    books.seconds = time.monotonic() - started
    for number in range(questions):
        said = crowd.said_to(number)
        answers = answers_in(said)
        marked = [text for text in answers if text.startswith(MARK)]
        books.marked += len(marked)
        books.left_standing += len(said) - len(answers)
        books.lost += [number] if not answers else []
        books.doubled += [number] if len(answers) - len(marked) > 1 else []
    books.ignored_waits = server.ignored_waits
    return books, process


def answers_in(said: list[str]) -> list[str]:
    return [text for text in said if not is_placeholder(text)]
