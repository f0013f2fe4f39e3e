"""Training the relevance model on a tiny base, step by step; the same steps give the same weights, bit by bit."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from bot.core.settings import ModelsSettings, ReaderSettings
from bot.inference import weights
from bot.inference.span_model import SpanQuery, load_span_model
from bot.training.relevance import RelevanceModel, RelevanceTraining, draw, figures_of, train
from bot.training.relevance_examples import Group, TrainingPassage
from tests import tiny_readers

# --- what is learnt from a group --------------------------------------------------------------------------------------

THINGS = "bowl cup dish jar jug lid plate pot tile vase".split()
CORPUS = " ".join(THINGS) + " how heavy is the weighs grams one two three . ? shelf guide"


def group_of(thing: str, answer: str | None = "two grams") -> Group:
    """A question about a thing; a passage that answers, unless there is no answer, and three about other things."""
    others = [other for other in THINGS if other != thing][:3]
    candidates = [TrainingPassage(f"guide\nthe {other} is on the shelf .", 6, right=False) for other in others]
    if answer is not None:
        text = f"guide\nthe {thing} weighs {answer} ."
        begin = text.index(answer)
        candidates.insert(1, TrainingPassage(text, 6, right=True, spans=((begin, begin + len(answer)),)))
    return Group(f"how heavy is the {thing} ?", "pots", "fact" if answer else "unanswerable", tuple(candidates))


GROUPS = [group_of(thing) for thing in THINGS[:8]] + [group_of(thing, None) for thing in THINGS[8:]]


@given(rights=st.integers(0, 5), wrongs=st.integers(0, 12), size=st.integers(2, 6), seed=st.integers(0, 2**32))
def test_a_drawn_group_is_a_part_of_the_whole(rights: int, wrongs: int, size: int, seed: int) -> None:
    """Never more passages than asked for, two right ones at most, none twice, and right ones stay right."""
    candidates = tuple(TrainingPassage(f"{n}", 0, right=n < rights) for n in range(rights + wrongs))
    drawn = draw(Group("how heavy ?", "pots", "fact", candidates), size, ["and why ?"], random.Random(seed))
    assert len(drawn.candidates) <= size
    assert sum(one.right for one in drawn.candidates) <= 2
    assert set(drawn.candidates) <= set(candidates)
    assert len(set(drawn.candidates)) == len(drawn.candidates)
    assert (drawn.source, drawn.subtype) == ("pots", "fact")


def test_figures_count_what_stands_first() -> None:
    """By hand: the search has the right passage first in one of two, the model in the other, among the best three in both; of
    the four pairs of a question with an answer (best 3 and 2) and one without (best 2.5 and 1) three are in order."""
    one = Group("?", "s", "fact", tuple(TrainingPassage("", 0, right=right) for right in (True, False, False)))
    two = Group("?", "s", "fact", tuple(TrainingPassage("", 0, right=right) for right in (False, True, False)))
    none = Group("?", "s", "unanswerable", (TrainingPassage("", 0, right=False),))
    scored = [(one, [1, 3, 2]), (two, [-1, 2, 0]), (none, [2.5]), (none, [1])]
    figures = figures_of([(group, np.array(scores, dtype=float)) for group, scores in scored])
    assert figures == {"questions": 4, "search_hit_1": 0.5, "hit_1": 0.5, "hit_3": 1, "auroc": 0.75}
    assert figures_of([(none, np.array([1.0]))]) == {"questions": 1}


# --- a training -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trained:
    folder: Path
    plan: RelevanceTraining
    figures: dict[str, dict[str, float]]
    progress: list[tuple[int, int, str]]


@pytest.fixture(scope="module", autouse=True)
def timing_decides_nothing() -> Iterator[None]:
    """The number format depends on the processor only, not on how busy it is just now."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "_seconds", lambda dtype: 1.0 if dtype is torch.bfloat16 else 2.0)
        yield


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> RelevanceTraining:
    """Five steps of two groups, from a reader without a head for relevance."""
    folder = tmp_path_factory.mktemp("begin")
    base = tiny_readers.encoder(folder / "base", CORPUS)
    start = tiny_readers.reader(folder / "reader", base)
    return RelevanceTraining(
        start=str(start), base=str(base), epochs=1, groups=2, passages=3, longest=32, frozen_layers=1
    )


