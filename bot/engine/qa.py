"""QAEngine: one question -> one answer, the whole path on one screen.

    conversation -> search -> read -> decide -> compose -> phrase

Runs on the event loop and waits there only: models and the database have threads of their own. Whether there is an answer is
decided before any text is generated, and the quotation that proves it stays the document's.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bot.core.documents import Form, FoundPassage
from bot.core.messages import Answer, Citation, Outcome, Progress, QueryVariant, Question, Stage, Update
from bot.core.references import new_reference as new_reference
from bot.core.settings import AnswerSettings
from bot.core.text import sentences, share_of_words, stems
from bot.engine.compose import Composed, answering_block, cite_passage, compose, parts_to_fetch, with_whole_block
from bot.engine.confidence import Calibration, Features, answering_sentence, features
from bot.engine.conversation import Conversations, may_stand_alone
from bot.engine.phrasing import Phraser
from bot.engine.small_talk import small_talk_reply
from bot.inference.encoder import Vectors
from bot.inference.reader import Reader, Reading
from bot.knowledge.search import Retriever
from bot.storage.base import Hit

# As many characters as anyone types as a question; what comes after them is not searched for.
_LONGEST_QUESTION = 2000
_MOST_DOCUMENTS = 10
# What a logit of the reader is worth beside the score of the search.
_MARGIN_WEIGHT = 0.015
# So many passages are read at first. The others are left unread where none of them would come first even with such a margin: of
# 1,722 questions of the public sets two had another answer for it, and three in four took two passages.
_READ_FIRST = 2
_GREAT_MARGIN = 8.0  # logits
# A passage nearer than this is worth a hint when the bot declines.
_NEAR = 0.45  # cosine
# So much surer must a question be answered by itself where it is answered as a follow-up too. Of the values tried on the public
# sets this one did best, by little: it found 8 more of 487 follow-ups than taking the surer interpretation, and as many other
# questions.
_SURER = 0.15
# What has such a form is shown as it is: a model would only spoil it.
_NOT_PHRASED = (Form.CODE, Form.TABLE)
# What is said where the documents don't answer.
REFUSAL = "The documents don't answer this."
# A model may take so much of the time that is left for a question.
_UNTIL_PHRASED = 0.9


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that was read: its best words, what speaks for them, and the probability that they are right."""

    hit: Hit
    reading: Reading
    features: Features
    confidence: float


@dataclass(frozen=True, slots=True)
class Considered:
    """An answer with what it was chosen from: the candidates, best first, and then the passages found but not read.

    `forced` is what a threshold of 0 would have answered; None where nothing was found, or nobody asked for it.
    """

    answer: Answer
    forced: Answer | None = None
    variants: Sequence[QueryVariant] = ()
    candidates: Sequence[Candidate] = ()
    unread: Sequence[Hit] = ()


