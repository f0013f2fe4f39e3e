"""The gate: a tuned model goes live only if it is better than its base on held-out questions.

Both answer the questions through the whole engine, twice: with the documents that answer them, and without those, when they
should be declined. Better means a higher F1 of the answers with 95 % certainty, by a paired bootstrap over the questions (Efron
and Tibshirani, 1993), with no lower share of supported drafts or of questions declined.
"""

import asyncio
import hashlib
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from bot.core.errors import TrainingError, WeightsError
from bot.core.messages import Phrased
from bot.core.settings import GeneratorSettings, Settings
from bot.evaluation.metrics import phrased, token_f1
from bot.evaluation.pages import render
from bot.evaluation.plots import Plot, drawn, require_matplotlib
from bot.evaluation.questions import EvaluationQuestion, QuestionKind
from bot.evaluation.run import EvaluationResult, ask_all
from bot.inference.tuned import COMPARISON, TRAINING, weights_hash, with_tuned
from bot.inference.weights import complete_folder, fingerprint
from bot.inference.workers import Models
from bot.observability.health import State
from bot.runtime.application import Application, open_application
from bot.runtime.loading import load_models
from bot.training import pairs
from bot.training.files import read_json, write_json
from bot.training.pairs import HELD_OUT, TRAIN, VALIDATION, TuningExample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Progress = Callable[[int, int, str], None]

_CERTAINTY = 0.95
_TOLERANCE = 0.02  # by which support and refusals may fall
_RESAMPLES = 10_000
_SEED = 20
_FEWEST = 10
# In place of the deadlines of serving, which would judge the speed of the machine.
_PATIENCE = 600.0  # seconds
_DENIED = "no_answer"
# The fields of the record of a finished training that are used.
_TOLD = frozenset({"base", "revision", "base_weights", "method", "style", "prompt", "data", "data_folder"})


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """The figures of a model on the held-out questions; shares are between 0 and 1.

    `f1`: mean word F1 of the given answers and the right ones, 0 for a declined question. `drafted`: share of the questions
    for which the model wrote a draft. `kept`, `trimmed`, `replaced`, `failed`: shares of these drafts. `refused`: share of the
    questions without their documents that were declined, or whose draft said that the documents don't answer. `seconds`:
    median time of an answer with a draft, 0 without any.
    """

    f1: float
    drafted: float
    kept: float
    trimmed: float
    replaced: float
    failed: float
    refused: float
    seconds: float

    @property
    def shown(self) -> float:
        """The share of the drafts of which something was shown, because the documents support it."""
        return self.kept + self.trimmed


@dataclass(frozen=True, slots=True)
class Comparison:
    """A tuned model compared with its base.

    `interval` is the 95 % interval of the gain in F1, and `certainty` the share of the resamples with a gain. `reasons` say why
    the tuned model is not better; empty if it is.
    """

    base: ModelFigures
    tuned: ModelFigures
    questions: int
    gain: float
    interval: tuple[float, float]
    certainty: float
    reasons: tuple[str, ...]
    gains: tuple[float, ...]  # of each question

    @property
    def better(self) -> bool:
        return not self.reasons

    @property
    def summary(self) -> str:
        """The result as a clause: better, or not and why."""
        return "better" if self.better else "not better: " + "; ".join(self.reasons)


# --- comparing --------------------------------------------------------------------------------------------------------


