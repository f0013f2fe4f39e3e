"""`POST /v1/tasks/NAME`: does a task with a text or a document, and returns the object of `task --json`."""

import asyncio
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from bot.adapters.http.answers import Name
from bot.adapters.http.bodies import BodyRoute
from bot.adapters.http.incoming import PLATFORM
from bot.core.errors import BotError, DocumentError
from bot.core.messages import Address
from bot.http.problems import Problem
from bot.tasks.registry import TASKS
from bot.tasks.results import TaskResult
from bot.tasks.runner import Owner
from bot.tasks.service import TaskService
from bot.tasks.sources import source_of_text


class TaskBody(BaseModel):
    """The text of a task: given, or a document of the bot's."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, StringConstraints(strip_whitespace=True)] = Field("", description="The text.")
    document: Name = Field("", description="Instead: the path of a document.")
    section: Name = Field("", description="Only the section of the document with this heading.")
    user: Name = Field("", description="Who asks, so that the limits count for each person.")


_EXAMPLE = {
    "task": "summarise",
    "model": "",
    "text": "• Use water at 92 to 96 degrees.",
    "details": {
        "sentences": [{"text": "Use water at 92 to 96 degrees.", "place": "Water, line 5", "quoted": True}],
        "dropped": 0,
    },
}


def tasks_router(service: TaskService) -> APIRouter:
    """Return the route of `POST /v1/tasks/NAME`."""
    router = APIRouter(tags=["tasks"], route_class=BodyRoute)

    @router.post(
        "/v1/tasks/{name}",
        summary="Do a task with a text or a document",
        description="; ".join(f"`{task.name}`: {task.about}" for task in TASKS.values()) + ". Nothing is kept.",
        response_class=JSONResponse,
        responses={
            200: {
                "description": "The result: `text` for people, and `details`, which are `sentences` of a summary, a "
                "`translation`, `labels` or `entities`. `model` is empty where the text speaks in its own words.",
                "content": {"application/json": {"example": _EXAMPLE}},
            }
        },
    )
    async def tasks(name: str, work: TaskBody, request: Request) -> Response:
        if name not in TASKS:
            raise Problem(HTTPStatus.NOT_FOUND, f"There is no task {name!r}; there are {', '.join(TASKS)}.")
        if bool(work.text) == bool(work.document):
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "Give either a text or the path of a document.")
        doing = asyncio.create_task(_done(service, name, work), name="http-task")
        leaving = asyncio.create_task(_disconnected(request), name="http-task-watch")
        try:
            await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                raise Problem(HTTPStatus.BAD_REQUEST, "Whoever asked is gone.")
            return JSONResponse(doing.result().to_json())
        except DocumentError as error:
            raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error
        except BotError as error:
            raise Problem.of(error) from error
        finally:
            doing.cancel()
            leaving.cancel()

    return router


async def _done(service: TaskService, name: str, work: TaskBody) -> TaskResult:
    """Do the task. All callers that are authorised to ask may use tasks, so no chat has to allow it."""
    service.count(PLATFORM, work.user, work.user)
    if work.document:
        source = await service.tasks.document(work.document, work.section, Address(PLATFORM, work.user, ""))
    else:
        source = await asyncio.to_thread(source_of_text, work.text)
    return await service.tasks.run(name, source, Owner(PLATFORM, work.user))


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
