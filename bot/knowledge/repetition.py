"""Text that repeats over the pages of one website, such as its navigation, footers and notices about cookies.

It is recognised by its repetition alone, whatever its tags and classes are called. One page keeps it, usually the start page,
so that what stands in a footer is still known.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from bot.core.documents import Block, Document
from bot.core.text import counted, plain

PAGE = ".html"
"""The ending of the files in which repetition is looked for."""
SAMPLE = 200
"""The pages by which it is found what repeats; more tell no more."""
_FEWEST_PAGES = 8  # of a website: what repeats on fewer may be meant
_SHARE = 0.75  # of the pages
_FEWEST_WORDS = 5  # of a block: shorter ones, such as "Returns nothing.", may be meant where they stand
_LONGEST_SAMPLE = 80  # characters in a remark


@dataclass(frozen=True, slots=True)
class Repeated:
    """The blocks that repeat. `keepers` has the path of the page that keeps each, by the key of the block."""

    keepers: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """A text that changes with what repeats; empty if nothing does."""
        return hashlib.sha256(repr(sorted(self.keepers.items())).encode()).hexdigest()[:16] if self.keepers else ""

    def left_out(self, document: Document) -> Document:
        """Return a page without what another one keeps, with a remark on it."""
        elsewhere = [
            block for block in document.blocks if self.keepers.get(_key(block), document.path) != document.path
        ]
        if not elsewhere:
            return document
        sample = " ".join(plain(elsewhere[0].text).split())
        shown = sample if len(sample) <= _LONGEST_SAMPLE else f"{sample[:_LONGEST_SAMPLE].rstrip()} …"
        keeper = self.keepers[_key(elsewhere[0])]
        number = counted(len(elsewhere), "block")
        remark = f"{number} left out that most pages of the website have, such as “{shown}”, which {keeper} keeps"
        blocks = tuple(block for block in document.blocks if block not in elsewhere)
        return replace(document, blocks=blocks, warnings=(*document.warnings, remark))


def repeated(pages: Iterable[Document]) -> Repeated:
    """Find what repeats on these pages of a website, of which the first ones keep it."""
    counts: Counter[str] = Counter()
    keepers: dict[str, str] = {}
    total = 0
    for page in pages:
        total += 1
        for key in {_key(block) for block in page.blocks if len(plain(block.text).split()) >= _FEWEST_WORDS}:
            counts[key] += 1
            keepers.setdefault(key, page.path)
    if total < _FEWEST_PAGES:
        return Repeated()
    return Repeated({key: keepers[key] for key, count in sorted(counts.items()) if count >= _SHARE * total})


def _key(block: Block) -> str:
    """Return a short name of the words of a block, without what its links lead to."""
    words = " ".join(plain(f"{block.context}\n{block.text}").split()).casefold()
    return hashlib.sha256(words.encode()).hexdigest()[:16]
