"""Training of the reader: the encoder's own backbone with a head that marks where an answer begins and ends.

Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", 2019, section 4.3 (SQuAD v2.0): the probability of
each token to begin and to end the answer, where the first token, [CLS], stands for "not in this context". Training has two
phases, over sentences among others and then over real paragraphs, and keeps a moving average of the weights. It can begin
with readers that were trained before, at the mean of their weights, which may read better than any of them (Wortsman et al.,
"Model soups", 2022); with no examples at all that mean is what comes out.
"""

import json
import math
import pickle
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from sklearn.metrics import roc_auc_score
from transformers import AutoModelForQuestionAnswering, AutoTokenizer, PreTrainedModel

from bot.core.errors import TrainingError
from bot.core.settings import EncoderSettings, ModelsSettings
from bot.evaluation.metrics import exact_match, token_f1
from bot.inference.encoder import load_encoder
from bot.inference.span_model import BORROWED_FROM, SpanModel, Task
from bot.inference.weights import Weights, choose_precision, find_weights
from bot.training.examples import Example, Sources

Progress = Callable[[int, int, str], None]
"""Told (examples done, all examples, a few words on how it goes); must return at once."""

_CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class ReaderTraining:
    """What decides the outcome of a training, apart from the data."""

    base: str = "sentence-transformers/all-MiniLM-L6-v2"
    start: tuple[str, ...] = ()  # folders of readers to begin with; none: the base
    seed: int = 20
    sentence_examples: int = 64_000
    paragraph_examples: int = 28_000
    batch: int = 32
    sentence_rate: float = 1.5e-4
    paragraph_rate: float = 8e-5
    head_rate: float = 1e-3
    warm_up: float = 0.06  # share of a phase
    weight_decay: float = 0.01
    dropout: float = 0.1
    longest: int = 320  # tokens of question and context
    average: float = 0.997  # decay of the moving average, per step of the second phase


class _Batch(NamedTuple):
    """Three masks, bool [batch, tokens], beside the model's inputs."""

    inputs: dict[str, torch.Tensor]
    allowed: torch.Tensor  # the context, and [CLS], which stands for no answer
    starts: torch.Tensor  # where a right answer may begin
    ends: torch.Tensor


Figures = dict[str, dict[str, float]]
"""For each source what `measure_reading` tells."""


