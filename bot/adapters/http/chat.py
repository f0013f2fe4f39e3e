"""The chat for browsers: the requests of its script. The ask page and the widget share it, and authorise users differently."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, StringConstraints

from bot.adapters.http.answers import QuestionText
from bot.adapters.http.bodies import BodyRoute
from bot.adapters.http.incoming import PLATFORM, Requests, Waiting, conversation_of
from bot.adapters.http.quoting import PassagesOf, in_place
from bot.adapters.layout import source_line
from bot.adapters.texts import LATE, progress_text
from bot.core.messages import Answer, Update
from bot.http.nodes import nodes_of
from bot.http.problems import Problem
from bot.http.streaming import KEEP_ALIVE, event, event_stream
from bot.storage.base import AnswerStore, KeptAnswer

STATIC = Path(__file__).parent / "static"
# A browser keeps the script, but asks each time whether it is still the same.
_FRESH = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
AuthorOf = Callable[[Request, str], str]
"""The author of a request from a browser that gives itself an id."""


class QuestionBody(BaseModel):
    """A question. `visitor` and `conversation` are random ids that the browser has made up."""

    model_config = ConfigDict(extra="forbid")

    question: QuestionText
    conversation: Id
    visitor: Id


class AnswerReference(BaseModel):
    """Names an answer that the same visitor got."""

    model_config = ConfigDict(extra="forbid")

    reference: Annotated[str, StringConstraints(pattern=r"^\w{1,32}$")]
    visitor: Id


class RatingBody(AnswerReference):
    helpful: bool


class Chat:
    """Asks, rates and shows sources for browsers."""

    def __init__(self, requests: Requests, answers: AnswerStore, passages_of: PassagesOf) -> None:
        self._requests = requests
        self._answers = answers
        self._passages_of = passages_of

    def router(self, author_of: AuthorOf) -> APIRouter:
        """Return the routes that the script calls, and that of the script. The caller that mounts them authorises requests."""
        router = APIRouter(route_class=BodyRoute)

        @router.post("/questions")
        async def questions(asked: QuestionBody, request: Request) -> Response:
            author = author_of(request, asked.visitor)
            conversation = conversation_of(author, asked.conversation)
            waiting = await self._requests.begin(request, asked.question, author, None, conversation=conversation)
            return event_stream(self._events(waiting))

        @router.post("/ratings")
        async def ratings(rating: RatingBody, request: Request) -> Response:
            author = author_of(request, rating.visitor)
            await self._kept(rating.reference, author)
            await self._answers.add_feedback(PLATFORM, rating.reference, author, helpful=rating.helpful, reason="")
            return Response(status_code=HTTPStatus.NO_CONTENT)

        @router.post("/passages")
        async def passages(about: AnswerReference, request: Request) -> Response:
            kept = await self._kept(about.reference, author_of(request, about.visitor))
            found = []
            for citation in kept.answer.citations:
                passages = await self._passages_of(citation.document)
                found.append(asdict(await asyncio.to_thread(in_place, citation, passages)))
            return JSONResponse(found)

        @router.get("/{file}")
        async def static(file: str) -> Response:
            if file not in _FILES:
                raise Problem(HTTPStatus.NOT_FOUND, "There is no such file.")
            path = STATIC / file
            return FileResponse(path, headers=_FRESH, media_type=_MEDIA_TYPES[path.suffix])

        return router

    async def _events(self, waiting: Waiting) -> AsyncIterator[str]:
        async for happened in self._requests.events(waiting):
            match happened:
                case None:
                    yield KEEP_ALIVE
                case Update():
                    yield event({"text": progress_text(happened)}, "progress")
                case Answer():
                    yield event(await asyncio.to_thread(_answer, happened), "answer")
                case Problem():
                    yield event({"text": happened.detail}, "error")

    async def _kept(self, reference: str, author: str) -> KeptAnswer:
        """Return the answer, if this author has got it: others could guess its reference."""
        kept = await self._answers.stored(PLATFORM, reference)
        if kept is None or kept.question.author != author:
            raise Problem(HTTPStatus.NOT_FOUND, "This answer is not kept any more.")
        return kept


_FILES = frozenset(file.name for file in STATIC.iterdir() if file.suffix in _MEDIA_TYPES)


def _answer(answer: Answer) -> dict[str, Any]:
    """Return the parts of an answer that the script shows. Slow for long answers."""
    return {
        "outcome": answer.outcome.value,
        "reference": answer.reference,
        "remark": LATE if answer.late else "",
        "nodes": nodes_of(answer.pieces),
        "more": nodes_of(answer.more_pieces) if answer.more else [],
        "sources": [{"text": source_line(one), "url": one.url} for one in answer.citations],
    }
