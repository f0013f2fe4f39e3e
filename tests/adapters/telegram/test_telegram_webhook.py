"""Telegram's webhook over a real HTTP server."""

import asyncio
import io
import math

import aiohttp
import pytest
from telegram_application import TelegramApplication, until

from bot.core.errors import SettingsError, StorageError
from bot.http.server import HttpServer
from bot.observability.health import Health


@pytest.fixture
async def application(application_of):
    """An application that doesn't take updates in yet."""
    async with application_of() as application:
        yield application


def http_server(settings, routers):
    return HttpServer(settings, Health(), webhooks=routers)


@pytest.fixture
async def hooked(server, tmp_path, unused_tcp_port_factory):
    """An application with a webhook, and the HTTP server that hosts it."""
    port = unused_tcp_port_factory()
    url = f"http://127.0.0.1:{port}/telegram/updates"
    application = TelegramApplication(server, tmp_path, webhook_url=url)
    async with application:
        http = http_server(
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
    """Each update comes twice, in any order."""
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
    """A wrong secret, no secret, a body that is too long, and bodies that hold no update."""
    message = {"update_id": 1, "message": {"message_id": 1, "date": 1, "chat": {"id": 1, "type": "private"}}}
    header = "X-Telegram-Bot-Api-Secret-Token"
    right = server.webhook["secret_token"]
    async with aiohttp.ClientSession() as session:

        async def posted(secret: str | None, **body: object) -> int:
            headers = {} if secret is None else {header: secret}
            async with session.post(hooked.url, headers=headers, **body) as response:
                return response.status

        assert await posted("wrong", json=message) == 403
        assert await posted(None, json=message) == 403
        assert await posted(right, data=io.BytesIO(b"x" * (2**20 + 1))) == 413
        assert await posted(right, data=b"no JSON") == 200
        assert await posted(right, json=["no", "update"]) == 200
        async with session.get(hooked.url) as response:
            assert response.status == 405
        async with session.get(hooked.url + "/../docs") as response:
            assert response.status == 404
    assert hooked.adapter.webhook.counts["forbidden"] == 2
    assert "2 requests with a wrong secret" in hooked.adapter.describe()


async def test_the_webhook_acknowledges_only_what_is_kept(server, hooked, ann, monkeypatch):
    """Telegram repeats the update otherwise."""
    accept = hooked.journal.questions.accept
    failures = 2

    async def fails_twice(question):
        nonlocal failures
        if failures:
            failures -= 1
            raise StorageError("the disk is full")
        return await accept(question)

    monkeypatch.setattr(hooked.journal.questions, "accept", fails_twice)
    server.says(server.private(ann), ann, "one")
    await hooked.answered(server.private(ann))
    assert server.webhook_statuses[:3] == [503, 503, 200]


async def test_the_webhook_registers_and_removes_itself(server, hooked):
    """With a secret, and without dropping what waits."""
    assert server.webhook["url"] == hooked.url
    assert len(server.webhook["secret_token"]) > 40
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


async def test_a_port_that_is_taken_is_told_with_the_setting(application, unused_tcp_port_factory):
    """No other port is tried."""
    port = unused_tcp_port_factory()
    settings = application.settings.http.model_copy(update={"port": port})
    first = http_server(settings, [])
    serving = asyncio.create_task(first.run())
    await first.listening.wait()
    with pytest.raises(SettingsError, match=r"http\.port"):
        await http_server(settings, []).run()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    await first.close()
    assert math.isfinite(first.port)
