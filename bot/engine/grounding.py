"""Is a generated draft supported by the passages? Sentence by sentence, before anyone reads it.

    checking = grounding.checking(passages, question)
    shown = await checking.so_far(draft_so_far)   # while it is being written
    grounded = await checking.whole(draft)

What the passages don't say is dropped, or the whole draft is (a setting); so is what is no answer at all: loops, an echo of the
question, role markers, another language. What is left must speak of what was asked, as far as the reader can tell. Computes in
the default pool and in the inference worker, never on the event loop.
"""

import asyncio
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from bot.core.documents import FoundPassage
from bot.core.messages import NO_ANSWER
from bot.core.settings import GroundingSettings
from bot.core.text import plain, sentences, share_of_words, stems, words
from bot.engine.attribution import unmarked
from bot.engine.claims import Kind, normalised, tokens
from bot.engine.support import Passages, Support, SupportModel, Text, compare
from bot.inference.span_model import ScoredSpan, Task
from bot.inference.workers import AsyncEncoder, AsyncReader
from bot.knowledge.checks import told_language


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


# What is left out without saying anything against the rest of a draft: it claims nothing, or nothing new.
_HARMLESS = frozenset({"filler", "question", "echo", "repetition", "cut_off", "role"})


class Grounding:
    """Checks drafts against the passages that they were made from. Any number of drafts side by side."""

    def __init__(
        self,
        encoder: AsyncEncoder | None,
        reader: AsyncReader | None,
        settings: GroundingSettings,
        model: SupportModel | None = None,
    ) -> None:
        """`encoder` and `reader` may be None where there is none: then words decide alone.

        Raises WeightsError where the shipped numbers are damaged.
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
        return Checking(self._encoder, self._reader, self._settings, self._model, passages, question)


class Checking:
    """One draft while it is being written. Each sentence is examined once; calls must not overlap."""

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
        self._given = passages
        self._question = question
        self._source = "\n".join((question, *(_raw(found) for found in passages)))
        self._passages: Passages | None = None
        self._judged: dict[str, tuple[str, ...]] = {}

    @property
    def hopeless(self) -> bool:
        """Whether the draft will be replaced, whatever comes: its generation may be stopped."""
        return self._settings.unsupported == "replace" and any(
            set(found) - _HARMLESS for found in self._judged.values()
        )

    async def so_far(self, draft: str) -> str:
        """Of a draft that goes on: the sentences that have ended and that the passages support. Raises as `check` does."""
        pieces = _pieces(draft)
        return (await self._checked(draft[: pieces[-1].start] if pieces else "", ended=False)).text

    async def whole(self, draft: str) -> Grounded:
        """Of a draft that is complete. Raises as `check` does."""
        return await self._checked(draft, ended=True)

    async def sentence(self, sentence: str) -> tuple[str, ...]:
        """Why a sentence is not supported, as kinds; empty where it is. Raises as `check` does."""
        await self._judge([sentence])
        return self._judged[sentence]

    async def answers(self, text: str) -> bool:
        """Whether a supported text speaks of what was asked: what is true of something else is no answer.

        It has most of some words that the reader likes in the passages, or no others, or some that the reader likes nearly as
        well. Without a reader every text counts as one that does. Raises as `check` does.
        """
        if self._reader is None:
            return True
        text = plain(text)
        contexts = [found.passage.body for found in self._given]
        judged = await self._reader.read([Task(self._question, context) for context in (*contexts, text)])
        *readings, own = [one.spans for one in judged]
        return await asyncio.to_thread(_speaks_of_it, text, own, contexts, readings)

    async def _checked(self, draft: str, *, ended: bool) -> Grounded:
        draft, marked = _without_roles(unmarked(draft, self._source), self._source)
        if ended and (problem := await asyncio.to_thread(_no_answer, draft, self._given)):
            return Grounded("", Verdict.REPLACED, ("role", problem) if marked else (problem,))
        pieces = _pieces(draft)
        texts = [draft[piece.start : piece.end] for piece in pieces]
        said = [text for text in texts if words(text) and _FILLER.fullmatch(normalised(text).strip()) is None]
        await self._judge([text for text in texts if words(text)], alone=ended and len(said) == 1)
        found = [self._judged.get(text, ()) for text in texts]
        for number in _repeated(texts):
            found[number] = ("repetition",)
        if ended and pieces and not found[-1] and _is_cut_off(texts):
            found[-1] = ("cut_off",)
        why = tuple(
            dict.fromkeys((*(["role"] if marked else []), *(reason for reasons in found for reason in reasons)))
        )
        kept = [not reasons for reasons in found]
        lacks_step = any(_STEP.match(text) for text, keep in zip(texts, kept, strict=True) if not keep)
        if self.hopeless or lacks_step or not any(words(text) for text, keep in zip(texts, kept, strict=True) if keep):
            return Grounded("", Verdict.REPLACED, why)
        text = _joined(draft, pieces, kept)
        if ended and not await self.answers(text):
            return Grounded("", Verdict.REPLACED, (*why, "beside_the_question"))
        return Grounded(text, Verdict.TRIMMED if why else Verdict.KEPT, why)

    async def examine(self, sentence: str, *, alone: bool = False) -> tuple[str, ...] | Support:
        """The scores of a sentence, from which its probability follows; or, where no scores are needed, why it is not
        supported, as kinds: empty where it is. `alone`: it is all of an answer. Raises as `check` does.
        """
        if self._passages is None:
            self._passages = await asyncio.to_thread(Passages, self._given, self._question)
        found = await asyncio.to_thread(self._at_first_sight, sentence, self._passages)
        if isinstance(found, tuple):
            return found
        if alone and self._reader is not None and len(found.claim.content) <= _SHORT:
            return () if await self._is_read(found.claim, self._reader) else reasons(found.support)
        return await self._with_meaning(found)

    async def _judge(self, pieces: Sequence[str], *, alone: bool = False) -> None:
        """Examine those pieces of a draft that have not been examined yet."""
        new = [piece for piece in dict.fromkeys(pieces) if piece not in self._judged]
        examined = await asyncio.gather(*(self.examine(piece, alone=alone) for piece in new))
        for piece, found in zip(new, examined, strict=True):
            self._judged[piece] = found if isinstance(found, tuple) else self._decided(found)

    def _at_first_sight(self, piece: str, passages: Passages) -> "tuple[str, ...] | _Compared":
        """The reasons where no model is needed to tell, else what the words say."""
        if problem := _problem(piece, self._question, self._source):
            return (problem,)
        if _is_code(piece):
            return () if _is_quoted_code(piece, self._source) else ("code",)
        claim = Text(_claim(piece))
        if not claim.content:
            return ("not_in_passages",)
        nearest = passages.nearest(claim)
        return _Compared(claim, nearest, compare(claim, passages, nearest))

    async def _with_meaning(self, compared: "_Compared") -> Support:
        """The scores with that of the meaning, if there is an encoder."""
        if self._encoder is None:
            return compared.support
        if not compared.nearest:
            return replace(compared.support, cosine=0.0)
        beside = " ".join(text.text[:_LONGEST_TEXT] for text in compared.nearest)
        claim, there = await self._encoder.encode([compared.claim.text[:_LONGEST_TEXT], beside])
        return replace(compared.support, cosine=max(0.0, float(np.dot(claim, there))))

    async def _is_read(self, claim: Text, reader: AsyncReader) -> bool:
        """Whether the reader marks these few words, or nearly does."""
        contexts = [found.passage.body for found in self._given]
        readings = [one.spans for one in await reader.read([Task(self._question, context) for context in contexts])]
        return await asyncio.to_thread(_marked, claim, contexts, readings)

    def _decided(self, found: Support) -> tuple[str, ...]:
        enough = self._model.probability(found) >= self._settings.threshold
        return () if enough else reasons(found)


# So many characters of a sentence are compared by their meaning; of three the encoder reads no more.
_LONGEST_TEXT = 400
# An answer of so few words that carry meaning says nothing by itself.
_SHORT = 3
# So much less than its best words, in logits, a reader may score those that are also accepted.
_NEARLY = 3.0
# And so much less a whole text, for which the reader has less to go by than for a passage. With both, 4 % of the reference
# answers of mtrag and clapnq count as no answer to their questions, and 61 % of other sentences of the same passages.
_NEARLY_ALONE = 4.0
_MOST = 0.5


@dataclass(frozen=True, slots=True)
class _Compared:
    claim: Text
    nearest: Sequence[Text]
    support: Support


def reasons(found: Support) -> tuple[str, ...]:
    """The kinds of what speaks against a sentence, or else that it isn't said."""
    kinds = {
        "number": max(found.number_missing, found.number_far, found.number_put, found.number_rival),
        "date": max(found.date_missing, found.date_far, found.date_put, found.date_rival),
        "name": max(found.name_missing, found.name_put, found.name_rival),
        "unit": max(found.unit_missing, found.unit_put, found.counts),
        "negation": max(found.negation_put, found.negation - 0.5),
        "opposite": max(found.opposite_put, found.opposite),
        "order": found.shifted,
    }
    return tuple(kind for kind, against in kinds.items() if against >= _TELLING) or ("not_in_passages",)


