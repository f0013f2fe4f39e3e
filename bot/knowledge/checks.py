"""Checks of the documents: duplicates, contradictions, other languages, passages that are too long for the encoder."""

import asyncio
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from bot.core.documents import Block, Form, Locator, Passage, embedded_text
from bot.core.text import content_words, plain, words
from bot.inference.workers import AsyncEncoder, Priority
from bot.storage.base import KnowledgeStore, StoredPassage

_SAME_QUESTION = 0.95  # cosine
_SAME_WORDS = 0.8  # of all the different words of two passages
_FEWEST_WORDS = 8  # in a passage that can be a duplicate
_MOST_COMPARED = 50  # passages that one passage is compared with word by word
# Thirty-two random orders of all words.
_CHANCE = np.random.default_rng(1)
_PRIME = np.uint64(4_294_967_311)
_FACTORS, _OFFSETS = _CHANCE.integers(1, 2**31, size=(2, 32), dtype=np.uint64)
_SAMPLE = 2_000  # characters by which a language is recognised
_SHORTEST_SAMPLE = 120
_SURE = 0.98


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem in a document. `text` is a sentence about it that begins with a small letter."""

    document: str
    locator: Locator
    text: str


async def check(
    store: KnowledgeStore, encoder: AsyncEncoder, languages: Collection[str], documents: Collection[str] | None = None
) -> list[Finding]:
    """Return the findings on these documents (None: on all), in the order of the index.

    `languages` are the codes of the languages that the encoder serves; empty if it serves all.
    """
    passages = await store.stored()
    wanted = [n for n, passage in enumerate(passages) if documents is None or passage.document in documents]
    pairs = [n for n, passage in enumerate(passages) if passage.passage.blocks[0].form is Form.PAIR]
    asked = np.empty((0, 0), dtype=np.float32)
    if not set(pairs).isdisjoint(wanted):
        vectors = []
        for start in range(0, len(pairs), 16):
            questions = [_pair(passages[n]).context for n in pairs[start : start + 16]]
            vectors.append(await encoder.encode(questions, priority=Priority.INDEXING))
        asked = np.concatenate(vectors)

    def find() -> list[Finding]:
        findings = [
            *_in_other_languages([passages[n] for n in wanted], languages),
            *_beyond_the_window([passages[n] for n in wanted], encoder),
            *_near_duplicates(passages, wanted),
        ]
        if len(asked):
            findings += _contradictions(
                [passages[n] for n in pairs], asked, {pairs.index(n) for n in wanted if n in pairs}
            )
        order = {document: n for n, document in enumerate(dict.fromkeys(passage.document for passage in passages))}
        return sorted(findings, key=lambda finding: order[finding.document])

    return await asyncio.to_thread(find)


def _near_duplicates(passages: Sequence[StoredPassage], wanted: Sequence[int]) -> Iterator[Finding]:
    """Yield a finding for each passage that nearly repeats an earlier one."""
    bodies = [_own_words(passage.passage) for passage in passages]
    alike: dict[tuple[int, ...], list[int]] = {}
    bands = [_bands(body) if len(body) >= _FEWEST_WORDS else [] for body in bodies]
    for number, keys in enumerate(bands):
        for key in keys:
            alike.setdefault(key, []).append(number)
    chosen = set(wanted)
    for one in wanted:
        others = {other for key in bands[one] for other in alike[key][:_MOST_COMPARED]}
        for other in sorted(others - {one}):
            if (other < one or other not in chosen) and _share_words(bodies[one], bodies[other]):
                twin = _named(passages[other].document, _place(passages[other].passage))
                place = _place(passages[one].passage)
                yield Finding(passages[one].document, place, f"says nearly the same as {twin}: keep one of them")
                break


def _bands(body: Collection[str]) -> list[tuple[int, ...]]:
    """Return MinHash keys: similar sets of words nearly always have a key in common, others seldom."""
    numbers = np.array([zlib.crc32(word.encode()) for word in body], dtype=np.uint64)
    smallest = ((numbers[:, None] * _FACTORS + _OFFSETS) % _PRIME).min(axis=0).tolist()
    return [(start, *smallest[start : start + 4]) for start in range(0, len(smallest), 4)]


def _own_words(passage: Passage) -> set[str]:
    """Return the words of a passage, with the question of a pair, but without the header of a split table."""
    texts = (f"{block.context if block.form is Form.PAIR else ''} {block.text}" for block in passage.blocks)
    return {word for text in texts for word in words(plain(text))}


def _share_words(first: set[str], second: set[str]) -> bool:
    return len(first & second) >= _SAME_WORDS * len(first | second)


def _contradictions(pairs: Sequence[StoredPassage], asked: np.ndarray, wanted: Collection[int]) -> Iterator[Finding]:
    """Yield a finding for each question-answer pair whose question has another answer elsewhere."""
    for one in sorted(wanted):
        for other in np.nonzero(asked[one] @ asked.T >= _SAME_QUESTION)[0]:
            if one == other or (int(other) in wanted and other > one):
                continue
            first, second = _pair(pairs[one]), _pair(pairs[int(other)])
            if set(content_words(first.context)) != set(content_words(second.context)):
                continue
            answer, other_answer = words(plain(first.text)), words(plain(second.text))
            if not _contains(answer, other_answer) and not _contains(other_answer, answer):
                place = _named(pairs[int(other)].document, second.locator)
                yield Finding(
                    pairs[one].document,
                    first.locator,
                    f"the question “{first.context}” has another answer in {place}: keep the one that is right",
                )
                break


def _contains(longer: Sequence[str], shorter: Sequence[str]) -> bool:
    return " ".join(shorter) in " ".join(longer)


def _in_other_languages(passages: Sequence[StoredPassage], languages: Collection[str]) -> Iterator[Finding]:
    if not languages:
        return
    samples: dict[str, list[StoredPassage]] = {}
    for passage in passages:
        samples.setdefault(passage.document, []).append(passage)
    for document, of_document in samples.items():
        language = of_document[0].language or _document_language(of_document)
        if language and language.lower().partition("-")[0] not in languages:
            yield Finding(
                document,
                Locator(),
                f"its language seems to be `{language}`, which the encoder doesn't serve: translate it, or set encoder.model "
                "to a model for many languages and encoder.languages to its languages",
            )


def _document_language(passages: Sequence[StoredPassage]) -> str | None:
    """Return the language code of the passages' running text, or None if it isn't certain."""
    texts = (
        plain(block.text)
        for passage in passages
        for block in passage.passage.blocks
        if block.form in (Form.PARAGRAPH, Form.LIST, Form.PAIR)
    )
    sample = ""
    for text in texts:
        sample += f"{text}\n"
        if len(sample) > _SAMPLE:
            break
    return detect_language(sample)


def detect_language(text: str) -> str | None:
    """Return the language code of a text, or None if it isn't certain, as for a short text. Blocking."""
    sample = text[:_SAMPLE]
    if len(sample) < _SHORTEST_SAMPLE:
        return None
    language, probability = _identifier().classify(sample)
    return str(language) if probability >= _SURE else None


@lru_cache(maxsize=1)
def _identifier():  # type: ignore[no-untyped-def]
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _beyond_the_window(passages: Sequence[StoredPassage], encoder: AsyncEncoder) -> Iterator[Finding]:
    texts = [embedded_text(passage.title, passage.passage.heading, passage.passage.body) for passage in passages]
    for passage, tokens in zip(passages, encoder.count_tokens(texts), strict=True):
        if tokens > encoder.window:
            yield Finding(
                passage.document,
                _place(passage.passage),
                f"with its title and headings it has {tokens} tokens, of which the encoder reads the first {encoder.window}: "
                "shorten the headings, the table's header or the question",
            )


def _pair(passage: StoredPassage) -> Block:
    return passage.passage.blocks[0]


def _place(passage: Passage) -> Locator:
    """Return the place of a passage, from its first block to its last."""
    first, last = passage.blocks[0].locator, passage.blocks[-1].locator
    if first.lines is None or last.lines is None:
        return first
    # A footnote may be far below its reference.
    return replace(first, lines=(min(first.lines[0], last.lines[0]), max(first.lines[1], last.lines[1])))


def _named(document: str, locator: Locator) -> str:
    return ", ".join(filter(None, (document, str(locator))))
