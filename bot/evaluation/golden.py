"""Golden questions: questions of the operator that every new index must answer right before it goes live.

The file has the format of an evaluation's questions. A question is answered right if the bot cites an expected document and
says an expected phrase and the keys, as far as the line gives them, or if it declines a question that the documents don't
answer. A question that was answered right before and no longer is counts as a loss. With too many losses the previous index
stays.
"""

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple

from bot.core.errors import DocumentError
from bot.core.text import counted
from bot.evaluation.metrics import contains, helps
from bot.evaluation.questions import EvaluationQuestion, load_questions
from bot.evaluation.run import ConsideringEngine, EvaluationResult, ask_all
from bot.knowledge.indexer import IndexChange, Review
from bot.storage.base import ConversationStore, KnowledgeStore

_NOTE = "golden"
_MOST_FINDINGS = 20
# Results that are remembered, to see how they change over time.
_REMEMBERED = 200

EngineAfter = Callable[[IndexChange], AbstractAsyncContextManager[ConsideringEngine]]
"""Opens an engine over a copy of the index with a change applied, or over the live index for no change."""


class GoldenQuestions:
    """A Reviewer that asks the questions of a file. Without the file it accepts everything."""

    def __init__(
        self,
        file: Path,
        store: KnowledgeStore,
        conversations: ConversationStore,
        engine_after: EngineAfter,
        *,
        configuration: str,
        losses_allowed: int,
        accept: bool = False,
    ) -> None:
        """`configuration` identifies all settings that affect answers. With `accept` every index is accepted."""
        self._file = file
        self._store = store
        self._conversations = conversations
        self._engine_after = engine_after
        self._configuration = configuration
        self._losses_allowed = losses_allowed
        self._accept = accept
        self._record: str | None = None  # what will be noted once the change is live

    async def is_needed(self) -> bool:
        """Whether there is a file of golden questions."""
        return await asyncio.to_thread(self._file.exists)

    async def review(self, change: IndexChange) -> Review:
        """Ask the questions, and compare the answers with those when an index was last accepted.

        Without a change of the index, they are only asked if the questions or the configuration have changed. If the file can't
        be read, every change is refused, because losses would go unnoticed.
        """
        self._record = None
        try:
            loaded = await asyncio.to_thread(self._load)
        except DocumentError as error:
            return Review(False, (f"The golden questions can't be asked: {error}",))
        if loaded is None:
            return Review(True)
        questions, fingerprint = loaded
        last = json.loads(await self._store.note(_NOTE) or "{}")
        if not change and last.get("fingerprint") == fingerprint:
            return Review(True)
        async with self._engine_after(change) as engine:
            results = await ask_all(engine, self._conversations, questions)
        right = [result.question.question for result in results if is_as_expected(result)]
        earlier = last.get("results", [])[1 - _REMEMBERED :]
        results_over_time = [*earlier, [time.time(), len(right), len(results)]]
        self._record = json.dumps({"fingerprint": fingerprint, "right": right, "results": results_over_time})
        before = set(last.get("right", ()))
        lost = [result for result in results if result.question.question in before - set(right)]
        accepted = self._accept or len(lost) <= self._losses_allowed
        return Review(accepted, tuple(_findings(results, right, lost)))

    async def accepted(self) -> None:
        """Note the results of the last review, because its change is live."""
        if self._record is not None:
            await self._store.set_note(_NOTE, self._record)

    def _load(self) -> tuple[list[EvaluationQuestion], str] | None:
        try:
            content = self._file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DocumentError(f"{self._file} can't be read ({error.strerror})") from error
        fingerprint = hashlib.sha256(content + self._configuration.encode()).hexdigest()
        return load_questions(self._file), fingerprint


class GoldenResult(NamedTuple):
    """The outcome of the golden questions when an index was accepted. `at`: seconds since the epoch."""

    at: float
    right: int
    asked: int


async def golden_results(store: KnowledgeStore) -> list[GoldenResult]:
    """Return the results so far, oldest first; empty where the golden questions were never asked."""
    return [GoldenResult(*result) for result in json.loads(await store.note(_NOTE) or "{}").get("results", [])]


def add_golden_question(file: Path, line: Mapping[str, object]) -> None:
    """Append a question, as a line of the file has it, to the golden questions. Blocking.

    Raises DocumentError, and leaves the file as it was, where the line or the file isn't right or it can't be written.
    """
    unfinished = file.with_name(f".{secrets.token_hex(8)}.unfinished")
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        text = f"{before.rstrip()}\n{json.dumps(line, ensure_ascii=False)}\n".lstrip()
        unfinished.write_text(text, encoding="utf-8")
        load_questions(unfinished)
        unfinished.replace(file)
    except DocumentError as error:
        raise DocumentError(str(error).replace(str(unfinished), str(file))) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(f"{file} can't be read and written ({error}); check its permissions") from error
    finally:
        unfinished.unlink(missing_ok=True)


def is_as_expected(result: EvaluationResult) -> bool:
    """Whether a golden question is answered as its line in the file expects."""
    question, answer = result.question, result.answer
    if not question.kind.expects_answer:
        return not answer.answered
    if not answer.answered:
        return False
    if question.doc_ids and not question.doc_ids & {citation.document for citation in answer.citations}:
        return False
    if question.key and not helps(question, answer):
        return False
    return not question.answers or any(contains(answer.text, phrase) for phrase in question.answers)


def _findings(results: Sequence[EvaluationResult], right: Sequence[str], lost: Sequence[EvaluationResult]) -> list[str]:
    """Return the total and a sentence about each question not answered as expected, the losses first."""
    findings = [
        f"{len(right)} of {counted(len(results), 'golden question is', 'golden questions are')} answered as expected."
    ]
    wrong = [result for result in results if result.question.question not in right and result not in lost]
    for results_of_kind, introduction in ((lost, "Got worse"), (wrong, "Not as expected")):
        findings += [f"{introduction}: “{result.question.question}” {_told(result)}." for result in results_of_kind]
    if len(findings) > _MOST_FINDINGS:
        findings = [*findings[:_MOST_FINDINGS], f"And {len(findings) - _MOST_FINDINGS} more."]
    return findings


def _told(result: EvaluationResult) -> str:
    question, answer = result.question, result.answer
    if not question.kind.expects_answer:
        return f"is answered from {answer.citations[0].document}, but the documents should not say"
    if not answer.answered:
        return "is no longer answered" if question.answers is None and not question.doc_ids else "is not answered"
    source = answer.citations[0].document if answer.citations else "no document"
    if question.doc_ids and source not in question.doc_ids:
        return f"is answered from {source} instead of {' or '.join(sorted(question.doc_ids))}"
    if question.key and not helps(question, answer):
        return f"is answered from {source} without “{(' and ' if question.key_all else ' or ').join(question.key)}”"
    return f"is answered from {source} without “{' or '.join(question.answers or ())}”"
