"""The desk: durable before acknowledged, in order within a conversation, each answer delivered once."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.errors import EngineBusy, IndexUnavailable, RateLimited, StorageError, Undeliverable
from bot.core.messages import Address, Answer, Delivery, Outcome, Question, Sending, Stage, Update
from bot.core.settings import LimitsSettings, QueueSettings
from bot.questions import delivery, queue
from bot.questions.dispatcher import Dispatcher
from bot.storage.sqlite.journal import SqliteJournal


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


async def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.005)


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
    monkeypatch.setattr(delivery, "_PAUSES", (0.0, 0.0, 0.0))


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
    assert adapter.places == ["1"]


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


# --- edited, deleted, stopped -----------------------------------------------------------------------------------------


async def test_an_edited_question_is_answered_again_in_place(dispatcher, adapter, journal):
    """Each part is told which message it replaces, and those that are too many are named."""
    left_over: list[str] = []
    deliver = adapter.deliver

    async def and_name_the_rest(address, answer, delivery):
        await deliver(address, answer, delivery)
        left_over.extend(await delivery.left_over(len(answer.text.split("|"))))

    adapter.deliver = and_name_the_rest
    await dispatcher.accept(question("a|b|c", message="1"))
    await dispatcher.idle()
    assert adapter.replaced == [None, None, None]
    assert await dispatcher.revise(question("x|y", message="1"))
    await dispatcher.idle()
    assert adapter.texts[3:] == ["re: x", "y"]
    assert adapter.replaced[3:] == ["id-0", "id-1"]
    assert left_over == ["id-2"]
    assert await journal.pending() == []
    assert (dispatcher.counts["revised"], dispatcher.counts["repeated"]) == (1, 0)


async def test_an_edit_that_changes_no_text_or_an_unknown_question_does_nothing(dispatcher, adapter):
    """The adapter is told so."""
    await dispatcher.accept(question("one"))
    await dispatcher.idle()
    assert not await dispatcher.revise(question("one"))
    assert not await dispatcher.revise(question("never asked"))
    assert adapter.texts == ["re: one"]


async def test_a_question_that_is_edited_while_it_is_answered_gets_the_new_answer_only(dispatcher, engine, adapter):
    """The work on the old text is given up."""
    engine.may_answer.clear()
    await dispatcher.accept(question("old", message="1"))
    await asyncio.sleep(0.05)
    assert await dispatcher.revise(question("new", message="1"))
    engine.may_answer.set()
    await dispatcher.idle()
    assert adapter.texts == ["re: new"]


async def test_a_deleted_question_gets_no_answer_and_leaves_no_text(dispatcher, engine, adapter, journal):
    """Whether it waits or is being answered."""
    engine.may_answer.clear()
    await dispatcher.accept(question("running", conversation="c"))
    await dispatcher.accept(question("waiting", conversation="c"))
    await asyncio.sleep(0.05)
    assert await dispatcher.withdraw(question("waiting").address) == []
    assert await dispatcher.withdraw(question("running").address) == []
    engine.may_answer.set()
    await dispatcher.idle()
    assert adapter.texts == []
    assert engine.asked == ["running"]
    assert await journal.pending() == []


async def test_a_question_does_not_overtake_another_when_the_one_between_is_deleted(dispatcher, engine, adapter):
    """The order of a conversation holds for those that are left."""
    engine.may_answer.clear()
    for text in ("first", "deleted", "last"):
        await dispatcher.accept(question(text))
    await asyncio.sleep(0.05)
    await dispatcher.withdraw(question("deleted").address)
    await asyncio.sleep(0.05)
    assert engine.asked == ["first"]
    engine.may_answer.set()
    await dispatcher.idle()
    assert adapter.texts == ["re: first", "re: last"]


async def test_a_question_can_be_stopped_or_deleted_in_the_moment_of_its_acceptance(dispatcher, engine, adapter):
    """Before anything was done for it."""
    engine.may_answer.clear()
    await dispatcher.accept(question("stopped", conversation="a"))
    assert await dispatcher.stop(question("stopped").address)
    await dispatcher.accept(question("deleted", conversation="b"))
    assert await dispatcher.withdraw(question("deleted").address) == []
    await dispatcher.idle()
    assert adapter.texts == ["Stopped."]
    assert dispatcher.unfinished == dispatcher.waiting == 0


async def test_a_stopped_question_says_so_in_its_place_and_without_a_turn(dispatcher, engine, adapter):
    """One that waits behind another of its conversation is not asked, and not answered before that one."""
    engine.may_answer.clear()
    await dispatcher.accept(question("first"))
    await dispatcher.accept(question("second"))
    await asyncio.sleep(0.05)
    assert await dispatcher.stop(question("second").address)
    await asyncio.sleep(0.05)
    assert adapter.texts == []
    engine.may_answer.set()
    await dispatcher.idle()
    assert adapter.texts == ["re: first", "Stopped."]
    assert engine.asked == ["first"]


async def test_deleting_an_answered_question_names_the_messages_to_delete(dispatcher):
    """In their order; a question that was never asked has none."""
    await dispatcher.accept(question("a|b"))
    await dispatcher.idle()
    assert await dispatcher.withdraw(question("a|b").address) == ["id-0", "id-1"]
    assert await dispatcher.withdraw(question("unknown").address) == []


async def test_a_question_that_is_deleted_while_its_answer_goes_out_takes_all_parts_back(dispatcher, adapter):
    """What is on its way arrives first and is named too; nothing is sent after that."""
    on_its_way, may_arrive = asyncio.Event(), asyncio.Event()

    async def deliver(address, answer, delivery):
        for part in range(3):
            await delivery.send_part(part, lambda _, part=part: arrives(part))

    async def arrives(part):
        on_its_way.set()
        await may_arrive.wait()
        adapter.sent.append(("", str(part), False))
        return f"id-{part}"

    adapter.deliver = deliver
    await dispatcher.accept(question("one"))
    await on_its_way.wait()
    withdrawal = asyncio.create_task(dispatcher.withdraw(question("one").address))
    await asyncio.sleep(0.05)
    may_arrive.set()
    assert await withdrawal == ["id-0"]
    assert adapter.texts == ["0"]


async def test_deleting_a_question_ends_the_tries_to_deliver_it(dispatcher, adapter, monkeypatch):
    """Nobody waits for the next try, which may be minutes away."""
    monkeypatch.setattr(delivery, "_PAUSES", (60.0,))
    adapter.fail_before = 99
    await dispatcher.accept(question("one"))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(5):
        assert await dispatcher.withdraw(question("one").address) == []
        await dispatcher.idle()


async def test_a_stopped_question_says_so(dispatcher, engine, adapter):
    """Once: what is answered can't be stopped any more."""
    engine.may_answer.clear()
    await dispatcher.accept(question("running"))
    await dispatcher.accept(question("waiting"))
    await asyncio.sleep(0.05)
    assert await dispatcher.stop(question("waiting").address)
    assert await dispatcher.stop(question("running").address)
    assert not await dispatcher.stop(question("running").address)
    await dispatcher.idle()
    assert adapter.texts == ["Stopped.", "Stopped."]
    assert engine.asked == ["running"]
    assert not await dispatcher.stop(question("running").address)


