"""The model of the reader: rates how likely a context answers a question, and marks the words that do.

Loads any extractive question answering checkpoint of transformers. The checkpoint of the bot itself has an extra head for the
relevance of the context, and borrows the word embeddings of its encoder instead of repeating them. Blocking; call it from one
thread only.
"""

import json
import re
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bot.core.errors import WeightsError
from bot.core.settings import ModelsSettings, ReaderSettings
from bot.core.text import STOP_WORDS, Span, sentences
from bot.inference.encoder import LENGTH_STEP, TOKENS_PER_BATCH
from bot.inference.memory import megabytes_of
from bot.inference.weights import Precision, Weights, choose_precision, find_weights

SHIPPED = Path(__file__).parent.parent / "models" / "reader"
# The key of config.json that names the encoder whose word embeddings the model borrows.
BORROWED_FROM = "word_embeddings_of"
RELEVANCE_HEAD = "relevance"
"""The key of config.json that says whether the model has a head for relevance, and the prefix of that head's weights."""

_LONGEST_ANSWER = 48  # tokens
_WINDOW = 384  # tokens of question and context; longer contexts are read in overlapping windows
_OVERLAP = 96
_LONGEST_QUESTION = 96  # tokens; the rest is not read
_IRRELEVANT = -20.0  # logits, of a context without words
_LONGEST_NAME = 6  # words; a longer row of capitalised words is a headline


class SpanQuery(NamedTuple):
    """A context to read for a question. Answers lie at or after character `begin`."""

    question: str
    context: str
    begin: int = 0


@dataclass(frozen=True, slots=True)
class ScoredSpan:
    """A span of characters of a context. `score` is in logits, 0 if an answer here is as likely as none."""

    span: Span
    score: float


@dataclass(frozen=True, slots=True)
class SpanScores:
    """The model's scores of one context and of spans in it.

    `relevance` is in logits, above 0 if the context more likely answers than not. `spans` are the words that may answer, best
    first.
    """

    relevance: float
    spans: tuple[ScoredSpan, ...]


