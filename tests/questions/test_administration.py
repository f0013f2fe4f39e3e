"""The operations of an operator: every change takes effect or leaves everything as it was."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from bot.core.errors import DocumentError
from bot.core.messages import Address, Answer, Outcome, Question
from bot.core.settings import Settings
from bot.inference.workers import AsyncEncoder
from bot.questions.administration import Administration
from bot.questions.dispatcher import Dispatcher
from bot.runtime.application import administration_of, open_application

GUIDE = "# Guide\n\nUse water at 92 degrees.\n"


@pytest.fixture
async def application(settings: Settings, models, folder_of):
    folder_of({"guide.md": GUIDE, "sub/other.md": "# Other\n\nText.\n"})
    async with open_application(settings, models) as application:
        await application.indexer.index_folder(settings.knowledge.folder)
        yield application


@pytest.fixture
def administration(application) -> Administration:
    return administration_of(application)


def question(text: str, author: str = "someone") -> Question:
    return Question(text, "c", author, Address("test", "chat", text), datetime.now(UTC))


def files(settings: Settings) -> set[str]:
    folder = settings.knowledge.folder
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


async def test_a_document_that_is_added_is_answered_from(administration, application, settings):
    """At once; folders are made; the report says how many passages it gave."""
    report = await administration.add_document("new/brewing.md", b"# Brewing\n\nThe kettle holds seven litres.\n")
    assert (report.path, report.passages, report.problem) == ("new/brewing.md", 1, None)
    answer = await application.answering.engine.answer(question("how much does the kettle hold?"))
    assert "seven litres" in answer.text
    assert files(settings) == {"guide.md", "sub/other.md", "new/brewing.md"}


async def test_a_document_is_replaced_as_a_whole(administration, settings):
    """The old text is gone from the index and from the folder."""
    await administration.add_document("guide.md", b"# Guide\n\nNew.\n")
    assert (settings.knowledge.folder / "guide.md").read_text() == "# Guide\n\nNew.\n"
    assert files(settings) == {"guide.md", "sub/other.md"}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        ".",
        "..",
        "../outside.md",
        "sub/../../outside.md",
        "sub/../guide.md",
        "/etc/passwd.md",
        "~/x.md",
        ".hidden.md",
        ".git/x.md",
        "sub/.x/y.md",
        "C:\\x.md",
        "c:x.md",
        "a\\b.md",
        "a\x00b.md",
        "line\nbreak.md",
        "guide.md/",
        "guide.md.",
        " guide.md",
        "sub",
        "x.exe",
        "no-suffix",
        "x" * 300 + ".md",
        "gpj.\u202emd.md",
        "guide\u00ad.md",
        "guide\U000e0041.md",
        "guide\u2028.md",
        "guide\u3164.md",
        "guide\ud800.md",
    ],
)
async def test_a_path_that_is_no_document_of_the_folder_is_refused(administration, settings, path):
    """For adding and for removing; nothing is written, and the message names the fix."""
    before = files(settings)
    with pytest.raises(DocumentError):
        await administration.add_document(path, b"# X\n\nText.\n")
    with pytest.raises(DocumentError):
        await administration.remove_document(path)
    assert files(settings) == before
    assert not (settings.knowledge.folder.parent / "outside.md").exists()


async def test_links_are_not_followed(administration, settings, tmp_path):
    """A link within the folder must not lead out of it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.md").write_text("mine")
    (settings.knowledge.folder / "link").symlink_to(outside)
    (settings.knowledge.folder / "file.md").symlink_to(outside / "x.md")
    for path in ("link/x.md", "link/new.md", "file.md"):
        with pytest.raises(DocumentError, match="links are not followed"):
            await administration.add_document(path, b"# X\n\nText.\n")
        with pytest.raises(DocumentError, match="links are not followed"):
            await administration.remove_document(path)
    assert (outside / "x.md").read_text() == "mine"
    assert list(outside.iterdir()) == [outside / "x.md"]


