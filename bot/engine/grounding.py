"""placeholder"""
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.documents import FoundPassage
from bot.text import sentences, share_of_words, stems


class Verdict(StrEnum):
    KEPT = "kept"
    TRIMMED = "trimmed"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Grounded:
    text: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()


class Grounding:
    async def check(self, draft: str, passages: Sequence[FoundPassage], question: str) -> Grounded:
        there = stems("\n".join(block.text for found in passages for block in found.passage.blocks))
        said = [draft[slice(*span)] for span in sentences(draft)]
        kept = [one for one in said if share_of_words(stems(one), there) >= 0.8]
        if not kept:
            return Grounded("", Verdict.REPLACED, ("unsupported",))
        if len(kept) < len(said):
            return Grounded(" ".join(kept), Verdict.TRIMMED, ("unsupported",))
        return Grounded(draft, Verdict.KEPT)
