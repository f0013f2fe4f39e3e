"""Reading of files in a process of their own, because a hostile file may crash it, fill its memory, never end, or take it over.

The process (`conversion`) gets none of the bot's environment, and so no tokens, and reaches nothing of the machine
(`sandbox`). Its replies are checked like anything from outside. It starts with the first file and again after a
file has ended it, and ends with `close`.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

import structlog
from pydantic import Base64Bytes, TypeAdapter, ValidationError

import bot
from bot.core.documents import Document, Links
from bot.core.errors import DocumentError
from bot.core.text import counted
from bot.knowledge.formats.exports.export import Contents, Converted, Rules
from bot.knowledge.loaders import LARGEST_TEXT
from bot.knowledge.sandbox import Isolation

_log = structlog.stdlib.get_logger(__name__)

# A character takes at most six bytes of JSON; the rest is for headings and places.
_LARGEST_REPLY = 12 * LARGEST_TEXT
_LONGEST_LINE = 4096  # bytes
_MAIN = "import sys; from bot.knowledge.conversion import main; main(int(sys.argv[1]))"
# The variables that Python needs to start; none of the bot's own.
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONHOME")
# The process ends itself in time, unless it was stopped or has been taken over.
_GRACE = 2.0  # seconds
_TO_START = 60.0  # seconds
# What reading a file takes at most on a slow machine, unless it is made to take long.
_USUAL_SECONDS, _USUAL_SECONDS_PER_MEGABYTE = 1.0, 10.0
_STOPPED = "the indexing was stopped; it goes on with the next one"


class OutOfTime(DocumentError):
    """Reading was given up early, because other files have used up the time: it may be tried again."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits for reading one file."""

    seconds: float = 60.0
    memory_bytes: int = 1024 * 2**20


class _Budget:
    """The seconds that all files of a run together may take beyond those for their sizes: twice those of one file.

    When they are used up, a file gets only the seconds for its size, so that many hostile files can't add up.
    """

    def __init__(self, limit: float) -> None:
        """`limit`: the seconds that one file may take."""
        self._limit = limit
        self.left = 2 * limit

    def allowed(self, size: int) -> float:
        """Return the seconds that reading a file of so many bytes may take."""
        return min(self._limit, max(self._usual(size), self.left))

    def spend(self, size: int, seconds: float) -> None:
        """Note the seconds that reading a file of so many bytes took."""
        self.left -= max(0.0, seconds - self._usual(size))

    @staticmethod
    def _usual(size: int) -> float:
        return _USUAL_SECONDS + _USUAL_SECONDS_PER_MEGABYTE * size / 2**20


