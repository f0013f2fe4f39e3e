"""Check, sentence by sentence, whether the passages support a generated draft, before it is shown.

    checking = grounding.checking(passages, question)
    shown = await checking.so_far(draft_so_far)   # while it is being written
    grounded = await checking.whole(draft)

Unsupported sentences are dropped, or the whole draft is (a setting). So are loops, echoes of the question, role markers and
text in another language. The rest has to be about the subject of the question, as far as the reader can tell. Computes in the
default thread pool and in the inference worker, never on the event loop.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from bot.core.documents import FoundPassage
from bot.core.messages import Phrased
from bot.core.settings import GroundingSettings
from bot.core.text import plain, share_of_words, stems, words
from bot.engine.attribution import unmarked
from bot.engine.draft_pieces import (
    claim_text,
    inline_code,
    is_code,
    is_cut_off,
    is_quoted_code,
    is_step,
    join_pieces,
    split_draft,
    split_yes_or_no,
)
from bot.engine.draft_problems import draft_problem, is_closed, is_filler, repetitions, sentence_problem, strip_roles
from bot.engine.support import Passages, Support, SupportModel, TokenizedText, compare
from bot.inference.span_model import ScoredSpan, SpanQuery
from bot.inference.workers import AsyncEncoder, AsyncReader


@dataclass(frozen=True, slots=True)
class Grounded:
    """The supported part of a draft. `text` is "" if the `outcome` is REPLACED; it is never FAILED.

    `reasons` are kinds of objections such as "number" or "repetition", each once. They hold no text of the draft, so they may
    be logged and counted.
    """

    text: str
    outcome: Phrased
    reasons: tuple[str, ...] = ()


# Sentences that are dropped for these reasons claim nothing new, so they don't make the rest of a draft doubtful.
_HARMLESS_REASONS = frozenset({"filler", "question", "echo", "repetition", "cut_off", "role"})


class Grounding:
    """Checks drafts against the passages that they were made from. Several drafts may be checked concurrently."""

    def __init__(
        self,
        encoder: AsyncEncoder | None,
        reader: AsyncReader | None,
        settings: GroundingSettings,
        model: SupportModel | None = None,
    ) -> None:
        """Compare only words without `encoder` and `reader`. Without `model` the shipped one is loaded.

        Raises WeightsError if the shipped model is damaged.
        """
        self._encoder = encoder
        self._reader = reader
        self._settings = settings
        self._model = model or SupportModel.load()

    async def check(self, draft: str, passages: Sequence[FoundPassage], question: str) -> Grounded:
        """Check a complete draft. Raises EngineBusy and DeadlineExceeded."""
        return await self.checking(passages, question).whole(draft)

    def checking(self, passages: Sequence[FoundPassage], question: str) -> "Checking":
        """Return a check for a draft that is still being written."""
        return Checking(self._encoder, self._reader, self._settings, self._model, passages, question)


class Checking:
    """The check of one draft while it is being written. Examines each sentence once. Calls must not overlap."""

    def __init__(
        self,
        encoder: AsyncEncoder | None,
        reader: AsyncReader | None,
        settings: GroundingSettings,
        model: SupportModel,
        passages: Sequence[FoundPassage],
        question: str,
    ) -> None:
        self._encoder = encoder
        self._reader = reader
        self._settings = settings
        self._model = model
        self._retrieved = passages
        self._question = question
        self._documents = "\n".join(map(_source_text, passages))
        self._source = f"{question}\n{self._documents}"
        self._passages: Passages | None = None
        self._examined: dict[str, tuple[str, ...]] = {}

    @property
    def is_rejected(self) -> bool:
        """Whether the draft will be replaced however it goes on, so that its generation may be stopped."""
        return self._settings.unsupported == "replace" and any(
            set(found) - _HARMLESS_REASONS for found in self._examined.values()
        )

    async def so_far(self, draft: str) -> str:
        """Return the complete and supported sentences of an unfinished draft. Raises as `check` does."""
        pieces = split_draft(draft)
        return (await self._check(draft[: pieces[-1].start] if pieces else "", ended=False)).text

    async def whole(self, draft: str) -> Grounded:
        """Check the complete draft. Raises as `check` does."""
        return await self._check(draft, ended=True)

    async def sentence(self, sentence: str) -> tuple[str, ...]:
        """Return the reasons why a sentence is not supported, empty if it is. Raises as `check` does."""
        await self._examine_new([sentence])
        return self._examined[sentence]

    async def answers(self, text: str) -> bool:
        """Whether a supported text is about the subject of the question: a true statement about something else is no answer.

        It is if the reader scores one of its spans nearly as high as the best span of the passages, or if it has at least half
        of the words of one of the best spans, or only words of that span. Always true without a reader. Raises as `check` does.
        """
        if self._reader is None:
            return True
        text = plain(text)
        contexts = [found.passage.body for found in self._retrieved]
        read = await self._reader.read([SpanQuery(self._question, context) for context in (*contexts, text)])
        *readings, own = [one.spans for one in read]
        return await asyncio.to_thread(_is_on_topic, text, own, contexts, readings)

    async def _check(self, draft: str, *, ended: bool) -> Grounded:
        draft, marked = strip_roles(unmarked(draft, self._source), self._source)
        if ended and (problem := await asyncio.to_thread(draft_problem, draft, self._retrieved)):
            return Grounded("", Phrased.REPLACED, ("role", problem) if marked else (problem,))
        yes_or_no, draft = split_yes_or_no(draft)
        pieces = split_draft(draft)
        texts = [draft[piece.start : piece.end] for piece in pieces]
        if yes_or_no and texts and not self._agrees(yes_or_no, texts[0]):
            self._examined[yes_or_no] = ("negation",)
        said = [text for text in texts if words(text) and not is_filler(text)]
        await self._examine_new([text for text in texts if words(text)], alone=ended and len(said) == 1)
        found = [self._examined.get(text, ()) for text in texts]
        for number in repetitions(texts):
            found[number] = ("repetition",)
        if ended and pieces and not found[-1] and is_cut_off(texts):
            found[-1] = ("cut_off",)
        objections = chain(["role"] * marked, self._examined.get(yes_or_no, ()), *found)
        why = tuple(dict.fromkeys(objections))
        kept = [not reasons for reasons in found]
        # A procedure without one of its steps would mislead.
        lacks_step = any(is_step(text) for text, keep in zip(texts, kept, strict=True) if not keep)
        if (
            self.is_rejected
            or lacks_step
            or not any(words(text) for text, keep in zip(texts, kept, strict=True) if keep)
        ):
            return Grounded("", Phrased.REPLACED, why)
        text = join_pieces(draft, pieces, kept)
        if ended and not await self.answers(text):
            return Grounded("", Phrased.REPLACED, (*why, "beside_the_question"))
        if yes_or_no and kept[0] and yes_or_no not in self._examined:
            text = yes_or_no + text
        elif yes_or_no:
            text = text[:1].upper() + text[1:]
        return Grounded(text, Phrased.TRIMMED if why else Phrased.KEPT, why)

    def _agrees(self, yes_or_no: str, statement: str) -> bool:
        """Whether a statement is negated, compared with the question, just where a "No" stands before it, or whether both
        stand in the passages like this."""
        if " ".join((yes_or_no + statement).split()) in " ".join(plain(self._source).split()):
            return True
        reversed_by_it = TokenizedText(plain(statement)).is_negated != TokenizedText(self._question).is_negated
        return reversed_by_it == yes_or_no.lower().startswith("no")

    async def examine(self, sentence: str, *, alone: bool = False) -> tuple[str, ...] | Support:
        """Return the scores of a sentence, or the final reasons against it (empty if supported) if scores aren't needed.

        `alone`: the sentence is the whole answer. Raises as `check` does.
        """
        if self._passages is None:
            self._passages = await asyncio.to_thread(Passages, self._retrieved, self._question)
        found = await asyncio.to_thread(self._examine_words, sentence, self._passages)
        if isinstance(found, tuple):
            return found
        size = len(found.claim.content)
        if alone and self._reader is not None and size <= _SHORT_ANSWER:
            if await self._is_marked_by_reader(found.claim, self._reader):
                return ()
            if size < _SHORT_ANSWER or any(one.is_negated != found.claim.is_negated for one in found.nearest[:1]):
                return reasons(found.support)
        return await self._with_meaning(found)

    async def _examine_new(self, pieces: Sequence[str], *, alone: bool = False) -> None:
        """Examine the pieces of a draft that have not been examined yet."""
        new = [piece for piece in dict.fromkeys(pieces) if piece not in self._examined]
        examined = await asyncio.gather(*(self.examine(piece, alone=alone) for piece in new))
        for piece, found in zip(new, examined, strict=True):
            self._examined[piece] = found if isinstance(found, tuple) else self._reasons_against(found)

    def _examine_words(self, piece: str, passages: Passages) -> "tuple[str, ...] | _Compared":
        """Return the final reasons if words are enough to decide, else the scores by words."""
        if problem := sentence_problem(piece, self._question, self._source):
            return (problem,)
        if is_code(piece):
            return () if is_quoted_code(piece, self._source) else ("code",)
        if any(code not in self._documents for code in inline_code(piece)):
            return ("code",)
        claim = TokenizedText(claim_text(piece))
        if not claim.content:
            return ("not_in_passages",)
        if passages.carried_over(claim):
            return ("name",)
        nearest = passages.nearest(claim)
        return _Compared(claim, nearest, compare(claim, passages, nearest))

    async def _with_meaning(self, compared: "_Compared") -> Support:
        """Return the scores with `cosine`, if there is an encoder."""
        if self._encoder is None:
            return compared.support
        if not compared.nearest:
            return replace(compared.support, cosine=0.0)
        beside = " ".join(sentence.text[:_LONGEST_TEXT] for sentence in compared.nearest)
        claim, there = await self._encoder.encode([compared.claim.text[:_LONGEST_TEXT], beside])
        return replace(compared.support, cosine=max(0.0, float(np.dot(claim, there))))

    async def _is_marked_by_reader(self, claim: TokenizedText, reader: AsyncReader) -> bool:
        """Whether a short answer is in one of the spans that the reader scores best."""
        contexts = [found.passage.body for found in self._retrieved]
        readings = [
            one.spans for one in await reader.read([SpanQuery(self._question, context) for context in contexts])
        ]
        return await asyncio.to_thread(_is_marked, claim, self._question, contexts, readings)

    def _reasons_against(self, found: Support) -> tuple[str, ...]:
        enough = self._model.probability(found) >= self._settings.threshold
        return () if enough else reasons(found)


# The encoder gets this many characters of each sentence: it reads no more of three.
_LONGEST_TEXT = 400
# Scores can't judge an answer of fewer content words; the reader does. Of just so many, either may support it, but the scores
# only where it is negated as the nearest sentence is.
_SHORT_ANSWER = 3
# Spans that the reader scores up to this much below its best one are accepted too, in logits.
_SPAN_MARGIN = 3.0
# For a whole text the margin is wider, as the reader has less context than in a passage. With both margins, 1 % of the
# reference answers of mtrag and clapnq count as no answer to their questions, and 46 % of other sentences of the same passages.
_TEXT_MARGIN = 4.0
_MIN_OVERLAP = 0.5


@dataclass(frozen=True, slots=True)
class _Compared:
    """A sentence of a draft with the nearest sentences of the passages, and its scores by words."""

    claim: TokenizedText
    nearest: Sequence[TokenizedText]
    support: Support


def reasons(found: Support) -> tuple[str, ...]:
    """Return the kinds of objections to a sentence; ("not_in_passages",) if there is none in particular."""
    kinds = {
        "number": max(found.number_missing, found.number_replaced, found.number_rival),
        "date": max(found.date_missing, found.date_replaced, found.date_rival),
        "name": max(found.name_missing, found.name_replaced, found.name_rival),
        "unit": max(found.unit_missing, found.unit_mismatch, found.unit_rival),
        "negation": max(found.negation_replaced, found.negation - 0.5),
        "opposite": found.opposite_replaced,
        "order": found.moved,
    }
    return tuple(kind for kind, against in kinds.items() if against >= _REASON_THRESHOLD) or ("not_in_passages",)


_REASON_THRESHOLD = 0.3


def _is_marked(
    claim: TokenizedText, question: str, contexts: Sequence[str], readings: Sequence[Sequence[ScoredSpan]]
) -> bool:
    """Whether one of the spans that the reader scores best has all words of an answer, and is negated as it is.

    Words of an open question need not be in the span: "It is valid for 30 minutes" says no more than "30 minutes".
    """
    asked = frozenset(() if is_closed(question) else TokenizedText(question).positions)
    wanted = {token.key for token in claim.tokens if token.is_exact or (token.is_content and token.key not in asked)}
    spans = map(TokenizedText, _best_span_texts(contexts, readings))
    return bool(wanted) and any(wanted <= set(span.positions) and span.is_negated == claim.is_negated for span in spans)


def _is_on_topic(
    text: str, own: Sequence[ScoredSpan], contexts: Sequence[str], readings: Sequence[Sequence[ScoredSpan]]
) -> bool:
    """Whether a text is about the question. `own` are the spans of the text, `readings` those of the passages."""
    if _best_score([own]) >= _best_score(readings) - _TEXT_MARGIN:
        return True
    there = stems(text)
    liked = map(stems, _best_span_texts(contexts, readings))
    return any(there <= said or share_of_words(said, there) >= _MIN_OVERLAP for said in liked)


def _best_score(readings: Sequence[Sequence[ScoredSpan]]) -> float:
    return max((span.score for found in readings for span in found), default=0.0)


def _best_span_texts(contexts: Sequence[str], readings: Sequence[Sequence[ScoredSpan]]) -> list[str]:
    """Return the texts of the spans that the reader scores best or nearly as high."""
    enough = _best_score(readings) - _SPAN_MARGIN
    pairs = zip(contexts, readings, strict=True)
    return [context[slice(*span.span)] for context, found in pairs for span in found if span.score >= enough]


def _source_text(found: FoundPassage) -> str:
    return "\n".join((found.title, *found.passage.heading, *(block.text for block in found.passage.blocks)))