@pytest.mark.parametrize(
    ("path", "content"), [("guide.md", b"\n\n"), ("new.json", b"{broken"), ("guide.md", b"x" * 2000)]
)
async def test_what_can_not_be_read_is_not_added_and_loses_nothing(application, settings, path, content):
    """The document that stood there is there again, in the folder and in the index."""
    limited = settings.model_copy(
        update={"administration": settings.administration.model_copy(update={"document_bytes": 1000})}
    )
    administration = Administration(
        limited,
        application.stores.knowledge,
        application.indexer,
        application.stores.journal,
        application.answering.engine,
        application.inference.encoder,
    )
    with pytest.raises(DocumentError, match=path):
        await administration.add_document(path, content)
    assert files(settings) == {"guide.md", "sub/other.md"}
    assert (settings.knowledge.folder / "guide.md").read_text() == GUIDE
    assert [(file.path, file.passages) for file in await administration.documents()] == [
        ("guide.md", 1),
        ("sub/other.md", 1),
    ]


async def test_a_removed_document_is_gone(administration, settings):
    """From the folder and from the index; removing it again is an error."""
    await administration.remove_document("sub/other.md")
    assert files(settings) == {"guide.md"}
    assert [file.path for file in await administration.documents()] == ["guide.md"]
    with pytest.raises(DocumentError, match="no such document"):
        await administration.remove_document("sub/other.md")


async def test_reloading_reports_every_file(administration, settings):
    """Also what can't be read."""
    (settings.knowledge.folder / "broken.json").write_text("{")
    report = await administration.reload()
    problems = {file.path: file.problem is not None for file in report.files}
    assert problems == {"broken.json": True, "guide.md": False, "sub/other.md": False}
    assert report.summary.startswith("2 passages of 3 files; 1 file changed, 0 removed")


async def test_the_status_says_how_the_bot_is(application, administration):
    """With and without a daemon in this process; for people and as JSON."""
    await application.stores.journal.questions.accept(question("waiting"))
    status = await administration.status()
    assert (status.documents, status.passages, status.unfinished, status.problems) == (2, 2, 1, 0)
    dispatcher = Dispatcher(application.answering.engine, application.stores.journal, application.settings.queue)
    served = administration_of(application, dispatcher)
    served.platforms["discord"] = "running"
    dispatcher.counts["answered"] = 3
    text = "\n".join((await served.status()).lines())
    assert "discord: running" in text
    assert "answered 3" in text
    assert "2 documents, 2 passages" in text


async def test_a_person_is_forgotten(application, administration):
    """Through the daemon where there is one, so that an answer to come is dropped."""
    await application.stores.journal.questions.accept(question("one"))
    assert (await administration.forget("test", "someone")).questions == 1
    assert await application.stores.journal.questions.pending() == []


async def test_feedback_can_be_read_by_people_and_programs(application):
    """With the question and the answer as long as they are kept."""
    dispatcher = Dispatcher(application.answering.engine, application.stores.journal, application.settings.queue)
    await dispatcher.admission.accept(question("how hot should the water be?"))
    await dispatcher.queue.idle()
    [pending] = await application.stores.journal.questions.pending()
    await application.stores.journal.answers.add_feedback(
        "test", pending.answer.reference, "someone", helpful=False, reason="too hot"
    )
    [given] = await application.stores.journal.answers.feedback(9)
    said = json.loads(json.dumps(given.to_json()))
    assert (said["helpful"], said["reason"], said["question"]) == (False, "too hot", "how hot should the water be?")
    assert "92 degrees" in said["answer"]


class DecliningFootball:
    """The engine of an application, which is sure to decline questions about football."""

    def __init__(self, engine) -> None:
        self._engine = engine

    async def answer(self, question, progress):
        if "football" in question.text:
            return Answer(Outcome.DECLINED, "No.", "ref", confidence=0.1, retrieved=("guide.md",))
        return await self._engine.answer(question, progress)


