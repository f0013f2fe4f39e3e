"""Question -> ranked passages: cosine, BM25 and the match of single words in one score, several query variants fused.

All passages are compared by measures that an index makes cheap, the best of them then word by word (`Encoder.match`). The
first score is a convex combination of three: the cosine of the whole passage, the best cosine of one of its sentences, and BM25
divided by the best BM25 of the same query. Rank fusion (RRF) throws away how much better one passage is than the next; the
combination keeps it (Bruch, Gai, Ingber: An Analysis of Fusion Functions for Hybrid Retrieval, 2022), and found more right
documents first on the public sets that we measure on.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bot.core.documents import Passage
from bot.core.errors import IndexUnavailable
from bot.core.messages import QueryVariant
from bot.core.settings import RetrievalSettings
from bot.core.text import content_words
from bot.inference.encoder import Pair, Vectors
from bot.inference.reader import PassageText
from bot.inference.workers import AsyncEncoder
from bot.storage.base import Candidates, Hit, KnowledgeStore, Scores, SearchQuery

# Of the likeness in meaning, so much is that of the best sentence and the rest that of the whole passage.
_SENTENCE_SHARE = 0.4
# So many of the best passages are compared word by word, if their score is so near to the best one; those behind hardly ever
# came to the front. So much does that count in their score.
_MATCHED = 12
_NEAR_BEST = 0.15
_MATCH_SHARE = 0.5
# So often a search is begun anew where the index changes under it.
_TRIES = 5
# More words than this only repeat what a question asks for.
_MOST_WORDS = 64


class Retriever:
    """Search over the index. Safe to use from many tasks at once."""

    def __init__(self, store: KnowledgeStore, encoder: AsyncEncoder, settings: RetrievalSettings) -> None:
        self._store = store
        self._encoder = encoder
        self._settings = settings

    async def encode(self, variants: Sequence[QueryVariant]) -> Vectors:
        """One unit vector a variant, for `search`."""
        return await self._encoder.encode([variant.text for variant in variants])

    async def search(self, variants: Sequence[QueryVariant], vectors: Vectors, limit: int | None = None) -> list[Hit]:
        """The best passages for a question, best first, ranked over its variants.

        Raises IndexUnavailable, EngineBusy and DeadlineExceeded.
        """
        limit = limit or self._settings.passages
        queries = [
            SearchQuery(vector, tuple(dict.fromkeys(content_words(variant.text)))[:_MOST_WORDS])
            for variant, vector in zip(variants, vectors, strict=True)
        ]
        weights = np.array([variant.weight for variant in variants], dtype=np.float32)
        for _ in range(_TRIES):
            candidates = await self._store.candidates(self._encoder.identity, queries, 5 * limit)
            scores = self._scores(candidates, weights)
            best = np.argsort(-scores, kind="stable")[:limit]
            # Without an encoder, what shares no word with the question is no find.
            best = best if self._encoder.by_meaning else best[scores[best] > 0]
            passages = await self._store.passages_of(candidates.ids[best].tolist(), candidates.generation)
            if passages is not None:
                hits = [
                    Hit(found, float(scores[number]), tuple(candidates.cosines[:, number].tolist()))
                    for found, number in zip(passages, best, strict=True)
                ]
                return await self._matched(variants, hits)
        raise IndexUnavailable("The index is being changed all the time. Please ask again in a moment.")

    def _scores(self, candidates: Candidates, weights: Scores) -> Scores:
        """float32 [candidates]; `weights` [queries] are those of the query variants."""
        best = candidates.bm25.max(axis=1, keepdims=True, initial=0.0)
        shared = np.divide(candidates.bm25, best, out=np.zeros_like(candidates.bm25), where=best > 0)
        dense = self._settings.dense_weight if self._encoder.by_meaning else 0.0
        meaning = (1 - _SENTENCE_SHARE) * candidates.cosines + _SENTENCE_SHARE * candidates.sentences
        scores: Scores = weights @ (dense * meaning + (1 - dense) * shared)
        return scores

    async def _matched(self, variants: Sequence[QueryVariant], hits: Sequence[Hit]) -> list[Hit]:
        """The hits with the match in their scores, best first. Those that are not compared match no better than the rest."""
        near = [hit for hit in hits[:_MATCHED] if hit.score >= hits[0].score - _NEAR_BEST]
        compared = [PassageText(hit.found).text for hit in near]
        if not compared or not self._encoder.by_meaning:
            return list(hits)
        pairs = [Pair(variant.text, text) for variant in variants for text in compared]
        matches = np.reshape(await self._encoder.match(pairs), (len(variants), len(compared)))
        match = np.array([variant.weight for variant in variants]) @ matches
        known = [*match.tolist(), *[match.min()] * (len(hits) - len(compared))]
        scored = [
            replace(hit, score=(1 - _MATCH_SHARE) * hit.score + _MATCH_SHARE * one)
            for hit, one in zip(hits, known, strict=True)
        ]
        return sorted(scored, key=lambda hit: -hit.score)

    async def titles(self) -> list[str]:
        """The titles of the documents, by their paths, each once."""
        return await self._store.titles()

    async def passages(self, document: str, first: int, last: int) -> list[Passage]:
        """Return the passages at these places of a document; see KnowledgeStore.passages."""
        return await self._store.passages(document, first, last)
