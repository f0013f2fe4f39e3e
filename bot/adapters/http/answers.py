"""`POST /v1/answers`: takes a question as JSON, and returns the object of `ask --json`, or events."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from bot.adapters.http.bodies import BodyRoute
from bot.adapters.http.incoming import IdempotencyKey, Requests, Waiting, conversation_of
from bot.core.messages import Answer, Update
from bot.http.problems import Problem
from bot.http.streaming import EVENT_STREAM, KEEP_ALIVE, event, event_stream

Name = Annotated[str, StringConstraints(max_length=200)]
QuestionText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Ask(BaseModel):
    """One question."""

    model_config = ConfigDict(extra="forbid")

    question: QuestionText
    conversation: Name = Field(
        "", description="A name for the conversation, so that a follow-up refers to what was said."
    )
    user: Name = Field("", description="Who asks, so that the limits count for each person, and `forget` finds them.")


_ANSWER = {
    "outcome": "answered",
    "answered": True,
    "answer": "Use water at **92 to 96 degrees**.",
    "reference": "3f9c01ab",
    "span": "92 to 96 degrees",
    "confidence": 0.93,
    "citations": [
        {
            "document": "guide.md",
            "title": "Brewing guide",
            "heading": ["Water"],
            "lines": [5, 5],
            "page": None,
            "row": None,
            "quote": "Use water at 92 to 96 degrees.",
            "url": None,
            "paragraph": None,
            "markup": "markdown",
            "number": None,
        }
    ],
    "retrieved": ["guide.md"],
    "timings_ms": {"total": 21.4},
    "late": False,
    "phrasing": None,
    "more": "Let it cool for a minute before you pour.",
    "pieces": [{"text": "Use water at **92 to 96 degrees**.", "markup": "markdown", "bold": None}],
    "more_pieces": [{"text": "Let it cool for a minute before you pour.", "markup": "markdown", "bold": None}],
}
_SUGGESTION = _ANSWER | {
    "outcome": "suggested",
    "answered": False,
    "answer": "I'm not sure this is it:\n\nUse water at **92 to 96 degrees**.",
    "pieces": [
        {"text": "I'm not sure this is it:\n\nUse water at **92 to 96 degrees**.", "markup": "markdown", "bold": None}
    ],
    "confidence": 0.21,
}
_EXAMPLES = {
    "answered": {"summary": "The documents answer the question", "value": _ANSWER},
    "suggested": {"summary": "A section that may answer, marked as unsure", "value": _SUGGESTION},
}


def answers_router(requests: Requests) -> APIRouter:
    """Return the route of `POST /v1/answers`."""
    router = APIRouter(tags=["answers"], route_class=BodyRoute)

    @router.post(
        "/v1/answers",
        summary="Ask a question",
        response_class=JSONResponse,
        responses={
            200: {
                "description": "The answer. With `Accept: text/event-stream`: events `progress`, then `answer` or `error`. "
                "`outcome` is `answered`, `suggested` (a section that may answer: `answered` is false, but there are "
                "`citations`), `declined` or `small_talk`; `more` is what follows in the same section, or empty. "
                "`pieces` and `more_pieces` are the same texts in parts, with the `markup` of each: `markdown`, `plain`, "
                "`literals` (plain, with code between backticks) or `code`; the parts that are not Markdown have the "
                "characters of the document.",
                "content": {"application/json": {"examples": _EXAMPLES}, EVENT_STREAM: {}},
            }
        },
    )
    async def answers(ask: Ask, request: Request, idempotency_key: IdempotencyKey = None) -> Response:
        conversation = conversation_of(ask.user, ask.conversation) if ask.conversation else None
        waiting = await requests.begin(request, ask.question, ask.user, idempotency_key, conversation=conversation)
        if EVENT_STREAM in request.headers.get("accept", ""):
            return event_stream(_events(requests, waiting))
        return JSONResponse((await requests.answer(waiting)).to_json())

    return router


async def _events(requests: Requests, waiting: Waiting) -> AsyncIterator[str]:
    async for happened in requests.events(waiting):
        match happened:
            case None:
                yield KEEP_ALIVE
            case Update():
                yield event({"stage": happened.stage.value, "text": happened.text}, "progress")
            case Answer():
                yield event(happened.to_json(), "answer")
            case Problem():
                yield event(happened.to_json(), "error")
