"""The HTTP server around the questions: access, limits, timeouts, and the views for an operator."""

import asyncio
import html
import os
import re
import resource
import socket

import httpx
import pytest
from adapters.http.http_application import TLS, TOKEN, HttpApplication, until
from fastapi import APIRouter
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from bot import __version__
from bot.core.errors import SettingsError
from bot.core.settings import HttpSettings, Settings, load_settings
from bot.http import connections, guard, limits
from bot.http.server import HttpServer
from bot.observability.health import Health

BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def application(tmp_path):
    async with HttpApplication(tmp_path) as application:
        yield application


@pytest.fixture
async def closed_application(tmp_path):
    """One that a token is needed for."""
    async with HttpApplication(tmp_path, http={"port": 0, "token": TOKEN}) as application:
        yield application


async def raw(application: HttpApplication, *pieces: bytes, pause: float = 0.0) -> bytes:
    """The response of the server to these bytes, until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", application.server.port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause)
    async with asyncio.timeout(10):
        told = await reader.read()
    writer.close()
    return told


# --- health -----------------------------------------------------------------------------------------------------------


async def test_live_says_that_the_process_lives(application):
    """Also where all components are down."""
    application.health.component("discord").failed("no token")
    response = await application.client.get("/health/live")
    assert (response.status_code, response.json()) == (200, {"status": "live", "version": __version__})


async def test_ready_names_each_component_and_is_503_until_all_are(application):
    """With its state, since when, and what to do."""
    discord = application.health.component("discord")
    response = await application.client.get("/health/ready")
    assert response.status_code == 503
    assert [(c["name"], c["state"]) for c in response.json()["components"]] == [
        ("http", "ready"),
        ("discord", "starting"),
    ]
    discord.ready()
    response = await application.client.get("/health/ready")
    assert (response.status_code, response.json()["status"]) == (200, "ready")
    discord.failed("Discord refuses the token; make a new one")
    response = await application.client.get("/health/ready")
    assert response.status_code == 503
    assert "make a new one" in response.json()["components"][1]["detail"]


async def test_without_the_token_ready_says_nothing_but_whether(closed_application):
    """The problems are the operator's business."""
    closed_application.health.component("discord").down("10.0.0.7 refused")
    response = await closed_application.client.get("/health/ready")
    assert (response.status_code, response.json()) == (503, {"status": "not ready"})
    response = await closed_application.client.get("/health/ready", headers=BEARER)
    assert "10.0.0.7" in response.text


# --- metrics ----------------------------------------------------------------------------------------------------------


async def figures(application: HttpApplication) -> dict[tuple[str, ...], float]:
    response = await application.client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


async def test_metrics_count_what_is_asked(application):
    """By platform and outcome, with the requests that brought it."""
    before = await figures(application)
    await application.ask("q")
    await application.ask("unknown")
    await application.client.get("/nothing/here")
    await application.ask("")
    await until(lambda: not application.dispatcher.admission.unfinished)
    after = await figures(application)

    def risen(*name: str) -> float:
        return after[name] - before.get(name, 0.0)

    assert risen("knowledge_bot_questions_accepted_total", "http") == 2
    assert risen("knowledge_bot_questions_total", "answered", "http") == 1
    assert risen("knowledge_bot_questions_total", "declined", "http") == 1
    assert risen("knowledge_bot_stage_seconds_count", "waited") == 2
    assert risen("knowledge_bot_http_requests_total", "/v1/answers", "200") == 2
    assert risen("knowledge_bot_http_requests_total", "/v1/answers", "422") == 1
    assert risen("knowledge_bot_http_requests_total", "other", "404") == 1
    assert after["knowledge_bot_questions_unfinished",] == 0
    assert after["process_resident_memory_bytes",] > 1e6


async def test_metrics_show_what_waits_and_which_components_are_up(application):
    """As it is in the moment of asking."""
    application.health.component("discord").down("x")
    application.engine.may_answer.clear()
    asking = asyncio.create_task(application.ask("q"))
    await until(lambda: application.engine.asked)
    told = await figures(application)
    assert told["knowledge_bot_questions_unfinished",] == 1
    assert told["knowledge_bot_component_up", "http"] == 1
    assert told["knowledge_bot_component_up", "discord"] == 0
    application.engine.may_answer.set()
    await asking


