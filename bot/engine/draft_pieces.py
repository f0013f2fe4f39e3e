"""Take a draft apart into the pieces that are checked one by one, and put those that are kept together again."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bot.core.text import plain, sentences
from bot.engine.claims import normalised, without_lead_in

_FENCE = re.compile(r" {0,3}(?:`{3,}|~{3,})")
_END = re.compile(r"[.!?:…。！？][\"'”’)\]*_`]*$")
_ITEM = re.compile(r"[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]|[ \t]*[|#]")
_STEP = re.compile(r"[ \t]*\d{1,3}[.)][ \t]")
_UNFINISHED = re.compile(
    r"(?:[,;(\-–]|\b(?:a|an|the|of|to|in|on|at|by|for|with|from|and|or|but|that|which|is|are|was|were|as|than|if|be|can|will))$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class DraftPiece:
    """The part of a draft, characters `start` to `end`, that is checked as one: a sentence, a table row or fenced code."""

    start: int
    end: int


def split_draft(draft: str) -> list[DraftPiece]:
    """Return the pieces of a draft, in order."""
    return list(_iter_pieces(draft))


def _iter_pieces(draft: str) -> Iterator[DraftPiece]:
    start = 0
    fence: tuple[str, int] | None = None
    for line in draft.splitlines(keepends=True):
        mark = _FENCE.match(line)
        end = start + len(line)
        if fence is not None:
            if mark and mark.group().strip().startswith(fence[0]) and not line.strip(" `~\n"):
                yield DraftPiece(fence[1], start + len(line.rstrip()))
                fence = None
        elif mark:
            fence = mark.group().strip(), start
        elif line.lstrip().startswith("|"):
            yield DraftPiece(start, start + len(line.rstrip()))
        else:
            for first, last in sentences(line):
                yield DraftPiece(start + first, start + last)
        start = end
    if fence is not None:
        yield DraftPiece(fence[1], len(draft.rstrip()))


def join_pieces(draft: str, pieces: Sequence[DraftPiece], kept: Sequence[bool]) -> str:
    """Return the kept pieces of a draft as one text, with the line breaks between them."""
    text = ""
    before = 0
    for piece, keep in zip(pieces, kept, strict=True):
        gap, before = draft[before : piece.start], piece.end
        text += gap + draft[piece.start : piece.end] if keep else "\n" * gap.count("\n")
    text = re.sub(r"[ \t]+(?=\n)", "", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def claim_text(piece: str) -> str:
    """Return the plain text of a piece without words that lead in."""
    return without_lead_in(normalised(plain(piece))).strip()


_YES_OR_NO = re.compile(r"\s*(?:yes|no)[,;:.!]+ +(?=\w)", re.IGNORECASE)


def split_yes_or_no(draft: str) -> tuple[str, str]:
    """Return the "Yes, " or "No. " that a draft begins with, or "", and the rest."""
    found = _YES_OR_NO.match(draft)
    return (found.group().lstrip(), draft[found.end() :]) if found else ("", draft)


_INLINE_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def inline_code(piece: str) -> list[str]:
    """Return what stands between single backticks."""
    return _INLINE_CODE.findall(piece)


def is_step(piece: str) -> bool:
    """Whether a piece is a numbered step."""
    return _STEP.match(piece) is not None


def is_code(piece: str) -> bool:
    """Whether a piece is fenced code."""
    return _FENCE.match(piece) is not None


def is_quoted_code(piece: str, source: str) -> bool:
    """Whether every line of the code is in the passages."""
    said = {" ".join(line.split()) for line in source.splitlines()}
    lines = [" ".join(line.split()) for line in piece.splitlines() if not _FENCE.match(line)]
    return any(lines) and all(line in said for line in lines if line)


def is_cut_off(texts: Sequence[str]) -> bool:
    """Whether the last piece ends in the middle of a sentence."""
    last = texts[-1].rstrip()
    if _END.search(last) or is_code(last):
        return False
    if _UNFINISHED.search(last):
        return True
    return _ITEM.match(last) is None and any(
        _END.search(text.rstrip()) and _ITEM.match(text) is None for text in texts[:-1]
    )
