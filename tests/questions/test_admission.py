"""Admission: durable before acknowledged, refusals, and questions that are edited, deleted or stopped."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest
from questions_parts import asked_by, question, until

from bot.core.errors import EngineBusy, RateLimited
from bot.core.messages import Answer, Outcome
from bot.core.settings import LimitsSettings, QueueSettings
from bot.questions import delivery
from bot.questions.dispatcher import Dispatcher


async def test_a_question_is_in_the_journal_before_it_is_acknowledged(dispatcher, engine, journal):
    """An acknowledged question is answered, also after a crash."""
    engine.may_answer.clear()
    await dispatcher.admission.accept(question("one"))
    [pending] = await journal.questions.pending()
    assert (pending.question.text, pending.answer) == ("one", None)


async def test_the_same_message_is_answered_once(dispatcher, adapter):
    """Platforms deliver events twice; also long after the answer."""
    assert await dispatcher.admission.accept(question("one"))
    assert not await dispatcher.admission.accept(question("one"))
    await dispatcher.queue.idle()
    assert not await dispatcher.admission.accept(question("one"))
    await dispatcher.queue.idle()
    assert adapter.texts == ["re: one"]


async def test_a_full_queue_refuses_at_once(dispatcher, engine, journal):
    """The refused question is not in the journal: the user was told to ask again."""
    engine.may_answer.clear()
    for n in range(8):
        await dispatcher.admission.accept(question(str(n), conversation=str(n)))
    with pytest.raises(EngineBusy) as busy:
        await dispatcher.admission.accept(question("one too many"))
    assert busy.value.waiting == 8
    assert len(await journal.questions.pending()) == 8


async def test_who_asks_too_often_is_refused_and_others_are_not(engine, adapter, journal):
    """Told when to come again; a repeated event doesn't count, and is not refused."""
    limits = LimitsSettings(author_questions=2, chat_questions=4)
    dispatcher = Dispatcher(engine, journal, QueueSettings(), limits=limits)
    dispatcher.register([adapter])
    await dispatcher.admission.accept(question("1"))
    assert not await dispatcher.admission.accept(question("1"))
    await dispatcher.admission.accept(question("2"))
    with pytest.raises(RateLimited) as limited:
        await dispatcher.admission.accept(question("3"))
    assert 50 < limited.value.seconds <= 60
    assert not await dispatcher.admission.accept(question("2"))
    await dispatcher.admission.accept(replace(question("4"), author="other"))
    await dispatcher.admission.accept(replace(question("5"), author="third"))
    with pytest.raises(RateLimited):
        await dispatcher.admission.accept(replace(question("6"), author="fourth"))
    await dispatcher.queue.idle()
    assert sorted(adapter.texts) == ["re: 1", "re: 2", "re: 4", "re: 5"]
    assert dispatcher.counts["refused_limited"] == 2


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
            await dispatcher.admission.accept(asked_by("hostile", f"hostile {n}", chat_of(n)))
        except EngineBusy:
            refused += 1
    assert refused == 80
    for name in ("ann", "bob", "cem"):
        await dispatcher.admission.accept(asked_by(name, name, "quiet"))
    engine.may_answer.set()
    await dispatcher.queue.idle()
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
            await dispatcher.admission.accept(asked_by(f"puppet {n}", f"hostile {n}", "hostile chat"))
    await dispatcher.admission.accept(asked_by("ann", "ann", "quiet"))
    engine.may_answer.set()
    await dispatcher.queue.idle()
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
            await dispatcher.admission.accept(question(str(n), conversation=str(n)))
            accepted += 1
            await asyncio.sleep(0.02)
    assert 5 <= accepted <= 20
    await dispatcher.queue.idle()
    assert len(adapter.texts) == accepted


