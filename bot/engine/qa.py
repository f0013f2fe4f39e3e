"""QAEngine: one question -> one answer, the whole path on one screen.

    interpret -> search -> judge -> decide -> compose -> phrase

Runs on the event loop and waits there only: models and the database have threads of their own. Whether there is an answer is
decided before any text is generated, and the quotation that proves it stays the document's.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bot.core.documents import Form, FoundPassage, trail
from bot.core.markup import Piece, inline_markdown
from bot.core.messages import Answer, Outcome, Phrased, Phrasing, Progress, Question, Stage, Update
from bot.core.references import new_reference
from bot.core.settings import AnswerSettings
from bot.engine.attribution import attributed
from bot.engine.compose import Composed, cite_passage, compose, merged
from bot.engine.confidence import Calibration
from bot.engine.conversation import Conversations, Interpretation, points_back
from bot.engine.judging import Candidate, Judge, Judged
from bot.engine.phrasing import Phraser
from bot.engine.sections import section_of
from bot.engine.several import are_about_different_things, questions_in, together
from bot.engine.small_talk import asks_about_contents, contents_reply, new_subject, small_talk_reply, without_courtesies
from bot.engine.versions import in_force
from bot.inference.reader import Reader
from bot.knowledge.search import Retriever
from bot.storage.base import Hit

# As many characters as anyone types as a question; what comes after them is not searched for.
_LONGEST_QUESTION = 2000
_MOST_DOCUMENTS = 10
# A passage nearer than this is worth a hint when the bot declines.
_NEAR = 0.45  # cosine
# So much surer must a question that points back be by itself, where it is answered as a follow-up too.
_SURER = 0.15
# What has such a form is shown as it is: a model would only spoil it.
_NOT_PHRASED = (Form.CODE, Form.TABLE)
REFUSAL = "The documents don't answer this."
NOT_FOUND = "I found no answer to this."  # where a section comes near, which may say more than the bot sees in it
UNSURE = "I'm not sure this is it:"
UNSURE_OF_TWO = "I'm not sure, but one of these may be it:"
OLDER = "There is an older section about this:"
# A model may take so much of the time that is left for a question.
_UNTIL_PHRASED = 0.9


@dataclass(frozen=True, slots=True)
class Considered:
    """An answer with what it was chosen from. `judged` is None for small talk.

    `forced` is what would have been answered with every bound at 0; None where nothing was found, or nobody asked for it.
    `questions`: those that the message was taken apart into, none for a single one; `judged` is of the first then.
    """

    answer: Answer
    forced: Answer | None = None
    judged: Judged | None = None
    questions: tuple[str, ...] = ()

    @property
    def candidates(self) -> Sequence[Candidate]:
        return self.judged.candidates if self.judged else ()


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
    ) -> None:
        """`phraser` puts answers into a language model's words."""
        self._retriever = retriever
        self._judge = Judge(reader, calibration, settings.read_passages)
        self._conversations = conversations
        self._settings = settings
        self._base_url = base_url
        self._phraser = phraser

    async def answer(self, question: Question, progress: Progress = lambda _: None) -> Answer:
        """Answer from the documents, suggest a section, or decline.

        Raises EngineBusy, DeadlineExceeded, IndexUnavailable, StorageError.
        """
        considered = await self.consider(question, progress)
        await self._conversations.remember(question, considered.answer)
        return considered.answer

    async def consider(
        self, question: Question, progress: Progress = lambda _: None, *, forced: bool = False
    ) -> Considered:
        """The answer to a question and how it came about, without remembering it. Raises as `answer` does.

        `forced`: also compose the answer that is withheld because of its low confidence.
        """
        text = question.text.strip()[:_LONGEST_QUESTION]
        if reply := small_talk_reply(text):
            return Considered(Answer(Outcome.SMALL_TALK, reply, new_reference()))
        if asks_about_contents(text):
            return Considered(
                Answer(Outcome.SMALL_TALK, contents_reply(await self._retriever.titles()), new_reference())
            )
        text = without_courtesies(text)
        if announced := new_subject(text):
            text, question = announced, replace(question, earlier=(), replied_to=None)
        parts = questions_in(text)
        if len(parts) > 1:
            several = await self._several(question, parts, progress, forced=forced)
            answers = [one.answer for one in several]
            if are_about_different_things(answers):
                answer = together(parts, answers)
                return Considered(answer, answer, several[0].judged, tuple(parts))
        return await self._considered(replace(question, text=text), progress, forced=forced)

    async def _several(
        self, question: Question, parts: Sequence[str], progress: Progress, *, forced: bool
    ) -> list[Considered]:
        """What each question of a message gets by itself."""
        stages = _without_drafts(progress)  # the drafts of two answers would take turns
        # A later one may point back to the first: "What is LoRA, and how do I use it?"
        first, *later = parts
        asked = [replace(question, text=first), *(replace(question, text=part, replied_to=first) for part in later)]
        return await asyncio.gather(*(self._considered(one, stages, forced=forced) for one in asked))

    async def _considered(self, question: Question, progress: Progress, *, forced: bool) -> Considered:
        """The answer to one question."""
        reference = new_reference()
        timings = _Timings()
        with timings.stage("total"):
            with timings.stage("conversation"):
                interpretations = await self._conversations.interpretations(question)
            progress(Update(Stage.SEARCHING))
            with timings.stage("search"):
                found = await self._found(interpretations)
            progress(Update(Stage.READING))
            with timings.stage("read"):
                judged = _in_force(await self._judged(question.text, interpretations, found))
            with timings.stage("compose"):
                judged, composed = await self._composed(judged, forced=forced)
                outcome = self._decided(judged)
                given = await self._given(judged, composed, reference) if composed else None
                answer = _with_outcome(outcome, given, judged, reference)
            if self._phraser and given and composed and composed.form not in _NOT_PHRASED:
                with timings.stage("phrase"):
                    answer = await self._phrased(self._phraser, question, answer, given, judged, progress)
        return Considered(replace(answer, timings_ms=timings.milliseconds), given, judged)

    async def _found(self, interpretations: Sequence[Interpretation]) -> list[list[Hit]]:
        """The passages found for each interpretation, best first."""
        vectors = await self._retriever.encode(interpretations[0].variants)
        # The question by itself is the first variant of every interpretation.
        searches = (self._retriever.search(one.variants, vectors[: len(one.variants)]) for one in interpretations)
        return await asyncio.gather(*searches)

    async def _judged(
        self, text: str, interpretations: Sequence[Interpretation], found: Sequence[Sequence[Hit]]
    ) -> Judged:
        """The interpretation that the question is taken in, judged.

        A question after others may be a follow-up, the first interpretation, or not. Its words alone don't tell, but what it
        finds does: it is taken by itself where it is surer that way, much surer if it points back.
        """
        first, *others = await asyncio.gather(*map(self._judge.judge, interpretations, found))
        needed = first.confidence + (_SURER if points_back(text) else 0.0)
        return next((one for one in others if one.confidence >= max(needed, self._settings.suggest_threshold)), first)

    def _decided(self, judged: Judged) -> Outcome:
        """ANSWERED, SUGGESTED or DECLINED. What contradicts a detail of the question is never sure."""
        if judged.confidence < self._settings.suggest_threshold or not judged.candidates:
            return Outcome.DECLINED
        sure = judged.confidence >= self._settings.threshold and not judged.candidates[0].contradicts
        return Outcome.ANSWERED if sure else Outcome.SUGGESTED

    async def _composed(self, judged: Judged, *, forced: bool) -> tuple[Judged, Composed | None]:
        """The answer of the best candidate that says something, and `judged` without those before it.

        None where there is none that may be shown, unless `forced`.
        """
        while judged.candidates and (forced or self._decided(judged) is not Outcome.DECLINED):
            if composed := await self._compose(judged, judged.candidates[0]):
                return judged, composed
            judged = await self._judge.without_best(judged)
        return judged, None

    async def _compose(self, judged: Judged, candidate: Candidate) -> Composed | None:
        """The answer of a candidate; None where it says nothing."""
        reading = candidate.reading
        section = await section_of(self._retriever, candidate.hit.found, reading.block, reading.span)
        composed = compose(judged.interpretation.variants[0].text, section, self._base_url)
        return composed if composed.says_something else None

    async def _given(self, judged: Judged, composed: Composed, reference: str) -> Answer:
        """The answer, whichever the outcome: of the best candidate, with the one beside it and the name of an older section."""
        given = _given(composed, reference, judged)
        if judged.beside and (other := await self._compose(judged, judged.beside)) and other.text not in given.text:
            given = _with_other(given, other, [_trail(one.hit.found) for one in judged.shown])
        if judged.older:
            older = Piece(f"_{OLDER} {inline_markdown(_name(judged.older.hit.found))}._")
            given = given.saying(merged((*given.pieces, older)), given.more_pieces)
        return given

    async def _phrased(
        self, phraser: Phraser, question: Question, answer: Answer, given: Answer, judged: Judged, progress: Progress
    ) -> Answer:
        """The answer in a model's words, or as it is with the reason.

        A model that reads further passages than those that are quoted is also asked about suggestions, and may change the
        outcome.
        """
        unsure = not answer.answered
        if answer.outcome is Outcome.DECLINED or (unsure and not phraser.reads_further):
            return answer
        cited = [candidate.hit for candidate in judged.shown[: len(given.citations)]]
        hits = [*cited, *(hit for hit in judged.hits if hit not in cited)]
        passages = [hit.found for hit in hits[: max(len(cited), phraser.passages)]]
        turns = await self._conversations.turns(question)
        text, phrasing = await phraser.phrase(
            question.text,
            turns,
            passages,
            _without_drafts(progress) if unsure else progress,  # they would be taken back where it stays a suggestion
            within_seconds=_UNTIL_PHRASED * question.seconds_left,
        )
        outcome = _after_reading(answer.outcome, phrasing, judged) if phraser.reads_further else answer.outcome
        if text and outcome is Outcome.ANSWERED:
            text, numbers = attributed(text, passages)
            sources = [*given.citations, *(cite_passage(found, self._base_url) for found in passages[len(cited) :])]
            given = replace(
                given,
                text=text,
                span=given.span if given.span and given.span in text else None,
                citations=tuple(
                    replace(sources[number], number=mark if len(numbers) > 1 else None)
                    for mark, number in enumerate(numbers, 1)
                ),
            )
        return replace(_with_outcome(outcome, given, judged, answer.reference), phrasing=phrasing)


