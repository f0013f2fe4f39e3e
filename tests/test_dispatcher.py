"""The desk: durable before acknowledged, in order within a conversation, each answer delivered once."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from bot import dispatcher as dispatcher_module
from bot.dispatcher import Dispatcher
from bot.errors import EngineBusy, IndexUnavailable
from bot.messages import Address, Answer, Delivery, Outcome, Question, Stage, Update
from bot.settings import QueueSettings
from bot.storage.sqlite_journal import SqliteJournal


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
        self.updates: list[Stage] = []
        self.fail_before = 0
        self.fail_after = 0

    async def run(self) -> None:
        """Nothing comes in by itself."""

    async def deliver(self, address: Address, answer: Answer, delivery: Delivery) -> None:
        for part, text in enumerate(answer.text.split("|")):

            async def send(repeated: bool, part: int = part, text: str = text) -> str:
                if self.fail_before:
                    self.fail_before -= 1
                    raise ConnectionError("not sent")
                self.sent.append((address.message, text, repeated))
                if self.fail_after:
                    self.fail_after -= 1
                    raise ConnectionError("sent, but the acknowledgement was lost")
                return f"id-{part}"

            await delivery.send_part(part, send)

    async def progress(self, _address: Address, update: Update) -> None:
        self.updates.append(update.stage)

    @property
    def texts(self) -> list[str]:
        return [text for _, text, _ in self.sent]


def question(text: str, conversation: str = "c", message: str | None = None) -> Question:
    address = Address("test", "chat", message or text, {"text": text})
    return Question(text, conversation, "someone", address, datetime.now(UTC))


@pytest.fixture
def engine():
    return EchoEngine()


@pytest.fixture
def adapter():
    return Pigeonhole()


@pytest.fixture
async def journal(tmp_path):
    journal = await SqliteJournal.open(tmp_path)
    yield journal
    await journal.close()


@pytest.fixture
async def dispatcher(engine, adapter, journal):
    dispatcher = Dispatcher(engine, journal, QueueSettings(capacity=8, parallel=3, deadline_seconds=5))
    dispatcher.register([adapter])
    yield dispatcher
    engine.may_answer.set()
    await dispatcher.close(5)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr(dispatcher_module, "_DELIVERY_PAUSES", (0.0, 0.0, 0.0))


async def test_an_accepted_question_is_answered_and_leaves_the_journal(dispatcher, adapter, journal):
    """The texts are erased once the answer has arrived."""
    assert await dispatcher.accept(question("one"))
    await dispatcher.idle()
    assert adapter.sent == [("one", "re: one", False)]
    assert await journal.pending() == []
    assert dispatcher.unfinished == 0


async def test_a_question_is_in_the_journal_before_it_is_acknowledged(dispatcher, engine, journal):
    """Whoever was told yes is answered, whatever happens next."""
    engine.may_answer.clear()
    await dispatcher.accept(question("one"))
    [pending] = await journal.pending()
    assert (pending.question.text, pending.answer) == ("one", None)


async def test_the_same_message_is_answered_once(dispatcher, adapter):
    """Platforms deliver events twice; also long after the answer."""
    assert await dispatcher.accept(question("one"))
    assert not await dispatcher.accept(question("one"))
    await dispatcher.idle()
    assert not await dispatcher.accept(question("one"))
    await dispatcher.idle()
    assert adapter.texts == ["re: one"]


async def test_one_conversation_keeps_its_order(dispatcher, engine, adapter):
    """The second question waits for the first, even if it would be quicker."""
    for n in range(5):
        await dispatcher.accept(question(str(n)))
    await dispatcher.idle()
    assert adapter.texts == [f"re: {n}" for n in range(5)]
    assert engine.most_running == 1


async def test_conversations_run_side_by_side_up_to_the_limit(dispatcher, engine, adapter):
    """One slow conversation holds up no other."""
    engine.may_answer.clear()
    for n in range(5):
        await dispatcher.accept(question(str(n), conversation=str(n)))
    await asyncio.sleep(0.05)
    assert engine.running == 3
    engine.may_answer.set()
    await dispatcher.idle()
    assert sorted(adapter.texts) == [f"re: {n}" for n in range(5)]


async def test_a_full_queue_refuses_at_once(dispatcher, engine, journal):
    """The refused question is not in the journal: the user was told to ask again."""
    engine.may_answer.clear()
    for n in range(8):
        await dispatcher.accept(question(str(n), conversation=str(n)))
    with pytest.raises(EngineBusy) as busy:
        await dispatcher.accept(question("one too many"))
    assert busy.value.waiting == 8
    assert len(await journal.pending()) == 8


async def test_what_waits_is_told_so(dispatcher, engine, adapter):
    """Who has to wait for others sees it."""
    engine.may_answer.clear()
    for n in range(4):
        await dispatcher.accept(question(str(n), conversation=str(n)))
        await asyncio.sleep(0.02)
    assert adapter.updates.count(Stage.QUEUED) == 1


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (IndexUnavailable("Make it: knowledge-bot index"), "Make it: knowledge-bot index (reference "),
        (ZeroDivisionError("secret internals"), "Something went wrong on our side."),
    ],
)
async def test_a_failure_is_told_with_a_reference_and_hurts_no_other(dispatcher, engine, adapter, error, told):
    """Errors of ours are readable; bugs are neutral and show nothing of their inside."""
    engine.errors["bad"] = error
    await dispatcher.accept(question("bad"))
    await dispatcher.accept(question("good"))
    await dispatcher.idle()
    failed, good = adapter.texts
    assert failed.startswith(told)
    assert "reference" in failed
    assert "secret" not in failed
    assert good == "re: good"


async def test_a_question_that_takes_too_long_is_given_up_and_told(engine, adapter, journal):
    """Nobody waits for ever."""
    dispatcher = Dispatcher(engine, journal, QueueSettings(deadline_seconds=0.05))
    dispatcher.register([adapter])
    engine.may_answer.clear()
    await dispatcher.accept(question("slow"))
    await dispatcher.idle()
    assert "longer than 0.05 seconds" in adapter.texts[0]


async def test_a_failed_delivery_is_tried_again_and_marked_as_repeated(dispatcher, adapter):
    """A try that was not acknowledged may have arrived: what follows says so."""
    adapter.fail_after = 1
    await dispatcher.accept(question("one"))
    await dispatcher.idle()
    assert adapter.sent == [("one", "re: one", False), ("one", "re: one", True)]


async def test_parts_that_have_arrived_are_not_sent_again(dispatcher, adapter):
    """Only the part in doubt is repeated."""
    await dispatcher.accept(question("a|b|c"))
    adapter.fail_before = 0
    await dispatcher.idle()
    assert adapter.texts == ["re: a", "b", "c"]
    adapter.sent.clear()
    adapter.fail_after = 0

    calls = 0
    original = adapter.deliver

    async def breaks_after_the_first_part(address, answer, delivery):
        nonlocal calls
        calls += 1
        if calls == 1:
            await delivery.send_part(0, lambda _: record(adapter, address))
            raise ConnectionError
        await original(address, answer, delivery)

    async def record(adapter, address):
        adapter.sent.append((address.message, "first", False))
        return "id"

    adapter.deliver = breaks_after_the_first_part
    await dispatcher.accept(question("x|y"))
    await dispatcher.idle()
    assert adapter.texts == ["first", "y"]


async def test_an_answer_that_can_not_be_delivered_waits_for_the_next_start(engine, adapter, journal):
    """After a restart it is delivered without asking the engine again."""
    first = Dispatcher(engine, journal, QueueSettings())
    first.register([adapter])
    adapter.fail_before = 99
    await first.accept(question("one"))
    await first.idle()
    await first.close(1)
    assert adapter.sent == []

    adapter.fail_before = 0
    second = Dispatcher(engine, journal, QueueSettings())
    second.register([adapter])
    assert await second.resume() == 1
    await second.idle()
    assert adapter.sent == [("one", "re: one", True)]
    assert engine.asked == ["one"]


async def test_what_runs_at_a_stop_is_answered_after_the_next_start(engine, adapter, journal):
    """Closing waits for the grace only, and loses nothing."""
    first = Dispatcher(engine, journal, QueueSettings())
    first.register([adapter])
    engine.may_answer.clear()
    await first.accept(question("one"))
    await first.accept(question("two"))
    await first.close(grace_seconds=0.05)
    with pytest.raises(EngineBusy):
        await first.accept(question("three"))

    engine.may_answer.set()
    second = Dispatcher(engine, journal, QueueSettings())
    second.register([adapter])
    assert await second.resume() == 2
    await second.idle()
    assert adapter.texts == ["re: one", "re: two"]


async def test_an_answer_for_a_platform_that_is_not_running_is_kept(engine, journal, adapter):
    """Switching an adapter off for a day loses no answer."""
    without = Dispatcher(engine, journal, QueueSettings())
    await without.accept(question("one"))
    await without.idle()
    [pending] = await journal.pending()
    assert pending.answer is not None
    later = Dispatcher(engine, journal, QueueSettings())
    later.register([adapter])
    await later.resume()
    await later.idle()
    assert adapter.texts == ["re: one"]


async def test_broken_progress_hurts_no_answer(dispatcher, adapter):
    """Showing how far it is, is never essential."""

    async def fails(address, update):
        raise ConnectionError

    adapter.progress = fails
    await dispatcher.accept(question("one"))
    await dispatcher.idle()
    assert adapter.texts == ["re: one"]


async def test_a_full_disk_puts_the_question_off_and_serves_the_next(dispatcher, adapter, journal, monkeypatch):
    """What can't be noted now is done at the next start."""
    answered = journal.answered
    calls = 0

    async def full_once(*args):
        nonlocal calls
        calls += 1
        if calls == 1:
            raise IndexUnavailable("disk full")
        await answered(*args)

    monkeypatch.setattr(journal, "answered", full_once)
    await dispatcher.accept(question("one"))
    await dispatcher.accept(question("two"))
    await dispatcher.idle()
    assert adapter.texts == ["re: two"]
    assert [pending.question.text for pending in await journal.pending()] == ["one"]
