"""A website as a source, against a local server: what is asked for, what is kept, and what a hostile one can't do."""

import asyncio
import os

import pytest

from bot.core.errors import SourceError, StorageError
from bot.core.settings import Settings
from bot.knowledge.places import Places
from bot.sources import client, website
from bot.sources.addresses import file_path, is_public, resolved, same_page
from bot.sources.fetching import Fetcher, seconds_until_due, settings_fingerprint
from bot.sources.store import SourceStore
from tests.platforms.website_server import Website, dripping, endless, packed, page, redirect, sent

BOMB = packed(b"x" * 50_000_000)


@pytest.fixture
async def site():
    async with Website.running() as running:
        yield running


@pytest.fixture
def fetcher(site, tmp_path):
    """Makes a fetcher of the site: `fetcher(pages=3)`."""

    def make(**settings) -> Fetcher:
        source = {"name": "site", "url": f"{site.address}/", "private": True, "requests_per_second": 1000} | settings
        return Fetcher(*with_source(tmp_path, source))

    return make


def with_source(tmp_path, source):
    settings = Settings(
        knowledge={"folder": tmp_path / "knowledge"}, storage={"folder": tmp_path / "data"}, sources=[source]
    )
    return settings.sources[0], settings


def texts(tmp_path) -> dict[str, str]:
    folder = tmp_path / "data" / "sources" / "site"
    return {
        file.relative_to(folder).as_posix(): file.read_text(errors="replace")
        for file in sorted(folder.rglob("[!.]*"))
        if file.is_file()
    }


def addresses(tmp_path) -> dict[str, str]:
    folder = tmp_path / "data" / "sources" / "site"
    listing = Places(tmp_path / "empty", {"site": folder})
    listing.folder.mkdir(exist_ok=True)
    return {entry.path: entry.address for entry in listing.listing().files}


async def test_pages_are_followed_within_their_folder_and_called_by_their_addresses(site, fetcher, tmp_path):
    """Links elsewhere, to pictures, and to places of the same page are not followed."""
    site.pages = {
        "/docs/": page("Start", "Welcome.", "setup", "#top", "/shop", "https://elsewhere.example/", "a.png", "b/"),
        "/docs/setup": page("Setup", "Turn it on.", "./", "setup#more"),
        "/docs/b/": page("B", "Bees."),
        "/shop": page("Shop", "Buy."),
    }
    fetched = await fetcher(url=f"{site.address}/docs/").fetch()
    assert fetched.changes.added == ("docs/b/index.html", "docs/index.html", "docs/setup.html")
    assert sorted(site.asked) == ["/docs/", "/docs/b/", "/docs/setup"]
    assert addresses(tmp_path)["site:docs/setup.html"] == f"{site.address}/docs/setup"


async def test_an_unchanged_page_costs_a_304_and_a_changed_one_is_read(site, fetcher, tmp_path):
    """Files that stay the same are the same files, so that they are not indexed again."""
    site.pages = {"/": page("A", "One.", "/b", "/c"), "/b": page("B", "Two."), "/c": page("C", "Three.")}
    await fetcher().fetch()
    before = (tmp_path / "data/sources/site/c.html").stat()
    site.requests.clear()
    site.pages["/b"] = page("B", "Two and a half.")
    fetched = await fetcher().fetch()
    assert dict(site.requests) == {"/robots.txt": 404, "/": 304, "/b": 200, "/c": 304}
    assert fetched.changes.changed == ("b.html",)
    assert os.path.samestat(before, (tmp_path / "data/sources/site/c.html").stat())
    again = await fetcher().fetch()
    assert (str(again.changes), again.documents) == ("nothing has changed", 3)


async def test_a_page_that_vanished_leaves_and_one_that_fails_stays(site, fetcher, tmp_path):
    """With the pages that only it leads to."""
    site.pages = {
        "/": page("A", "One.", "/b", "/c"),
        "/b": page("B", "Two.", "/below"),
        "/c": page("C", "Three."),
        "/below": page("Below", "Four."),
    }
    await fetcher().fetch()
    site.pages["/b"] = sent(b"", status=500)
    del site.pages["/c"]
    fetched = await fetcher().fetch()
    assert fetched.changes.removed == ("c.html",)
    assert set(texts(tmp_path)) == {"index.html", "b.html", "below.html"}
    assert any("could not be read (HTTP 500)" in note and "/b" in note for note in fetched.notes)


