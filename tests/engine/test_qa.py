"""The whole way of a question with the real encoder and real files: answer, decline, follow up."""

from datetime import UTC, datetime

import pytest

from bot.core.errors import IndexUnavailable
from bot.core.messages import Address, Outcome, Question, Stage
from bot.runtime.application import open_application

GUIDE = """\
# Brewing guide

## Water

Use water at 92 to 96 degrees. It should be soft. Hard water makes the cup taste flat.

## Making a cup

To brew a cup of coffee:

1. Grind 15 g of beans.
2. Rinse the paper filter.
3. Pour 250 ml of water in 3 minutes.

## Cleaning

Descale the machine every three months with citric acid.
"""


def ask(text: str, conversation: str = "c", replied_to: str | None = None) -> Question:
    return Question(text, conversation, "someone", Address("test", "chat", text), datetime.now(UTC), replied_to)


@pytest.fixture
async def application(settings, models, folder_of):
    folder_of({"guide.md": GUIDE, "faq.csv": "question,answer\nWhen is the shop open?,Monday to Friday.\n"})
    async with open_application(settings, models) as application:
        await application.indexer.index_folder(settings.knowledge.folder)
        yield application


async def test_a_fact_is_answered_with_its_sentence_and_its_place(application):
    """The words are the document's, and the citation leads to them."""
    answer = await application.engine.answer(ask("what temperature should the water have?"))
    assert (answer.outcome, answer.text) == (Outcome.ANSWERED, "Use water at **92 to 96 degrees**.")
    assert answer.span == "92 to 96 degrees"
    [citation] = answer.citations
    assert (citation.document, citation.title, citation.heading) == ("guide.md", "Brewing guide", ("Water",))
    assert citation.lines == (5, 5)
    assert citation.quote == "Use water at 92 to 96 degrees."
    assert answer.span in answer.text
    assert 0.5 <= answer.confidence <= 1
    assert answer.retrieved[0] == "guide.md"


async def test_the_sentence_that_answers_is_compared_with_the_question(application):
    """In meaning, below its heading."""
    asked = "what temperature should the water have?"
    considered = await application.engine.consider(ask(asked))
    question, sentence = await application.inference.encoder.encode([asked, "Water\nUse water at 92 to 96 degrees."])
    assert considered.candidates[0].features.sentence == pytest.approx(
        float(question @ sentence), abs=0.01
    )  # the batch's size rounds


async def test_a_how_to_is_answered_with_all_steps(application):
    """A list is never cut in the middle, and what announces it comes along."""
    answer = await application.engine.answer(ask("How do I brew a cup of coffee?"))
    assert answer.text.startswith("To brew a cup of coffee:\n\n1. Grind 15 g")
    assert answer.text.endswith("in 3 minutes.")
    assert answer.citations[0].lines == (11, 13)


async def test_a_stored_pair_is_answered_with_its_answer(application):
    """The row is named."""
    answer = await application.engine.answer(ask("When is the shop open"))
    assert answer.text == "Monday to Friday."
    assert (answer.citations[0].row, answer.citations[0].lines) == (2, None)


@pytest.mark.parametrize("text", ["What is the capital of France?", "zxcvb qwrt", "who won the football match", "🦓"])
async def test_what_the_documents_do_not_say_is_declined(application, text):
    """No citation, no span, and no invention."""
    answer = await application.engine.answer(ask(text))
    assert answer.outcome is Outcome.DECLINED
    assert answer.text.startswith("The documents don't answer this.")
    assert (answer.span, answer.citations, answer.answered) == (None, (), False)


async def test_small_talk_is_neither_answered_nor_declined(application):
    """Thanks need no search."""
    answer = await application.engine.answer(ask("Thanks a lot!"))
    assert (answer.outcome, answer.answered) == (Outcome.SMALL_TALK, False)


async def test_a_follow_up_is_understood_from_what_was_said_before(application):
    """What alone says nothing finds its passage through the earlier question, in its own conversation only."""
    await application.engine.answer(ask("How often must I descale the machine?", "one"))
    follow_up = await application.engine.answer(ask("and with what?", "one"))
    assert "citric acid" in follow_up.text
    assert (await application.engine.answer(ask("and with what?", "two"))).outcome is Outcome.DECLINED


async def test_a_word_that_points_back_leads_to_what_was_asked_before(application):
    """`it` stands for the machine, so the little that the question says by itself does not count against the answer."""
    await application.engine.answer(ask("How often must I descale the machine?"))
    assert "citric acid" in (await application.engine.answer(ask("what is it descaled with?"))).text