_TELLING = 0.3


def _marked(claim: Text, contexts: Sequence[str], readings: Sequence[Sequence[ScoredSpan]]) -> bool:
    """Whether all the words of an answer stand in one of the spans that the reader likes best."""
    wanted = {claim.tokens[place].key for place in claim.content}
    return any(wanted <= set(Text(said).places) for said in _liked(contexts, readings))


def _speaks_of_it(
    text: str, own: Sequence[ScoredSpan], contexts: Sequence[str], readings: Sequence[Sequence[ScoredSpan]]
) -> bool:
    """As `Checking.answers` says. `own` are the spans of the text, `readings` those of the passages."""
    if _best([own]) >= _best(readings) - _NEARLY_ALONE:
        return True
    there = stems(text)
    liked = map(stems, _liked(contexts, readings))
    return any(there <= said or share_of_words(said, there) >= _MOST for said in liked)


def _best(readings: Sequence[Sequence[ScoredSpan]]) -> float:
    return max((span.score for found in readings for span in found), default=0.0)


def _liked(contexts: Sequence[str], readings: Sequence[Sequence[ScoredSpan]]) -> list[str]:
    """The words that the reader likes best, and those that it likes nearly as well."""
    enough = _best(readings) - _NEARLY
    pairs = zip(contexts, readings, strict=True)
    return [context[slice(*span.span)] for context, found in pairs for span in found if span.score >= enough]