async def test_whoever_is_forgotten_gets_no_answer_and_others_do(dispatcher, engine, adapter, journal):
    """What is being answered is given up."""
    engine.may_answer.clear()
    await dispatcher.accept(question("one"))
    await dispatcher.accept(replace(question("two", conversation="other"), author="other"))
    await asyncio.sleep(0.05)
    assert (await dispatcher.forget("test", "someone")).questions == 1
    engine.may_answer.set()
    await dispatcher.idle()
    assert adapter.texts == ["re: two"]


async def test_the_answer_replaces_the_placeholder(dispatcher, engine, adapter):
    """Which the adapter sent while the question was being answered."""
    engine.may_answer.clear()
    await dispatcher.accept(question("one"))
    await dispatcher.placed(question("one").address, "placeholder")
    engine.may_answer.set()
    await dispatcher.idle()
    assert adapter.replaced == ["placeholder"]


async def test_no_progress_is_shown_after_the_answer(dispatcher, adapter):
    """What is being shown is waited for; what waits is not shown."""
    order: list[str] = []

    async def slow(_address, update):
        await asyncio.sleep(0.05)
        order.append(update.stage)

    deliver = adapter.deliver

    async def noted(*args):
        order.append("answer")
        await deliver(*args)

    adapter.progress, adapter.deliver = slow, noted
    await dispatcher.accept(question("one"))
    await dispatcher.idle()
    assert order == [Stage.SEARCHING, "answer"]


