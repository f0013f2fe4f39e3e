"""How Telegram fails, and what comes through all the same: polls that hang, floods, lost acknowledgements, webhooks."""

import asyncio
import io
import math
import time

import aiohttp
import pytest
from structlog.testing import capture_logs
from telegram_application import TelegramApplication, until

from bot.adapters.telegram import adapter as adapter_module
from bot.adapters.telegram import flood, outgoing, polling
from bot.adapters.telegram.flood import FloodControl, Rate
from bot.adapters.telegram.polling import PollingStalled
from bot.core.errors import SettingsError, StorageError
from bot.http.server import HttpServer
from bot.observability.health import Health
from bot.questions import delivery
from tests.platforms.telegram_server import TOKEN, Limits


@pytest.fixture
async def application(application_of):
    async with application_of() as application:
        yield application


# --- polling ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def quick_watchdog(monkeypatch):
    monkeypatch.setattr(polling, "GRACE", 0.3)


async def test_a_poll_that_hangs_is_noticed_and_healed(server, application_of, ann, quick_watchdog):
    """With a new connection pool; nothing is lost."""
    async with application_of(poll_seconds=1) as application:
        server.break_next("getUpdates", "hang")
        await application.start()
        server.says(server.private(ann), ann, "one")
        await application.answered(server.private(ann), seconds=5)
        assert "1 pools built anew" in application.adapter.describe()


async def test_a_pool_that_can_not_be_healed_restarts_the_adapter_alone(server, application_of, ann, quick_watchdog):
    """The daemon starts it again when `run` raises; questions on their way are answered meanwhile."""
    async with application_of(poll_seconds=1) as application:
        server.break_next("getUpdates", "hang", 2)
        with pytest.raises(PollingStalled):
            await asyncio.wait_for(application.adapter.run(), 10)
        await application.start()
        server.says(server.private(ann), ann, "one")
        await application.answered(server.private(ann))


@pytest.mark.parametrize("kind", ["502", "reset", "garbage", "429:1", "lost"])
async def test_a_poll_that_fails_is_tried_again(server, application, ann, kind):
    """And what it would have brought is not lost."""
    server.break_next("getUpdates", kind)
    server.says(server.private(ann), ann, "one")
    await application.start()
    await application.answered(server.private(ann))
    await application.quiet()
    assert len(application.engine.asked) == 1


async def test_another_poller_is_told_clearly_and_outlived(server, application, ann, monkeypatch):
    """The two would take each other's messages away."""
    monkeypatch.setattr(polling, "_CONFLICT_PAUSE", 0.1)
    conflict = "409:Conflict: terminated by other getUpdates request"
    server.break_next("getUpdates", conflict, 3)
    with capture_logs() as lines:
        await application.start()
        await until(lambda: "another program polls" in application.adapter.describe())
        server.says(server.private(ann), ann, "one")
        await application.answered(server.private(ann))
    told = [line["event"] for line in lines if "another program polls" in line["event"]]
    assert len(told) == 1
    assert "another program" not in application.adapter.describe()


async def test_an_update_that_the_library_can_not_read_holds_up_no_other(server, application, ann):
    """It is left out, and confirmed with the others."""
    server.says(server.private(ann), ann, "one")
    server.update("message", {"message_id": "what?", "date": "never"})
    server.says(server.private(ann), ann, "two")
    await application.start()
    await application.answered(server.private(ann), 2)
    await application.quiet()


async def test_what_can_not_be_kept_is_not_confirmed(server, application, ann, monkeypatch):
    """The disk is full for a while: Telegram keeps the message meanwhile."""
    monkeypatch.setattr(polling, "_STORAGE_PAUSE", 0.05)
    accept = application.journal.accept
    full = True

    async def maybe_full(question):
        if full:
            raise StorageError("the disk is full")
        return await accept(question)

    monkeypatch.setattr(application.journal, "accept", maybe_full)
    server.says(server.private(ann), ann, "one")
    await application.start()
    await asyncio.sleep(0.3)
    assert len(server.pending) == 1
    full = False
    await application.answered(server.private(ann))
    await application.quiet()


async def test_a_refused_token_stops_the_adapter_with_the_fix_and_without_the_token(application_of):
    """The library's own message holds it."""
    async with application_of(token="1:wrong") as application:
        with pytest.raises(SettingsError, match="@BotFather") as refused:
            await application.adapter.run()
        assert "1:wrong" not in str(refused.value)
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__


