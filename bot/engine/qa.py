"""QAEngine: one question -> one answer, the whole path on one screen.

    conversation -> search -> read -> decide -> compose

Runs on the event loop and waits there only: models and the database have threads of their own. A generator, where there
will be one, rephrases what `_compose` returns before the answer leaves `answer`.
"""

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bot.documents import FoundPassage
from bot.engine.compose import Composed, answering_block, compose, parts_to_fetch, with_whole_block
from bot.engine.confidence import Evidence, confidence, evidence
from bot.engine.conversation import Conversations
from bot.engine.small_talk import small_talk_reply
from bot.inference.reader import Reader, Reading
from bot.knowledge.search import Retriever
from bot.messages import Answer, Outcome, Progress, Question, Stage, Update, Wording
from bot.settings import AnswerSettings
from bot.storage.base import Hit

# As many characters as anyone types as a question; what comes after them is not searched for.
_LONGEST_QUESTION = 2000
_MOST_DOCUMENTS = 10
# A passage nearer than this is worth a hint when the bot declines.
_NEAR = 0.45  # cosine


@dataclass(frozen=True, slots=True)
class _Found:
    """The best piece of text for a question, with all that was retrieved."""

    hits: Sequence[Hit]
    hit: Hit
    reading: Reading
    evidence: Evidence


class QAEngine:
    """An Engine over the operator's documents. Answers many questions side by side."""

    def __init__(
        self,
        retriever: Retriever,
        reader: Reader,
        conversations: Conversations,
        settings: AnswerSettings,
        base_url: str = "",
    ) -> None:
        self._retriever = retriever
        self._reader = reader
        self._conversations = conversations
        self._settings = settings
        self._base_url = base_url

    async def answer(self, question: Question, progress: Progress = lambda _: None) -> Answer:
        """Answer from the documents, or decline. Raises EngineBusy, DeadlineExceeded, IndexUnavailable, StorageError."""
        reference = new_reference()
        text = question.text.strip()[:_LONGEST_QUESTION]
        if reply := small_talk_reply(text):
            return Answer(Outcome.SMALL_TALK, reply, reference)
        timings = _Timings()
        with timings.stage("total"):
            with timings.stage("conversation"):
                wordings = await self._conversations.wordings(replace(question, text=text))
            progress(Update(Stage.SEARCHING))
            found = await self._find(wordings, progress, timings)
            sure = confidence(found.evidence) if found else 0.0
            with timings.stage("compose"):
                if found and sure >= self._settings.threshold:
                    answer = _answered(await self._compose(text, found), reference, sure, found.hits)
                else:
                    answer = _declined(found.hits if found else (), reference, sure)
            await self._conversations.remember(question, answer)
        return replace(answer, timings_ms=timings.milliseconds)

    async def _find(self, wordings: Sequence[Wording], progress: Progress, timings: "_Timings") -> _Found | None:
        """Search and read: the piece of text that fits best, or None where nothing was found at all."""
        with timings.stage("encode"):
            vectors = await self._retriever.encode(wordings)
        with timings.stage("search"):
            hits = await self._retriever.search(wordings, vectors)
        progress(Update(Stage.READING))
        with timings.stage("read"):
            passages = [hit.found.passage for hit in hits[: self._settings.read_passages]]
            readings = await self._reader.read(wordings, passages)
        if not readings:
            return None
        best = max(readings, key=lambda reading: hits[reading.passage].score + reading.score)
        hit = hits[best.passage]
        return _Found(hits, hit, best, evidence(wordings, hit, best))

    async def _compose(self, question: str, found: _Found) -> Composed:
        passage = found.hit.found
        place, span = answering_block(question, passage, found.reading.block, found.reading.span)
        reach = parts_to_fetch(passage.passage.blocks[place])
        if reach is not None:
            first, last = passage.positions
            around = await self._retriever.passages(passage.document, first - reach[0], last + reach[1])
            passage, place, span = with_whole_block(passage, place, span, around)
        return compose(question, passage, place, span, self._base_url)


def new_reference() -> str:
    """A short id that is easy to read out: the same in the answer and in the log."""
    return secrets.token_hex(4)


def _answered(composed: Composed, reference: str, sure: float, hits: Sequence[Hit]) -> Answer:
    return Answer(
        Outcome.ANSWERED,
        composed.text,
        reference,
        span=composed.span,
        confidence=sure,
        citations=(composed.citation,),
        retrieved=_documents(hits),
    )


def _declined(hits: Sequence[Hit], reference: str, sure: float) -> Answer:
    text = "The documents don't answer this."
    near = dict.fromkeys(_name(hit.found) for hit in hits[:5] if max(hit.cosines) >= _NEAR)
    if near:
        text += f" The nearest I found: {' and '.join(list(near)[:2])}."
    return Answer(Outcome.DECLINED, text, reference, confidence=sure, retrieved=_documents(hits))


def _name(found: FoundPassage) -> str:
    return f"“{' › '.join((found.title, *found.passage.heading))}”"


def _documents(hits: Sequence[Hit]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(hit.found.document for hit in hits))[:_MOST_DOCUMENTS]


class _Timings:
    """How long each stage took."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.milliseconds[name] = round((time.perf_counter() - started) * 1000, 2)
