"""The question-answering engine: the whole path from a question to its answer, on one screen.

    interpret -> search -> judge -> compose -> decide -> phrase

`QAEngine._answer_one` takes a question through these stages, each a method that takes the question and the result of the stage
before. Runs on the event loop and only waits there: models and the database have threads of their own. The engine decides
whether to answer before it generates any text, and quotations are always copied from the document.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bot.core.documents import Form, FoundPassage, trail
from bot.core.markup import Piece, inline_markdown, text_of
from bot.core.messages import Answer, Outcome, Phrased, Phrasing, Progress, Question, Stage, Update
from bot.core.references import new_reference
from bot.core.scopes import Scopes
from bot.core.settings import AnswerSettings
from bot.engine.attribution import attributed
from bot.engine.compose import (
    ANSWER_LENGTH,
    SUGGESTION_LENGTH,
    ComposedSection,
    Length,
    cite_passage,
    compose,
    merged,
)
from bot.engine.confidence import Calibration
from bot.engine.conversation import Conversations, Interpretation, points_back
from bot.engine.judging import Candidate, Judge, Judged
from bot.engine.phrasing import Phraser
from bot.engine.sections import section_of
from bot.engine.several import are_about_different_things, combined, questions_in
from bot.engine.small_talk import asks_about_contents, contents_reply, new_subject, small_talk_reply, without_courtesies
from bot.engine.versions import in_force
from bot.inference.reader import Reader
from bot.knowledge.search import FOUND, Retriever
from bot.storage.base import Hit

# The rest of a longer question is not searched for.
_MAX_QUESTION_LENGTH = 2000
_MAX_DOCUMENTS = 10
# A passage nearer than this is worth a hint when the bot declines.
_MIN_HINT_SIMILARITY = 0.45  # cosine
# A question that refers back is only taken by itself if the confidence is higher by this much than as a follow-up.
_MIN_GAIN_OF_STANDALONE = 0.15
# Blocks of these forms are shown as they are: a model would only spoil them.
_NOT_PHRASED = (Form.CODE, Form.TABLE)
REFUSAL = "The documents don't answer this."
NOT_FOUND = "I found no answer to this."  # shown with the nearest section, which may still hold the answer
UNSURE = "I'm not sure this is it:"
UNSURE_OF_SEVERAL = "I'm not sure, but one of these may be it:"
OLDER = "There is an older section about this:"
# The share of the remaining time of a question that a model may take.
_PHRASING_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Considered:
    """An answer with the candidates that it was chosen from. `judged` is None for small talk.

    `forced` is the answer with every threshold at 0, or None if there is none. It may be None for a declined question unless it
    was asked for. `shown` are the passages whose sections are quoted. `questions` are the parts of a message with several
    questions, else empty; `judged` belongs to the first part.
    """

    answer: Answer
    forced: Answer | None = None
    judged: Judged | None = None
    shown: tuple[Hit, ...] = ()
    questions: tuple[str, ...] = ()

    @property
    def candidates(self) -> Sequence[Candidate]:
        return self.judged.candidates if self.judged else ()


@dataclass(frozen=True, slots=True)
class _Asked:
    """A single question, without courtesies, and how it was asked: all that every stage may see.

    `forced`: an answer that will be declined is composed too.
    """

    question: Question
    reference: str
    progress: Progress
    forced: bool


@dataclass(frozen=True, slots=True)
class _Found:
    """An interpretation with the passages found for it, best first."""

    interpretation: Interpretation
    hits: Sequence[Hit]


@dataclass(frozen=True, slots=True)
class _Composed:
    """The answer in the documents' words, as if it were sure, with what it was chosen from.

    `judged` begins with the candidate of the answer. `sections` are those shown, best first, each with its passage. There are
    none, and `answer` is None, if no candidate has an answer or if it would be declined.
    """

    judged: Judged
    sections: tuple[tuple[Hit, ComposedSection], ...] = ()
    answer: Answer | None = None

    @property
    def may_be_phrased(self) -> bool:
        return bool(self.sections) and self.sections[0][1].form not in _NOT_PHRASED


@dataclass(frozen=True, slots=True)
class _Decided:
    """The answer as it is shown without a language model: as an answer, as a suggestion, or declined."""

    composed: _Composed
    answer: Answer


class QAEngine:
    """An Engine over the operator's documents. Answers many questions concurrently."""

    def __init__(
        self,
        retriever: Retriever,
        reader: Reader,
        calibration: Calibration,
        conversations: Conversations,
        settings: AnswerSettings,
        base_url: str = "",
        *,
        scopes: Scopes,
        phraser: Phraser | None = None,
    ) -> None:
        """`scopes` hide documents from chats and platforms; `phraser` rewrites answers with a language model."""
        self._retriever = retriever
        self._judging = Judge(reader, calibration, settings.read_passages)
        self._conversations = conversations
        self._settings = settings
        self._base_url = base_url
        self._scopes = scopes
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
        """Answer a question without remembering it, and return the candidates too. Raises as `answer` does.

        `forced`: also compose the answer that is withheld because of its low confidence.
        """
        reference = new_reference()
        text = question.text.strip()[:_MAX_QUESTION_LENGTH]
        if reply := small_talk_reply(text):
            return Considered(Answer(Outcome.SMALL_TALK, reply, reference))
        if asks_about_contents(text):
            titles = await self._retriever.titles(hidden=self._scopes.hidden_from(question.address))
            return Considered(Answer(Outcome.SMALL_TALK, contents_reply(titles), reference))
        text = without_courtesies(text)
        if announced := new_subject(text):
            text, question = announced, replace(question, earlier=(), replied_to=None)
        asked = _Asked(replace(question, text=text), reference, progress, forced)
        parts = questions_in(text)
        if len(parts) > 1:
            several = await self._answer_each(asked, parts)
            answers = [one.answer for one in several]
            if are_about_different_things(answers):
                answer = combined(parts, answers)
                return Considered(answer, answer, several[0].judged, questions=tuple(parts))
        return await self._answer_one(asked)

    async def _answer_each(self, asked: _Asked, parts: Sequence[str]) -> list[Considered]:
        """Answer each question of a message separately."""
        asked = replace(asked, progress=_without_drafts(asked.progress))  # two drafts would replace each other
        # A later one may point back to the first: "What is LoRA, and how do I use it?"
        first, *later = parts
        questions = [
            replace(asked.question, text=first),
            *(replace(asked.question, text=part, replied_to=first) for part in later),
        ]
        return await asyncio.gather(*(self._answer_one(replace(asked, question=one)) for one in questions))

    # --- the stages, in their order. Each takes the result of the one before. -------------------------------------------

    async def _answer_one(self, asked: _Asked) -> Considered:
        """Take a single question through the stages."""
        timings = _Timings()  # under the names that the log and the metrics have
        with timings.stage("total"):
            with timings.stage("conversation"):
                interpretations = await self._interpret(asked)
            with timings.stage("search"):
                found = await self._search(asked, interpretations)
            with timings.stage("read"):
                judged = await self._judge(asked, found)
            with timings.stage("compose"):
                composed = await self._compose(asked, judged)
                decided = await self._decide(asked, composed)
            answer = decided.answer
            if self._phraser and composed.may_be_phrased:
                with timings.stage("phrase"):
                    answer = await self._phrase(asked, decided, self._phraser)
        shown = tuple(hit for hit, _ in decided.composed.sections)
        return Considered(replace(answer, timings_ms=timings.milliseconds), composed.answer, composed.judged, shown)

    async def _interpret(self, asked: _Asked) -> tuple[Interpretation, ...]:
        """Return the interpretations of the question: as a follow-up if there is a context, and last by itself."""
        return tuple(await self._conversations.interpretations(asked.question))

    async def _search(self, asked: _Asked, interpretations: Sequence[Interpretation]) -> tuple[_Found, ...]:
        """Search the passages for each interpretation, but for those of the sources hidden from where it was asked."""
        asked.progress(Update(Stage.SEARCHING))
        hidden = self._scopes.hidden_from(asked.question.address)
        # The question by itself is the first variant of every interpretation.
        vectors = await self._retriever.encode(interpretations[0].variants)
        limit = max(FOUND, self._settings.read_passages)
        searches = (
            self._retriever.search(one.variants, vectors[: len(one.variants)], limit, hidden=hidden)
            for one in interpretations
        )
        return tuple(map(_Found, interpretations, await asyncio.gather(*searches)))

    async def _judge(self, asked: _Asked, found: Sequence[_Found]) -> Judged:
        """Judge what was found for each interpretation and return the chosen one.

        A question after others may be a follow-up (the first interpretation) or not. Its words alone don't decide that, but the
        passages do: it is taken by itself if the confidence is higher that way, or clearly higher if it refers back.
        """
        asked.progress(Update(Stage.READING))
        first, *others = await asyncio.gather(*(self._judging.judge(one.interpretation, one.hits) for one in found))
        needed = first.confidence + (_MIN_GAIN_OF_STANDALONE if points_back(asked.question.text) else 0.0)
        needed = max(needed, self._settings.suggest_threshold)
        return _prefer_in_force(next((one for one in others if one.confidence >= needed), first))

    async def _compose(self, asked: _Asked, judged: Judged) -> _Composed:
        """Compose the answer of the best candidate that has one; better candidates without one are passed over.

        What would be declined is composed only if it is `forced`.
        """
        while judged.candidates and (asked.forced or judged.confidence >= self._settings.suggest_threshold):
            shown = [judged.candidates[0], *([judged.beside] if judged.beside else [])]
            if composed := await self._compose_sections(asked, judged, shown, ANSWER_LENGTH):
                return composed
            judged = await self._judging.without_best(judged)
        return _Composed(judged)

    async def _decide(self, asked: _Asked, composed: _Composed) -> _Decided:
        """Answer, suggest or decline. A passage that contradicts a detail of the question is at most suggested.

        A suggestion shows more sections than an answer, and less of each, because the right one is often not the first.
        """
        judged = composed.judged
        if composed.answer is None or judged.confidence < self._settings.suggest_threshold:
            outcome = Outcome.DECLINED
        elif judged.confidence < self._settings.threshold or judged.candidates[0].contradicts:
            outcome = Outcome.SUGGESTED
            shown = [judged.candidates[0], *judged.alternatives]
            several = await self._compose_sections(asked, judged, shown, SUGGESTION_LENGTH)
            composed = several if several and len(several.sections) > 1 else composed
        else:
            outcome = Outcome.ANSWERED
        return _Decided(composed, _with_outcome(outcome, composed.answer, judged, asked.reference))

    async def _phrase(self, asked: _Asked, decided: _Decided, phraser: Phraser) -> Answer:
        """Return the answer in a model's words, or unchanged with the reason.

        A model that reads more passages than are quoted is also asked about suggestions, and may change the outcome.
        """
        answer, quoted, judged = decided.answer, decided.composed.answer, decided.composed.judged
        unsure = not answer.answered
        if quoted is None or answer.outcome is Outcome.DECLINED or (unsure and not phraser.reads_further):
            return answer
        cited = [hit for hit, _ in decided.composed.sections]
        hits = [*cited, *(hit for hit in judged.hits if hit not in cited)]
        passages = [hit.found for hit in hits[: max(len(cited), phraser.passages)]]
        text, phrasing = await phraser.phrase(
            asked.question.text,
            await self._conversations.turns(asked.question),
            passages,
            # Drafts would be taken back where it stays a suggestion.
            _without_drafts(asked.progress) if unsure else asked.progress,
            within_seconds=_PHRASING_SHARE * asked.question.seconds_left,
        )
        outcome = _after_reading(answer.outcome, phrasing, judged) if phraser.reads_further else answer.outcome
        if text and outcome is Outcome.ANSWERED:
            text, numbers = attributed(text, passages)
            sources = [*quoted.citations, *(cite_passage(found, self._base_url) for found in passages[len(cited) :])]
            quoted = replace(
                quoted,
                text=text,
                span=quoted.span if quoted.span and quoted.span in text else None,
                citations=tuple(
                    replace(sources[number], number=mark if len(numbers) > 1 else None)
                    for mark, number in enumerate(numbers, 1)
                ),
            )
        return replace(_with_outcome(outcome, quoted, judged, answer.reference), phrasing=phrasing)

    # --- parts of composing ---------------------------------------------------------------------------------------------

    async def _compose_sections(
        self, asked: _Asked, judged: Judged, candidates: Sequence[Candidate], length: Length
    ) -> _Composed | None:
        """Return the answer of the sections of these candidates, or None if that of the first has no content.

        Of the others, one without content and one that says nothing else are left out. An older section is named.
        """
        sections: list[tuple[Hit, ComposedSection]] = []
        for candidate in candidates:
            section = await self._compose_section(judged, candidate, length)
            if section.has_content and not any(section.text in other.text for _, other in sections):
                sections.append((candidate.hit, section))
            elif not sections:
                return None
        answer = _as_answer(sections, asked.reference, judged)
        if judged.older:
            older = Piece(f"_{OLDER} {inline_markdown(_quoted_trail(judged.older[0].hit.found))}._")
            answer = answer.saying(merged((*answer.pieces, older)), answer.more_pieces)
        return _Composed(judged, tuple(sections), answer)

    async def _compose_section(self, judged: Judged, candidate: Candidate, length: Length) -> ComposedSection:
        """Compose the answer from a candidate's section."""
        reading = candidate.reading
        section = await section_of(self._retriever, candidate.hit.found, reading.block, reading.span)
        return compose(judged.interpretation.variants[0].text, section, self._base_url, length)


