"""The training loop of the reader and the relevance model.

AdamW over one or more phases, each with a learning rate that rises to its peak and falls to 0; a moving average of the weights,
which is the model in the end; and a checkpoint from which an interrupted training goes on.
"""

import math
import pickle
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from safetensors.torch import save_file
from transformers import AutoModelForQuestionAnswering

from bot.core.errors import TrainingError
from bot.inference.span_model import BORROWED_FROM, RELEVANCE_HEAD
from bot.inference.weights import find_weights
from bot.training.files import write_json

Progress = Callable[[int, int, str], None]
"""Called after each step with (examples done, all examples, the losses in words); must return at once."""

Figures = dict[str, dict[str, float]]
"""Measurements of a model on held-out data: source -> name -> value."""

Batch = TypeVar("Batch")

_HEADS = ("qa_outputs", RELEVANCE_HEAD)
_SHOWN_DECAY = 0.98  # of the moving average of the losses that progress shows


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """The options that every training has. Together with the data they decide its outcome."""

    base: str = "sentence-transformers/all-MiniLM-L6-v2"
    seed: int = 20
    rate: float  # peak learning rate of the first phase
    head_rate: float  # the same for the heads, which start from nothing
    warm_up: float  # share of a phase
    weight_decay: float = 0.01
    average: float  # decay of the moving average per step


@dataclass(frozen=True, slots=True)
class Phase(Generic[Batch]):
    """A part of a training. `batches` yields at least `steps` batches, the same ones each time that it is made."""

    examples: int
    batch: int  # examples a step
    batches: Iterator[Batch]
    rate: float  # peak learning rate
    averaging: bool = True  # whether its steps count for the moving average

    @property
    def steps(self) -> int:
        return math.ceil(self.examples / self.batch)


class Loss(NamedTuple):
    """The loss to minimise, a scalar, and the parts of it that progress shows."""

    total: torch.Tensor
    parts: Mapping[str, torch.Tensor]


