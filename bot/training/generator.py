"""Fine-tuning of a language model on prepared questions and answers, by the Trainer of transformers.

Prompts are those of serving, token for token, because both come from `inference.prompter`; the loss is of the answer alone.
`lora` trains small matrices beside the linear layers (Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021),
`full` trains all weights. The checkpoint with the lowest loss on the validation examples is kept.
"""

import json
import math
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging as transformers_logging

from bot.core.errors import TrainingError, WeightsError, to_install
from bot.core.settings import GeneratorSettings, ModelsSettings
from bot.core.text import counted
from bot.inference.generator import find_model, load_parts
from bot.inference.inventory import parameter_count
from bot.inference.memory import free_memory
from bot.inference.prompter import Prompter, load_without_weights
from bot.inference.prompts import PromptContent
from bot.inference.tuned import TRAINING, Method, base_name
from bot.inference.weights import Weights, choose_precision, fingerprint
from bot.training import pairs
from bot.training.files import read_json, write_json
from bot.training.pairs import TRAIN, VALIDATION, TuningExample

Progress = Callable[[int, int, str], None]
"""Called with (steps done, all steps, the losses in words); must return at once."""
Tell = Callable[[str], None]

_PLAN = "plan.json"
_COMPLETE = "complete.json"  # lists the files of a checkpoint; written after them
_IGNORED = -100  # the label of tokens without a loss
# Validations without a lower loss after which training stops.
_PATIENCE = 4
_LOOKS_PER_EPOCH = 2
_WARM_UP = 0.1  # share of the steps
_RATES = {"lora": 5e-4, "full": 5e-5}


@dataclass(frozen=True, slots=True)
class Plan:
    """The options of a training. `rate` 0 is the default of the method; `max_tokens` 0 means no limit."""

    base: str
    revision: str = ""
    method: Method = "lora"
    epochs: float = 4
    rate: float = 0
    rank: int = 16
    batch: int = 8  # examples a step
    accumulate: int = 4  # parts in which a step is computed
    max_tokens: int = 0
    seed: int = 20


@dataclass(frozen=True, slots=True)
class TokenisedExample:
    """An example as tokens. An encoder-decoder reads the prompt and writes the answer; a decoder continues the prompt."""

    prompt: list[int]
    answer: list[int]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True, slots=True)
class Needs:
    """An estimate of the memory and time that a training takes."""

    memory: int  # bytes
    seconds: float


def tune(
    data: Path,
    output: Path,
    plan: Plan,
    settings: GeneratorSettings,
    models: ModelsSettings,
    *,
    tell: Tell = lambda _: None,
    progress: Progress = lambda _done, _total, _words: None,
) -> dict[str, Any]:
    """Tune a model, or go on from the last whole checkpoint in `output`, and write it there.

    `settings` shape the prompts. `tell` takes sentences for the operator. Returns the content of `training.json`.
    Raises TrainingError and WeightsError.
    """
    _require_libraries()
    train, validation = pairs.load_for_training(data)
    settings = settings.model_copy(update={"model": plan.base, "revision": plan.revision})
    weights = find_model(settings, models)
    base = _Base(plan, settings, weights)
    identity = {
        "plan": asdict(plan) | {"base": base_name(plan.base)},
        "base_weights": fingerprint(weights.folder),
        "prompt": _of_the_prompt(settings, base.prompter, train),
        "data": pairs.fingerprint(data, TRAIN, VALIDATION),
    }
    if done := _begin(output, identity):
        tell(f"{output} holds this training already, finished.")
        return done
    rows, left_out = base.rows(train, plan.max_tokens)
    validation_rows, _ = base.rows(validation, plan.max_tokens)
    _require_rows(rows, validation_rows, left_out, data)
    base.examine(rows, tell)
    with _quiet():
        trainer = _trainer(base, output, plan, rows, validation_rows, progress)
        last = last_checkpoint(output)
        if last is not None:
            tell(f"Going on from step {last.name.rpartition('-')[2]}.")
        started = time.monotonic()
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    state = trainer.state
    record = {
        "base": base_name(plan.base),
        "revision": plan.revision,
        "method": plan.method,
        "style": base.prompter.style.value,
        **identity,
        "data_folder": str(data.resolve()),
        "examples": {"train": len(rows), "validation": len(validation_rows), "too_long": left_out},
        "steps": state.global_step,
        "best_step": state.best_global_step,
        "validation_loss": state.best_metric,
        "losses": [
            {name: entry[name] for name in ("step", "loss", "eval_loss") if name in entry}
            for entry in state.log_history
            if "loss" in entry or "eval_loss" in entry
        ],
        "seconds": round(time.monotonic() - started, 1),
    }
    _finish(trainer.model, base.tokenizer, output, record)
    return record


