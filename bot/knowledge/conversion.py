"""The main function of the converter's process: reads files from its input and writes their Documents to its output.

`converter` starts the process. It limits itself before it reads the first byte: its memory, the seconds a file, and that it
writes no files. Any error but a DocumentError ends it, which its parent notices.

A request is a line of JSON, {"path", "url", "size", "seconds"}, and `size` bytes; without a path, only their links are asked
for. A reply is a line with a number of bytes, and so many bytes of JSON: a document, links, {"problem"}, or {"out_of_memory"}.
"""

import json
import os
import signal
import sys
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bot.core.documents import Block
from bot.core.errors import DocumentError
from bot.knowledge.formats.recognition import recognition_memory
from bot.knowledge.loaders import load

# Answering questions goes before reading.
_NICENESS = 10


def main(memory_bytes: int) -> None:
    """Convert files until the input ends, in at most this much memory."""
    _limit(memory_bytes)
    warnings.simplefilter("ignore")
    requests = sys.stdin.buffer
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the output of libraries must not mix with the replies
    while header := requests.readline():
        request = json.loads(header)
        reply = json.dumps(_answer(request, requests.read(request["size"]))).encode()
        replies.write(b"%d\n" % len(reply) + reply)
        replies.flush()


def _answer(request: Mapping[str, Any], content: bytes) -> dict[str, object]:
    # The signal isn't caught, so that it ends this process also within a library.
    signal.setitimer(signal.ITIMER_REAL, request["seconds"])
    try:
        return _document(request["path"], content, request["url"]) if "path" in request else _links(content)
    except DocumentError as error:
        return {"problem": str(error)}
    except MemoryError:
        return {"out_of_memory": True}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _document(path: str, content: bytes, url: str) -> dict[str, object]:
    document = load(path, content, url)
    return {
        "path": document.path,
        "title": document.title,
        "url": document.url,
        "language": document.language,
        "warnings": document.warnings,
        "blocks": list(map(_block, document.blocks)),
    }


def _links(content: bytes) -> dict[str, object]:
    from bot.knowledge.formats.html.links import links_of

    return asdict(links_of(content))


def _block(block: Block) -> tuple[object, ...]:
    at = block.locator
    return block.form, block.text, block.heading, at.lines, at.page, at.row, at.paragraph, block.context, block.markup


def _limit(memory_bytes: int) -> None:
    import resource

    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if sys.platform == "linux":  # other systems ignore the limit, or count shared memory
        most = memory_bytes + recognition_memory()  # which raises its limit itself
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, most))
