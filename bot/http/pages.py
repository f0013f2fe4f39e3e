"""The description of the API: as OpenAPI for programs, and as a page that loads nothing from elsewhere for people."""

import json
from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

_NOTHING_FROM_ELSEWHERE = "default-src 'none'; style-src 'unsafe-inline'"
_EXAMPLES = (
    (
        "Ask a question",
        """curl {address}/v1/answers {token}-H 'Content-Type: application/json' \\
  -d '{{"question": "What can you answer?"}}'""",
    ),
    (
        "Ask, and see how far it is",
        """curl -N {address}/v1/answers {token}-H 'Accept: text/event-stream' \\
  -H 'Content-Type: application/json' -d '{{"question": "What can you answer?"}}'""",
    ),
    (
        "Ask a follow-up question: both name the conversation",
        """curl {address}/v1/answers {token}-H 'Content-Type: application/json' \\
  -d '{{"question": "And how do I start?", "conversation": "mine", "user": "me"}}'""",
    ),
    (
        "Ask as clients of OpenAI do",
        """curl {address}/v1/chat/completions {token}-H 'Content-Type: application/json' \\
  -d '{{"model": "knowledge-bot", "messages": [{{"role": "user", "content": "What can you answer?"}}]}}'""",
    ),
    ("See how the bot is", "curl {address}/health/ready {token}"),
)
_EXAMPLES_PLACE = "<!-- examples -->"
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>The API of knowledge-bot {version}</title>
<style>html{{background:light-dark(#fff,#16181c);color:light-dark(#1c1e21,#e8e9eb)}}a{{color:light-dark(#1a4fa3,#8ab4f8)}}
body{{font:16px/1.5 sans-serif;max-width:50em;margin:2em auto;padding:0 1em}}pre{{background:light-dark(#f4f4f4,#26292e);
padding:1em;overflow:auto;font-size:13px}}summary{{cursor:pointer}}h3{{font-size:1em;margin-bottom:0}}</style>
<main><h1>The API of knowledge-bot {version}</h1><p>{description}</p>
<h2>Examples, to copy into a terminal</h2>{examples}{operations}
<h2>Forms</h2>{forms}<p>The whole description, for programs: <a href="/openapi.json">openapi.json</a></p></main></html>"""


def pages_router(app: FastAPI, start: str, *, needs_token: bool) -> APIRouter:
    """The description of the routers that the application has so far; / leads to `start`."""
    router = APIRouter(include_in_schema=False)
    described = app.openapi()
    before, after = as_page(described).split(_EXAMPLES_PLACE)

    @router.get("/")
    async def lead() -> Response:
        return RedirectResponse(start)

    @router.get("/openapi.json")
    async def description() -> Response:
        return JSONResponse(described)

    @router.get("/docs")
    async def page(request: Request) -> Response:
        shown = before + _examples(str(request.base_url).rstrip("/"), needs_token=needs_token) + after
        return HTMLResponse(shown, headers={"Content-Security-Policy": _NOTHING_FROM_ELSEWHERE})

    return router


def _examples(address: str, *, needs_token: bool) -> str:
    """Commands that ask this bot, under the address by which the reader has found it."""
    token = '-H "Authorization: Bearer $TOKEN" ' if needs_token else ""
    first = "<p>First: <code>export TOKEN=…</code> with the token of the bot.</p>" if needs_token else ""
    return first + "".join(
        f'<h3>{escape(what)}</h3><pre tabindex="0">{escape(command.format(address=address, token=token).rstrip())}</pre>'
        for what, command in _EXAMPLES
    )


def as_page(description: dict[str, Any]) -> str:
    """The OpenAPI description for people, in a page that loads nothing."""

    def shown(data: object) -> str:
        return f'<pre tabindex="0">{escape(json.dumps(data, indent=2, ensure_ascii=False))}</pre>'

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
    return _PAGE.format(**info, examples=_EXAMPLES_PLACE, operations="".join(operations), forms="".join(forms))
