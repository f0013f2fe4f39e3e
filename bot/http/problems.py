"""Problems as of RFC 9457 (`application/problem+json`), for OpenAI's clients with the member that they read."""

from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse

from bot.core.errors import BotError, DeadlineExceeded, EngineBusy, RateLimited

_MEDIA_TYPE = "application/problem+json"
# Seconds after which a client that was refused because of too much work may try again.
_RETRY_SECONDS = 5


class Problem(Exception):
    """Raised where a request can't be fulfilled. `members` stand in the response beside status and detail."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None, **members: Any) -> None:
        self.status = HTTPStatus(status)
        self.detail = detail
        self.headers = headers or {}
        self.members = members
        super().__init__(detail)

    @classmethod
    def of(cls, error: BotError) -> "Problem":
        """Return the problem that tells a client of an error, in the error's own words."""
        match error:
            case RateLimited():
                return cls(HTTPStatus.TOO_MANY_REQUESTS, str(error), {"Retry-After": str(max(1, round(error.seconds)))})
            case EngineBusy():
                return cls(HTTPStatus.SERVICE_UNAVAILABLE, str(error), {"Retry-After": str(_RETRY_SECONDS)})
            case DeadlineExceeded():
                return cls(HTTPStatus.GATEWAY_TIMEOUT, str(error))
            case _:
                return cls(HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    def to_json(self) -> dict[str, Any]:
        said = {"type": "about:blank", "title": self.status.phrase, "status": int(self.status), "detail": self.detail}
        return said | self.members

    def response(self, *, for_openai: bool = False) -> JSONResponse:
        content = self.to_json() | ({"error": self.openai_error} if for_openai else {})
        return JSONResponse(content, self.status, self.headers, _MEDIA_TYPE)

    @property
    def openai_error(self) -> dict[str, Any]:
        """The error as an OpenAI client expects it."""
        kind = "invalid_request_error" if self.status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"
        return {"message": self.detail, "type": kind, "param": None, "code": self.members.get("code")}