# --- pieces of a draft ------------------------------------------------------------------------------------------------

_FENCE = re.compile(r" {0,3}(?:`{3,}|~{3,})")
_END = re.compile(r"[.!?:…。！？][\"'”’)\]*_`]*$")
_ITEM = re.compile(r"[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]|[ \t]*[|#]")
# Of a procedure, which misleads where one is left out.
_STEP = re.compile(r"[ \t]*\d{1,3}[.)][ \t]")
_HANGING = re.compile(
    r"(?:[,;(\-–]|\b(?:a|an|the|of|to|in|on|at|by|for|with|from|and|or|but|that|which|is|are|was|were|as|than|if|be|can|will))$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Characters of a draft that stand or fall together: a sentence, a row of a table, or code in a fence."""

    start: int
    end: int


def _pieces(draft: str) -> list[_Piece]:
    return list(_cut(draft))


def _cut(draft: str) -> Iterator[_Piece]:
    start = 0
    fence: tuple[str, int] | None = None
    for line in draft.splitlines(keepends=True):
        mark = _FENCE.match(line)
        end = start + len(line)
        if fence is not None:
            if mark and mark.group().strip().startswith(fence[0]) and not line.strip(" `~\n"):
                yield _Piece(fence[1], start + len(line.rstrip()))
                fence = None
        elif mark:
            fence = mark.group().strip(), start
        elif line.lstrip().startswith("|"):
            yield _Piece(start, start + len(line.rstrip()))
        else:
            for first, last in sentences(line):
                yield _Piece(start + first, start + last)
        start = end
    if fence is not None:
        yield _Piece(fence[1], len(draft.rstrip()))


def _joined(draft: str, pieces: Sequence[_Piece], kept: Sequence[bool]) -> str:
    """The pieces that are kept, each with what stands before it."""
    text = ""
    before = 0
    for piece, keep in zip(pieces, kept, strict=True):
        gap, before = draft[before : piece.start], piece.end
        text += gap + draft[piece.start : piece.end] if keep else "\n" * gap.count("\n")
    text = re.sub(r"[ \t]+(?=\n)", "", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _claim(piece: str) -> str:
    """What a piece claims, as plain text: without a yes or no before it."""
    return _YES_OR_NO.sub("", normalised(plain(piece))).strip()


_YES_OR_NO = re.compile(r"^(?:yes|no|sure|certainly|of course|indeed|okay|ok|well)\b[,;:.! ]+(?=\w)", re.IGNORECASE)


def _is_code(piece: str) -> bool:
    return _FENCE.match(piece) is not None


def _is_quoted_code(piece: str, source: str) -> bool:
    """Whether every line of code stands in the passages."""
    said = {" ".join(line.split()) for line in source.splitlines()}
    lines = [" ".join(line.split()) for line in piece.splitlines() if not _FENCE.match(line)]
    return any(lines) and all(line in said for line in lines if line)


def _raw(found: FoundPassage) -> str:
    return "\n".join((found.title, *found.passage.heading, *(block.text for block in found.passage.blocks)))


# --- what is no answer ------------------------------------------------------------------------------------------------

# A role and a colon at the beginning of a line, or a special token of any of the usual templates.
_ROLE = re.compile(
    r"^[ \t]*[#*\[<|]{0,3}"
    r"(?P<role>user|human|assistant|bot|question|answer|q|a|context|passage \d+)"
    r"[\]>*|]{0,3}:(?!/)[*]{0,2}|<\|[\w ]{1,30}\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:eos|bos|pad|unk)>|<(?:start|end)_of_turn>",
    re.IGNORECASE | re.MULTILINE,
)
_OWN_ROLES = frozenset({"assistant", "answer", "a", "bot"})
_FILLER = re.compile(
    r"(?:(?:sure|certainly|of course|okay|ok|great|absolutely|thanks|thank you|hello|hi)\b[\w ,']{0,40}[.!,]*"
    r"|(?:i )?hope (?:this|that|it) (?:helps|answers)\b.{0,60}"
    r"|(?:please )?(?:let me know|feel free|don't hesitate)\b.{0,120}"
    r"|(?:i'd|i would|i'll|i can|i'm|i am) (?:be )?(?:\w+ )?(?:happy|glad|here|help)\b.{0,80}"
    r"|(?:sure|yes)?,? ?(?:here(?:'s| is| are)|the following (?:is|are))\b[\w ']{0,60}:"
    r"|(?:is|was) there anything else\b.{0,60})",
    re.IGNORECASE,
)
_DENIAL = re.compile(
    r"(?:unfortunately,? |sorry,? |i'm sorry,? (?:but )?|i am sorry,? (?:but )?|however,? )*"
    r"(?:i (?:do not|can not|don't|can't|cannot|am unable to|could not|couldn't) (?:have|know|find|answer|provide)\b"
    r"|(?:the )?(?:provided |given )?(?:document|passage|context|text|information)s? (?:\w+ )?(?:do|does|did) ?(?:not|n't)\b)"
    r".*",
    re.IGNORECASE | re.DOTALL,
)
_LONGEST_LOOP = 12  # words
# Letters of a script that the passages hardly use, as a share of all letters of a sentence.
_FOREIGN = 0.3


def _without_roles(draft: str, source: str) -> tuple[str, bool]:
    """The draft without a marker of its own role at its beginning, up to where another role begins; and whether any was there.

    A marker that the documents have too is none.
    """
    marked = False
    if (own := _ROLE.match(draft)) and _is_own(own) and own.group().strip() not in source:
        draft, marked = draft[own.end() :], True
    for match in _ROLE.finditer(draft):
        if match.group().strip() not in source:
            return draft[: match.start()], True
    return draft, marked


def _is_own(marker: re.Match[str]) -> bool:
    return (marker["role"] or "").lower() in _OWN_ROLES or marker["role"] is None


def _no_answer(draft: str, passages: Sequence[FoundPassage]) -> str:
    """What makes the draft as a whole no answer; "" where nothing does."""
    if not words(draft):
        return "empty"
    own = told_language(draft)
    theirs = own and told_language("\n".join(found.passage.body for found in passages))
    return "language" if own and theirs and own != theirs else ""


def _problem(piece: str, question: str, source: str) -> str:
    """What makes a piece no statement; "" where nothing does."""
    said = words(plain(piece))
    if _loops(said):
        return "repetition"
    if _foreign_script(piece, source):
        return "language"
    if said == words(question) or _restates(piece, question):
        return "echo"
    if piece.rstrip().endswith(("?", "？")):
        return "question"
    text = normalised(piece).strip()
    if _FILLER.fullmatch(text):
        return "filler"
    return NO_ANSWER if _DENIAL.fullmatch(text) else ""


# A question for yes or no, or for one of several things that it names, is answered with its own words.
_ANSWERED_BY_ITSELF = re.compile(
    r"(?:^|[.!?,;:]\s+|\b(?:so|and|but|hey|hi|hello)\s+)"
    r"(?:is|are|am|was|were|do|does|did|can|could|will|would|should|shall|may|might|must|has|have|had|need)(?:n't)?\b|\bor\b",
    re.IGNORECASE,
)
# "When you ..." begins a condition.
_OPEN = re.compile(
    r"\b(?:what|why|how|where|which|who|whose|whom|when(?!\s+(?:i|you|we|they|he|she|it|the|an?|my|your)\b))\b",
    re.IGNORECASE,
)


def _restates(piece: str, question: str) -> bool:
    """Whether a sentence only says again, as a statement, what an open question says. One that announces something doesn't."""
    if (
        piece.rstrip().endswith(":")
        or _ANSWERED_BY_ITSELF.search(question)
        or ("?" in question and not _OPEN.search(question))
    ):
        return False
    asked = {token.key for token in tokens(normalised(question))}
    said = [token.key for token in tokens(normalised(plain(piece))) if token.carries or token.kind is Kind.NEGATION]
    return bool(said) and asked.issuperset(said)


def _loops(said: Sequence[str]) -> bool:
    """Whether words come again and again: one four times in a row, several three times."""
    for length in range(1, _LONGEST_LOOP + 1):
        times = 4 if length == 1 else 3
        run = 0
        for place in range(length, len(said)):
            run = run + 1 if said[place] == said[place - length] else 0
            if run >= length * (times - 1):
                return True
    often = Counter(zip(said, said[1:], said[2:], strict=False))
    return len(said) >= 20 and max(often.values(), default=0) > max(3, len(said) // 8)


def _repeated(texts: Sequence[str]) -> Iterator[int]:
    """The places of pieces that have come before."""
    seen: set[tuple[str, ...]] = set()
    for number, text in enumerate(texts):
        said = tuple(words(plain(text)))
        if said and said in seen:
            yield number
        seen.add(said)


def _foreign_script(piece: str, source: str) -> bool:
    scripts = Counter(_scripts(piece))
    foreign = scripts.keys() - {script for script, count in Counter(_scripts(source)).items() if count > 3}
    return sum(scripts[script] for script in foreign) > _FOREIGN * max(1, scripts.total())


def _scripts(text: str) -> Iterator[str]:
    """The script of each letter, by the first word of its name in Unicode."""
    for letter in filter(str.isalpha, text):
        yield "LATIN" if letter.isascii() else unicodedata.name(letter, "UNKNOWN").partition(" ")[0]


def _is_cut_off(texts: Sequence[str]) -> bool:
    """Whether the last piece has no end although it should have one."""
    last = texts[-1].rstrip()
    if _END.search(last) or _is_code(last):
        return False
    if _HANGING.search(last):
        return True
    return _ITEM.match(last) is None and any(
        _END.search(text.rstrip()) and _ITEM.match(text) is None for text in texts[:-1]
    )