@dataclass(frozen=True, slots=True)
class _Interpretation:
    """One way to take a question, and what was found for it, best first."""

    variants: list[QueryVariant]
    vectors: Vectors
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
        *,
        phraser: Phraser | None = None,
        phrased_passages: int = 1,
    ) -> None:
        """`phraser` puts answers into a model's words, which is shown the best `phrased_passages` passages for that."""
        self._retriever = retriever
        self._reader = reader
        self._calibration = calibration
        self._conversations = conversations
        self._settings = settings
        self._base_url = base_url
        self._phraser = phraser
        self._phrased_passages = phrased_passages

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
                variants = await self._conversations.variants(replace(question, text=text))
            progress(Update(Stage.SEARCHING))
            with timings.stage("encode"):
                vectors = await self._retriever.encode(variants)
            with timings.stage("search"):
                interpretations = [await self._searched(variants, vectors)]
                if may_stand_alone(variants):
                    interpretations.append(await self._searched([QueryVariant(text)], vectors[:1]))
            progress(Update(Stage.READING))
            with timings.stage("read"):
                variants, hits, candidates = await self._understood(interpretations)
            unread = [hit for hit in hits if all(hit is not candidate.hit for candidate in candidates)]
            with timings.stage("compose"):
                best = candidates[0] if candidates else None
                sure = best is not None and best.confidence >= self._settings.threshold
                hits = [*(candidate.hit for candidate in candidates), *unread]
                composed = await self._compose(text, best) if best is not None and (sure or forced) else None
                given = _answered(composed, reference, best.confidence, hits) if composed and best else None
                answer = given if given and sure else _declined(hits, reference, best.confidence if best else 0.0)
            if self._phraser and sure and composed and composed.form not in _NOT_PHRASED:
                with timings.stage("phrase"):
                    left = _UNTIL_PHRASED * question.seconds_left
                    answer = await self._phrase(self._phraser, question, answer, hits, progress, left)
        answer = replace(answer, timings_ms=timings.milliseconds)
        return Considered(answer, given, variants, candidates, unread)

    async def _searched(self, variants: list[QueryVariant], vectors: Vectors) -> "_Interpretation":
        return _Interpretation(variants, vectors, await self._retriever.search(variants, vectors))

    async def _understood(
        self, interpretations: Sequence["_Interpretation"]
    ) -> tuple[list[QueryVariant], list[Hit], list[Candidate]]:
        """The interpretation that a question is taken in, with its candidates: (variants, hits, candidates).

        A question after others may be a follow-up, the first interpretation, or not. Its words alone don't tell, but what it
        finds does: it is no follow-up if it is answered otherwise only, or with much more confidence.
        """
        read = await asyncio.gather(*map(self._read, interpretations))
        confidences = [candidates[0].confidence if candidates else 0.0 for candidates in read]
        first, last, threshold = confidences[0], confidences[-1], self._settings.threshold
        taken = -1 if last >= threshold and (first < threshold or last > first + _SURER) else 0
        return interpretations[taken].variants, interpretations[taken].hits, read[taken]

    async def _read(self, interpretation: "_Interpretation") -> list[Candidate]:
        """The best words of each passage and what they are worth, best first.

        As in the threshold algorithm (Fagin, Lotem, Naor, 2001), what can't come first any more is not looked at.
        """
        hits = interpretation.hits[: self._settings.read_passages]
        read = await self._best_words(interpretation, hits[:_READ_FIRST])
        others = hits[_READ_FIRST:]
        best = max((_rank(*one) for one in read), default=0.0)
        if any(hit.score + _MARGIN_WEIGHT * _GREAT_MARGIN > best for hit in others):
            read += await self._best_words(interpretation, others)
        return await self._weighed(interpretation, sorted(read, key=lambda one: -_rank(*one)))

    async def _best_words(self, interpretation: "_Interpretation", hits: Sequence[Hit]) -> list[tuple[Hit, Reading]]:
        best: dict[int, Reading] = {}
        for reading in await self._reader.read(interpretation.variants, [hit.found for hit in hits]):
            best.setdefault(reading.passage, reading)  # they come best first
        return [(hits[number], reading) for number, reading in best.items()]

    async def _weighed(self, interpretation: "_Interpretation", read: Sequence[tuple[Hit, Reading]]) -> list[Candidate]:
        said = [answering_sentence(hit.found.passage, reading) for hit, reading in read]
        cosines = await self._retriever.cosines(interpretation.variants, interpretation.vectors, said)
        candidates = []
        for (hit, reading), cosine in zip(read, cosines, strict=True):
            found = features(interpretation.variants, hit, reading, cosine)
            candidates.append(Candidate(hit, reading, found, self._calibration.confidence(found)))
        return candidates

    async def _compose(self, question: str, candidate: Candidate) -> Composed:
        passage = candidate.hit.found
        place, words = answering_block(question, passage, candidate.reading.block, candidate.reading.span)
        reach = parts_to_fetch(passage.passage.blocks[place])
        if reach is not None:
            first, last = passage.positions
            around = await self._retriever.passages(passage.document, first - reach[0], last + reach[1])
            passage, place, words = with_whole_block(passage, place, words, around)
        return compose(question, passage, place, words, self._base_url)

    async def _phrase(
        self,
        phraser: Phraser,
        question: Question,
        answer: Answer,
        hits: Sequence[Hit],
        progress: Progress,
        seconds: float,
    ) -> Answer:
        """The answer in a model's words, or as it is with the reason why."""
        passages = [hit.found for hit in hits[: self._phrased_passages]]
        turns = await self._conversations.turns(question)
        text, phrasing = await phraser.phrase(question.text, turns, passages, progress, within_seconds=seconds)
        if not text:
            return replace(answer, phrasing=phrasing)
        return replace(
            answer,
            text=text,
            span=answer.span if answer.span and answer.span in text else None,
            citations=(*answer.citations, *self._further_sources(text, passages)),
            phrasing=phrasing,
        )

    def _further_sources(self, text: str, passages: Sequence[FoundPassage]) -> Iterator[Citation]:
        """The passages, beside the first, which is cited anyway, that some sentence of a text has most of its words from."""
        there = [stems("\n".join(block.text for block in found.passage.blocks)) for found in passages]
        said = [stems(text[slice(*span)]) for span in sentences(text)]
        nearest = {max(range(len(there)), key=lambda n: (share_of_words(words, there[n]), -n)) for words in said}
        return (cite_passage(passages[number], self._base_url) for number in sorted(nearest - {0}))


def _rank(hit: Hit, reading: Reading) -> float:
    """What the candidates are ordered by. The search knows better where to look than the reader, which decides close calls:
    with more weight for its margin one of the public sets finds more right documents first, and others fewer than by the
    search alone.
    """
    return hit.score + _MARGIN_WEIGHT * reading.score


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
    text = REFUSAL
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