async def test_answers_that_can_t_be_delivered_take_no_capacity_from_questions(engine, adapter, journal, monkeypatch):
    """A platform in trouble for hours doesn't fill the queue of the others."""
    monkeypatch.setattr(delivery, "_PAUSES", (60.0,))
    dispatcher = Dispatcher(engine, journal, QueueSettings(capacity=3, parallel=3))
    dispatcher.register([adapter])
    adapter.fail_before = 10
    for n in range(10):
        await dispatcher.admission.accept(question(str(n), conversation=str(n)))
        await until(lambda: not dispatcher.admission.waiting)
    assert (dispatcher.admission.waiting, dispatcher.admission.unfinished) == (0, 10)
    await dispatcher.close(0.01)


# --- edited, deleted, stopped -----------------------------------------------------------------------------------------


async def test_an_edited_question_is_answered_again_in_place(dispatcher, adapter, journal):
    """Each part is told which message it replaces, and those that are too many are named."""
    left_over: list[str] = []
    deliver = adapter.deliver

    async def and_name_the_rest(address, answer, delivery):
        await deliver(address, answer, delivery)
        left_over.extend(await delivery.left_over(len(answer.text.split("|"))))

    adapter.deliver = and_name_the_rest
    await dispatcher.admission.accept(question("a|b|c", message="1"))
    await dispatcher.queue.idle()
    assert adapter.replaced == [None, None, None]
    assert await dispatcher.admission.revise(question("x|y", message="1"))
    await dispatcher.queue.idle()
    assert adapter.texts[3:] == ["re: x", "y"]
    assert adapter.replaced[3:] == ["id-0", "id-1"]
    assert left_over == ["id-2"]
    assert await journal.questions.pending() == []
    assert (dispatcher.counts["revised"], dispatcher.counts["repeated"]) == (1, 0)


async def test_an_edit_that_changes_no_text_or_an_unknown_question_does_nothing(dispatcher, adapter):
    """The adapter is told so."""
    await dispatcher.admission.accept(question("one"))
    await dispatcher.queue.idle()
    assert not await dispatcher.admission.revise(question("one"))
    assert not await dispatcher.admission.revise(question("never asked"))
    assert adapter.texts == ["re: one"]


async def test_a_question_that_is_edited_while_it_is_answered_gets_the_new_answer_only(dispatcher, engine, adapter):
    """The work on the old text is given up."""
    engine.may_answer.clear()
    await dispatcher.admission.accept(question("old", message="1"))
    await asyncio.sleep(0.05)
    assert await dispatcher.admission.revise(question("new", message="1"))
    engine.may_answer.set()
    await dispatcher.queue.idle()
    assert adapter.texts == ["re: new"]


async def test_a_deleted_question_gets_no_answer_and_leaves_no_text(dispatcher, engine, adapter, journal):
    """Whether it waits or is being answered."""
    engine.may_answer.clear()
    await dispatcher.admission.accept(question("running", conversation="c"))
    await dispatcher.admission.accept(question("waiting", conversation="c"))
    await asyncio.sleep(0.05)
    assert await dispatcher.admission.withdraw(question("waiting").address) == []
    assert await dispatcher.admission.withdraw(question("running").address) == []
    engine.may_answer.set()
    await dispatcher.queue.idle()
    assert adapter.texts == []
    assert engine.asked == ["running"]
    assert await journal.questions.pending() == []


async def test_a_question_does_not_overtake_another_when_the_one_between_is_deleted(dispatcher, engine, adapter):
    """The order of a conversation holds for those that are left."""
    engine.may_answer.clear()
    for text in ("first", "deleted", "last"):
        await dispatcher.admission.accept(question(text))
    await asyncio.sleep(0.05)
    await dispatcher.admission.withdraw(question("deleted").address)
    await asyncio.sleep(0.05)
    assert engine.asked == ["first"]
    engine.may_answer.set()
    await dispatcher.queue.idle()
    assert adapter.texts == ["re: first", "re: last"]