async def test_a_service_that_is_not_there_yet_is_waited_for(server, application, ann, monkeypatch):
    """Bot and network may start in any order."""
    monkeypatch.setattr(adapter_module, "_CONNECT_PAUSES", (0.05,))
    server.break_next("getMe", "502", 3)
    await application.start()
    server.says(server.private(ann), ann, "one")
    await application.answered(server.private(ann))


async def test_no_text_and_no_token_is_logged(server, application, ann, caplog, monkeypatch):
    """Whatever fails: the library logs raw updates and addresses."""
    monkeypatch.setattr(adapter_module, "_CONNECT_PAUSES", (0.05,))
    for method in ("getMe", "getUpdates", "sendMessage"):
        server.break_next(method, "garbage")
    server.update("message", {"message_id": "what?", "text": "my secret"})
    with capture_logs() as lines:
        await application.start()
        server.says(server.private(ann), ann, "my secret question")
        await application.answered(server.private(ann))
    logged = caplog.text + repr(lines)
    assert "an update can't be read" in logged
    assert "secret" not in logged
    assert TOKEN not in logged


# --- a backlog --------------------------------------------------------------------------------------------------------


async def test_a_backlog_is_answered_in_order_and_late_questions_with_regret(server, application_of, ann, monkeypatch):
    """However full the queue is: Telegram keeps what there is no room for."""
    monkeypatch.setattr(flood, "CHAT_RATE", Rate(100, 1.0))
    monkeypatch.setattr(adapter_module, "_BACKLOG_PAUSE", 0.02)
    application = application_of().with_settings(queue={"capacity": 3}, limits={"author_questions": 0})
    async with application:
        group = server.group()
        yesterday = time.time() - 80_000
        for n in range(12):
            server.says(group, ann, f"/ask {n}", at=yesterday + n)
        server.says(server.private(ann), ann, "now")
        await application.start()
        await application.answered(group, 12, seconds=20)
        await application.answered(server.private(ann))
        assert [question.text for question in application.engine.asked if question.text != "now"] == [
            str(n) for n in range(12)
        ]
        assert all(text.startswith("This took a while") for text in group.texts)
        assert not server.private(ann).texts[0].startswith("This took a while")


async def test_nobody_is_refused_while_the_bot_gets_ready(server, application_of, monkeypatch):
    """Telegram keeps what there is no room for; a refusal could be lost, and would be for nothing."""
    monkeypatch.setattr(adapter_module, "_BACKLOG_PAUSE", 0.02)
    application = application_of().with_settings(queue={"capacity": 3})
    async with application:
        application.ready.clear()
        people = [server.person(f"Person {n}") for n in range(8)]
        for person in people:
            server.says(server.private(person), person, "one")
        await application.start()
        await asyncio.sleep(0.5)
        assert application.dispatcher.counts["accepted"] == 3
        application.ready.set()
        for person in people:
            [text] = await application.answered(server.private(person))
            assert text.startswith("re: one")


async def test_late_questions_are_closed_visibly_where_the_operator_wants_it(server, application_of, ann):
    """Never silently."""
    async with application_of(stale_questions="close", stale_seconds=60) as application:
        server.says(server.private(ann), ann, "old", at=time.time() - 100)
        server.says(server.private(ann), ann, "new")
        await application.start()
        texts = await application.answered(server.private(ann), 2)
        assert sorted(text[:10] for text in texts) == ["I was away", "re: new\n\n— G"[:10]]


async def test_a_late_repetition_of_an_answered_question_is_no_late_question(server, application_of, ann):
    """The bot was killed before it could confirm, and was away for long."""
    chat = server.private(ann)
    async with application_of() as application:
        await application.start()
        asked = server.says(chat, ann, "one")
        await application.answered(chat)
        await application.quiet()
    async with application_of(stale_questions="close") as application:
        server.update("message", asked | {"date": int(time.time()) - 80_000})
        await application.start()
        await application.quiet()
        assert len(chat.texts) == 1


# --- sending ----------------------------------------------------------------------------------------------------------


