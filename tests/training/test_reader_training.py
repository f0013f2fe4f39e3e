"""Training the reader on a tiny base, on so little that it learns nothing: the files it leaves, and going on after a kill."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from test_examples import write_data

from bot.core.errors import TrainingError
from bot.core.settings import ModelsSettings, ReaderSettings
from bot.inference import weights
from bot.inference.span_model import SpanQuery, load_span_model
from bot.inference.weights import find_weights
from bot.inference.workers import Models
from bot.training.examples import ReadingExample
from bot.training.loop import Figures
from bot.training.reader import ReaderTraining, _Reader, measure_reading, train
from tests import tiny_readers


@dataclass(frozen=True, slots=True)
class Trained:
    folder: Path
    figures: Figures
    progress: list[tuple[int, int, str]]


@pytest.fixture(scope="module", autouse=True)
def timing_decides_nothing() -> Iterator[None]:
    """The number format depends on the processor only, not on how busy it is just now."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "_seconds", lambda dtype: 1.0 if dtype is torch.bfloat16 else 2.0)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"), paragraphs=8, tales=6, sentences=8, sections=4)


@pytest.fixture(scope="module")
def plan(data: Path, tmp_path_factory: pytest.TempPathFactory) -> ReaderTraining:
    """Two steps of the first phase and four of the second."""
    corpus = " ".join(file.read_text(encoding="utf-8") for file in data.iterdir())
    base = tiny_readers.encoder(tmp_path_factory.mktemp("base"), corpus)
    return ReaderTraining(base=str(base), sentence_examples=20, paragraph_examples=40, batch=10)


