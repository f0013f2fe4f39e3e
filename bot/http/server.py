"""One port for what speaks HTTP: questions, health, metrics, and routers that other rooms bring along (webhooks).

Who may ask: without a token only this machine reaches the server, and no web page does through a browser that runs on it;
with a token whoever sends it. Whether the process lives and is ready anybody may know; what is wrong, only who may ask.
Runs on the event loop of the daemon.
"""

import asyncio
import hmac
import json
import math
import secrets
import socket
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from html import escape
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import structlog
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse
from fastapi.security import HTTPBearer
from prometheus_client.exposition import choose_encoder
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from bot import __version__
from bot.adapters.http import HttpAdapter, answers_router, openai_router
from bot.core.errors import SettingsError
from bot.core.messages import Address, Answer, Delivery, Update
from bot.core.settings import HttpSettings
from bot.http.problems import Problem
from bot.observability import metrics
from bot.observability.health import Health

_log = structlog.stdlib.get_logger(__name__)
# Seconds that a client may take to send the head of a request, and its body.
_HEAD_SECONDS = 10.0
_BODY_SECONDS = 30.0
# Seconds for the last responses to go out when the bot stops.
_LAST_RESPONSES = 2.0
# As many mistakes in one request as anybody reads.
_MOST_ERRORS = 20
_OPENAI_PATHS = ("/v1/chat/", "/v1/models")


class HttpServer:
    """The server, and the Adapter of those who ask there. `port` is the one that it listens on, once `listening` is set."""

    name = HttpAdapter.name

    def __init__(
        self, settings: HttpSettings, routers: Sequence[APIRouter], *, api: HttpAdapter, health: Health
    ) -> None:
        """`routers` see to it themselves who may use them."""
        self._settings = settings
        self._api = api
        self._make_app = partial(_application, settings, routers, api, health)
        self._listener: socket.socket | None = None
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self.port = settings.port
        self.listening = asyncio.Event()

    def listen(self) -> socket.socket:
        """Take the port, so that it is there when `run` comes. Raises SettingsError where that can't be."""
        host, port = self._settings.host, self._settings.port
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._listener = socket.create_server((host, port), family=family)
        except OSError as error:
            raise SettingsError(
                [f"http.host, http.port: {host}:{port} can't be listened on ({error.strerror}); choose another port"]
            ) from error
        self.port = self._listener.getsockname()[1]
        return self._listener

    async def run(self) -> None:
        """Serve until cancelled; requests that wait for their answer then go on until `close`. Raises what `listen` raises."""
        listener = self._listener or self.listen()
        app = await asyncio.to_thread(self._make_app)  # which takes longer than the event loop may be held up
        self._server = _Server(_configuration(app, self._settings))
        self._serving = asyncio.create_task(self._server.serve([listener]), name="http")
        try:
            self.listening.set()
            _log.info("http server listening", address=self.address)
            await asyncio.shield(self._serving)
        finally:
            self.listening.clear()
            self._server.should_exit = True
            self._listener = None  # the server closes it

    async def close(self) -> None:
        """Tell who still waits that the bot stops, and end."""
        self._api.refuse()
        if self._server is not None and self._serving is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_RESPONSES):
                    await asyncio.shield(self._serving)
            self._server.force_exit = True
            await asyncio.gather(self._serving, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()
        await self._api.close()

    @property
    def trouble(self) -> str | None:
        return None if self.listening.is_set() else "it doesn't listen yet"

    @property
    def needs_token(self) -> bool:
        return bool(self._settings.token.get_secret_value())

    @property
    def address(self) -> str:
        host = self._settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def deliver(self, address: Address, answer: Answer, delivery: Delivery) -> None:
        await self._api.deliver(address, answer, delivery)

    async def progress(self, address: Address, update: Update) -> None:
        await self._api.progress(address, update)


# --- what is served ---------------------------------------------------------------------------------------------------


def _application(settings: HttpSettings, routers: Sequence[APIRouter], api: HttpAdapter, health: Health) -> ASGIApp:
    app = FastAPI(
        title="knowledge-bot",
        version=__version__,
        description="Answers from the operator's own documents, in their own words, with where they stand.",
        docs_url=None,  # those pages load scripts from elsewhere; `_pages` has one that doesn't
        redoc_url=None,
        openapi_url=None,
        exception_handlers={
            Problem: _on_problem_raised,
            HTTPException: _on_http_exception,
            RequestValidationError: _on_invalid_request,
            Exception: _on_bug,
        },
    )
    webhooks = {getattr(route, "path", "") for router in routers for route in router.routes}
    guard = _Guard(settings.token.get_secret_value(), webhooks)
    for router in (answers_router(api), openai_router(api)):
        app.include_router(router, dependencies=[Depends(_BEARER)])
    app.include_router(_monitoring(health, guard))
    app.include_router(_pages(app))
    for router in routers:
        app.include_router(router, include_in_schema=False)
    return _Outermost(app, guard, settings.body_bytes)


def _monitoring(health: Health, guard: "_Guard") -> APIRouter:
    router = APIRouter(tags=["monitoring"])

    @router.get("/health/live", summary="Whether the process lives")
    async def live() -> dict[str, str]:
        return {"status": "live", "version": __version__}

    @router.get(
        "/health/ready",
        summary="Whether every component does its work; each with its state, since when, and what is wrong",
        response_class=JSONResponse,
        responses={503: {"description": "The bot isn't ready."}},
    )
    async def ready(request: Request) -> Response:
        told = health.to_json()
        content = told if guard.admits(request) else {"status": told["status"]}
        return JSONResponse(content, HTTPStatus.OK if health.ready else HTTPStatus.SERVICE_UNAVAILABLE)

    @router.get(
        "/metrics", summary="Figures for Prometheus", dependencies=[Depends(_BEARER)], response_class=PlainTextResponse
    )
    async def figures(request: Request) -> Response:
        for report in health.reports:
            metrics.COMPONENTS.labels(report.name).set(report.state.serves)
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(metrics.REGISTRY), headers={"Content-Type": media_type})

    return router


