"""The whole way of a question with a local language model: the real search, reader and grounding, and a tiny model that has
learned to answer with the passage's sentences; and ones that have learned nothing."""

import asyncio
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.core.documents import Block, Form, FoundPassage, Passage
from bot.core.messages import Address, Answer, Outcome, Phrased, Phrasing, Question, Stage
from bot.core.settings import Settings
from bot.core.text import plain
from bot.engine.phrasing import excerpts
from bot.inference.workers import Models
from bot.observability import metrics
from tests.writing import (
    ASKS_FOR_ALL,
    BOILER,
    DOCUMENTS,
    FIRST_SENTENCE,
    generation_worker_of,
    held,
    writing_again,
    writing_application,
)


def ask(text: str, conversation: str = "c") -> Question:
    return Question(text, conversation, "someone", Address("test", "chat", text), datetime.now(UTC))


@pytest.fixture
def application_with(settings: Settings, models: Models, folder_of):
    """An application whose generator is as told, loaded or not."""
    folder_of(DOCUMENTS)

    def make(model: str, **options):
        return writing_application(settings, models, model, **options)

    return make


async def test_a_model_that_copies_the_answer_is_kept(application_with, copying):
    """Its words are shown; the quotation that proves them stays the document's."""
    async with application_with(copying) as application:
        answer = await application.answering.engine.answer(ask("How much does the boiler cost?"))
    assert answer.phrasing == Phrasing(copying, Phrased.KEPT)
    assert answer.text == "The boiler costs 42 euros."
    [citation] = answer.citations
    assert (citation.document, citation.quote) == ("boiler.md", BOILER)
    assert answer.span is None or answer.span in answer.text
    assert Answer.from_json(answer.to_json()) == answer


@pytest.mark.parametrize("kind", ["gpt2", "dialogpt", "llama", "t5"])
async def test_nonsense_is_replaced_by_the_words_of_the_document(application_with, tiny, kind):
    """Whatever kind of model has written it, and the reason is told."""
    async with application_with(tiny(kind)) as application:
        shown = []
        answer = await application.answering.engine.answer(ask("How much does the boiler cost?"), shown.append)
    assert plain(answer.text) == BOILER
    assert answer.phrasing.outcome is Phrased.REPLACED
    assert answer.phrasing.reasons
    assert [update.text for update in shown if update.stage is Stage.WRITING and update.text] == []


async def test_only_sentences_that_have_been_checked_are_shown_while_the_model_writes(application_with, copying):
    """The first one as soon as the second begins, so that nothing unproved is seen even for a moment."""
    async with application_with(copying) as application:
        shown = []
        answer = await application.answering.engine.answer(ask(ASKS_FOR_ALL), shown.append)
    assert [update.text for update in shown if update.stage is Stage.WRITING] == ["", FIRST_SENTENCE]
    assert answer.text == BOILER


async def test_of_two_questions_no_drafts_are_shown(application_with, copying):
    """They would take turns. That the bot searches, reads and writes is shown."""
    async with application_with(copying) as application:
        shown = []
        asked = ask(f"{ASKS_FOR_ALL} When does the lamp open?")
        considered = await application.answering.engine.consider(asked, shown.append)
    assert len(considered.questions) == 2
    assert BOILER in considered.answer.text
    assert {update.stage for update in shown} == {Stage.SEARCHING, Stage.READING, Stage.WRITING}
    assert not any(update.text for update in shown)


def test_a_model_is_shown_texts_without_the_line_breaks_of_their_files():
    """Models imitate them. Lists and tables keep theirs, and what belongs above a block stands there once."""
    header = "| Pass | Price |\n| --- | --- |"
    blocks = (
        Block(Form.PARAGRAPH, "The cable car\nruns **daily**\n  until nine."),
        Block(Form.LIST, "- dogs\n- bicycles"),
        Block(Form.TABLE, "| day | 9 |", context=header),
        Block(Form.TABLE, "| week | 40 |", context=header),
        Block(Form.PAIR, "From the kiosk.", context="Where do I get a pass?"),
    )
    found = FoundPassage("cable.md", "Cable car", None, (0, 0), Passage(blocks, ("Passes",), ""))
    [excerpt] = excerpts([found])
    assert excerpt.place == "Cable car › Passes"
    assert excerpt.text == (
        "The cable car runs **daily** until nine.\n\n- dogs\n- bicycles\n\n| Pass | Price |\n| --- | --- |\n| day | 9 |\n\n"
        "| week | 40 |\n\nWhere do I get a pass?\nFrom the kiosk."
    )


async def test_declining_is_decided_before_any_text_is_generated(application_with, copying):
    """No model is asked, and none can talk the bot into an answer."""
    async with application_with(copying) as application:
        shown = []
        answer = await application.answering.engine.answer(ask("Who won the football match yesterday?"), shown.append)
    assert (answer.outcome, answer.phrasing) == (Outcome.DECLINED, None)
    assert Stage.WRITING not in [update.stage for update in shown]


async def test_code_is_shown_as_it_stands(application_with, copying):
    """What has a form is not put into other words."""
    async with application_with(copying) as application:
        answer = await application.answering.engine.answer(ask("How do I restart the pump controller?"))
    assert "pumpctl restart --all" in answer.text
    assert answer.phrasing is None