async def test_a_question_can_be_stopped_or_deleted_in_the_moment_of_its_acceptance(dispatcher, engine, adapter):
    """Before anything was done for it."""
    engine.may_answer.clear()
    await dispatcher.admission.accept(question("stopped", conversation="a"))
    assert await dispatcher.admission.stop(question("stopped").address)
    await dispatcher.admission.accept(question("deleted", conversation="b"))
    assert await dispatcher.admission.withdraw(question("deleted").address) == []
    await dispatcher.queue.idle()
    assert adapter.texts == ["Stopped."]
    assert dispatcher.admission.unfinished == dispatcher.admission.waiting == 0


async def test_a_stopped_question_says_so_in_its_place_and_without_a_slot(dispatcher, engine, adapter):
    """One that waits behind another of its conversation is not asked, and not answered before that one."""
    engine.may_answer.clear()
    await dispatcher.admission.accept(question("first"))
    await dispatcher.admission.accept(question("second"))
    await asyncio.sleep(0.05)
    assert await dispatcher.admission.stop(question("second").address)
    await asyncio.sleep(0.05)
    assert adapter.texts == []
    engine.may_answer.set()
    await dispatcher.queue.idle()
    assert adapter.texts == ["re: first", "Stopped."]
    assert engine.asked == ["first"]


async def test_deleting_an_answered_question_names_the_messages_to_delete(dispatcher):
    """In their order; a question that was never asked has none."""
    await dispatcher.admission.accept(question("a|b"))
    await dispatcher.queue.idle()
    assert await dispatcher.admission.withdraw(question("a|b").address) == ["id-0", "id-1"]
    assert await dispatcher.admission.withdraw(question("unknown").address) == []


@pytest.mark.parametrize("edited", [False, True])
async def test_a_question_that_is_deleted_while_its_answer_goes_out_takes_all_parts_back(dispatcher, adapter, edited):
    """The part on its way arrives first and is named too; nothing is sent after that. Also if it was edited meanwhile."""
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
    await dispatcher.admission.accept(question("one"))
    await on_its_way.wait()
    if edited:
        assert await dispatcher.admission.revise(replace(question("one"), text="one, in other words"))
    withdrawal = asyncio.create_task(dispatcher.admission.withdraw(question("one").address))
    await asyncio.sleep(0.05)
    may_arrive.set()
    assert await withdrawal == ["id-0"]
    assert adapter.texts == ["0"]


async def test_deleting_a_question_ends_the_tries_to_deliver_it(dispatcher, adapter, monkeypatch):
    """Nobody waits for the next try, which may be minutes away."""
    monkeypatch.setattr(delivery, "_PAUSES", (60.0,))
    adapter.fail_before = 99
    await dispatcher.admission.accept(question("one"))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(5):
        assert await dispatcher.admission.withdraw(question("one").address) == []
        await dispatcher.queue.idle()


async def test_a_stopped_question_says_so(dispatcher, engine, adapter):
    """Once: an answered question can't be stopped any more."""
    engine.may_answer.clear()
    await dispatcher.admission.accept(question("running"))
    await dispatcher.admission.accept(question("waiting"))
    await asyncio.sleep(0.05)
    assert await dispatcher.admission.stop(question("waiting").address)
    assert await dispatcher.admission.stop(question("running").address)
    assert not await dispatcher.admission.stop(question("running").address)
    await dispatcher.queue.idle()
    assert adapter.texts == ["Stopped.", "Stopped."]
    assert engine.asked == ["running"]
    assert not await dispatcher.admission.stop(question("running").address)


async def test_an_author_who_is_forgotten_gets_no_answer_and_others_do(dispatcher, engine, adapter, journal):
    """The work on the author's question is given up."""
    engine.may_answer.clear()
    await dispatcher.admission.accept(question("one"))
    await dispatcher.admission.accept(replace(question("two", conversation="other"), author="other"))
    await asyncio.sleep(0.05)
    assert (await dispatcher.admission.forget("test", "someone")).questions == 1
    engine.may_answer.set()
    await dispatcher.queue.idle()
    assert adapter.texts == ["re: two"]
