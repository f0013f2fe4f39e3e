"""The gate: figures and results by hand, and what is said of a tuned model that should not go live."""

import json
from pathlib import Path
from typing import Any

import pytest

from bot.core.errors import TrainingError
from bot.core.messages import Answer, Outcome, Phrased, Phrasing
from bot.evaluation.questions import EvaluationQuestion, QuestionKind
from bot.evaluation.run import EvaluationResult
from bot.inference.prompts import Excerpt
from bot.training import gate
from bot.training.gate import GateResults, compared, figures, objection, write_report
from bot.training.pairs import Origin, TuningExample

GOLD = "The boiler costs 42 euros."
QUESTION = EvaluationQuestion("1", "How much?", QuestionKind.ANSWERABLE)


def result(text: str, outcome: Phrased | None = Phrased.KEPT, *reasons: str) -> EvaluationResult:
    """An answer with what became of its draft; None: declined."""
    if outcome is None:
        return EvaluationResult(QUESTION, Answer(Outcome.DECLINED, text, "r"), 100.0)
    return EvaluationResult(
        QUESTION, Answer(Outcome.ANSWERED, text, "r", phrasing=Phrasing("m", outcome, reasons)), 500.0
    )


def asked(answered: list[EvaluationResult], without: list[EvaluationResult]) -> GateResults:
    example = TuningExample("How much?", GOLD, Origin.HEADING, "a.md", (Excerpt("A", GOLD),))
    return GateResults([example] * len(answered), answered, without)


REFUSED = [result("no", None)] * 20
BASE = asked([result("The boiler weighs 9 tons.")] * 10 + [result(GOLD)] * 10, REFUSED)


def test_the_figures_are_those_of_the_given_answers():
    """By hand: a right one, one of which two words of four match (0.5), a declined one and a replaced one."""
    told = figures(
        asked(
            [
                result(GOLD),
                result("The boiler costs 9 dollars.", Phrased.TRIMMED, "number"),
                result("nothing", None),
                result("No.", Phrased.REPLACED, "no_answer"),
            ],
            [result("no", None), result("x", Phrased.REPLACED, "no_answer"), result("x", Phrased.KEPT), REFUSED[0]],
        )
    )
    assert told.f1 == pytest.approx((1 + 0.5 + 0 + 0) / 4)
    assert told.drafted == 0.75
    assert (told.kept, told.trimmed, told.replaced) == tuple(pytest.approx(1 / 3) for _ in range(3))
    assert told.shown == pytest.approx(2 / 3)
    assert told.refused == 0.75
    assert told.seconds == 0.5


def test_a_model_that_answers_better_is_better():
    """Certainly so, with nothing lost."""
    comparison = compared(BASE, asked([result(GOLD)] * 20, REFUSED))
    assert comparison.better
    assert comparison.gain == pytest.approx(0.375)
    assert 0 < comparison.interval[0] < comparison.gain < comparison.interval[1]
    assert comparison.certainty > 0.99
    assert comparison == compared(BASE, asked([result(GOLD)] * 20, REFUSED))  # chance has a seed


@pytest.mark.parametrize(
    ("tuned", "reason"),
    [
        (BASE, r"\+0\.0 points, .* 0% certainty"),
        (asked([result("The boiler weighs 9 tons.")] * 9 + [result(GOLD)] * 11, REFUSED), r"only \(95% are needed\)"),
        (asked([result("Pumps are red.")] * 20, REFUSED), r"changes by -\d+\.\d points"),
        (
            asked([result(GOLD)] * 19 + [result(GOLD, Phrased.REPLACED, "number")], REFUSED),
            "of the drafts the documents support 95% instead of 100%",
        ),
        (
            asked([result(GOLD)] * 20, [*REFUSED[1:], result("x")]),
            "of the questions without an answer it refuses 95% instead of 100%",
        ),
    ],
)
def test_a_model_that_is_not_certainly_better_or_loses_something_is_not_better(tuned, reason):
    """And the reason has its figures."""
    comparison = compared(BASE, tuned)
    assert not comparison.better
    with pytest.raises(TrainingError, match=reason):
        raise TrainingError(comparison.summary)


def test_always_refusing_makes_no_model_better():
    """Quotes take the place of its drafts and may even be closer, but nothing of it is shown."""
    tuned = asked([result(GOLD, Phrased.REPLACED, "no_answer")] * 20, REFUSED)
    assert compared(BASE, tuned).gain > 0
    assert compared(BASE, tuned).reasons == ("of the drafts the documents support 0% instead of 100%",)


def test_the_report_has_the_figures_and_two_plots(tmp_path):
    """In one page that loads nothing."""
    page = write_report(tmp_path / "new", compared(BASE, asked([result(GOLD)] * 20, REFUSED)), "<mine> against")
    text = page.read_text()
    assert text.count("<svg") == 2
    assert "&lt;mine&gt;" in text
    assert "<td>100.0%</td>" in text
    assert "default-src 'none'" in text


# --- what may go live -------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "training.json").write_text(json.dumps(dict.fromkeys(gate._TOLD, "x")))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"weights")
    return tmp_path


def record(folder: Path, **more: Any) -> None:
    data = {"weights": gate.weights_hash(folder), "reasons": []}
    (folder / "comparison.json").write_text(json.dumps(data | more))


def test_only_what_was_compared_as_it_is_may_go_live(folder):
    """Not what was never compared, nor what was changed since."""
    with pytest.raises(TrainingError, match=r"was never compared .* finetune compare --tuned"):
        objection(folder)
    record(folder)
    assert objection(folder) == ""
    record(folder, reasons=["it is worse", "by far"])
    assert objection(folder) == "it is worse; by far"
    (folder / "adapter_model.safetensors").write_bytes(b"others")
    with pytest.raises(TrainingError, match="has changed since it was compared"):
        objection(folder)
    (folder / "training.json").unlink()
    with pytest.raises(TrainingError, match="holds no finished training"):
        objection(folder)