class SpanModel:
    """A loaded extractive question answering model."""

    def __init__(self, weights: Weights, precision: Precision, model_id: str) -> None:
        import torch
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        started = time.perf_counter()
        try:
            self._model, self._head, self._tokenizer = _load(weights.folder, getattr(torch, precision.dtype))
        except WeightsError:
            raise
        except Exception as error:  # the libraries raise nearly anything over a damaged or foreign folder
            raise WeightsError(f"{model_id} can't be loaded from {weights.folder}: {error}") from error
        self._torch = torch
        self.description = {
            "model": model_id,
            "source": weights.source,
            "dtype": precision.dtype,
            "megabytes": megabytes_of(self._model),
            "seconds": round(time.perf_counter() - started, 2),
        }

    def read(self, queries: Sequence[SpanQuery], best: int = 5) -> list[SpanScores]:
        """Return the scores of each query, with up to `best` spans that don't overlap; none if the context has no words.

        Each span lies within one sentence and holds names whole, which the model, choosing start and end separately, doesn't
        ensure.
        """
        if not queries:
            return []
        parts = [sentences(query.context) for query in queries]
        found: list[list[ScoredSpan]] = [[] for _ in queries]
        relevance = [_IRRELEVANT] * len(queries)
        with self._torch.inference_mode():
            for batch in self._batches(self._windows(queries, parts)):
                inputs = self._tokenizer.pad(
                    {name: [window.inputs[name] for window in batch] for name in batch[0].inputs},
                    pad_to_multiple_of=LENGTH_STEP,
                    return_tensors="pt",
                )
                for window, (logit, starts, ends) in zip(batch, self._scores(inputs), strict=True):
                    spans = _spans(logit, starts, ends, window.characters, window.sentences, best)
                    found[window.query] += spans
                    best_span = max((span.score for span in spans), default=_IRRELEVANT)
                    relevance[window.query] = max(relevance[window.query], best_span if logit is None else logit)
        return [
            SpanScores(relevant, tuple(_apart(spans, query.context, sentence_spans, best)))
            for relevant, spans, query, sentence_spans in zip(relevance, found, queries, parts, strict=True)
        ]

    def _scores(self, inputs: Any) -> Iterator[tuple[float | None, npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
        """Yield for each window (relevance logit or None, start logits [tokens], end logits [tokens])."""
        hidden = self._model.base_model(**inputs)[0]
        starts, ends = self._model.qa_outputs(hidden).detach().float().unbind(-1)
        relevance = self._head(hidden[:, 0]).float()[:, 0].tolist() if self._head else [None] * len(hidden)
        yield from zip(relevance, starts.numpy(), ends.numpy(), strict=True)

    def _windows(self, queries: Sequence[SpanQuery], parts: Sequence[Sequence[Span]]) -> list["_Window"]:
        """Return the windows of all queries, shortest first. `parts` are the sentences of each context."""
        encoded = self._tokenizer(
            [self._shortened(query.question) for query in queries],
            [query.context for query in queries],
            truncation="only_second",
            max_length=_WINDOW,
            stride=_OVERLAP,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        windows = []
        for number, query in enumerate(encoded["overflow_to_sample_mapping"]):
            inputs = {name: encoded[name][number] for name in self._tokenizer.model_input_names}
            of_context = np.array([sequence == 1 for sequence in encoded.sequence_ids(number)])
            characters = np.array(encoded["offset_mapping"][number])
            may_answer = of_context & (characters[:, 0] >= queries[query].begin)
            sentence = np.searchsorted([start for start, _ in parts[query]], characters[:, 0], side="right")
            windows.append(_Window(query, inputs, np.where(may_answer[:, None], characters, -1), sentence))
        return sorted(windows, key=lambda window: len(window.characters))

    def _shortened(self, question: str) -> str:
        """Return the question cut off after `_LONGEST_QUESTION` tokens, to leave room for the context."""
        offsets = self._tokenizer(question, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        return question[: offsets[_LONGEST_QUESTION - 1][1]] if len(offsets) > _LONGEST_QUESTION else question

    def _batches(self, windows: Sequence["_Window"]) -> Iterator[list["_Window"]]:
        batch: list[_Window] = []
        for window in windows:
            if batch and (len(batch) + 1) * len(window.characters) > TOKENS_PER_BATCH:
                yield batch
                batch = []
            batch.append(window)
        if batch:
            yield batch


def load_span_model(settings: ReaderSettings, models: ModelsSettings) -> SpanModel:
    """Find the weights, choose the number format and load. Raises WeightsError."""
    if settings.model:
        weights = find_weights(settings.model, settings.revision, auto_download=models.auto_download)
    else:
        weights = Weights(SHIPPED, "ships with the bot")
    return SpanModel(weights, choose_precision("auto"), settings.model or "the bot's own reader")


class _Window(NamedTuple):
    """A part of a context that fits the model.

    `characters` [tokens, 2] is the span of each token in the context, -1 if it can't be part of an answer; `sentences` [tokens]
    is the number of its sentence.
    """

    query: int
    inputs: dict[str, list[int]]
    characters: npt.NDArray[np.int64]
    sentences: npt.NDArray[np.int64]


def _load(folder: Path, dtype: Any) -> tuple[Any, Any, Any]:
    """Return (model, relevance head or None, tokenizer)."""
    from transformers import AutoConfig, AutoModelForQuestionAnswering, AutoTokenizer

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if BORROWED_FROM not in config:
        model = AutoModelForQuestionAnswering.from_pretrained(
            str(folder), dtype=dtype, local_files_only=True, trust_remote_code=False
        )
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        if not tokenizer.is_fast:
            raise WeightsError(f"{folder} has no fast tokenizer (tokenizer.json), which gives the place of each token.")
        return model.eval(), None, tokenizer
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file
    from transformers.initialization import no_init_weights

    lender = find_weights(config[BORROWED_FROM]).folder
    with no_init_weights():
        shape = AutoConfig.from_pretrained(str(folder))
        model = AutoModelForQuestionAnswering.from_config(shape, dtype=dtype)  # type: ignore[no-untyped-call]
    with safe_open(lender / "model.safetensors", framework="pt") as file:
        words = file.get_tensor("embeddings.word_embeddings.weight")
    weights = load_file(folder / "model.safetensors")
    head = None
    if config.get(RELEVANCE_HEAD):
        head = torch.nn.Linear(shape.hidden_size, 1, dtype=dtype)
        head.load_state_dict({name: weights.pop(f"{RELEVANCE_HEAD}.{name}") for name in ("weight", "bias")})
    name = f"{model.base_model_prefix}.embeddings.word_embeddings.weight"
    model.load_state_dict({**weights, name: words})
    return model.eval(), head, AutoTokenizer.from_pretrained(str(lender), local_files_only=True)


def _spans(
    relevance: float | None,
    starts: npt.NDArray[np.float32],
    ends: npt.NDArray[np.float32],
    characters: npt.NDArray[np.int64],
    sentence: npt.NDArray[np.int64],
    best: int,
) -> list[ScoredSpan]:
    """Return the best spans of one window.

    With a relevance logit, a span's score is that logit plus the log probability of the span within the window. Without one, it
    is the span's logit minus that of token 0, which stands for no answer.
    """
    positions = np.flatnonzero(characters[:, 1] > 0)
    if not len(positions):
        return []
    first, last = positions[0], positions[-1] + 1
    scores = starts[first:last, None] + ends[None, first:last]
    # The end is not before the start, within the longest answer, and in the same sentence.
    allowed = np.triu(np.tri(last - first, k=_LONGEST_ANSWER - 1, dtype=bool))
    allowed &= sentence[first:last, None] == sentence[None, first:last]
    scores = np.where(allowed, scores, -np.inf)
    in_all = float(np.logaddexp.reduce(scores, axis=None))
    none = float(starts[0] + ends[0]) if relevance is None else in_all - relevance
    count = min(8 * best, scores.size)
    top = np.argpartition(scores, -count, axis=None)[-count:]
    return [
        ScoredSpan((int(characters[first + row, 0]), int(characters[first + column, 1])), float(score - none))
        for row, column, score in zip(*np.unravel_index(top, scores.shape), scores.flat[top], strict=True)
        if np.isfinite(score)
    ]


def _apart(spans: list[ScoredSpan], context: str, parts: Sequence[Span], best: int) -> list[ScoredSpan]:
    """Return the best spans that overlap no better one, best first, extended to whole names."""
    chosen: list[ScoredSpan] = []

    def is_apart(span: Span) -> bool:
        return all(span[1] <= other.span[0] or span[0] >= other.span[1] for other in chosen)

    for candidate in sorted(spans, key=lambda span: -span.score):
        if is_apart(candidate.span) and is_apart(whole := _with_whole_names(context, parts, candidate.span)):
            chosen.append(ScoredSpan(whole, candidate.score))
            if len(chosen) == best:
                break
    return chosen


_WORD_BEFORE = re.compile(r"(?<![^\s(\[\"“])([^\W\d_][\w.'’-]*) $")
_WORD_AFTER = re.compile(r" ([^\W\d_](?:[\w'’-]|\.\w)*)")


def _with_whole_names(context: str, parts: Sequence[Span], span: Span) -> Span:
    """Return the span extended by the rest of a name at either end: capitalised words of the same sentence, one space apart.

    The first word of a sentence, line or item is capitalised anyway, so it is left out. A long row of such words is a headline.
    """
    sentence = parts[max(0, bisect_right(parts, span[0], key=lambda part: part[0]) - 1)]
    start, end = span
    grown = 0
    while context[start].isupper() and (before := _WORD_BEFORE.search(context, sentence[0], start)):
        line = max(sentence[0], context.rfind("\n", 0, before.start()) + 1)
        is_first = not any(character.isalpha() for character in context[line : before.start()])
        if is_first or not _is_of_a_name(before[1]):
            break
        start = before.start()
        grown += 1
    last = context[max(start, context.rfind(" ", start, end) + 1)]
    while last.isupper() and (after := _WORD_AFTER.match(context, end, sentence[1])) and _is_of_a_name(after[1]):
        end = after.end()
        grown += 1
    return (start, end) if grown < _LONGEST_NAME else span


def _is_of_a_name(word: str) -> bool:
    return word[0].isupper() and word.lower() not in STOP_WORDS
