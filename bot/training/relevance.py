"""Training of the relevance model: how likely a passage answers a question, and which of its words do.

A cross-encoder over the encoder's backbone with two heads: one logit from [CLS] for the relevance, and two per token for where
the words that matter begin and end. It starts from the weights of a reader (`bot.training.reader`), which compares a question
with a text already. The loss has three parts: among the passages of one question the right ones must come first (listwise
softmax; Cao et al., "Learning to Rank: From Pairwise Approach to Listwise Approach", 2007), each passage by itself must be told
right or wrong (binary cross-entropy, which keeps the logits comparable between questions), and the words must be found.
"""

import json
import math
import pickle
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from sklearn.metrics import roc_auc_score
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from bot.core.errors import TrainingError
from bot.inference.span_model import BORROWED_FROM, RELEVANCE_HEAD
from bot.inference.weights import choose_precision, find_weights
from bot.training.examples import as_in_chat
from bot.training.reader import Progress
from bot.training.relevance_examples import Candidate, Group

_CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class RelevanceTraining:
    """What decides the outcome of a training, apart from the data."""

    start: str  # the folder of a reader, or of a relevance model
    base: str = "sentence-transformers/all-MiniLM-L6-v2"
    seed: int = 20
    epochs: float = 2.0
    groups: int = 4  # a batch
    passages: int = 5  # of each group
    rate: float = 6e-5
    head_rate: float = 5e-4
    warm_up: float = 0.05
    weight_decay: float = 0.01
    listwise: float = 1.0
    span: float = 0.4
    longest: int = 224  # tokens of question and passage
    frozen_layers: int = 2  # the lowest, which compare little yet; learning them too would take a fifth more time
    average: float = 0.996


class _Batch(NamedTuple):
    inputs: dict[str, torch.Tensor]  # [groups * passages, tokens]
    right: torch.Tensor  # bool [groups, passages]
    there: torch.Tensor  # bool [groups, passages]: groups may have fewer passages
    allowed: torch.Tensor  # bool [groups * passages, tokens]: where words of the passage stand
    starts: torch.Tensor
    ends: torch.Tensor


