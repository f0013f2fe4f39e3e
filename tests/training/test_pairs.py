"""The data for fine-tuning: made by the real search from real documents, read back, and what is wrong with it told."""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.core.errors import TrainingError
from bot.core.messages import Address, Question
from bot.core.settings import Settings
from bot.engine.qa import REFUSAL
from bot.inference.workers import Models
from bot.runtime.application import open_application
from bot.training import pairs
from bot.training.pairs import HELD_OUT, SPLITS, TRAIN, VALIDATION, Origin, Prepared, TuningExample, prepare, split_of
from tests.catalogue import catalogue, write_catalogue

FAQ = "question,answer\n" + "".join(
    f"What does the button {n} do?,The button {n} opens door number {n}.\n" for n in range(3)
)


async def prepared(settings: Settings, models: Models, output: Path) -> tuple[Prepared, dict[str, list[TuningExample]]]:
    async with open_application(settings, models, golden=False) as application:
        await application.indexer.index_folder(settings.knowledge.folder)
        told = await prepare(application, output)
    return told, {split: pairs.load(output, split) for split in SPLITS}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("pairs")


@pytest.fixture(scope="module")
def made(models, place):
    """Of sixteen documents, made once."""
    write_catalogue(place / "knowledge").joinpath("faq.csv").write_text(FAQ)
    settings = Settings(knowledge={"folder": place / "knowledge"}, storage={"folder": place / "data"})
    return asyncio.run(prepared(settings, models, place / "out"))


def test_questions_come_from_headings_and_pairs_with_the_documents_own_words(made):
    """Every heading that asks, and every stored pair, with what stands right below; nothing is made up."""
    told, splits = made
    answered = [one for examples in splits.values() for one in examples if one.kind is not Origin.REFUSAL]
    assert Counter(one.kind for one in answered) == {Origin.HEADING: 64, Origin.PAIR: 3}
    for one in answered:
        source = FAQ if one.kind is Origin.PAIR else catalogue()[one.document]
        assert one.question in source
        assert one.answer in source
    assert sum(counts.total() for counts in told.counts.values()) == sum(map(len, splits.values()))


def test_an_example_shows_the_passage_that_answers_as_serving_would(made, settings):
    """Among as many as a model is shown; its place and its text."""
    _, splits = made
    for one in (one for examples in splits.values() for one in examples if one.kind is not Origin.REFUSAL):
        assert 1 <= len(one.passages) <= settings.generator.passages
        assert any(one.answer in passage.text for passage in one.passages), one
    first = sum(one.answer in one.passages[0].text for one in splits[TRAIN] if one.kind is not Origin.REFUSAL)
    assert first > 0.7 * len(splits[TRAIN])  # search does its work


def test_no_document_is_in_two_splits_and_nothing_held_out_is_seen_in_training(made):
    """Not even as a passage beside the right one."""
    told, splits = made
    documents = {split: {one.document for one in examples} for split, examples in splits.items()}
    assert all(documents.values())
    assert not documents[TRAIN] & documents[VALIDATION]
    assert not (documents[TRAIN] | documents[VALIDATION]) & documents[HELD_OUT]
    titles = {catalogue()[name].split("\n")[0].removeprefix("# ") for name in documents[HELD_OUT] if name != "faq.csv"}
    shown = {passage.place.split(" › ")[0] for one in splits[TRAIN] + splits[VALIDATION] for passage in one.passages}
    assert titles
    assert not titles & shown
    assert sum(told.documents.values()) == 17


def test_refusals_show_passages_of_other_documents_that_do_not_answer(made):
    """With one fixed sentence; what is held out has none, for it is asked without its documents anyway."""
    _, splits = made
    refusals = [one for one in splits[TRAIN] if one.kind is Origin.REFUSAL]
    assert len(refusals) >= 5
    for one in refusals:
        assert one.answer == REFUSAL
        own = catalogue().get(one.document, "# FAQ").split("\n")[0].removeprefix("# ")
        assert own not in {passage.place.split(" › ")[0] for passage in one.passages}
    assert not [one for one in splits[HELD_OUT] if one.kind is Origin.REFUSAL]


async def test_the_same_documents_give_the_same_data(settings, models, folder_of, tmp_path):
    """Letter for letter."""
    folder_of(catalogue(8))
    for name in ("one", "other"):
        await prepared(settings, models, tmp_path / name)
    for name in ("README.md", *(f"{split}.jsonl" for split in SPLITS)):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


async def test_a_question_that_stands_in_two_places_is_kept_once(settings, models, folder_of, tmp_path):
    """The pair that somebody wrote with its answer, rather than the heading; whatever its case."""
    folder_of(
        {
            **catalogue(8),
            "faq.csv": "question,answer\nhow much does the BOILER cost?,It costs 42 euros with taxes.\n",
        }
    )
    told, splits = await prepared(settings, models, tmp_path / "out")
    asked = [one for examples in splits.values() for one in examples if "boiler cost" in one.question.lower()]
    assert [one.kind for one in asked if one.kind is not Origin.REFUSAL] == [Origin.PAIR]
    assert told.repeated == 1


