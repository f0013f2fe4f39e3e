"""Golden questions guard the index: through the real engine, over the index as it would be."""

import json
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from evaluation_samples import OFFTOPIC, UNANSWERABLE, answerable, answered, declined, result, suggested

from bot.core.errors import IndexUnavailable
from bot.evaluation.golden import is_as_expected
from bot.evaluation.questions import EvaluationQuestion, QuestionKind
from bot.runtime.application import open_application

GUIDE = "# Brewing guide\n\n## Water\n\nUse water at 92 to 96 degrees. It should be soft.\n"
WATER = {"question": "how hot should the water be?", "doc_id": "guide.md", "answers": ["92 to 96 degrees"]}
MATCH = {"question": "who won the football match?", "answers": []}


@pytest.fixture
def application(settings, models, folder_of):
    """Open the bot over some files, with golden questions and settings."""

    @asynccontextmanager
    async def opened(files=None, golden=(WATER, MATCH), *, accept=False, **sections):
        lines = "\n".join(map(json.dumps, golden))
        folder = folder_of({**(files or {}), **({"golden.jsonl": lines} if golden else {})})
        updated = {name: getattr(settings, name).model_copy(update=update) for name, update in sections.items()}
        async with open_application(settings.model_copy(update=updated), models, accept=accept) as application:
            yield application, folder

    return opened


async def indexed(application, folder):
    return await application.indexer.index_folder(folder)


async def passages(application):
    return (await application.stores.knowledge.summary()).passages


async def test_the_first_index_is_accepted_and_told_how_it_answers(application):
    """There is nothing yet that it could be worse than."""
    async with application({"guide.md": GUIDE}) as (opened, folder):
        report = await indexed(opened, folder)
    assert report.review.accepted
    assert report.review.findings == ("2 of 2 golden questions are answered as expected.",)
    assert [file.path for file in report.files] == ["guide.md"]  # the questions themselves are no document


async def test_a_change_that_loses_an_answer_keeps_the_previous_index(application):
    """The report names the lost answers; a deletion can be as bad as an edit."""
    async with application({"guide.md": GUIDE}) as (opened, folder):
        await indexed(opened, folder)
        (folder / "guide.md").write_text(GUIDE.replace("92 to 96", "50 to 60"))
        report = await indexed(opened, folder)
        assert not report.review.accepted
        assert report.review.findings == (
            "1 of 2 golden questions are answered as expected.",
            "Got worse: “how hot should the water be?” is answered from guide.md without “92 to 96 degrees”.",
        )
        [passage] = await opened.stores.knowledge.passages("guide.md", 0, 9)
        assert "92 to 96" in passage.body
        (folder / "guide.md").write_text("# Milk\n\nFoam it.")
        report = await indexed(opened, folder)
        assert "is not answered" in report.review.findings[1]


async def test_a_change_that_hurts_no_golden_question_goes_live(application):
    """And it becomes what the next one is compared with."""
    async with application({"guide.md": GUIDE}) as (opened, folder):
        await indexed(opened, folder)
        (folder / "milk.md").write_text("# Milk\n\nFoam the milk at 65 degrees.")
        assert (await indexed(opened, folder)).review.accepted
        assert await passages(opened) == 2


async def test_losses_up_to_the_setting_are_accepted(application):
    """For whoever changes the documents more often than the questions."""
    async with application({"guide.md": GUIDE}, knowledge={"golden_losses": 1}) as (opened, folder):
        await indexed(opened, folder)
        (folder / "guide.md").write_text(GUIDE.replace("92 to 96", "50 to 60"))
        report = await indexed(opened, folder)
        assert report.review.accepted
        assert report.review.findings[1].startswith("Got worse: ")


async def test_an_operator_may_accept_what_got_worse(application):
    """From then on, that is what the next index is compared with."""
    changed = GUIDE.replace("92 to 96", "50 to 60")
    async with application({"guide.md": GUIDE}) as (opened, folder):
        await indexed(opened, folder)
    async with application({"guide.md": changed}, accept=True) as (opened, folder):
        assert (await indexed(opened, folder)).review.accepted
    async with application({"guide.md": changed + "\nMore.\n"}) as (opened, folder):
        assert (await indexed(opened, folder)).review.accepted