async def test_another_subject_is_answered_as_if_it_were_asked_first(application):
    """What was said before takes nothing away from a question that stands alone."""
    first = await application.engine.consider(ask("what temperature should the water have?"))
    await application.engine.answer(ask("How often must I descale the machine?"))
    later = await application.engine.consider(ask("what temperature should the water have?"))
    assert later.answer.confidence == pytest.approx(first.answer.confidence, abs=0.01)  # the batch's size rounds
    assert later.answer.text == first.answer.text
    assert [variant.weight for variant in later.variants] == [1.0]


async def test_a_forgotten_conversation_is_not_referred_to(application):
    """After /new a question stands alone."""
    await application.engine.answer(ask("How often must I descale the machine?"))
    await application.answering.conversations.forget("c")
    assert (await application.engine.answer(ask("and with what?"))).outcome is Outcome.DECLINED


async def test_a_reply_refers_to_the_message_that_it_replies_to(application):
    """Without any turn stored."""
    answer = await application.engine.answer(ask("with what?", replied_to="Descale the machine every three months."))
    assert "citric acid" in answer.text


async def test_chatter_after_an_answer_is_still_declined(application):
    """What was said before does not carry an off-topic remark over the threshold."""
    await application.engine.answer(ask("how hot should the water be?"))
    assert (await application.engine.answer(ask("who won the football match yesterday"))).outcome is Outcome.DECLINED


async def test_declined_questions_are_not_followed_up(application):
    """A question that was not answered does not lead the next one astray."""
    await application.engine.answer(ask("What is the capital of France?"))
    assert await application.journal.turns("c", newer_than=0, limit=9) == []


@pytest.mark.parametrize("text", ["", "   ", "?", "a" * 100_000, "\x00\x1b[31m", '" OR 1=1 NEAR( *', "NOT AND OR"])
async def test_hostile_text_is_a_question_like_any_other(application, text):
    """Nothing typed reaches the keyword index as syntax, and length costs nothing."""
    assert (await application.engine.answer(ask(text))).outcome is Outcome.DECLINED


async def test_progress_and_times_tell_the_stages(application):
    """What a person sees while waiting, and what the log line says."""
    stages = []
    answer = await application.engine.answer(
        ask("how hot should the water be?"), lambda update: stages.append(update.stage)
    )
    assert stages == [Stage.SEARCHING, Stage.READING]
    assert set(answer.timings_ms) == {"conversation", "encode", "search", "read", "compose", "total"}


async def test_without_an_index_the_fix_is_named(settings, models):
    """An empty store is an error with a command, not an empty answer."""
    async with open_application(settings, models) as application:
        with pytest.raises(IndexUnavailable, match="knowledge-bot index"):
            await application.engine.answer(ask("anything"))


async def test_an_empty_folder_answers_nothing(settings, models, folder_of):
    """No documents: everything is declined."""
    folder_of({"picture.png": b""})
    async with open_application(settings, models) as application:
        await application.indexer.index_folder(settings.knowledge.folder)
        assert (await application.engine.answer(ask("anything"))).outcome is Outcome.DECLINED


async def test_a_long_list_that_was_split_is_answered_whole(application, folder_of):
    """The index holds it in parts; the answer puts them together again."""
    steps = "\n".join(f"{n}. Turn the valve number {n} a quarter to the left and wait a moment." for n in range(1, 41))
    folder_of({"valves.md": f"# Valves\n\n## Opening the valves\n\nTo open all the valves:\n\n{steps}\n"})
    await application.indexer.index_folder(application.settings.knowledge.folder)
    answer = await application.engine.answer(ask("How do I open all the valves?"))
    assert answer.citations[0].quote == steps
    assert answer.citations[0].lines == (7, 46)


async def test_passages_that_can_not_come_first_are_not_read_and_would_have_changed_nothing(
    application, folder_of, monkeypatch
):
    """Two are enough where they are far ahead, five are read where they are near each other; read or not, the answers are
    the same."""
    tools = ("kettle", "grinder", "filter", "jug", "tray")
    folder_of({f"{tool}.md": f"# The {tool}\n\nThe {tool} must be cleaned every week.\n" for tool in tools})
    await application.indexer.index_folder(application.settings.knowledge.folder)
    questions = {"When is the shop open?": 2, "tools of the application": 5, "how hot should the water be?": 2}
    quick = [await application.engine.consider(ask(text, text)) for text in questions]
    assert [len(considered.candidates) for considered in quick] == list(questions.values())
    assert len(quick[0].unread) > 3
    monkeypatch.setattr("bot.engine.qa._READ_FIRST", 100)
    thorough = [await application.engine.consider(ask(text, text)) for text in questions]
    assert [len(considered.candidates) for considered in thorough] == [5, 5, 5]
    for one, other in zip(quick, thorough, strict=True):
        assert one.answer.text == other.answer.text
        assert one.answer.confidence == pytest.approx(other.answer.confidence, abs=0.01)
