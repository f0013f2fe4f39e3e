"""Exceptions -> problems: the responses to requests that fail."""

from http import HTTPStatus

import structlog
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from bot.core.references import new_reference
from bot.http.html import page
from bot.http.problems import Problem

_log = structlog.stdlib.get_logger(__name__)
# As many mistakes in one request as anybody reads.
_MOST_ERRORS = 20
_OPENAI_PATHS = ("/v1/chat/", "/v1/models")


def on_problem(request: Request, problem: Problem) -> Response:
    """Return the response to a request that failed: as a page where a browser wants to show one."""
    if "text/html" in request.headers.get("accept", ""):
        response = page("problem.html", status=problem.status, title=problem.status.phrase, detail=problem.detail)
        response.headers.update(problem.headers)
        return response
    return problem.response(for_openai=request.url.path.startswith(_OPENAI_PATHS))


async def on_problem_raised(request: Request, error: Problem) -> Response:
    return on_problem(request, error)


async def on_http_exception(request: Request, error: HTTPException) -> Response:
    return on_problem(request, Problem(error.status_code, error.detail, dict(error.headers or {})))


async def on_bug(request: Request, error: Exception) -> Response:
    reference = new_reference()
    _log.error("request failed", reference=reference, exc_info=error)
    detail = f"Something went wrong on our side. Please ask again, or tell the operator. (reference {reference})"
    return on_problem(request, Problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail))


async def on_invalid_request(request: Request, error: RequestValidationError) -> Response:
    """Name each wrong field and its fault, without repeating its value."""
    wrong = [
        {"at": "/".join(map(str, detail["loc"][1:])), "problem": detail["msg"]}
        for detail in error.errors()[:_MOST_ERRORS]
    ]
    wrong_fields = "; ".join(f"{one['at']}: {one['problem']}" if one["at"] else one["problem"] for one in wrong)
    return on_problem(request, Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{wrong_fields}.", errors=wrong))
