"""Limits of one request: its size, and the time that it may take to arrive."""

import asyncio
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

LARGEST_BODY = 1_000_000  # bytes
# Seconds that a client may take to send the body of a request.
_BODY_SECONDS = 30.0


def limited(request: Request, receive: Receive, largest: float) -> Receive:
    """Return a `receive` that raises HTTPException where the body has more than `largest` bytes or takes too long."""
    closing = {"Connection": "close"}  # the rest of the body is not read
    until = asyncio.get_running_loop().time() + _BODY_SECONDS
    size, complete = 0, False

    async def receive_within_limits() -> Message:
        nonlocal size, complete
        if complete:  # the next message is the end of the connection, at any time
            return await receive()
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError as error:
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, "The body took too long.", closing) from error
        size += len(message.get("body", b""))
        declared = request.headers.get("content-length", "")
        if max(size, int(declared) if declared.isascii() and declared.isdigit() else 0) > largest:
            detail = f"A request may have up to {largest} bytes."
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, closing)
        complete = not message.get("more_body", False)
        return message

    return receive_within_limits
