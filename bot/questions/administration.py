"""Administration: status, documents, gaps, explanations and forgetting, for the command line and for every adapter.

Callers decide who is an operator. A refusal raises a BotError whose text may be shown as it stands.
"""

import asyncio
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from bot import __version__
from bot.core import clock
from bot.core.errors import DocumentError, WeightsError
from bot.core.messages import Address, Outcome, Question
from bot.core.settings import Settings
from bot.core.text import UNSAFE, counted
from bot.engine.explain import Explanation, explanation
from bot.engine.gaps import Gap
from bot.engine.qa import QAEngine
from bot.inference.tuned import describe_generator
from bot.inference.workers import AsyncEncoder
from bot.knowledge.indexer import Indexer, IndexProgress, IndexReport
from bot.knowledge.loaders import LOADERS
from bot.questions.dispatcher import Dispatcher
from bot.questions.grouping import group
from bot.storage.base import Declined, FileReport, Forgotten, HistoryFilter, Journal, KnowledgeStore

# The latest declined questions, which are searched for gaps.
_MOST_DECLINED = 1000
# Characters that a file name may not have, beside those that aren't seen: some file system forbids them, or they join others.
_FORBIDDEN = re.compile(r'[\x00-\x1f<>:"|?*\\\u200c\u200d]')
_LONGEST_NAME = 200  # bytes, of each part of a path
_ADVICE = "Give a path below the knowledge folder, such as guides/setup.md."


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the bot: its documents, its platforms, its work, and its counts since the start."""

    version: str
    documents: int
    passages: int
    problems: int  # files that can't be read, or with a warning
    encoder: str | None
    generator: str  # the model that phrases answers, with its problem if it has one; empty if none is set
    # The state of each: running, restarting, stopped and why; empty where no daemon runs here.
    platforms: Mapping[str, str]
    unfinished: int
    counts: Mapping[str, int]  # see QuestionCounts
    helpful: int
    not_helpful: int

    def lines(self) -> list[str]:
        """Return the status as lines of text for people, without markup."""
        lines = [
            f"knowledge-bot {self.version}: {counted(self.documents, 'document')}, {counted(self.passages, 'passage')}"
            + (f", {counted(self.problems, 'file')} with remarks" if self.problems else ""),
            f"encoder: {self.encoder or 'none yet, for there is no index'}",
            *([f"generator: {self.generator}"] if self.generator else []),
            *(f"{platform}: {state}" for platform, state in self.platforms.items()),
            f"questions waiting for their answer: {self.unfinished}",
            f"feedback: {self.helpful} helpful, {self.not_helpful} not helpful",
        ]
        if self.counts:
            counts = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in sorted(self.counts.items()))
            lines.append(f"since the start: {counts}")
        return lines


@dataclass(slots=True)
class Administration:
    """The operations of an operator. There is one for the process; changes of documents run one after the other."""

    settings: Settings
    knowledge: KnowledgeStore
    indexer: Indexer
    journal: Journal
    engine: QAEngine
    encoder: AsyncEncoder
    dispatcher: Dispatcher | None = None  # None: no daemon runs in this process
    platforms: dict[str, str] = field(default_factory=dict)  # kept up to date by the daemon
    _changing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def status(self) -> Status:
        summary = await self.knowledge.summary()
        helpful, not_helpful = await self.journal.answers.feedback_counts()
        files = await self.documents()
        return Status(
            version=__version__,
            documents=summary.documents,
            passages=summary.passages,
            problems=sum(1 for file in files if file.problem or file.warnings),
            encoder=summary.encoder,
            generator=await asyncio.to_thread(_generator, self.settings),
            platforms=dict(self.platforms),
            unfinished=self.dispatcher.admission.unfinished
            if self.dispatcher
            else len(await self.journal.questions.pending()),
            counts=dict(self.dispatcher.counts) if self.dispatcher else {},
            helpful=helpful,
            not_helpful=not_helpful,
        )

    # --- documents

    async def documents(self) -> list[FileReport]:
        """Return the report of every file in the index, by path."""
        return [report for _, report in await self.knowledge.files()]

    async def reload(self, progress: Callable[[IndexProgress], None] = lambda _: None) -> IndexReport:
        """Bring the index in step with the documents. Raises DocumentError if the folder can't be read."""
        async with self._changing:
            return await self.indexer.index_folder(self.settings.knowledge.folder, progress)

    async def require_addable(self, path: str, size: int) -> None:
        """Raise DocumentError if a file with this path and size (bytes) can't be added, independently of its content."""
        limit = self.settings.administration.document_bytes
        if size > limit:
            raise DocumentError(f"{path}: larger than {limit} bytes (administration.document_bytes)")
        await asyncio.to_thread(self._checked, path)

    async def add_document(self, path: str, content: bytes) -> FileReport:
        """Put a file into the knowledge folder, in place of one with the same path, and index it.

        Raises DocumentError, and leaves everything as it was, where the path leads out of the folder, the format isn't
        known, the file is too large, or nothing can be read from it.
        """
        await self.require_addable(path, len(content))
        async with self._changing:
            file = await asyncio.to_thread(self._checked, path)
            before = await asyncio.to_thread(_content, file)
            try:
                await asyncio.to_thread(_write, file, content)
                report = await self._indexed(path)
                if report.problem is not None:
                    raise DocumentError(f"{path}: {report.problem}. It was not added.")
            except DocumentError:
                await asyncio.to_thread(_restore, file, before)
                await self._indexed(path)
                raise
            except OSError as error:
                raise DocumentError(
                    f"{path}: can't be written ({error.strerror}); check the folder's permissions"
                ) from error
            return report

    async def remove_document(self, path: str) -> None:
        """Delete a file of the knowledge folder and take it out of the index. Raises DocumentError."""
        async with self._changing:
            file = await asyncio.to_thread(self._checked, path)
            if not await asyncio.to_thread(file.is_file):
                raise DocumentError(f"{path}: there is no such document")
            try:
                await asyncio.to_thread(file.unlink)
            except OSError as error:
                raise DocumentError(
                    f"{path}: can't be removed ({error.strerror}); check the folder's permissions"
                ) from error
            await self._indexed(path)

    async def _indexed(self, path: str) -> FileReport:
        report = await self.indexer.index_folder(self.settings.knowledge.folder)
        if report.review is not None and not report.review.accepted:
            return FileReport(path, 0, f"golden questions get worse by it. {' '.join(report.review.findings)}")
        found = [file for file in report.files if file.path == path]
        return found[0] if found else FileReport(path, 0, "it is not in the index")

    def _checked(self, path: str) -> Path:
        """Return the file that a path within the knowledge folder means. Blocking. Raises DocumentError."""
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or path.endswith("/") or _FORBIDDEN.search(path) or UNSAFE.search(path):
            raise DocumentError(f"{path!r} is no path of a document. {_ADVICE}")
        for part in parts:
            if part.startswith((".", "~")) or part != part.strip() or part.endswith("."):
                raise DocumentError(f"{path!r}: hidden files and other folders can't be reached. {_ADVICE}")
            if len(part.encode()) > _LONGEST_NAME:
                raise DocumentError(f"A name may have up to {_LONGEST_NAME} bytes. {_ADVICE}")
        if PurePosixPath(path).suffix.lower() not in LOADERS:
            raise DocumentError(f"{path}: this format can't be read; known are {', '.join(sorted(LOADERS))}")
        folder = self.settings.knowledge.folder.resolve()
        file = folder.joinpath(*parts)
        if any(folder.joinpath(*parts[:depth]).is_symlink() for depth in range(1, len(parts) + 1)):
            raise DocumentError(f"{path}: links are not followed. {_ADVICE}")
        if not file.resolve().is_relative_to(folder) or file.is_dir():
            raise DocumentError(f"{path!r} is no path of a document. {_ADVICE}")
        return file

    # --- questions and people

    async def explain(self, text: str, address: Address | None = None) -> Explanation:
        """Explain how a question would be answered, or why it would not. Raises EngineBusy and IndexUnavailable.

        `address`: where it is asked, since questions of a chat may be answered from fewer documents; None: by the operator.
        """
        nobody = secrets.token_hex(16)
        address = address or Address("operator", "operator", nobody)
        question = Question(text, nobody, "operator", address, clock.utc_now())
        return explanation(await self.engine.consider(question), self.settings)

    async def gaps(self) -> list[Gap]:
        """Return the questions that the documents don't answer, grouped by meaning, most often asked first.

        Raises as `group`.
        """
        declined = await self.journal.answers.declined(_MOST_DECLINED)
        return await group(declined, self.encoder, self.journal.answers)

    async def unsure(self) -> list[Gap]:
        """Return the questions for which something was found and only suggested, grouped as `gaps`. Raises as `group`.

        Suggestions that somebody has rated as not helpful are left out: they are gaps.
        """
        suggested = await self.journal.history.page(HistoryFilter(outcome=Outcome.SUGGESTED), _MOST_DECLINED)
        unsure = [
            Declined(one.id, one.question, one.answer, one.at) for one in suggested if one.answer and not one.wrong
        ]
        return await group(unsure, self.encoder, self.journal.answers)

    async def forget(self, platform: str, author: str) -> Forgotten:
        """Erase the questions, turns and feedback of an author on a platform."""
        keeper = self.dispatcher.admission.forget if self.dispatcher else self.journal.erasure.forget_author
        return await keeper(platform, author)


def _generator(settings: Settings) -> str:
    try:
        return describe_generator(settings)
    except WeightsError as error:
        return str(error)


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def _write(file: Path, content: bytes) -> None:
    """Write a file as a whole or not at all: a reader never sees half of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{secrets.token_hex(8)}.unfinished")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def _restore(file: Path, before: bytes | None) -> None:
    if before is not None:
        _write(file, before)
        return
    with suppress(OSError):
        file.unlink()
