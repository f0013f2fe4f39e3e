"""The texts that tasks work on: a document or a section of the index, a file, messages, or a text as it is given.

Making one of a long text takes longer than the event loop may be blocked, so callers do it in a thread.

A source is made of passages, as the search finds them, so that the checks for answers fit; its statements are the sentences and
list items in them that can stand for themselves, each with its place.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bot.core.documents import Block, Document, Form, FoundPassage, Locator
from bot.core.errors import DocumentError
from bot.core.markup import Markup
from bot.core.text import plain, words
from bot.knowledge.passages import split
from bot.storage.base import KnowledgeStore

# Forms that are read sentence by sentence. Code says nothing in words, and a row of a table little without the others.
_PROSE = frozenset({Form.PARAGRAPH, Form.LIST, Form.PAIR})
_LAST = 2**31
# So short that a model with a window of 512 tokens reads one at once.
_LARGEST_PASSAGE = 1200  # characters


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence or list item, without markup. `first`: nothing of its section stands before it."""

    text: str
    place: str  # for people; empty where there is none
    first: bool


@dataclass(frozen=True, slots=True)
class Source:
    """A text in parts. `title` says for people which one it is; it is empty for a text that was given."""

    title: str
    passages: tuple[FoundPassage, ...]

    @property
    def characters(self) -> int:
        return sum(len(block.text) for found in self.passages for block in found.passage.blocks)

    @property
    def text(self) -> str:
        """Return the whole text, with its markup."""
        return "\n\n".join(block.text for found in self.passages for block in found.passage.blocks)


@dataclass(frozen=True, slots=True)
class ChatLine:
    """A message: its author, and its text without the platform's codes."""

    author: str
    text: str


# --- making sources ---------------------------------------------------------------------------------------------------


def source_of_text(text: str) -> Source:
    """Make a source of a text as it is given: each run of lines is a paragraph."""
    return Source("", _passages(Document("", "", tuple(_paragraphs(text)))))


def source_of_messages(messages: Sequence[ChatLine]) -> Source:
    """Make a source of messages, the oldest first, each with its author for the title."""
    documents = (Document("", message.author, tuple(_paragraphs(message.text))) for message in messages)
    return Source("", tuple(passage for document in documents for passage in _passages(document)))


def source_of_document(document: Document, section: str = "") -> Source:
    """Make a source of a file that was read, or of one section of it. Raises DocumentError if it has no such section."""
    passages = _passages(document)
    wanted = " ".join(words(section))
    if not wanted:
        return Source(document.title, passages)
    names = [[" ".join(words(plain(name))) for name in found.passage.heading] for found in passages]
    for fits in (wanted.__eq__, lambda name: wanted in name):
        chosen = [found for found, above in zip(passages, names, strict=True) if any(map(fits, above))]
        if chosen:
            return Source(f"{document.title} › {section.strip()}", tuple(chosen))
    there = dict.fromkeys(plain(found.passage.heading[-1]) for found in passages if found.passage.heading)
    raise DocumentError(f"{document.title}: there is no section {section!r}. It has: {', '.join(there) or 'none'}.")


async def source_of_indexed(knowledge: KnowledgeStore, path: str, section: str = "") -> Source:
    """Return a document of the index, or one of its sections. Raises DocumentError if it doesn't exist."""
    passages = await knowledge.passages(path, 0, _LAST)
    if not passages:
        raise no_such_document(path)
    blocks = tuple(block for passage in passages for block in passage.blocks)
    return await asyncio.to_thread(source_of_document, Document(path, path, blocks), section)


def no_such_document(path: str) -> DocumentError:
    """Return the error for a path that the index doesn't have, or that must look so."""
    return DocumentError(f"{path}: there is no such document. Give its path, such as guides/setup.md.")


def _paragraphs(text: str) -> Iterator[Block]:
    for part in re.split(r"\n[ \t]*\n", text):
        if part.strip():
            yield Block(Form.PARAGRAPH, part.strip(), markup=Markup.PLAIN)


def _passages(document: Document) -> tuple[FoundPassage, ...]:
    return tuple(
        FoundPassage(document.path, document.title, document.url, (number, number), passage)
        for number, passage in enumerate(split(document, _characters, _LARGEST_PASSAGE))
    )


def _characters(texts: Sequence[str]) -> list[int]:
    return list(map(len, texts))


# --- statements -------------------------------------------------------------------------------------------------------


def statements(passages: Iterable[FoundPassage]) -> list[Statement]:
    """Return the sentences and list items of passages, in order."""
    return list(_statements(passages))


def _statements(passages: Iterable[FoundPassage]) -> Iterator[Statement]:
    section: object = None
    for found in passages:
        first = section != (section := (found.title, found.passage.heading))
        for block in found.passage.blocks:
            if block.form not in _PROSE:
                continue
            pieces = block.pieces()
            for (start, end), locator in zip(pieces, block.locators(pieces), strict=True):
                if text := " ".join(_readable(block, start, end).split()):
                    yield Statement(text, _place(found, locator), first)
                    first = False


def _readable(block: Block, start: int, end: int) -> str:
    text = block.text[start:end]
    return text if block.markup is Markup.PLAIN and block.form is not Form.LIST else plain(text)


def _place(found: FoundPassage, locator: Locator) -> str:
    """Return where a statement stands, such as `Setup › Linux, lines 3-4`; of a message its author."""
    if not found.document:
        return found.title
    heading = " › ".join(map(plain, found.passage.heading[-2:]))
    return ", ".join(filter(None, (heading, str(locator))))
