"""Nothing of the console is reached, and nothing is done, without a session, its form and its page."""

import asyncio
import re

import httpx
import pytest
from adapters.http.http_application import TLS

from bot.core.messages import Citation, Outcome, Policy
from bot.http.sessions import Sessions

SECRET = "the-secret-question"  # noqa: S105 - what may not be seen
EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
COOKIE = "knowledge_bot_session"


def routes():
    """(method, path) of every route that the console has."""
    from bot.console.parts import Parts
    from bot.console.site import console_site
    from bot.core.settings import HttpSettings, Settings
    from bot.questions.administration import Administration

    nothing = None
    administration = Administration(Settings(), *[nothing] * 5)  # type: ignore[arg-type]
    app = console_site(Parts(administration, nothing, nothing, dict, nothing), Sessions(HttpSettings())).app
    return [
        (method, f"/console{route.path}".replace("{entry}", "1"))
        for route in walk(app.routes)
        for method in (getattr(route, "methods", None) or {"GET"})
    ]


def walk(found):
    """The routes themselves, also those of routers within."""
    for route in found:
        inner = getattr(route, "original_router", None)
        yield from walk(inner.routes) if inner is not None else [route]


ROUTES = routes()


@pytest.fixture
async def secret(console):
    """Something in each place that the console shows."""
    entry = await console.ask(SECRET, SECRET, outcome=Outcome.DECLINED)
    assert entry == 1
    assert await console.journal.entries.add(SECRET, SECRET) == 1
    return console


async def untouched(console):
    folder = console.application.settings.knowledge.folder
    assert [file.name for file in folder.iterdir()] == ["guide.md"]
    assert [entry.question for entry in await console.journal.entries.all()] == [SECRET]
    assert (await console.journal.history.one(1)).wrong == 0


def test_all_routes_are_tried():
    assert len([path for method, path in ROUTES if method == "POST"]) == 11
    assert {path for method, path in ROUTES if method == "GET"} >= {
        "/console/questions",
        "/console/static",
        "/console/",
    }


async def test_no_route_is_reached_without_a_session(secret):
    """Without a cookie, with one that is forged, of another start, or over; and whatever the request claims to be."""
    elsewhere = Sessions(secret.application.settings.http)
    session = elsewhere.sign_in("127.0.0.1", secret.application.settings.http.operator_token.get_secret_value())
    value = f"{session.id}.2.{session.ends:.0f}"
    foreign = f"{value}.{elsewhere._signature('session', value)}"
    good = secret.client.cookies[COOKIE]
    forged = good[:-1] + ("0" if good[-1] != "0" else "1")
    token = await secret.form_token("/entries", "/entries")
    await secret.client.post("/sign-out")
    address = str(secret.client.base_url)
    for cookie in ("", forged, foreign, good):  # the last was ended
        headers = {
            "Cookie": f"{COOKIE}={cookie}",
            "Origin": address,
            "Authorization": "Bearer x",
            "X-Forwarded-User": "a",
        }
        async with httpx.AsyncClient(base_url=address, verify=TLS, headers=headers) as client:
            for method, path in ROUTES:
                data = {"form_token": token, "question": "q", "answer": "a", "path": "guide.md"}
                response = await client.request(method, path, data=data if method == "POST" else None)
                assert response.status_code == (401 if method not in ("GET", "HEAD") else 303), (method, path)
                assert SECRET not in response.text
    await untouched(secret)


async def test_no_form_is_carried_out_without_its_token_or_from_elsewhere(secret):
    posts = [path for method, path in ROUTES if method == "POST"]
    other = await secret.form_token("/entries", "/entries")
    fields = {"question": "q", "answer": "a", "path": "guide.md", "unanswerable": "true", "then": "publish"}
    for path in posts:
        for token in (None, "", "x", other if path != "/console/entries" else "0" * 64):
            data = fields | ({"form_token": token} if token is not None else {})
            files = {"file": ("new.md", b"# New\n\nText.\n")} if path == "/console/documents" else None
            response = await secret.client.post(path, data=data, files=files)
            assert response.status_code == 403, path
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        data = fields | {"form_token": other}
        if headers.get("Sec-Fetch-Site"):
            headers["Origin"] = "https://evil.example"
        response = await secret.client.post("/console/entries", data=data, headers=headers)
        assert response.status_code == 403
    await untouched(secret)


async def test_no_path_leads_out(secret):
    paths = (
        "/console/static/../../site.py /console/static/%2e%2e/%2e%2e/site.py /console/static//etc/passwd "
        "/static/..%2ftemplates/page.html /static/../sessions.py /console/questions/../../metrics "
        "/console/questions/1%00 /console/questions/-1 /console/questions/99999999999999999999999 "
        "/console/questions?after=1,99999999999999999999999"
    ).split()
    for path in paths:
        reader, writer = await asyncio.open_connection(secret.client.base_url.host, secret.client.base_url.port)
        cookie = f"Cookie: {COOKIE}={secret.client.cookies[COOKIE]}"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{cookie}\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(10):
            told = await reader.read()
        writer.close()
        assert int(told.split()[1]) in (200, 303, 307, 400, 401, 404, 422)
        assert b"import" not in told
        assert b"root:" not in told


async def test_what_comes_from_outside_is_escaped_everywhere(console):
    """Questions, answers, sources, places, file names, remarks, entries, golden questions and policies."""
    citation = Citation(EVIL, EVIL, (EVIL,), None, None, None, EVIL, "javascript:alert(1)")
    entry = await console.ask(
        EVIL, EVIL, outcome=Outcome.SUGGESTED, confidence=0.3, citations=(citation,), retrieved=(EVIL,)
    )
    await console.ask(EVIL + "?", EVIL, outcome=Outcome.DECLINED, retrieved=(EVIL,))
    await console.journal.entries.add(EVIL, EVIL)
    await console.journal.platforms.set_policy("discord", EVIL, Policy.OFF)
    folder = console.application.settings.knowledge.folder
    (folder / "<script>alert(1)<script>.md").write_text(f"# {EVIL}\n\nThe evil thing is {EVIL} here.\n")
    (folder / "<script>alert(2)<script>.pdf").write_bytes(b"nothing")
    await console.application.indexer.index_folder(folder)
    console.application.health.component(EVIL).down(EVIL)
    await console.until_gone("are being grouped", "/gaps")
    pages = [
        *("/questions /gaps /entries /documents /threshold /quality /health /settings".split()),
        f"/questions/{entry}",
    ]
    texts = [await console.get(page) for page in pages]
    texts += [
        await console.get("/explain", text=EVIL),
        await console.get("/questions", text=EVIL, chat=EVIL, platform=EVIL),
    ]
    for text in texts:
        assert len(re.findall(r"<script", text)) == 1  # its own
        assert "<img" not in text
        assert "javascript:" not in text
    assert sum("&lt;script&gt;" in text for text in texts) >= 9


async def test_a_session_says_who_is_signed_in_to_no_cache_and_no_frame(console):
    response = await console.client.get("/console/questions")
    assert response.headers["cache-control"] == "no-store"
    policy = response.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert " style=" not in response.text
    assert not re.search(r"\son\w+=", response.text)
