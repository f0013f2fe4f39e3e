"""The converter's own process: reads one file after the other from its input and writes its Document to its output.

It is started by `converter`, with limits that it puts on itself before it reads the first byte: memory, seconds a file, no
files written. Whatever goes wrong in it beyond a DocumentError ends it, which its parent notices.

One request: a line of JSON, {"path", "size", "seconds"}, and `size` bytes. One reply: a line with the number of bytes that
follow, and as many bytes of JSON: a document, {"problem"}, or {"out_of_memory"}.
"""

import json
import os
import signal
import sys
import warnings
from typing import BinaryIO

from bot.core.documents import Block
from bot.core.errors import DocumentError
from bot.knowledge.loaders import load

# Whoever asks a question meanwhile goes first.
_NICENESS = 10


def main(memory_bytes: int) -> None:
    _limit(memory_bytes)
    warnings.simplefilter("ignore")
    requests = sys.stdin.buffer
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the replies
    while header := requests.readline():
        request = json.loads(header)
        reply = json.dumps(_answer(request["path"], requests, request["size"], request["seconds"])).encode()
        replies.write(b"%d\n" % len(reply) + reply)
        replies.flush()


def _answer(path: str, requests: BinaryIO, size: int, seconds: float) -> dict[str, object]:
    content = requests.read(size)
    # Not caught, so that it ends this process even in the midst of a library that never looks up.
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        document = load(path, content)
        return {
            "path": document.path,
            "title": document.title,
            "url": document.url,
            "language": document.language,
            "warnings": document.warnings,
            "blocks": list(map(_block, document.blocks)),
        }
    except DocumentError as error:
        return {"problem": str(error)}
    except MemoryError:
        return {"out_of_memory": True}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _block(block: Block) -> tuple[object, ...]:
    at = block.locator
    return block.form, block.text, block.heading, at.lines, at.page, at.row, at.paragraph, block.context


def _limit(memory_bytes: int) -> None:
    import resource

    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if sys.platform == "linux":  # elsewhere the limit is not kept, or counts what is shared
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