def _with_outcome(outcome: Outcome, given: Answer | None, judged: Judged, reference: str) -> Answer:
    """The answer that is shown: `given` as it is, marked as a suggestion, or not at all."""
    if given is None or outcome is Outcome.DECLINED:
        return _declined(judged, reference)
    return given if outcome is Outcome.ANSWERED else _suggested(given)


def _after_reading(outcome: Outcome, phrasing: Phrasing, judged: Judged) -> Outcome:
    """The outcome once a model has read the passages.

    A suggestion becomes an answer where the passages support every sentence that the model writes. Where it writes that they
    don't answer the question, an answer becomes a suggestion, and a suggestion is declined.
    """
    if phrasing.abstains:
        return Outcome.SUGGESTED if outcome is Outcome.ANSWERED else Outcome.DECLINED
    sure = phrasing.outcome is Phrased.KEPT and not judged.candidates[0].contradicts
    return Outcome.ANSWERED if sure else outcome


def _without_drafts(progress: Progress) -> Progress:
    """Report the stages only."""

    def report(update: Update) -> None:
        if not update.text:
            progress(update)

    return report


def _in_force(judged: Judged) -> Judged:
    """With the best candidate that no newer one replaces in front. The older one is named only, not shown."""
    candidates, older = in_force(judged.interpretation.text, judged.candidates)
    named = [one.hit for one in (*candidates[:1], older) if one]
    beside = judged.beside if judged.beside and judged.beside.hit not in named else None
    return replace(judged, candidates=tuple(candidates), beside=beside, older=older)


