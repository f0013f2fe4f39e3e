"""An engine and an adapter whose answers and messages can be predicted, and questions for them."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from bot.core.messages import Address, Answer, Delivery, Outcome, Question, Sending, Stage, Update


class EchoEngine:
    """Answers with the question; can be held up, and fails over certain questions."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.running = 0
        self.most_running = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.errors: dict[str, Exception] = {}

    async def answer(self, question: Question, progress: Callable[[Update], None]) -> Answer:
        self.asked.append(question.text)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            progress(Update(Stage.SEARCHING))
            await self.may_answer.wait()
            await asyncio.sleep(0)
        finally:
            self.running -= 1
        if error := self.errors.get(question.text):
            raise error
        return Answer(Outcome.ANSWERED, f"re: {question.text}", "ref")


class Pigeonhole:
    """An adapter that keeps what is delivered; can fail before or after a message has gone out."""

    name = "test"

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, bool]] = []  # message, text, repeated
        self.replaced: list[str | None] = []  # what each of them took the place of
        self.updates: list[Stage] = []
        self.places: list[str] = []
        self.fail_before = 0
        self.fail_after = 0

    async def run(self) -> None:
        """Nothing comes in by itself."""

    async def deliver(self, address: Address, answer: Answer, delivery: Delivery) -> None:
        for part, text in enumerate(answer.text.split("|")):

            async def send(sending: Sending, part: int = part, text: str = text) -> str:
                if self.fail_before:
                    self.fail_before -= 1
                    raise ConnectionError("not sent")
                self.sent.append((address.message, text, sending.repeated))
                self.replaced.append(sending.replaces)
                if self.fail_after:
                    self.fail_after -= 1
                    raise ConnectionError("sent, but the acknowledgement was lost")
                return f"id-{part}"

            await delivery.send_part(part, send)

    async def progress(self, _address: Address, update: Update) -> None:
        self.updates.append(update.stage)
        if update.stage is Stage.QUEUED:
            self.places.append(update.text)

    @property
    def texts(self) -> list[str]:
        return [text for _, text, _ in self.sent]


def question(text: str, conversation: str = "c", message: str | None = None) -> Question:
    address = Address("test", "chat", message or text, {"text": text})
    return Question(text, conversation, "someone", address, datetime.now(UTC))


def asked_by(author: str, text: str, chat: str = "chat") -> Question:
    return Question(text, text, author, Address("test", chat, text), datetime.now(UTC))


async def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.005)
