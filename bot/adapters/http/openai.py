"""The chat completions and the list of models of the OpenAI API, for any OpenAI client.

The last message is the question; a follow-up may refer to the earlier messages of the user and the bot. System messages and
settings of language models (temperature and the like) are ignored, because the documents answer.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from bot.adapters.http.bodies import BodyRoute, latest
from bot.adapters.http.incoming import IdempotencyKey, Requests, Waiting
from bot.adapters.layout import source_line
from bot.core.messages import Answer, Question, Turn
from bot.http.problems import Problem
from bot.http.streaming import KEEP_ALIVE, event, event_stream

MODEL = "knowledge-bot"
_STARTED = int(time.time())


class Part(BaseModel):
    type: str
    text: str = ""


class Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class StreamOptions(BaseModel):
    include_usage: bool = False


class ChatRequest(BaseModel):
    """The fields of a request that the bot uses; all others are ignored."""

    model: str
    messages: list[Message] = Field(min_length=1, max_length=2_000)
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: int | None = None
    user: str | None = Field(None, max_length=200)
    tool_choice: Any = None
    response_format: dict[str, Any] | None = None


def openai_router(requests: Requests) -> APIRouter:
    """Return the routes in the form of the OpenAI API."""
    router = APIRouter(tags=["OpenAI"], route_class=BodyRoute)

    @router.get("/v1/models", summary="The models that can be asked: this bot")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_model()]}

    @router.get("/v1/models/{model}", summary="One model")
    async def model(model: str) -> dict[str, Any]:
        _require_known(model)
        return _model()

    @router.post("/v1/chat/completions", summary="Ask as OpenAI clients do", response_class=JSONResponse)
    async def completions(ask: ChatRequest, request: Request, idempotency_key: IdempotencyKey = None) -> Response:
        _require_answerable(ask)
        question = ask.messages[-1].text.strip()
        earlier = latest(_turns(ask.messages[:-1]))
        waiting = await requests.begin(request, question, ask.user or "", idempotency_key, earlier=earlier)
        completion = _Completion(requests, ask, waiting.question)
        if ask.stream:
            return event_stream(completion.chunks(waiting))
        return JSONResponse(await completion.whole(await requests.answer(waiting)))

    return router


class _Completion:
    """The response to one request."""

    def __init__(self, requests: Requests, ask: ChatRequest, question: Question) -> None:
        self._requests = requests
        self._question = question
        self._ask = ask
        self._id = f"chatcmpl-{uuid.uuid4().hex}"
        self._created = int(time.time())

    async def whole(self, answer: Answer) -> dict[str, Any]:
        text = _shown(answer)
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "logprobs": None,
            "finish_reason": "stop",
        }
        return self._form("chat.completion", [choice]) | {
            "usage": await self._usage(text),
            "knowledge_bot": answer.to_json(),
        }

    async def chunks(self, waiting: Waiting) -> AsyncIterator[str]:
        yield self._chunk({"role": "assistant", "content": ""})
        async for happened in self._requests.events(waiting):
            if isinstance(happened, Answer):
                text = _shown(happened)
                for line in text.splitlines(keepends=True):
                    yield self._chunk({"content": line})
                yield self._chunk({}, finish_reason="stop", knowledge_bot=happened.to_json())
                if self._ask.stream_options and self._ask.stream_options.include_usage:
                    yield event(self._form("chat.completion.chunk", []) | {"usage": await self._usage(text)})
                yield "data: [DONE]\n\n"
            elif isinstance(happened, Problem):
                yield event({"error": happened.openai_error})
            else:  # a stage of the work, or nothing for a while
                yield KEEP_ALIVE

    def _chunk(self, delta: dict[str, str], finish_reason: str | None = None, **members: Any) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return event(self._form("chat.completion.chunk", [choice]) | members)

    def _form(self, kind: str, choices: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": self._created, "model": MODEL, "choices": choices}

    async def _usage(self, text: str) -> dict[str, int]:
        """Return the usage in tokens of the encoder: the messages, and the answer."""
        earlier = self._question.earlier or ()
        said = [self._question.text, *(text for turn in earlier for text in (turn.question, turn.answer))]
        *prompt, completion = await asyncio.to_thread(self._requests.count_tokens, [*said, text])
        total = sum(prompt) + completion
        return {"prompt_tokens": sum(prompt), "completion_tokens": completion, "total_tokens": total}


def _model() -> dict[str, Any]:
    return {"id": MODEL, "object": "model", "created": _STARTED, "owned_by": MODEL}


def _shown(answer: Answer) -> str:
    """Return the answer with its sources, as Markdown for a client that shows only text."""
    sources = [
        f"— {source_line(citation)}" + (f" {citation.url}" if citation.url else "") for citation in answer.citations
    ]
    return "\n\n".join([*(piece.as_markdown() for piece in answer.pieces), *(["\n".join(sources)] if sources else [])])


def _turns(messages: Sequence[Message]) -> tuple[Turn, ...]:
    """Return each message of the user with its answer."""
    turns: list[tuple[str, list[str]]] = []
    for message in messages:
        if message.role == "user":
            turns.append((message.text, []))
        elif message.role == "assistant" and turns and message.text:
            turns[-1][1].append(message.text)
    return tuple(Turn(question, "\n".join(answers)) for question, answers in turns if question and answers)


def _require_known(model: str) -> None:
    if model != MODEL:
        raise Problem(
            HTTPStatus.NOT_FOUND, f"There is no model of this name; ask the model {MODEL}.", code="model_not_found"
        )


def _require_answerable(ask: ChatRequest) -> None:
    _require_known(ask.model)
    last = ask.messages[-1]
    problem = ""
    if last.role != "user" or not last.text.strip():
        problem = "The last message must be of the role user and have a text: it is the question."
    elif isinstance(last.content, list) and any(part.type != "text" for part in last.content):
        problem = "Only text can be asked, no images, sounds or files."
    elif (ask.n or 1) != 1:
        problem = "There is one answer to a question: n must be 1."
    elif ask.tool_choice not in (None, "none", "auto"):
        problem = "The bot calls no tools: leave tool_choice out."
    elif ask.response_format and ask.response_format.get("type", "text") != "text":
        problem = "Answers are text: leave response_format out, or ask at /v1/answers, which gives JSON."
    if problem:
        raise Problem(HTTPStatus.BAD_REQUEST, problem)
