"""The description of the API: as OpenAPI for programs, and as a page that loads nothing from elsewhere for people."""

import json
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from bot.http.html import page

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


def pages_router(app: FastAPI, start: str, *, needs_token: bool) -> APIRouter:
    """Return the pages that describe the routers that the application has so far; / leads to `start`."""
    router = APIRouter(include_in_schema=False)
    described = app.openapi()

    @router.get("/")
    async def lead() -> Response:
        return RedirectResponse(start)

    @router.get("/openapi.json")
    async def description() -> Response:
        return JSONResponse(described)

    @router.get("/docs")
    async def docs(request: Request) -> Response:
        return as_page(described, str(request.base_url).rstrip("/"), needs_token=needs_token)

    return router


def as_page(description: dict[str, Any], address: str, *, needs_token: bool) -> Response:
    """Return the OpenAPI description for people, with commands that ask the bot at this address."""
    token = '-H "Authorization: Bearer $TOKEN" ' if needs_token else ""
    examples = [(purpose, command.format(address=address, token=token).rstrip()) for purpose, command in _EXAMPLES]
    forms = description["components"].get("schemas", {}).items()
    return page(
        "api.html",
        info=description["info"],
        needs_token=needs_token,
        examples=examples,
        operations=_operations(description),
        forms=((name, _indented(form)) for name, form in forms),
    )


def _operations(description: dict[str, Any]) -> Iterator[dict[str, str]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            parts = {key: operation[key] for key in ("parameters", "requestBody", "responses") if key in operation}
            yield {
                "method": method.upper(),
                "path": path,
                "summary": operation["summary"],
                "description": _indented(parts),
            }


def _indented(data: object) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)
