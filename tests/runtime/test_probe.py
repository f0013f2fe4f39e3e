"""Asking a running bot how it is: the bot's own server answers, another program, or nobody."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bot.core.settings import HttpSettings
from bot.http.server import HttpServer
from bot.observability.health import Health
from bot.runtime.probe import NotLive, ReadyResponse, ask_ready

TOKEN = "0123456789abcdef-a-token"  # noqa: S105
Ask = Callable[..., "asyncio.Future[ReadyResponse]"]


@asynccontextmanager
async def listening(health: Health, **settings: object) -> AsyncIterator[Ask]:
    """Ask the server of a bot in this health, with these settings or others."""
    server = HttpServer(HttpSettings(port=0, **settings), health)
    running = asyncio.create_task(server.run())
    await server.listening.wait()

    async def ask(**others: object) -> ReadyResponse:
        return await asyncio.to_thread(ask_ready, HttpSettings(**{**settings, **others, "port": server.port}))

    try:
        yield ask
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await server.close()


@contextmanager
def another_program(body: bytes, status: int = 200) -> Iterator[HttpSettings]:
    """The settings by which one asks a server that always says this."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield HttpSettings(port=server.server_port)
        finally:
            server.shutdown()
            thread.join()


async def test_each_component_has_a_line_and_all_must_do_their_work():
    """With what an operator has to mend."""
    health = Health()
    health.component("models").ready()
    async with listening(health) as ask:
        well = await ask()
        health.component("discord").failed("Discord refuses the token; make a new one")
        ill = await ask()
    assert (well.ready, well.lines()[0]) == (True, "ready")
    assert well.lines()[1].startswith("models: ready since 20")
    assert (ill.ready, ill.lines()[0]) == (False, "not ready")
    assert ill.lines()[2].startswith("discord: failed since 20")
    assert ill.lines()[2].endswith(": Discord refuses the token; make a new one")


async def test_the_token_of_the_settings_opens_what_is_wrong():
    """Another one learns only that something is."""
    health = Health()
    health.component("discord").down("10.0.0.7 refused")
    async with listening(health, token=TOKEN) as ask:
        assert len((await ask()).lines()) == 2
        stranger = await ask(token="another-token-of-length")
    assert (stranger.ready, stranger.lines()) == (False, ["not ready"])


async def test_a_server_that_listens_everywhere_listens_here_too():
    async with listening(Health(), host="0.0.0.0", token=TOKEN) as ask:  # noqa: S104
        assert (await ask()).lines() == ["not ready"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"detail": "Not Found"}', 404),
        (b'{"status": "ready"}', 500),
        (b'{"up": true}', 200),
        (b"17", 200),
        (b"[]", 200),
    ],
)
def test_another_program_at_the_port_is_no_bot(body, status):
    """Which a bot is to leave alone."""
    with (
        another_program(body, status) as settings,
        pytest.raises(NotLive, match=r"is no knowledge-bot\. Set http\.port"),
    ):
        ask_ready(settings)


def test_where_nobody_answers_the_fix_is_named():
    """Also where what answers speaks no JSON, and where its port is free by now."""
    with another_program(b"<html>") as settings, pytest.raises(NotLive, match=r"No bot answers at 127\.0\.0\.1"):
        ask_ready(settings)
    with pytest.raises(NotLive, match=r"Start one with knowledge-bot run, and see to it that http\.enabled"):
        ask_ready(settings)
