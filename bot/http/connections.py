"""uvicorn, set up for this server: its connections, and how long the head of a request may take."""

import asyncio
import errno
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

# How many connections there may be at once; for a further one an idle one is closed.
_MOST_CONNECTIONS = 512
# Seconds that a client may take to send the head of a request.
_HEAD_SECONDS = 10.0
NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""The errors where descriptors or memory have run out, which may be better a moment later."""
# How long accepting a connection is not tried again then.
_PAUSE_SECONDS = 0.9  # less than the second that the event loop waits


def configuration(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=None,  # see `_Protocol`: uvicorn takes surplus connections in, and then answers nobody
    )


class Server(uvicorn.Server):
    """A uvicorn server that leaves the signals to the daemon."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Listener(socket.socket):
    """A listening socket that pauses while no descriptor is left for a connection.

    The event loop tries again at once, as many times as connections may wait, and logs an error each time.
    """

    _paused_until = 0.0

    def accept(self) -> tuple[socket.socket, Any]:
        if time.monotonic() < self._paused_until:
            raise BlockingIOError
        try:
            return super().accept()
        except OSError as error:
            if error.errno in NO_DESCRIPTORS:
                self._paused_until = time.monotonic() + _PAUSE_SECONDS
            raise  # so that the event loop waits a second, too


class _Protocol(H11Protocol):
    """Closes connections whose request head is late, and idle ones above the connection limit."""

    _head_timer: asyncio.TimerHandle | None = None
    _idle_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base
        super().connection_made(transport)
        self._expect_head()
        self._keep_to_limit()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
        self._idle_since = self.loop.time()
        self._head_timer = self.loop.call_later(_HEAD_SECONDS, self._head_timed_out)

    def _head_timed_out(self) -> None:
        if self._is_idle:
            self.transport.close()

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _keep_to_limit(self) -> None:
        """Above the limit, close a connection of the address that has the most, so that no address locks others out.

        It is the connection that has been idle for longest, or the latest one if none is idle.
        """
        there = [one for one in self.connections if isinstance(one, _Protocol) and not one.transport.is_closing()]
        if len(there) > _MOST_CONNECTIONS:
            counted = Counter(one._host for one in there)
            from_largest = [one for one in there if counted[one._host] == max(counted.values())]
            idle = [one for one in from_largest if one._is_idle]
            closed = min(idle, key=_idle_since) if idle else max(from_largest, key=_idle_since)
            closed.transport.abort()

    @property
    def _host(self) -> str:
        return self.client[0] if self.client else ""


def _idle_since(connection: _Protocol) -> float:
    return connection._idle_since
