"""Pages as HTML: made from templates that escape all that is put in, under a policy that runs no script of others."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

import jinja2
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from bot.core.text import safe

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",  # no cache keeps questions and answers
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def templates(folder: Path) -> jinja2.Environment:
    """Return the templates of a folder, and the page that they extend."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _HERE / "templates"]),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def _shown(value: object) -> object:
    """Return a value as it is put into a page: a text of a user or a document without invisible characters."""
    return safe(value) if isinstance(value, str) and not isinstance(value, Markup) else value


_OWN = templates(_HERE / "templates")


def page(template: str, *, status: int = HTTPStatus.OK, **values: Any) -> HTMLResponse:
    """Render a page of this package from its template."""
    return html(_OWN.get_template(template).render(values), status)


def html(text: str, status: int = HTTPStatus.OK) -> HTMLResponse:
    """Return a page with the headers that every page has."""
    return HTMLResponse(text, status, _HEADERS)
