"""Without signing in, no route of the whole server gives data: each is tried from its own table of routes."""

import asyncio
import re

import pytest
from test_console_security import COOKIE, SECRET, untouched, walk

from bot.core.messages import Outcome
from bot.core.rights import OPEN_ROUTES
from bot.http.sessions import SessionRole, Sessions

TOKEN = "0123456789abcdef-those-who-ask"  # noqa: S105
OPEN = re.compile(r"/sign-(in|out)|/static(/.*)?|" + "|".join(map(re.escape, OPEN_ROUTES)))
# Ways to write a path that a server could take for another one than its guard does.
TRICKS = (
    "{path}/",
    "/{path}",
    "/.{path}",
    "/static/..{path}",
    "/static/%2e%2e{path}",
    "/health/live/../..{path}",
    "/health/live/%2e%2e/%2e%2e{path}",
    "/sign-in/..{path}",
    "/static%2f..{path}",
    "/health/live{path}",
    "/health/live;{path}",
    "/health/live%00{path}",
    "/health/live?{path}",
    "http://127.0.0.1/static{path}",
    "{upper}",
    "{encoded}",
)


@pytest.fixture
def console_settings(console_settings):
    """With a token for those who ask, too, so that nothing but signing in is open."""
    http = console_settings.http.model_dump() | {"token": TOKEN, "operator_token": console_settings.http.operator_token}
    return type(console_settings)(**console_settings.model_dump(exclude={"http"}), http=http)


def routes_of(server):
    """(method, path) of every route of the running server, those of its sites too."""
    for prefix, route in below("", server._server.config.app._app.routes):
        path = prefix + getattr(route, "path", "")
        path = re.sub(r"\{\w+(:path)?\}", lambda found: "discord" if "platform" in found[0] else "1", path)
        for method in getattr(route, "methods", None) or {"GET"}:
            yield method, path or "/"


def below(prefix, routes):
    for route in walk(routes):
        inner = getattr(getattr(route, "app", None), "routes", None)
        if inner is not None and not hasattr(route, "endpoint"):
            yield from below(prefix + route.path, inner)
        else:
            yield prefix, route


async def sent(console, method, path, cookie, origin):
    """(status, everything that comes back) of a request whose path is sent as it stands."""
    address = console.client.base_url
    body = b"question=q&answer=a&path=guide.md&token=x&then=publish" if method not in ("GET", "HEAD") else b""
    head = [
        f"{method} {path} HTTP/1.1",
        f"Host: {address.host}:{address.port}",
        f"Origin: {origin or str(address).rstrip('/')}",
        *([f"Cookie: {COOKIE}={cookie}"] if cookie else []),
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
    async with asyncio.timeout(20):
        told = (await reader.read()).decode(errors="replace")
    writer.close()
    return int(told.split()[1]), told


def cookies(console):
    """Sessions that open nothing: none, forged ones, and one of another start."""
    own = console.client.cookies[COOKIE]
    name, role, ends, signature = own.split(".")
    elsewhere = Sessions(console.application.settings.http)
    foreign = f"{name}.2.{ends}"
    return {
        "none": "",
        "changed signature": own[:-1] + ("0" if own[-1] != "0" else "1"),
        "changed role": f"{name}.{3}.{ends}.{signature}",
        "changed end": f"{name}.{role}.{int(ends) + 9999}.{signature}",
        "of another start": f"{foreign}.{elsewhere._signature('session', foreign)}",
        "no parts": "....",
    }


@pytest.fixture
async def secret(console):
    await console.ask(SECRET, SECRET, outcome=Outcome.DECLINED)
    await console.journal.entries.add(SECRET, SECRET)
    return console


def assert_nothing_is_given(case, status, told):
    # Of a path that leads nowhere, and of one that is refused, no more than that is said.
    assert SECRET not in told and "litres" not in told, case
    assert status in (303, 307, 400, 401, 403, 404, 405, 421) or OPEN.fullmatch(case[1].partition("?")[0]), (
        case,
        status,
    )


async def test_every_route_of_the_server_is_closed(secret):
    routes = sorted(set(routes_of(secret.server)))
    assert {"/console/questions", "/console/setup/discord", "/ask/questions", "/v1/answers", "/metrics", "/docs"} <= {
        path for _, path in routes
    }
    for name, cookie in cookies(secret).items():
        for origin in ("", "https://evil.example", "null"):
            for method, path in routes:
                status, told = await sent(secret, method, path, cookie, origin)
                assert_nothing_is_given((method, path, name, origin), status, told)
                if not OPEN.fullmatch(path):
                    assert status in (303, 401, 403), (method, path, name, origin, status)
    await untouched(secret)


async def test_no_way_to_write_a_path_opens_it(secret):
    paths = {path for method, path in routes_of(secret.server) if method == "GET" and not OPEN.fullmatch(path)}
    for path in sorted(paths):
        encoded = "/" + "".join(f"%{ord(letter):02x}" for letter in path[1:])
        for trick in TRICKS:
            written = trick.format(path=path, upper=path.upper(), encoded=encoded)
            status, told = await sent(secret, "GET", written, "", "")
            assert SECRET not in told and "litres" not in told, written
            shown = re.search(r"<h1>(.*?)</h1>", told)
            assert status != 200 or written.startswith(("/health/live?", "/static")), (written, status, shown)
    await untouched(secret)


async def test_who_may_only_ask_gets_nothing_of_the_console(secret):
    """Nor is anything else given to somebody who has signed in to ask."""
    response = await secret.client.post("/sign-in", data={"token": TOKEN})
    assert response.status_code == 303
    asker = secret.client.cookies[COOKIE]
    assert asker.split(".")[1] == str(int(SessionRole.ASKER))
    for method, path in sorted(set(routes_of(secret.server))):
        if path.startswith("/console") or path in ("/metrics", "/docs", "/openapi.json"):
            status, told = await sent(secret, method, path, asker, "")
            assert status in (303, 401, 403), (method, path, status)
            assert SECRET not in told
    await untouched(secret)