@pytest.fixture(scope="module")
def trained(plan: ReaderTraining, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A training from beginning to end, into a folder that was not there."""
    folder = tmp_path_factory.mktemp("trained") / "new" / "reader"
    told: list[tuple[int, int, str]] = []
    figures = train(data, folder, plan, lambda *progress: told.append(progress))
    return Trained(folder, figures, told)


@pytest.fixture(scope="module")
def reader() -> _Reader:
    return _Reader(ReaderTraining(longest=40))


def far(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The distance of two sets of weights."""
    assert one.keys() == other.keys()
    return sum(float((one[name].float() - other[name].float()).square().sum()) for name in one) ** 0.5


def trained_weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


# --- what a training leaves -------------------------------------------------------------------------------------------


def test_progress_counts_every_example(trained: Trained) -> None:
    """Ten a step, of 60, and how it goes."""
    assert [(done, total) for done, total, _ in trained.progress] == [(10 * step, 60) for step in range(1, 7)]
    assert all(float(words.removeprefix("loss ")) > 0 for _, _, words in trained.progress)


def test_the_model_that_was_trained_reads(trained: Trained, plan: ReaderTraining) -> None:
    """It is loaded as any other, and marks words of the context; the word embeddings are the encoder's own."""
    model = load_span_model(ReaderSettings(model=str(trained.folder)), ModelsSettings())
    context = "The ferry to the island leaves at nine."
    [judged] = model.read([SpanQuery("When does the ferry leave?", context)])
    assert judged.spans
    assert all(context[slice(*span.span)].strip() for span in judged.spans)
    assert judged.relevance == judged.spans[0].score, "there is no head for it"
    config = json.loads((trained.folder / "config.json").read_text(encoding="utf-8"))
    assert config["word_embeddings_of"] == plan.base
    assert not any("word_embeddings" in name for name in trained_weights(trained.folder))


def test_a_training_leaves_a_record(trained: Trained, plan: ReaderTraining) -> None:
    """The plan, and how well it reads what was held out: one paragraph with three questions, two of them answered there, and
    one tale."""
    record = json.loads((trained.folder / "training.json").read_text(encoding="utf-8"))
    assert record == {"plan": asdict(plan) | {"start": []}, "held_out": trained.figures}
    assert {name: set(figures) for name, figures in trained.figures.items()} == {
        "squad": {"examples", "exact", "f1", "auroc"},
        "fairytaleqa": {"examples", "exact", "f1"},
    }
    assert (trained.figures["squad"]["examples"], trained.figures["fairytaleqa"]["examples"]) == (3, 1)


def test_the_real_base_can_be_trained(data: Path, tmp_path: Path) -> None:
    """In one step, with its own tokens and layers."""
    real = ReaderTraining(sentence_examples=0, paragraph_examples=4, batch=4, longest=64)
    figures = train(data, tmp_path, real, lambda *_: None)
    assert figures.keys() == {"squad", "fairytaleqa"}
    trained_names = trained_weights(tmp_path).keys()
    assert {name.split(".")[0] for name in trained_names} == {"bert", "qa_outputs"}


# --- going on ---------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """No error that anything would catch."""


@pytest.mark.parametrize("last_step", [2, 4])
def test_a_training_that_was_killed_goes_on_where_it_was(
    trained: Trained, data: Path, tmp_path: Path, plan: ReaderTraining, last_step: int
) -> None:
    """In either phase, with the state of chance, of the optimizer and of the average: it ends with the same weights.

    The step that the kill comes in is lost and done again.
    """
    steps = count(1)

    def killing(_done: int, _total: int, _words: str) -> None:
        if next(steps) == last_step:
            raise Killed

    with pytest.raises(Killed):
        train(data, tmp_path, plan, killing, save_every_seconds=0)
    assert not (tmp_path / "model.safetensors").exists()
    told: list[int] = []
    train(data, tmp_path, plan, lambda done, _total, _words: told.append(done))
    assert told == [10 * step for step in range(last_step, 7)]
    assert far(trained_weights(trained.folder), trained_weights(tmp_path)) == 0


def test_a_training_that_is_done_is_not_done_again(trained: Trained, data: Path, plan: ReaderTraining) -> None:
    """It writes what it has: a kill before that loses nothing."""
    right = trained_weights(trained.folder)
    (trained.folder / "model.safetensors").unlink()
    told: list[int] = []
    figures = train(data, trained.folder, plan, lambda done, _total, _words: told.append(done))
    assert (told, figures) == ([], trained.figures)
    assert far(right, trained_weights(trained.folder)) == 0


# --- beginning with what was trained before ---------------------------------------------------------------------------


def test_of_several_readers_the_mean_of_their_weights_is_the_beginning(
    trained: Trained, data: Path, tmp_path: Path, plan: ReaderTraining
) -> None:
    """With nothing to train on that mean is what is written; with something, it is where the way begins."""
    other, mean, further = (tmp_path / name for name in ("other", "mean", "further"))
    train(data, other, replace(plan, seed=21, sentence_examples=0, paragraph_examples=20), lambda *_: None)
    both = replace(plan, start=(str(trained.folder), str(other)), sentence_examples=0, paragraph_examples=0)
    train(data, mean, both, lambda *_: None)
    one, two, found = map(trained_weights, (trained.folder, other, mean))
    right = {name: ((one[name].float() + two[name].float()) / 2).to(torch.bfloat16) for name in one}
    assert far(one, two) > 0
    assert far(right, found) == 0
    train(data, further, replace(both, paragraph_examples=40), lambda *_: None)
    assert 0 < far(found, trained_weights(further)) < far(one, two)


def test_without_examples_and_without_readers_there_is_nothing_to_write(
    data: Path, tmp_path: Path, plan: ReaderTraining
) -> None:
    """A model that never learnt anything would look like a reader."""
    with pytest.raises(TrainingError, match="nothing to train on"):
        train(data, tmp_path / "out", replace(plan, sentence_examples=0, paragraph_examples=0), lambda *_: None)
    assert not (tmp_path / "out").exists()


def test_what_is_no_trained_reader_is_no_beginning(data: Path, tmp_path: Path, plan: ReaderTraining) -> None:
    """Neither an empty folder nor the base, whose weights have other names."""
    base = find_weights(plan.base).folder
    for folder, problem in ((tmp_path / "empty", "holds no reader to begin with"), (base, "of another base")):
        with pytest.raises(TrainingError, match=problem):
            train(data, tmp_path / "out", replace(plan, start=(str(folder),)), lambda *_: None)


# --- what is learnt from an example -----------------------------------------------------------------------------------


def pieces(reader: _Reader, ids: torch.Tensor, mask: torch.Tensor) -> list[str]:
    return reader.tokenizer.convert_ids_to_tokens(ids[mask].tolist())


def test_the_tokens_of_a_target_are_to_be_found(reader: _Reader) -> None:
    """Exactly its first and its last; any within a loose one; [CLS] where there is none or where it is cut off."""
    context = "The ferry leaves at nine. It is blue."
    told = context.index("nine")
    examples = [
        ReadingExample("When?", context, ((4, 9), (told - 3, told + 4))),
        ReadingExample("When?", context, ((0, 25),), loose=True),
        ReadingExample("Why?", context),
        ReadingExample("When?", "It was cold. " * 20 + context, ((13 * 20 + told, 13 * 20 + told + 4),)),
    ]
    batch = reader.batch(examples)
    ids = batch.inputs["input_ids"]
    assert ids.shape == (4, 40)
    assert [pieces(reader, row, mask) for row, mask in zip(ids, batch.starts, strict=True)] == [
        ["ferry", "at"],
        ["the", "ferry", "leaves", "at", "nine", "."],
        ["[CLS]"],
        ["[CLS]"],
    ]
    assert [pieces(reader, row, mask) for row, mask in zip(ids, batch.ends, strict=True)] == [
        ["ferry", "nine"],
        ["the", "ferry", "leaves", "at", "nine", "."],
        ["[CLS]"],
        ["[CLS]"],
    ]


def test_an_answer_is_looked_for_in_the_context_only(reader: _Reader) -> None:
    """Not in the question, nor in what fills up the batch; [CLS] stands for no answer."""
    batch = reader.batch(
        [ReadingExample("Is it blue?", "It is."), ReadingExample("Why?", "It is blue and green and red.")]
    )
    allowed = [pieces(reader, *both) for both in zip(batch.inputs["input_ids"], batch.allowed, strict=True)]
    assert allowed == [["[CLS]", "it", "is", "."], ["[CLS]", *"it is blue and green and red .".split()]]


# --- how well a model reads -------------------------------------------------------------------------------------------


def test_reading_is_measured_against_the_nearest_target(models: Models) -> None:
    """By hand: one answer is exact; the other is two words of three, which gives 2 * 2 / (2 + 3) = 0.8; both contexts with
    an answer are preferred to the one without."""
    context = "The mayor is called Rosalind Berg. She likes tea."
    answer = context.index("Rosalind Berg")
    examples = [
        ReadingExample("What is the mayor's name?", context, ((0, 3), (answer, answer + 13))),
        ReadingExample("What is the mayor's name?", context, ((answer - 7, answer + 13),)),
        ReadingExample("What is the mayor's name?", "The market is held on Saturdays and has forty stalls."),
    ]
    assert measure_reading(models.reader, examples) == {"examples": 3, "exact": 0.5, "f1": 0.9, "auroc": 1.0}


def test_a_title_is_read_but_is_no_answer(models: Models) -> None:
    """Where an example begins behind it."""
    context, answer = "Rosalind Berg\nThe mayor is Rosalind Berg.", (27, 40)
    example = ReadingExample("Who is the mayor?", context, (answer,), begin=14)
    assert context[slice(*answer)] == "Rosalind Berg"
    assert measure_reading(models.reader, [example])["exact"] == 1
    assert measure_reading(models.reader, [replace(example, begin=41)]) == {"examples": 1, "exact": 0, "f1": 0}


def test_without_both_kinds_there_is_nothing_to_tell_apart(models: Models) -> None:
    """No share of pairs in the right order where there are no pairs."""
    examples = [ReadingExample("Who is the mayor?", "Rosalind Berg is.", ((0, 13),))]
    assert measure_reading(models.reader, examples).keys() == {"examples", "exact", "f1"}


def test_without_answers_there_are_no_figures_of_answers(models: Models) -> None:
    """No mean of nothing."""
    assert measure_reading(models.reader, [ReadingExample("Who is the mayor?", "Forty stalls.")]) == {"examples": 1}