def _given(composed: Composed, reference: str, judged: Judged) -> Answer:
    return Answer(
        Outcome.ANSWERED,
        composed.text,
        reference,
        span=composed.span if composed.span in composed.text else None,
        confidence=judged.confidence,
        citations=(composed.citation,),
        retrieved=_documents(judged.hits),
        more=composed.more,
        pieces=composed.pieces,
        more_pieces=composed.more_pieces,
    )


def _with_other(given: Answer, other: Composed, names: Sequence[str]) -> Answer:
    """The answer with that of another section, each below its name."""
    first, second = (Piece(f"**{inline_markdown(name)}**") for name in names)
    rests = [(name, *more) for name, more in ((first, given.more_pieces), (second, other.more_pieces)) if more]
    return replace(given, citations=(*given.citations, other.citation)).saying(
        merged((first, *given.pieces, second, *other.pieces)), merged(piece for rest in rests for piece in rest)
    )


def _suggested(given: Answer) -> Answer:
    """The answer marked as a suggestion."""
    remark = UNSURE_OF_TWO if len(given.citations) > 1 else UNSURE
    marked = replace(given, outcome=Outcome.SUGGESTED)
    return marked.saying(merged((Piece(remark), *given.pieces)), given.more_pieces)


def _declined(judged: Judged, reference: str) -> Answer:
    near = list(dict.fromkeys(_name(hit.found) for hit in judged.hits[:5] if max(hit.cosines) >= _NEAR))[:2]
    text = f"{NOT_FOUND} The nearest I found: {' and '.join(near)}." if near else REFUSAL
    return Answer(Outcome.DECLINED, text, reference, confidence=judged.confidence, retrieved=_documents(judged.hits))


def _name(found: FoundPassage) -> str:
    return f"“{_trail(found)}”"


def _trail(found: FoundPassage) -> str:
    return trail(found.title, found.passage.heading)


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
