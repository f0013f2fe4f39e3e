"""Training of the reader: the encoder's backbone with a head that marks where an answer begins and ends.

The model of Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", 2019, section 4.3 (SQuAD v2.0): each token
has a probability to begin and to end the answer, and the first token, [CLS], stands for "not in this context". Training has two
phases: single sentences among others, then real paragraphs. It can start from the mean of several readers' weights, which may
read better than any of them (Wortsman et al., "Model soups", 2022); without examples it writes that mean.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from transformers import AutoTokenizer

from bot.core.errors import TrainingError
from bot.core.settings import EncoderSettings, ModelsSettings
from bot.evaluation.metrics import exact_match, token_f1
from bot.inference.encoder import load_encoder
from bot.inference.span_model import SpanModel, SpanQuery
from bot.inference.weights import Weights, choose_precision, find_weights
from bot.training.examples import ReadingExample, Sources
from bot.training.loop import (
    Figures,
    Loop,
    Loss,
    Phase,
    Progress,
    TrainingPlan,
    load_base,
    span_loss,
    write_model,
    write_record,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderTraining(TrainingPlan):
    """The options of a reader's training."""

    start: tuple[str, ...] = ()  # folders of readers to begin with; none: the base
    sentence_examples: int = 64_000
    paragraph_examples: int = 28_000
    batch: int = 32
    rate: float = 1.5e-4  # over sentences
    paragraph_rate: float = 8e-5
    head_rate: float = 1e-3
    warm_up: float = 0.06
    dropout: float = 0.1
    longest: int = 320  # tokens of question and context
    average: float = 0.997


class _Batch(NamedTuple):
    """The model's inputs and three masks, bool [batch, tokens]."""

    inputs: dict[str, torch.Tensor]
    allowed: torch.Tensor  # the context, and [CLS], which stands for no answer
    starts: torch.Tensor  # where a right answer may begin
    ends: torch.Tensor


def train(
    data: Path, output: Path, plan: ReaderTraining, progress: Progress, save_every_seconds: float = 120
) -> Figures:
    """Train a reader on the sources in `data`, or go on from the checkpoint in `output`, and write the model into `output`.

    Returns the figures of `measure_reading` for each held-out source. Raises TrainingError and WeightsError.
    """
    if not (plan.start or plan.sentence_examples or plan.paragraph_examples):
        raise TrainingError("There is nothing to train on: without examples, name readers to start from (--start).")
    torch.manual_seed(plan.seed)
    reader = _Reader(plan)
    loop = Loop(reader.model, reader.loss, plan, output)
    sources = Sources(data, lambda texts: _neighbours(plan.base, texts))
    loop.run(_phases(plan, sources), progress, save_every_seconds)
    write_model(reader.model, plan.base, output)
    model = SpanModel(Weights(output, "just trained"), choose_precision("auto"), "the new reader")
    figures = {name: measure_reading(model, examples) for name, examples in sources.held_out.items()}
    write_record(output, plan, figures)
    return figures


def _neighbours(base: str, texts: Sequence[str], count: int = 12) -> list[list[int]]:
    """Return for each text the numbers of the `count` others nearest in meaning, by the encoder's cosine, nearest first."""
    vectors = load_encoder(EncoderSettings(model=base), ModelsSettings()).encode(texts)
    return [
        [int(other) for other in np.argsort(-row)[: count + 1] if other != number][:count]
        for number, row in enumerate(vectors @ vectors.T)
    ]


def _phases(plan: ReaderTraining, sources: Sources) -> list[Phase[list[ReadingExample]]]:
    """Return the phases: sentences among others, then real paragraphs, which alone count for the average."""
    sentences = sources.sentence_examples(plan.sentence_examples, plan.seed)
    paragraphs = sources.paragraph_examples(plan.paragraph_examples, plan.seed + 1)
    return [
        Phase(len(sentences), plan.batch, _batches(sentences, plan.batch, plan.seed), plan.rate, averaging=False),
        Phase(len(paragraphs), plan.batch, _batches(paragraphs, plan.batch, plan.seed + 1), plan.paragraph_rate),
    ]


def _batches(examples: Sequence[ReadingExample], size: int, seed: int) -> Iterator[list[ReadingExample]]:
    """Yield batches of examples of similar length, which need little padding, in random order."""
    pool = 32 * size
    chance = random.Random(seed)  # noqa: S311 - reproducible on purpose
    for start in range(0, len(examples), pool):
        pooled = sorted(examples[start : start + pool], key=lambda example: len(example.context))
        batches = [pooled[first : first + size] for first in range(0, len(pooled), size)]
        chance.shuffle(batches)
        yield from batches


