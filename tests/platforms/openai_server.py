"""A local server that speaks as much of the OpenAI interface as the bot uses; can be busy, fail, stall and break off."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


class OpenAIServer:
    """Says `words`, a chunk a word. `trouble` is taken first, one for each request."""

    def __init__(self) -> None:
        self.words = ["The boiler ", "costs 42 ", "euros."]
        self.usage: dict[str, int] | None = {"prompt_tokens": 50, "completion_tokens": 7, "total_tokens": 57}
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.trouble: list[Callable[[web.Request], Any]] = []
        self.answer: Callable[[dict[str, Any]], list[str]] = lambda _: self.words
        self.closed = 0  # streams that the bot has left early
        self.address = ""

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator["OpenAIServer"]:
        server = cls()
        app = web.Application()
        app.router.add_post("/v1/chat/completions", server._complete)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.address = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield server
        await runner.cleanup()

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.keys.append(request.headers.get("Authorization", ""))
        if self.trouble:
            return await self.trouble.pop(0)(request)
        response = await begin(request)
        try:
            for word in self.answer(body):
                await send(response, word)
            if self.usage and body.get("stream_options"):
                await event(response, {"choices": [], "usage": self.usage})
            await response.write(b"data: [DONE]\n\n")
        except (ConnectionResetError, asyncio.CancelledError):
            self.closed += 1
            raise
        return response


def status(number: int, body: dict[str, Any] | None = None, **headers: str) -> Callable[[web.Request], Any]:
    """Refuse with a status."""

    async def refuse(_: web.Request) -> web.Response:
        return web.json_response(body or {"error": {"message": "no"}}, status=number, headers=headers)

    return refuse


def refusing(parameter: str) -> Callable[[web.Request], Any]:
    """Refuse a parameter, as servers do that don't know it."""
    error = {"message": f"Unsupported parameter: '{parameter}'", "param": parameter, "code": "unsupported_parameter"}
    return status(400, {"error": error})


async def break_off(request: web.Request) -> web.StreamResponse:
    """Begin, and cut the connection in the middle."""
    response = await begin(request)
    await send(response, "The boiler ")
    assert request.transport is not None
    request.transport.abort()
    return response


async def talk_nonsense(request: web.Request) -> web.StreamResponse:
    """Begin, and then send what is no event."""
    response = await begin(request)
    await send(response, "The boiler ")
    await response.write(b"data: {nonsense\n\n")
    return response


async def fail_midway(request: web.Request) -> web.StreamResponse:
    """Begin, and then say that something went wrong, as an event."""
    response = await begin(request)
    await send(response, "The boiler ")
    await event(response, {"error": {"message": "out of memory", "code": 500}})
    return response


STALLED = 60.0  # seconds


async def stall(request: web.Request) -> web.StreamResponse:
    """Begin, and then say nothing more."""
    response = await begin(request)
    await send(response, "The boiler ")
    await asyncio.sleep(STALLED)
    return response


async def say_nothing(request: web.Request) -> web.StreamResponse:
    """Not even a header."""
    await asyncio.sleep(STALLED)
    return web.Response()


async def begin(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    return response


async def send(response: web.StreamResponse, text: str) -> None:
    await event(response, {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})


async def event(response: web.StreamResponse, data: dict[str, Any]) -> None:
    whole = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"} | data
    await response.write(f"data: {json.dumps(whole)}\n\n".encode())
    await asyncio.sleep(0)  # as over a real line