async def test_the_documents_are_quoted_while_the_model_is_loading(application_with, tiny, monkeypatch):
    """And its health says so; afterwards it writes."""
    may_load = threading.Event()
    load = __import__("bot.runtime.loading", fromlist=["load_model"]).load_model

    def slowly(*arguments):
        may_load.wait(20)
        return load(*arguments)

    monkeypatch.setattr("bot.runtime.loading.load_model", slowly)
    async with application_with(tiny("gpt2"), loaded=False) as application:
        before = await application.answering.engine.answer(ask("How much does the boiler cost?"))
        assert application.health.report("generator").state == "starting"
        may_load.set()
        await application.answering.generator_loaded.wait()
        assert application.health.report("generator").state == "ready"
        after = await application.answering.engine.answer(ask("How much does the boiler cost?"))
    assert plain(before.text) == BOILER
    assert before.phrasing.reasons == ("the model is still being loaded",)
    assert after.phrasing.outcome is Phrased.REPLACED


async def test_without_weights_the_documents_are_quoted(application_with):
    """One clear line, no network, and health that names the command."""
    async with application_with("nobody/knows-this") as application:
        answer = await application.answering.engine.answer(ask("How much does the boiler cost?"))
        report = application.health.report("generator")
    assert plain(answer.text) == BOILER
    assert (answer.phrasing.outcome, report.state, report.essential) == (Phrased.FAILED, "failed", False)
    assert "models download nobody/knows-this" in report.detail


@pytest.mark.parametrize(
    ("after", "reason"),
    [(0, "took longer than 4.5 seconds"), (3, "wrote nothing for 1.5 seconds")],
)
async def test_a_model_that_hangs_gets_its_time_and_no_more(application_with, copying, after, reason):
    """The next question is answered too, and as soon as the model goes on it writes again."""
    async with application_with(copying, deadline_seconds=4.5) as application:
        model = held(application, after=after)
        answer = await application.answering.engine.answer(ask("How much does the boiler cost?"))
        assert not model.texts[0].done, "it hangs all the same"
        assert plain(answer.text) == BOILER
        assert reason in answer.phrasing.reasons[0]
        assert application.health.report("generator").state == "degraded"
        model.release()
        await writing_again(application)
        again = await application.answering.engine.answer(ask("How long is the lamp?", "d"))
        assert (again.text, again.phrasing.outcome) == ("The lamp is 35 metres long.", Phrased.KEPT)
        assert application.health.report("generator").state == "ready"


@pytest.mark.slow
async def test_the_model_gets_no_longer_than_whoever_asks_will_wait(application_with, copying, settings):
    """Where reading took most of the time, an answer in time is worth more than a well-phrased one."""
    async with application_with(copying) as application:
        held(application)
        question = replace(ask("How much does the boiler cost?"), deadline=time.monotonic() + 1.0)
        async with asyncio.timeout(5):
            answer = await application.answering.engine.answer(question)
    assert answer.outcome is Outcome.ANSWERED
    assert answer.phrasing.outcome is Phrased.FAILED


async def test_a_model_that_raises_leaves_the_quotation(application_with, copying):
    """And nobody sees an error."""
    async with application_with(copying) as application:
        generation_worker_of(application).models.network = None
        answer = await application.answering.engine.answer(ask("How much does the boiler cost?"))
    assert plain(answer.text) == BOILER
    assert answer.phrasing.outcome is Phrased.FAILED


async def test_nobody_waits_any_more_so_the_model_stops(application_with, copying):
    """A question that is stopped or deleted costs no more tokens."""
    async with application_with(copying) as application:
        model = held(application)
        asking = asyncio.create_task(application.answering.engine.answer(ask("How much does the boiler cost?")))
        async with asyncio.timeout(10):
            while not model.texts:  # noqa: ASYNC110 - of its thread
                await asyncio.sleep(0.01)
        [text] = model.texts
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert text.stopped.is_set()
        model.release()
        async with asyncio.timeout(5):
            await writing_again(application)
        assert len(text.tokens) <= 2


async def test_what_was_said_before_is_told_to_the_model_until_it_is_forgotten(application_with, copying):
    """The turns of this conversation, and none after /new."""
    async with application_with(copying) as application:
        seen = []
        phraser = application.answering.phraser
        phrase = phraser.phrase

        async def watched(question, turns, *rest, **more):
            seen.append([turn.question for turn in turns])
            return await phrase(question, turns, *rest, **more)

        phraser.phrase = watched
        await application.answering.engine.answer(ask("How much does the boiler cost?"))
        await application.answering.engine.answer(ask("How long is the lamp?"))
        await application.answering.conversations.forget("c")
        await application.answering.engine.answer(ask("How heavy is the boiler?"))
    assert seen == [[], ["How much does the boiler cost?"], []]


async def test_what_became_of_drafts_is_counted(application_with, copying, tiny):
    """For the operator's dashboard."""
    counted = metrics.GROUNDING.labels("kept")._value.get()
    written = metrics.TOKENS.labels("completion")._value.get()
    async with application_with(copying) as application:
        await application.answering.engine.answer(ask("How much does the boiler cost?"))
    assert metrics.GROUNDING.labels("kept")._value.get() == counted + 1
    assert metrics.TOKENS.labels("completion")._value.get() >= written + 5


def test_an_answer_of_an_earlier_version_is_still_read():
    """The journal holds answers that know of no model."""
    data = Answer(Outcome.ANSWERED, "text", "ref").to_json()
    del data["phrasing"]
    assert Answer.from_json(data).phrasing is None
