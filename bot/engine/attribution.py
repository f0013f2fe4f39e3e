"""The passages that the sentences of a generated text come from.

A model's own marks are not asked for: small models invent them. Grounding has shown that the passages together say each
sentence; here each gets the number of the passage with which it shares most words.
"""

import re
from collections.abc import Iterator, Sequence

from bot.core.documents import FoundPassage
from bot.core.text import Span, plain, sentences, share_of_words, stems

_FENCE = re.compile(r" {0,3}(?:`{3,}|~{3,})")
# The end of a sentence, before which its mark stands. Rows of a table have none.
_END = re.compile(r"[.!?…。！？:]*[\"'”’)\]*_`]*$")
_MARK = re.compile(r"(\w*)[ \t]*\[\d{1,2}\](?!\()")


def attributed(text: str, passages: Sequence[FoundPassage]) -> tuple[str, list[int]]:
    """Return the text with marks such as [1] in its sentences, and the numbers of the passages that they stand for, [1] first.

    A text from a single passage gets no marks.
    """
    words = [stems(found.passage.body) for found in passages]
    sources = [(span, _nearest(stems(plain(text[slice(*span)])), words)) for span in _claims(text)]
    numbers = list(dict.fromkeys(number for _, number in sources))
    if len(numbers) > 1:
        for span, number in reversed(sources):
            text = _with_mark(text, span, numbers.index(number) + 1)
    return text, numbers or [0]


def unmarked(draft: str, source: str) -> str:
    """Return a draft without the marks that the model has written. A mark that the source has too is kept."""
    return _MARK.sub(lambda mark: mark[0] if mark[0] in source else mark[1], draft)


def _nearest(said: frozenset[str], passages: Sequence[frozenset[str]]) -> int:
    """Return the number of the passage with the most of some words, the first of several."""
    return max(range(len(passages)), key=lambda number: (share_of_words(said, passages[number]), -number))


def _claims(text: str) -> Iterator[Span]:
    """Yield the spans of the sentences outside of code, headings and tables."""
    start, within_code = 0, False
    for line in text.splitlines(keepends=True):
        if _FENCE.match(line):
            within_code = not within_code
        elif not within_code and not line.lstrip().startswith(("|", "#")):
            yield from ((start + first, start + last) for first, last in sentences(line))
        start += len(line)


def _with_mark(text: str, span: Span, mark: int) -> str:
    end = _END.search(text, *span)
    at = end.start() if end else span[1]
    return f"{text[:at]} [{mark}]{text[at:]}"
