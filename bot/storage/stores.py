"""Opens the databases in a data folder. What they are made of is hidden behind the protocols of `bot.storage.base`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.storage.base import Journal, KnowledgeStore
from bot.storage.sqlite.journal import SqliteJournal


@dataclass(frozen=True, slots=True)
class Stores:
    """The open databases."""

    knowledge: KnowledgeStore
    journal: Journal


@asynccontextmanager
async def open_stores(folder: Path) -> AsyncIterator[Stores]:
    """Open the index and the journal in a folder, made anew where there are none. Raises StorageError."""
    async with open_knowledge(folder) as knowledge, open_journal(folder) as journal:
        yield Stores(knowledge, journal)


@asynccontextmanager
async def open_knowledge(folder: Path) -> AsyncIterator[KnowledgeStore]:
    """Open the index in a folder, made anew if there is none. Raises StorageError."""
    from bot.storage.sqlite.knowledge import SqliteKnowledge  # loads numpy, which the journal does without

    knowledge = await SqliteKnowledge.open(folder)
    try:
        yield knowledge
    finally:
        await knowledge.close()


@asynccontextmanager
async def open_journal(folder: Path) -> AsyncIterator[Journal]:
    """Open the journal in a folder, made anew if there is none. Raises StorageError."""
    journal = await SqliteJournal.open(folder)
    try:
        yield journal
    finally:
        await journal.close()
