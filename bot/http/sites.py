"""Sites: pages for people, who sign in with their browser instead of sending a bearer token; and signing in and out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from starlette.types import ASGIApp

from bot.http.addresses import network_of
from bot.http.html import page
from bot.http.problems import Problem
from bot.http.sessions import Session, SessionRole, Sessions

SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
_READING = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Site:
    """An application at `path` and below it, for browsers.

    `role`: the session role that requests need; None: the application checks the origin itself. Without a token in the
    settings an operators' site is closed, and a site for people who ask is open on this machine, as the API is. Requests that
    change something come from this server's own pages only; that a form also carries its token is up to the application
    (`Sessions.require_form_token`). `largest_body`: bytes that a body may have, where that is more than elsewhere. `close` is
    called once no request is served any more.
    """

    path: str  # such as /console
    role: SessionRole | None
    app: ASGIApp
    largest_body: int = 0
    close: Callable[[], None] = lambda: None

    def holds(self, path: str) -> bool:
        return path == self.path or path.startswith(f"{self.path}/")


class Sites:
    """The sites of a server with their sessions."""

    def __init__(self, sites: Sequence[Site], sessions: Sessions) -> None:
        self.sessions = sessions
        self._sites = tuple(sites)

    @property
    def start(self) -> str:
        """The first page for people: that of the first site for askers, or the description of the API."""
        return next((f"{site.path}/" for site in self._sites if site.role is SessionRole.ASKER), "/docs")

    def at(self, path: str) -> Site | None:
        """Return the site that a path belongs to."""
        return next((site for site in self._sites if site.holds(path)), None)

    def require(self, request: Request, site: Site) -> None:
        """Note the session, None where none is needed, in `request.state.session`. Raises Problem to refuse the request."""
        if site.role is None:
            return
        require_same_origin(request)
        session = request.state.session = self.sessions.of(request)
        if session is not None and session.role >= site.role:
            return
        if not self.sessions.exist_for(site.role):
            if site.role is SessionRole.ASKER:
                return
            raise Problem(
                HTTPStatus.FORBIDDEN, "There is no console: its operator has to set http.operator_token first."
            )
        if request.method in _READING:
            path = quote(request.scope["path"])
            raise Problem(HTTPStatus.SEE_OTHER, "Sign in first.", {"Location": f"{SIGN_IN}?next={path}"})
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "Your session is over. Sign in in another window; then go back, copy what you have written, reload the page and "
            "send it again.",
        )


def session_of(request: Request) -> Session:
    """Return the session of a request to an operators' site; a dependency of each of its routes. Raises Problem if there is
    none."""
    session = getattr(request.state, "session", None)
    if not isinstance(session, Session):
        raise Problem(HTTPStatus.UNAUTHORIZED, "Sign in first.")
    return session


def require_same_origin(request: Request) -> None:
    """Raise Problem for a request that changes something and comes from a page of another site, or from no page."""
    if request.method in _READING:
        return
    origin = request.headers.get("origin", "")
    # The browser itself says the first; proxies may have changed the name that the second is compared with.
    if request.headers.get("sec-fetch-site") != "same-origin" and (
        not origin or urlsplit(origin).netloc != request.headers.get("host")
    ):
        raise Problem(
            HTTPStatus.FORBIDDEN, "Pages of other sites may not do that. Open the page here, and send it again."
        )


def sign_in_router(sites: Sites) -> APIRouter:
    """Return the pages for signing in and out; requests to them pass `require_same_origin` first."""
    router = APIRouter(include_in_schema=False)
    sessions = sites.sessions

    def destination(path: str) -> str:
        """Return a path of one of the sites, for nobody is to be led away by a link to this page; "/" instead of any other."""
        return path if sites.at(path) and "\\" not in path else "/"

    def form(path: str, problem: Problem | None = None) -> Response:
        site = sites.at(path)
        response = page(
            "sign_in.html",
            next=destination(path),
            for_operators=site is not None and site.role is SessionRole.OPERATOR,
            problem=problem.detail if problem else "",
            status=problem.status if problem else HTTPStatus.OK,
        )
        response.headers.update(problem.headers if problem else {})
        return response

    @router.get(SIGN_IN)
    async def ask_for_token(next: str = "/") -> Response:  # noqa: A002 - the name in the address
        return form(next)

    @router.post(SIGN_IN)
    async def sign_in(request: Request, token: Annotated[str, Form()], next: Annotated[str, Form()] = "/") -> Response:  # noqa: A002
        try:
            session = sessions.sign_in(network_of(request), token)
        except Problem as problem:
            return form(next, problem)
        response = RedirectResponse(destination(next), HTTPStatus.SEE_OTHER)
        sessions.remember(session, request, response)
        return response

    @router.post(SIGN_OUT)
    async def sign_out(request: Request) -> Response:
        if session := sessions.of(request):
            sessions.end(session)
        response = RedirectResponse(SIGN_IN, HTTPStatus.SEE_OTHER)
        sessions.forget(request, response)
        return response

    return router