async def test_a_lost_acknowledgement_repeats_the_part_and_says_so(server, application, ann):
    """Nobody knows whether it has arrived; here it had."""
    server.break_next("sendMessage", "lost")
    server.says(server.private(ann), ann, "one")
    await application.start()
    first, second = await application.answered(server.private(ann), 2)
    assert first.startswith("re: one")
    assert second.startswith("(sent again")
    assert application.dispatcher.counts["repeated"] == 1


async def test_a_lost_acknowledgement_of_an_edit_repeats_nothing(server, application, ann, monkeypatch):
    """Editing twice is as good as once."""
    chat = server.private(ann)
    asked = server.says(chat, ann, "one")
    await application.start()
    await application.answered(chat)
    await application.quiet()
    server.break_next("editMessageText", "lost")
    server.edits(chat, asked, "two")
    await application.quiet()
    assert [text.split("\n")[0] for text in chat.texts] == ["re: two"]
    assert application.dispatcher.counts["repeated"] == 0


@pytest.mark.parametrize("pause", [0.3, 0.02], ids=["tried again at once", "tried again by the dispatcher"])
async def test_what_was_certainly_not_sent_is_sent_without_a_mark(application, server, ann, monkeypatch, pause):
    """The service can't be reached at all for a while."""
    monkeypatch.setattr(outgoing, "_PAUSES", (pause, pause, pause))
    monkeypatch.setattr(delivery, "_PAUSES", (0.2,) * 20)
    await application.start()
    application.engine.may_answer.clear()
    server.says(server.private(ann), ann, "one")
    await until(lambda: application.engine.asked)
    await server.hang_up()
    application.engine.may_answer.set()
    await asyncio.sleep(0.4)
    await server.pick_up()
    assert (await application.answered(server.private(ann)))[0].startswith("re: one")
    assert application.dispatcher.counts["repeated"] == 0


async def test_the_wait_that_the_service_asks_for_is_kept_per_chat(server, application, ann):
    """The others go on meanwhile."""
    bob = server.person("Bob")
    server.break_next("sendMessage", "429:2", 1, lambda call: call["chat_id"] == ann["id"])
    await application.start()
    for person in (ann, bob):
        server.says(server.private(person), person, "one")
    started = time.monotonic()
    await application.answered(server.private(bob))
    assert time.monotonic() - started < 1.5
    assert server.private(ann).texts == []
    await application.answered(server.private(ann))
    assert time.monotonic() - started > 1.9
    assert application.adapter.flood.counts["refused"] == 1
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


async def test_flood_control_gives_turns_in_order_and_forgets_quiet_chats(monkeypatch):
    """First come, first served; what can wait for ever doesn't queue."""
    monkeypatch.setattr(flood, "CHAT_RATE", Rate(2, 0.2))
    monkeypatch.setattr(flood, "_QUIET", 0.1)
    control = FloodControl()
    order: list[int] = []

    async def turn(number: int) -> None:
        await control.turn(1)
        order.append(number)

    started = time.monotonic()
    await asyncio.gather(*(turn(n) for n in range(6)))
    assert order == list(range(6))
    assert time.monotonic() - started > 0.35
    assert not control.take_turn(1)
    assert control.counts["turns_waited"] == 4
    await asyncio.sleep(0.35)
    await control.turn(2)
    assert list(control._chats) == [2]


# --- the webhook ------------------------------------------------------------------------------------------------------


def http_server(application, settings, routers):
    return HttpServer(settings, Health(), webhooks=routers)


@pytest.fixture
async def hooked(server, tmp_path, unused_tcp_port_factory):
    """An application with a webhook, and the HTTP server that hosts it."""
    port = unused_tcp_port_factory()
    url = f"http://127.0.0.1:{port}/telegram/updates"
    application = TelegramApplication(server, tmp_path, webhook_url=url, webhook_secret="right")
    async with application:
        http = http_server(
            application,
            application.settings.http.model_copy(update={"port": port}),
            [application.adapter.webhook.router],
        )
        serving = asyncio.create_task(http.run())
        await http.listening.wait()
        await application.start()
        await until(lambda: application.adapter.webhook._registered)
        application.url = url
        yield application
        await application.stop()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await http.close()


async def test_the_webhook_takes_each_question_once(server, hooked, ann):
    """Though each update comes twice, and in any order."""
    server.webhook_repeats = 2
    server.webhook_shuffled = True
    people = [server.person(f"P{n}") for n in range(10)]
    for person in people:
        server.says(server.private(person), person, "one")
    await until(lambda: not server.pending)
    await hooked.quiet()
    assert [len(server.private(person).texts) for person in people] == [1] * 10
    assert set(server.webhook_statuses) == {200}