async def ask_in_turn(application, *texts: str) -> None:
    dispatcher = Dispatcher(
        DecliningFootball(application.answering.engine), application.stores.journal, application.settings.queue
    )
    for text in texts:
        await dispatcher.admission.accept(question(text))
        await dispatcher.queue.idle()


async def test_gaps_are_what_people_asked_in_vain(application, administration):
    """Grouped by meaning whatever the words, one gap for both; what was answered is none."""
    assert await administration.gaps() == []
    await ask_in_turn(
        application, "Who won the football match?", "use water at what degrees?", "who has won the football match"
    )
    gaps = await administration.gaps()
    assert [gap.questions for gap in gaps] == [("who has won the football match", "Who won the football match?")]
    assert all(0 <= gap.confidence < application.settings.answer.threshold for gap in gaps)
    assert set(gaps[0].nearest) <= {"guide.md", "sub/other.md"}


async def test_questions_are_encoded_once_for_the_gaps(application, administration, monkeypatch):
    """A thousand of them take many seconds. Their vectors are forgotten with them."""
    await ask_in_turn(application, "Who won the football match?", "who has won the football match")
    first = await administration.gaps()
    encoded = []
    encode = AsyncEncoder.encode

    async def counted(self, texts, **how):
        encoded.extend(texts)
        return await encode(self, texts, **how)

    monkeypatch.setattr(AsyncEncoder, "encode", counted)
    assert await administration.gaps() == first
    assert encoded == []
    file = application.settings.storage.folder / "journal.sqlite3"
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("SELECT count(*) FROM question_vectors").fetchone() == (2,)
    asked = first[0].questions[0]
    address, author = question(asked).address, question(asked).author
    await administration.forget(address.platform, author)
    assert await administration.gaps() == []
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("SELECT count(*) FROM question_vectors").fetchone() == (0,)


@pytest.mark.parametrize("stored", [b"", b"odd", b"\x00\x7e" * 384, bytes([255, 123]) * 384, "text", 7])
async def test_a_damaged_vector_of_a_question_is_made_again_for_the_gaps(application, administration, stored):
    """The others stay."""
    await ask_in_turn(application, "Who won the football match?", "who has won the football match")
    first = await administration.gaps()
    with closing(sqlite3.connect(application.settings.storage.folder / "journal.sqlite3")) as db, db:
        db.execute("UPDATE question_vectors SET vector = ? WHERE question = 1", (stored,))
    assert await administration.gaps() == first
    with closing(sqlite3.connect(application.settings.storage.folder / "journal.sqlite3")) as db:
        assert db.execute("SELECT DISTINCT length(vector) FROM question_vectors").fetchall() == [(2 * 384,)]


async def test_an_explanation_says_why_a_question_is_answered_or_not(application, administration):
    """As it would be for anybody: the candidate with its words and scores, and the threshold that decides."""
    told = await administration.explain("use water at what degrees?")
    assert (told.outcome, told.threshold) == (Outcome.ANSWERED, application.settings.answer.threshold)
    best = told.candidates[0]
    assert (best.citation.document, best.citation.lines, best.confidence) == ("guide.md", (3, 3), told.confidence)
    assert "92" in best.citation.quote
    assert [candidate.confidence for candidate in told.candidates] == sorted(
        (candidate.confidence for candidate in told.candidates), reverse=True
    )
    declined = await administration.explain("who won the football match?")
    assert declined.outcome is Outcome.DECLINED
    assert declined.confidence < declined.threshold
    assert "is below answer.suggest_threshold" in declined.advice[0]
    assert (await administration.explain("Thanks a lot!")).candidates == []


async def test_an_explanation_leaves_no_trace(application, administration):
    """It is no question of anybody's: not in the journal, not in a conversation, not among the gaps."""
    await administration.explain("who won the football match?")
    await administration.explain("use water at what degrees?")
    assert await application.stores.journal.questions.pending() == []
    assert await administration.gaps() == []
    follow_up = await administration.explain("and why?")
    assert [text for text, _ in follow_up.variants] == ["and why?"]