def _require_libraries() -> None:
    try:
        import accelerate  # noqa: F401
        import peft  # noqa: F401
    except ImportError as error:
        raise TrainingError(f"Fine-tuning needs {error.name}. Install it {to_install('finetuning')}") from error


def _of_the_prompt(
    settings: GeneratorSettings, prompter: Prompter, examples: Sequence[TuningExample]
) -> dict[str, Any]:
    """Return the settings that shape the prompts, the fingerprint of their wording, and the number of passages in the data."""
    passages = max(len(example.passages) for example in examples)
    chosen = settings.model_dump(include={"style", "persona", "language", "prompt_tokens", "max_new_tokens"})
    return chosen | {"passages": passages, "templates": prompter.templates.fingerprint(prompter.style)}


# --- the base model ---------------------------------------------------------------------------------------------------


class _Base:
    """The model to be tuned. Its weights are loaded by `load`, its configuration and tokenizer at once."""

    def __init__(self, plan: Plan, settings: GeneratorSettings, weights: Weights) -> None:
        """`settings` name the same base as the plan. Raises WeightsError, and SettingsError over wrong templates."""
        self.plan = plan
        self.weights = weights
        folder = weights.folder
        self.config, self.tokenizer, generation = load_without_weights(folder, plan.base)
        self.bfloat16 = choose_precision(settings.dtype).dtype == "bfloat16" and (
            settings.dtype != "auto" or _learns_faster(self.config.hidden_size)
        )
        self.two_parts = bool(self.config.is_encoder_decoder)
        self.prompter = Prompter(self.tokenizer, self.config, generation, settings)
        self._settings = settings

    def rows(self, examples: Sequence[TuningExample], longest: int) -> tuple[list[TokenisedExample], int]:
        """Return the examples as tokens, and the number left out because they or their answers are too long."""
        rows = []
        for example in examples:
            encoded = self.prompter.encode(
                PromptContent(
                    example.question,
                    example.passages,
                    persona=self._settings.persona,
                    language=self._settings.language,
                )
            )
            row = TokenisedExample(encoded.tokens, self.prompter.answer(example.answer))
            if len(row.answer) <= encoded.new and len(row) <= (longest or len(row)):
                rows.append(row)
        return rows, len(examples) - len(rows)

    def examine(self, rows: Sequence[TokenisedExample], tell: Tell) -> None:
        """Pass the memory and time that the training takes to `tell`. Raises TrainingError if the memory isn't free."""
        count = parameter_count(self.weights.folder)
        needed = needs(self.config, count, rows, self.plan, bfloat16=self.bfloat16)
        free = free_memory()
        tell(
            f"{self.plan.base}: {count / 1e6:,.1f} million parameters, prompts in the style {self.prompter.style}, "
            f"{'bfloat16' if self.bfloat16 else 'float32'}; {counted(len(rows), 'example')} of up to "
            f"{max(map(len, rows))} tokens."
        )
        known = f" of {_gigabytes(free)} that are free" if free is not None else ""
        tell(
            f"About {_gigabytes(needed.memory)} of memory{known}, and {_duration(needed.seconds)}, if it isn't stopped early."
        )
        if free is not None and needed.memory > free:
            raise TrainingError(
                f"{self.plan.base} needs about {_gigabytes(needed.memory)} of memory for this training, and "
                f"{_gigabytes(free)} are free. {_advice(self.plan)}"
            )

    def load(self) -> Any:
        """Load the model, ready for training. Raises WeightsError."""
        small = self.bfloat16 and self.plan.method == "lora"  # frozen weights may be coarse
        try:
            model, _ = load_parts(self.weights.folder, torch.bfloat16 if small else torch.float32)
        except Exception as error:
            raise WeightsError(f"{self.plan.base} can't be loaded from {self.weights.folder}: {error}") from error
        return with_lora(model, self.plan.rank) if self.plan.method == "lora" else model


