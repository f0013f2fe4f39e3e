"""Signing in with a browser: what a cookie opens, what it doesn't, and how it ends."""

import asyncio
import itertools
import re
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import pytest
from adapters.http.http_application import TLS, TOKEN, HttpApplication
from fastapi import APIRouter, Form, Request

from bot.core.errors import SettingsError
from bot.core.settings import HttpSettings, load_settings
from bot.http.addresses import network_of
from bot.http.problems import Problem
from bot.http.sessions import SessionRole, Sessions, WrongTries
from bot.http.sites import Site, session_of

OPERATORS = "fedcba9876543210-the-operators"
HTML = {"Accept": "text/html,*/*"}
COOKIE = "knowledge_bot_session"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def sites_with(clock, done):
    """An operators' site that does something, and one for those who ask, whose sessions follow the clock."""

    def make(sessions: Sessions) -> list[Site]:
        sessions._now = sessions._wrong._now = clock
        operators, ask = APIRouter(), APIRouter()

        @operators.get("/data")
        async def data(request: Request) -> dict[str, str]:
            session = session_of(request)
            return {"kept": "data", "form": sessions.form_token(session, "/console/act")}

        @operators.post("/act")
        async def act(request: Request, form: Annotated[str, Form()] = "") -> dict[str, str]:
            sessions.require_form_token(session_of(request), "/console/act", form)
            done.append("acted")
            return {"acted": "yes"}

        @ask.get("/page")
        async def page() -> dict[str, str]:
            return {"ask": "page"}

        return [Site("/console", SessionRole.OPERATOR, operators), Site("/asking", SessionRole.ASKER, ask)]

    return make


@asynccontextmanager
async def serving(tmp_path, clock, done, **http):
    settings = {"port": 0, "operator_token": OPERATORS} | http
    async with HttpApplication(tmp_path, make_sites=sites_with(clock, done), http=settings) as application:
        application.client.headers["Origin"] = application.address
        yield application


@pytest.fixture
async def application(tmp_path, clock):
    done: list[str] = []
    async with serving(tmp_path, clock, done, token=TOKEN) as application:
        application.done = done
        yield application


async def sign_in(application, token=OPERATORS, **more):
    return await application.client.post("/sign-in", data={"token": token} | more)


async def test_the_operators_token_opens_the_console_until_signing_out(application):
    """And the cookie is one that no script and no other site can use."""
    response = await application.client.get("/console/data", headers=HTML)
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in?next=/console/data")
    form = await application.client.get(response.headers["location"])
    assert "http.operator_token" in form.text
    response = await sign_in(application, next="/console/data")
    assert (response.status_code, response.headers["location"]) == (303, "/console/data")
    cookie = response.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert OPERATORS not in cookie
    assert (await application.client.get("/console/data")).json()["kept"] == "data"
    assert (await application.client.get("/asking/page")).status_code == 200
    kept = application.client.cookies[COOKIE]
    response = await application.client.post("/sign-out")
    assert response.headers["location"] == "/sign-in"
    assert COOKIE not in application.client.cookies
    application.client.cookies[COOKIE] = kept  # of somebody who has copied it
    assert (await application.client.get("/console/data")).status_code == 303


async def test_the_token_for_asking_opens_only_what_is_for_asking(application):
    await sign_in(application, TOKEN)
    assert (await application.client.get("/asking/page")).json() == {"ask": "page"}
    assert (await application.client.get("/console/data")).status_code == 303
    assert (await application.client.post("/console/act")).status_code == 401
    assert not application.done


async def test_behind_tls_the_cookie_is_sent_over_tls_only(application):
    headers = {"X-Forwarded-Proto": "https"}
    response = await application.client.post("/sign-in", data={"token": OPERATORS}, headers=headers)
    assert "Secure" in response.headers["set-cookie"].split("; ")


async def test_a_session_ends_after_a_day_of_work(application, clock):
    await sign_in(application)
    clock.now += 12 * 3600 - 1
    assert (await application.client.get("/console/data")).status_code == 200
    clock.now += 2
    assert (await application.client.get("/console/data")).status_code == 303


async def test_neither_forged_nor_foreign_cookies_nor_bearer_tokens_open_the_console(application):
    """Also none of another role, of another start, or without a signature."""
    await sign_in(application, TOKEN)
    value = application.client.cookies[COOKIE]
    name, role, ends, signature = value.split(".")
    elsewhere = Sessions(HttpSettings(operator_token=OPERATORS))
    foreign = elsewhere.sign_in("127.0.0.1", OPERATORS)
    signed = f"{foreign.id}.2.{foreign.ends:.0f}"
    forged = [
        f"{name}.2.{ends}.{signature}",
        f"{name}.{role}.9{ends}.{signature}",
        f"{signed}.{elsewhere._signature('session', signed)}",
        f"{name}.2.{ends}.",
        f"{name}.2.{ends}",
        "",
        ".",
        "....",
        "\xff.2.9.\xff",
    ]
    bearer = {"Authorization": f"Bearer {OPERATORS}"}
    for cookie in forged:
        for headers in ({}, bearer):
            async with httpx.AsyncClient(base_url=application.address, verify=TLS, headers=headers) as client:
                sent = {"Cookie": f"{COOKIE}={cookie}".encode("latin-1")}
                assert (await client.get("/console/data", headers=sent)).status_code == 303
                sent["Origin"] = application.address
                assert (await client.post("/console/act", headers=sent)).status_code == 401
    assert not application.done


