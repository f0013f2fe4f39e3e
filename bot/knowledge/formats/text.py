"""The loader for plain text. Blank lines separate paragraphs."""

import re
from collections.abc import Iterable, Iterator

from bot.core.documents import Document, Form, Locator
from bot.knowledge.formats.decoding import decode
from bot.knowledge.formats.outline import Outline

_LIST_ITEM = re.compile(r"\s*(?:[-*+•]|\d{1,3}[.)])\s+\S")


def load(path: str, content: bytes) -> Document:
    """Load a text. A paragraph whose first line looks like a list item is a list."""
    text, warnings = decode(content)
    outline = Outline(warnings=warnings)
    for first, paragraph in _paragraphs(text.split("\n")):
        form = Form.LIST if _LIST_ITEM.match(paragraph[0]) and len(paragraph) > 1 else Form.PARAGRAPH
        outline.block(form, "\n".join(paragraph), Locator(lines=(first + 1, first + len(paragraph))))
    return outline.document(path)


def _paragraphs(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield (index of the first line, lines) of each run of lines that aren't blank."""
    run: list[str] = []
    number = -1
    for number, line in enumerate(lines):
        if line.strip():
            run.append(line)
        elif run:
            yield number - len(run), run
            run = []
    if run:
        yield number + 1 - len(run), run
