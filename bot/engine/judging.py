"""Turn the passages found into candidates for an answer, best first, each with the confidence that it is right.

The passages that may rank first are read in one batch. They are ranked by the search's score and the reader's relevance: the
search compares the question with the whole index, the reader with a few passages in detail.
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

# The weight of the reader's logit relative to the score of the search.
_RELEVANCE_WEIGHT = 0.02
# A candidate about P-300 loses this much in rank if the question is about P-400.
_CONTRADICTION_PENALTY = 0.3
# Passages that score this much lower than the best one are not read: the reader hardly ever ranks them first.
_READ_MARGIN = 0.1
# Another section that ranks at most this much lower than the best one is shown too.
_BESIDE_MARGIN = 0.06  # in rank
# A suggestion shows up to this many other sections, which may rank lower by this much.
_ALTERNATIVES, _ALTERNATIVE_MARGIN = 2, 0.1
# Leads are clipped to this, in either direction.
_MAX_LEAD = 0.5
# The lead of the only section, which is low because there is no comparison.
_DEFAULT_LEAD = 0.1

# The document and the headings.
_Section = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that was read. `contradicts`: it mentions only a sibling of a detail of the question (P-300, not P-400)."""

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
    """One interpretation of a question with its `candidates`, best first, and its `unread` passages.

    `beside` is the best candidate of another section if it ranks so close that an answer shows both. `older` are those
    that the best one replaces (`bot.engine.versions`). `passed_over` are better passages that hold no answer.
    """

    interpretation: Interpretation
    candidates: tuple[Candidate, ...]
    unread: tuple[Hit, ...]
    beside: Candidate | None = None
    older: tuple[Candidate, ...] = ()
    passed_over: tuple[Hit, ...] = ()

    @property
    def confidence(self) -> float:
        """The probability that the best candidate or the one beside it is right; 0 without candidates."""
        return self.candidates[0].confidence if self.candidates else 0.0

    @property
    def hits(self) -> list[Hit]:
        return [*(candidate.hit for candidate in self.candidates), *self.passed_over, *self.unread]

    @property
    def alternatives(self) -> list[Candidate]:
        """The best candidates of the other sections, to be shown where it isn't sure which section is right."""
        best = self.candidates[0]
        left_out = {one.section for one in (best, *self.older)}
        others: dict[_Section, Candidate] = {}
        for one in self.candidates:
            if one.section not in left_out and one.rank >= best.rank - _ALTERNATIVE_MARGIN and not one.contradicts:
                others.setdefault(one.section, one)
        return list(others.values())[:_ALTERNATIVES]


class Judge:
    """Reads the passages found for a question and ranks them as candidates. Answers many questions concurrently."""

    def __init__(self, reader: Reader, calibration: Calibration, read_passages: int) -> None:
        """`read_passages`: how many passages are read at most, best first."""
        self._reader = reader
        self._calibration = calibration
        self._read_passages = read_passages

    async def judge(self, interpretation: Interpretation, hits: Sequence[Hit]) -> Judged:
        """Read and rank the passages. Raises EngineBusy and DeadlineExceeded."""
        text = interpretation.text
        against = [contradicts(text, _text(hit.found)) for hit in hits[: self._read_passages]]
        scores = [hit.score - _CONTRADICTION_PENALTY * wrong for hit, wrong in zip(hits, against, strict=False)]
        # Read every hit down to the last that can still rank first; the lead is measured against them.
        reached = max(
            (number + 1 for number, score in enumerate(scores) if score >= max(scores) - _READ_MARGIN), default=0
        )
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
        if not ranked and unread:  # none of the passages that were read has an answer
            return replace(await self.judge(interpretation, unread), passed_over=tuple(read))
        return self._judged(interpretation, ranked, unread)

    async def without_best(self, judged: Judged) -> Judged:
        """Judge again as if the best candidate had not been found. Raises as `judge` does."""
        passed_over = (*judged.passed_over, judged.candidates[0].hit)
        if len(judged.candidates) == 1:
            return replace(await self.judge(judged.interpretation, judged.unread), passed_over=passed_over)
        ranked = [_Ranked(one.hit, one.reading, one.rank, one.contradicts) for one in judged.candidates[1:]]
        return replace(self._judged(judged.interpretation, ranked, judged.unread), passed_over=passed_over)

    def _judged(self, interpretation: Interpretation, ranked: Sequence["_Ranked"], unread: Sequence[Hit]) -> Judged:
        beside = _find_beside(ranked)
        shown = [ranked[0], ranked[beside]] if beside else ranked[:1]
        leads = (_lead([one] if number else shown, ranked, unread) for number, one in enumerate(ranked))
        candidates = tuple(map(partial(self._candidate, interpretation), ranked, leads))
        return Judged(interpretation, candidates, tuple(unread), candidates[beside] if beside else None)

    def _candidate(self, interpretation: Interpretation, one: "_Ranked", lead: float) -> Candidate:
        weights = (variant.weight for variant in interpretation.variants)
        features = Features(
            relevance=one.reading.relevance,
            lead=max(-_MAX_LEAD, min(_MAX_LEAD, lead)),
            retrieval=one.hit.score,
            cosine=sum(weight * cosine for weight, cosine in zip(weights, one.hit.cosines, strict=True)),
        )
        confidence = self._calibration.confidence(features)
        return Candidate(one.hit, one.reading, one.rank, features, confidence, one.contradicts)


@dataclass(frozen=True, slots=True)
class _Ranked:
    """A passage that was read, before its features are known."""

    hit: Hit
    reading: Reading
    rank: float
    contradicts: bool


def _find_beside(ranked: Sequence[_Ranked]) -> int | None:
    """Return the number of the best candidate of another section that doesn't contradict the question, if it ranks close."""
    for number, one in enumerate(ranked):
        if _section(one.hit) != _section(ranked[0].hit) and not one.contradicts:
            return number if one.rank >= ranked[0].rank - _BESIDE_MARGIN else None
    return None


def _lead(shown: Sequence[_Ranked], ranked: Sequence[_Ranked], unread: Sequence[Hit]) -> float:
    """Return how far the first shown candidate ranks above the best one of the sections that aren't shown."""
    first, sections = shown[0], {_section(one.hit) for one in shown}
    others = [one.rank for one in ranked if _section(one.hit) not in sections]
    # Unread passages count as equally relevant, so they differ by their scores only.
    others += [first.rank - first.hit.score + hit.score for hit in unread if _section(hit) not in sections]
    return first.rank - max(others, default=first.rank - _DEFAULT_LEAD)


def _text(found: FoundPassage) -> str:
    said = (text for block in found.passage.blocks for text in (block.context, block.text))
    return "\n".join((found.title, *found.passage.heading, *said))


def _section(hit: Hit) -> _Section:
    return hit.found.document, hit.found.passage.heading