async def test_a_form_needs_its_token_and_a_page_of_this_server(application):
    await sign_in(application)
    token = (await application.client.get("/console/data")).json()["form"]
    post = application.client.post
    assert (await post("/console/act", data={})).status_code == 403
    assert (await post("/console/act", data={"form": "x" * 64})).status_code == 403
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    ):
        assert (await post("/console/act", data={"form": token}, headers=headers)).status_code == 403
    assert not application.done
    assert (await post("/console/act", data={"form": token})).status_code == 200
    # Behind a proxy that gives the server another name, the browser's own word counts.
    headers = {"Origin": "https://bot.example.org", "Sec-Fetch-Site": "same-origin"}
    assert (await post("/console/act", data={"form": token}, headers=headers)).status_code == 200
    assert application.done == ["acted", "acted"]


async def test_the_cookie_opens_nothing_but_the_sites(application):
    """Programs send the token; a browser's cookie asks nothing and shows no metrics."""
    await sign_in(application)
    assert (await application.client.get("/metrics")).status_code == 401
    assert (await application.ask("q")).status_code == 401
    assert not application.engine.asked


async def test_no_spelling_of_a_path_gets_around_the_signing_in(application):
    paths = (
        "/console/../console/data //console/data /asking/../console/data /static/../console/data /console%2Fdata "
        "/CONSOLE/data /console;/data /health/live/../../console/data /console//data /%63onsole/data"
    ).split()
    hosts = ("127.0.0.1", "127.0.0.1/health/live?", "127.0.0.1/static/x#")
    for path, host in itertools.product(paths, hosts):
        reader, writer = await asyncio.open_connection("127.0.0.1", application.server.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(10):
            told = await reader.read()
        writer.close()
        assert b"kept" not in told
        assert int(told.split()[1]) in (303, 307, 400, 401, 404)


async def test_wrong_tokens_are_limited_by_address(application, clock):
    """And then the right one is refused as well, for a while."""
    for _ in range(10):
        response = await sign_in(application, "wrong")
        assert response.status_code == 403
        assert "not a token of this bot" in response.text
    response = await sign_in(application)
    assert response.status_code == 429
    assert 0 < int(response.headers["retry-after"]) <= 900
    clock.now += 901
    assert (await sign_in(application)).status_code == 303


def test_tries_are_counted_by_network_and_not_without_end(clock):
    tries = WrongTries(clock)
    for _ in range(10):
        tries.count("10.0.0.1")
    with pytest.raises(Problem):
        tries.require_few("10.0.0.1")
    tries.require_few("10.0.0.2")
    clock.now += 899
    with pytest.raises(Problem, match=r"Try again in 1 second\."):
        tries.require_few("10.0.0.1")
    clock.now -= 899
    for number in range(12_000):
        tries.count(f"10.1.{number // 250}.{number % 250}")
    assert len(tries._at) == 10_000


@pytest.mark.parametrize(
    ("peer", "forwarded", "network"),
    [
        ("10.0.0.1", "", "10.0.0.1"),
        ("2001:db8:0:1::7", "", "2001:db8:0:1::/64"),
        ("::ffff:10.0.0.1", "", "10.0.0.1"),
        ("127.0.0.1", "203.0.113.5, 10.0.0.9", "10.0.0.9"),
        ("10.0.0.1", "203.0.113.5", "10.0.0.1"),
        ("127.0.0.1", "garbage", "garbage"),
    ],
)
def test_an_ipv6_network_counts_as_one_and_only_a_proxy_on_this_machine_is_believed(peer, forwarded, network):
    """Whoever has an IPv6 network has endless addresses, and anybody may send the header."""
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    assert network_of(Request({"type": "http", "client": (peer, 1), "headers": headers})) == network


async def test_signing_in_leads_nowhere_else(application):
    for path in ("https://evil.example", "//evil.example", "/\\evil.example", "/metrics", "/console\\x"):
        assert (await sign_in(application, next=path)).headers["location"] == "/"


async def test_without_tokens_asking_is_open_on_this_machine_and_the_console_closed(tmp_path, clock):
    async with serving(tmp_path, clock, [], operator_token="") as application:
        assert (await application.client.get("/asking/page")).status_code == 200
        foreign = {"Origin": "https://evil.example"}
        assert (await application.client.get("/asking/page", headers=foreign)).status_code == 403
        assert (await application.client.get("/asking/page", headers={"Host": "evil.example"})).status_code == 421
        response = await application.client.get("/console/data", headers=HTML)
        assert response.status_code == 403
        assert "http.operator_token" in response.text
        assert (await sign_in(application, "")).status_code in (403, 422)
        assert (await sign_in(application, " ")).status_code == 403


async def test_pages_run_no_script_of_others_and_escape_what_comes_from_outside(application):
    response = await application.client.get("/sign-in", params={"next": '/console/"><script>alert(1)</script>'})
    assert "<script>alert" not in response.text
    assert "&lt;script&gt;" in response.text
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    response = await application.client.get("/<script>alert(1)</script>", headers=HTML)
    assert "<script>" not in response.text
    assert re.search(r"<h1>\w+", response.text)
    assert (await application.client.get("/static/page.css")).headers["content-type"].startswith("text/css")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('operator_token = "short"', "too easy to guess"),
        (f'operator_token = "{TOKEN}"\ntoken = "{TOKEN}"', "the same as http.token"),
    ],
)
def test_a_weak_operators_token_is_refused(tmp_path, content, said):
    file = tmp_path / "bot.toml"
    file.write_text(f"[http]\n{content}\n")
    with pytest.raises(SettingsError, match=said):
        load_settings(file)
