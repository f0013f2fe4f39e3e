"""Gaps: questions that the documents don't answer, and questions with an unsure answer."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response

from bot.console.parts import Parts
from bot.console.view import View
from bot.core.errors import BotError, DocumentError
from bot.engine.gaps import Gap

# Grouping a thousand questions takes seconds, so a page shows the last groups and lets new ones be made meanwhile.
_FRESH = 60.0  # seconds
_MOST = 100  # groups on a page


@dataclass(frozen=True, slots=True)
class _Groups:
    at: float  # by the monotonic clock
    gaps: Sequence[Gap]
    unsure: Sequence[Gap]


class _Grouping:
    """Groups questions in the background, and keeps the last groups."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._task: asyncio.Task[None] | None = None
        self._groups: _Groups | None = None
        self._problem = ""

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    def latest(self) -> tuple[_Groups | None, str]:
        """Return the last groups, and the error of the last grouping or an empty text. Begins a new grouping if the groups
        are old."""
        if not self.running and (self._groups is None or time.monotonic() - self._groups.at > _FRESH):
            self._task = asyncio.create_task(self._group(), name="console-gaps")
        return self._groups, self._problem

    async def _group(self) -> None:
        administration = self._parts.administration
        try:
            self._groups = _Groups(time.monotonic(), await administration.gaps(), await administration.unsure())
            self._problem = ""
        except BotError as error:
            self._problem = str(error)


def router(parts: Parts, view: View) -> APIRouter:
    """Return the page of gaps, with what its forms do."""
    pages = APIRouter()
    grouping = _Grouping(parts)

    async def shown(request: Request, **more: object) -> Response:
        groups, problem = grouping.latest()
        values: dict[str, object] = {
            "gaps": groups.gaps[:_MOST] if groups else None,
            "unsure": groups.unsure[:_MOST] if groups else None,
            "running": grouping.running,
            "bounds": parts.settings.answer,
            "answer_days": parts.settings.storage.answer_days,
            "problem": problem,
            "form": {},
        }
        return await view.page(request, "gaps.html", **values | more)  # type: ignore[arg-type]

    @pages.get("/gaps")
    async def listed(request: Request) -> Response:
        return await shown(request)

    @pages.post("/gaps", dependencies=[Depends(view.checked_form)])
    async def write(
        request: Request, question: Annotated[str, Form()] = "", answer: Annotated[str, Form()] = ""
    ) -> Response:
        try:
            await parts.entries.write(question, answer)
        except DocumentError as error:
            form = {"question": question, "answer": answer}
            return await shown(request, form=form, problem=str(error), status=HTTPStatus.CONFLICT)
        return view.to(request, "/entries", "Kept. It is answered from once it is published.")

    return pages
