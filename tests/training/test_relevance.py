"""Training the relevance model with its real base, on so little that it learns nothing: examples from the bot's own search,
and the model that is written."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from bot.cli import app
from bot.core.errors import TrainingError
from bot.core.settings import ModelsSettings, ReaderSettings
from bot.inference import weights
from bot.inference.span_model import SHIPPED, SpanQuery, load_span_model
from bot.training.relevance import RelevanceTraining, train
from bot.training.relevance_examples import (
    Documentation,
    Group,
    TrainingPassage,
    encyclopedia_groups,
    load_groups,
    sampled,
    save_groups,
    section_id,
    written,
)

PLAN = RelevanceTraining(start=str(SHIPPED), epochs=1, groups=2, passages=2, longest=48)

SECTIONS = (
    ("lake/boats", "hire.md", ["Prices"], "A rowing boat costs 14 euros an hour.\nA pedal boat costs 19 euros."),
    ("lake/boats", "hire.md", ["May I bring my dog?"], "Dogs may come along on a leash."),
    ("lake/boats", "weather.md", ["Storm"], "When the orange lamp flashes, row ashore at once."),
    ("kiln", "firing.md", ["Cooling"], "Open the kiln below 90 degrees only, or the glaze cracks."),
    ("kiln", "firing.md", ["Heating up"], "Raise the heat by 60 degrees an hour."),
)
QUESTIONS = (
    (0, "what do i pay for a rowing boat", "fact", ["14 euros"], "A rowing boat costs 14 euros an hour."),
    (0, "do you hire out sailing boats?", "unanswerable", [], ""),
    (2, "the lamp is blinking, what now", "troubleshooting", ["row ashore"], SECTIONS[2][3]),
    (3, "When may I open it after firing?", "howto", ["90 degrees"], SECTIONS[3][3]),
)


@pytest.fixture(scope="module", autouse=True)
def timing_decides_nothing() -> Iterator[None]:
    """The number format depends on the processor only, not on how busy it is just now."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "_seconds", lambda dtype: 1.0 if dtype is torch.bfloat16 else 2.0)
        yield


def write_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of training data: two sources, four questions that somebody wrote, and a paragraph of an encyclopedia."""
    folder = tmp_path / "data"
    folder.mkdir()
    sections = [
        {"source": source, "path": path, "title": path.title(), "headings": headings, "text": text}
        for source, path, headings, text in SECTIONS
    ]
    questions = []
    for number, question, subtype, key, answer in QUESTIONS:
        source, path, headings, text = SECTIONS[number]
        identity = section_id(source, path, headings, text)
        places = [[text.index(words), text.index(words) + len(words)] for words in key]
        place = [text.index(answer), text.index(answer) + len(answer)] if answer else None
        questions.append({"id": identity, "question": question, "subtype": subtype, "key": places, "answer": place})
    write_rows(folder / "sections-a.jsonl", sections[:3])
    write_rows(folder / "sections-b.jsonl", sections[3:])
    write_rows(folder / "questions.jsonl", questions)
    context = "The tower of Brill was built by Ada Rook in 1604."
    common = {"context_id": "Brill/1", "context": context}
    write_rows(
        folder / "squad.jsonl",
        [
            common | {"question": "Who built the tower?", "answer": "Ada Rook", "start": context.index("Ada")},
            common | {"question": "Who pulled it down?", "answer": None, "start": None},
        ],
    )
    return folder


def group(number: int) -> Group:
    right = f"Boats\nThe boat number {number} costs {number + 10} euros."
    at = right.index(f"{number + 10} euros")
    candidates = (
        TrainingPassage("Boats\nThe shop opens at nine.", 6, right=False),
        TrainingPassage(right, 6, right=True, spans=((at, at + 8),)),
    )
    return Group(f"what does boat {number} cost", "lake/boats", "fact", candidates)


GROUPS = [group(number) for number in range(8)]


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


# --- examples ---------------------------------------------------------------------------------------------------------


def test_documents_are_put_together_from_their_sections(data: Path) -> None:
    documentation = Documentation(data)
    assert documentation.sources == ["kiln", "lake/boats"]
    documents, asked = documentation.documents("lake/boats")
    assert [(document.path, document.title) for document in documents] == [
        ("hire.md", "Hire.Md"),
        ("weather.md", "Weather.Md"),
    ]
    assert [block.heading for block in documents[0].blocks] == [("Prices",), ("May I bring my dog?",)]
    assert [one.question for one in asked] == [
        "what do i pay for a rowing boat",
        "do you hire out sailing boats?",
        "May I bring my dog?",
        "the lamp is blinking, what now",
    ]
    assert [one.lines is None for one in asked] == [False, True, False, False]


def test_groups_come_back_from_their_file_as_they_were(tmp_path: Path) -> None:
    save_groups(tmp_path / "groups.jsonl", GROUPS)
    assert load_groups(tmp_path / "groups.jsonl") == GROUPS
    assert [file.name for file in tmp_path.iterdir()] == ["groups.jsonl"]


def test_a_paragraph_of_an_encyclopedia_answers_or_only_looks_so(data: Path) -> None:
    answerable, not_so = encyclopedia_groups(data / "squad.jsonl", random.Random(0))
    [candidate] = answerable.candidates
    assert [candidate.text[slice(*span)] for span in candidate.spans] == ["Ada Rook"]
    assert (candidate.right, not_so.candidates[0].right, not_so.subtype) == (True, False, "unanswerable")


def test_what_nobody_had_to_write_is_sampled(data: Path) -> None:
    """All written questions, 60 stored ones and 22 headings of each source, and the encyclopedia; the model is measured with
    the written ones."""
    made = [
        replace(GROUPS[0], question=f"{subtype} {n}", subtype=subtype)
        for subtype in ("faq", "heading")
        for n in range(99)
    ]
    of_source = [*GROUPS, *made]
    chosen = sampled({"one": of_source, "two": made}, data / "squad.jsonl", random.Random(0))
    assert len(chosen) == len(GROUPS) + 2 * (60 + 22) + 2
    assert written(of_source) == GROUPS


@pytest.mark.parametrize("missing", ["sections*.jsonl", "questions*.jsonl"])
def test_a_missing_file_is_named(data: Path, missing: str) -> None:
    for file in data.glob(missing):
        file.unlink()
    with pytest.raises(TrainingError, match=r"there is no (sections|questions)"):
        Documentation(data)


@pytest.mark.parametrize(
    ("line", "problem"), [("{", "not valid JSON"), ('{"id": "1"}', "it has no question"), ("[]", "no id")]
)
def test_a_line_that_is_none_is_named(data: Path, line: str, problem: str) -> None:
    (data / "questions.jsonl").write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(TrainingError, match=rf"questions\.jsonl line 1: .*{problem}"):
        Documentation(data)


def test_a_file_that_is_no_text_is_named(data: Path) -> None:
    (data / "questions.jsonl").write_bytes(b'{"id": "\xff"}\n')
    with pytest.raises(TrainingError, match=r"questions\.jsonl: not UTF-8 text \(byte 9\)"):
        Documentation(data)


def test_a_separator_of_lines_within_a_text_ends_no_line(data: Path) -> None:
    """JSON lines end with a line feed alone."""
    file = data / "questions.jsonl"
    file.write_text(file.read_text(encoding="utf-8").replace("?", "?\u2028"), encoding="utf-8")
    assert Documentation(data)


# --- the training -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trained:
    folder: Path
    figures: dict[str, dict[str, float]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Four steps from beginning to end."""
    folder = tmp_path_factory.mktemp("trained") / "new"
    return Trained(folder, train(GROUPS, GROUPS[:3], folder, PLAN, lambda *_: None))