def _with_outcome(outcome: Outcome, possible: Answer | None, judged: Judged, reference: str) -> Answer:
    """Return `possible` as an answer or as a suggestion, or the refusal."""
    if possible is None or outcome is Outcome.DECLINED:
        return _refusal(judged, reference)
    return possible if outcome is Outcome.ANSWERED else _as_suggestion(possible)


def _after_reading(outcome: Outcome, phrasing: Phrasing, judged: Judged) -> Outcome:
    """Return the outcome after a model has read the passages.

    A suggestion becomes an answer where the passages support every sentence that the model writes. Where it writes that they
    don't answer the question, an answer becomes a suggestion, and a suggestion is declined.
    """
    if phrasing.abstains:
        return Outcome.SUGGESTED if outcome is Outcome.ANSWERED else Outcome.DECLINED
    sure = phrasing.outcome is Phrased.KEPT and not judged.candidates[0].contradicts
    return Outcome.ANSWERED if sure else outcome


def _without_drafts(progress: Progress) -> Progress:
    """Return a progress that reports the stages only."""

    def report(update: Update) -> None:
        if not update.text:
            progress(update)

    return report


def _prefer_in_force(judged: Judged) -> Judged:
    """Return `judged` with the candidate first that replaces the best one, if any. The older one is only named, not shown."""
    candidates, older = in_force(judged.interpretation.text, judged.candidates)
    named = [one.hit for one in (*candidates[:1], *older)]
    beside = judged.beside if judged.beside and judged.beside.hit not in named else None
    return replace(judged, candidates=tuple(candidates), beside=beside, older=older)