def train(
    groups: Sequence[Group],
    held_out: Sequence[Group],
    output: Path,
    plan: RelevanceTraining,
    progress: Progress,
    save_every_seconds: float = 120,
) -> dict[str, dict[str, float]]:
    """Train, or go on from the checkpoint in `output`, and write the model there.

    Returns the figures of `measure` for each held-out source. Raises TrainingError and WeightsError.
    """
    torch.manual_seed(plan.seed)
    trainer = _Trainer(plan, output)
    trainer.run(groups, progress, save_every_seconds)
    trainer.write()
    figures = trainer.measure(held_out)
    record = {"plan": asdict(plan), "held_out": figures}
    (output / "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return figures


class _Trainer:
    def __init__(self, plan: RelevanceTraining, output: Path) -> None:
        self.plan = plan
        self.output = output
        base = find_weights(plan.base).folder
        self.tokenizer = AutoTokenizer.from_pretrained(base)
        self.model: Any = _model(Path(plan.start), base)
        self.head = torch.nn.Linear(self.model.config.hidden_size, 1)
        self._begin_with(Path(plan.start))
        self.backbone = self.model.base_model
        self.span_head = self.model.qa_outputs
        for part in (self.backbone.embeddings, *self.backbone.encoder.layer[: plan.frozen_layers]):
            part.requires_grad_(False)
        self.trained = {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}
        self.trained |= {f"{RELEVANCE_HEAD}.{name}": weight for name, weight in self.head.named_parameters()}
        self.averaged: dict[str, torch.Tensor] = {}
        self.step = 0
        self.optimizer = self._optimizer()
        self.bfloat16 = choose_precision("auto").dtype == "bfloat16"

    def _begin_with(self, folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        head = {
            name.removeprefix(f"{RELEVANCE_HEAD}."): w.float() for name, w in weights.items() if RELEVANCE_HEAD in name
        }
        if head:
            self.head.load_state_dict(head)
        else:
            torch.nn.init.normal_(self.head.weight, std=0.02)
            torch.nn.init.constant_(self.head.bias, -1.5)  # most passages don't answer
        own = {name: weight.float() for name, weight in weights.items() if RELEVANCE_HEAD not in name}
        self.model.load_state_dict(own, strict=False)

    def run(self, groups: Sequence[Group], progress: Progress, save_every_seconds: float) -> None:
        plan = self.plan
        self.output.mkdir(parents=True, exist_ok=True)
        self._resume()
        total = round(plan.epochs * len(groups))
        steps = math.ceil(total / plan.groups)
        saved = time.monotonic()
        losses: dict[str, float] = {}
        self.model.train()
        for batch in self._batches(groups, steps):
            for name, value in self._learn(batch, self.step / steps).items():
                losses[name] = value if name not in losses else 0.98 * losses[name] + 0.02 * value
            self.step += 1
            progress(self.step * plan.groups, total, " ".join(f"{name} {value:.3f}" for name, value in losses.items()))
            if time.monotonic() - saved > save_every_seconds:
                self._save()
                saved = time.monotonic()
        self._save()

    def _batches(self, groups: Sequence[Group], steps: int) -> Iterator[_Batch]:
        """The batches that are still to be learnt: groups of similar length, in random order, over and over."""
        size, chance = self.plan.groups, random.Random(self.plan.seed)  # noqa: S311 - reproducible on purpose
        first, number = self.step, 0
        asked: dict[str, list[str]] = defaultdict(list)
        for group in groups:
            asked[group.source].append(group.question)
        while number < steps:
            order = list(groups)
            chance.shuffle(order)
            for start in range(0, len(order), 32 * size):
                pool = sorted(order[start : start + 32 * size], key=_length)
                batches = [pool[begin : begin + size] for begin in range(0, len(pool), size)]
                chance.shuffle(batches)
                for batch in batches[: steps - number]:
                    drawing = random.Random(chance.getrandbits(32))  # noqa: S311 - the same after an interruption
                    if number >= first:
                        drawn = [_drawn(one, self.plan.passages, asked[one.source], drawing) for one in batch]
                        yield self._batch(drawn)
                    number += 1

    def _batch(self, groups: Sequence[Group]) -> _Batch:
        most = max(len(group.candidates) for group in groups)
        right = torch.zeros(len(groups), most, dtype=torch.bool)
        there = torch.zeros(len(groups), most, dtype=torch.bool)
        pairs: list[tuple[str, Candidate]] = []
        for row, group in enumerate(groups):
            for column, candidate in enumerate(group.candidates):
                right[row, column], there[row, column] = candidate.right, True
                pairs.append((group.question, candidate))
        encoded = self.encoded([(question, candidate.text) for question, candidate in pairs])
        offsets = encoded.pop("offset_mapping").numpy()
        allowed = np.array([[part == 1 for part in encoded.sequence_ids(row)] for row in range(len(pairs))])
        starts, ends = np.zeros_like(allowed), np.zeros_like(allowed)
        for row, (_, candidate) in enumerate(pairs):
            allowed[row] &= offsets[row, :, 0] >= candidate.begin
            for first, last in candidate.spans:
                tokens = np.flatnonzero(allowed[row] & (offsets[row, :, 1] > first) & (offsets[row, :, 0] < last))
                if len(tokens) and offsets[row, tokens[-1], 1] >= last:
                    starts[row, tokens[0]] = ends[row, tokens[-1]] = True
        return _Batch(dict(encoded), right, there, *map(torch.from_numpy, (allowed, starts, ends)))

    def encoded(self, pairs: Sequence[tuple[str, str]]) -> Any:
        return self.tokenizer(
            [question for question, _ in pairs],
            [text for _, text in pairs],
            truncation="longest_first",
            max_length=self.plan.longest,
            padding=True,
            return_offsets_mapping=True,
            return_tensors="pt",
        )

    def forward(self, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(relevance [sequences], start and end logits [sequences, tokens])."""
        with self._autocast():
            hidden = self.backbone(**inputs).last_hidden_state
            spans = self.span_head(hidden)
            relevance = self.head(hidden[:, 0])
        return relevance[:, 0].float(), spans[..., 0].float(), spans[..., 1].float()

    def _learn(self, batch: _Batch, done: float) -> dict[str, float]:
        plan = self.plan
        rate = plan.rate * min(done / plan.warm_up, (1 - done) / (1 - plan.warm_up))
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        relevance, start, end = self.forward(batch.inputs)
        scores = torch.full(batch.right.shape, -1e4).masked_scatter(batch.there, relevance)
        answerable = batch.right.any(1)
        among = torch.zeros(())
        if answerable.any():
            right = scores[answerable].masked_fill(~batch.right[answerable], -1e4)
            among = (scores[answerable].logsumexp(1) - right.logsumexp(1)).mean()
        alone = torch.nn.functional.binary_cross_entropy_with_logits(relevance, batch.right[batch.there].float())
        marked = batch.starts.any(1)
        words = torch.zeros(())
        if marked.any():
            words = (
                sum(
                    (
                        _missed(logits[marked], batch.allowed[marked], places[marked])
                        for logits, places in ((start, batch.starts), (end, batch.ends))
                    ),
                    torch.zeros(()),
                )
                / 2
            )
        loss = plan.listwise * among + alone + plan.span * words
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.trained.values(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._average(done)
        return {"among": among.item(), "alone": alone.item(), "words": words.item()}

    def _average(self, done: float) -> None:
        if not self.averaged:
            self.averaged = {name: weight.detach().clone() for name, weight in self.trained.items()}
        decay = self.plan.average if done > 0.2 else 0.9
        for name, weight in self.trained.items():
            self.averaged[name].lerp_(weight.detach(), 1 - decay)

    def _optimizer(self) -> torch.optim.AdamW:
        heads = [weight for name, weight in self.trained.items() if name.startswith(("qa_outputs", RELEVANCE_HEAD))]
        body = [
            (name, weight)
            for name, weight in self.trained.items()
            if not name.startswith(("qa_outputs", RELEVANCE_HEAD))
        ]
        return torch.optim.AdamW(
            [
                {"params": heads, "weight_decay": 0.0, "share": self.plan.head_rate / self.plan.rate},
                {"params": [w for _, w in body if w.ndim > 1], "weight_decay": self.plan.weight_decay, "share": 1.0},
                {"params": [w for _, w in body if w.ndim == 1], "weight_decay": 0.0, "share": 1.0},
            ],
            lr=0.0,
            fused=True,
        )

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast("cpu", torch.bfloat16) if self.bfloat16 else nullcontext()

    # --- measuring

    def measure(self, groups: Sequence[Group]) -> dict[str, dict[str, float]]:
        """For each source `hit_1` of the search and of the model alone, and `auroc`: the best passage's logit of questions
        with an answer against those without."""
        self.model.train(False)
        weights = {name: weight.detach().clone() for name, weight in self.trained.items()}
        if self.averaged:
            for name, weight in self.trained.items():
                weight.data.copy_(self.averaged[name])
        by_source: dict[str, list[tuple[Group, np.ndarray[Any, Any]]]] = defaultdict(list)
        with torch.inference_mode():
            for group in groups:
                encoded = self.encoded([(group.question, candidate.text) for candidate in group.candidates])
                encoded.pop("offset_mapping")
                by_source[group.source].append((group, self.forward(dict(encoded))[0].numpy()))
        for name, weight in self.trained.items():
            weight.data.copy_(weights[name])
        return {source: _figures(scored) for source, scored in by_source.items()}

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
        for name, weight in self.trained.items():
            weight.data.copy_(state["weights"][name])
        self.averaged = state["averaged"]
        self.optimizer.load_state_dict(state["optimizer"])
        if "chance" in state:
            torch.set_rng_state(state["chance"])

    def write(self) -> None:
        """The averaged model, as the bot loads it: without the word embeddings, which are the encoder's."""
        borrowed = "word_embeddings.weight"
        kept = {name: weight for name, weight in self.model.named_parameters() if not name.endswith(borrowed)}
        kept |= self.averaged or self.trained
        weights = {name: weight.detach().to(torch.bfloat16).contiguous() for name, weight in kept.items()}
        save_file(weights, self.output / "model.safetensors", metadata={"format": "pt"})
        config = self.model.config.to_dict() | {BORROWED_FROM: self.plan.base, RELEVANCE_HEAD: True}
        config.pop("_name_or_path", None)  # where the base stood on this machine
        (self.output / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _model(start: Path, base: Path) -> Any:
    if not (start / "model.safetensors").is_file():
        raise TrainingError(f"{start} holds no model to begin with.")
    return AutoModelForQuestionAnswering.from_pretrained(
        base,
        attn_implementation="eager",  # on a CPU about 1.2 times as fast to train as the fused one
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.0,  # on a CPU it would halve the speed
    )


def _length(group: Group) -> int:
    return max(len(candidate.text) for candidate in group.candidates)


# The share of questions that are put as follow-ups, and that of answers which are taken out of the documents.
_FOLLOW_UPS = 0.08
_TAKEN_OUT = 0.04


def _drawn(group: Group, size: int, asked: Sequence[str], chance: random.Random) -> Group:
    """The group as it is learnt from this time: the question as people type it, right passages, and some of the wrong ones,
    those that the search ranks high more often. A follow-up has an earlier question of the same source behind it, as in
    `bot.engine.conversation`."""
    right = [candidate for candidate in group.candidates if candidate.right]
    wrong = [candidate for candidate in group.candidates if not candidate.right]
    right = chance.sample(right, min(2, len(right)))
    if right and chance.random() < _TAKEN_OUT:
        right = []
    count = min(size - len(right), len(wrong))
    weighted = sorted(range(len(wrong)), key=lambda number: number * 0.5 + chance.expovariate(0.25))
    chosen = [wrong[number] for number in weighted[:count]]
    question = as_in_chat(group.question, chance)
    if chance.random() < _FOLLOW_UPS:
        question = f"{question} {chance.choice(asked)}"
    return Group(question, group.source, group.subtype, (*right, *chosen))


def _missed(logits: torch.Tensor, allowed: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Mean of -log of the probability that all right places have together. All [batch, tokens]."""
    logits = logits.masked_fill(~allowed, -1e4)
    return (logits.logsumexp(1) - logits.masked_fill(~right, -1e4).logsumexp(1)).mean()


def _figures(scored: Sequence[tuple[Group, "np.ndarray[Any, Any]"]]) -> dict[str, float]:
    answerable = [(group, scores) for group, scores in scored if any(one.right for one in group.candidates)]
    figures = {"questions": float(len(scored))}
    if answerable:
        figures["search_hit_1"] = float(np.mean([group.candidates[0].right for group, _ in answerable]))
        figures["hit_1"] = float(
            np.mean([group.candidates[int(scores.argmax())].right for group, scores in answerable])
        )
        figures["hit_3"] = float(
            np.mean([any(group.candidates[n].right for n in np.argsort(-scores)[:3]) for group, scores in answerable])
        )
    has_answer = [any(one.right for one in group.candidates) for group, _ in scored]
    if len(set(has_answer)) == 2:
        figures["auroc"] = float(roc_auc_score(has_answer, [scores.max() for _, scores in scored]))
    return {name: round(value, 4) for name, value in figures.items()}
