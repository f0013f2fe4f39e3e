"""The HTTP server: one port for the API, health, metrics and webhooks. Runs on the event loop of the daemon.

The routers are passed in, so that it depends on none of their packages.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from functools import partial

import structlog
from fastapi import APIRouter

from bot.core.errors import SettingsError
from bot.core.settings import HttpSettings
from bot.http.asgi import HttpApp, make_application
from bot.http.connections import NO_DESCRIPTORS, Listener, Server, configuration
from bot.http.sessions import Sessions
from bot.http.sites import Site
from bot.observability.health import Health

_log = structlog.stdlib.get_logger(__name__)
# Seconds for the last responses to go out when the bot stops.
_LAST_RESPONSES = 2.0


class HttpServer:
    """The server. `port` is its port, once `listening` is set."""

    def __init__(
        self,
        settings: HttpSettings,
        health: Health,
        *,
        api: Sequence[APIRouter] = (),
        webhooks: Sequence[APIRouter] = (),
        make_sites: Callable[[Sessions], Sequence[Site]] = lambda _: (),
        on_listening: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`api`: routers that take the token; `webhooks`: routers with their own check of access; `make_sites`: called in a
        thread, returns the sites for people who sign in; `on_listening`: called with the port once the server answers."""
        self._settings = settings
        self._make_app = partial(make_application, settings, api, webhooks, health, make_sites)
        self._app: HttpApp | None = None
        self._listener: socket.socket | None = None
        self._server: Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._on_listening = on_listening
        self.port = settings.port
        self.listening = asyncio.Event()

    def listen(self) -> socket.socket:
        """Take the port ahead of `run`. Raises SettingsError where it can't be had, and OSError where descriptors are short."""
        host, port = self._settings.host, self._settings.port
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._listener = Listener(fileno=socket.create_server((host, port), family=family).detach())
        except OSError as error:
            if error.errno in NO_DESCRIPTORS:
                raise
            raise SettingsError(
                [f"http.host, http.port: {host}:{port} can't be listened on ({error.strerror}); choose another port"]
            ) from error
        self.port = self._listener.getsockname()[1]
        return self._listener

    async def run(self) -> None:
        """Serve until cancelled; requests that wait for their answer then go on until `close`. Raises what `listen` raises."""
        listener = self._listener or self.listen()
        self._close_sites()  # of a run that has failed
        self._app = await asyncio.to_thread(self._make_app)  # which takes longer than the event loop may be held up
        self._server = Server(configuration(self._app))
        self._serving = asyncio.create_task(self._server.serve([listener]), name="http")
        try:
            self.listening.set()
            _log.info("http server listening", address=self.address)
            self._on_listening(self.port)
            await asyncio.shield(self._serving)
        finally:
            self.listening.clear()
            self._server.should_exit = True
            self._listener = None  # the server closes it

    async def close(self) -> None:
        """Let the last responses go out, for a moment, and end."""
        if self._server is not None and self._serving is not None:
            await asyncio.wait([self._serving], timeout=_LAST_RESPONSES)
            self._server.force_exit = True
            await asyncio.gather(self._serving, return_exceptions=True)
        self._close_sites()
        if self._listener is not None:
            self._listener.close()

    def _close_sites(self) -> None:
        if self._app is not None:
            self._app.close()

    @property
    def needs_token(self) -> bool:
        return bool(self._settings.token.get_secret_value())

    @property
    def address(self) -> str:
        host = self._settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
