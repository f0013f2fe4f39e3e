"""The ASGI application: routers, behind checks that every request passes."""

from collections.abc import Callable, Sequence
from http import HTTPStatus

from fastapi import APIRouter, Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

from bot import __version__
from bot.core.settings import HttpSettings
from bot.http import limits
from bot.http.failures import on_bug, on_http_exception, on_invalid_request, on_problem, on_problem_raised
from bot.http.guard import BEARER, STATIC_PATH, Guard
from bot.http.html import STATIC
from bot.http.monitoring import monitoring_router
from bot.http.pages import pages_router
from bot.http.problems import Problem
from bot.http.sessions import SessionRole, Sessions
from bot.http.sites import Site, Sites, sign_in_router
from bot.observability import metrics
from bot.observability.health import Health


def make_application(
    settings: HttpSettings,
    api: Sequence[APIRouter],
    webhooks: Sequence[APIRouter],
    health: Health,
    make_sites: Callable[[Sessions], Sequence[Site]] = lambda _: (),
) -> "HttpApp":
    """Put the routers of `api` behind the guard, and those of `webhooks`, which check access themselves, beside it.

    `make_sites` gets the sessions, which their forms need, and returns the sites to put behind the signing in.
    """
    app = FastAPI(
        title="knowledge-bot",
        version=__version__,
        description="Answers from the operator's own documents, in their own words, with where they stand.",
        docs_url=None,  # those pages load scripts from elsewhere; `pages_router` has one that doesn't
        redoc_url=None,
        openapi_url=None,
        exception_handlers={
            Problem: on_problem_raised,
            HTTPException: on_http_exception,
            RequestValidationError: on_invalid_request,
            Exception: on_bug,
        },
    )
    unguarded = {getattr(route, "path", "") for router in webhooks for route in router.routes}
    sessions = Sessions(settings)
    sites = make_sites(sessions)
    known_sites = Sites(sites, sessions)
    guard = Guard(settings.token.get_secret_value(), unguarded, known_sites)
    for router in api:
        app.include_router(router, dependencies=[Depends(BEARER)])
    app.include_router(monitoring_router(health, guard))
    app.include_router(pages_router(app, known_sites.start, needs_token=sessions.exist_for(SessionRole.ASKER)))
    for router in webhooks:
        app.include_router(router, include_in_schema=False)
    app.include_router(sign_in_router(known_sites))
    app.mount(STATIC_PATH, StaticFiles(directory=STATIC))
    for site in sites:
        app.mount(site.path, site.app)
    return HttpApp(app, guard, sites)


class HttpApp:
    """Handles every request: checks access, limits size and time, counts, and answers unexpected errors with a problem."""

    def __init__(self, app: FastAPI, guard: Guard, sites: Sequence[Site]) -> None:
        self._app = app
        self._guard = guard
        self._sites = sites

    def close(self) -> None:
        """Close the sites, once no request is served any more."""
        for site in self._sites:
            site.close()

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
            receive = limits.limited(request, receive, self._guard.largest_body(request))
            await self._app(scope, receive, counted)
        except Problem as problem:
            await on_problem(request, problem)(scope, receive, counted)
        except ClientDisconnect:
            pass
        except Exception as error:
            # The application has sent a 500 itself, and then raised the error again.
            if status != HTTPStatus.INTERNAL_SERVER_ERROR:
                response = await on_bug(request, error)
                if not status:
                    await response(scope, receive, counted)
        finally:
            route = scope.get("root_path", "") + getattr(scope.get("route"), "path", "other")
            metrics.HTTP_REQUESTS.labels(route, str(status or "none")).inc()