def train(
    data: Path, output: Path, plan: ReaderTraining, progress: Progress, save_every_seconds: float = 120
) -> Figures:
    """Train, or go on from the checkpoint in `output`, and write the model there.

    Returns how well it reads what was held out. Raises TrainingError and WeightsError.
    """
    if not (plan.start or plan.sentence_examples or plan.paragraph_examples):
        raise TrainingError("There is nothing to train on: with no examples it takes readers to begin with (--start).")
    torch.manual_seed(plan.seed)
    trainer = _Trainer(plan, output)
    sources = Sources(data, trainer.neighbours)
    trainer.run(sources, progress, save_every_seconds)
    trainer.write()
    model = SpanModel(Weights(output, "just trained"), choose_precision("auto"), "the new reader")
    figures = {name: measure_reading(model, examples) for name, examples in sources.held_out.items()}
    record = {"plan": asdict(plan), "held_out": figures}
    (output / "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return figures


class _Trainer:
    def __init__(self, plan: ReaderTraining, output: Path) -> None:
        self.plan = plan
        self.output = output
        base = find_weights(plan.base).folder
        self.tokenizer = AutoTokenizer.from_pretrained(base)
        self.model: PreTrainedModel = AutoModelForQuestionAnswering.from_pretrained(
            base,
            attn_implementation="eager",  # on a CPU about 1.2 times as fast to train as the fused one
            hidden_dropout_prob=plan.dropout,
            attention_probs_dropout_prob=0.0,  # on a CPU it would halve the speed
        )
        self.model.base_model.embeddings.word_embeddings.weight.requires_grad_(False)
        self.trained = {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}
        if plan.start:
            readers = [self._trained_before(Path(folder)) for folder in plan.start]
            mean = {name: torch.stack([reader[name].float() for reader in readers]).mean(0) for name in self.trained}
            self.model.load_state_dict(mean, strict=False)
        self.averaged: dict[str, torch.Tensor] = {}
        self.step = 0
        self.optimizer = self._optimizer()
        self.bfloat16 = choose_precision("auto").dtype == "bfloat16"

    def run(self, sources: Sources, progress: Progress, save_every_seconds: float) -> None:
        plan = self.plan
        self.output.mkdir(parents=True, exist_ok=True)
        self._resume()
        phases = [
            _Phase(sources.sentence_examples(plan.sentence_examples, plan.seed), plan.sentence_rate, averaging=False),
            _Phase(
                sources.paragraph_examples(plan.paragraph_examples, plan.seed + 1), plan.paragraph_rate, averaging=True
            ),
        ]
        total = sum(len(phase.examples) for phase in phases)
        first = 0
        saved = time.monotonic()
        loss: float | None = None  # a moving average, to show
        self.model.train()
        for number, phase in enumerate(phases):
            steps = math.ceil(len(phase.examples) / plan.batch)
            if self.step == first:
                self.optimizer = self._optimizer()  # its memory of the phase before would only mislead
            for position, batch in enumerate(self._batches(phase.examples, plan.seed + number)):
                if first + position < self.step:
                    continue
                value = self._learn(batch, phase, position / steps)
                loss = value if loss is None else 0.98 * loss + 0.02 * value
                self.step += 1
                progress(min(total, self.step * plan.batch), total, f"loss {loss:.2f}")
                if time.monotonic() - saved > save_every_seconds:
                    self._save()
                    saved = time.monotonic()
            first += steps
        self._save()

    def neighbours(self, texts: Sequence[str], count: int = 12) -> list[list[int]]:
        """For each text the numbers of those nearest in meaning, by the encoder's cosine."""
        encoder = load_encoder(EncoderSettings(model=self.plan.base), ModelsSettings())
        vectors = encoder.encode(texts)
        return [
            [int(other) for other in np.argsort(-row)[: count + 1] if other != number][:count]
            for number, row in enumerate(vectors @ vectors.T)
        ]

    def _trained_before(self, folder: Path) -> dict[str, torch.Tensor]:
        try:
            weights = load_file(folder / "model.safetensors")
        except (OSError, SafetensorError) as error:
            raise TrainingError(f"{folder} holds no reader to begin with: {error}") from error
        shapes = {name: weight.shape for name, weight in self.trained.items()}
        if {name: weight.shape for name, weight in weights.items()} != shapes:
            raise TrainingError(f"{folder} holds no reader that this command has trained, or one of another base.")
        return weights

    def _optimizer(self) -> torch.optim.AdamW:
        head = [weight for name, weight in self.trained.items() if name.startswith("qa_outputs")]
        matrices = [weight for name, weight in self.trained.items() if weight.ndim > 1 and not name.startswith("qa_")]
        vectors = [weight for name, weight in self.trained.items() if weight.ndim == 1 and not name.startswith("qa_")]
        return torch.optim.AdamW(
            [
                {"params": head, "weight_decay": 0.0, "share": self.plan.head_rate / self.plan.sentence_rate},
                {"params": matrices, "weight_decay": self.plan.weight_decay, "share": 1.0},
                {"params": vectors, "weight_decay": 0.0, "share": 1.0},
            ],
            lr=0.0,
            fused=True,
        )

    def _learn(self, batch: "_Batch", phase: "_Phase", done: float) -> float:
        """One step. `done` is the share of the phase that lies behind: the rate rises over the warm-up, then falls to 0."""
        rate = phase.rate * min(done / self.plan.warm_up, (1 - done) / (1 - self.plan.warm_up))
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        with self._autocast():
            output = self.model(**batch.inputs)
        missed_start = _missed(output.start_logits, batch.allowed, batch.starts)
        missed_end = _missed(output.end_logits, batch.allowed, batch.ends)
        loss: torch.Tensor = (missed_start + missed_end) / 2
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.trained.values(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if phase.averaging:
            self._average(done)
        return loss.item()

    def _average(self, done: float) -> None:
        if not self.averaged:
            self.averaged = {name: weight.detach().clone() for name, weight in self.trained.items()}
        decay = self.plan.average if done > 0.2 else 0.9  # the beginning of the phase is soon forgotten
        for name, weight in self.trained.items():
            self.averaged[name].lerp_(weight.detach(), 1 - decay)

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast("cpu", torch.bfloat16) if self.bfloat16 else nullcontext()

    def _batches(self, examples: Sequence[Example], seed: int) -> Iterator["_Batch"]:
        """Batches of similar length, so that little padding is computed, in random order."""
        size, pool = self.plan.batch, 32 * self.plan.batch
        chance = random.Random(seed)  # noqa: S311 - reproducible on purpose
        for start in range(0, len(examples), pool):
            pooled = sorted(examples[start : start + pool], key=lambda example: len(example.context))
            batches = [pooled[first : first + size] for first in range(0, len(pooled), size)]
            chance.shuffle(batches)
            yield from map(self._batch, batches)

    def _batch(self, examples: Sequence[Example]) -> "_Batch":
        encoded = self.tokenizer(
            [example.question for example in examples],
            [example.context for example in examples],
            truncation="only_second",
            max_length=self.plan.longest,
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

    # --- what is kept

    def _save(self) -> None:
        state = {
            "plan": asdict(self.plan),
            "step": self.step,
            "weights": self.trained,
            "averaged": self.averaged,
            "optimizer": self.optimizer.state_dict(),
            "chance": torch.get_rng_state(),
        }
        beside = self.output / f"{_CHECKPOINT}.new"
        torch.save(state, beside)
        beside.replace(self.output / _CHECKPOINT)

    def _resume(self) -> None:
        file = self.output / _CHECKPOINT
        if not file.exists():
            return
        try:
            state = torch.load(file, weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise TrainingError(f"{file} can't be read ({error}); remove it to begin anew.") from error
        if state["plan"] != asdict(self.plan):
            raise TrainingError(
                f"{file} is from a training with other options; repeat those, or remove the file to begin anew."
            )
        self.step = state["step"]
        self.model.load_state_dict(state["weights"], strict=False)
        self.averaged = state["averaged"]
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["chance"])

    def write(self) -> None:
        """The averaged model, as `load_span_model` reads it. Without a second phase there is no average."""
        kept = self.averaged or self.trained
        weights = {name: weight.detach().to(torch.bfloat16).contiguous() for name, weight in kept.items()}
        save_file(weights, self.output / "model.safetensors", metadata={"format": "pt"})
        config = self.model.config.to_dict() | {BORROWED_FROM: self.plan.base}
        del config["_name_or_path"]  # where the base stood on this machine
        (self.output / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class _Phase:
    examples: list[Example]
    rate: float
    averaging: bool


def _missed(logits: torch.Tensor, allowed: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Mean of -log of the probability that all right places have together. All [batch, tokens]."""
    logits = logits.float().masked_fill(~allowed, -1e4)
    return (logits.logsumexp(1) - logits.masked_fill(~right, -1e4).logsumexp(1)).mean()


def measure_reading(model: SpanModel, examples: Sequence[Example]) -> dict[str, float]:
    """How well a model reads contexts that are given to it.

    `exact` and `f1` of the best span where there is an answer, which it must name; `auroc` of their relevance for contexts that
    hold the answer against those that don't. What can't be measured on these examples is left out.
    """
    judged = model.read([Task(example.question, example.context, example.begin) for example in examples], best=1)
    answerable = [bool(example.targets) for example in examples]
    exact, f1 = [], []
    for example, judgement in zip(examples, judged, strict=True):
        if example.targets:
            said = example.context[slice(*judgement.spans[0].span)] if judgement.spans else ""
            right = [example.context[slice(*span)] for span in example.targets]
            exact.append(max(exact_match(said, gold) for gold in right))
            f1.append(max(token_f1(said, gold) for gold in right))
    figures: dict[str, float] = {"examples": len(examples)}
    if f1:
        figures |= {"exact": float(np.mean(exact)), "f1": float(np.mean(f1))}
    if len(set(answerable)) == 2:
        figures["auroc"] = float(roc_auc_score(answerable, [judgement.relevance for judgement in judged]))
    return {name: round(value, 4) for name, value in figures.items()}
