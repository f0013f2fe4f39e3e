"""Extractive summaries: the sentences of a text that say most of it, in its own words and order.

Centroid-based selection (Radev, Jing, Budzikowska: "Centroid-based summarization of multiple documents", 2000) with maximal
marginal relevance (Carbonell and Goldstein, 1998), over the vectors of the encoder: each chosen sentence is near to the text as
a whole and far from the sentences chosen before.
"""

import asyncio
import math
from collections.abc import Sequence

import numpy as np

from bot.core.text import words
from bot.engine.compose import LEANS_BACK
from bot.inference.encoder import Vectors
from bot.inference.workers import AsyncEncoder, Priority
from bot.tasks.sources import Statement

# Sentences that are encoded in one job, between which questions get their turn.
_TOGETHER = 32
FEWEST, MOST = 2, 7  # sentences of a summary
_FEWEST_WORDS, _MOST_CHARACTERS = 4, 320
# Bonuses and penalties on the cosine with the whole text, which is 0.3 to 0.8.
_LEADS_SECTION, _LEADS_ALL = 0.05, 0.1
_LEANS, _SHAPELESS = 0.15, 0.2
# How much a sentence loses for being like one that was chosen.
_REDUNDANCE = 0.5


def length(count: int) -> int:
    """Return how many sentences a summary of `count` sentences has: the root, within limits."""
    return min(count, MOST, max(FEWEST, round(math.sqrt(count))))


async def encoded(texts: Sequence[str], encoder: AsyncEncoder) -> Vectors:
    """Return one unit vector per text, float32 [texts, dimension]. Questions go first. Raises DeadlineExceeded."""
    parts = [
        await encoder.encode(texts[start : start + _TOGETHER], priority=Priority.INDEXING)
        for start in range(0, len(texts), _TOGETHER)
    ]
    return np.concatenate(parts)


async def leading(statements: Sequence[Statement], encoder: AsyncEncoder, count: int) -> list[Statement]:
    """Return the `count` statements that say most, in their order. Raises DeadlineExceeded."""
    if len(statements) <= count:
        return list(statements)
    vectors = await encoded([statement.text for statement in statements], encoder)
    chosen = await asyncio.to_thread(_chosen, statements, vectors, count)
    return [statements[number] for number in sorted(chosen)]


def _chosen(statements: Sequence[Statement], vectors: Vectors, count: int) -> list[int]:
    centre = vectors.mean(axis=0)
    centre /= np.linalg.norm(centre) or 1.0
    scores = vectors @ centre + np.array([_bonus(statement) for statement in statements], dtype=np.float32)
    scores[0] += _LEADS_ALL
    chosen: list[int] = []
    nearest = np.zeros(len(statements), dtype=np.float32)  # to one of those that were chosen
    while len(chosen) < count:
        gains = scores - _REDUNDANCE * nearest
        gains[chosen] = -np.inf
        best = int(gains.argmax())
        chosen.append(best)
        nearest = np.maximum(nearest, vectors @ vectors[best])
    return chosen


def _bonus(statement: Statement) -> float:
    length_in_words = len(words(statement.text))
    shapeless = (
        length_in_words < _FEWEST_WORDS
        or len(statement.text) > _MOST_CHARACTERS
        or statement.text.rstrip().endswith((":", "?", "？"))
    )
    leans = LEANS_BACK.match(statement.text) is not None
    return _LEADS_SECTION * statement.first - _LEANS * leans - _SHAPELESS * shapeless