def compare(
    settings: Settings,
    folder: Path,
    data: Path | None,
    *,
    most: int,
    models: Models | None = None,
    progress: Progress = lambda _done, _total, _words: None,
) -> Comparison:
    """Ask both models up to `most` held-out questions, and write `comparison.json` into the tuned model's folder.

    `data` is the prepared folder, if it has moved since the training. Blocking. Raises TrainingError and WeightsError.
    """
    training = training_of(folder)
    data = data or Path(training["data_folder"])
    if pairs.fingerprint(data, TRAIN, VALIDATION) != training["data"]:
        raise TrainingError(
            f"{data} is not what {folder} was trained on, so that held-out questions may have been learnt: name the right "
            "folder (--data), or train again."
        )
    _require_base(settings, folder, training)
    weights = weights_hash(folder)
    examples = _chosen(pairs.load(data, HELD_OUT), most)
    base = settings.generator.model_copy(
        update={
            "provider": "local",
            "model": training["base"],
            "revision": training["revision"],
            "style": training["style"],
            "adapter": None,
            "deadline_seconds": _PATIENCE,
            "seed": settings.generator.seed or _SEED,
        }
    )
    tuned = with_tuned(base, folder.resolve(), training["method"], training["style"])
    comparison = compared(
        *asyncio.run(_ask_both(settings, (base, tuned), models or load_models(settings), examples, progress))
    )
    record = {
        "weights": weights,
        "held_out": pairs.fingerprint(data, HELD_OUT),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": _SEED,
        "better": comparison.better,
        **asdict(comparison),
    }
    write_json(folder / COMPARISON, record)
    return comparison


def _require_base(settings: Settings, folder: Path, training: Mapping[str, Any]) -> None:
    """Raise TrainingError if the base's weights have changed since the training."""
    base = complete_folder(training["base"], training["revision"], auto_download=settings.models.auto_download)
    if base is not None and fingerprint(base) != training["base_weights"]:
        raise TrainingError(
            f"{folder} was made from other weights than those in {base}, so it can't be compared with them: put the right ones "
            "back, or train again."
        )


async def _ask_both(
    settings: Settings,
    generators: tuple[GeneratorSettings, GeneratorSettings],
    models: Models,
    examples: Sequence[TuningExample],
    progress: Progress,
) -> list["GateResults"]:
    """Ask the base, then the tuned model, over one temporary index."""
    figures = []
    with TemporaryDirectory(prefix="knowledge-bot-") as storage:
        for name, generator in zip(("base", "tuned"), generators, strict=True):
            one = _with(settings, generator, Path(storage))
            figures.append(await _asked(one, models, examples, _counting(progress, name)))
    return figures


def training_of(folder: Path) -> dict[str, Any]:
    """Read the record of a finished training. Raises TrainingError."""
    training = read_json(folder / TRAINING)
    if training is None or _TOLD - training.keys():
        raise TrainingError(
            f"{folder} holds no finished training ({TRAINING} is missing or not whole): make one with `knowledge-bot finetune "
            "run`."
        )
    return training


def _chosen(examples: Sequence[TuningExample], most: int) -> list[TuningExample]:
    """Choose up to `most` questions with an answer, always the same ones."""
    answered = [example for example in examples if example.kind is not pairs.Origin.REFUSAL]
    order = sorted(answered, key=lambda example: hashlib.sha256(example.question.encode()).digest())
    if len(order) < _FEWEST:
        raise TrainingError(f"{len(order)} held-out questions tell nothing; at least {_FEWEST} are needed.")
    return order[:most]


def _with(settings: Settings, generator: GeneratorSettings, storage: Path) -> Settings:
    return settings.model_copy(
        update={"generator": generator, "storage": settings.storage.model_copy(update={"folder": storage})}
    )


