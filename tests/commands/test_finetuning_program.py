"""Fine-tuning as an operator does it: prepare, run, compare, activate, ask, revert, each as a command of its own."""

import json
import random
import shutil
from pathlib import Path

import pytest

from tests.catalogue import write_catalogue
from tests.one_thread import one_thread

__all__ = ["one_thread"]
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def operator(command, tmp_path, copying):
    """Runs a command and returns its output, with the tiny model that copies as the generator."""
    write_catalogue(tmp_path / "knowledge")
    environment = {
        "BOT_GENERATOR__PROVIDER": "local",
        "BOT_GENERATOR__MODEL": copying,
        "BOT_GENERATOR__DTYPE": "float32",
        "BOT_GENERATOR__PASSAGES": "1",
        "BOT_GENERATOR__MAX_NEW_TOKENS": "60",
        "BOT_ANSWER__THRESHOLD": "0.2",
    }

    def does(*arguments: object, fails: bool = False) -> str:
        done = command(*map(str, arguments), **environment)
        assert bool(done.returncode) is fails, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr if fails else done.stdout

    return does


def shuffle_answers(data: Path) -> None:
    for split in ("train", "validation"):
        rows = [json.loads(line) for line in (data / f"{split}.jsonl").read_text().splitlines()]
        answers = [row["answer"] for row in rows]
        random.Random(3).shuffle(answers)
        lines = [json.dumps(row | {"answer": answer}) for row, answer in zip(rows, answers, strict=True)]
        (data / f"{split}.jsonl").write_text("\n".join(lines) + "\n")


def test_a_model_is_tuned_compared_and_goes_live_only_if_it_is_better(operator, tmp_path):
    """The base copies one sentence where the documents' answers have two; the tuned one has learnt that."""
    assert "held out" in operator("finetune", "prepare")
    options = ("--rate", 0.01, "--batch", 4, "--accumulate", 1)
    said = operator("finetune", "run", "--output", "mine", "--epochs", 8, *options)
    assert "Next: knowledge-bot finetune compare --tuned mine" in said
    assert "was never compared" in operator("finetune", "activate", "mine", fails=True)
    comparison = json.loads(operator("finetune", "compare", "--tuned", "mine", "--report", "report", "--json"))
    assert comparison["better"], comparison
    assert comparison["tuned"]["f1"] > comparison["base"]["f1"] + 0.1
    assert (tmp_path / "report" / "comparison.html").is_file()
    assert "finetune revert" in operator("finetune", "activate", "mine")
    name = json.loads((tmp_path / "data" / "generators" / "active.json").read_text())["active"]["name"]
    answer = json.loads(operator("ask", "How heavy is the boiler?", "--json"))
    assert answer["phrasing"]["model"].endswith(f" + {name}")
    assert answer["answer"].count(".") == 2
    assert f" + {name}" in operator("status")
    assert name in operator("models")
    assert "the base writes" in operator("finetune", "revert")
    assert "nothing to take back" in operator("finetune", "revert", fails=True)

    # One that has learnt wrong answers does not.
    shutil.copytree(tmp_path / "finetuning-data", tmp_path / "wrong-data")
    shuffle_answers(tmp_path / "wrong-data")
    operator("finetune", "run", "--output", "wrong", "--data", "wrong-data", "--epochs", 3, *options)
    assert "not better" in operator("finetune", "compare", "--tuned", "wrong")
    refused = operator("finetune", "activate", "wrong", fails=True)
    assert "is not better than its base: " in refused
    assert "--anyway" in refused
    assert not json.loads((tmp_path / "data" / "generators" / "active.json").read_text())["active"]
    operator("finetune", "activate", "wrong", "--anyway")
    active = json.loads((tmp_path / "data" / "generators" / "active.json").read_text())["active"]
    assert active["name"].startswith("wrong-")
    assert active["anyway"] in refused
    other = operator("finetune", "compare", "--tuned", "mine", "--data", "wrong-data", fails=True)
    assert "is not what mine was trained on" in other
