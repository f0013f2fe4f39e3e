"""The terminal: typed lines, or lines from a pipe, are questions; answers are printed.

It asks one question at a time.
"""

import asyncio
import io
import sys
import threading
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, nullcontext, suppress
from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from bot.adapters.layout import source_line
from bot.adapters.screen import Screen, markdown, shown
from bot.adapters.texts import LATE, progress_text
from bot.core import clock
from bot.core.errors import BotError
from bot.core.messages import Address, Answer, Delivery, Outcome, Question, Stage, Update
from bot.core.text import safe

PLATFORM = "terminal"
_HELP = """\
Type a question and press Enter. The answer comes from the documents, with its source.

- `/sources` shows the exact words behind the last answer, what follows them, and which documents were found
- `/new` starts a new conversation: what was said before is not referred to any more
- `/help` shows this
- `/quit` leaves (so do Ctrl-D and Ctrl-C)
"""
# Commands that leave other programs, typed by habit; no document answers them.
_FAREWELLS = frozenset({"quit", "exit"})
_LONGEST_LINE = 20_000  # characters, as of a question by HTTP; a longer one would take seconds to show


class TerminalAdapter:
    """An Adapter between the dispatcher and one person at a terminal, or a pipe."""

    name = PLATFORM

    def __init__(
        self,
        accept: Callable[[Question], Awaitable[bool]],
        *,
        history: Path,
        greeting: str = "",
        console: Screen | None = None,
    ) -> None:
        """`accept` admits a question. `history` is the file of typed lines for the arrow keys."""
        self._accept = accept
        self._history = history
        self._greeting = greeting
        self._console = console or Screen()
        self._interactive = sys.stdin.isatty()
        self._conversation = _new_id()
        self._awaited: dict[str, asyncio.Event] = {}  # message id -> set when its answer is printed
        self._status: Text | None = None
        self._last: Answer | None = None

    # --- Adapter

    async def run(self) -> None:
        """Ask until the person leaves or the pipe ends."""
        if self._interactive:
            self._console.print(Text(self._greeting, style="dim"))
        lines = self._typed_lines() if self._interactive else self._piped_lines()
        async with aclosing(lines):
            async for line in lines:
                if len(line) > _LONGEST_LINE:
                    said = f"A question may have up to {_LONGEST_LINE} characters, and this line has {len(line)}."
                    self._console.print(Text(said, style="red"))
                elif line.startswith("/") or line.lower() in _FAREWELLS:
                    if not self._command(line):
                        break
                elif line:
                    await self._ask(line)

    async def deliver(self, address: Address, answer: Answer, delivery: Delivery) -> None:
        await delivery.send_part(0, lambda sending: self._show(address, answer, sending.repeated))
        if answered := self._awaited.pop(address.message, None):
            answered.set()

    async def progress(self, address: Address, update: Update) -> None:
        if self._status is not None and address.message in self._awaited:
            self._status.plain = progress_text(update)

    # --- asking

    async def _ask(self, text: str) -> None:
        message = _new_id()
        question = Question(
            text=text,
            conversation=f"{PLATFORM}:{self._conversation}",
            author=PLATFORM,
            # The text comes back with the answer if that is delivered by another run of the program.
            address=Address(PLATFORM, PLATFORM, message, {"question": text}),
            received_at=clock.utc_now(),
        )
        answered = self._awaited[message] = asyncio.Event()
        try:
            await self._accept(question)
        except BotError as error:
            del self._awaited[message]
            self._console.print(Text(str(error), style="red"))
            return
        await self._wait_with_status(answered)

    async def _wait_with_status(self, answered: asyncio.Event) -> None:
        """Wait for the answer; on a terminal, show how far it is."""
        self._status = Text(progress_text(Update(Stage.SEARCHING)), style="dim")
        try:
            with self._console.status(self._status, spinner="dots") if self._interactive else nullcontext():
                await answered.wait()
        finally:
            self._status = None

    def _command(self, line: str) -> bool:
        """Run a command. Returns False if it ends the session."""
        match line.split()[0].lower():
            case "/quit" | "quit" | "exit":
                return False
            case "/new":
                self._conversation = _new_id()
                self._console.print(Text("New conversation.", style="dim"))
            case "/sources":
                self._console.print(_sources(self._last))
            case "/help":
                self._console.print(markdown(_HELP))
            case unknown:
                self._console.print(Text(f"There is no command {safe(unknown)}; /help lists them.", style="red"))
        return True

    # --- showing

    async def _show(self, address: Address, answer: Answer, repeated: bool) -> str:
        if repeated:
            self._console.print(Text("(shown again: the program was interrupted while it showed this)", style="dim"))
        if address.message not in self._awaited or not self._interactive:
            self._console.print(Text(f"> {safe(address.details['question'])}", style="bold"))
        if answer.late:
            self._console.print(Text(LATE, style="dim"))
        self._console.print(rendered(answer))
        self._last = answer
        return address.message

    # --- lines

    async def _typed_lines(self) -> AsyncGenerator[str, None]:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.history import FileHistory
        from prompt_toolkit.patch_stdout import patch_stdout

        session: PromptSession[str] = PromptSession(history=FileHistory(_private_file(self._history)))
        while True:
            try:
                # Answers to earlier questions that come now are printed above the prompt.
                with patch_stdout(raw=True):
                    line = await session.prompt_async("> ", handle_sigint=False)
            except (EOFError, KeyboardInterrupt):
                return
            yield line.strip()

    async def _piped_lines(self) -> AsyncGenerator[str, None]:
        """Yield the lines of standard input, read by a thread that doesn't delay a stop."""
        loop = asyncio.get_running_loop()
        lines: asyncio.Queue[str | None] = asyncio.Queue()

        def read() -> None:
            with suppress(RuntimeError):  # the loop is closed
                for line in sys.stdin:
                    loop.call_soon_threadsafe(lines.put_nowait, line)
                loop.call_soon_threadsafe(lines.put_nowait, None)

        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")  # a pipe may hold bytes that aren't UTF-8
        threading.Thread(target=read, name="stdin", daemon=True).start()
        while (line := await lines.get()) is not None:
            yield line.strip()


def rendered(answer: Answer) -> RenderableType:
    """Render an answer for people: its text, then its sources."""
    if answer.outcome is Outcome.DECLINED:
        return Padding(Text(safe(answer.text), style="yellow"), (0, 0, 1, 0))
    if answer.outcome in (Outcome.FAILED, Outcome.STOPPED):
        return Padding(Text(safe(answer.text), style="red"), (0, 0, 1, 0))
    sources = [Text(f"— {source_line(citation)}", style="dim") for citation in answer.citations]
    links = [Text(f"  {safe(citation.url)}", style="dim") for citation in answer.citations if citation.url]
    return Padding(Group(shown(answer.pieces), *sources, *links), (0, 0, 1, 0))


def _sources(answer: Answer | None) -> RenderableType:
    if answer is None:
        return Text("Nothing has been answered yet.", style="dim")
    parts: list[RenderableType] = []
    for citation in answer.citations:
        parts += [Rule(source_line(citation), style="dim", align="left"), Text(safe(citation.quote))]
    if answer.more:
        parts += [Rule("More of the same section", style="dim", align="left"), shown(answer.more_pieces)]
    found = ", ".join(map(safe, answer.retrieved)) or "none"
    return Group(*parts, Text(f"Documents found: {found}. Confidence {answer.confidence:.2f}.", style="dim"))


def _new_id() -> str:
    return uuid.uuid4().hex


def _private_file(path: Path) -> str:
    """Make the file readable by its owner alone, because it holds questions; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    return str(path)