def _counting(progress: Progress, name: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(done, total, f"the {name} model")


@dataclass(frozen=True, slots=True)
class GateResults:
    """The examples, in order, and their results with their documents and without them."""

    examples: Sequence[TuningExample]
    answered: Sequence[EvaluationResult]
    without: Sequence[EvaluationResult]


async def _asked(
    settings: Settings, models: Models, examples: Sequence[TuningExample], progress: Callable[[int, int], None]
) -> GateResults:
    """Index the documents and ask the questions. Raises WeightsError if the model can't be loaded."""
    async with AsyncExitStack() as stack:
        application = await stack.enter_async_context(open_application(settings, models, golden=False))
        await application.indexer.index_folder(settings.knowledge.folder)
        await _require_documents(application, examples)
        await application.answering.generator_loaded.wait()
        component = application.health.component("generator").report
        if component.state is State.FAILED:
            raise WeightsError(component.detail)
        questions = [_question(number, example) for number, example in enumerate(examples)]
        parallel, total = settings.generator.parallel, 2 * len(questions)
        answered = await ask_all(
            application.answering.engine,
            application.stores.journal.conversations,
            questions,
            parallel=parallel,
            progress=lambda done, _: progress(done, total),
        )
        documents = sorted({example.document for example in examples})
        await application.stores.knowledge.change(application.inference.encoder.identity, (), documents, ())
        without = await ask_all(
            application.answering.engine,
            application.stores.journal.conversations,
            [replace(question, kind=QuestionKind.UNANSWERABLE) for question in questions],
            parallel=parallel,
            progress=lambda done, _: progress(len(questions) + done, total),
        )
        return GateResults(examples, answered, without)


async def _require_documents(application: Application, examples: Sequence[TuningExample]) -> None:
    there = {state.path for state, report in await application.stores.knowledge.files() if report.passages}
    if gone := sorted({example.document for example in examples} - there):
        raise TrainingError(
            f"{', '.join(gone[:3])}: held-out documents that are not in the knowledge folder any more: put them back, or "
            "prepare and train anew."
        )


def _question(number: int, example: TuningExample) -> EvaluationQuestion:
    return EvaluationQuestion(
        str(number),
        example.question,
        QuestionKind.ANSWERABLE,
        doc_ids=frozenset({example.document}),
        reference=example.answer,
    )


# --- figures ----------------------------------------------------------------------------------------------------------


def compared(base: GateResults, tuned: GateResults) -> Comparison:
    """Compare the results of the base with those of the tuned model."""
    before, after = figures(base), figures(tuned)
    gains = np.array(_f1s(tuned)) - np.array(_f1s(base))
    chance = np.random.default_rng(_SEED)
    means = gains[chance.integers(0, len(gains), (_RESAMPLES, len(gains)))].mean(axis=1)
    low, high = (float(value) for value in np.quantile(means, (0.025, 0.975)))
    certainty = float((means > 0).mean())
    gain = float(gains.mean())
    return Comparison(
        before,
        after,
        len(gains),
        gain,
        (low, high),
        certainty,
        tuple(_reasons(before, after, gain, certainty)),
        tuple(round(float(one), 4) for one in gains),
    )


def figures(asked: GateResults) -> ModelFigures:
    seconds = [result.latency_ms / 1000 for result in asked.answered if result.answer.phrasing is not None]
    drafts = phrased(asked.answered)
    shares = drafts.outcomes if drafts else dict.fromkeys(Phrased, 0.0)
    return ModelFigures(
        f1=statistics.fmean(_f1s(asked)),
        drafted=len(seconds) / len(asked.answered),
        kept=shares[Phrased.KEPT],
        trimmed=shares[Phrased.TRIMMED],
        replaced=shares[Phrased.REPLACED],
        failed=shares[Phrased.FAILED],
        refused=sum(map(_refused, asked.without)) / len(asked.without),
        seconds=statistics.median(seconds) if seconds else 0.0,
    )


def _f1s(asked: GateResults) -> list[float]:
    return [
        token_f1(result.answer.text, example.answer) if result.answer.answered else 0.0
        for example, result in zip(asked.examples, asked.answered, strict=True)
    ]


def _refused(result: EvaluationResult) -> bool:
    phrasing = result.answer.phrasing
    denied = phrasing is not None and not phrasing.shown and _DENIED in phrasing.reasons
    return denied or not result.answer.answered


def _reasons(base: ModelFigures, tuned: ModelFigures, gain: float, certainty: float) -> list[str]:
    reasons = []
    if certainty < _CERTAINTY:
        reasons.append(
            f"the F1 of the answers changes by {_points(gain)}, which is a gain with {certainty:.0%} certainty only "
            f"({_CERTAINTY:.0%} are needed)"
        )
    for what, before, after in (
        ("of the drafts the documents support", base.shown, tuned.shown),
        ("of the questions without an answer it refuses", base.refused, tuned.refused),
    ):
        if after < before - _TOLERANCE:
            reasons.append(f"{what} {after:.0%} instead of {before:.0%}")
    return reasons


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f} points"


