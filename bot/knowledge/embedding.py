"""Embed passages: compute the vectors that the store lacks, with a lower priority than questions, and store them.

Each sentence of a passage has a vector too, because a question is often about a single sentence.
"""

import asyncio
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, islice

from bot.core.documents import Form, Passage, embedded_text
from bot.core.text import plain
from bot.inference.workers import AsyncEncoder, Priority
from bot.knowledge.passages import units
from bot.storage.base import IndexedFile, KnowledgeStore, Scores

# The characters in one batch. A question waits for one batch at most, about 90 ms on two cores. With batches of half the length
# a passage takes an eighth longer.
_EMBEDDED_AT_ONCE = 4_000
_STORED_AT_ONCE = 512  # passages
# At most this many sentences of a passage get their own vectors, of their first characters.
_MOST_SENTENCES = 24
_LONGEST_SENTENCE = 300  # characters
_SHORTEST_SENTENCE = 3  # words


class Embedder:
    """Computes the vectors of passages. Vectors are stored as they come, so that an interrupted run can be resumed."""

    def __init__(self, store: KnowledgeStore, encoder: AsyncEncoder) -> None:
        self._store = store
        self._encoder = encoder

    async def missing(self, files: Sequence[IndexedFile]) -> tuple[dict[str, list[str]], list[str]]:
        """Return the texts of the files' passages by their keys, and the keys without a vector, ordered by length.

        The texts of a passage are its whole text and then its sentences. The order keeps texts of about the same length
        together, so that little padding is computed.
        """
        texts = await asyncio.to_thread(_texts, files, by_sentence=self._encoder.by_meaning)
        known = await self._store.known_vectors(self._encoder.identity, list(texts))
        missing = [key for key in texts if key not in known]
        await asyncio.to_thread(missing.sort, key=lambda key: len(texts[key][0]))
        return texts, missing

    async def embed(
        self, texts: Mapping[str, Sequence[str]], missing: list[str], progress: Callable[[int, int], None]
    ) -> None:
        """Compute and store the vectors of the missing keys. `progress` is called with the numbers of keys done and in all."""
        done = 0
        progress(done, len(missing))

        async def encode(keys: list[str]) -> dict[str, Scores]:
            nonlocal done
            every = [text for key in keys for text in texts[key]]
            vectors = await self._encoder.encode(every, priority=Priority.INDEXING)
            done += len(keys)
            progress(done, len(missing))
            ends = accumulate(len(texts[key]) for key in keys)
            return {key: vectors[end - len(texts[key]) : end] for key, end in zip(keys, ends, strict=True)}

        for stored_together in _chunks(missing, _STORED_AT_ONCE):
            async with asyncio.TaskGroup() as group:
                batches = _batches(stored_together, texts)
                tasks = [group.create_task(encode(keys)) for keys in batches]
            await self._store.add_vectors(self._encoder.identity, dict(ChainMap(*(task.result() for task in tasks))))


def _texts(files: Sequence[IndexedFile], *, by_sentence: bool) -> dict[str, list[str]]:
    """Return the texts of these files to embed, by the keys of their vectors."""
    return {
        key: [
            embedded_text(file.document.title, passage.heading, passage.body),
            *(_sentences(passage) if by_sentence else ()),
        ]
        for file in files
        if file.document is not None
        for key, passage in zip(file.vector_keys, file.passages, strict=True)
    }


def _sentences(passage: Passage) -> Iterator[str]:
    """Yield the sentences, items and rows that are long enough to be asked about, without code."""
    blocks = (block for block in passage.blocks if block.form is not Form.CODE)
    every = (plain(block.text[slice(*span)]) for block in blocks for span in units(block))
    long_enough = (text[:_LONGEST_SENTENCE] for text in every if len(text.split()) >= _SHORTEST_SENTENCE)
    return islice(long_enough, _MOST_SENTENCES)


def _batches(keys: Sequence[str], texts: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Yield the keys in batches whose texts have about `_EMBEDDED_AT_ONCE` characters together."""
    batch: list[str] = []
    size = 0
    for key in keys:
        more = sum(map(len, texts[key]))
        if batch and size + more > _EMBEDDED_AT_ONCE:
            yield batch
            batch, size = [], 0
        batch.append(key)
        size += more
    if batch:
        yield batch


def _chunks(items: list[str], size: int) -> Iterator[list[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