def with_lora(model: Any, rank: int) -> Any:
    """Return the model with trainable LoRA matrices beside every linear layer except the output layer."""
    from peft import LoraConfig, TaskType, get_peft_model

    # The layers of GPT-2 models hold their weights transposed.
    transposed = any(isinstance(layer, Conv1D) for layer in model.modules())
    kind = TaskType.SEQ_2_SEQ_LM if model.config.is_encoder_decoder else TaskType.CAUSAL_LM
    config = LoraConfig(
        task_type=kind, r=rank, lora_alpha=2 * rank, target_modules="all-linear", fan_in_fan_out=transposed
    )
    with warnings.catch_warnings():
        # peft uses the old name, which doesn't concern operators.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        return get_peft_model(model, config)


# --- memory and time --------------------------------------------------------------------------------------------------

# Activations that a layer keeps of each token for the backward pass, in widths of the model.
_KEPT_PER_TOKEN = 24
_LOGIT_COPIES = 4
# Numbers that attention with dropout keeps of each pair of tokens; without dropout it keeps none. With both constants, a GPT-2
# of 124 million parameters took 4.8 GB where 4.5 were expected.
_KEPT_PER_PAIR = 8
_ATTENTION_DROPOUT = ("attn_pdrop", "attention_dropout", "dropout_rate")  # by architecture
_LIBRARIES = 500 * 2**20  # bytes
# Share of the speed of large matrix products that the smaller ones of a training reach.
_EFFICIENCY = 0.4
# Narrower models lose more by converting than they gain: at a width of 128 a whole step took six times as long.
_NARROW = 512
# bfloat16 must be this much faster in a trial to be worth its coarseness.
_CLEARLY = 1.3
# The least time that a layer takes in each part of a step.
_OVERHEAD = 0.005  # seconds


def needs(config: Any, parameters: int, rows: Sequence[TokenisedExample], plan: Plan, *, bfloat16: bool) -> Needs:
    """Estimate memory and time of a training from the size of the model. Takes a second, for a trial."""
    full = plan.method == "full"
    width, layers = config.hidden_size, config.num_hidden_layers
    trained = parameters if full else plan.rank * width * layers * 22
    weights = parameters * (4 if full or not bfloat16 else 2) + trained * (12 if full else 16)  # gradient and two means
    longest = max(map(len, rows))
    tokens = longest * math.ceil(plan.batch / plan.accumulate)
    scores = longest * config.num_attention_heads if any(getattr(config, name, 0) for name in _ATTENTION_DROPOUT) else 0
    kept = width * _KEPT_PER_TOKEN + scores * _KEPT_PER_PAIR
    activations = tokens * layers * kept * (2 if bfloat16 else 4)
    logits = tokens * config.vocab_size * 4 * _LOGIT_COPIES
    passes = plan.epochs * 1.15 * sum(map(len, rows))  # with validation and padding
    operations = passes * parameters * (6 if full else 4)
    parts = plan.epochs * 1.15 * len(rows) * plan.accumulate / plan.batch
    seconds = operations / (_EFFICIENCY * _speed(bfloat16)) + parts * layers * _OVERHEAD
    return Needs(int(weights + activations + logits) + _LIBRARIES, seconds)


