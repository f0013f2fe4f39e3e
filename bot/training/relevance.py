"""Training of the relevance model, which rates how likely a passage answers a question and marks the words that do.

A cross-encoder over the encoder's backbone with two heads: one logit from [CLS] for the relevance, and two per token for the
start and end of the key words. It starts from the weights of a reader (`bot.training.reader`). The loss has three parts:
`among` ranks the right passages of a question first (listwise softmax; Cao et al., "Learning to Rank: From Pairwise Approach to
Listwise Approach", 2007), `alone` classifies each passage as right or wrong (binary cross-entropy, which keeps the logits
comparable between questions), and `words` finds the key words.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from transformers import AutoTokenizer

from bot.core.errors import TrainingError
from bot.inference.span_model import RELEVANCE_HEAD
from bot.inference.weights import choose_precision, find_weights
from bot.training.examples import as_in_chat
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
from bot.training.relevance_examples import Group, TrainingPassage


@dataclass(frozen=True, slots=True, kw_only=True)
class RelevanceTraining(TrainingPlan):
    """The options of a relevance model's training."""

    start: str  # the folder of a reader, or of a relevance model
    epochs: float = 2.0
    groups: int = 4  # a batch
    passages: int = 5  # of each group
    rate: float = 6e-5
    head_rate: float = 5e-4
    warm_up: float = 0.05
    listwise: float = 1.0  # weight of the loss among the passages of a question
    span: float = 0.4  # weight of the loss of the spans
    dropout: float = 0.1
    longest: int = 224  # tokens of question and passage
    frozen_layers: int = 2  # the lowest, which compare little yet; learning them too would take a fifth more time
    average: float = 0.996


class _Batch(NamedTuple):
    """The model's inputs, [sequences, tokens], with a sequence for each passage of each group, and masks."""

    inputs: dict[str, torch.Tensor]
    right: torch.Tensor  # bool [groups, passages]
    present: torch.Tensor  # bool [groups, passages]: groups may have fewer passages
    allowed: torch.Tensor  # bool [sequences, tokens]: the words of the passage itself
    starts: torch.Tensor  # bool [sequences, tokens]
    ends: torch.Tensor  # bool [sequences, tokens]


def train(
    groups: Sequence[Group],
    held_out: Sequence[Group],
    output: Path,
    plan: RelevanceTraining,
    progress: Progress,
    save_every_seconds: float = 120,
) -> Figures:
    """Train a relevance model, or go on from the checkpoint in `output`, and write the model into `output`.

    Returns for each held-out source `search_hit_1`, `hit_1` and `hit_3` (the share of questions whose right passage the search
    has first, the model has first, and the model has among its first three) and `auroc` (of the best passage's logit, for
    questions with an answer against those without). Raises TrainingError and WeightsError.
    """
    torch.manual_seed(plan.seed)
    model = RelevanceModel(plan)
    examples = round(plan.epochs * len(groups))
    loop = Loop(model.model, model.loss, plan, output)
    loop.run([Phase(examples, plan.groups, _batches(groups, plan), plan.rate)], progress, save_every_seconds)
    write_model(model.model, plan.base, output, **{RELEVANCE_HEAD: True})
    figures = _measured(model, held_out)
    write_record(output, plan, figures)
    return figures