async def test_a_site_that_fails_keeps_its_last_good_state_and_says_so(site, fetcher, tmp_path):
    """Also after it was stopped in the middle."""
    site.pages = {"/": page("A", "One.", "/b"), "/b": page("B", "Two.")}
    await fetcher().fetch()
    kept = texts(tmp_path)
    site.down = True
    with pytest.raises(SourceError, match=r"site: .*robots.txt can't be read \(HTTP 503\)"):
        await fetcher().fetch()
    status = await fetcher().status()
    assert "HTTP 503" in status.problem
    assert (status.documents, status.fetched < status.tried) == (2, True)
    assert texts(tmp_path) == kept
    site.down = False
    reached = asyncio.Event()

    async def slow(request):
        reached.set()
        return await dripping(request)

    site.pages |= {"/": page("A", "Another.", "/slow"), "/slow": slow}
    fetching = asyncio.create_task(fetcher().fetch())
    await reached.wait()
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    assert texts(tmp_path) == kept
    site.pages["/slow"] = page("Slow", "At last.")
    assert (await fetcher().fetch()).changes.added == ("slow.html",)
    assert (await fetcher().status()).problem == ""


async def test_robots_txt_is_obeyed(site, fetcher, tmp_path):
    """Also by a page that was read before, and by what a page says of itself."""
    site.pages = {
        "/": page("A", "One.", "/secret/x", "/open", "/hidden"),
        "/open": page("Open", "Two."),
        "/secret/x": page("X", "Three."),
        "/hidden": page("H", "Four.", head='<meta name="robots" content="noindex">'),
    }
    await fetcher().fetch()
    assert set(texts(tmp_path)) == {"index.html", "open.html", "secret/x.html"}
    site.pages["/robots.txt"] = "User-agent: *\nDisallow: /secret/\n"
    site.requests.clear()
    assert (await fetcher().fetch()).changes.removed == ("secret/x.html",)
    assert "/secret/x" not in site.asked


