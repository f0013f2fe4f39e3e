"""Rank passages for a question: cosine, BM25 and the match of single words in one score, over several query variants.

All passages are compared by measures that an index makes cheap, then the best ones word by word (`Encoder.match`). The
first score is a convex combination of three: the cosine of the whole passage, the best cosine of one of its sentences, and BM25
divided by the best BM25 of the same query. Rank fusion (RRF) discards the differences between scores, while the combination
keeps them (Bruch, Gai, Ingber: An Analysis of Fusion Functions for Hybrid Retrieval, 2022). It ranked the right document first
more often on the public sets that we measure on.
"""

from collections.abc import Container, Sequence
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

# The share of the best sentence in the similarity in meaning; the rest is that of the whole passage.
_SENTENCE_SHARE = 0.4
# At most _MAX_MATCHED of the best passages are compared word by word, if they score at most _MATCH_MARGIN below the best one:
# lower ones were hardly ever ranked first. _MATCH_SHARE is the weight of the match in their score.
_MAX_MATCHED = 12
_MATCH_MARGIN = 0.15
_MATCH_SHARE = 0.5
FOUND = 20
"""Passages that are found for a question: more than are read, because they are ordered anew word by word."""
# A search starts again at most this often if the index changes meanwhile.
_MAX_TRIES = 5
# Further words of a long question hardly matter.
_MAX_WORDS = 64


class Retriever:
    """Search over the index. Safe to use from many tasks at once."""

    def __init__(self, store: KnowledgeStore, encoder: AsyncEncoder, settings: RetrievalSettings) -> None:
        self._store = store
        self._encoder = encoder
        self._settings = settings

    async def encode(self, variants: Sequence[QueryVariant]) -> Vectors:
        """Return one unit vector per variant, for `search`."""
        return await self._encoder.encode([variant.text for variant in variants])

    async def search(
        self,
        variants: Sequence[QueryVariant],
        vectors: Vectors,
        limit: int = FOUND,
        *,
        hidden: Container[str],
    ) -> list[Hit]:
        """Return the best passages for a question, best first, ranked over its variants.

        Passages of documents from sources with the names `hidden` are never returned; see `core.scopes`.
        Raises IndexUnavailable, EngineBusy and DeadlineExceeded.
        """
        queries = [
            SearchQuery(vector, tuple(dict.fromkeys(content_words(variant.text)))[:_MAX_WORDS])
            for variant, vector in zip(variants, vectors, strict=True)
        ]
        weights = np.array([variant.weight for variant in variants], dtype=np.float32)
        for _ in range(_MAX_TRIES):
            candidates = await self._store.candidates(self._encoder.identity, queries, 5 * limit, hidden)
            scores = self._scores(candidates, weights)
            best = np.argsort(-scores, kind="stable")[:limit]
            # Without an encoder, passages that share no word with the question aren't hits.
            best = best if self._encoder.by_meaning else best[scores[best] > 0]
            passages = await self._store.passages_of(candidates.ids[best].tolist(), candidates.generation)
            if passages is not None:
                hits = [
                    Hit(found, float(scores[number]), tuple(candidates.cosines[:, number].tolist()))
                    for found, number in zip(passages, best, strict=True)
                ]
                return await self._with_match(variants, hits)
        raise IndexUnavailable("The index is being changed all the time. Please ask again in a moment.")

    def _scores(self, candidates: Candidates, weights: Scores) -> Scores:
        """Return the scores, float32 [candidates]. `weights` [queries] are those of the query variants."""
        best = candidates.bm25.max(axis=1, keepdims=True, initial=0.0)
        shared = np.divide(candidates.bm25, best, out=np.zeros_like(candidates.bm25), where=best > 0)
        dense = self._settings.dense_weight if self._encoder.by_meaning else 0.0
        meaning = (1 - _SENTENCE_SHARE) * candidates.cosines + _SENTENCE_SHARE * candidates.sentences
        scores: Scores = weights @ (dense * meaning + (1 - dense) * shared)
        return scores

    async def _with_match(self, variants: Sequence[QueryVariant], hits: Sequence[Hit]) -> list[Hit]:
        """Return the hits with the match added to their scores, best first. Hits that aren't compared get the lowest match."""
        near = [hit for hit in hits[:_MAX_MATCHED] if hit.score >= hits[0].score - _MATCH_MARGIN]
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

    async def titles(self, *, hidden: Container[str]) -> list[str]:
        """Return the titles of the documents in the order of their paths, each once, but for those of the sources `hidden`."""
        return await self._store.titles(hidden)

    async def passages(self, document: str, first: int, last: int) -> list[Passage]:
        """Return the passages at these places of a document; see KnowledgeStore.passages."""
        return await self._store.passages(document, first, last)
