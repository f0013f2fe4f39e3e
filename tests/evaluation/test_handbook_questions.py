"""The questions over the handbook: their labels hold, and the command of the README asks them."""

import json
import re
import shutil
from collections import Counter
from typing import Any

import pytest

from benchmarks.handbook_questions import HANDBOOK, QUESTIONS, in_step
from bot.evaluation.questions import QuestionKind, load_questions

LINES = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
README = HANDBOOK.parent / "README.md"


def folded(text: str) -> str:
    """Without marks of Markdown and with single spaces."""
    return " ".join(re.sub(r"[`*_]", "", text).split())


def places(question: dict[str, Any]) -> list[str]:
    """The text at each place of a question."""
    texts = []
    for place in question["places"]:
        lines = (HANDBOOK / place["doc_id"]).read_text(encoding="utf-8").splitlines()
        first, last = place["lines"]
        texts.append(folded("\n".join(lines[first - 1 : last])))
    return texts


def test_there_are_questions_of_every_kind():
    """Enough of each to show whether the bot declines what it should."""
    counts = Counter(question.kind for question in load_questions(QUESTIONS))
    assert counts.total() == 30
    assert all(counts[kind] >= 2 for kind in QuestionKind)


@pytest.mark.parametrize("question", LINES, ids=lambda question: question["id"])
def test_the_labels_of_a_question_hold(question):
    """Its places are where it says, a key stands in each of them, and its answers stand word for word."""
    assert in_step(question) == question, "run: python benchmarks/handbook_questions.py"
    assert set(question["doc_ids"]) == {place["doc_id"] for place in question["places"]}
    texts = places(question)
    assert all(any(folded(key) in text for key in question["key"]) for text in texts)
    assert all(any(folded(answer) in text for text in texts) for answer in question["answers"] or ())
    assert bool(texts) is QuestionKind(question["kind"]).expects_answer


@pytest.mark.slow
def test_the_readme_s_evaluation_runs_as_printed(tmp_path, command):
    """Here over two pages and a few of the questions, which takes seconds."""
    [printed] = re.findall(
        r"^\.venv/bin/knowledge-bot (evaluate .*)$", README.read_text(encoding="utf-8"), re.MULTILINE
    )
    arguments = printed.split()
    assert (README.parent / arguments[arguments.index("--questions") + 1]).samefile(QUESTIONS)
    assert (README.parent / arguments[arguments.index("--knowledge") + 1]).samefile(HANDBOOK)
    pages = {"asking.md", "privacy.md"}
    (tmp_path / "knowledge").mkdir()
    for page in pages:
        shutil.copy(HANDBOOK / page, tmp_path / "knowledge")
    asked = [question for question in LINES if question["doc_ids"] and pages.issuperset(question["doc_ids"])]
    few = [*asked, *(question for question in LINES if question["kind"] == QuestionKind.OFFTOPIC)]
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / QUESTIONS.name).write_text("\n".join(map(json.dumps, few)), encoding="utf-8")
    done = command(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["overall"]
    assert figures["questions"] == len(few) >= 5
    assert figures["scores"]["hit_at_5"] == 1
    assert (tmp_path / "report" / "index.html").is_file()
