"""A website as a source: its pages, found link by link from a start page, or listed by a sitemap.

Nearer pages come first. A page that has not changed costs one request; a page that can't be read now stays as it was; a
page that is gone, or that may not be read any more, is left out.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from mimetypes import guess_type
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from bot.core.documents import Document, Links
from bot.core.errors import DocumentError, SourceError
from bot.core.settings import SourceSettings
from bot.core.text import counted
from bot.knowledge.converter import Converter
from bot.knowledge.repetition import PAGE, SAMPLE, Repeated, repeated
from bot.sources.addresses import Bounds, file_path, resolved, same_page
from bot.sources.client import SITEMAP, Client, Failed, Missing, Outcome, Page, Unchanged, Validators
from bot.sources.left_out import LeftOut
from bot.sources.store import Draft

_LARGEST_PAGE = 32 * 2**20  # bytes
_LONGEST = 6 * 3600.0  # seconds of one fetch
_MOST_FAILURES = 10  # pages in a row that can't be read, before the website is given up for now
_MOST_SITEMAPS = 100
_COPIES = 4  # addresses that are asked for each page that may be read: several may lead to the same one
_SEEN_PER_PAGE = 20  # addresses that are remembered for each page that may be read
# Not worth a request, by the ending of the address.
_NO_PAGES = (
    *("image/", "video/", "audio/", "font/", "text/css", "text/javascript", "application/javascript"),
    *("application/zip", "application/x-tar", "application/json", "application/octet-stream"),
)


async def fetch_website(
    source: SourceSettings, draft: Draft, before: Mapping[str, Any], converter: Converter
) -> tuple[dict[str, Any], list[str]]:
    """Read a website into the draft. `before` is the manifest of the last fetch.

    Returns the entries for the manifest of this fetch, and notes on pages that were left out. Raises SourceError.
    """
    rate = source.requests_per_second
    async with Client(requests_per_second=rate, largest_bytes=_LARGEST_PAGE, private=source.private) as client:
        crawl = _Crawl(source, draft, before.get("pages", {}), converter, client)
        try:
            async with asyncio.timeout(_LONGEST):
                await crawl.run()
        except TimeoutError as error:
            raise SourceError(f"reading it takes more than {_LONGEST / 3600:g} hours; lower pages") from error
    repetition = await asyncio.to_thread(_repetition, draft, converter)
    return {"pages": crawl.pages, "repeated": repetition.keepers}, crawl.notes()


def _repetition(draft: Draft, converter: Converter) -> Repeated:
    """Find what the pages repeat, by the start page and some others, always the same. Blocking."""
    pages = [path for path in draft.addresses if path.endswith(PAGE)]
    chosen = sorted(pages[1:], key=lambda path: hashlib.sha256(path.encode()).digest())[: SAMPLE - 1]
    sample = {*pages[:1], *chosen}
    return repeated(_documents([path for path in pages if path in sample], draft, converter))


def _documents(paths: Iterable[str], draft: Draft, converter: Converter) -> Iterator[Document]:
    for path in paths:
        with suppress(DocumentError):  # the index says more of it
            yield converter.read(path, draft.content(path), draft.addresses[path])


@dataclass(slots=True)
class _Crawl:
    """One reading of a website. `pages` has the state of each page by its address: its file, and the headers to ask for
    changes."""

    source: SourceSettings
    draft: Draft
    before: Mapping[str, dict[str, str]]
    converter: Converter
    client: Client
    pages: dict[str, dict[str, str]] = field(default_factory=dict)
    _bounds: Bounds = field(default_factory=lambda: Bounds(frozenset()))
    _waiting: deque[tuple[str, int]] = field(default_factory=deque)
    _seen: set[str] = field(default_factory=set)
    _taken: set[str] = field(default_factory=set)  # paths of files, in small letters
    _files: dict[str, str] = field(default_factory=dict)  # by the hash of their content
    _left_out: LeftOut = field(default_factory=lambda: LeftOut("page"))
    _failures: int = 0
    _sitemaps: int = 0
    _listed: bool = False  # the pages come from a sitemap, and links are not followed

    async def run(self) -> None:
        """Read the website. Raises SourceError if it can't be read."""
        self._taken = {page["file"].lower() for page in self.before.values()}
        await self._begin()
        while self._waiting:
            most = self.source.pages
            if len(self.draft.addresses) >= most or len(self.pages) >= _COPIES * most:
                bound = f"{counted(most, 'page')} {'is' if most == 1 else 'are'} read at most"
                self._left_out.add(f"not read, because {bound}", self._waiting[0][0])
                break
            address, depth = self._waiting.popleft()
            if address not in self.pages:
                await self._visit(address, depth)
        await asyncio.to_thread(self._drop_variants)
        if not self.draft.addresses:
            raise SourceError("there is no page that could be read: " + "; ".join(self.notes()))

    def notes(self) -> list[str]:
        """Return notes on the pages that were left out."""
        return self._left_out.notes()

    async def _begin(self) -> None:
        """Read the start page, or the sitemap, by which the bounds are known."""
        start = resolved("", self.source.url)
        if start is None:
            raise SourceError(f"{self.source.shown_url} is no address of a website")
        hosts = frozenset(host.lower() for host in self.source.hosts) or frozenset({urlsplit(start).netloc})
        self._bounds = Bounds(hosts | {urlsplit(start).netloc}, self.source.paths)
        self._seen.add(start)
        found = await self.client.get(start, self._bounds.has_host, self._validators)
        if isinstance(found, Missing | Failed):
            raise SourceError(f"{start}: {found.reason}")
        if isinstance(found, Page) and found.suffix == SITEMAP:
            self._listed = True
            await self._read_sitemap(found)
            return
        if not self._bounds.paths:
            folder = urlsplit(found.address).path.rpartition("/")[0]
            self._bounds = Bounds(hosts | {urlsplit(found.address).netloc}, (f"{folder}/",))
        await self._take(found, 0)

    async def _read_sitemap(self, page: Page) -> None:
        self._sitemaps += 1
        links = await self._links(page.content)
        self._wait_for(page.address, links.pages, 0)
        for link in links.sitemaps:
            address = resolved(page.address, link)
            if address is None or address in self._seen or self._sitemaps >= _MOST_SITEMAPS:
                continue
            self._seen.add(address)
            found = await self.client.get(address, self._bounds.has_host)
            if isinstance(found, Page) and found.suffix == SITEMAP:
                await self._read_sitemap(found)
            else:
                raise SourceError(f"the sitemap {address} can't be read: {getattr(found, 'reason', 'it is none')}")

    async def _visit(self, address: str, depth: int) -> None:
        found = await self.client.get(address, self._bounds.has, self._validators)
        if isinstance(found, Failed):
            self._failures += 1
            if self._failures >= _MOST_FAILURES:
                raise SourceError(
                    f"{self._failures} pages in a row could not be read, the last one {address}: {found.reason}"
                )
        else:
            self._failures = 0
        await self._take(found, depth)

    async def _take(self, found: Outcome, depth: int) -> None:
        """Put a page into the draft, and its links into the queue."""
        if isinstance(found, Missing):
            self._left_out.add(f"left out ({found.reason})", found.address)
        elif isinstance(found, Failed):
            self._left_out.add(f"could not be read ({found.reason})", found.address)
            await self._keep(found.address, depth)
        elif isinstance(found, Unchanged):
            await self._keep(found.address, depth)
        elif found.suffix == SITEMAP:
            self._left_out.add("left out (a sitemap)", found.address)
        elif found.address not in self.pages:
            await self._store(found, depth)

    async def _store(self, page: Page, depth: int) -> None:
        links = await self._follow(page.address, page.content, depth) if page.suffix == ".html" else Links()
        if not links.index:
            self._left_out.add("left out (it asks robots not to keep it)", page.address)
            return
        digest = hashlib.sha256(page.content).hexdigest()
        state = {"address": self._canonical(page.address, links), "etag": page.etag, "modified": page.modified}
        if digest in self._files:
            self.pages[page.address] = {"file": self._files[digest], **state, "copy": "yes"}
            return
        file = self._file(page)
        await asyncio.to_thread(self.draft.write, file, page.content, state["address"])
        self._files[digest] = file
        self.pages[page.address] = {"file": file, **state}

    async def _keep(self, address: str, depth: int) -> None:
        """Keep the version of a page from the last fetch, if it has one."""
        state = self.before.get(address)
        content = await asyncio.to_thread(self.draft.read, state["file"]) if state else None
        if state is None or content is None or address in self.pages:
            return
        if "copy" in state:  # the page with the same content may have another one now
            suffix = PurePosixPath(state["file"]).suffix
            await self._store(Page(address, suffix, content, state["etag"], state["modified"]), depth)
            return
        self.pages[address] = state
        await asyncio.to_thread(self.draft.keep, state["file"], state["address"])
        self._files[hashlib.sha256(content).hexdigest()] = state["file"]
        if state["file"].endswith(".html"):
            await self._follow(address, content, depth)

    async def _follow(self, address: str, content: bytes, depth: int) -> Links:
        """Read the links of a page, and put them into the queue."""
        try:
            links = await self._links(content)
        except DocumentError:
            return Links()  # the index says more of it
        if links.follow and not self._listed and depth < self.source.depth:
            self._wait_for(resolved(address, links.base) or address, links.pages, depth + 1)
        return links

    def _wait_for(self, base: str, links: Iterable[str], depth: int) -> None:
        for link in links:
            address = resolved(base, link)
            if address is None or address in self._seen or not self._bounds.has(address):
                continue
            if len(self._seen) >= _SEEN_PER_PAGE * self.source.pages or _is_no_page(address):
                continue
            self._seen.add(address)
            self._waiting.append((address, depth))

    async def _links(self, content: bytes) -> Links:
        return await asyncio.to_thread(self.converter.links, content)

    def _validators(self, address: str) -> Validators | None:
        state = self.before.get(address)
        if state is None or not self.draft.has(state["file"]):
            return None
        return Validators(state["etag"], state["modified"])

    def _canonical(self, address: str, links: Links) -> str:
        """Return the address by which a page is cited: its declared canonical address, if that is a page of this source."""
        declared = resolved(address, links.canonical) if links.canonical else None
        return declared if declared and self._bounds.has(declared) else address

    def _file(self, page: Page) -> str:
        known = self.before.get(page.address)
        if known and known["file"].endswith(page.suffix) and "copy" not in known:
            return known["file"]
        file = file_path(page.address, page.suffix, self._taken)
        self._taken.add(file.lower())
        return file

    def _drop_variants(self) -> None:
        """Take out variants of a page, such as its print version, that declare the address of that page as their own."""
        for address, state in list(self.pages.items()):
            other = self.pages.get(state["address"])
            is_variant = state["address"] != address and same_page(address, state["address"]) and "copy" not in state
            if is_variant and other and other["address"] == state["address"] and other["file"] != state["file"]:
                self.draft.drop(state["file"])


def _is_no_page(address: str) -> bool:
    kind, packed = guess_type(urlsplit(address).path)
    return packed is not None or (kind or "").startswith(_NO_PAGES)
