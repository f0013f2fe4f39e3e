"""The bodies of requests: well-formed text of a bounded size.

A body with too many values is refused before it is parsed: a megabyte of brackets would delay everybody else by seconds.
"""

import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from bot.core.messages import Turn
from bot.http.problems import Problem

# Characters of one text. People ask in a few hundred; the rest is for those who paste a log.
_LONGEST_TEXT = 20_000
# Characters of all earlier messages that are read.
_MOST_EARLIER = 40_000
# As many as `conversation.turns` can be.
_MOST_TURNS = 50


# How often each of these bytes may stand in a body. They begin or part values, and stand in texts too.
_MOST_MARKS = {b"[": 20_000, b"{": 20_000, b",": 100_000, b'"': 40_000}
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")  # one half; the other may be there
# Members of the outermost object: several times as many as an OpenAI client sends.
_MOST_MEMBERS = 100


class BodyRoute(APIRoute):
    """A route whose requests have bodies of a bounded number of values."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_bounded(request: Request) -> Response:
            return await handle(_BoundedRequest(request.scope, request.receive))

        return handle_bounded


class _BoundedRequest(Request):
    async def json(self) -> Any:
        return await asyncio.to_thread(_parsed, await self.body())  # so that others go between parsing and validating


def _parsed(body: bytes) -> Any:
    """Parse a JSON body.

    Raises HTTPException for too many values or an unpaired surrogate, ValueError for invalid JSON.
    """
    counts = {mark: body.count(mark) for mark in _MOST_MARKS}
    counts[b'"'] -= body.count(b'\\"')  # which stand in texts
    if any(counts[mark] > most for mark, most in _MOST_MARKS.items()):
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body has too many values: leave some out.")
    data = json.loads(body)
    if isinstance(data, dict) and len(data) > _MOST_MEMBERS:
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"There are more than {_MOST_MEMBERS} members.")
    if _SURROGATE.search(body):
        _require_text(data)
    return data


def _require_text(data: Any) -> None:
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        detail = "A text has half a surrogate pair (\\ud800 to \\udfff), which is no character."
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail) from error


def require_short(question: str, earlier: Sequence[Turn]) -> None:
    """Raise Problem where the question or a text of an earlier turn is too long."""
    if len(question) > _LONGEST_TEXT:
        raise _too_long("The question", "Ask in fewer words.")
    if any(len(text) > _LONGEST_TEXT for turn in earlier for text in (turn.question, turn.answer)):
        raise _too_long("An earlier message", "Shorten it or leave it out.")


def latest(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Return the latest turns that are read: older ones are left out, so that a long conversation goes on."""
    size = 0
    for count, turn in enumerate(reversed(turns)):
        size += len(turn.question) + len(turn.answer)
        if count == _MOST_TURNS or (count and size > _MOST_EARLIER):
            return tuple(turns[len(turns) - count :])
    return tuple(turns)


def _too_long(field: str, advice: str) -> Problem:
    detail = f"{field} is too long: a text may have up to {_LONGEST_TEXT} characters. {advice}"
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