def test_the_model_that_was_trained_judges(trained: Trained) -> None:
    """It has a head for the relevance, so no span is likelier than that."""
    model = load_span_model(ReaderSettings(model=str(trained.folder)), ModelsSettings())
    [judged] = model.read([SpanQuery("When does the ferry leave?", "The ferry to the island leaves at nine.")])
    assert judged.spans
    assert judged.spans[0].score <= judged.relevance
    assert not any("word_embeddings" in name for name in weights_of(trained.folder))


def test_a_training_leaves_a_record(trained: Trained) -> None:
    record = json.loads((trained.folder / "training.json").read_text(encoding="utf-8"))
    assert record["held_out"] == trained.figures
    assert record["plan"]["seed"] == PLAN.seed
    assert trained.figures["lake/boats"].keys() == {"questions", "search_hit_1", "hit_1", "hit_3"}
    assert (trained.figures["lake/boats"]["questions"], trained.figures["lake/boats"]["search_hit_1"]) == (3, 0)


def test_what_holds_no_model_is_no_beginning(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="holds no model to begin with"):
        train(GROUPS, [], tmp_path / "out", replace(PLAN, start=str(tmp_path)), lambda *_: None)


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_asks_each_source_and_trains(data: Path, tmp_path: Path) -> None:
    """The groups are kept, so that a second call asks nothing; the figures are those of the source that was held out."""
    output = tmp_path / "out"
    call = ["train-relevance", "--data", str(data), "--output", str(output), "--held-out", "kiln", "--epochs", "0.5"]
    said = CliRunner().invoke(app, call, catch_exceptions=False)
    assert said.exit_code == 0
    assert said.stdout.startswith("kiln: questions 1, search_hit_1 ")
    assert (output / "model.safetensors").is_file()
    assert sorted(file.name for file in (output / "groups").iterdir()) == ["kiln.jsonl", "lake+boats.jsonl"]
    groups = {one.question: one for one in load_groups(output / "groups" / "lake+boats.jsonl")}
    assert not any(candidate.right for candidate in groups["do you hire out sailing boats?"].candidates)
    [right] = [one for one in groups["what do i pay for a rowing boat"].candidates if one.right]
    assert [right.text[slice(*span)] for span in right.spans] == ["14 euros"]
    for file in (output / "groups").iterdir():
        file.write_text("not asked again", encoding="utf-8")
    with pytest.raises(ValueError, match="Expecting value"):
        CliRunner().invoke(app, call, catch_exceptions=False)


def test_a_source_that_is_none_can_t_be_held_out(data: Path, tmp_path: Path) -> None:
    call = ["train-relevance", "--data", str(data), "--output", str(tmp_path / "out"), "--held-out", "moon"]
    with pytest.raises(TrainingError, match="has no source moon to hold out"):
        CliRunner().invoke(app, call, catch_exceptions=False)
