"""Makes pages: templates, forms with their tokens, and the message about the last change."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

from fastapi import Form, Request
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup as Html
from markupsafe import escape

from bot.core.errors import BotError
from bot.core.markup import Markup, Piece, beginning
from bot.core.messages import Citation
from bot.core.text import counted
from bot.http.html import html, templates
from bot.http.nodes import html_of
from bot.http.sessions import Sessions
from bot.http.sites import session_of

P = ParamSpec("P")
T = TypeVar("T")

PATH = "/console"
"""The path of the console."""
_LARGEST_ID = 2**63 - 1  # that SQLite has
Id = Annotated[int, PathParameter(ge=1, le=_LARGEST_ID)]
"""The id of a question or an entry in a path."""
_NAVIGATION = (
    ("questions", "Questions"),
    ("gaps", "Gaps"),
    ("entries", "Pending"),
    ("documents", "Documents"),
    ("threshold", "Threshold"),
    ("quality", "Quality"),
    ("health", "Health"),
    ("settings", "Settings"),
    ("setup", "Set-up"),
)


class View:
    """Renders the pages of the console for the operators who are signed in."""

    def __init__(self, sessions: Sessions) -> None:
        """Blocking: reads and compiles the templates."""
        self._sessions = sessions
        self._said: dict[str, str] = {}  # by session, until its next page
        # A thread of its own, so that no page waits for threads that check sentences or read documents.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="console")
        self._templates = templates(Path(__file__).parent / "templates")
        self._templates.filters |= {"moment": _moment, "day": _day, "counted": counted}
        self._templates.filters |= {"rendered": html_of, "beginning": beginning, "quote": _quote, "literals": _literals}
        self._templates.globals |= {"PATH": PATH, "navigation": _NAVIGATION, "now": time.time}
        for name in self._templates.list_templates():  # which the first visit of each page would do on the event loop
            self._templates.get_template(name)

    def close(self) -> None:
        """End the thread, once no page is made any more."""
        self._thread.shutdown(wait=False)

    async def in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in the console's thread: all that computes longer than a millisecond, or reads a file."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *args, **kwargs))

    async def page(
        self, request: Request, template: str, *, status: int = HTTPStatus.OK, problem: str = "", **values: Any
    ) -> HTMLResponse:
        """Return the page that a template makes of the values. `problem` is said at its top."""
        session = session_of(request)

        def form_token(action: str) -> str:
            return self._sessions.form_token(session, action)

        own: dict[str, Any] = {
            "form_token": form_token,
            "here": request.scope["path"],
            "said": self._said.pop(session.id, ""),
            "problem": problem,
        }
        text = await self.in_thread(self._templates.get_template(template).render, own | values)
        return html(text, status)

    def to(self, request: Request, path: str, said: str = "") -> RedirectResponse:
        """Lead to another page of the console, which says `said`."""
        if said:
            self._said[session_of(request).id] = said
        return RedirectResponse(PATH + path, HTTPStatus.SEE_OTHER)

    async def checked_form(self, request: Request, form_token: Annotated[str, Form()] = "") -> None:
        """Raise Problem where a form isn't one of this session; a dependency of every route that changes something."""
        self._sessions.require_form_token(session_of(request), request.scope["path"], form_token)

    async def on_error(self, request: Request, error: BotError) -> Response:
        """Return the page for an error of a page or a form."""
        return await self.page(request, "error.html", status=HTTPStatus.CONFLICT, problem=str(error))


def _moment(at: float | datetime) -> str:
    """Return a time for people, by the clock of this machine: seconds since the epoch, or a datetime."""
    moment = at if isinstance(at, datetime) else datetime.fromtimestamp(at).astimezone()
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def _day(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d")


def _quote(citation: Citation) -> list[Piece]:
    """Return the quoted words of a citation."""
    return [Piece(citation.quote, citation.markup)]


def _literals(text: str) -> Html:
    """Return a text of the bot itself, in which code stands between backticks."""
    runs = Piece(text, Markup.LITERALS).runs
    return Html("").join(Html("<code>{}</code>").format(run) if code else escape(run) for run, _, code in runs)