def _learns_faster(width: int) -> bool:
    """Return whether a layer of this width trains faster in bfloat16, by a trial: its backward pass may be slow."""
    if width < _NARROW:
        return False
    layer = torch.nn.Sequential(
        torch.nn.LayerNorm(width), torch.nn.Linear(width, 4 * width), torch.nn.GELU(), torch.nn.Linear(4 * width, width)
    )
    inputs = torch.ones(256, width)

    def seconds(bfloat16: bool) -> float:
        best = math.inf
        for _ in range(4):
            started = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                loss = layer(inputs).sum()
            loss.backward()
            best = min(best, time.perf_counter() - started)
        return best

    return _CLEARLY * seconds(bfloat16=True) < seconds(bfloat16=False)


def _speed(bfloat16: bool) -> float:
    """Measure the operations per second of a large matrix product."""
    size = 768
    matrix = torch.ones(size, size, dtype=torch.bfloat16 if bfloat16 else torch.float32)
    best = math.inf
    for _ in range(5):
        started = time.perf_counter()
        matrix @ matrix
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def _advice(plan: Plan) -> str:
    ways = []
    if plan.method == "full":
        ways.append("--method lora takes a fraction of it")
    if plan.accumulate < plan.batch:
        ways.append(f"--accumulate {plan.batch} computes one example at a time")
    ways += ["--max-tokens leaves long examples out", "a smaller base needs less"]
    return f"What helps: {'; '.join(ways)}."


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(10, math.ceil(seconds / 10) * 10)} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 90 * 60 else f"{seconds / 3600:.1f} hours"


# --- training ---------------------------------------------------------------------------------------------------------


def _require_rows(
    rows: Sequence[TokenisedExample], validation: Sequence[TokenisedExample], left_out: int, data: Path
) -> None:
    if len(rows) >= pairs.FEWEST_QUESTIONS // 2 and validation:
        return
    raise TrainingError(
        f"{data}: of the examples, {len(rows)} remain to learn from and {len(validation)} to tell when to stop, because "
        f"{left_out} are too long for the model: raise generator.max_new_tokens (or --max-tokens), shorten the answers, or "
        "take a base with a larger window."
    )


def _trainer(
    base: _Base,
    output: Path,
    plan: Plan,
    rows: list[TokenisedExample],
    validation: list[TokenisedExample],
    progress: Progress,
) -> Trainer:
    torch.manual_seed(plan.seed)
    size = math.ceil(plan.batch / plan.accumulate)
    steps = max(1, math.ceil(len(rows) / plan.batch))
    look_every = max(1, steps // _LOOKS_PER_EPOCH)
    arguments = TrainingArguments(
        output_dir=str(output),
        num_train_epochs=plan.epochs,
        per_device_train_batch_size=size,
        per_device_eval_batch_size=size,
        gradient_accumulation_steps=math.ceil(plan.batch / size),
        learning_rate=plan.rate or _RATES[plan.method],
        lr_scheduler_type="linear",
        warmup_steps=max(1, round(_WARM_UP * steps * plan.epochs)),
        seed=plan.seed,
        use_cpu=True,
        bf16=base.bfloat16,
        eval_strategy="steps",
        eval_steps=look_every,
        save_strategy="steps",
        save_steps=look_every,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        restore_callback_states_from_checkpoint=True,
        prediction_loss_only=True,
        label_names=["labels"],
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        logging_steps=1,
        disable_tqdm=True,
        report_to="none",
    )
    padding = base.tokenizer.pad_token_id or 0
    trainer = Trainer(
        model=base.load(),
        args=arguments,
        train_dataset=cast(Any, rows),
        eval_dataset=cast(Any, validation),
        data_collator=lambda chosen: collated(chosen, padding, two_parts=base.two_parts),
        callbacks=[_Watch(progress), EarlyStoppingCallback(early_stopping_patience=_PATIENCE)],
    )
    trainer.remove_callback(PrinterCallback)
    # Not every kind divides its loss by the tokens of all parts of a batch, but takes their number: the Trainer is to divide.
    trainer.model_accepts_loss_kwargs = False
    return trainer


def collated(rows: Sequence[TokenisedExample], padding: int, *, two_parts: bool) -> dict[str, torch.Tensor]:
    """Return inputs, mask and labels, int64 [rows, tokens]. Prompts and padding have no loss."""
    if two_parts:
        inputs, labels = [row.prompt for row in rows], [row.answer for row in rows]
    else:
        inputs = [[*row.prompt, *row.answer] for row in rows]
        labels = [[*[_IGNORED] * len(row.prompt), *row.answer] for row in rows]
    return {
        "input_ids": _filled(inputs, padding),
        "attention_mask": _filled([[1] * len(tokens) for tokens in inputs], 0),
        "labels": _filled(labels, _IGNORED),
    }


def _filled(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (longest - len(row))] for row in rows])


