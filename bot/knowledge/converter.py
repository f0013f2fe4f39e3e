"""Reading of files in a process of their own, because a hostile file may crash it, fill its memory or never end.

The process (`conversion`) gets none of the bot's environment, and so no tokens. It starts with the first file and again after
a file has ended it, and ends with `close`.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

import bot
from bot.core.documents import Block, Document, Form, Links, Locator
from bot.core.errors import DocumentError
from bot.core.markup import Markup
from bot.knowledge.loaders import LARGEST_TEXT

# A character takes at most six bytes of JSON; the rest is for headings and places.
_LARGEST_REPLY = 12 * LARGEST_TEXT
_MAIN = "import sys; from bot.knowledge.conversion import main; main(int(sys.argv[1]))"
# The variables that Python needs to start; none of the bot's own.
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONHOME")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits for reading one file."""

    seconds: float = 60.0
    memory_bytes: int = 1024 * 2**20


class Converter:
    """Reads files one after the other. Blocking. Use it from one thread; `close` may be called from any."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._starting = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, path: str, content: bytes, url: str = "") -> Document:
        """Read a document from these bytes, which were published at `url` if that is known.

        Raises DocumentError, also if reading them ends the process.
        """
        return self._document(self._reply({"path": path, "url": url}, content))

    def links(self, content: bytes) -> Links:
        """Read the links of an HTML page or a sitemap. Raises DocumentError as `read` does."""
        reply = self._checked(self._reply({}, content))
        return Links(**reply | {"pages": tuple(reply["pages"]), "sitemaps": tuple(reply["sitemaps"])})

    def _reply(self, what: Mapping[str, str], content: bytes) -> dict[str, Any]:
        process = self._started()
        request = {**what, "size": len(content), "seconds": self._limits.seconds}
        requests, replies = cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout)
        try:
            requests.write(json.dumps(request).encode() + b"\n" + content)
            requests.flush()
            size = int(replies.readline() or 0)
            reply = replies.read(size) if 0 < size <= _LARGEST_REPLY else b""
        except (OSError, ValueError):
            size, reply = 0, b""
        if not reply or len(reply) != size:
            raise DocumentError(self._post_mortem(process))
        told: dict[str, Any] = json.loads(reply)
        return told

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def close(self) -> None:
        """End the process at once. A `read` in another thread then raises DocumentError. Closing twice does nothing."""
        with self._starting:
            self._closed = True
        self._end()

    def _started(self) -> subprocess.Popen[bytes]:
        with self._starting:
            if self._closed:
                raise DocumentError("the indexing was stopped; it goes on with the next one")
            if self._process is None:
                source = str(Path(bot.__file__).parent.parent)
                environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
                self._process = subprocess.Popen(  # noqa: S603  (our own interpreter and code)
                    [sys.executable, "-c", _MAIN, str(self._limits.memory_bytes)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=environment | {"PYTHONPATH": os.pathsep.join([source, *filter(None, sys.path)])},
                    start_new_session=True,  # a Ctrl-C is for the bot alone
                )
            return self._process

    def _end(self) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        process.kill()
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):  # unwritten input has no reader any more
                cast(BinaryIO, stream).close()
        return process.wait()

    def _post_mortem(self, process: subprocess.Popen[bytes]) -> str:
        """The reason why the process ended, as a sentence about the file."""
        try:
            code: int | None = process.wait(1.0)
        except subprocess.TimeoutExpired:  # it still runs, but its reply was malformed
            code = None
        self._end()
        if self._closed:
            return "the indexing was stopped; it goes on with the next one"
        if code == -signal.SIGALRM:
            limit = f"{self._limits.seconds:g} seconds"
            return f"reading it takes longer than {limit}; divide it, or raise knowledge.convert_seconds"
        if code in (-signal.SIGKILL, -signal.SIGABRT, -signal.SIGSEGV, -signal.SIGTRAP):
            return "reading it has crashed the reader or filled the memory; check the file, or save it again"
        return "it could not be read (the reader has failed); save it again, in another format if that doesn't help"

    def _checked(self, reply: dict[str, Any]) -> dict[str, Any]:
        """The reply, if it is none about a problem. Raises DocumentError."""
        if reply.get("out_of_memory"):
            self._end()  # its memory may be fragmented
            megabytes = self._limits.memory_bytes // 2**20
            raise DocumentError(
                f"reading it takes more than {megabytes} megabytes of memory; divide it, or raise knowledge.convert_megabytes"
            )
        if "problem" in reply:
            raise DocumentError(str(reply["problem"]))
        return reply

    def _document(self, reply: dict[str, Any]) -> Document:
        self._checked(reply)
        return Document(
            path=reply["path"],
            title=reply["title"],
            blocks=tuple(map(_block, reply["blocks"])),
            url=reply["url"],
            language=reply["language"],
            warnings=tuple(reply["warnings"]),
        )


def _block(data: list[Any]) -> Block:
    form, text, heading, lines, page, row, paragraph, context, markup = data
    locator = Locator((lines[0], lines[1]) if lines else None, page, row, paragraph)
    return Block(Form(form), text, tuple(heading), locator, context, markup=Markup(markup))
