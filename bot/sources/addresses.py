"""Web addresses: the bounds of a website, the machines that may be asked, and the names of pages on the disk."""

import asyncio
import hashlib
import re
import socket
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

import httpx

from bot.core.errors import SourceError
from bot.core.tls import trusted_certificates
from bot.knowledge.loaders import LOADERS

_LONGEST = 2_000  # characters of an address
_MOST_REPEATED = 3  # a path with the same part more often than this is one of endless ones
_SAFE = "%/:@!$&'()*+,;=~-._"
_PORTS = {"http": 80, "https": 443}
_INDEX = re.compile(r"/(?:index\.(?:html?|php))?$")
_UNFIT = re.compile(r"[^\w.+-]+")
_LONGEST_PART = 80  # characters of a file's or a folder's name
_TRANSLATED = ip_network("64:ff9b::/96")  # IPv4 addresses behind NAT64


def resolved(base: str, link: str) -> str | None:
    """Return the simplest form of the address that a link leads to, without a fragment; None if it leads to no page."""
    try:
        parts = urlsplit(urljoin(base, link.strip()))
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not host or parts.username is not None:
        return None
    host = f"[{host}]" if ":" in host else host
    netloc = host if port in (None, _PORTS[parts.scheme]) else f"{host}:{port}"
    path, query = quote(parts.path or "/", safe=_SAFE), quote(parts.query, safe=f"{_SAFE}?")
    address = urlunsplit((parts.scheme, netloc, path, query, ""))
    endless = max(Counter(filter(None, path.split("/"))).values(), default=0) > _MOST_REPEATED
    return None if len(address) > _LONGEST or endless else address


def same_page(one: str, other: str) -> bool:
    """Return whether two addresses differ in no more than their query, scheme, or the name of an index page."""
    (a, b) = (urlsplit(address) for address in (one, other))
    return (a.netloc, _INDEX.sub("", a.path)) == (b.netloc, _INDEX.sub("", b.path))


@dataclass(frozen=True, slots=True)
class Bounds:
    """The pages of a website: on these hosts, with paths that begin like one of these (none: all)."""

    hosts: frozenset[str]  # with the port where it is none of the usual ones
    paths: tuple[str, ...] = ()

    def has_host(self, address: str) -> bool:
        return urlsplit(address).netloc in self.hosts

    def has(self, address: str) -> bool:
        return self.has_host(address) and (not self.paths or urlsplit(address).path.startswith(self.paths))


def file_path(address: str, suffix: str, taken: Collection[str]) -> str:
    """Return a path for a page, which resembles its address and isn't taken yet."""
    parts = urlsplit(address)
    *folders, name = [_UNFIT.sub("-", unquote(part)).lstrip(".")[:_LONGEST_PART] for part in parts.path.split("/")]
    folders = [
        re.sub(r"\.(\w+)$", r"-\1", part) if _suffix(part) in LOADERS else part for part in filter(None, folders)
    ]
    stem = (PurePosixPath(name).stem if _suffix(name) in LOADERS else name) or "index"
    path = "/".join((*folders[:12], f"{stem}{suffix}"))
    if path.lower() not in taken and not parts.query:
        return path
    return f"{path.removesuffix(suffix)}-{hashlib.sha256(address.encode()).hexdigest()[:8]}{suffix}"


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


# --- machines ---------------------------------------------------------------------------------------------------------


def is_public(address: str) -> bool:
    """Return whether an IP address, or the IPv4 address that it carries, is that of a machine on the internet."""
    ip = ip_address(address.partition("%")[0])
    carried = _carried(ip) if isinstance(ip, IPv6Address) else None
    return (carried or ip).is_global and not (carried or ip).is_multicast


def _carried(ip: IPv6Address) -> IPv4Address | None:
    if ip in _TRANSLATED or int(ip) < 2**32:
        return IPv4Address(int(ip) & (2**32 - 1))
    return ip.ipv4_mapped or ip.sixtofour


class PinnedTransport(httpx.AsyncBaseTransport):
    """Looks a host up once for each request, refuses private addresses, and connects to the very address that was looked at."""

    def __init__(self, *, private: bool) -> None:
        """`private`: whether addresses of this machine and of private networks may be asked too."""
        self._private = private
        self._inner = httpx.AsyncHTTPTransport(
            verify=trusted_certificates(), limits=httpx.Limits(max_connections=4, max_keepalive_connections=2)
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises SourceError if its host has a private address, and the errors of httpx."""
        host = request.url.host
        failure: httpx.ConnectError | None = None
        for address in await self._addresses(host, request.url.port or _PORTS[request.url.scheme]):
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,  # with the name of the host
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                return await self._inner.handle_async_request(pinned)
            except httpx.ConnectError as error:
                failure = error
        raise failure or httpx.ConnectError(f"{host} has no address")

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpx.ConnectError(f"{host} can't be found") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        private = [address for address in addresses if not self._private and not is_public(address)]
        if private:
            raise SourceError(
                f"{host} is in a private network ({private[0]}), which is not asked; if it is meant, set private = true"
            )
        return addresses
