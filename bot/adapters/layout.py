"""How an answer reads, in what the platforms share: sources as a line of text, and text that is safe to show."""

import re

from bot.documents import Locator
from bot.messages import Citation

# Control characters could drive a terminal, and the bidirectional ones make text read otherwise than it is.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def safe(text: str) -> str:
    """Text of documents and users without characters that do something instead of showing something."""
    return _UNSAFE.sub("", text)


def source_line(citation: Citation) -> str:
    """`knowledge-bot › Installing › Update (installing.md, lines 12-14)`."""
    place = " › ".join((citation.title, *citation.heading))
    return safe(f"{place} ({', '.join(filter(None, (citation.document, locator_text(citation))))})").replace("\n", " ")


def locator_text(citation: Citation) -> str:
    """Where a quote stands in its document; see `Locator`."""
    return str(Locator(citation.lines, citation.page, citation.row, citation.paragraph))
