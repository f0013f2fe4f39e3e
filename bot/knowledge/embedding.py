"""Embedding of passages: computes the vectors that the store lacks, behind the questions, and stores them as they are made."""

import asyncio
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence

from bot.core.documents import embedded_text
from bot.inference.workers import AsyncEncoder, Priority
from bot.storage.base import IndexedFile, KnowledgeStore, Scores

# Characters in one batch, as many as the encoder takes at once: a question waits for one batch at most, about 90 ms on two
# cores. Batches of half the length cost a passage an eighth more.
_EMBEDDED_AT_ONCE = 4_000
_STORED_AT_ONCE = 512  # passages


class Embedder:
    """Makes the vectors of passages. An interrupted run resumes with those that are stored."""

    def __init__(self, store: KnowledgeStore, encoder: AsyncEncoder) -> None:
        self._store = store
        self._encoder = encoder

    async def missing(self, files: Sequence[IndexedFile]) -> tuple[dict[str, str], list[str]]:
        """The texts of the files' passages by their keys, and the keys of those that have no vector, ordered by length.

        The order keeps texts of about the same length together, so that little padding is computed.
        """
        texts = await asyncio.to_thread(_texts, files)
        known = await self._store.known_vectors(self._encoder.identity, list(texts))
        missing = [key for key in texts if key not in known]
        await asyncio.to_thread(missing.sort, key=lambda key: len(texts[key]))
        return texts, missing

    async def embed(self, texts: Mapping[str, str], missing: list[str], progress: Callable[[int, int], None]) -> None:
        """Compute and store the vectors of the missing keys. `progress` is called with the numbers of keys done and in all."""
        done = 0
        progress(done, len(missing))

        async def encode(keys: list[str]) -> dict[str, Scores]:
            nonlocal done
            vectors = await self._encoder.encode([texts[key] for key in keys], priority=Priority.INDEXING)
            done += len(keys)
            progress(done, len(missing))
            return dict(zip(keys, vectors, strict=True))

        for stored_together in _chunks(missing, _STORED_AT_ONCE):
            async with asyncio.TaskGroup() as group:
                batches = _batches(stored_together, texts)
                tasks = [group.create_task(encode(keys)) for keys in batches]
            await self._store.add_vectors(self._encoder.identity, dict(ChainMap(*(task.result() for task in tasks))))


def _texts(files: Sequence[IndexedFile]) -> dict[str, str]:
    """The texts to embed of these files, by the keys of their vectors."""
    return {
        key: embedded_text(file.document.title, passage.heading, passage.body)
        for file in files
        if file.document is not None
        for key, passage in zip(file.vector_keys, file.passages, strict=True)
    }


def _batches(keys: Sequence[str], texts: Mapping[str, str]) -> Iterator[list[str]]:
    """The keys in batches whose texts have about `_EMBEDDED_AT_ONCE` characters together."""
    batch: list[str] = []
    size = 0
    for key in keys:
        if batch and size + len(texts[key]) > _EMBEDDED_AT_ONCE:
            yield batch
            batch, size = [], 0
        batch.append(key)
        size += len(texts[key])
    if batch:
        yield batch


def _chunks(items: list[str], size: int) -> Iterator[list[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