async def test_hostile_pages_are_left_out_and_the_others_are_read(site, fetcher, tmp_path, monkeypatch):
    """Too large, too slow, broken, of a wrong type, in circles: each with its reason."""
    monkeypatch.setattr(client, "_LONGEST_REQUEST", 0.5)
    monkeypatch.setattr(website, "_LARGEST_PAGE", 2**20)
    monkeypatch.setattr(website, "_MOST_FAILURES", 50)
    hostile = {
        "/endless": (endless, "it has more than 1 megabyte"),
        "/dripping": (dripping, "it takes too long"),
        "/bomb": (BOMB, "it has more than 1 megabyte when it is unpacked"),
        "/broken": (sent(b"\x1f\x8bnot gzip", Content_Encoding="gzip"), "its compression is broken"),
        "/cut": (sent(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", Content_Encoding="gzip"), "it ends too early"),
        "/brotli": (sent(b"x", Content_Encoding="br"), "an encoding that wasn't asked for"),
        "/film": (sent(b"x", kind="video/mp4"), "its type, video/mp4, isn't read"),
        "/circle": (redirect("/circle"), "its redirects don't end"),
        "/away": (redirect("http://169.254.169.254/latest"), "it leads out of the hosts"),
        "/file": (redirect("file:///etc/passwd"), "it leads to no page"),
        "/secret": (sent(b"", status=403), "HTTP 403"),
    }
    site.pages = {"/": page("A", "One.", *hostile, "/good"), "/good": page("Good", "Two.")}
    site.pages |= {path: handler for path, (handler, _) in hostile.items()}
    fetched = await fetcher().fetch()
    assert set(texts(tmp_path)) == {"index.html", "good.html"}
    for path, (_, reason) in hostile.items():
        assert any(reason in note for note in fetched.notes), (path, fetched.notes)


async def test_endless_links_end_at_the_limits(site, fetcher, tmp_path):
    """Of pages and of depth; parts of a path that repeat are no pages."""

    async def calendar(request):
        day = int(request.query.get("day", "0"))
        links = "".join(f'<a href="/calendar?day={day + n}">x</a>' for n in range(1, 9))
        return sent_page(f"<h1>Day {day}</h1><p>Text {day}.</p>{links}<a href='/a/a/a/a/{day}'>loop</a>")

    def sent_page(text):
        from aiohttp import web

        return web.Response(text=text, content_type="text/html")

    site.pages = {"/": page("A", "One.", "/calendar"), "/calendar": calendar}
    fetched = await fetcher(pages=12).fetch()
    assert fetched.documents == 12
    assert any("12 pages are read at most" in note for note in fetched.notes)
    assert not any("/a/a" in path for path in site.asked)
    [bound] = [note for note in (await fetcher(pages=1).fetch()).notes if "at most" in note]
    assert bound.startswith("1 page not read, because 1 page is read at most: ")
    site.requests.clear()
    assert (await fetcher(depth=1).fetch()).documents == 2


async def test_a_website_that_stops_answering_is_given_up(site, fetcher):
    """After some pages in a row, not after thousands."""
    site.pages = {"/": page("A", "One.", *(f"/{n}" for n in range(40)))}
    site.pages |= {f"/{n}": sent(b"", status=500) for n in range(40)}
    with pytest.raises(SourceError, match="10 pages in a row could not be read"):
        await fetcher().fetch()


async def test_private_addresses_are_refused_unless_allowed(site, fetcher, tmp_path):
    """Whatever they are called, and at the moment of connecting."""
    site.pages = {"/": page("A", "One.")}
    for address in (site.address, site.address.replace("127.0.0.1", "localhost")):
        with pytest.raises(SourceError, match="is in a private network"):
            await fetcher(url=address, private=False).fetch()
    assert site.requests == []


async def test_a_host_is_looked_up_once_and_that_address_is_asked(site, fetcher, monkeypatch):
    """A name that leads to another address a moment later gains nothing."""
    answers = iter(["93.184.216.34", "127.0.0.1", "127.0.0.1"])
    asked = []

    async def getaddrinfo(host, port, **_):
        return [(2, 1, 6, "", (next(answers) if host == "rebinding.example" else host, port))]

    async def connect(request):
        asked.append((request.url.host, request.headers["host"], request.extensions["sni_hostname"]))
        raise client.httpx.ConnectError("nobody is there")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    transport = client.PinnedTransport(private=False)
    monkeypatch.setattr(transport._inner, "handle_async_request", connect)
    async with client.httpx.AsyncClient(transport=transport) as http:
        with pytest.raises(client.httpx.ConnectError):
            await http.get("https://rebinding.example/")
        with pytest.raises(SourceError, match="private network"):
            await http.get("https://rebinding.example/")
    assert asked == [("93.184.216.34", "rebinding.example", "rebinding.example")]


async def test_redirects_are_followed_within_the_hosts_only(fetcher, site):
    """Another server on this machine gets no request, unless it is among the hosts."""
    async with Website.running() as other:
        other.pages = {"/": page("Other", "Two.")}
        site.pages = {
            "/": page("A", "One.", "/moved", "/leave"),
            "/moved": redirect("/b"),
            "/leave": redirect(other.address),
        }
        site.pages["/b"] = page("B", "Bees.")
        assert (await fetcher().fetch()).documents == 2
        assert other.requests == []
        hosts = [address.removeprefix("http://") for address in (site.address, other.address)]
        assert (await fetcher(hosts=hosts).fetch()).documents == 3


async def test_a_sitemap_says_which_pages_there_are(site, fetcher, tmp_path):
    """With sitemaps that it refers to. Links are not followed then."""
    site.pages = {
        "/sitemap.xml": f"<?xml version='1.0'?><sitemapindex xmlns='x'><sitemap><loc>{site.address}/part.xml</loc></sitemap>"
        "</sitemapindex>",
        "/part.xml": f"<urlset xmlns='x'><url><loc>{site.address}/a</loc></url><url><loc>{site.address}/b</loc></url></urlset>",
        "/a": page("A", "One.", "/c"),
        "/b": page("B", "Two."),
        "/c": page("C", "Three."),
    }
    await fetcher(url=f"{site.address}/sitemap.xml").fetch()
    assert set(texts(tmp_path)) == {"a.html", "b.html"}


async def test_a_page_is_cited_by_its_canonical_address_and_stored_once(site, fetcher, tmp_path):
    """A variant that says what it is a variant of is left out; a page that wrongly calls itself the start page is not."""
    canonical = f'<link rel="canonical" href="{site.address}/%s">'
    site.pages = {
        "/": page("A", "One.", "/b?print=1", "/b", "/c", "/copy", "https://x.example/"),
        "/b": page("B", "Two.", head=canonical % "b"),
        "/b?print=1": page("B", "Two, to print.", head=canonical % "b"),
        "/c": page("C", "Three.", head=canonical % ""),
        "/copy": page("C", "Three.", head=canonical % ""),
    }
    await fetcher().fetch()
    found = addresses(tmp_path)
    assert set(found) == {"site:index.html", "site:b.html", "site:c.html"}
    assert found["site:b.html"] == f"{site.address}/b"


async def test_the_encoding_of_the_server_is_believed_and_other_formats_are_read(site, fetcher, tmp_path):
    """A PDF is a document like any other."""
    site.pages = {
        "/": page("A", "One.", "/western", "/paper"),
        "/western": sent("<p>Straße</p>".encode("cp1252"), kind="text/html; charset=windows-1252"),
        "/paper": sent(b"%PDF-1.4", kind="application/pdf"),
    }
    await fetcher().fetch()
    assert "Straße" in texts(tmp_path)["western.html"]
    assert "paper.pdf" in texts(tmp_path)


async def test_a_source_has_its_share_of_the_disk_and_one_fetch_at_a_time(site, fetcher, tmp_path):
    """Too much is refused as a whole."""
    site.pages = {"/": page("A", "One.", "/b"), "/b": page("B", "x" * 2_000_000)}
    with pytest.raises(SourceError, match="more than 1 megabyte"):
        await fetcher(megabytes=1).fetch()
    with SourceStore(tmp_path / "data", "site").exclusive(), pytest.raises(StorageError, match="being fetched already"):
        await fetcher().fetch()


def test_a_source_is_fetched_again_when_it_is_time(tmp_path):
    """At once if its settings have changed; sooner after a failure as a whole; and a clock that was set back holds nothing
    up."""
    from dataclasses import replace

    from bot.sources.store import SourceStatus

    source, _ = with_source(tmp_path, {"name": "s", "url": "https://x.example/", "interval_seconds": 3600})
    good = SourceStatus(tried=1000.0, fetched=1000.0, settings=settings_fingerprint(source))
    assert seconds_until_due(source, good, 2000.0) == 2600
    assert seconds_until_due(source, replace(good, fetched=0.0, problem="down"), 2000.0) < 0
    assert seconds_until_due(source, replace(good, problem="a part is down"), 2000.0) == 2600
    assert seconds_until_due(source, replace(good, settings="others"), 1001.0) <= 0
    assert seconds_until_due(source, good, 500.0) <= 0
    assert seconds_until_due(source, SourceStatus(), 500.0) <= 0


@pytest.mark.parametrize(
    "address",
    "127.0.0.1 10.1.2.3 169.254.169.254 0.0.0.0 ::1 ::ffff:10.0.0.1 64:ff9b::7f00:1 2002:7f00:1:: fe80::1%eth0 ::7f00:1 "
    "100.64.0.1 224.0.0.1".split(),
)
def test_an_address_within_a_private_network_is_known_in_any_form(address):
    assert not is_public(address)


def test_addresses_in_the_internet_are_public():
    assert is_public("93.184.216.34")
    assert is_public("2606:4700::1111")


@pytest.mark.parametrize(
    ("link", "address"),
    [
        ("b", "https://x.example/a/b"),
        ("HTTPS://X.example:443/c#d", "https://x.example/c"),
        ("../ü?q=ö", "https://x.example/%C3%BC?q=%C3%B6"),
        ("mailto:a@x.example", None),
        ("https://user@x.example/", None),
        ("http://[", None),
        ("/s/s/s/s/", None),
        ("/" + "x" * 3000, None),
    ],
)
def test_links_become_addresses_in_their_simplest_form(link, address):
    assert resolved("https://x.example/a/", link) == address


def test_files_are_called_like_their_pages_and_never_leave_their_folder():
    """And no two of them alike."""
    named = [
        ("https://x.example/", "index.html"),
        ("https://x.example/guide.html", "guide.html"),
        ("https://x.example/a.html/b", "a-html/b.html"),
        ("https://x.example/..%2F..%2Fetc/.ssh", "-..-etc/ssh.html"),
    ]
    for address, path in named:
        assert file_path(address, ".html", ()) == path
    assert file_path("https://x.example/guide", ".html", {"guide.html"}) not in ("guide.html", "")
    assert file_path("https://x.example/p?id=1", ".html", ()) != file_path("https://x.example/p?id=2", ".html", ())
    assert same_page("https://x.example/a/", "http://x.example/a/index.html?x=1")