# --- the comparison, later --------------------------------------------------------------------------------------------


def objection(folder: Path) -> str:
    """Say why a tuned model should not go live; empty if it should.

    Raises TrainingError if it was never compared, or has changed since.
    """
    training_of(folder)
    record = read_json(folder / COMPARISON)
    if record is None:
        raise TrainingError(
            f"{folder} was never compared with its base: knowledge-bot finetune compare --tuned {folder}"
        )
    if record.get("weights") != weights_hash(folder) or "reasons" not in record:
        raise TrainingError(
            f"{folder} has changed since it was compared with its base; compare it again: "
            f"knowledge-bot finetune compare --tuned {folder}"
        )
    return "; ".join(record["reasons"])


# --- showing ----------------------------------------------------------------------------------------------------------

ROWS: tuple[tuple[str, Callable[[ModelFigures], float], str], ...] = (
    ("F1 of the answers", lambda figures: figures.f1, "words that the given answer and the right one share"),
    ("drafted", lambda figures: figures.drafted, "of the questions: the model was asked to write"),
    ("kept", lambda figures: figures.kept, "of the drafts: the documents support every sentence"),
    ("trimmed", lambda figures: figures.trimmed, "of the drafts: something was left out"),
    ("replaced", lambda figures: figures.replaced, "of the drafts: the quote was given instead"),
    ("failed", lambda figures: figures.failed, "of the drafts: none came"),
    ("refused", lambda figures: figures.refused, "of the same questions without the documents that answer them"),
)


def write_report(folder: Path, comparison: Comparison, title: str) -> Path:
    """Write `comparison.html`, with the table and two plots, and return its path. Raises TrainingError and BotError."""
    require_matplotlib()
    gain, low, high = map(_points, (comparison.gain, *comparison.interval))
    page = render(
        "comparison.html",
        title=title,
        comparison=comparison,
        gain=gain,
        low=low,
        high=high,
        rows=[(name, of(comparison.base), of(comparison.tuned), meaning) for name, of, meaning in ROWS],
        plots=_plots(comparison),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "comparison.html").write_text(page, encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"{folder} can't be written ({error.strerror}): name another folder (--report).") from error
    return folder / "comparison.html"


def _plots(comparison: Comparison) -> list[Plot]:
    return [
        Plot("Base and tuned", "Higher is better.", drawn("both", lambda axes: _draw_both(axes, comparison))),
        Plot(
            "Gain of each question",
            "How much more, or less, of the right answer's words the tuned model's answer has. The dashed line is the mean.",
            drawn("gains", lambda axes: _draw_gains(axes, comparison)),
        ),
    ]


def _draw_both(axes: "Axes", comparison: Comparison) -> None:
    places = np.arange(3)
    for offset, name, one in ((-0.2, "base", comparison.base), (0.2, "tuned", comparison.tuned)):
        axes.bar(places + offset, [100 * one.f1, 100 * one.shown, 100 * one.refused], 0.38, label=name)
    axes.set_xticks(places, ["F1 of the answers", "drafts supported", "refused"])
    axes.set(ylim=(0, 105), ylabel="%")
    axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)


def _draw_gains(axes: "Axes", comparison: Comparison) -> None:
    axes.hist([100 * gain for gain in comparison.gains], bins=list(range(-100, 101, 10)))
    axes.axvline(100 * comparison.gain, linestyle="--", color="grey")
    axes.set(xlabel="gain in F1, points", ylabel="questions")
