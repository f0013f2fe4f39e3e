"""Tasks over real files, with the real encoder and tiny models of every kind through the real loading code."""

import asyncio
import threading

import pytest

from bot.core.errors import (
    BotError,
    DeadlineExceeded,
    DocumentError,
    EngineBusy,
    RateLimited,
    SettingsError,
    WeightsError,
)
from bot.core.messages import Address, Question
from bot.core.settings import GroundingSettings, LimitsSettings
from bot.engine.grounding import Grounding
from bot.knowledge.loaders import load
from bot.questions.dispatcher import Dispatcher
from bot.runtime.application import open_application
from bot.tasks.policy import TaskPolicy
from bot.tasks.registry import TASKS
from bot.tasks.runner import Owner
from bot.tasks.service import TaskService
from bot.tasks.sources import ChatLine, source_of_document, source_of_messages, source_of_text, statements
from bot.tasks.summaries import Summariser

HERE = Address("test", "chat", "")
ANN = Owner("test", "ann")
GUIDE = """\
# Guide

## Water

The water decides how the coffee tastes. Use soft water at 92 to 96 degrees. It should be fresh. Which water is soft?

```
not a sentence
```

## Cleaning

- Descale the machine every three months with citric acid.
- Rinse the machine with clear water after the descaling.
"""


@pytest.fixture
def application_of(settings, models, folder_of):
    folder_of({"guide.md": GUIDE})

    def make(**tasks):
        changed = settings.tasks.model_copy(update={"allowed": True, **tasks})
        return open_application(settings.model_copy(update={"tasks": changed}), models)

    return make


@pytest.fixture
async def application(application_of):
    async with application_of() as application:
        yield application


@pytest.fixture
def moods(tiny) -> str:
    """Made before a test begins, for that takes longer than its loop may be blocked."""
    return tiny("moods")


@pytest.fixture
def names(tiny) -> str:
    return tiny("names")


@pytest.fixture
def marian(tiny) -> str:
    return tiny("marian")


class Model:
    """A writer that says what a test wants: what is tested is what becomes of it."""

    name = "model"

    def __init__(self, *drafts: str, characters: int = 4000) -> None:
        self.characters = characters
        self.drafts = list(drafts)
        self.read: list[str] = []

    async def write(self, text: str) -> str:
        self.read.append(text)
        if not self.drafts:
            await asyncio.Event().wait()
        return self.drafts.pop(0)


@pytest.fixture
def summariser(async_encoder) -> Summariser:
    return Summariser(async_encoder, Grounding(async_encoder, None, GroundingSettings()))