async def test_a_place_in_the_queue_is_not_shown_after_the_answer(dispatcher, engine, adapter):
    """However long the platform takes to show it: it would stand there in place of the answer."""
    order: list[str] = []
    may_show = asyncio.Event()

    async def slow(address, update):
        if update.stage is Stage.QUEUED:
            await may_show.wait()
            order.append(f"queued {address.message}")

    deliver = adapter.deliver

    async def noted(address, *args):
        order.append(f"answer {address.message}")
        await deliver(address, *args)

    adapter.progress, adapter.deliver = slow, noted
    engine.may_answer.clear()
    for n in range(4):
        await dispatcher.accept(question(str(n), conversation=str(n)))
        await asyncio.sleep(0.02)
    engine.may_answer.set()
    await asyncio.sleep(0.05)
    may_show.set()
    await dispatcher.idle()
    assert order[3:] == ["queued 3", "answer 3"]


# --- kept answers, limits, platforms in trouble -----------------------------------------------------------------------


async def test_a_delivered_answer_is_kept_for_its_buttons(dispatcher):
    """Found by its reference; and people can say what they think of it."""
    await dispatcher.accept(question("one"))
    await dispatcher.idle()
    stored = await dispatcher.stored("test", "ref")
    assert (stored.question.text, stored.answer.text) == ("one", "re: one")
    assert await dispatcher.feedback("test", "ref", "someone", helpful=False, reason="too short")
    assert not await dispatcher.feedback("test", "unknown", "someone", helpful=True)


async def test_nothing_is_kept_if_the_operator_wants_so(engine, adapter, journal):
    """The texts are erased with the delivery."""
    dispatcher = Dispatcher(engine, journal, QueueSettings(), keep=())
    dispatcher.register([adapter])
    await dispatcher.accept(question("one"))
    await dispatcher.idle()
    assert await dispatcher.stored("test", "ref") is None


async def test_who_asks_too_often_is_refused_and_others_are_not(engine, adapter, journal):
    """Told when to come again; a repeated event doesn't count, and is not refused."""
    limits = LimitsSettings(author_questions=2, chat_questions=4, window_seconds=60)
    dispatcher = Dispatcher(engine, journal, QueueSettings(), limits=limits)
    dispatcher.register([adapter])
    await dispatcher.accept(question("1"))
    assert not await dispatcher.accept(question("1"))
    await dispatcher.accept(question("2"))
    with pytest.raises(RateLimited) as limited:
        await dispatcher.accept(question("3"))
    assert 50 < limited.value.seconds <= 60
    assert not await dispatcher.accept(question("2"))
    await dispatcher.accept(replace(question("4"), author="other"))
    await dispatcher.accept(replace(question("5"), author="third"))
    with pytest.raises(RateLimited):
        await dispatcher.accept(replace(question("6"), author="fourth"))
    await dispatcher.idle()
    assert sorted(adapter.texts) == ["re: 1", "re: 2", "re: 4", "re: 5"]
    assert dispatcher.counts["refused_limited"] == 2


async def test_an_answer_that_can_never_be_delivered_is_given_up(dispatcher, adapter, journal):
    """Its texts are erased: there is nobody to keep them for."""

    async def gone(*_):
        raise Undeliverable("the channel is gone")

    adapter.deliver = gone
    await dispatcher.accept(question("one"))
    await dispatcher.idle()
    assert await journal.pending() == []
    assert await dispatcher.stored("test", "ref") is None
    assert dispatcher.counts["undelivered"] == 1


