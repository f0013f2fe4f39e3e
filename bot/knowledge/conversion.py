"""The main function of the converter's process: reads files from its input and writes their Documents to its output.

`converter` starts the process. It limits itself before it reads the first byte: its memory, the seconds a file, and
everything that `sandbox` closes. Any error but a DocumentError ends it, which its parent notices.

The first line of the output is the process's Isolation as JSON. Then follow replies. A request is a line of JSON, {"path",
"url", "size", "seconds"}, and `size` bytes; without a path, only their links are asked for. A reply is a line with a number of
bytes, and so many bytes of JSON: {"document"}, {"links"}, {"problem"}, or {"out_of_memory"}.
"""

import json
import os
import signal
import sys
import warnings
from collections.abc import Mapping
from typing import Any

from bot.core.errors import DocumentError
from bot.core.process import protect_memory
from bot.knowledge import sandbox
from bot.knowledge.formats.recognition import recognition_memory
from bot.knowledge.loaders import load

# Answering questions goes before reading.
_NICENESS = 10


def main(memory_bytes: int) -> None:
    """Convert files until the input ends, in at most this much memory."""
    _limit(memory_bytes)
    isolation = sandbox.confine()
    warnings.simplefilter("ignore")
    requests = sys.stdin.buffer
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the output of libraries must not mix with the replies
    replies.write(_json(isolation) + b"\n")
    replies.flush()
    while header := requests.readline():
        request = json.loads(header)
        reply = _json(_answer(request, requests.read(request["size"])))
        replies.write(b"%d\n" % len(reply) + reply)
        replies.flush()


def _answer(request: Mapping[str, Any], content: bytes) -> dict[str, object]:
    from bot.knowledge.formats.html.links import links_of

    # The signal isn't caught, so that it ends this process also within a library.
    signal.setitimer(signal.ITIMER_REAL, request["seconds"])
    try:
        if "path" not in request:
            return {"links": links_of(content)}
        return {"document": load(request["path"], content, request["url"])}
    except DocumentError as error:
        return {"problem": str(error)}
    except MemoryError:
        return {"out_of_memory": True}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _json(reply: object) -> bytes:
    return json.dumps(reply, default=_fields).encode()


def _fields(data: Any) -> dict[str, object]:
    return {name: getattr(data, name) for name in data.__slots__}


def _limit(memory_bytes: int) -> None:
    import resource

    os.nice(_NICENESS)
    protect_memory()
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if sys.platform == "linux":  # other systems ignore the limit, or count shared memory
        most = memory_bytes + recognition_memory()
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
