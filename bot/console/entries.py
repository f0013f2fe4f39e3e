"""Pending: entries that wait to be published."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response

from bot.console.parts import Parts
from bot.console.view import Id, View
from bot.core.errors import DocumentError
from bot.core.text import counted

FormText = Annotated[str, Form()]


def router(parts: Parts, view: View) -> APIRouter:
    """Return the page of entries, with what its forms do."""
    pages = APIRouter()
    checked = [Depends(view.checked_form)]

    async def listed(request: Request, *, problem: str = "", changed: dict[str, object] | None = None) -> Response:
        status = HTTPStatus.CONFLICT if problem else HTTPStatus.OK
        waiting = await parts.administration.journal.entries.all()
        return await view.page(
            request, "entries.html", status=status, problem=problem, entries=waiting, changed=changed or {}
        )

    @pages.get("/entries")
    async def shown(request: Request) -> Response:
        return await listed(request)

    @pages.post("/entries", dependencies=checked)
    async def write(request: Request, question: FormText = "", answer: FormText = "") -> Response:
        return await save(request, None, question, answer)

    @pages.post("/entries/{entry}", dependencies=checked)
    async def change(
        request: Request, entry: Id, question: FormText = "", answer: FormText = "", then: FormText = ""
    ) -> Response:
        return await save(request, entry, question, answer, publish=then == "publish")

    @pages.post("/entries/{entry}/discard", dependencies=checked)
    async def discard(request: Request, entry: Id) -> Response:
        await parts.administration.journal.entries.remove(entry)
        return view.to(request, "/entries", "Discarded.")

    async def save(
        request: Request, entry: int | None, question: str, answer: str, *, publish: bool = False
    ) -> Response:
        """Keep an entry, and publish it with `publish`. On an error the page shows the texts again, so that none is lost."""
        try:
            entry = await parts.entries.write(question, answer, entry)
            if not publish:
                return view.to(request, "/entries", "Kept. It is answered from once it is published.")
            report = await parts.entries.publish(entry)
        except DocumentError as error:
            changed: dict[str, object] = {"id": entry, "question": question, "answer": answer}
            return await listed(request, problem=str(error), changed=changed)
        said = f"Published: {report.path} has {counted(report.passages, 'passage')} now. Ask, to see the answer."
        return view.to(request, "/entries", said)

    return pages