# --- who may ask ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [{}, {"Authorization": TOKEN}, {"Authorization": f"Basic {TOKEN}"}, {"Authorization": f"Bearer {TOKEN[:-1]}"}],
)
async def test_without_the_right_token_nothing_is_asked(closed_application, header):
    """Nor are figures shown; the wrong one is not repeated."""
    for response in (
        await closed_application.ask("q", headers=header),
        await closed_application.client.get("/metrics", headers=header),
        await closed_application.client.get("/docs", headers=header),
        await closed_application.client.get("/openapi.json", headers=header),
        await closed_application.client.get("/", headers=header),
        await closed_application.client.get("/v1/models", headers=header),
        await closed_application.client.post("/v1/chat/completions", content=b"{", headers=header),
        await closed_application.client.get("//v1/models", headers=header),
        await closed_application.client.get("/v1/%6dodels", headers=header),
    ):
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert TOKEN[:-1] not in response.text
    assert not closed_application.engine.asked


async def test_with_the_token_everything_is_open(closed_application):
    """By any name: a client with the token may come through a proxy, and from a page."""
    response = await closed_application.ask(
        "q", headers=BEARER | {"Host": "bot.example.com", "Origin": "https://example.com"}
    )
    assert response.status_code == 200
    assert (await closed_application.client.get("/metrics", headers=BEARER)).status_code == 200