def later(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


# --- summaries --------------------------------------------------------------------------------------------------------


async def test_without_a_model_a_summary_quotes_the_document_with_places(application):
    """In the order of the text, without what can't stand for itself: code, questions, and what leans on the sentence before."""
    await application.indexer.index_folder(application.settings.knowledge.folder)
    result = await application.tasks.run("summarise", await application.tasks.document("guide.md", "", HERE), ANN)
    said = result.details["sentences"]
    assert result.model == ""
    assert said[0]["text"] == "The water decides how the coffee tastes."
    assert [one["place"].rpartition(" ")[0] for one in said] == ["Water, line", "Cleaning, line"]
    assert all(one["quoted"] and one["text"] in GUIDE for one in said)
    assert result.text.startswith("guide.md\n• The water decides how the coffee tastes. (Water, line 5)")


async def test_a_section_is_summarised_by_its_heading(application):
    """A part of its name is enough; an unknown one is answered with those that there are."""
    await application.indexer.index_folder(application.settings.knowledge.folder)
    source = await application.tasks.document("guide.md", "clean", HERE)
    assert [statement.text for statement in statements(source.passages)] == [
        "Descale the machine every three months with citric acid.",
        "Rinse the machine with clear water after the descaling.",
    ]
    with pytest.raises(DocumentError, match="It has: Water, Cleaning"):
        await application.tasks.document("guide.md", "milk", HERE)
    with pytest.raises(DocumentError, match="no such document"):
        await application.tasks.document("other.md", "", HERE)


async def test_sentences_of_a_model_without_support_are_dropped(summariser):
    """True ones stay, each with the place of what it is taken from."""
    model = Model(
        "Use soft water at 92 to 96 degrees. Use hard water at 40 degrees. The text is a summary about a boiler."
    )
    summary = await summariser.written(source_of_document(load("guide.md", GUIDE.encode())), model, later(60))
    assert [(one.text, one.place, one.quoted) for one in summary.sentences] == [
        ("Use soft water at 92 to 96 degrees.", "Water, line 5", False)
    ]
    assert summary.dropped == 2


async def test_where_no_sentence_of_a_model_stays_the_text_is_quoted(summariser):
    """And where there was no time for it: a summary covers all parts of a text in any case."""
    source = source_of_text(
        "\n\n".join(f"The boiler number {number} weighs {number} kilograms." for number in range(10, 90))
    )
    model = Model("The moon is made of green cheese.", characters=1500)
    summary = await summariser.written(source, model, later(1))
    assert len(model.read) == 3  # the second one never ends
    assert summary.dropped == 1
    assert 2 <= len(summary.sentences) <= 7
    assert all(one.quoted and one.text in source.text for one in summary.sentences)


async def test_a_thread_is_summarised_with_its_authors(summariser):
    """Who said something stands behind it."""
    source = source_of_messages(
        [
            ChatLine("Ann", "The release is on Monday. Please test the installer until then."),
            ChatLine("Bob", "ok"),
            ChatLine("Bob", "The installer fails on Windows with error 13."),
        ]
    )
    summary = await summariser.quoted(source)
    assert ("The release is on Monday.", "Ann") in [(one.text, one.place) for one in summary.sentences]
    model = Model("Bob said that the installer fails on Windows with error 13.")
    [sentence] = (await summariser.written(source, model, later(60))).sentences
    assert (sentence.place, sentence.quoted) == ("Bob", False)
    assert model.read[0].startswith("Ann: The release is on Monday.")


@pytest.mark.parametrize("kind", ["bart", "gpt2"])
async def test_models_of_both_kinds_write_summaries(application_of, tiny, kind):
    """Tiny ones have learned nothing, so that nothing of theirs is kept, and the text speaks for itself."""
    async with application_of(summarise_model=tiny(kind)) as application:
        result = await application.tasks.run(
            "summarise", source_of_text("Use soft water at 92 degrees. It is fresh."), ANN
        )
    assert result.model == ""
    assert result.details["dropped"] > 0 or "took too long" in result.text
    assert "• Use soft water at 92 degrees." in result.text


# --- the other tasks --------------------------------------------------------------------------------------------------


async def test_texts_are_labelled_and_names_found(application_of, moods, names):
    """A text longer than the window too; and several texts are counted together."""
    async with application_of(sentiment_model=moods, entities_model=names) as application:
        tasks = application.tasks
        glad = await tasks.run("sentiment", source_of_text("It is good."), ANN)
        annoyed = await tasks.run("sentiment", source_of_text("The day was awful. " * 40), ANN)
        named = await tasks.run("entities", source_of_text("Ann lives in Berlin and it is good."), ANN)
        mood = await tasks.survey("sentiment", ["It is good", "It is great", "It is bad"], ANN)
        with pytest.raises(BotError, match="says nothing about many texts"):
            await tasks.survey("translate", ["It is good"], ANN)
    assert glad.details["labels"][0]["name"] == "POSITIVE"
    assert glad.model == "moods"  # not the whole path of the folder
    assert annoyed.text.startswith("NEGATIVE: ")
    assert named.text == "LOC: Berlin\nPER: Ann"
    assert (mood.text, mood.details["counts"]) == ("POSITIVE: 2 of 3\nNEGATIVE: 1 of 3", {"POSITIVE": 2, "NEGATIVE": 1})


async def test_code_is_not_translated_and_the_language_must_be_known(application_of, tiny, marian):
    """A Marian model has one pair of languages, a T5 model has to be told."""
    source = source_of_document(load("guide.md", b"Use it.\n\n```\nrun --now\n```\n"))
    async with application_of(translate_model=marian) as application:
        result = await application.tasks.run("translate", source, ANN)
        assert result.details["translation"].endswith("\n\n```\nrun --now\n```")
        assert "unchecked" in result.text
    async with application_of(translate_model=tiny("t5")) as application:
        with pytest.raises(SettingsError, match='language = "German"'):
            await application.tasks.run("translate", source, ANN)


async def test_a_missing_model_is_named_with_the_way_to_fetch_it(application_of, moods):
    """Where none is set, where it isn't there, and where it is of another kind. No thread is left behind."""
    async with application_of(sentiment_model="nobody/nothing", entities_model=moods) as application:
        for name, error, told in (
            ("classify", SettingsError, "models download unitary/toxic-bert"),
            ("sentiment", WeightsError, "models download nobody/nothing"),
            ("entities", WeightsError, "no model for token-classification, but BertForSequenceClassification"),
        ):
            with pytest.raises(error, match=told):
                await application.tasks.run(name, source_of_text("It is good."), ANN)
        async with asyncio.timeout(5):
            while any(thread.name.startswith("worker-tasks-") for thread in threading.enumerate()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


# --- limits -----------------------------------------------------------------------------------------------------------


async def test_what_is_too_long_empty_or_unknown_is_refused(application):
    """With what would be taken."""
    for name, text, told in (
        ("summarise", " ", "no text"),
        ("sentiment", "x" * 20_001, "takes up to 20,000 characters"),
        ("sing", "x", "there are summarise, translate"),
    ):
        with pytest.raises(BotError, match=told):
            await application.tasks.run(name, source_of_text(text), ANN)


async def test_a_task_that_takes_too_long_is_given_up_or_stopped(application_of, monkeypatch, moods):
    """By its owner only; the thread of the questions is not touched, and the next task runs."""
    entered, go_on = threading.Event(), threading.Event()
    async with application_of(sentiment_model=moods) as application:
        tasks, source = application.tasks, source_of_text("It is good.")
        await tasks.run("sentiment", source, ANN)  # loads the model, which may take longer than the deadline below
        settings = tasks._settings
        tasks._settings = settings.model_copy(update={"deadline_seconds": 0.2})
        worker = tasks._models._loading["sentiment"].result()
        monkeypatch.setattr(type(worker.models), "read", lambda *_: (entered.set(), go_on.wait(), [])[-1])
        with pytest.raises(DeadlineExceeded):
            await tasks.run("sentiment", source, ANN)
        tasks._settings = settings
        running = asyncio.create_task(tasks.run("sentiment", source, ANN))
        await asyncio.sleep(0)
        assert not tasks.stop(Owner("test", "bob"))
        assert tasks.stop(ANN)
        with pytest.raises(BotError, match="Stopped"):
            await running
        assert len(await application.inference.encoder.encode(["still there"])) == 1
        go_on.set()


async def test_too_many_tasks_at_once_are_refused(application_of, moods):
    """Politely; whoever goes away makes room."""
    async with application_of(sentiment_model=moods) as application:
        running = [
            asyncio.create_task(application.tasks.run("sentiment", source_of_text("It is good."), ANN))
            for _ in range(8)
        ]
        await asyncio.sleep(0)
        with pytest.raises(EngineBusy):
            await application.tasks.run("sentiment", source_of_text("It is good."), ANN)
        for one in running[1:]:
            one.cancel()
        assert (await running[0]).details["labels"]
        await asyncio.gather(*running, return_exceptions=True)
        assert not application.tasks._running


async def test_tasks_count_as_questions_and_only_where_they_are_allowed(application_of):
    """What was set for the most specific of the chats decides; the text is not even read elsewhere."""
    async with application_of(allowed=False) as application:
        journal = application.stores.journal
        dispatcher = Dispatcher(None, journal, application.settings.queue, limits=LimitsSettings(author_questions=2))
        policy = TaskPolicy(journal.platforms, allowed=False)
        service = TaskService(application.tasks, policy, dispatcher.admission.count)
        read = []

        async def source():
            read.append(1)
            return source_of_text("Use soft water.")

        async def do(*chats):
            return await service.do("summarise", source, platform="discord", chats=chats, author="ann")

        with pytest.raises(BotError, match="unless an operator allows it"):
            await do("thread", "server")
        assert not read
        await policy.set("discord", "server", "on")
        assert "Use soft water." in (await do("thread", "server")).text
        await policy.set("discord", "thread", "off")
        with pytest.raises(BotError, match="unless an operator allows it"):
            await do("thread", "server")
        assert await policy.states("discord") == {"server": "on", "thread": "off"}
        assert await journal.platforms.policies("discord") == {}
        await policy.set("discord", "thread", "default")
        await do("thread", "server")
        with pytest.raises(RateLimited):
            await do("thread", "server")


async def test_nothing_of_a_task_is_kept(application, settings):
    """Neither in the journal nor in the index."""
    await application.tasks.run("summarise", source_of_text("The xylophone is in the cellar."), ANN)
    for file in settings.storage.folder.rglob("*"):
        assert not file.is_file() or b"xylophone" not in file.read_bytes()


async def test_the_latest_questions_of_a_chat(application, settings):
    """Newest first, of one chat or of all of a platform."""
    questions, answers = application.stores.journal.questions, application.stores.journal.answers
    for number, chat in enumerate(("1", "2", "1")):
        asked = Question.from_json(
            {
                "text": f"{number}?",
                "conversation": "c",
                "author": "ann",
                "address": {"platform": "discord", "chat": chat, "message": str(number), "details": {}},
                "received_at": "2026-01-01T00:00:00+00:00",
            }
        )
        assert asked.address.key == Address("discord", chat, str(number)).key
        await questions.accept(asked)
    assert [one.text for one in await answers.latest("discord", "1", 9)] == ["2?", "0?"]
    assert [one.text for one in await answers.latest("discord", "", 2)] == ["2?", "1?"]
    assert await answers.latest("telegram", "", 9) == []


def test_the_rows_of_the_registry_have_settings(settings):
    """And Discord's menu of a message has room for no more than five."""
    for task in TASKS.values():
        assert getattr(settings.tasks, task.setting) == ""
    assert sum(bool(task.menu) for task in TASKS.values()) <= 4