async def test_an_edit_that_comes_before_its_question_wins(server, hooked, ann):
    """The webhook keeps no order."""
    server.webhook_shuffled = True
    chat = server.private(ann)
    asked = server.says(chat, ann, "how hit?")
    server.edits(chat, asked, "how hot?")
    await until(lambda: not server.pending)
    await hooked.quiet()
    assert chat.texts[-1].startswith("re: how hot?")
    assert len(chat.texts) == 1


async def test_a_forged_request_is_refused_and_counted(server, hooked, ann):
    """A wrong secret, none at all, a body without end, and what is no update."""
    message = {"update_id": 1, "message": {"message_id": 1, "date": 1, "chat": {"id": 1, "type": "private"}}}
    header = "X-Telegram-Bot-Api-Secret-Token"
    async with aiohttp.ClientSession() as session:

        async def posted(secret: str | None, **body: object) -> int:
            headers = {} if secret is None else {header: secret}
            async with session.post(hooked.url, headers=headers, **body) as response:
                return response.status

        assert await posted("wrong", json=message) == 403
        assert await posted(None, json=message) == 403
        assert await posted("right", data=io.BytesIO(b"x" * (2**20 + 1))) == 413
        assert await posted("right", data=b"no JSON") == 200
        assert await posted("right", json=["no", "update"]) == 200
        async with session.get(hooked.url) as response:
            assert response.status == 405
        async with session.get(hooked.url + "/../docs") as response:
            assert response.status == 404
    assert (hooked.adapter.webhook.counts["forbidden"], hooked.adapter.webhook.counts["bad"]) == (2, 3)
    assert "2 requests with a wrong secret" in hooked.adapter.describe()


async def test_the_webhook_acknowledges_only_what_is_kept(server, hooked, ann, monkeypatch):
    """Else Telegram is to repeat it."""
    accept = hooked.journal.accept
    failures = 2

    async def fails_twice(question):
        nonlocal failures
        if failures:
            failures -= 1
            raise StorageError("the disk is full")
        return await accept(question)

    monkeypatch.setattr(hooked.journal, "accept", fails_twice)
    server.says(server.private(ann), ann, "one")
    await hooked.answered(server.private(ann))
    assert server.webhook_statuses[:3] == [503, 503, 200]


async def test_the_webhook_registers_and_removes_itself(server, hooked):
    """With a secret, and without dropping what waits."""
    assert server.webhook["url"] == hooked.url
    assert server.webhook["secret_token"] == "right"  # noqa: S105
    await hooked.stop()
    assert server.webhook == {}
    assert not server.called("deleteWebhook")[-1].get("drop_pending_updates")


async def test_an_update_before_the_webhook_is_registered_is_to_be_repeated(server, hooked, ann):
    """An earlier run, which was killed, has left its webhook behind."""
    hooked.adapter.webhook._registered = False
    server.says(server.private(ann), ann, "one")
    await until(lambda: 503 in server.webhook_statuses)
    hooked.adapter.webhook._registered = True
    await hooked.answered(server.private(ann))


async def test_a_webhook_that_can_not_be_removed_stops_no_stop(server, hooked):
    """The service is out of reach when the bot is stopped."""
    server.break_next("deleteWebhook", "502", math.inf)
    hooked.running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(hooked.running, 5)
    server.repair()


async def test_polling_removes_a_webhook_that_was_left_behind(server, application, ann):
    """By a bot that was killed, say."""
    server.webhook = {"url": "http://127.0.0.1:9/"}
    server.says(server.private(ann), ann, "one")
    await application.start()
    await application.answered(server.private(ann))


async def test_a_port_that_is_taken_is_told_with_the_setting(application, unused_tcp_port_factory):
    """And nothing else is tried."""
    port = unused_tcp_port_factory()
    settings = application.settings.http.model_copy(update={"port": port})
    first = http_server(application, settings, [])
    serving = asyncio.create_task(first.run())
    await first.listening.wait()
    with pytest.raises(SettingsError, match=r"http\.port"):
        await http_server(application, settings, []).run()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    await first.close()
    assert math.isfinite(first.port)
