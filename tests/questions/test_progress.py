"""Progress: shown in the background, and never after the answer."""

import asyncio

from questions_parts import question

from bot.core.messages import Stage


async def test_what_waits_is_told_so(dispatcher, engine, adapter):
    """A waiting question shows its place in the queue."""
    engine.may_answer.clear()
    for n in range(4):
        await dispatcher.admission.accept(question(str(n), conversation=str(n)))
        await asyncio.sleep(0.02)
    assert adapter.updates.count(Stage.QUEUED) == 1
    assert adapter.places == ["1"]


async def test_broken_progress_hurts_no_answer(dispatcher, adapter):
    """Showing how far it is, is never essential."""

    async def fails(address, update):
        raise ConnectionError

    adapter.progress = fails
    await dispatcher.admission.accept(question("one"))
    await dispatcher.queue.idle()
    assert adapter.texts == ["re: one"]


async def test_no_progress_is_shown_after_the_answer(dispatcher, adapter):
    """An update that is being shown is waited for; later ones are dropped."""
    order: list[str] = []

    async def slow(_address, update):
        await asyncio.sleep(0.05)
        order.append(update.stage)

    deliver = adapter.deliver

    async def noted(*args):
        order.append("answer")
        await deliver(*args)

    adapter.progress, adapter.deliver = slow, noted
    await dispatcher.admission.accept(question("one"))
    await dispatcher.queue.idle()
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
        await dispatcher.admission.accept(question(str(n), conversation=str(n)))
        await asyncio.sleep(0.02)
    engine.may_answer.set()
    await asyncio.sleep(0.05)
    may_show.set()
    await dispatcher.queue.idle()
    assert order[3:] == ["queued 3", "answer 3"]
