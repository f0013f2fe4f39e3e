"""A quote in its place: the section of the document around it, as it stands in the index."""

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from bot.core.documents import Passage
from bot.core.messages import Citation
from bot.core.text import safe

PassagesOf = Callable[[str], Awaitable[Sequence[Passage]]]
"""The passages of the document with this path, in order; none where it isn't in the index any more."""

_GAP = "\n\n"
# Characters of context shown before and after a quote.
_AROUND = 1500


@dataclass(frozen=True, slots=True)
class Quoted:
    """A quote with the text of its document around it, which is empty if the quote is not in the index."""

    before: str
    quote: str
    after: str


def in_place(citation: Citation, passages: Sequence[Passage]) -> Quoted:
    """Find the quote of a citation in the passages of its document, first in those under its heading."""
    blocks = [block for passage in passages for block in passage.blocks]
    starts = [0, *accumulate(len(block.text) + len(_GAP) for block in blocks)]
    text = _GAP.join(block.text for block in blocks)
    places = list(_places(text, citation.quote))
    if not places:
        return Quoted("", safe(citation.quote), "")

    def block_at(place: int) -> int:
        return bisect_right(starts, place) - 1

    place = next((one for one in places if blocks[block_at(one)].heading == citation.heading), places[0])
    end = place + len(citation.quote)
    first, last = block_at(place), block_at(end - 1)
    heading = blocks[first].heading
    while first and blocks[first - 1].heading == heading and starts[first] > place - _AROUND:
        first -= 1
    while last + 1 < len(blocks) and blocks[last + 1].heading == heading and starts[last + 1] < end + _AROUND:
        last += 1
    until = starts[last + 1] - len(_GAP)
    return Quoted(safe(text[starts[first] : place]), safe(text[place:end]), safe(text[end:until]))


def _places(text: str, quote: str) -> Iterator[int]:
    place = text.find(quote) if quote else -1
    while place >= 0:
        yield place
        place = text.find(quote, place + 1)
