"""Telegram's flood limits, and the waits that the service asks for."""

import asyncio
import time

import pytest
from telegram_application import until

from bot.adapters.rates import Rate
from bot.adapters.telegram import flood, progress
from bot.adapters.telegram.flood import FloodControl
from tests.platforms.telegram_server import Limits


@pytest.fixture
async def application(application_of):
    """An application that doesn't take updates in yet."""
    async with application_of() as application:
        yield application


async def test_the_wait_that_the_service_asks_for_is_kept_per_chat(server, application, ann):
    """The other chats go on meanwhile."""
    bob = server.person("Bob")
    server.break_next("sendMessage", "429:2", 1, lambda call: call["chat_id"] == ann["id"])
    await application.start()
    for person in (ann, bob):
        server.says(server.private(person), person, "one")
    started = time.monotonic()
    await application.answered(server.private(bob))
    await application.answered(server.private(ann))
    assert time.monotonic() - started > 1.9
    assert [call["chat_id"] for call in server.called("sendMessage")][-2:] == [bob["id"], ann["id"]]
    assert application.adapter._flood.counts["refused"] == 1
    assert "1 refused by the service" in application.adapter.describe()


async def test_thirty_groups_at_once_stay_below_the_limits_of_the_service(server, application_of):
    """Every answer arrives, and no wait that the service asked for is ignored."""
    server.limits = Limits()
    application = application_of().with_settings(queue={"parallel": 64})
    async with application:
        await application.start()
        groups = [server.group() for _ in range(30)]
        people = [server.person(f"P{n}") for n in range(30)]
        for n, group in enumerate(groups):
            for asking in range(2):
                server.says(group, people[n], f"/ask {asking}")
        await until(lambda: all(len(group.texts) == 2 for group in groups), 20)
        assert all("sent again" not in text for group in groups for text in group.texts)
        assert server.ignored_waits == 0


async def test_typing_signs_never_crowd_out_answers(server, application_of, monkeypatch):
    """Many questions wait at once; a chat that was told to wait gets no sign."""
    monkeypatch.setattr(progress, "_TYPING_AFTER", 0.05)
    monkeypatch.setattr(progress, "_TYPING_LASTS", 0.2)
    monkeypatch.setattr(flood, "TYPING_RATE", Rate(10, 600.0))
    told_to_wait, *others = people = [server.person(f"P{n}") for n in range(40)]
    async with application_of() as application:
        await application.start()
        application.adapter._flood.refused(told_to_wait["id"], 600.0)
        application.engine.may_answer.clear()
        for person in people:
            server.says(server.private(person), person, "slow")
        await until(lambda: len(server.called("sendChatAction")) == 10)
        await until(lambda: application.dispatcher.admission.unfinished == len(people))
        await asyncio.sleep(0.5)
        assert len(shown := server.called("sendChatAction")) == 10
        assert told_to_wait["id"] not in [call["chat_id"] for call in shown]
        application.engine.may_answer.set()
        await until(lambda: all(server.private(person).texts for person in others), 20)


async def test_flood_control_keeps_the_order_and_forgets_quiet_chats(monkeypatch):
    """Messages go out in the order of asking, and optional ones don't queue."""
    monkeypatch.setattr(flood, "CHAT_RATE", Rate(2, 0.2))
    monkeypatch.setattr(flood, "_QUIET", 0.1)
    control = FloodControl()
    order: list[int] = []

    async def send(number: int) -> None:
        await control.acquire(1)
        order.append(number)

    started = time.monotonic()
    await asyncio.gather(*(send(n) for n in range(6)))
    assert order == list(range(6))
    assert time.monotonic() - started > 0.35
    assert not control.try_acquire(1)
    assert control.counts["waited"] == 4
    await asyncio.sleep(0.35)
    await control.acquire(2)
    assert list(control._chats) == [2]


async def test_the_people_in_a_chat_take_turns(monkeypatch):
    """Who waits for one message doesn't wait for all that are for somebody else; those for one person keep their order."""
    monkeypatch.setattr(flood, "CHAT_RATE", Rate(1, 0.02))
    control = FloodControl()
    order: list[str] = []

    async def send(person: str, number: int) -> None:
        await control.acquire(1, person)
        order.append(f"{person}{number}")

    await asyncio.gather(*(send("a", n) for n in range(20)), *(send("b", n) for n in range(2)))
    assert order.index("b0") <= 3
    assert order.index("b1") <= 6
    assert [sent for sent in order if sent[0] == "a"] == [f"a{n}" for n in range(20)]


@pytest.mark.parametrize("spam", ["@keeper_bot", "/ask q{n}", "/help@keeper_bot", "/stop", "/forget me"])
async def test_one_person_holds_up_nobody_else_in_a_group(server, application, ann, bob, spam):
    """Of what isn't answered, few replies are sent; the answer to another person doesn't wait for the others."""

    def others():
        return [text for text in group.texts if not text.startswith("re: ")]

    await application.start()
    group = server.group()
    for n in range(60):
        server.says(group, ann, spam.format(n=n))
    asked = server.says(group, bob, "/ask how hot?")
    await until(lambda: any("how hot" in text for text in group.texts), 60)  # sixty replies would take three minutes
    await until(lambda: others() and "left out" in application.adapter.describe(), 60)
    assert len(others()) <= 3
    assert asked["message_id"] in [sent["reply_to_message"]["message_id"] for sent in group.from_bot]


async def test_many_people_who_call_for_hints_leave_room_for_answers(server, application, bob):
    """Each person calls once, so that only the limit of the group counts."""
    await application.start()
    group = server.group()
    for n in range(30):
        server.says(group, server.person(f"Person {n}"), "@keeper_bot")
    server.says(group, bob, "/ask how hot?")
    await until(lambda: any("how hot" in text for text in group.texts), 25)
    assert "21 hints and refusals left out" in application.adapter.describe()


async def test_a_private_chat_has_its_replies_beside_a_group_that_has_to_wait(server, application, ann):
    """Updates are confirmed without waiting for replies that can't be sent now."""
    await application.start()
    group, chat = server.group(), server.private(ann)
    server.break_next("sendMessage", "429:30", 1, lambda call: call["chat_id"] == group.id)
    server.says(group, ann, "/help@keeper_bot")
    await until(lambda: application.adapter._flood.counts["refused"] == 1)
    started = time.monotonic()
    for n in range(3):
        for _ in range(2):
            server.says(group, server.person(f"Person {n}"), "/help@keeper_bot")
            await until(lambda: not server.pending)
        server.says(chat, ann, f"{n}?")
        await application.answered(chat, n + 1)
    assert time.monotonic() - started < 25
    for task in application.adapter._background._tasks:
        task.cancel()


async def test_an_operator_gets_every_reply_in_private(server, application_of, ann, monkeypatch):
    """Twenty documents sent at once have twenty results."""
    monkeypatch.setattr(flood, "CHAT_RATE", Rate(100, 1.0))
    async with application_of(operators=[ann["id"]]) as application:
        await application.start()
        for _ in range(20):
            server.says(server.private(ann), ann, "/help")
        await application.answered(server.private(ann), 20)
