"""QAEngine: one question -> one answer, the whole path on one screen.

    conversation -> search -> read -> decide -> compose

Runs on the event loop and waits there only: models and the database have threads of their own. A generator, where there
will be one, rephrases what `_compose` returns before the answer leaves `answer`.
"""

import asyncio
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bot.documents import FoundPassage
from bot.engine.compose import Composed, answering_block, compose, parts_to_fetch, with_whole_block
from bot.engine.confidence import Calibration, Evidence, evidence
from bot.engine.conversation import Conversations, may_stand_alone
from bot.engine.small_talk import small_talk_reply
from bot.inference.reader import Reader, Reading
from bot.knowledge.search import Retriever
from bot.messages import Answer, Outcome, Progress, Question, Stage, Update, Wording
from bot.settings import AnswerSettings
from bot.storage.base import Hit

# As many characters as anyone types as a question; what comes after them is not searched for.
_LONGEST_QUESTION = 2000
_MOST_DOCUMENTS = 10
# What a logit of the reader is worth beside the score of the search.
_MARGIN_WEIGHT = 0.02
# A passage nearer than this is worth a hint when the bot declines.
_NEAR = 0.45  # cosine


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that was read: its best words, what speaks for them, and the probability that they are right."""

    hit: Hit
    reading: Reading
    evidence: Evidence
    confidence: float

    @property
    def rank(self) -> float:
        """What the candidates are ordered by. The search knows better where to look than the reader, which decides close
        calls: on the public sets no weight of its margin found the right document more often than this one."""
        return self.evidence.retrieval + _MARGIN_WEIGHT * self.evidence.margin


@dataclass(frozen=True, slots=True)
class Considered:
    """An answer with what it was chosen from: the candidates, best first, and then the passages found but not read.

    `forced` is what a threshold of 0 would have answered; None where nothing was found, or nobody asked for it.
    """

    answer: Answer
    forced: Answer | None = None
    wordings: Sequence[Wording] = ()
    candidates: Sequence[Candidate] = ()
    unread: Sequence[Hit] = ()


@dataclass(frozen=True, slots=True)
class _Sense:
    """One way to take a question, and what was found for it, best first."""

    wordings: list[Wording]
    hits: list[Hit]


class QAEngine:
    """An Engine over the operator's documents. Answers many questions side by side."""

    def __init__(
        self,
        retriever: Retriever,
        reader: Reader,
        calibration: Calibration,
        conversations: Conversations,
        settings: AnswerSettings,
        base_url: str = "",
    ) -> None:
        self._retriever = retriever
        self._reader = reader
        self._calibration = calibration
        self._conversations = conversations
        self._settings = settings
        self._base_url = base_url

    async def answer(self, question: Question, progress: Progress = lambda _: None) -> Answer:
        """Answer from the documents, or decline. Raises EngineBusy, DeadlineExceeded, IndexUnavailable, StorageError."""
        considered = await self.consider(question, progress)
        await self._conversations.remember(question, considered.answer)
        return considered.answer

    async def consider(
        self, question: Question, progress: Progress = lambda _: None, *, forced: bool = False
    ) -> Considered:
        """The answer to a question and how it came about, which nobody will remember. Raises as `answer` does.

        `forced`: also compose the answer that is withheld because of its low confidence.
        """
        reference = new_reference()
        text = question.text.strip()[:_LONGEST_QUESTION]
        if reply := small_talk_reply(text):
            return Considered(Answer(Outcome.SMALL_TALK, reply, reference))
        timings = _Timings()
        with timings.stage("total"):
            with timings.stage("conversation"):
                wordings = await self._conversations.wordings(replace(question, text=text))
            progress(Update(Stage.SEARCHING))
            with timings.stage("encode"):
                vectors = await self._retriever.encode(wordings)
            with timings.stage("search"):
                senses = [_Sense(wordings, await self._retriever.search(wordings, vectors))]
                if may_stand_alone(wordings):
                    alone = [Wording(text)]
                    senses.append(_Sense(alone, await self._retriever.search(alone, vectors[:1])))
            progress(Update(Stage.READING))
            with timings.stage("read"):
                wordings, hits, candidates = await self._surest(senses)
            unread = [hit for hit in hits if all(hit is not candidate.hit for candidate in candidates)]
            with timings.stage("compose"):
                best = candidates[0] if candidates else None
                sure = best is not None and best.confidence >= self._settings.threshold
                hits = [*(candidate.hit for candidate in candidates), *unread]
                given = None
                if best is not None and (sure or forced):
                    given = _answered(await self._compose(text, best), reference, best.confidence, hits)
                answer = given if given and sure else _declined(hits, reference, best.confidence if best else 0.0)
        answer = replace(answer, timings_ms=timings.milliseconds)
        return Considered(answer, given, wordings, candidates, unread)

    async def _surest(self, senses: Sequence["_Sense"]) -> tuple[list[Wording], list[Hit], list[Candidate]]:
        """The sense of a question in which it is answered with the most confidence: (wordings, hits, candidates).

        A question after others may be a follow-up or not. Its words alone don't tell, but what it finds does.
        """
        count = self._settings.read_passages
        read = await asyncio.gather(*(self._read(sense.wordings, sense.hits[:count]) for sense in senses))
        confidences = [candidates[0].confidence if candidates else 0.0 for candidates in read]
        surest = max(range(len(senses)), key=confidences.__getitem__)
        return senses[surest].wordings, senses[surest].hits, read[surest]

    async def _read(self, wordings: Sequence[Wording], hits: Sequence[Hit]) -> list[Candidate]:
        """What the best words of each passage are worth, best first."""
        candidates: dict[int, Candidate] = {}
        for reading in await self._reader.read(wordings, [hit.found for hit in hits]):
            if reading.passage not in candidates:  # the readings come best first
                hit = hits[reading.passage]
                found = evidence(wordings, hit, reading)
                candidates[reading.passage] = Candidate(hit, reading, found, self._calibration.confidence(found))
        return sorted(candidates.values(), key=lambda candidate: -candidate.rank)

    async def _compose(self, question: str, candidate: Candidate) -> Composed:
        passage = candidate.hit.found
        place, words = answering_block(question, passage, candidate.reading.block, candidate.reading.span)
        reach = parts_to_fetch(passage.passage.blocks[place])
        if reach is not None:
            first, last = passage.positions
            around = await self._retriever.passages(passage.document, first - reach[0], last + reach[1])
            passage, place, words = with_whole_block(passage, place, words, around)
        return compose(question, passage, place, words, self._base_url)


def new_reference() -> str:
    """A short id that is easy to read out: the same in the answer and in the log."""
    return secrets.token_hex(4)


def _answered(composed: Composed, reference: str, confidence: float, hits: Sequence[Hit]) -> Answer:
    return Answer(
        Outcome.ANSWERED,
        composed.text,
        reference,
        span=composed.span,
        confidence=confidence,
        citations=(composed.citation,),
        retrieved=_documents(hits),
    )


def _declined(hits: Sequence[Hit], reference: str, confidence: float) -> Answer:
    text = "The documents don't answer this."
    near = dict.fromkeys(_name(hit.found) for hit in hits[:5] if max(hit.cosines) >= _NEAR)
    if near:
        text += f" The nearest I found: {' and '.join(list(near)[:2])}."
    return Answer(Outcome.DECLINED, text, reference, confidence=confidence, retrieved=_documents(hits))


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
