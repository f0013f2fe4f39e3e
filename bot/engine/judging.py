"""Passages found -> candidates for an answer, best first, each with the confidence that it is right.

The passages that may come first are read, in one batch. The reader's relevance and the search's score rank them together: the
search compares the question with everything there is, the reader looks closely at a few.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from bot.core.documents import FoundPassage
from bot.engine.confidence import Calibration, Features
from bot.engine.conversation import Interpretation
from bot.engine.details import contradicts
from bot.inference.reader import Reader, Reading
from bot.storage.base import Hit

# What a logit of the reader is worth beside the score of the search.
_RELEVANCE_WEIGHT = 0.02
# So much in rank costs a candidate that speaks of P-300 where the question asks for P-400.
_CONTRADICTION = 0.3
# What the search scores so much lower than its best passage is not read: the reader hardly ever brings it to the front.
_REACH = 0.1
# A section that comes so close to the best one is shown beside it.
_CLOSE = 0.06  # in rank
# A lead counts up to this, in either direction.
_FULL_LEAD = 0.5
# The lead of the only section there is: with nothing to compare it with it says little.
_LEAD_ALONE = 0.1

# The document and the headings.
_Section = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that was read. `contradicts`: it speaks of a sibling of what was asked about, not of that itself."""

    hit: Hit
    reading: Reading
    rank: float
    features: Features
    confidence: float
    contradicts: bool = False

    @property
    def section(self) -> _Section:
        return _section(self.hit)


@dataclass(frozen=True, slots=True)
class Judged:
    """One interpretation of a question with what was found for it: `candidates`, best first, and `unread` passages.

    `beside` is the best candidate of another section, where it comes so close that both are shown. `older` is a candidate that
    the best one is in the place of (`bot.engine.versions`). `passed_over` are passages of better candidates, which say nothing.
    """

    interpretation: Interpretation
    candidates: tuple[Candidate, ...]
    unread: tuple[Hit, ...]
    beside: Candidate | None = None
    older: Candidate | None = None
    passed_over: tuple[Hit, ...] = ()

    @property
    def confidence(self) -> float:
        """That the best candidate is right, or the one beside it; 0 where nothing was found."""
        return self.candidates[0].confidence if self.candidates else 0.0

    @property
    def hits(self) -> list[Hit]:
        return [*(candidate.hit for candidate in self.candidates), *self.passed_over, *self.unread]

    @property
    def shown(self) -> list[Candidate]:
        """Those that an answer is made of."""
        return [*self.candidates[:1], *([self.beside] if self.beside else [])]


class Judge:
    def __init__(self, reader: Reader, calibration: Calibration, read_passages: int) -> None:
        """`read_passages`: how many passages are read at most, best first."""
        self._reader = reader
        self._calibration = calibration
        self._read_passages = read_passages

    async def judge(self, interpretation: Interpretation, hits: Sequence[Hit]) -> Judged:
        """Raises EngineBusy and DeadlineExceeded."""
        text = interpretation.text
        against = [contradicts(text, _text(hit.found)) for hit in hits[: self._read_passages]]
        scores = [hit.score - _CONTRADICTION * wrong for hit, wrong in zip(hits, against, strict=False)]
        # Up to the last one that may win, for the lead over those before it counts too.
        reached = max((number + 1 for number, score in enumerate(scores) if score >= max(scores) - _REACH), default=0)
        read, unread = hits[:reached], hits[reached:]
        readings = await self._reader.read(text, [hit.found for hit in read])
        ranked = sorted(
            (
                _Ranked(hit, reading, score + _RELEVANCE_WEIGHT * reading.relevance, wrong)
                for hit, reading, score, wrong in zip(read, readings, scores, against, strict=False)
                if reading is not None
            ),
            key=lambda one: -one.rank,
        )
        if not ranked and unread:  # none of those that were read says anything
            return replace(await self.judge(interpretation, unread), passed_over=tuple(read))
        return self._judged(interpretation, ranked, unread)

    async def without_best(self, judged: Judged) -> Judged:
        """The others, judged as if the best candidate had not been found. Raises as `judge` does."""
        passed_over = (*judged.passed_over, judged.candidates[0].hit)
        if len(judged.candidates) == 1:
            return replace(await self.judge(judged.interpretation, judged.unread), passed_over=passed_over)
        ranked = [_Ranked(one.hit, one.reading, one.rank, one.contradicts) for one in judged.candidates[1:]]
        return replace(self._judged(judged.interpretation, ranked, judged.unread), passed_over=passed_over)

    def _judged(self, interpretation: Interpretation, ranked: Sequence["_Ranked"], unread: Sequence[Hit]) -> Judged:
        beside = _beside(ranked)
        shown = [ranked[0], ranked[beside]] if beside else ranked[:1]
        leads = (_lead([one] if number else shown, ranked, unread) for number, one in enumerate(ranked))
        candidates = tuple(map(partial(self._candidate, interpretation), ranked, leads))
        return Judged(interpretation, candidates, tuple(unread), candidates[beside] if beside else None)

    def _candidate(self, interpretation: Interpretation, one: "_Ranked", lead: float) -> Candidate:
        weights = (variant.weight for variant in interpretation.variants)
        features = Features(
            relevance=one.reading.relevance,
            lead=max(-_FULL_LEAD, min(_FULL_LEAD, lead)),
            retrieval=one.hit.score,
            cosine=sum(weight * cosine for weight, cosine in zip(weights, one.hit.cosines, strict=True)),
        )
        confidence = self._calibration.confidence(features)
        return Candidate(one.hit, one.reading, one.rank, features, confidence, one.contradicts)


@dataclass(frozen=True, slots=True)
class _Ranked:
    hit: Hit
    reading: Reading
    rank: float
    contradicts: bool


def _beside(ranked: Sequence[_Ranked]) -> int | None:
    """The number of the first one of another section than the best, if it is close and doesn't contradict the question."""
    for number, one in enumerate(ranked):
        if _section(one.hit) != _section(ranked[0].hit) and not one.contradicts:
            return number if one.rank >= ranked[0].rank - _CLOSE else None
    return None


def _lead(shown: Sequence[_Ranked], ranked: Sequence[_Ranked], unread: Sequence[Hit]) -> float:
    """By how much the first of those shown ranks before the best one of the other sections."""
    first, sections = shown[0], {_section(one.hit) for one in shown}
    others = [one.rank for one in ranked if _section(one.hit) not in sections]
    # Unread passages are behind by their scores, as if they were as relevant.
    others += [first.rank - first.hit.score + hit.score for hit in unread if _section(hit) not in sections]
    return first.rank - max(others, default=first.rank - _LEAD_ALONE)


def _text(found: FoundPassage) -> str:
    said = (text for block in found.passage.blocks for text in (block.context, block.text))
    return "\n".join((found.title, *found.passage.heading, *said))


def _section(hit: Hit) -> _Section:
    return hit.found.document, hit.found.passage.heading