async def test_chats_are_left_alone_without_consent(settings, models, folder_of, tmp_path):
    """With it, an answer that somebody found helpful becomes an example; others don't."""
    folder_of(catalogue(8))
    for consent in (False, True):
        chosen = settings.model_copy(
            update={"finetuning": settings.finetuning.model_copy(update={"chat_messages": consent})}
        )
        async with open_application(chosen, models, golden=False) as application:
            await application.indexer.index_folder(settings.knowledge.folder)
            for text, helpful in (("the boiler is how expensive?", True), ("lamp weight please", False)):
                address = Address("test", "chat", f"{text}{consent}")
                question = Question(text, "c", "someone", address, datetime.now(UTC))
                entry = await application.stores.journal.questions.accept(question)
                answer = await application.answering.engine.answer(question)
                await application.stores.journal.questions.answered(entry, 0, answer)
                await application.stores.journal.questions.done(entry, 0, keep=True)
                assert await application.stores.journal.answers.add_feedback(
                    "test", answer.reference, "x", helpful=helpful, reason=""
                )
            await prepare(application, tmp_path / str(consent))
        examples = [one for split in SPLITS for one in pairs.load(tmp_path / str(consent), split)]
        chats = [(one.question, one.answer.count("**")) for one in examples if one.kind is Origin.CHAT]
        assert chats == ([("the boiler is how expensive?", 0)] if consent else [])


async def test_too_few_questions_are_refused_with_what_is_needed(settings, models, folder_of, tmp_path):
    """And no folder is left behind."""
    folder_of(catalogue(3))
    with pytest.raises(TrainingError, match=r"12 questions from 3 documents; .* at least 30 from 3"):
        await prepared(settings, models, tmp_path / "out")
    assert not (tmp_path / "out").exists()


async def test_a_folder_that_is_there_is_not_overwritten(settings, models, folder_of, tmp_path):
    """Somebody may have edited it."""
    folder_of(catalogue())
    (tmp_path / "out").mkdir()
    with pytest.raises(TrainingError, match="is there already"):
        await prepared(settings, models, tmp_path / "out")


def test_documents_are_split_by_size_and_never_divided():
    """About a fifth of the questions is held out and a tenth for validation, whatever the documents' sizes."""
    sizes = {f"{n}.md": 1 + n * 7 % 23 for n in range(40)}
    splits = split_of([path for path, size in sizes.items() for _ in range(size)])
    shares = {
        split: sum(sizes[path] for path in sizes if splits[path] == split) / sum(sizes.values()) for split in SPLITS
    }
    assert shares == {
        TRAIN: pytest.approx(0.7, abs=0.05),
        VALIDATION: pytest.approx(0.1, abs=0.04),
        HELD_OUT: pytest.approx(0.2, abs=0.04),
    }
    assert splits == split_of([path for path, size in reversed(sizes.items()) for _ in range(size)])


def test_three_documents_are_one_for_each_split():
    """However large."""
    assert sorted(split_of(["a"] * 90 + ["b"] * 90 + ["c"] * 90).values()) == sorted(SPLITS)


# --- what an operator edits -------------------------------------------------------------------------------------------

GOOD = {"question": "Why?", "answer": "Because.", "kind": "heading", "document": "a.md"}
PASSAGES = [{"place": "A", "text": "Because of that."}]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "Invalid JSON"),
        (json.dumps(GOOD), "`passages`: Field required"),
        (json.dumps(GOOD | {"passages": []}), "`passages`: .*at least 1"),
        (json.dumps(GOOD | {"passages": PASSAGES, "answer": " "}), "`answer`: .*at least 1"),
        (json.dumps(GOOD | {"passages": PASSAGES, "kind": "other"}), "`kind`: "),
        (json.dumps(GOOD | {"passages": PASSAGES, "anwser": "x"}), "`anwser`: "),
        (json.dumps(GOOD | {"passages": [{"place": "A"}]}), r"`passages\.0\.text`: "),
    ],
)
def test_what_is_wrong_with_a_line_is_named_with_file_and_line(tmp_path, line, problem):
    """Blank lines count, and do no harm."""
    (tmp_path / "train.jsonl").write_text(f"{json.dumps(GOOD | {'passages': PASSAGES})}\n\n{line}\n")
    with pytest.raises(TrainingError, match=rf"train\.jsonl line 3: {problem}"):
        pairs.load(tmp_path, TRAIN)


def test_a_question_that_was_moved_out_of_what_is_held_out_is_noticed(tmp_path):
    """The comparison would flatter."""
    one = TuningExample("Why?", "Because.", Origin.HEADING, "a.md", ())
    for split in SPLITS:
        rows = [GOOD | {"passages": PASSAGES, "question": f"Why {n}{split[:4] if n else ''}?"} for n in range(20)]
        (tmp_path / f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert one.kind is Origin.HEADING
    with pytest.raises(TrainingError, match=r"train\.jsonl: the question 'Why 0\?' is held out too"):
        pairs.load_for_training(tmp_path)


def test_the_library_datasets_opens_the_folder(made, place, tmp_path, monkeypatch):
    """With its three splits; the README says how."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets")
    _, splits = made
    opened = datasets.load_dataset(str(place / "out"), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in opened.items()} == {split: len(splits[split]) for split in SPLITS}
    assert opened[TRAIN][0]["question"] == splits[TRAIN][0].question
    assert opened[TRAIN][0]["passages"][0]["text"] == splits[TRAIN][0].passages[0].text
