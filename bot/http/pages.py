"""The description of the API: as OpenAPI for programs, and as a page that loads nothing from elsewhere for people."""

import json
from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

_NOTHING_FROM_ELSEWHERE = "default-src 'none'; style-src 'unsafe-inline'"
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>knowledge-bot {version}</title>
<style>body{{font:16px/1.5 sans-serif;max-width:50em;margin:2em auto;padding:0 1em}}pre{{background:#f4f4f4;padding:1em;
overflow:auto;font-size:13px}}summary{{cursor:pointer}}</style>
<h1>knowledge-bot {version}</h1><p>{description}</p>{operations}
<h2>Forms</h2>{forms}<p>The whole description, for programs: <a href="/openapi.json">openapi.json</a></p></html>"""


def pages_router(app: FastAPI, start: str) -> APIRouter:
    """The description of the routers that the application has so far; / leads to `start`."""
    router = APIRouter(include_in_schema=False)
    described = app.openapi()
    shown = _as_page(described)

    @router.get("/")
    async def lead() -> Response:
        return RedirectResponse(start)

    @router.get("/openapi.json")
    async def description() -> Response:
        return JSONResponse(described)

    @router.get("/docs")
    async def page() -> Response:
        return HTMLResponse(shown, headers={"Content-Security-Policy": _NOTHING_FROM_ELSEWHERE})

    return router


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
        for name, form in description["components"].get("schemas", {}).items()
    ]
    info = {name: escape(text) for name, text in description["info"].items() if name in ("version", "description")}
    return _PAGE.format(**info, operations="".join(operations), forms="".join(forms))
