"""A polite client for websites: it obeys robots.txt, keeps to a rate, and has limits of size, time and place."""

import asyncio
import re
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx
from protego import Protego

from bot import __version__
from bot.core.errors import SourceError
from bot.core.text import counted
from bot.sources.addresses import PinnedTransport, resolved

AGENT = f"knowledge-bot/{__version__}"
_HTML = ".html"
_OFFICE = "application/vnd.openxmlformats-officedocument"
SUFFIXES: Mapping[str, str] = {
    "text/html": _HTML,
    "application/xhtml+xml": _HTML,
    "text/markdown": ".md",
    "text/plain": ".txt",
    "text/csv": ".csv",
    "text/x-rst": ".rst",
    "application/pdf": ".pdf",
    "application/epub+zip": ".epub",
    f"{_OFFICE}.wordprocessingml.document": ".docx",
    f"{_OFFICE}.presentationml.presentation": ".pptx",
    f"{_OFFICE}.spreadsheetml.sheet": ".xlsx",
}
"""The types of documents that are read from websites, each with the ending of its files."""
SITEMAP = ".xml"
_SITEMAPS = frozenset({"application/xml", "text/xml", "application/gzip", "application/x-gzip"})
# Servers send these where they don't know better; the address may.
_VAGUE = frozenset({"text/plain", "application/octet-stream", "binary/octet-stream", ""})

_LONGEST_REQUEST = 60.0  # seconds
_MOST_HOPS = 5  # redirects that follow one another
_LARGEST_ROBOTS = 500_000  # bytes
_LONGEST_WAIT = 30.0  # seconds that robots.txt or a busy server may ask for
_REDIRECTS = (301, 302, 303, 307, 308)
_BUSY = (429, 503)
_GONE_FOR_NOW = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was read. `address` is where the redirects led."""

    address: str
    suffix: str
    content: bytes
    etag: str = ""
    modified: str = ""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The page is as it was."""

    address: str


@dataclass(frozen=True, slots=True)
class Missing:
    """The page is gone or may not be read, so that it must not answer questions any more."""

    address: str
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The page can't be read now."""

    address: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Response:
    """A response as it was sent. `body` may be compressed; it is empty if the type of the response isn't read."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def target(self) -> str | None:
        """The redirect target; None if this isn't a redirect."""
        return self.headers.get("location") if self.status in _REDIRECTS else None

    @property
    def type(self) -> str:
        kind: str = self.headers.get("content-type", "")
        return kind.partition(";")[0].strip().lower()


Outcome = Page | Unchanged | Missing | Failed


@dataclass(frozen=True, slots=True)
class Validators:
    """The state of a page at the last fetch, by which a server is asked for changes."""

    etag: str
    modified: str

    @property
    def headers(self) -> dict[str, str]:
        named = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in named.items() if value}