async def test_another_threshold_is_examined_without_a_change_of_the_documents(application):
    """What got worse is told each time, until it is undone or accepted; the same settings ask nothing again."""
    async with application({"guide.md": GUIDE}) as (opened, folder):
        await indexed(opened, folder)
        assert (await indexed(opened, folder)).review.findings == ()
    for _ in range(2):
        async with application(answer={"threshold": 0.999}) as (opened, folder):
            report = await indexed(opened, folder)
            assert not report.review.accepted
            assert "Got worse" in report.review.findings[1]
            assert await passages(opened) == 1


async def test_an_encoder_that_answers_worse_keeps_the_index_of_the_other(application, encoder, monkeypatch):
    """The error says so, because the new encoder has no index to search."""
    async with application({"guide.md": GUIDE}) as (opened, folder):
        await indexed(opened, folder)
        before = (await opened.stores.knowledge.summary()).encoder
    monkeypatch.setattr(encoder, "identity", "another@1")

    def against(texts, encode=encoder.encode):  # no question resembles anything
        return encode(texts) * [[-1.0 if text.endswith("?") else 1.0] for text in texts]

    monkeypatch.setattr(encoder, "encode", against)
    async with application() as (opened, folder):
        with pytest.raises(IndexUnavailable, match="knowledge-bot index --accept"):
            await indexed(opened, folder)
        assert (await opened.stores.knowledge.summary()).encoder == before


async def test_golden_questions_that_cannot_be_read_refuse_every_change(application):
    """A guard that can't look must not wave through."""
    async with application({"guide.md": GUIDE}) as (opened, folder):
        await indexed(opened, folder)
        (folder / "golden.jsonl").write_text('{"question": ')
        (folder / "b.md").write_text("More.")
        report = await indexed(opened, folder)
        assert not report.review.accepted
        assert "golden.jsonl line 1" in report.review.findings[0]
        assert await passages(opened) == 1


async def test_without_golden_questions_nothing_is_examined(application):
    """The index is as quick as before."""
    async with application({"guide.md": GUIDE}, golden=()) as (opened, folder):
        report = await indexed(opened, folder)
        assert (report.review.accepted, report.review.findings) == (True, ())


async def test_the_copy_that_is_examined_leaves_nothing_behind(application, settings):
    """Neither files nor conversations."""
    async with application({"guide.md": GUIDE}) as (opened, folder):
        await indexed(opened, folder)
        left = {path.name.split("-")[0] for path in settings.storage.folder.iterdir()}
    assert left <= {"index.sqlite3", "journal.sqlite3"}


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        (answerable("92 degrees"), answered("At 92 degrees."), True),
        (answerable("92 degrees"), answered("At 50 degrees."), False),
        (answerable("92 degrees"), suggested("At 92 degrees."), False),
        (answerable("92 degrees"), declined(), False),
        (UNANSWERABLE, answered("At 92 degrees."), False),
        (UNANSWERABLE, suggested("At 92 degrees."), True),
        (OFFTOPIC, declined(), True),
    ],
)
def test_a_suggestion_is_no_answer(question, answer, expected):
    """It says by itself that it may be wrong: neither what was promised, nor what must not be said."""
    assert is_as_expected(result(question, answer)) is expected


HELP = EvaluationQuestion(
    "h", "How?", QuestionKind.ANSWERABLE, None, frozenset({"gold.md"}), key=("Turn the wheel", "lever")
)


@pytest.mark.parametrize(
    ("question", "text", "expected"),
    [
        (HELP, "First **turn** the wheel.", True),
        (HELP, "Ask somebody.", False),
        (replace(HELP, key_all=True), "Turn the wheel.", False),
        (replace(HELP, key_all=True), "Turn the wheel and pull the lever.", True),
        (replace(HELP, answers=("twice",)), "Turn the wheel.", False),
        (replace(HELP, answers=("twice",)), "Turn the wheel twice.", True),
        (replace(HELP, doc_ids=frozenset({"other.md"})), "Turn the wheel.", False),
    ],
)
def test_the_keys_of_a_question_must_be_in_its_answer(question, text, expected):
    """Beside the document and the phrases that its line names."""
    assert is_as_expected(result(question, answered("", text=text))) is expected


async def test_a_missing_key_is_named(application):
    """As a missing phrase is."""
    wanted = {"question": WATER["question"], "key": ["rain water"]}
    async with application({"guide.md": GUIDE}, golden=[wanted]) as (opened, folder):
        report = await indexed(opened, folder)
    assert report.review.findings[1].endswith("is answered from guide.md without “rain water”.")
