"""Labels and named entities of texts, by the pipelines of transformers for text and token classification.

Blocking; a pipeline belongs to one thread. A text that is longer than the model's window is read in parts.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bot.core.errors import WeightsError
from bot.core.settings import ModelsSettings
from bot.core.text import Span, sentences
from bot.inference.weights import Weights, find_weights, missing_files

# Tokens of a model whose configuration names no window.
_WINDOW = 512
# The suffix of the architecture names of each task.
_HEADS = {"text-classification": "ForSequenceClassification", "token-classification": "ForTokenClassification"}
# Extra position embeddings of RoBERTa models, which belong to no token.
_SPARE = 2


@dataclass(frozen=True, slots=True)
class Label:
    """A class of a model with its probability. The probabilities add up to 1, unless several classes can hold at once."""

    name: str
    score: float


@dataclass(frozen=True, slots=True)
class Entity:
    """A name in a text, its kind in the words of the model, and the model's probability."""

    text: str
    kind: str
    score: float


class Classifier:
    """A model for text classification."""

    kind = "text-classification"

    def __init__(self, weights: Weights, model_id: str) -> None:
        """Load the model. Raises WeightsError if the folder is damaged or holds something else."""
        self._pipeline, self._window = _load(self.kind, weights, model_id)

    def read(self, text: str, pause: Callable[[], None] = lambda: None) -> list[Label]:
        """Return every class with its probability, the likeliest first. Parts of a long text count by their length.

        `pause` is called before each part, and may block briefly to leave the processor to others.
        """
        totals: dict[str, float] = {}
        size = 0
        for start, end in _windows(text, self._pipeline.tokenizer, self._window):
            pause()
            [found] = self._pipeline([text[start:end]], top_k=None, truncation=True, max_length=self._window)
            for one in found:
                totals[one["label"]] = totals.get(one["label"], 0.0) + one["score"] * (end - start)
            size += end - start
        labels = [Label(name, total / size) for name, total in totals.items()]
        return sorted(labels, key=lambda label: -label.score)


class EntityFinder:
    """A model for token classification that marks names."""

    kind = "token-classification"

    def __init__(self, weights: Weights, model_id: str) -> None:
        """Load the model. Raises WeightsError if the folder is damaged, holds something else, or its tokenizer is a slow one,
        which doesn't say where a token stands."""
        self._pipeline, self._window = _load(self.kind, weights, model_id)
        if not self._pipeline.tokenizer.is_fast:
            raise WeightsError(f"{model_id} has no fast tokenizer (tokenizer.json); name another model.")

    def read(self, text: str, pause: Callable[[], None] = lambda: None) -> list[Entity]:
        """Return the names in a text, in order, each as whole words. `pause` as for `Classifier`."""
        return list(self._found(text, pause))

    def _found(self, text: str, pause: Callable[[], None]) -> Iterator[Entity]:
        reached = 0
        for first, last in _windows(text, self._pipeline.tokenizer, self._window):
            pause()
            for one in self._pipeline(text[first:last], aggregation_strategy="simple"):
                start, end = _whole_words(text, first + one["start"], first + one["end"])
                if start >= reached:  # a model may mark the parts of one word apart
                    reached = end
                    yield Entity(text[start:end], one["entity_group"], float(one["score"]))


LoadedPipeline = Classifier | EntityFinder


def load_pipeline(kind: str, model: str, settings: ModelsSettings) -> LoadedPipeline:
    """Find the weights of a model and load it for a kind of pipeline. Takes seconds. Raises WeightsError."""
    weights = find_weights(model, auto_download=settings.auto_download, pickled=True)
    if missing := missing_files(weights.folder, pickled=True):
        raise WeightsError(f"{model} is not complete: {weights.folder} lacks {', '.join(missing)}.")
    return (Classifier if kind == Classifier.kind else EntityFinder)(weights, model)


def _load(kind: str, weights: Weights, model_id: str) -> tuple[Any, int]:
    """Return (the pipeline, the tokens that it reads at once). Raises WeightsError."""
    from transformers import (
        AutoConfig,
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
        AutoTokenizer,
        pipeline,
    )
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    loader: Any = AutoModelForSequenceClassification if kind == Classifier.kind else AutoModelForTokenClassification
    where: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        made_for = AutoConfig.from_pretrained(weights.folder, **where).architectures or []
        if not any(name.endswith(_HEADS[kind]) for name in made_for):
            raise WeightsError(f"{model_id} is no model for {kind}, but {', '.join(made_for) or 'of an unknown kind'}.")
        model, found = loader.from_pretrained(weights.folder, weights_only=True, output_loading_info=True, **where)
        tokenizer: Any = AutoTokenizer.from_pretrained(weights.folder, **where)
        loaded = pipeline(kind, model=model.eval(), tokenizer=tokenizer, device="cpu")  # type: ignore[call-overload]
    except WeightsError:
        raise
    except Exception as error:  # the libraries raise nearly anything over a damaged or foreign folder
        raise WeightsError(f"{model_id} can't be loaded from {weights.folder}: {error}") from error
    if found["missing_keys"]:
        raise WeightsError(f"{model_id} has not learned {kind}: its weights lack {min(found['missing_keys'])}.")
    positions = getattr(model.config, "max_position_embeddings", 0) or _WINDOW + _SPARE
    return loaded, min(tokenizer.model_max_length, positions - _SPARE)


def _windows(text: str, tokenizer: Any, window: int) -> Iterator[Span]:
    """Yield the spans of runs of sentences that fit the window, in order. A sentence that is too long is cut in halves."""
    spare = tokenizer.num_special_tokens_to_add()
    begun: Span | None = None
    for span in sentences(text):
        joined = (begun[0], span[1]) if begun else span
        if _size(text, joined, tokenizer) + spare <= window:
            begun = joined
            continue
        if begun:
            yield begun
        *full, begun = _halved(text, span, tokenizer, window - spare)
        yield from full
    if begun:
        yield begun


def _halved(text: str, span: Span, tokenizer: Any, room: int) -> list[Span]:
    start, end = span
    if end - start < 2 or _size(text, span, tokenizer) <= room:
        return [span]
    middle = text.rfind(" ", start + 1, (start + end) // 2)
    middle = middle if middle > 0 else (start + end) // 2
    return [*_halved(text, (start, middle), tokenizer, room), *_halved(text, (middle, end), tokenizer, room)]


def _size(text: str, span: Span, tokenizer: Any) -> int:
    return len(tokenizer(text[slice(*span)], add_special_tokens=False, verbose=False)["input_ids"])


def _whole_words(text: str, start: int, end: int) -> Span:
    while start and text[start - 1].isalnum() and text[start].isalnum():
        start -= 1
    while end < len(text) and text[end - 1].isalnum() and text[end].isalnum():
        end += 1
    return start, end