class Client:
    """Reads pages one after the other. An async context manager."""

    def __init__(self, *, requests_per_second: float, largest_bytes: int, private: bool) -> None:
        self._pause = 1 / requests_per_second
        self._largest = largest_bytes
        self._http = httpx.AsyncClient(
            transport=PinnedTransport(private=private),
            headers={"User-Agent": AGENT, "Accept-Encoding": "gzip", "Accept": ", ".join([*SUFFIXES, "*/*;q=0.1"])},
            timeout=httpx.Timeout(20.0),
            follow_redirects=False,
            trust_env=False,
        )
        self._robots: dict[str, Protego] = {}
        self._next = 0.0  # the moment of the next request, on the monotonic clock

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(
        self,
        address: str,
        allowed: Callable[[str], bool],
        validators: Callable[[str], Validators | None] = lambda _: None,
    ) -> Outcome:
        """Read a page. `allowed` says whether an address may be requested, and `validators` returns those of the page
        there from the last fetch.

        Raises SourceError if robots.txt can't be read, because then no page may be, or if the host is in a private network.
        """
        for _ in range(_MOST_HOPS + 1):
            if not allowed(address):
                return Missing(address, "it leads out of the hosts and paths of the source")
            if not await self._may(address):
                return Missing(address, "robots.txt forbids it")
            response = await self._polite(address, validators(address))
            if isinstance(response, Failed):
                return response
            if response.target is None:
                return await self._outcome(address, response)
            target = resolved(address, response.target)
            if target is None:
                return Missing(address, "it leads to no page")
            address = target
        return Missing(address, "its redirects don't end")

    async def _outcome(self, address: str, response: _Response) -> Outcome:
        status = response.status
        if status == 304:
            return Unchanged(address)
        if status in _GONE_FOR_NOW or status >= 500 or status < 200:
            return Failed(address, f"HTTP {status}")
        if status != 200:
            return Missing(address, f"HTTP {status}")
        suffix = _suffix(address, response)
        if suffix is None:
            return Missing(address, f"its type, {response.type or 'unknown'}, isn't read")
        try:
            content = await asyncio.to_thread(_decoded, response, self._largest, suffix)
        except ValueError as error:
            return Failed(address, str(error))
        return Page(
            address, suffix, content, response.headers.get("etag", ""), response.headers.get("last-modified", "")
        )

    # --- requests

    async def _polite(self, address: str, validators: Validators | None, *, again: bool = True) -> _Response | Failed:
        """Send a request when it is time, and once more if that fails. Raises SourceError for a private address."""
        await asyncio.sleep(max(0.0, self._next - time.monotonic()))
        self._next = time.monotonic() + self._pause
        try:
            response = await self._send(address, validators.headers if validators else {})
        except (httpx.InvalidURL, ValueError) as error:
            return Failed(address, str(error))
        except (httpx.HTTPError, TimeoutError) as error:
            if again:
                return await self._polite(address, validators, again=False)
            slow = isinstance(error, TimeoutError | httpx.TimeoutException)
            return Failed(address, "it takes too long" if slow else str(error) or type(error).__name__)
        wait = response.headers.get("retry-after", "")
        if not again or response.status not in _BUSY or not wait.isdecimal() or int(wait) > _LONGEST_WAIT:
            return response
        self._next = time.monotonic() + int(wait)
        return await self._polite(address, validators, again=False)

    async def _send(self, address: str, headers: Mapping[str, str]) -> _Response:
        """Send a GET request. Raises ValueError if the body is too large.

        The body is read only if documents of its type are, and stays compressed: httpx would unpack as much as the sender
        likes, in memory and time.
        """
        async with asyncio.timeout(_LONGEST_REQUEST), self._http.stream("GET", address, headers=headers) as response:
            self._http.cookies.clear()
            body = bytearray()
            head = _Response(response.status_code, response.headers, b"")
            if head.status == 200 and _suffix(address, head) is not None:
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > self._largest:
                        raise ValueError(f"it has more than {counted(self._largest // 2**20, 'megabyte')}")
            return replace(head, body=bytes(body))

    # --- robots.txt

    async def _may(self, address: str) -> bool:
        parts = urlsplit(address)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._robots:
            rules = await asyncio.to_thread(Protego.parse, await self._robots_of(origin))
            self._robots[origin] = rules
            self._pause = max(self._pause, min(float(rules.crawl_delay(AGENT) or 0), _LONGEST_WAIT))
        return bool(self._robots[origin].can_fetch(address, AGENT))

    async def _robots_of(self, origin: str) -> str:
        """Return the text of robots.txt, empty if the host has none. Raises SourceError if it can't be read."""
        address = f"{origin}/robots.txt"
        response = await self._polite(address, None)
        for _ in range(_MOST_HOPS):
            if isinstance(response, Failed) or response.target is None:
                break
            target = resolved(address, response.target)
            if target is None or urlsplit(target).netloc != urlsplit(origin).netloc:
                return ""  # other hosts are not asked
            address = target
            response = await self._polite(address, None)
        if isinstance(response, Failed):
            raise SourceError(f"{address} can't be read ({response.reason}); check the address and the network")
        if response.status >= 500 or response.status in _GONE_FOR_NOW:
            raise SourceError(f"{address} can't be read (HTTP {response.status}), so that no page may be")
        if response.status != 200 or _suffix(address, response) is None:
            return ""
        try:
            content = await asyncio.to_thread(_decoded, response, _LARGEST_ROBOTS, ".txt")
        except ValueError as error:
            raise SourceError(f"{address} can't be read: {error}") from error
        return content.decode("utf-8", "replace")


def _suffix(address: str, response: _Response) -> str | None:
    """Return the ending that a file gets by its type; None if such files are not read."""
    kind = response.type
    by_address = PurePosixPath(urlsplit(address).path).suffix.lower()
    if kind in _VAGUE and by_address in SUFFIXES.values() and by_address != _HTML:
        return by_address
    return SITEMAP if kind in _SITEMAPS else SUFFIXES.get(kind)


def _decoded(response: _Response, largest: int, suffix: str) -> bytes:
    """Return the body, unpacked, and as UTF-8 where the server names another encoding. Blocking. Raises ValueError."""
    body = response.body
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("gzip", "x-gzip"):
        body = _unpacked(body, largest)
    elif encoding != "identity":
        raise ValueError(f"it comes in an encoding that wasn't asked for, {encoding}")
    if suffix == SITEMAP and body.startswith(b"\x1f\x8b"):
        body = _unpacked(body, largest)
    if len(body) > largest:
        raise ValueError(f"it has more than {largest // 1000} kilobytes")
    charset = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", response.headers.get("content-type", ""), re.IGNORECASE)
    if charset and suffix in (_HTML, ".md", ".txt", ".csv", ".rst"):
        return _as_utf8(body, charset[1])
    return body


def _unpacked(body: bytes, largest: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        unpacked = unpacker.decompress(body, largest + 1)
    except zlib.error as error:
        raise ValueError("its compression is broken") from error
    if len(unpacked) > largest:
        raise ValueError(f"it has more than {counted(largest // 2**20, 'megabyte')} when it is unpacked")
    if not unpacker.eof:
        raise ValueError("it ends too early")
    return unpacked


def _as_utf8(body: bytes, charset: str) -> bytes:
    try:
        text = body.decode(charset)
    except (LookupError, UnicodeDecodeError):
        return body  # the loader looks for itself
    try:
        return body if text.encode() == body else b"\xef\xbb\xbf" + text.encode()
    except UnicodeEncodeError:
        return body
