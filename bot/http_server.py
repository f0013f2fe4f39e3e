"""Hosts what speaks HTTP, on one port: routers that other rooms bring along. Runs on the event loop of the daemon."""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import structlog
import uvicorn
from fastapi import APIRouter, FastAPI

from bot.errors import SettingsError
from bot.settings import HttpSettings

_log = structlog.stdlib.get_logger(__name__)
# Seconds for requests in work to finish when the server stops.
_GRACE = 5


class HttpServer:
    """One HTTP server. `port` is the one that it listens on, once `listening` is set."""

    name = "http"

    def __init__(self, settings: HttpSettings, routers: Sequence[APIRouter]) -> None:
        self._settings = settings
        self._app = FastAPI(openapi_url=None)  # nothing here is meant to be explored
        for router in routers:
            self._app.include_router(router)
        self.port = settings.port
        self.listening = asyncio.Event()

    async def run(self) -> None:
        """Serve until cancelled. Raises SettingsError where the address can't be listened on."""
        listener = self._listener()
        self.port = listener.getsockname()[1]
        server = _Server(
            uvicorn.Config(
                self._app,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=_GRACE,
            )
        )
        serving = asyncio.create_task(server.serve([listener]), name="http")
        try:
            self.listening.set()
            _log.info("http server listening", host=self._settings.host, port=self.port)
            await asyncio.shield(serving)
        finally:
            self.listening.clear()
            server.should_exit = True
            with suppress(asyncio.CancelledError):
                await serving
            listener.close()

    def _listener(self) -> socket.socket:
        host, port = self._settings.host, self._settings.port
        try:
            return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError as error:
            raise SettingsError(
                [f"http.host, http.port: {host}:{port} can't be listened on ({error.strerror}); choose another port"]
            ) from error


class _Server(uvicorn.Server):
    """Leaves the signals to the daemon."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