async def test_a_platform_in_trouble_holds_up_no_other_conversation(dispatcher, adapter, monkeypatch):
    """Also if more answers wait to be delivered than questions are answered side by side."""
    monkeypatch.setattr(delivery, "_PAUSES", (60.0,))
    deliver = adapter.deliver

    async def bad_chats_fail(address, answer, delivery):
        if "bad" in answer.text:
            raise ConnectionError
        await deliver(address, answer, delivery)
        arrived.set()

    arrived = asyncio.Event()
    adapter.deliver = bad_chats_fail
    for n in range(5):
        await dispatcher.accept(question(f"bad {n}", conversation=str(n)))
    await dispatcher.accept(question("good", conversation="good"))
    async with asyncio.timeout(5):
        await arrived.wait()
    assert adapter.texts == ["re: good"]
    for n in range(5):
        await dispatcher.withdraw(question(f"bad {n}").address)


async def test_parts_in_doubt_are_counted(dispatcher, adapter):
    """They are what may arrive twice."""
    adapter.fail_after = 2
    await dispatcher.accept(question("one"))
    await dispatcher.idle()
    assert dispatcher.counts["repeated"] == 2


# --- fairness, deadlines, lateness ------------------------------------------------------------------------------------


def asked_by(author: str, text: str, chat: str = "chat") -> Question:
    return Question(text, text, author, Address("test", chat, text), datetime.now(UTC))


@pytest.mark.parametrize("chat_of", ["one chat".format, "chat {}".format], ids=["in one chat", "in many chats"])
async def test_one_hostile_person_starves_nobody(engine, adapter, journal, chat_of):
    """Neither of turns nor of room: with everything asked at once, the others are accepted and answered first."""
    limits = LimitsSettings(author_questions=0, chat_questions=0)
    dispatcher = Dispatcher(engine, journal, QueueSettings(capacity=40, parallel=2), limits=limits)
    dispatcher.register([adapter])
    engine.may_answer.clear()
    refused = 0
    for n in range(100):
        try:
            await dispatcher.accept(asked_by("hostile", f"hostile {n}", chat_of(n)))
        except EngineBusy:
            refused += 1
    assert refused == 80
    for name in ("ann", "bob", "cem"):
        await dispatcher.accept(asked_by(name, name, "quiet"))
    engine.may_answer.set()
    await dispatcher.idle()
    assert {adapter.texts.index(f"re: {name}") for name in ("ann", "bob", "cem")} <= set(range(7))
    assert len(adapter.texts) == 23


async def test_a_hostile_chat_starves_no_other(engine, adapter, journal):
    """A hundred people of one chat, each with one question."""
    limits = LimitsSettings(author_questions=0, chat_questions=0)
    dispatcher = Dispatcher(engine, journal, QueueSettings(capacity=40, parallel=2), limits=limits)
    dispatcher.register([adapter])
    engine.may_answer.clear()
    for n in range(100):
        with suppress(EngineBusy):
            await dispatcher.accept(asked_by(f"puppet {n}", f"hostile {n}", "hostile chat"))
    await dispatcher.accept(asked_by("ann", "ann", "quiet"))
    engine.may_answer.set()
    await dispatcher.idle()
    assert adapter.texts.index("re: ann") <= 6


async def test_what_could_not_be_answered_in_time_is_refused_at_once(engine, adapter, journal):
    """By how quickly turns follow each other at present; whoever is refused can ask elsewhere."""
    dispatcher = Dispatcher(engine, journal, QueueSettings(capacity=100, parallel=1, deadline_seconds=0.5))
    dispatcher.register([adapter])

    async def slow(question, progress):
        await asyncio.sleep(0.1)
        return Answer(Outcome.ANSWERED, question.text, "ref")

    engine.answer = slow
    accepted = 0
    with suppress(EngineBusy):
        for n in range(100):
            await dispatcher.accept(question(str(n), conversation=str(n)))
            accepted += 1
            await asyncio.sleep(0.02)
    assert 5 <= accepted <= 20
    await dispatcher.idle()
    assert len(adapter.texts) == accepted


async def test_waiting_counts_towards_the_deadline(engine, adapter, journal):
    """Also in line nobody waits longer than was said."""
    dispatcher = Dispatcher(engine, journal, QueueSettings(parallel=1, deadline_seconds=0.2))
    dispatcher.register([adapter])
    engine.may_answer.clear()
    await dispatcher.accept(question("first", conversation="a"))
    await dispatcher.accept(question("second", conversation="b"))
    async with asyncio.timeout(2):
        await dispatcher.idle()
    assert all("longer than 0.2 seconds" in text for text in adapter.texts)
    assert len(adapter.texts) == 2


