"""Documents: the files in the index with their citations and remarks, and changes of the folder."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Request, Response, UploadFile

from bot.console.parts import Parts
from bot.console.view import View
from bot.core.errors import BotError
from bot.core.text import counted
from bot.knowledge.indexer import IndexProgress, IndexReport
from bot.knowledge.remarks import by_kind


class _Reindexing:
    """The last indexing that was begun here."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._task: asyncio.Task[None] | None = None
        self.progress: IndexProgress | None = None
        self.report: IndexReport | None = None
        self.problem = ""

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    def begin(self) -> None:
        """Begin, unless one is running."""
        if not self.running:
            self.progress, self.report, self.problem = None, None, ""
            self._task = asyncio.create_task(self._run(), name="console-index")

    async def _run(self) -> None:
        def note(progress: IndexProgress) -> None:
            self.progress = progress

        try:
            self.report = await self._parts.administration.reload(note)
        except BotError as error:
            self.problem = str(error)


def router(parts: Parts, view: View) -> APIRouter:
    """Return the page of documents, with what its forms do."""
    pages = APIRouter()
    checked = [Depends(view.checked_form)]
    reindexing = _Reindexing(parts)

    @pages.get("/documents")
    async def listed(request: Request) -> Response:
        files = await parts.administration.documents()
        return await view.page(
            request,
            "documents.html",
            files=files,
            cited=await parts.history.citations(),
            answer_days=parts.settings.storage.answer_days,
            kinds=await view.in_thread(by_kind, files),
            passages=sum(file.passages for file in files),
            reindexing=reindexing,
            folder=parts.settings.knowledge.folder,
            largest=parts.settings.administration.document_bytes,
        )

    @pages.post("/documents", dependencies=checked)
    async def upload(
        request: Request, file: Annotated[UploadFile, File()], path: Annotated[str, Form()] = ""
    ) -> Response:
        content = await file.read()
        report = await parts.administration.add_document(path.strip() or file.filename or "", content)
        return view.to(request, "/documents", f"{report.path}: {counted(report.passages, 'passage')}.")

    @pages.post("/documents/remove", dependencies=checked)
    async def remove(request: Request, path: Annotated[str, Form()] = "") -> Response:
        await parts.administration.remove_document(path)
        return view.to(request, "/documents", f"{path}: removed.")

    @pages.post("/documents/index", dependencies=checked)
    async def index(request: Request) -> Response:
        reindexing.begin()
        return view.to(request, "/documents")

    return pages