class _Reader:
    """The model in training, with its tokenizer and its loss."""

    def __init__(self, plan: ReaderTraining) -> None:
        self.model = load_base(plan.base, plan.dropout)
        self.model.base_model.embeddings.word_embeddings.weight.requires_grad_(False)
        self.tokenizer = AutoTokenizer.from_pretrained(find_weights(plan.base).folder)
        self._longest = plan.longest
        self._bfloat16 = choose_precision("auto").dtype == "bfloat16"
        if plan.start:
            self._begin_with(plan.start)

    def _begin_with(self, folders: Sequence[str]) -> None:
        """Start from the mean of the readers in these folders."""
        shapes = {name: weight.shape for name, weight in self.model.named_parameters() if weight.requires_grad}
        readers = [_weights(Path(folder), shapes) for folder in folders]
        mean = {name: torch.stack([reader[name].float() for reader in readers]).mean(0) for name in shapes}
        self.model.load_state_dict(mean, strict=False)

    def loss(self, examples: list[ReadingExample]) -> Loss:
        batch = self.batch(examples)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
            output = self.model(**batch.inputs)
        starts = span_loss(output.start_logits, batch.allowed, batch.starts)
        ends = span_loss(output.end_logits, batch.allowed, batch.ends)
        total = (starts + ends) / 2
        return Loss(total, {"loss": total})

    def batch(self, examples: Sequence[ReadingExample]) -> _Batch:
        encoded = self.tokenizer(
            [example.question for example in examples],
            [example.context for example in examples],
            truncation="only_second",
            max_length=self._longest,
            padding=True,
            return_offsets_mapping=True,
            return_tensors="pt",
        )
        offsets = encoded.pop("offset_mapping").numpy()
        of_context = np.array([[part == 1 for part in encoded.sequence_ids(row)] for row in range(len(examples))])
        starts, ends = np.zeros_like(of_context), np.zeros_like(of_context)
        for row, example in enumerate(examples):
            inside = of_context[row]
            for first, last in example.targets:
                within = inside & (offsets[row, :, 0] >= first) & (offsets[row, :, 1] <= last)
                tokens = np.flatnonzero(inside & (offsets[row, :, 1] > first) & (offsets[row, :, 0] < last))
                if example.loose:
                    starts[row] |= within
                    ends[row] |= within
                elif len(tokens) and offsets[row, tokens[-1], 1] >= last:  # else it is cut off
                    starts[row, tokens[0]] = ends[row, tokens[-1]] = True
            if not starts[row].any():
                starts[row, 0] = ends[row, 0] = True
        of_context[:, 0] = True
        return _Batch(dict(encoded), *map(torch.from_numpy, (of_context, starts, ends)))


def _weights(folder: Path, shapes: Mapping[str, torch.Size]) -> dict[str, torch.Tensor]:
    """Load the weights of a reader that `train` has written. Raises TrainingError for anything else."""
    try:
        weights = load_file(folder / "model.safetensors")
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{folder} holds no reader to begin with: {error}") from error
    if {name: weight.shape for name, weight in weights.items()} != shapes:
        raise TrainingError(f"{folder} holds no reader that this command has trained, or one of another base.")
    return weights


def measure_reading(model: SpanModel, examples: Sequence[ReadingExample]) -> dict[str, float]:
    """Measure how well a model reads given contexts.

    Returns `examples`; `exact` and `f1` of the best span, over the examples with an answer; and `auroc` of the relevance, for
    contexts with an answer against those without. Figures that these examples don't allow are left out.
    """
    judged = model.read([SpanQuery(example.question, example.context, example.begin) for example in examples], best=1)
    answerable = [bool(example.targets) for example in examples]
    exact, f1 = [], []
    for example, scores in zip(examples, judged, strict=True):
        if example.targets:
            said = example.context[slice(*scores.spans[0].span)] if scores.spans else ""
            right = [example.context[slice(*span)] for span in example.targets]
            exact.append(max(exact_match(said, gold) for gold in right))
            f1.append(max(token_f1(said, gold) for gold in right))
    figures: dict[str, float] = {"examples": len(examples)}
    if f1:
        figures |= {"exact": float(np.mean(exact)), "f1": float(np.mean(f1))}
    if len(set(answerable)) == 2:
        figures["auroc"] = float(roc_auc_score(answerable, [scores.relevance for scores in judged]))
    return {name: round(value, 4) for name, value in figures.items()}
