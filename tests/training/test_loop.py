"""The training loop on a model of four weights: interruptions, checkpoints and the moving average."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bot.core.errors import TrainingError
from bot.training.loop import Loop, Loss, Phase, Progress, TrainingPlan

PLAN = TrainingPlan(rate=0.1, head_rate=0.2, warm_up=0.25, average=0.5)
STEPS = 3, 5  # of the two phases


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Linear(2, 1)
        self.qa_outputs = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.ones_(self.body.weight)
        torch.nn.init.zeros_(self.body.bias)
        torch.nn.init.ones_(self.qa_outputs.weight)

    def loss(self, batch: torch.Tensor) -> Loss:
        output = self.qa_outputs(torch.nn.functional.dropout(self.body(batch), 0.2))
        square = output.square().mean()
        return Loss(square, {"square": square})


def numbered(number: int) -> torch.Tensor:
    return torch.tensor([[number + 1.0, 1.0]] * 10)


def phases() -> list[Phase[torch.Tensor]]:
    """Ten examples a step, the last of each phase one short of that; the second phase alone counts for the average."""
    return [
        Phase(10 * count - 1, 10, map(numbered, range(count + 5)), rate=0.1, averaging=number == 1)
        for number, count in enumerate(STEPS)
    ]


def trained(output: Path, progress: Progress = lambda *_: None, plan: TrainingPlan = PLAN) -> Model:
    torch.manual_seed(3)
    model = Model()
    Loop(model, model.loss, plan, output).run(phases(), progress, save_every_seconds=0)
    return model


def same(one: Model, other: Model) -> bool:
    return all(torch.equal(one.state_dict()[name], weight) for name, weight in other.state_dict().items())


class Killed(BaseException):
    """No error that anything would catch."""


@pytest.mark.parametrize("step", range(1, sum(STEPS) + 1))
def test_an_interrupted_training_ends_with_the_weights_of_one_that_was_not(tmp_path: Path, step: int) -> None:
    """Bit by bit, wherever it is stopped; the step in progress is lost and taken again."""
    whole = trained(tmp_path / "whole")
    steps = iter(range(1, step + 1))

    def killing(_done: int, _total: int, _words: str) -> None:
        if next(steps) == step:
            raise Killed

    with pytest.raises(Killed):
        trained(tmp_path / "killed", killing)
    shown: list[int] = []
    again = trained(tmp_path / "killed", lambda done, _total, _words: shown.append(done))
    assert shown == [min(10 * number, 78) for number in range(step, 9)]
    assert same(whole, again)
    assert not same(whole, Model())


def test_a_finished_training_takes_no_further_step(tmp_path: Path) -> None:
    first = trained(tmp_path)
    shown: list[int] = []
    assert same(first, trained(tmp_path, lambda done, _total, _words: shown.append(done)))
    assert shown == []


def test_progress_shows_the_examples_and_the_loss(tmp_path: Path) -> None:
    shown: list[tuple[int, int, str]] = []
    trained(tmp_path, lambda *progress: shown.append(progress))
    assert [(done, total) for done, total, _ in shown] == [(min(10 * step, 78), 78) for step in range(1, 9)]
    assert all(float(words.removeprefix("square ")) > 0 for _, _, words in shown)


def test_other_options_do_not_go_on_with_a_training(tmp_path: Path) -> None:
    trained(tmp_path)
    with pytest.raises(
        TrainingError, match=r"checkpoint\.pt is from a training with other options; .* remove the file"
    ):
        trained(tmp_path, plan=replace(PLAN, seed=21))


def test_a_damaged_checkpoint_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(TrainingError, match=r"checkpoint\.pt can't be read .* remove it to begin anew"):
        trained(tmp_path)


def test_the_model_ends_with_the_average_of_its_weights(tmp_path: Path) -> None:
    """The average lies between the weights of the second phase, of which none is the last."""
    seen: list[torch.Tensor] = []
    torch.manual_seed(3)
    model = Model()

    def loss(batch: torch.Tensor) -> Loss:
        seen.append(model.body.weight.detach().clone())
        return model.loss(batch)

    Loop(model, loss, PLAN, tmp_path).run(phases(), lambda *_: None, save_every_seconds=60)
    second = torch.stack(seen[STEPS[0] :])
    assert (second.amin(0) < model.body.weight).all()
    assert (model.body.weight < second.amax(0)).all()


def test_weights_that_are_frozen_stay(tmp_path: Path) -> None:
    model = Model()
    model.body.weight.requires_grad_(False)
    Loop(model, model.loss, PLAN, tmp_path).run(phases(), lambda *_: None, save_every_seconds=60)
    assert torch.equal(model.body.weight, Model().body.weight)
    assert not torch.equal(model.qa_outputs.weight, Model().qa_outputs.weight)
