"""Fine-tuning of tiny models of every kind, with the real Trainer and real LoRA: learning, keeping and continuing."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from bot.cli import app
from bot.core.errors import TrainingError, WeightsError
from bot.core.settings import GeneratorSettings, ModelsSettings
from bot.engine.qa import REFUSAL
from bot.inference.generator import find_model, load_model
from bot.inference.prompts import Excerpt, PromptContent
from bot.inference.templates import load_templates
from bot.inference.tuned import with_tuned
from bot.inference.weights import fingerprint
from bot.training import generator, pairs
from bot.training.gate import compare
from bot.training.generator import Plan, TokenisedExample, _Base, collated, last_checkpoint, tune, with_lora
from bot.training.pairs import SPLITS, Origin, TuningExample
from tests.tiny_models import _example
from tests.writing import change_weights

SETTINGS = GeneratorSettings(provider="local", dtype="float32", persona="You are kind.", max_new_tokens=80)
KINDS = ["gpt2", "dialogpt", "llama", "gemma", "qwen", "deepseek-r1", "t5", "bart"]


def base_of(model: str, **settings) -> _Base:
    chosen = SETTINGS.model_copy(update={"model": model} | settings)
    return _Base(Plan(model), chosen, find_model(chosen, ModelsSettings()))


def examples(count: int, seed: int = 0) -> list[TuningExample]:
    """Questions about a passage of two sentences; the answer is both."""
    import random

    chance = random.Random(seed)
    made = []
    for number in range(count):
        passage, question, _ = _example(chance)
        made.append(TuningExample(f"{question} ({number})", passage, Origin.HEADING, "a.md", (Excerpt("A", passage),)))
    return made


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("finetuning") / "data"
    made = iter(examples(68))
    pairs.write(
        folder, {split: [next(made) for _ in range(count)] for split, count in zip(SPLITS, (48, 8, 12), strict=True)}
    )
    return folder


# --- what is learnt ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_learnt_is_what_is_served_and_no_more(tiny, kind):
    """The prompt is that of serving, token for token; behind it the answer, and the token that ends it."""
    [example] = examples(1)
    base = base_of(tiny(kind))
    [row], left_out = base.rows([example], 0)
    served = load_model(SETTINGS.model_copy(update={"model": tiny(kind)}), ModelsSettings())
    content = PromptContent(example.question, example.passages, persona="You are kind.")
    assert row.prompt == served.encode(content).tokens
    assert left_out == 0
    assert row.answer[-1] in served.prompter.ends
    assert not set(row.answer[:-1]) & served.prompter.ends
    assert base.tokenizer.decode(row.answer[:-1]).strip() == example.answer


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_counts_for_the_answer_alone(tiny, kind):
    """Neither for the prompt nor for what fills up the shorter row."""
    base = base_of(tiny(kind))
    rows, _ = base.rows([*examples(1), replace(examples(1)[0], answer=REFUSAL)], 0)
    batch = collated(rows, 0, two_parts=base.two_parts)
    for row, ids, mask, labels in zip(rows, *batch.values(), strict=True):
        assert [token for token in labels.tolist() if token != -100] == row.answer
        read = [token for token, seen in zip(ids.tolist(), mask.tolist(), strict=True) if seen]
        assert read == (row.prompt if base.two_parts else row.prompt + row.answer)
        if not base.two_parts:
            assert ids[labels != -100].tolist() == row.answer


def test_an_answer_that_the_model_could_never_write_is_left_out(tiny):
    """It would learn to be cut off."""
    base = base_of(tiny("llama"), max_new_tokens=6)
    rows, left_out = base.rows(examples(3), 0)
    assert (rows, left_out) == ([], 3)
    rows, left_out = base_of(tiny("llama")).rows(examples(3), 40)
    assert (rows, left_out) == ([], 3)


@pytest.mark.parametrize(
    ("kind", "layers", "count"),
    [
        ("gpt2", {"c_attn", "c_proj", "c_fc"}, 8),
        ("llama", {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}, 14),
        ("qwen", {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}, 14),
        ("t5", {"q", "k", "v", "o", "wi", "wo"}, 32),
    ],
)
def test_lora_finds_the_linear_layers_of_every_kind(tiny, kind, layers, count):
    """But not the one that chooses the words; nothing else learns."""
    base = base_of(tiny(kind))
    model = base.load()
    adapted = {name.rpartition(".lora_A")[0] for name, _ in model.named_parameters() if ".lora_A." in name}
    assert {name.rpartition(".")[2] for name in adapted} == layers
    assert len(adapted) == count
    assert all("lora_" in name for name, weight in model.named_parameters() if weight.requires_grad)
    assert model.peft_config["default"].fan_in_fan_out is (kind == "gpt2")


@pytest.mark.parametrize("kind", ["gpt2", "llama", "t5"])
def test_a_tuned_model_is_served_as_it_was_trained(tiny, data, tmp_path, kind):
    """By lora and in full: the model loaded for serving gives the scores that training ended with."""
    for method in ("lora", "full"):
        plan = Plan(tiny(kind), method=method, epochs=1, rate=0.01, batch=8, accumulate=2)
        folder = tmp_path / f"{kind}-{method}"
        told = tune(data, folder, plan, SETTINGS, ModelsSettings())
        assert told["losses"][-1]["eval_loss"] < told["losses"][0]["loss"]
        assert not list(folder.glob("checkpoint-*"))
        plain = SETTINGS.model_copy(update={"model": tiny(kind)})
        served = load_model(with_tuned(plain, folder, method, told["style"]), ModelsSettings(), "mine")
        assert (served.name, served.style.value) == ("mine", told["style"])
        base = base_of(tiny(kind))
        rows, _ = base.rows(pairs.load(data, pairs.VALIDATION), 0)
        with torch.inference_mode():
            loss = float(served.network(**collated(rows, 0, two_parts=base.two_parts)).loss)
        assert loss == pytest.approx(told["validation_loss"], abs=0.05)
        assert served.network.config.use_cache


# --- before it begins -------------------------------------------------------------------------------------------------


def test_a_base_that_does_not_fit_into_memory_is_refused_with_advice(tiny, data, tmp_path, monkeypatch):
    """Before its weights are loaded."""
    monkeypatch.setattr(generator, "free_memory", lambda: 300_000_000)
    monkeypatch.setattr(generator, "load_parts", None)
    said = []
    with pytest.raises(TrainingError, match=r"needs about 0\.\d GB .* 0\.3 GB are free\. What helps: --method lora"):
        tune(data, tmp_path / "out", Plan(tiny("llama"), method="full"), SETTINGS, ModelsSettings(), tell=said.append)
    assert "million parameters" in said[0]
    assert "of 0.3 GB that are free" in said[1]


def test_what_a_training_takes_grows_with_the_model(tiny):
    """Full takes more than lora, a step in parts less than one as a whole."""
    base = base_of(tiny("llama"))
    rows = [TokenisedExample([1] * 400, [1] * 100)] * 50
    plan = Plan("x", batch=8, accumulate=1)

    def needed(plan: Plan, parameters: int = 10**9) -> int:
        return generator.needs(base.config, parameters, rows, plan, bfloat16=False).memory

    assert needed(replace(plan, method="full")) > 3 * needed(plan)
    assert needed(replace(plan, accumulate=8)) < needed(plan)
    assert 4e9 < needed(plan) < 6e9


def test_missing_libraries_are_one_line_with_the_command(data, tmp_path, monkeypatch):
    """They are an extra."""
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(TrainingError, match=r'needs peft.*-e "\.\[finetuning\]"'):
        tune(data, tmp_path / "out", Plan("x"), SETTINGS, ModelsSettings())


def test_a_base_that_is_not_there_and_data_that_is_too_small_are_named(tiny, data, tmp_path):
    """With what to do."""
    with pytest.raises(WeightsError, match="models download owner/none"):
        tune(data, tmp_path / "one", Plan("owner/none"), SETTINGS, ModelsSettings())
    pairs.write(
        tmp_path / "few",
        {split: [replace(one, question=split + one.question) for one in examples(3)] for split in SPLITS},
    )
    with pytest.raises(TrainingError, match=r"3 examples to learn from"):
        tune(tmp_path / "few", tmp_path / "two", Plan(tiny("gpt2")), SETTINGS, ModelsSettings())
    with pytest.raises(TrainingError, match=r"can't be read .* finetune prepare"):
        tune(tmp_path / "nowhere", tmp_path / "two", Plan(tiny("gpt2")), SETTINGS, ModelsSettings())


# --- going on ---------------------------------------------------------------------------------------------------------

PLAN = {"epochs": 3.0, "rate": 0.01, "batch": 8, "accumulate": 2}


def command(output: Path, model: str, data: Path) -> list[str]:
    options = [word for name, value in PLAN.items() for word in (f"--{name}", str(value))]
    return ["finetune", "run", *options, "--base", model, "--data", str(data), "--output", str(output)]


@pytest.mark.timeout(300)
def test_a_training_that_is_killed_goes_on_and_ends_as_one_that_was_not(tiny, data, tmp_path, monkeypatch):
    """kill -9 of the real process, in mid-training; then the same command."""
    monkeypatch.setenv("BOT_GENERATOR__DTYPE", "float32")
    monkeypatch.chdir(tmp_path)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    killed = tmp_path / "killed"
    call = command(killed, tiny("llama"), data)
    with subprocess.Popen([sys.executable, "-m", "bot", *call], env=environment) as process:
        while not list(killed.glob("checkpoint-*/complete.json")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (killed / "training.json").exists()
    done = CliRunner().invoke(app, call, catch_exceptions=False)
    assert "Going on from step" in done.stdout
    assert "Next: knowledge-bot finetune compare" in done.stdout
    plan = Plan(tiny("llama"), **PLAN)
    settings = GeneratorSettings(provider="none", dtype="float32")
    left_alone = tune(data, tmp_path / "alone", plan, settings, ModelsSettings())
    told = json.loads((killed / "training.json").read_text())
    assert told["steps"] == left_alone["steps"] == 18
    assert told["validation_loss"] == pytest.approx(left_alone["validation_loss"], abs=0.01)
    one, other = (load_file(folder / "adapter_model.safetensors") for folder in (killed, tmp_path / "alone"))
    assert all(torch.allclose(one[name], other[name], atol=0.01) for name in one)


def test_a_checkpoint_that_was_being_written_is_passed_over(tmp_path):
    """And one of which a part is missing."""
    for step, content in ((2, "whole"), (4, "half"), (6, "")):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "weights").write_text(content)
    (tmp_path / "checkpoint-2" / "complete.json").write_text('{"weights": 5}')
    (tmp_path / "checkpoint-4" / "complete.json").write_text('{"weights": 5}')
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-2"
    assert not (tmp_path / "checkpoint-6").exists()


def test_what_is_finished_is_not_done_again_and_nothing_else_goes_on_with_it(tiny, data, tmp_path):
    """Other options, other data, or a folder of something else: each is named."""
    plan = Plan(tiny("gpt2"), epochs=1, batch=16)
    first = tune(data, tmp_path / "out", plan, SETTINGS, ModelsSettings())
    said: list[str] = []
    assert tune(data, tmp_path / "out", plan, SETTINGS, ModelsSettings(), tell=said.append) == first
    assert said == [f"{tmp_path / 'out'} holds this training already, finished."]
    with pytest.raises(TrainingError, match=r"other --rank \(16\) and --seed \(20\): repeat the command"):
        tune(data, tmp_path / "out", replace(plan, rank=4, seed=1), SETTINGS, ModelsSettings())
    other = tmp_path / "other"
    pairs.write(
        other, {split: [replace(one, question=split + one.question) for one in examples(20)] for split in SPLITS}
    )
    with pytest.raises(TrainingError, match="holds a training with other data"):
        tune(other, tmp_path / "out", plan, SETTINGS, ModelsSettings())
    changed = SETTINGS.model_copy(update={"persona": "You are stern."})
    with pytest.raises(TrainingError, match=r"other generator\.persona \(You are kind\.\)"):
        tune(data, tmp_path / "out", plan, changed, ModelsSettings())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(TrainingError, match="holds other files"):
        tune(data, tmp_path / "mine", plan, SETTINGS, ModelsSettings())


def test_a_base_with_other_weights_is_not_gone_on_with_nor_compared(tiny, data, tmp_path, settings):
    """Its name is the same, but what is there now never was what has learnt."""
    base = tmp_path / "base"
    shutil.copytree(tiny("gpt2"), base)
    plan = Plan(str(base), epochs=1, batch=16)
    told = tune(data, tmp_path / "out", plan, SETTINGS, ModelsSettings())
    assert told["base_weights"] == fingerprint(Path(tiny("gpt2")))
    change_weights(base)
    with pytest.raises(TrainingError, match="holds a training with other weights of the base: repeat"):
        tune(data, tmp_path / "out", plan, SETTINGS, ModelsSettings())
    with pytest.raises(
        TrainingError, match=r"was made from other weights than those in .*base, so it can't be compared"
    ):
        compare(settings, tmp_path / "out", data, most=10)


def test_it_stops_when_the_loss_on_validation_no_longer_falls(tiny, data, tmp_path):
    """And keeps the best, not the last."""
    plan = Plan(tiny("llama"), epochs=40, rate=0.5, batch=16, accumulate=1)
    told = tune(data, tmp_path / "out", plan, SETTINGS, ModelsSettings())
    assert told["steps"] < 120
    looks = {entry["step"]: entry["eval_loss"] for entry in told["losses"] if "eval_loss" in entry}
    assert told["validation_loss"] == min(looks.values()) == looks[told["best_step"]]


def test_the_record_says_what_it_was_made_of(tiny, data, tmp_path):
    """Base, style, plan, data, examples and losses."""
    plan = Plan(tiny("gpt2"), epochs=1, batch=16)
    progress: list[tuple[int, int, str]] = []
    tune(data, tmp_path / "out", plan, SETTINGS, ModelsSettings(), progress=lambda *told: progress.append(told))
    told = json.loads((tmp_path / "out" / "training.json").read_text())
    assert told["plan"] == asdict(plan)
    assert (told["base"], told["method"], told["style"]) == (tiny("gpt2"), "lora", "completion")
    assert told["data"] == pairs.fingerprint(data, pairs.TRAIN, pairs.VALIDATION)
    assert told["prompt"] == {
        "style": "auto",
        "persona": "You are kind.",
        "language": "",
        "passages": 1,
        "prompt_tokens": SETTINGS.prompt_tokens,
        "max_new_tokens": 80,
        "templates": load_templates(None).fingerprint(told["style"]),
    }
    assert told["examples"] == {"train": 48, "validation": 8, "too_long": 0}
    assert [step for step, _, _ in progress] == [1, 2, 3]
    assert "loss" in progress[-1][2]


def test_with_lora_leaves_the_base_as_it_is(tiny):
    """Before it has learnt anything, the model says what its base says."""
    base = base_of(tiny("gpt2"))
    rows, _ = base.rows(examples(2), 0)
    batch = collated(rows, 0, two_parts=False)
    from bot.inference.generator import load_parts

    plain, _ = load_parts(Path(tiny("gpt2")), torch.float32)
    with torch.inference_mode():
        before = plain(**batch).logits.clone()
        after = with_lora(plain, 4)(**batch).logits
    assert torch.equal(before, after)