@pytest.fixture(scope="module")
def trained(plan: RelevanceTraining, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A training from beginning to end, into a folder that was not there."""
    folder = tmp_path_factory.mktemp("trained") / "new" / "reader"
    told: list[tuple[int, int, str]] = []
    figures = train(GROUPS, GROUPS[6:], folder, plan, lambda *progress: told.append(progress))
    return Trained(folder, plan, figures, told)


def trained_weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def differing(one: Path, other: Path) -> list[str]:
    """The names of the weights that are not the same to the last bit."""
    first, second = trained_weights(one), trained_weights(other)
    assert first.keys() == second.keys()
    return [name for name in first if not torch.equal(first[name], second[name])]


def test_progress_counts_the_groups(trained: Trained) -> None:
    """Two a step, of ten, with each part of the loss."""
    assert [(done, total) for done, total, _ in trained.progress] == [(2 * step, 10) for step in range(1, 6)]
    assert all(words.split()[::2] == ["among", "alone", "words"] for _, _, words in trained.progress)


def test_the_model_that_was_trained_judges_and_marks(trained: Trained) -> None:
    """It is loaded as any other reader. Its relevance comes from the head that was trained, not from the spans."""
    model = load_span_model(ReaderSettings(model=str(trained.folder)), ModelsSettings())
    task = SpanQuery("how heavy is the jar ?", "the jar weighs two grams .")
    [scores] = model.read([task])
    assert scores.spans
    head = {name: weight for name, weight in trained_weights(trained.folder).items() if name.startswith("relevance.")}
    assert {name: tuple(weight.shape) for name, weight in head.items()} == {
        "relevance.weight": (1, 16),
        "relevance.bias": (1,),
    }
    assert scores.relevance != scores.spans[0].score


def test_word_embeddings_stay_with_the_base_and_frozen_layers_as_they_were(trained: Trained) -> None:
    found, begun = trained_weights(trained.folder), trained_weights(Path(trained.plan.start))
    assert not any("word_embeddings" in name for name in found)
    changed = {name for name in begun if not torch.equal(found[name], begun[name].to(torch.bfloat16))}
    assert any("layer.1" in name for name in changed)
    assert not any("layer.0" in name or "embeddings" in name for name in changed)


class Killed(BaseException):
    """No error that anything would catch."""


@pytest.mark.parametrize("last_step", [2, 4])
def test_a_training_that_was_killed_goes_on_where_it_was(trained: Trained, tmp_path: Path, last_step: int) -> None:
    """With the state of chance, of the optimizer and of the average: it ends with the same weights, bit by bit.

    The step that the kill comes in is lost and done again.
    """
    steps = count(1)

    def killing(_done: int, _total: int, _words: str) -> None:
        if next(steps) == last_step:
            raise Killed

    with pytest.raises(Killed):
        train(GROUPS, [], tmp_path, trained.plan, killing, save_every_seconds=0)
    assert not (tmp_path / "model.safetensors").exists()
    told: list[int] = []
    train(GROUPS, [], tmp_path, trained.plan, lambda done, _total, _words: told.append(done))
    assert told == [2 * step for step in range(last_step, 6)]
    assert differing(trained.folder, tmp_path) == []


def test_a_training_that_is_done_is_not_done_again(trained: Trained) -> None:
    """It writes what it has: a kill before that loses nothing."""
    right = trained_weights(trained.folder)
    (trained.folder / "model.safetensors").unlink()
    told: list[int] = []
    figures = train(GROUPS, GROUPS[6:], trained.folder, trained.plan, lambda done, _total, _words: told.append(done))
    assert (told, figures) == ([], trained.figures)
    found = trained_weights(trained.folder)
    assert all(torch.equal(right[name], found[name]) for name in right)


def test_a_relevance_model_is_a_beginning_with_its_head(trained: Trained, tmp_path: Path) -> None:
    """With nothing to train on, what is written is what it began with."""
    again = replace(trained.plan, start=str(trained.folder))
    train([], [], tmp_path, again, lambda *_: None)
    assert differing(trained.folder, tmp_path) == []


def test_the_tokens_of_the_words_that_matter_are_to_be_found(plan: RelevanceTraining) -> None:
    """Their first and their last, behind the title; of words that are cut off, none. Groups may have fewer passages."""
    model = RelevanceModel(plan)
    cut = TrainingPassage("guide\n" + "the shelf . " * 20 + "two grams", 6, right=True, spans=((246, 255),))
    whole = group_of("jar")
    batch = model.batch([Group("how heavy is the jar ?", "pots", "fact", (cut,)), whole])
    assert batch.present.tolist() == [[True, False, False, False], [True, True, True, True]]
    assert batch.right.tolist() == [[True, False, False, False], [False, True, False, False]]

    def pieces(mask: torch.Tensor) -> list[list[str]]:
        rows = zip(batch.inputs["input_ids"], mask, strict=True)
        return [model.tokenizer.convert_ids_to_tokens(ids[places].tolist()) for ids, places in rows]

    assert pieces(batch.starts) == [[], [], ["two"], [], []]
    assert pieces(batch.ends) == [[], [], ["grams"], [], []]
    assert pieces(batch.allowed)[2] == "the jar weighs two grams .".split()
