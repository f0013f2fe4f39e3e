"""A local website: pages with ETags, and whatever a hostile one does. It notes each request."""

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Website:
    """Serves `pages`, a text or a handler for each path; `requests` has (path, status) in order."""

    def __init__(self) -> None:
        self.pages: dict[str, str | Handler] = {}
        self.requests: list[tuple[str, int]] = []
        self.hosts: set[str] = set()  # that were asked for
        self.down = False
        self.address = ""

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator["Website"]:
        website = cls()
        app = web.Application()
        app.router.add_get("/{path:.*}", website._serve)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        website.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield website
        await runner.cleanup()

    @property
    def asked(self) -> list[str]:
        """The paths of the pages that were asked for."""
        return [path for path, _ in self.requests if path != "/robots.txt"]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.hosts.add(request.host)
        response = await self._response(request)
        self.requests.append((request.path_qs, response.status))
        return response

    async def _response(self, request: web.Request) -> web.StreamResponse:
        if self.down:
            return web.Response(status=503)
        page = self.pages.get(request.path_qs, self.pages.get(request.path))
        if page is None:
            return web.Response(status=404)
        if not isinstance(page, str):
            return await page(request)
        etag = f'"{hashlib.sha256(page.encode()).hexdigest()}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        kind = "text/plain" if request.path == "/robots.txt" else "text/html"
        kind = "application/xml" if request.path.endswith(".xml") else kind
        return web.Response(text=page, content_type=kind, headers={"ETag": etag})


def page(title: str, text: str, *links: str, head: str = "") -> str:
    anchors = "".join(f'<p><a href="{link}">{link}</a></p>' for link in links)
    return f"<html><head><title>{title}</title>{head}</head><body><h1>{title}</h1><p>{text}</p>{anchors}</body></html>"


def sent(body: bytes, kind: str = "text/html", status: int = 200, **headers: str) -> Handler:
    """Send these bytes as they are."""

    async def handle(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=body, status=status, headers={"Content-Type": kind, **named})

    return handle


def redirect(target: str) -> Handler:
    return sent(b"", status=302, Location=target)


def packed(body: bytes) -> Handler:
    return sent(gzip.compress(body), Content_Encoding="gzip")


async def endless(request: web.Request) -> web.StreamResponse:
    """Never stop sending."""
    response = web.StreamResponse(headers={"Content-Type": "text/html"})
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65_536)


async def dripping(request: web.Request) -> web.StreamResponse:
    """Send a byte now and then."""
    response = web.StreamResponse(headers={"Content-Type": "text/html"})
    await response.prepare(request)
    while True:
        await response.write(b"x")
        await asyncio.sleep(0.05)