class RelevanceModel:
    """The model in training, with its tokenizer and its loss."""

    def __init__(self, plan: RelevanceTraining) -> None:
        start = Path(plan.start) / "model.safetensors"
        if not start.is_file():
            raise TrainingError(f"{plan.start} holds no model to begin with.")
        self._plan = plan
        self._bfloat16 = choose_precision("auto").dtype == "bfloat16"
        self.tokenizer = AutoTokenizer.from_pretrained(find_weights(plan.base).folder)
        self.model = load_base(plan.base, plan.dropout)
        self._head = torch.nn.Linear(self.model.config.hidden_size, 1)
        torch.nn.init.normal_(self._head.weight, std=0.02)
        torch.nn.init.constant_(self._head.bias, -1.5)  # most passages don't answer
        self.model.add_module(RELEVANCE_HEAD, self._head)
        self.model.load_state_dict({name: weight.float() for name, weight in load_file(start).items()}, strict=False)
        backbone = self.model.base_model
        for part in (backbone.embeddings, *backbone.encoder.layer[: plan.frozen_layers]):
            part.requires_grad_(False)

    def loss(self, groups: list[Group]) -> Loss:
        batch = self.batch(groups)
        relevance, start, end = self._logits(batch.inputs)
        among = _listwise_loss(relevance, batch)
        alone = torch.nn.functional.binary_cross_entropy_with_logits(relevance, batch.right[batch.present].float())
        words = torch.zeros(())
        marked = batch.starts.any(1)
        if marked.any():
            starts = span_loss(start[marked], batch.allowed[marked], batch.starts[marked])
            ends = span_loss(end[marked], batch.allowed[marked], batch.ends[marked])
            words = (starts + ends) / 2
        total = self._plan.listwise * among + alone + self._plan.span * words
        return Loss(total, {"among": among, "alone": alone, "words": words})

    def relevance(self, group: Group) -> npt.NDArray[np.float32]:
        """The logit of each passage of a group, [passages]."""
        encoded = self._encoded([(group.question, candidate.text) for candidate in group.candidates])
        encoded.pop("offset_mapping")
        with torch.inference_mode():
            logits: npt.NDArray[np.float32] = self._logits(dict(encoded))[0].numpy()
        return logits

    def _logits(self, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(relevance [sequences], start and end logits [sequences, tokens])."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
            hidden = self.model.base_model(**inputs).last_hidden_state
            spans = self.model.qa_outputs(hidden)
            relevance = self._head(hidden[:, 0])
        return relevance[:, 0].float(), spans[..., 0].float(), spans[..., 1].float()

    def batch(self, groups: Sequence[Group]) -> _Batch:
        most = max(len(group.candidates) for group in groups)
        right = torch.zeros(len(groups), most, dtype=torch.bool)
        present = torch.zeros(len(groups), most, dtype=torch.bool)
        pairs: list[tuple[str, TrainingPassage]] = []
        for row, group in enumerate(groups):
            for column, candidate in enumerate(group.candidates):
                right[row, column], present[row, column] = candidate.right, True
                pairs.append((group.question, candidate))
        encoded = self._encoded([(question, candidate.text) for question, candidate in pairs])
        offsets = encoded.pop("offset_mapping").numpy()
        allowed = np.array([[part == 1 for part in encoded.sequence_ids(row)] for row in range(len(pairs))])
        starts, ends = np.zeros_like(allowed), np.zeros_like(allowed)
        for row, (_, candidate) in enumerate(pairs):
            allowed[row] &= offsets[row, :, 0] >= candidate.begin
            for first, last in candidate.spans:
                tokens = np.flatnonzero(allowed[row] & (offsets[row, :, 1] > first) & (offsets[row, :, 0] < last))
                if len(tokens) and offsets[row, tokens[-1], 1] >= last:
                    starts[row, tokens[0]] = ends[row, tokens[-1]] = True
        return _Batch(dict(encoded), right, present, *map(torch.from_numpy, (allowed, starts, ends)))

    def _encoded(self, pairs: Sequence[tuple[str, str]]) -> Any:
        return self.tokenizer(
            [question for question, _ in pairs],
            [text for _, text in pairs],
            truncation="longest_first",
            max_length=self._plan.longest,
            padding=True,
            return_offsets_mapping=True,
            return_tensors="pt",
        )


def _listwise_loss(relevance: torch.Tensor, batch: _Batch) -> torch.Tensor:
    """Mean of -log of the share that the right passages of a group have in the softmax over all of its passages."""
    answerable = batch.right.any(1)
    if not answerable.any():
        return torch.zeros(())
    scores = torch.full(batch.right.shape, -1e4).masked_scatter(batch.present, relevance)[answerable]
    right = scores.masked_fill(~batch.right[answerable], -1e4)
    return (scores.logsumexp(1) - right.logsumexp(1)).mean()


def _batches(groups: Sequence[Group], plan: RelevanceTraining) -> Iterator[list[Group]]:
    """Batches of groups of similar length, in random order, over and over without end."""
    size, chance = plan.groups, random.Random(plan.seed)  # noqa: S311 - reproducible on purpose
    asked: dict[str, list[str]] = defaultdict(list)
    for group in groups:
        asked[group.source].append(group.question)
    while True:
        order = list(groups)
        chance.shuffle(order)
        for start in range(0, len(order), 32 * size):
            pool = sorted(order[start : start + 32 * size], key=_length)
            batches = [pool[begin : begin + size] for begin in range(0, len(pool), size)]
            chance.shuffle(batches)
            for batch in batches:
                drawing = random.Random(chance.getrandbits(32))  # noqa: S311
                yield [draw(group, plan.passages, asked[group.source], drawing) for group in batch]


def _length(group: Group) -> int:
    return max(len(candidate.text) for candidate in group.candidates)


# Share of questions put as follow-ups, and of groups whose right passages are taken out.
_FOLLOW_UPS = 0.08
_TAKEN_OUT = 0.04


def draw(group: Group, size: int, asked: Sequence[str], chance: random.Random) -> Group:
    """Draw a group for one step: the question as people type it, up to two right passages, and some wrong ones.

    Wrong passages that the search ranks high are drawn more often. A follow-up is joined with another question of its source
    (`asked`), as in `bot.engine.conversation`.
    """
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


def _measured(model: RelevanceModel, groups: Sequence[Group]) -> Figures:
    by_source: dict[str, list[tuple[Group, npt.NDArray[np.float32]]]] = defaultdict(list)
    for group in groups:
        by_source[group.source].append((group, model.relevance(group)))
    return {source: figures_of(scored) for source, scored in by_source.items()}


def figures_of(scored: Sequence[tuple[Group, npt.NDArray[np.float32]]]) -> dict[str, float]:
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