def _pages(app: FastAPI) -> APIRouter:
    """What there is so far, described."""
    router = APIRouter(include_in_schema=False)
    described = app.openapi()
    shown = _as_page(described)

    @router.get("/")
    async def start() -> Response:
        return RedirectResponse("/docs")

    @router.get("/openapi.json")
    async def description() -> Response:
        return JSONResponse(described)

    @router.get("/docs")
    async def page() -> Response:
        return HTMLResponse(shown, headers={"Content-Security-Policy": _NOTHING_FROM_ELSEWHERE})

    return router


_NOTHING_FROM_ELSEWHERE = "default-src 'none'; style-src 'unsafe-inline'"
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>knowledge-bot {version}</title>
<style>body{{font:16px/1.5 sans-serif;max-width:50em;margin:2em auto;padding:0 1em}}pre{{background:#f4f4f4;padding:1em;
overflow:auto;font-size:13px}}summary{{cursor:pointer}}</style>
<h1>knowledge-bot {version}</h1><p>{description}</p>{operations}
<h2>Forms</h2>{forms}<p>The whole description, for programs: <a href="/openapi.json">openapi.json</a></p></html>"""


def _as_page(description: dict[str, Any]) -> str:
    """The OpenAPI description for people, in a page that loads nothing."""

    def shown(data: object) -> str:
        return f"<pre>{escape(json.dumps(data, indent=2, ensure_ascii=False))}</pre>"

    operations = [
        f"<h2>{method.upper()} {escape(path)}</h2><p>{escape(operation['summary'])}</p>"
        f"<details><summary>Request and responses</summary>"
        f"{shown({key: operation[key] for key in ('parameters', 'requestBody', 'responses') if key in operation})}</details>"
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    forms = [
        f"<details><summary>{escape(name)}</summary>{shown(form)}</details>"
        for name, form in description["components"]["schemas"].items()
    ]
    info = {name: escape(text) for name, text in description["info"].items() if name in ("version", "description")}
    return _PAGE.format(**info, operations="".join(operations), forms="".join(forms))


# --- who may ask ------------------------------------------------------------------------------------------------------

# In the description of the API only: `_Guard` looks at the header before a body is read.
_BEARER = HTTPBearer(auto_error=False, description="http.token, where one is set")
_FOR_EVERYBODY = frozenset({"/health/live", "/health/ready", "/", "/docs", "/openapi.json"})


class _Guard:
    """Decides about a request before anything of it is read but its head."""

    def __init__(self, token: str, webhooks: Collection[str]) -> None:
        """`webhooks`: paths that are none of this guard's business."""
        self._token = token.encode()
        self._webhooks = frozenset(webhooks)

    def check(self, request: Request) -> None:
        """Raises Problem."""
        if self.leaves_alone(request):
            return
        if not self._token:
            _require_this_machine(request)
        if request.url.path in _FOR_EVERYBODY:
            return
        if not self.admits(request):
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "The bot's token is needed: Authorization: Bearer, and what the operator has set as http.token.",
                {"WWW-Authenticate": "Bearer"},
                code="invalid_api_key",
            )
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        # What a page of another site can send without being asked for permission first has other types.
        if request.method == "POST" and content_type != "application/json":
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be JSON: Content-Type: application/json.")

    def leaves_alone(self, request: Request) -> bool:
        """Whether the request is for a webhook, which has limits and a secret of its own."""
        return request.url.path in self._webhooks

    def admits(self, request: Request) -> bool:
        """Whether the request has the token, where one is needed."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        known = hmac.compare_digest(given.strip().encode(), self._token)  # takes the same time however much is right
        return not self._token or (scheme.lower() == "bearer" and known)


def _require_this_machine(request: Request) -> None:
    """Refuse what a web page makes a browser on this machine send: by a name of its own that leads here, or from its origin."""
    host = request.headers.get("host", "")
    if not _names_this_machine(host):
        raise Problem(
            HTTPStatus.MISDIRECTED_REQUEST,
            "Without a token the bot is asked as localhost or 127.0.0.1 only. To use another name, set http.token.",
        )
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        raise Problem(HTTPStatus.FORBIDDEN, "Web pages of other sites may not ask. To let them, set http.token.")


def _names_this_machine(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


# --- around every request ---------------------------------------------------------------------------------------------


class _Outermost:
    """Checks who asks, limits size and time of what is sent, counts, and makes a problem of what nobody has foreseen."""

    def __init__(self, app: ASGIApp, guard: _Guard, largest_body: int) -> None:
        self._app = app
        self._guard = guard
        self._largest_body = largest_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        status = 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        request = Request(scope)
        try:
            self._guard.check(request)
            largest = math.inf if self._guard.leaves_alone(request) else self._largest_body
            await self._app(scope, _limited(request, receive, largest), counted)
        except Problem as problem:
            await _on_problem(request, problem)(scope, receive, counted)
        except ClientDisconnect:
            pass
        except Exception as error:
            if (
                status != HTTPStatus.INTERNAL_SERVER_ERROR
            ):  # which the application has sent, and then raised the error again
                response = await _on_bug(request, error)
                if not status:
                    await response(scope, receive, counted)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            metrics.HTTP_REQUESTS.labels(route, str(status or "none")).inc()


def _limited(request: Request, receive: Receive, largest: float) -> Receive:
    """`receive` that raises HTTPException where the body is too large, or takes too long."""
    closing = {"Connection": "close"}  # the rest of the body is not read
    until = asyncio.get_running_loop().time() + _BODY_SECONDS
    size, complete = 0, False

    async def limited() -> Message:
        nonlocal size, complete
        if complete:  # what comes now is the end of the connection, however late
            return await receive()
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError as error:
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, "The body took too long.", closing) from error
        size += len(message.get("body", b""))
        declared = request.headers.get("content-length", "")
        if max(size, int(declared) if declared.isascii() and declared.isdigit() else 0) > largest:
            detail = f"A request may have up to {largest} bytes (http.body_bytes)."
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, closing)
        complete = not message.get("more_body", False)
        return message

    return limited


def _on_problem(request: Request, problem: Problem) -> Response:
    return problem.response(for_openai=request.url.path.startswith(_OPENAI_PATHS))


async def _on_problem_raised(request: Request, error: Problem) -> Response:
    return _on_problem(request, error)


async def _on_http_exception(request: Request, error: HTTPException) -> Response:
    return _on_problem(request, Problem(error.status_code, error.detail, dict(error.headers or {})))


async def _on_bug(request: Request, error: Exception) -> Response:
    reference = secrets.token_hex(4)
    _log.error("request failed", reference=reference, exc_info=error)
    detail = f"Something went wrong on our side. Please ask again, or tell the operator. (reference {reference})"
    return _on_problem(request, Problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail))


async def _on_invalid_request(request: Request, error: RequestValidationError) -> Response:
    """What is wrong where, without what was sent."""
    wrong = [
        {"at": "/".join(map(str, detail["loc"][1:])), "problem": detail["msg"]}
        for detail in error.errors()[:_MOST_ERRORS]
    ]
    told = "; ".join(f"{one['at']}: {one['problem']}" if one["at"] else one["problem"] for one in wrong)
    return _on_problem(request, Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{told}.", errors=wrong))


# --- uvicorn ----------------------------------------------------------------------------------------------------------


def _configuration(app: ASGIApp, settings: HttpSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=settings.connections,
    )


class _Server(uvicorn.Server):
    """Leaves the signals to the daemon."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Protocol(H11Protocol):
    """Ends a connection on which the head of a request doesn't arrive in time."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base
        super().connection_made(transport)
        self._expect_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._patience is not None:
            self._patience.cancel()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._patience = self.loop.call_later(_HEAD_SECONDS, self._lose_patience)

    def _lose_patience(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
