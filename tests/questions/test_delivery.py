"""Delivery: each answer arrives once, part by part, however often it takes."""

import asyncio

from questions_parts import question

from bot.core.errors import Undeliverable
from bot.core.settings import QueueSettings
from bot.questions import delivery
from bot.questions.dispatcher import Dispatcher


async def test_a_failed_delivery_is_tried_again_and_marked_as_repeated(dispatcher, adapter):
    """A try without an acknowledgement may have arrived: the next one is marked."""
    adapter.fail_after = 1
    await dispatcher.admission.accept(question("one"))
    await dispatcher.queue.idle()
    assert adapter.sent == [("one", "re: one", False), ("one", "re: one", True)]


async def test_an_edit_of_a_repeated_answer_keeps_its_mark(dispatcher, adapter):
    """The first try may stand above it, in an earlier form."""
    adapter.fail_after = 1
    await dispatcher.admission.accept(question("one", message="1"))
    await dispatcher.queue.idle()
    await dispatcher.admission.revise(question("two", message="1"))
    await dispatcher.queue.idle()
    assert adapter.sent == [("1", "re: one", False), ("1", "re: one", True), ("1", "re: two", True)]
    assert adapter.replaced == [None, None, "id-0"]


async def test_parts_that_have_arrived_are_not_sent_again(dispatcher, adapter):
    """Only the part in doubt is repeated."""
    await dispatcher.admission.accept(question("a|b|c"))
    adapter.fail_before = 0
    await dispatcher.queue.idle()
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
    await dispatcher.admission.accept(question("x|y"))
    await dispatcher.queue.idle()
    assert adapter.texts == ["first", "y"]


async def test_an_answer_that_can_not_be_delivered_waits_for_the_next_start(engine, adapter, journal):
    """After a restart it is delivered without asking the engine again."""
    first = Dispatcher(engine, journal, QueueSettings())
    first.register([adapter])
    adapter.fail_before = 99
    await first.admission.accept(question("one"))
    await first.queue.idle()
    await first.close(1)
    assert adapter.sent == []

    adapter.fail_before = 0
    second = Dispatcher(engine, journal, QueueSettings())
    second.register([adapter])
    assert await second.resume() == 1
    await second.queue.idle()
    assert adapter.sent == [("one", "re: one", True)]
    assert engine.asked == ["one"]


async def test_an_answer_for_a_platform_that_is_not_running_is_kept(engine, journal, adapter):
    """Switching an adapter off for a day loses no answer."""
    without = Dispatcher(engine, journal, QueueSettings())
    await without.admission.accept(question("one"))
    await without.queue.idle()
    [pending] = await journal.questions.pending()
    assert pending.answer is not None
    later = Dispatcher(engine, journal, QueueSettings())
    later.register([adapter])
    await later.resume()
    await later.queue.idle()
    assert adapter.texts == ["re: one"]


async def test_the_answer_replaces_the_placeholder(dispatcher, engine, adapter, journal):
    """Which the adapter sent while the question was being answered."""
    engine.may_answer.clear()
    await dispatcher.admission.accept(question("one"))
    await journal.parts.placed(question("one").address, "placeholder")
    engine.may_answer.set()
    await dispatcher.queue.idle()
    assert adapter.replaced == ["placeholder"]


async def test_a_delivered_answer_is_kept_for_its_buttons(dispatcher, journal):
    """Found by its reference; and people can say what they think of it."""
    await dispatcher.admission.accept(question("one"))
    await dispatcher.queue.idle()
    stored = await journal.answers.stored("test", "ref")
    assert (stored.question.text, stored.answer.text) == ("one", "re: one")
    assert await journal.answers.add_feedback("test", "ref", "someone", helpful=False, reason="too short")
    assert not await journal.answers.add_feedback("test", "unknown", "someone", helpful=True, reason="")


async def test_nothing_is_kept_if_the_operator_wants_so(engine, adapter, journal):
    """The texts are erased with the delivery."""
    dispatcher = Dispatcher(engine, journal, QueueSettings(), keep=())
    dispatcher.register([adapter])
    await dispatcher.admission.accept(question("one"))
    await dispatcher.queue.idle()
    assert await journal.answers.stored("test", "ref") is None


async def test_an_answer_that_can_never_be_delivered_is_given_up(dispatcher, adapter, journal):
    """Its texts are erased: there is nobody to keep them for."""

    async def gone(*_):
        raise Undeliverable("the channel is gone")

    adapter.deliver = gone
    await dispatcher.admission.accept(question("one"))
    await dispatcher.queue.idle()
    assert await journal.questions.pending() == []
    assert await journal.answers.stored("test", "ref") is None
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
        await dispatcher.admission.accept(question(f"bad {n}", conversation=str(n)))
    await dispatcher.admission.accept(question("good", conversation="good"))
    async with asyncio.timeout(5):
        await arrived.wait()
    assert adapter.texts == ["re: good"]
    for n in range(5):
        await dispatcher.admission.withdraw(question(f"bad {n}").address)


async def test_parts_in_doubt_are_counted(dispatcher, adapter):
    """They are what may arrive twice."""
    adapter.fail_after = 2
    await dispatcher.admission.accept(question("one"))
    await dispatcher.queue.idle()
    assert dispatcher.counts["repeated"] == 2