def _as_answer(sections: Sequence[tuple[Hit, ComposedSection]], reference: str, judged: Judged) -> Answer:
    """Return the answer of these sections; of several, each is below its name."""
    first = sections[0][1]
    pieces, more = first.pieces, first.more_pieces
    if len(sections) > 1:
        named = [(Piece(f"**{inline_markdown(_trail(hit.found))}**"), section) for hit, section in sections]
        pieces = merged(piece for name, section in named for piece in (name, *section.pieces))
        more = merged(piece for name, section in named if section.more for piece in (name, *section.more_pieces))
    return Answer(
        Outcome.ANSWERED,
        text_of(pieces),
        reference,
        span=first.span if first.span in first.text else None,
        confidence=judged.confidence,
        citations=tuple(section.citation for _, section in sections),
        retrieved=_documents(judged.hits),
        more=text_of(more),
        pieces=pieces,
        more_pieces=more,
    )


def _as_suggestion(answer: Answer) -> Answer:
    """Return the answer marked as a suggestion."""
    remark = UNSURE_OF_SEVERAL if len(answer.citations) > 1 else UNSURE
    marked = replace(answer, outcome=Outcome.SUGGESTED)
    return marked.saying(merged((Piece(remark), *answer.pieces)), answer.more_pieces)


def _refusal(judged: Judged, reference: str) -> Answer:
    similar = [hit.found for hit in judged.hits[:5] if max(hit.cosines) >= _MIN_HINT_SIMILARITY]
    near = list(dict.fromkeys(map(_quoted_trail, similar)))[:2]
    text = f"{NOT_FOUND} The nearest I found: {' and '.join(near)}." if near else REFUSAL
    return Answer(Outcome.DECLINED, text, reference, confidence=judged.confidence, retrieved=_documents(judged.hits))


def _quoted_trail(found: FoundPassage) -> str:
    return f"“{_trail(found)}”"


def _trail(found: FoundPassage) -> str:
    return trail(found.title, found.passage.heading)


def _documents(hits: Sequence[Hit]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(hit.found.document for hit in hits))[:_MAX_DOCUMENTS]


class _Timings:
    """Measures the duration of each stage."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the time within the context."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.milliseconds[name] = round((time.perf_counter() - started) * 1000, 2)
