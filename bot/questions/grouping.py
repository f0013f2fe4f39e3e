"""Grouping of kept questions by meaning. Their vectors are kept beside them, because encoding a thousand takes many seconds."""

import asyncio
from collections.abc import Sequence

import numpy as np

from bot.engine.gaps import Gap, grouped
from bot.inference.encoder import Vectors
from bot.inference.workers import AsyncEncoder, Priority
from bot.storage.base import AnswerStore, Declined
from bot.storage.base.vectors import are_whole

# Questions encoded at once, in a tenth of a second: a user's question waits for one batch at most.
_BATCH = 16
_KEPT = np.float16  # differs from the encoder's own by a cosine of 0.0001 at most


async def group(declined: Sequence[Declined], encoder: AsyncEncoder, answers: AnswerStore) -> list[Gap]:
    """Return the questions in groups of one meaning, most often asked first. Raises DeadlineExceeded and StorageError.

    Encodes those that were not encoded before, with the priority of indexing, and keeps their vectors.
    """
    if not declined:
        return []
    loaded = await encoder.loaded()
    identity = loaded.identity
    stored = await answers.vectors([one.id for one in declined], identity)
    kept = {one: vector for one, vector in stored.items() if _is_whole(vector, loaded.dimension)}
    missing = [one for one in declined if one.id not in kept]
    for start in range(0, len(missing), _BATCH):
        batch = missing[start : start + _BATCH]
        vectors = await encoder.encode([one.question.text for one in batch], priority=Priority.INDEXING)
        made = {one.id: vector.astype(_KEPT).tobytes() for one, vector in zip(batch, vectors, strict=True)}
        await answers.keep_vectors({one.id: one.question.text for one in batch}, made, identity)
        kept |= made
    return await asyncio.to_thread(lambda: grouped(declined, _rows([kept[one.id] for one in declined])))


def _is_whole(stored: object, dimension: int) -> bool:
    """Return whether this is a unit vector, and no damaged one, which is made again."""
    if not isinstance(stored, bytes) or len(stored) != dimension * _KEPT().nbytes:
        return False
    with np.errstate(all="ignore"):
        vector = np.frombuffer(stored, _KEPT).astype(np.float32)
    return bool(are_whole(vector[np.newaxis])[0])


def _rows(vectors: Sequence[bytes]) -> Vectors:
    return np.array([np.frombuffer(vector, _KEPT) for vector in vectors], dtype=np.float32)
