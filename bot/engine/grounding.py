"""Is a generated draft supported by the passages? Sentence by sentence, before anyone reads it.

    async def show(draft_so_far): placeholder(await checking.so_far(draft_so_far))
    grounded = await checking.whole(draft)

What the passages don't say is dropped, or the whole draft is (a setting); so is what is no answer at all: repetition, an echo
of the question, another language, role markers. Computes in the default pool and in the inference lane, never on the loop.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from bot.documents import FoundPassage
from bot.engine.support import Passages, Support, SupportModel, support
from bot.inference.workers import EncodingLane, ReadingLane
from bot.settings import GroundingSettings
from bot.text import Span, plain, sentences, words


class Verdict(StrEnum):
    KEPT = "kept"
    TRIMMED = "trimmed"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Grounded:
    """What is left of a draft. `text` is "" where it is to be replaced.

    `reasons` are kinds such as "number" or "repetition", each once, and hold no text: they may be logged and counted.
    """

    text: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()


class Grounding:
    """Checks drafts against the passages that they were made from. Any number of drafts side by side."""

    def __init__(
        self,
        encoder: EncodingLane | None,
        reader: ReadingLane | None,
        settings: GroundingSettings,
        model: SupportModel | None = None,
    ) -> None:
        """`encoder` and `reader` are None where there is none; words, numbers and negations are compared in any case.

        Raises WeightsError where the shipped model of support is damaged.
        """
        self._encoder = encoder
        self._reader = reader
        self._settings = settings
        self._model = model or SupportModel.load()

    async def check(self, draft: str, passages: Sequence[FoundPassage], question: str) -> Grounded:
        """What is left of a whole draft. Raises EngineBusy and DeadlineExceeded."""
        return await self.checking(passages, question).whole(draft)

    def checking(self, passages: Sequence[FoundPassage], question: str) -> "Checking":
        """For a draft that is still being written."""
        return Checking(self._model, self._settings, passages, question)


class Piece(NamedTuple):
    """A sentence of a draft, or code in a fence: its characters, and what stands between it and the one before."""

    span: Span
    code: bool = False


class Checking:
    """One draft while it is being written. Each sentence is examined once; calls must not overlap."""

    def __init__(
        self, model: SupportModel, settings: GroundingSettings, passages: Sequence[FoundPassage], question: str
    ) -> None:
        self._model = model
        self._settings = settings
        self._given = passages
        self._question = question
        self._passages: Passages | None = None
        self._judged: dict[str, tuple[str, ...]] = {}

    @property
    def hopeless(self) -> bool:
        """Whether the draft will be replaced whatever comes: its generation may be stopped."""
        return self._settings.unsupported == "replace" and any(
            reasons and reasons != (_FILLER,) for reasons in self._judged.values()
        )

    async def so_far(self, draft: str) -> str:
        """Of a draft that goes on: the sentences that have ended and that the passages support. Raises as `check` does."""
        whole, _ = _ended(draft)
        return (await self._grounded(whole)).text

    async def whole(self, draft: str) -> Grounded:
        """Of a draft that is complete. Raises as `check` does."""
        return await self._grounded(draft)

    async def sentence(self, sentence: str) -> tuple[str, ...]:
        """Why a sentence is not supported, as kinds; empty where it is. Raises as `check` does."""
        if sentence not in self._judged:
            self._judged[sentence] = await asyncio.to_thread(self._judge, sentence)
        return self._judged[sentence]

    def _judge(self, sentence: str) -> tuple[str, ...]:
        if self._passages is None:
            self._passages = Passages(self._given, self._question)
        found = support(plain(sentence), self._passages)
        return () if self._model.probability(found) >= self._settings.threshold else reasons(found)

    async def _grounded(self, draft: str) -> Grounded:
        if problem := degenerate(draft, self._question):
            return Grounded("", Verdict.REPLACED, (problem,))
        pieces = list(_pieces(draft))
        judged = [await self.sentence(draft[slice(*piece)]) for piece in pieces]
        why = tuple(dict.fromkeys(reason for found in judged for reason in found))
        kept = [piece for piece, found in zip(pieces, judged, strict=True) if not found]
        if not kept or self.hopeless:
            return Grounded("", Verdict.REPLACED, why)
        if len(kept) == len(pieces):
            return Grounded(draft.strip(), Verdict.KEPT)
        return Grounded(_joined(draft, pieces, kept), Verdict.TRIMMED, why)


_FILLER = "filler"


def _ended(draft: str) -> tuple[str, str]:
    """The sentences of a draft that have ended, and the rest."""
    pieces = list(_pieces(draft))
    end = pieces[-1][0] if pieces else 0
    return draft[:end], draft[end:]


def _pieces(draft: str) -> Iterator[Span]:
    start = 0
    for line in draft.splitlines(keepends=True):
        for first, last in sentences(line):
            yield start + first, start + last
        start += len(line)


def _joined(draft: str, pieces: Sequence[Span], kept: Sequence[Span]) -> str:
    text = ""
    before = 0
    for piece in pieces:
        if piece in kept:
            text += draft[before : piece[1]]
        before = piece[1]
    return text.strip()


def reasons(found: Support) -> tuple[str, ...]:
    """The kinds of what speaks against a sentence."""
    kinds = {
        "number": found.number_missing or found.number_rival > 0 or found.number_far,
        "date": found.date_missing or found.date_rival > 0 or found.date_far,
        "name": found.name_missing or found.name_rival > 0,
        "unit": found.unit,
        "negation": found.negation >= 0.5,
        "opposite": found.opposite > 0,
    }
    return tuple(kind for kind, there in kinds.items() if there) or ("not_in_passages",)


def degenerate(draft: str, question: str) -> str:
    """What makes a draft no answer at all, as a kind; "" where nothing does."""
    said = words(draft)
    if not said:
        return "empty"
    counts = Counter(zip(said, said[1:], said[2:], strict=False))
    if counts and counts.most_common(1)[0][1] > 3:
        return "repetition"
    if said == words(question):
        return "echo"
    return ""
