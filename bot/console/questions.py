"""Questions: the history with its filters, a question with its answer, and ways to correct a wrong one."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request, Response

from bot.console.parts import Parts
from bot.console.view import Id, View
from bot.core.errors import DocumentError
from bot.core.messages import Outcome
from bot.core.platforms import AskedOn
from bot.evaluation.golden import add_golden_question
from bot.http.problems import Problem
from bot.knowledge.folder import GOLDEN_FILE
from bot.storage.base import Cursor, HistoryFilter, KeptQuestion, Rating

_A_PAGE = 50
# Under which name the operator's own rating is kept.
_OPERATOR = "operator"
_OUTCOMES = (Outcome.ANSWERED, Outcome.SUGGESTED, Outcome.DECLINED, Outcome.SMALL_TALK, Outcome.FAILED, Outcome.STOPPED)
QueryText = Annotated[str, Query(max_length=500)]


def router(parts: Parts, view: View) -> APIRouter:
    """Return the pages of questions, with what their forms do."""
    pages = APIRouter()
    checked = [Depends(view.checked_form)]

    async def asked_before(entry: int) -> KeptQuestion:
        if found := await parts.history.one(entry):
            return found
        raise Problem(HTTPStatus.NOT_FOUND, "This question is not kept any more.")

    async def one(request: Request, asked: KeptQuestion, **more: Any) -> Response:
        documents = [report.path for report in await parts.administration.documents() if report.passages]
        return await view.page(request, "question.html", asked=asked, documents=documents, **{"form": {}} | more)

    @pages.get("/questions")
    async def listed(
        request: Request,
        text: QueryText = "",
        outcome: str = "",
        platform: QueryText = "",
        chat: QueryText = "",
        rating: str = "",
        since: str = "",
        after: str = "",
    ) -> Response:
        chosen = {
            "text": text,
            "outcome": outcome,
            "platform": platform,
            "chat": chat,
            "rating": rating,
            "since": since,
        }
        chosen = {name: value.strip() for name, value in chosen.items() if value.strip()}
        found = await parts.history.page(_filter(chosen), _A_PAGE + 1, _cursor(after))
        last = found[_A_PAGE - 1] if len(found) > _A_PAGE else None
        older = urlencode(chosen | {"after": f"{last.at!r},{last.id}"}) if last else ""
        return await view.page(
            request,
            "questions.html",
            found=found[:_A_PAGE],
            chosen=chosen,
            older=older,
            newest=urlencode(chosen) if after else None,
            outcomes=_OUTCOMES,
            platforms=AskedOn,
            answer_days=parts.settings.storage.answer_days,
        )

    @pages.get("/questions/{entry}")
    async def shown(request: Request, entry: Id) -> Response:
        return await one(request, await asked_before(entry))

    @pages.get("/explain")
    async def explained(request: Request, text: QueryText, entry: int | None = None) -> Response:
        explanation = await parts.administration.explain(text) if text.strip() else None
        return await view.page(request, "explain.html", text=text, entry=entry, explanation=explanation)

    @pages.post("/questions/{entry}/golden", dependencies=checked)
    async def golden(
        request: Request,
        entry: Id,
        question: Annotated[str, Form()] = "",
        document: Annotated[str, Form()] = "",
        phrase: Annotated[str, Form()] = "",
        unanswerable: Annotated[bool, Form()] = False,
    ) -> Response:
        asked = await asked_before(entry)
        form = {"question": question, "document": document, "phrase": phrase, "unanswerable": unanswerable}
        try:
            line = _golden(question, document, phrase, unanswerable=unanswerable)
            file = parts.settings.knowledge.folder / GOLDEN_FILE
            await view.in_thread(add_golden_question, file, line)
        except DocumentError as error:
            return await one(request, asked, form=form, problem=str(error), status=HTTPStatus.CONFLICT)
        await _mark_wrong(parts, asked)
        return view.to(
            request, f"/questions/{entry}", f"Added to {GOLDEN_FILE}: every new index is asked this question."
        )

    @pages.post("/questions/{entry}/entry", dependencies=checked)
    async def entry(
        request: Request, entry: Id, question: Annotated[str, Form()] = "", answer: Annotated[str, Form()] = ""
    ) -> Response:
        asked = await asked_before(entry)
        try:
            await parts.entries.write(question, answer)
        except DocumentError as error:
            form = {"question": question, "answer": answer}
            return await one(request, asked, form=form, problem=str(error), status=HTTPStatus.CONFLICT)
        await _mark_wrong(parts, asked)
        return view.to(request, "/entries", "Kept. It is answered from once it is published.")

    return pages


def _filter(chosen: dict[str, str]) -> HistoryFilter:
    """Return the filter that a form asks for. Raises Problem."""
    try:
        since = chosen.get("since")
        return HistoryFilter(
            since=datetime.fromisoformat(since).astimezone().timestamp() if since else None,
            outcome=Outcome(chosen["outcome"]) if "outcome" in chosen else None,
            platform=chosen.get("platform", ""),
            chat=chosen.get("chat", ""),
            rating=Rating(chosen["rating"]) if "rating" in chosen else None,
            text=chosen.get("text", ""),
        )
    except (ValueError, OverflowError) as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"This can't be looked for: {error}.") from error


def _cursor(after: str) -> Cursor | None:
    """Return the place that a page begins after, from the link to it."""
    at, _, entry = after.partition(",")
    try:
        return Cursor(float(at), int(entry[:18])) if after else None
    except ValueError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "There is no such page.") from error


def _golden(question: str, document: str, phrase: str, *, unanswerable: bool) -> dict[str, object]:
    """Return the line of a golden question. Raises DocumentError."""
    question, document, phrase = question.strip(), document.strip(), phrase.strip()
    if not question:
        raise DocumentError("A golden question needs its question.")
    if unanswerable:
        return {"question": question, "answers": []}
    if not document and not phrase:
        raise DocumentError(
            "Say what is right: the document that must be quoted, words of the answer, or that there is none."
        )
    expected = {"doc_id": document} if document else {}
    return {"question": question, **expected, **({"answers": [phrase]} if phrase else {})}


async def _mark_wrong(parts: Parts, asked: KeptQuestion) -> None:
    """Note that the operator found the answer wrong."""
    if asked.answer is not None:
        platform = asked.question.address.platform
        await parts.administration.journal.answers.add_feedback(
            platform, asked.answer.reference, _OPERATOR, helpful=False, reason=""
        )