async def test_the_engine_is_told_until_when_an_answer_is_worth_having(engine, adapter, journal):
    """Counted from the acceptance, so that it can leave out what takes too long."""
    dispatcher = Dispatcher(engine, journal, QueueSettings(parallel=1, deadline_seconds=30))
    dispatcher.register([adapter])
    left: list[float] = []

    async def look(question, progress):
        left.append(question.seconds_left)
        await asyncio.sleep(0.2)
        return Answer(Outcome.ANSWERED, question.text, "ref")

    engine.answer = look
    await dispatcher.accept(question("first", conversation="a"))
    await dispatcher.accept(question("second", conversation="b"))
    await dispatcher.idle()
    assert 29 < left[0] <= 30
    assert left[1] <= left[0] - 0.19


async def test_an_answer_that_comes_late_says_so_and_an_expired_question_is_closed(engine, adapter, journal):
    """After a stop of minutes, and of days; the clock of the question is that of the wall, which may also step back."""
    settings = QueueSettings(late_seconds=60, expire_seconds=3600)
    for name, minutes in (("soon", 0), ("late", 10), ("too late", 120), ("from the future", -600)):
        asked = replace(question(name, conversation=name), received_at=datetime.now(UTC) - timedelta(minutes=minutes))
        await journal.accept(asked)
    late: dict[str, bool] = {}
    deliver = adapter.deliver

    async def look(address, answer, delivery):
        late[address.message] = answer.late
        await deliver(address, answer, delivery)

    adapter.deliver = look
    dispatcher = Dispatcher(engine, journal, settings)
    dispatcher.register([adapter])
    await dispatcher.resume()
    await dispatcher.idle()
    assert (late["soon"], late["late"], late["from the future"]) == (False, True, False)
    assert "too late" not in engine.asked
    [closed] = [text for message, text, _ in adapter.sent if message == "too late"]
    assert closed.startswith("You asked this long ago")
    assert (dispatcher.counts["late"], dispatcher.counts["expired"]) == (1, 1)


async def test_questions_wait_until_the_engine_is_ready_and_no_deadline_begins_before(engine, adapter, journal):
    """While models are loaded and the first index is made."""
    ready = asyncio.Event()
    dispatcher = Dispatcher(engine, journal, QueueSettings(deadline_seconds=0.2), ready=ready)
    dispatcher.register([adapter])
    await dispatcher.accept(question("early"))
    await asyncio.sleep(0.4)
    assert (engine.asked, adapter.updates) == ([], [Stage.STARTING])
    ready.set()
    await dispatcher.idle()
    assert adapter.texts == ["re: early"]


async def test_what_could_not_be_noted_is_taken_up_again_without_a_restart(dispatcher, adapter, journal, monkeypatch):
    """A disk that was full for a while; the others are served meanwhile."""
    monkeypatch.setattr(queue, "_PUT_OFF", 0.05)
    answered = journal.answered
    full = True

    async def full_for_a_while(entry, revision, answer):
        if full and answer.text == "re: one":
            raise StorageError("disk full")
        await answered(entry, revision, answer)

    monkeypatch.setattr(journal, "answered", full_for_a_while)
    await dispatcher.accept(question("one"))
    await dispatcher.accept(question("two"))
    await asyncio.sleep(0.2)
    assert adapter.texts == ["re: two"]
    full = False
    await until(lambda: len(adapter.texts) == 2)
    assert adapter.texts == ["re: two", "re: one"]
    assert dispatcher.counts["put_off"] >= 1


async def test_answers_that_can_t_be_delivered_take_no_room_from_questions(engine, adapter, journal, monkeypatch):
    """A platform in trouble for hours doesn't fill the queue of the others."""
    monkeypatch.setattr(delivery, "_PAUSES", (60.0,))
    dispatcher = Dispatcher(engine, journal, QueueSettings(capacity=3, parallel=3))
    dispatcher.register([adapter])
    adapter.fail_before = 10
    for n in range(10):
        await dispatcher.accept(question(str(n), conversation=str(n)))
        await until(lambda: not dispatcher.waiting)
    assert (dispatcher.waiting, dispatcher.unfinished) == (0, 10)
    await dispatcher.close(0.01)
