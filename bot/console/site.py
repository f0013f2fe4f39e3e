"""The console as a site of the HTTP server: its pages, put together."""

from pathlib import Path

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from bot.console import documents, entries, gaps, health, quality, questions, settings, setup, threshold
from bot.console.parts import Parts
from bot.console.view import PATH, View
from bot.core.errors import BotError
from bot.http.failures import on_bug, on_http_exception, on_invalid_request, on_problem_raised
from bot.http.problems import Problem
from bot.http.sessions import SessionRole, Sessions
from bot.http.sites import Site, session_of

_STATIC = Path(__file__).parent / "static"


def console_site(parts: Parts, sessions: Sessions) -> Site:
    """Return the site of the console."""
    view = View(sessions)
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # The guard lets nobody in without a session; that each page asks for one too doesn't depend on the guard.
        dependencies=[Depends(session_of)],
        exception_handlers={
            BotError: view.on_error,
            Problem: on_problem_raised,
            HTTPException: on_http_exception,
            RequestValidationError: on_invalid_request,
            Exception: on_bug,
        },
    )
    for page in (questions, gaps, entries, documents, threshold, quality, health, settings, setup):
        app.include_router(page.router(parts, view))

    @app.get("/")
    async def start() -> RedirectResponse:
        return RedirectResponse(f"{PATH}/questions")

    app.openapi()  # which nobody sees, but now the routes are built, and not by the first request on the event loop
    app.mount("/static", StaticFiles(directory=_STATIC))
    return Site(PATH, SessionRole.OPERATOR, app, parts.settings.administration.document_bytes + 10_000, view.close)