async def test_tokens_are_compared_in_constant_time(closed_application, monkeypatch):
    """Nobody can find the token letter by letter: the comparison is hmac's."""
    compared = []
    monkeypatch.setattr(guard.hmac, "compare_digest", lambda a, b: compared.append((a, b)) or a == b)
    await closed_application.ask("q", headers={"Authorization": "Bearer wrong"})
    assert compared == [(b"wrong", TOKEN.encode())]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "10.0.0.1", "[::2]", "", "x]["]
)
async def test_a_name_that_leads_here_is_refused_without_a_token(application, host):
    """A page whose own name is made to resolve to this machine could ask otherwise (DNS rebinding)."""
    for response in (
        await application.ask("q", headers={"Host": host}),
        await application.client.get("/health/ready", headers={"Host": host}),
        await application.client.get("/docs", headers={"Host": host}),
    ):
        assert response.status_code in (400, 421)
    assert not application.engine.asked


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "127.0.0.1", "127.0.0.1:80", "[::1]:8080", "LOCALHOST"]
)
async def test_the_names_of_this_machine_are_served(application, host):
    """With or without a port."""
    assert (await application.ask("q", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("token", ["", TOKEN])
async def test_a_webhook_sees_to_it_itself_who_may_use_it(tmp_path, token):
    """It is called by the platform, through a proxy, by a public name, and knows no token of ours."""
    router = APIRouter()
    router.add_api_route("/hook/updates", lambda: "taken", methods=["POST"])
    async with HttpApplication(tmp_path, router, http={"port": 0, "token": token}) as application:
        public = {"Host": "bot.example.com", "Origin": "https://example.com"}
        assert (await application.client.post("/hook/updates", headers=public)).json() == "taken"
        assert (await application.client.post("/hook/updates/more", headers=public)).status_code in (401, 421)
        assert "/hook" not in (await application.client.get("/openapi.json", headers={"Host": "localhost"})).text


async def test_a_web_page_of_another_site_cannot_ask(application):
    """Neither openly, nor as a form, nor by asking for permission first; nothing says that it may read."""
    port = application.server.port
    asked = await application.ask("q", headers={"Origin": "https://evil.example"})
    form = await application.client.post(
        "/v1/answers", content=b'{"question": "q"}', headers={"Content-Type": "text/plain"}
    )
    permission = await application.client.request(
        "OPTIONS", "/v1/answers", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    )
    own = await application.ask("q", headers={"Origin": f"http://127.0.0.1:{port}"})
    assert [response.status_code for response in (asked, form, permission, own)] == [403, 415, 403, 200]
    for response in (asked, form, permission, own):
        assert not [name for name in response.headers if name.startswith("access-control")]
    assert len(application.engine.asked) == 1


def test_beyond_this_machine_a_token_is_needed(tmp_path, monkeypatch):
    """The bot doesn't start without one, and says how to get one."""
    file = tmp_path / "bot.toml"
    for host in ("0.0.0.0", "::", "192.168.1.5", "bot.example.com"):  # noqa: S104
        file.write_text(f'[http]\nhost = "{host}"\n')
        with pytest.raises(SettingsError, match=r"bot.toml line 1: http: .*set http.token \(openssl rand -hex 32"):
            load_settings(file)
        monkeypatch.setenv("BOT_HTTP__TOKEN", TOKEN)
        assert not load_settings(file).http.local
        monkeypatch.delenv("BOT_HTTP__TOKEN")
    for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"):
        assert Settings(http={"host": host}).http.local


def test_a_short_token_is_refused(tmp_path):
    """Somebody would guess it; it isn't repeated."""
    file = tmp_path / "bot.toml"
    file.write_text('[http]\ntoken = "hunter2"\n')
    with pytest.raises(SettingsError, match="too easy to guess") as error:
        load_settings(file)
    assert "hunter2" not in str(error.value)


# --- how much, how long -----------------------------------------------------------------------------------------------


async def test_a_large_body_is_refused_before_it_is_read(tmp_path, monkeypatch):
    """Whether its size is announced or not."""
    monkeypatch.setattr(limits, "LARGEST_BODY", 1000)
    async with HttpApplication(tmp_path, http={"port": 0}) as application:
        announced = await application.ask("q" * 2000)

        assert announced.status_code == 413
        assert "up to 1000 bytes" in announced.json()["detail"]
        assert (await application.ask("q")).status_code == 200
        head = b"POST /v1/answers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        assert b" 413 " in await raw(application, head + b"Content-Length: 99999999999\r\n\r\n{")
        chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + b"200\r\n" + b"x" * 512 + b"\r\n"
        assert b" 413 " in await raw(application, chunked, b"200\r\n" + b"x" * 512 + b"\r\n")


async def test_a_body_that_never_comes_is_given_up(application, monkeypatch):
    """It would hold a connection for ever."""
    monkeypatch.setattr(limits, "_BODY_SECONDS", 0.1)
    head = (
        b"POST /v1/answers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    )
    told = await raw(application, head)
    assert b" 408 " in told
    assert b"application/problem+json" in told


async def test_a_head_that_never_comes_is_given_up(application, monkeypatch):
    """At once after connecting, and after an answered request too."""
    monkeypatch.setattr(connections, "_HEAD_SECONDS", 0.2)
    assert await raw(application, b"GET /health/live HTT") == b""
    told = await raw(application, b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /hea", pause=0.05)
    assert told.count(b"HTTP/1.1") == 1


async def test_idle_connections_lock_nobody_out(tmp_path, monkeypatch):
    """Beyond the limit the one that has been idle for longest is closed at once; those that ask go on."""
    monkeypatch.setattr(connections, "_MOST_CONNECTIONS", 20)
    async with HttpApplication(tmp_path, http={"port": 0}) as application:
        application.engine.may_answer.clear()
        asking = asyncio.create_task(application.ask("q"))
        await until(lambda: application.engine.asked)
        idle = [await asyncio.open_connection("127.0.0.1", application.server.port) for _ in range(300)]
        there = application.server._server.server_state.connections
        await until(lambda: len(there) == 20)
        closed = [reader for reader, _ in idle[:281]]
        async with asyncio.timeout(5):
            assert await asyncio.gather(*(reader.read() for reader in closed)) == [b""] * 281
        async with httpx.AsyncClient(base_url=application.address, verify=TLS) as another:
            assert (await another.get("/health/live")).status_code == 200
        application.engine.may_answer.set()
        assert (await asking).status_code == 200
        for _, writer in idle:
            writer.close()


async def test_where_all_connections_ask_a_further_one_is_closed(tmp_path, monkeypatch):
    """At once, and none of the others."""
    monkeypatch.setattr(connections, "_MOST_CONNECTIONS", 2)
    async with HttpApplication(tmp_path, http={"port": 0}) as application:
        application.engine.may_answer.clear()
        asking = [asyncio.create_task(application.ask(text)) for text in ("a", "b")]
        await until(lambda: len(application.engine.asked) == 2)
        assert await raw(application) == b""
        application.engine.may_answer.set()
        assert [response.status_code for response in await asyncio.gather(*asking)] == [200, 200]


async def test_an_address_that_asks_on_every_connection_locks_no_other_out(tmp_path, monkeypatch):
    """Its latest connection makes room; who comes from elsewhere is served, also on a connection that has been idle."""
    monkeypatch.setattr(connections, "_MOST_CONNECTIONS", 5)
    half = (
        b"POST /v1/answers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    )
    async with (
        HttpApplication(tmp_path, http={"port": 0}) as application,
        httpx.AsyncClient(base_url=application.address, verify=TLS) as another,
    ):
        assert (await another.get("/health/live")).status_code == 200
        there = application.server._server.server_state.connections
        greedy = []
        for _ in range(5):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", application.server.port, local_addr=("127.0.0.2", 0)
            )
            writer.write(half)
            greedy.append((reader, writer))
            await asyncio.sleep(0.02)
        await until(lambda: len(there) == 5)
        assert (await another.get("/health/live")).status_code == 200
        async with httpx.AsyncClient(base_url=application.address, verify=TLS) as newcomer:
            assert (await newcomer.get("/health/live")).status_code == 200
        for _, writer in greedy:
            writer.close()


@pytest.mark.slow
async def test_with_few_descriptors_accepting_pauses(application, monkeypatch):
    """One line a pause, where the event loop would write thousands; then all are served."""
    loop, lines = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: lines.append(context["message"]))
    monkeypatch.setattr(connections, "_PAUSE_SECONDS", 0.5)
    clients = [socket.socket() for _ in range(50)]
    for client in clients:
        client.setblocking(False)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.close(next_one := os.dup(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_one + 5, limit[1]))
    try:
        for client in clients:
            client.connect_ex(("127.0.0.1", application.server.port))
        await asyncio.sleep(2.5)
        held = len(application.server._server.server_state.connections)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    assert held < 50
    assert 1 <= len(lines) <= 4
    await until(lambda: len(application.server._server.server_state.connections) >= 50)
    assert (await application.client.get("/health/live")).status_code == 200
    for client in clients:
        client.close()


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"\x16\x03\x01\x02\x00\x01",
        pytest.param(b"GET / HTTP/9.9\r\n\r\n", marks=pytest.mark.slow),
        b"\r\n" * 5 + b"nonsense\r\n\r\n",
    ],
)
async def test_what_is_no_http_hurts_nobody(application, bytes_sent):
    """TLS on the plain port, say."""
    told = await raw(application, bytes_sent)
    assert b"200" not in told
    assert (await application.client.get("/health/live")).status_code == 200


# --- errors and pages -------------------------------------------------------------------------------------------------


async def test_a_server_without_an_api_has_its_health_and_its_page():
    """Routers are passed in, and there may be none."""
    server = HttpServer(HttpSettings(port=0), Health())
    serving = asyncio.create_task(server.run())
    async with asyncio.timeout(10), httpx.AsyncClient(verify=TLS) as client:
        await server.listening.wait()
        for path in ("/health/live", "/docs", "/openapi.json"):
            assert (await client.get(f"{server.address}{path}")).status_code == 200
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    await server.close()


async def test_every_error_is_a_problem(application):
    """Also those that the framework makes."""
    for response, status in (
        (await application.client.get("/nothing"), 404),
        (await application.client.get("/v1/answers"), 405),
        (await application.client.delete("/health/live"), 405),
    ):
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        problem = response.json()
        assert (problem["type"], problem["status"]) == ("about:blank", status)
        assert problem["title"] and problem["detail"]


async def test_a_bug_is_a_problem_with_a_reference_and_no_trace(application, monkeypatch):
    """The trace is in the log, once, under the same reference."""
    monkeypatch.setattr(application.adapter.requests, "begin", None)
    with capture_logs() as log:
        response = await application.ask("a secret text")
    assert response.status_code == 500
    assert "Traceback" not in response.text
    [line] = [line for line in log if line["event"] == "request failed"]
    assert f"(reference {line['reference']})" in response.json()["detail"]
    assert isinstance(line["exc_info"], TypeError)


async def test_the_page_on_the_api_loads_nothing_from_elsewhere(application):
    """The bot works without a network, and tells nobody who reads its page."""
    page = (await application.client.get("/docs")).text.replace(application.address, "")
    for path in ("/v1/answers", "/v1/chat/completions", "/v1/models", "/health/live", "/health/ready", "/metrics"):
        assert path in page
    assert "<script" not in page
    assert "http://" not in page.replace("http://json-schema.org", "") and "//cdn" not in page
    description = (await application.client.get("/openapi.json")).json()
    assert description["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert description["components"]["schemas"]["Ask"]["properties"]["question"]["type"] == "string"


async def test_the_examples_of_the_description_run(application):
    """As they stand there, by curl."""
    page = (await application.client.get("/docs")).text
    commands = [html.unescape(found) for found in re.findall(r"<h3>.*?<pre[^>]*>(curl.*?)</pre>", page, re.DOTALL)]
    assert len(commands) == 5
    application.health.component("http").ready()
    for command in commands:
        curl = await asyncio.create_subprocess_shell(
            f"{command} --fail --silent --max-time 20", stdout=asyncio.subprocess.PIPE
        )
        said, _ = await curl.communicate()
        assert (curl.returncode, b"answer" in said or b"ready" in said) == (0, True), command


def test_a_shortage_of_descriptors_is_no_fault_of_the_port():
    """It passes, so it must not end HTTP for good as a port that is taken does."""
    server = HttpServer(HttpSettings(port=0), Health())
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            server.listen()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    server.listen().close()


async def test_a_server_that_failed_is_closed_without_its_error():
    """Supervision has reported it and starts the server again; a bot that stops before that stops in order."""
    server = HttpServer(HttpSettings(port=0), Health())
    server.listen().close()  # what is closed can't be listened on
    with pytest.raises(OSError, match="Bad file descriptor"):
        await server.run()
    await server.close()