class Converter:
    """Reads files one after the other. Blocking. Use it from one thread; `close` may be called from any."""

    def __init__(self, limits: Limits | None = None, archives: Sequence[BinaryIO] = ()) -> None:
        """`archives` are those of an export, open as long as the converter is used."""
        self._limits = limits or Limits()
        self._archives = [archive.fileno() for archive in archives]
        self._budget = _Budget(self._limits.seconds)
        self._process: subprocess.Popen[bytes] | None = None
        self._isolation = Isolation()
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
        found = self._reply({"path": path, "url": url}, content)
        if found.document is None:
            raise DocumentError(found.problem)
        return replace(found.document, path=path)

    def links(self, content: bytes) -> Links:
        """Read the links of an HTML page or a sitemap. Raises DocumentError as `read` does."""
        found = self._reply({}, content)
        if found.links is None:
            raise DocumentError(found.problem)
        return found.links

    def contents(self, rules: Rules) -> Contents:
        """Find the files that the export gives. Raises DocumentError as `read` does."""
        size = sum(os.fstat(archive).st_size for archive in self._archives)
        found = self._reply({"rules": asdict(rules), "archives": self._archives}, size=size)
        if found.contents is None:
            raise DocumentError(found.problem)
        return found.contents

    def part(self, rules: Rules, number: int, size: int) -> Converted:
        """Read a file that the export gives, by its number in `contents`. Raises DocumentError as `read` does.

        `size`: the bytes that it is made of, by which reading it may take longer.
        """
        found = self._reply({"rules": asdict(rules), "archives": self._archives, "part": number}, size=size)
        if found.content is None:
            raise DocumentError(found.problem)
        return Converted(found.content, found.left_out)

    def _reply(self, what: Mapping[str, object], content: bytes = b"", size: int | None = None) -> "_Reply":
        """Ask the process. `size` is the number of bytes that it has to read, if those are not the content."""
        process = self._started()
        size = len(content) if size is None else size
        seconds = self._budget.allowed(size)
        began = time.monotonic()
        try:
            with _killed_after(process, seconds + _GRACE):
                reply = self._ask(process, {**what, "size": len(content), "seconds": seconds}, content)
        except (OSError, ValueError):
            raise self._post_mortem(process, seconds, time.monotonic() - began) from None
        finally:
            self._budget.spend(size, time.monotonic() - began)
        return self._checked(reply)

    @staticmethod
    def _ask(process: subprocess.Popen[bytes], request: dict[str, object], content: bytes) -> bytes:
        """Return the reply as JSON. Raises OSError or ValueError if there is none."""
        requests, replies = cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout)
        requests.write(json.dumps(request).encode() + b"\n" + content)
        requests.flush()
        size = int(replies.readline(_LONGEST_LINE))
        if not 0 < size <= _LARGEST_REPLY:
            raise ValueError("no reply has this size")
        reply = replies.read(size)
        if len(reply) != size:
            raise ValueError("the reply is cut off")
        return reply

    @property
    def isolation(self) -> Isolation:
        """The limits that confine the process. Starts it. Raises DocumentError."""
        self._started()
        return self._isolation

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
                raise DocumentError(_STOPPED)
            if self._process is None:
                source = str(Path(bot.__file__).parent.parent)
                environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
                self._process = subprocess.Popen(  # noqa: S603  (our own interpreter and code)
                    [sys.executable, "-P", "-c", _MAIN, str(self._limits.memory_bytes)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=environment | {"PYTHONPATH": os.pathsep.join([source, *filter(None, sys.path)])},
                    start_new_session=True,  # a Ctrl-C is for the bot alone
                    pass_fds=self._archives,
                )
                starting = self._process
            else:
                return self._process
        self._greet(starting)
        return starting

    def _greet(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until the process is confined, and log its limits."""
        try:
            with _killed_after(process, _TO_START):
                line = cast(BinaryIO, process.stdout).readline(_LONGEST_LINE)
            self._isolation = _ISOLATION.validate_json(line)
        except (OSError, ValueError):
            raise self._post_mortem(process, _TO_START, 0.0) from None
        log = _log.info if self._isolation.complete else _log.warning
        log("converter started", isolation=str(self._isolation))

    def _end(self) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        process.kill()
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):  # unwritten input has no reader any more
                cast(BinaryIO, stream).close()
        return process.wait()

    def _post_mortem(self, process: subprocess.Popen[bytes], allowed: float, seconds: float) -> DocumentError:
        """Return the reason why the process ended, after so many of the seconds that were allowed."""
        try:
            code: int | None = process.wait(1.0)
        except subprocess.TimeoutExpired:  # it still runs, but its reply was malformed
            code = None
        self._end()
        if self._closed:
            return DocumentError(_STOPPED)
        if code == -signal.SIGALRM or seconds > allowed:
            return self._too_slow(allowed)
        if code in (-signal.SIGKILL, -signal.SIGABRT, -signal.SIGSEGV, -signal.SIGTRAP):
            return DocumentError(
                "reading it has crashed the reader or filled the memory; check the file, or save it again"
            )
        return _FAILED

    def _too_slow(self, allowed: float) -> DocumentError:
        limit = self._limits.seconds
        if allowed < limit:
            return OutOfTime(
                f"reading it takes longer than {allowed:.1f} seconds, and other files that took very long have used up the "
                f"{2 * limit:g} seconds that there are for such; remove those, and it is read with the next change or "
                "`knowledge-bot index`"
            )
        return DocumentError(
            f"reading it takes longer than {counted(limit, 'second')}; divide it, or raise knowledge.convert_seconds"
        )

    def _checked(self, reply: bytes) -> "_Reply":
        """Parse a reply. Raises DocumentError if it is malformed, or if the process has run out of memory."""
        try:
            found = _REPLY.validate_json(reply)
        except ValidationError:
            self._end()  # nothing that it sends can be trusted any more
            raise _FAILED from None
        if found.out_of_memory:
            self._end()  # its memory may be fragmented
            megabytes = self._limits.memory_bytes // 2**20
            raise DocumentError(
                f"reading it takes more than {megabytes} megabytes of memory; divide it, or raise knowledge.convert_megabytes"
            )
        return found


@dataclass(frozen=True, slots=True)
class _Reply:
    document: Document | None = None
    links: Links | None = None
    contents: Contents | None = None
    content: Base64Bytes | None = None
    left_out: tuple[str, ...] = ()
    problem: str = ""
    out_of_memory: bool = False


_REPLY, _ISOLATION = TypeAdapter(_Reply), TypeAdapter(Isolation)
_FAILED = DocumentError(
    "it could not be read (the reader has failed); save it again, in another format if that doesn't help"
)


@contextmanager
def _killed_after(process: subprocess.Popen[bytes], seconds: float) -> Iterator[None]:
    """Kill the process if this takes longer. Unlike a signal of its own, this ends also a stopped one."""
    timer = threading.Timer(seconds, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