class Loop(Generic[Batch]):
    """The state of a training: weights, optimizer, moving average and the number of steps done."""

    def __init__(self, model: torch.nn.Module, loss: Callable[[Batch], Loss], plan: TrainingPlan, output: Path) -> None:
        """Goes on from the checkpoint in `output`, if it has one. Raises TrainingError if that can't be used."""
        self._model = model
        self._trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self._averaged: dict[str, torch.Tensor] = {}
        self._loss = loss
        self._plan = plan
        self._optimizer = self._fresh_optimizer()
        self._step = 0
        self._checkpoint = output / "checkpoint.pt"
        output.mkdir(parents=True, exist_ok=True)
        self._resume()

    def run(self, phases: Sequence[Phase[Batch]], progress: Progress, save_every_seconds: float) -> None:
        """Take the steps that are left, save, and put the averaged weights into the model."""
        total = sum(phase.examples for phase in phases)
        shown: dict[str, float] = {}
        saved = time.monotonic()
        first = 0  # step of the phase
        self._model.train()
        for phase in phases:
            if self._step == first:
                self._optimizer = self._fresh_optimizer()  # its memory of the phase before would only mislead
            for batch in islice(phase.batches, max(0, self._step - first), phase.steps):
                losses = self._learn(batch, phase, (self._step - first) / phase.steps)
                self._step += 1
                for name, value in losses.items():
                    shown[name] = _SHOWN_DECAY * shown.get(name, value) + (1 - _SHOWN_DECAY) * value
                words = " ".join(f"{name} {value:.3f}" for name, value in shown.items())
                progress(min(total, self._step * phase.batch), total, words)
                if time.monotonic() - saved > save_every_seconds:
                    self._save()
                    saved = time.monotonic()
            first += phase.steps
        self._save()
        self._model.eval()
        self._set_weights(self._averaged)

    def _learn(self, batch: Batch, phase: Phase[Batch], done: float) -> dict[str, float]:
        """Take one step and return the parts of its loss. `done` is the share of the phase before it."""
        rate = phase.rate * min(done / self._plan.warm_up, (1 - done) / (1 - self._plan.warm_up))
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["share"]
        loss = self._loss(batch)
        loss.total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._trained.values(), 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()
        if phase.averaging:
            self._average(done)
        return {name: part.item() for name, part in loss.parts.items()}

    def _average(self, done: float) -> None:
        if not self._averaged:
            self._averaged = {name: weight.detach().clone() for name, weight in self._trained.items()}
        decay = self._plan.average if done > 0.2 else 0.9  # the beginning of the phase is soon forgotten
        for name, weight in self._trained.items():
            self._averaged[name].lerp_(weight.detach(), 1 - decay)

    def _fresh_optimizer(self) -> torch.optim.AdamW:
        heads = [weight for name, weight in self._trained.items() if name.startswith(_HEADS)]
        body = [weight for name, weight in self._trained.items() if not name.startswith(_HEADS)]
        matrices = [weight for weight in body if weight.ndim > 1]
        vectors = [weight for weight in body if weight.ndim == 1]
        return torch.optim.AdamW(
            [
                {"params": heads, "weight_decay": 0.0, "share": self._plan.head_rate / self._plan.rate},
                {"params": matrices, "weight_decay": self._plan.weight_decay, "share": 1.0},
                {"params": vectors, "weight_decay": 0.0, "share": 1.0},
            ],
            lr=0.0,
            fused=True,
        )

    def _set_weights(self, weights: Mapping[str, torch.Tensor]) -> None:
        for name, weight in weights.items():
            self._trained[name].data.copy_(weight)

    def _save(self) -> None:
        state = {
            "plan": asdict(self._plan),
            "step": self._step,
            "weights": self._trained,
            "averaged": self._averaged,
            "optimizer": self._optimizer.state_dict(),
            "chance": torch.get_rng_state(),
        }
        unfinished = self._checkpoint.with_suffix(".pt.new")
        torch.save(state, unfinished)
        unfinished.replace(self._checkpoint)

    def _resume(self) -> None:
        if not self._checkpoint.exists():
            return
        try:
            state = torch.load(self._checkpoint, weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise TrainingError(f"{self._checkpoint} can't be read ({error}); remove it to begin anew.") from error
        if state["plan"] != asdict(self._plan):
            raise TrainingError(
                f"{self._checkpoint} is from a training with other options; repeat those, or remove the file to begin anew."
            )
        self._step = state["step"]
        self._set_weights(state["weights"])
        self._averaged = state["averaged"]
        self._optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["chance"])


def load_base(base: str, dropout: float) -> Any:
    """Return the encoder `base` with a new head for spans, ready to be trained. Raises WeightsError."""
    return AutoModelForQuestionAnswering.from_pretrained(
        find_weights(base).folder,
        attn_implementation="eager",  # on a CPU about 1.2 times as fast to train as the fused one
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=0.0,  # on a CPU it would halve the speed
    )


def span_loss(logits: torch.Tensor, allowed: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return the mean of -log of the probability that all right places have together. All arguments [batch, tokens]."""
    logits = logits.float().masked_fill(~allowed, -1e4)
    return (logits.logsumexp(1) - logits.masked_fill(~right, -1e4).logsumexp(1)).mean()


def write_model(model: Any, base: str, output: Path, **config: Any) -> None:
    """Write a model as `load_span_model` reads it: in bfloat16, without the word embeddings, which are those of `base`.

    `config` is added to the model's own.
    """
    weights = {
        name: weight.detach().to(torch.bfloat16).contiguous()
        for name, weight in model.named_parameters()
        if not name.endswith("word_embeddings.weight")
    }
    save_file(weights, output / "model.safetensors", metadata={"format": "pt"})
    own = model.config.to_dict()
    own.pop("_name_or_path", None)  # the base's folder on this machine
    write_json(output / "config.json", own | {BORROWED_FROM: base} | config)


def write_record(output: Path, plan: TrainingPlan, figures: Figures) -> None:
    """Write `training.json`: the options of a training, and the model's figures on held-out data."""
    write_json(output / "training.json", {"plan": asdict(plan), "held_out": figures})
