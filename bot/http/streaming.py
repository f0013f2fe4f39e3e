"""Server-sent events."""

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi.responses import StreamingResponse

EVENT_STREAM = "text/event-stream"
# A comment, which every client passes over.
KEEP_ALIVE = ": still here\n\n"


def event_stream(events: AsyncIterator[str]) -> StreamingResponse:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # no proxy may hold events back
    return StreamingResponse(events, headers=headers, media_type=EVENT_STREAM)


def event(data: dict[str, Any], name: str = "") -> str:
    """Return one event; `data` goes as JSON, which has no line breaks."""
    return (f"event: {name}\n" if name else "") + f"data: {json.dumps(data, ensure_ascii=False)}\n\n"