class _Watch(TrainerCallback):
    """Reports progress, and marks complete checkpoints."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._losses: dict[str, float] = {}

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        names = {"loss": "loss", "eval_loss": "on validation"}
        self._losses |= {names[name]: value for name, value in (logs or {}).items() if name in names}

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        words = ", ".join(f"{name} {loss:.2f}" for name, loss in self._losses.items())
        self._progress(state.global_step, state.max_steps, words)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        sizes = {file.name: file.stat().st_size for file in folder.iterdir() if file.is_file()}
        write_json(folder / _COMPLETE, sizes)


def last_checkpoint(output: Path) -> Path | None:
    """Return the newest complete checkpoint, or None. Removes incomplete ones, which the end of the process cut off."""
    found: list[tuple[int, Path]] = []
    for folder in output.glob("checkpoint-*"):
        if _is_whole(folder):
            found.append((int(folder.name.rpartition("-")[2]), folder))
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return max(found)[1] if found else None


def _is_whole(folder: Path) -> bool:
    try:
        sizes = json.loads((folder / _COMPLETE).read_text(encoding="utf-8"))
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the output of the libraries; operators see a progress bar instead."""
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_logging.set_verbosity(before)


# --- the output folder ------------------------------------------------------------------------------------------------


def _begin(output: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """Claim the folder for this training; return `training.json` if it is finished, else None. Raises TrainingError."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        there = read_json(output / _PLAN)
        if there is None:
            if any(output.iterdir()):
                raise TrainingError(f"{output} holds other files: name another folder (--output), or empty it.")
            write_json(output / _PLAN, identity)
        elif different := list(_different(there, identity)):
            raise TrainingError(
                f"{output} holds a training with other {' and '.join(different)}: repeat the command with the same ones, name "
                "another folder (--output), or remove this one."
            )
        return read_json(output / TRAINING)
    except OSError as error:
        raise TrainingError(f"{output} can't be written ({error.strerror}): name another folder (--output).") from error


def _different(one: dict[str, Any], other: dict[str, Any]) -> Iterator[str]:
    """Yield the differences between two trainings, in the words of options and settings."""
    plan, wanted = one.get("plan", {}), other["plan"]
    for name in wanted:
        if plan.get(name) != wanted[name]:
            yield f"--{name.replace('_', '-')} ({plan.get(name)})"
    if one.get("base_weights") != other["base_weights"]:
        yield "weights of the base"
    if one.get("data") != other["data"]:
        yield "data"
    prompt = one.get("prompt", {})
    yield from (
        f"generator.{name} ({prompt.get(name)})" for name, value in other["prompt"].items() if prompt.get(name) != value
    )


def _finish(model: Any, tokenizer: Any, output: Path, record: dict[str, Any]) -> None:
    """Write the model, then the record that marks it as finished, and remove the checkpoints."""
    try:
        with _quiet():
            if record["method"] == "full":
                model.config.use_cache = True  # the Trainer has switched it off, which makes writing slow
                model.generation_config.use_cache = True
            model.save_pretrained(output)
            if record["method"] == "full":
                tokenizer.save_pretrained(output)
        write_json(output / TRAINING, record)
        for folder in output.glob("checkpoint-*"):
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise TrainingError(
            f"{output}: the model can't be written ({error.strerror}). Free some space and repeat the command, which goes on "
            "from the last checkpoint."
        ) from error
