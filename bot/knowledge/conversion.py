"""The main function of the converter's process: reads files from its input and writes their Documents to its output.

`converter` starts the process. It limits itself before it reads the first byte: its memory, the seconds a file, and
everything that `sandbox` closes. Any error but a DocumentError ends it, which its parent notices.

The first line of the output is the process's Isolation as JSON. Then follow replies. A request is a line of JSON and `size`
bytes. Its keys are "size", "seconds" and those of one of these:

- "path" and "url" ask for the document in the bytes;
- "rules" and "archives" ask for the contents of an export, whose archives the process has inherited as these descriptors, and
  with "part" for the part with this number, counted from 0;
- without any of these, the links in the bytes are asked for.

A reply is a line with a number of bytes, and so many bytes of JSON: {"document"}, {"links"}, {"contents"}, {"content",
"left_out"}, {"problem"}, or {"out_of_memory"}. Binary content is in base64.
"""

import json
import os
import signal
import sys
import warnings
from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from bot.core.errors import DocumentError
from bot.core.process import protect_memory
from bot.knowledge import sandbox
from bot.knowledge.formats.exports.export import Export, Rules
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
        if "rules" in request:
            return _of_export(request)
        if "path" not in request:
            return {"links": links_of(content)}
        return {"document": load(request["path"], content, request["url"])}
    except DocumentError as error:
        return {"problem": str(error)}
    except MemoryError:
        return {"out_of_memory": True}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _of_export(request: Mapping[str, Any]) -> dict[str, object]:
    rules = Rules(**request["rules"] | {"staff": tuple(request["rules"]["staff"])})
    export = _export(tuple(request["archives"]), rules)
    if "part" not in request:
        return {"contents": export.contents}
    _, convert = export.parts[request["part"]]
    converted = convert()
    return {"content": converted.content, "left_out": converted.left_out}


@lru_cache(maxsize=1)
def _export(archives: tuple[int, ...], rules: Rules) -> Export:
    from bot.knowledge.formats.exports.archives import Archives
    from bot.knowledge.formats.exports.kinds import KINDS

    opened = Archives(os.fdopen(os.dup(descriptor), "rb") for descriptor in archives)
    return KINDS[rules.kind](opened, rules)


def _json(reply: object) -> bytes:
    return json.dumps(reply, default=_fields).encode()


def _fields(data: Any) -> dict[str, object] | str:
    if isinstance(data, bytes):
        return b64encode(data).decode()
    return {name: getattr(data, name) for name in data.__slots__}


def _limit(memory_bytes: int) -> None:
    import resource

    os.nice(_NICENESS)
    protect_memory()
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if sys.platform == "linux":  # other systems ignore the limit, or count shared memory
        most = memory_bytes + recognition_memory()
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
