"""The whole way of a question with the real encoder and real files: answer, suggest, decline, follow up."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.core.documents import FoundPassage
from bot.core.errors import IndexUnavailable
from bot.core.messages import Address, Outcome, Question, Stage
from bot.core.scopes import Scopes
from bot.core.settings import AnswerSettings
from bot.engine import qa
from bot.engine.confidence import Calibration
from bot.engine.judging import _BESIDE_MARGIN
from bot.engine.logistic import LogisticModel
from bot.engine.qa import NOT_FOUND, REFUSAL, UNSURE, UNSURE_OF_SEVERAL, QAEngine
from bot.inference.reader import Reading
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


# --- with the models that ship with the bot: only that the obvious is found -----------------------------------------------

HELPFUL = (Outcome.ANSWERED, Outcome.SUGGESTED)


async def test_an_obvious_question_is_answered_with_its_place(application):
    """The words are the document's, and the citation leads to them."""
    answer = await application.answering.engine.answer(ask("what temperature should the water have?"))
    assert answer.outcome in HELPFUL
    assert "92 to 96" in answer.text.replace("**", "")
    [citation] = answer.citations
    assert (citation.document, citation.title, citation.heading) == ("guide.md", "Brewing guide", ("Water",))
    assert (citation.lines, citation.quote) == ((5, 5), GUIDE.split("\n")[4])
    assert answer.span in answer.text and answer.span in citation.quote
    assert 0 < answer.confidence <= 1
    assert answer.retrieved[0] == "guide.md"


async def test_a_how_to_is_answered_with_all_steps(application):
    """A list is never cut in the middle, and what announces it comes along."""
    answer = await application.answering.engine.answer(ask("How do I brew a cup of coffee?"))
    assert answer.outcome in HELPFUL
    assert "To brew a cup of coffee:\n\n1. Grind 15 g" in answer.text.replace("**", "")
    assert answer.text.replace("**", "").endswith("in 3 minutes.")
    assert answer.citations[0].lines == (9, 13)


async def test_a_stored_pair_is_answered_with_its_answer(application):
    """The row is named."""
    answer = await application.answering.engine.answer(ask("When is the shop open"))
    assert answer.outcome in HELPFUL
    assert "Monday to Friday." in answer.text.replace("**", "")
    assert (answer.citations[0].row, answer.citations[0].lines) == (2, None)


async def test_a_long_list_that_was_split_is_answered_whole(application, folder_of):
    """The index holds it in parts; the answer puts them together again."""
    steps = "\n".join(f"{n}. Turn the valve number {n} a quarter to the left and wait a moment." for n in range(1, 41))
    folder_of({"valves.md": f"# Valves\n\n## Opening the valves\n\nTo open all the valves:\n\n{steps}\n"})
    await application.indexer.index_folder(application.settings.knowledge.folder)
    answer = await application.answering.engine.answer(ask("How do I open all the valves?"))
    assert answer.outcome in HELPFUL
    assert answer.citations[0].quote == f"To open all the valves:\n\n{steps}"
    assert answer.citations[0].lines == (5, 46)


WORDLESS = ["", "   ", "?", "...", "🦓"]
HOSTILE = ["a" * 100_000, "\x00\x1b[31m", '" OR 1=1 NEAR( *', "NOT AND OR"]


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_text_is_a_question_like_any_other(application, text):
    """Nothing typed reaches the keyword index as syntax, and length costs nothing."""
    assert (await application.answering.engine.answer(ask(text))).outcome in (*HELPFUL, Outcome.DECLINED)


@pytest.mark.parametrize("text", WORDLESS)
async def test_a_message_without_words_is_asked_for_some(scripted, text):
    """Also right after an answer, which it must not repeat, though a follow-up may be as short."""
    engine = scripted({WATER: ("92", ANSWERS)})
    assert (await engine.answer(ask(WATER))).outcome in HELPFUL
    answer = await engine.answer(ask(text))
    assert (answer.outcome, answer.citations) == (Outcome.SMALL_TALK, ())
    assert "in words" in answer.text


@pytest.mark.parametrize(
    "empty", ["The following discounts are there:", "What do members pay?", "**Members pay as follows:**"]
)
async def test_an_announcement_of_nothing_or_a_question_is_no_answer(application, folder_of, empty):
    """However well it fits: the next candidate is taken."""
    folder_of(
        {
            "discount.md": f"# Discounts for members\n\n{empty}\n",
            "fees.md": "# Fees\n\nMembers get a discount of 9 euros.\n",
        }
    )
    await application.indexer.index_folder(application.settings.knowledge.folder)
    considered = await application.answering.engine.consider(ask("What discount do members get?"), forced=True)
    assert "discount of" in considered.forced.text.replace("**", "")


async def test_two_questions_in_one_message_get_two_answers(application):
    """Each below its question, with its own citation."""
    answer = await application.answering.engine.answer(
        ask("What temperature should the water have, and when is the shop open?")
    )
    assert answer.outcome in HELPFUL
    first, second = answer.text.replace("**", "").split("When is the shop open?")
    assert first.startswith("What temperature should the water have?")
    assert "92 to 96" in first and "Monday to Friday" in second
    assert [citation.document for citation in answer.citations] == ["guide.md", "faq.csv"]


async def test_two_questions_about_one_section_get_it_once(application):
    answer = await application.answering.engine.answer(
        ask("What temperature should the water have, and should it be soft?")
    )
    assert answer.text.count("should be soft") == 1
    assert len(answer.citations) == 1


@pytest.mark.parametrize("text", ["help", "What documents do you have?", "what can I ask you about"])
async def test_who_asks_for_the_documents_gets_their_titles(application, text):
    answer = await application.answering.engine.answer(ask(text))
    assert answer.outcome is Outcome.SMALL_TALK
    assert answer.text == "Ask me in your own words about what is in my 2 documents: “Faq”, “Brewing guide”."


async def test_the_newer_of_two_documents_is_quoted_and_the_older_named(application, folder_of):
    """Also where the search finds the older one first."""
    folder_of(
        {
            f"travel-{year}.md": f"# Travel rules {year}\n\nA night may cost {year - 1900} euros."
            for year in (2021, 2024)
        }
    )
    await application.indexer.index_folder(application.settings.knowledge.folder)
    answer = await application.answering.engine.answer(ask("How much may a night cost?"))
    assert "124 euros" in answer.text.replace("**", "")
    assert answer.text.endswith("_There is an older section about this: “Travel rules 2021”._")
    answer = await application.answering.engine.answer(ask("How much was a night allowed to cost in 2021?"))
    assert "121 euros" in answer.text.replace("**", "")
    assert "older" not in answer.text


async def test_a_table_is_looked_up_by_row_and_column(application, folder_of):
    """Whichever words of it the reader marks."""
    folder_of(
        {
            "boats.md": "# Boats\n\n| Boat | Berth | Skipper |\n|---|---|---|\n| Tern | B-1 | Anna |\n| Heron | B-2 | Otto |\n"
        }
    )
    await application.indexer.index_folder(application.settings.knowledge.folder)
    assert (
        "| Heron | B-2 | **Otto** |"
        in (await application.answering.engine.answer(ask("Who is the skipper of the Heron?"))).text
    )
    assert (
        "| **Tern** | B-1 | Anna |"
        in (await application.answering.engine.answer(ask("Which boat has the berth B-1?"))).text
    )


async def test_small_talk_is_neither_answered_nor_declined(application):
    """Thanks need no search."""
    answer = await application.answering.engine.answer(ask("Thanks a lot!"))
    assert (answer.outcome, answer.answered) == (Outcome.SMALL_TALK, False)


async def test_without_an_index_the_fix_is_named(settings, models):
    """An empty store is an error with a command, not an empty answer."""
    async with open_application(settings, models) as application:
        with pytest.raises(IndexUnavailable, match="knowledge-bot index"):
            await application.answering.engine.answer(ask("anything"))


async def test_an_empty_folder_answers_nothing(settings, models, folder_of):
    """No documents: everything is declined."""
    folder_of({"picture.png": b""})
    async with open_application(settings, models) as application:
        await application.indexer.index_folder(settings.knowledge.folder)
        answer = await application.answering.engine.answer(ask("anything"))
        assert (answer.outcome, answer.text) == (Outcome.DECLINED, REFUSAL)


# --- with a reader whose numbers are known --------------------------------------------------------------------------------

# The confidence is 1 / (1 + e^-relevance).
NOTHING = {"relevance": 0.0, "lead": 0.0, "retrieval": 0.0, "cosine": 0.0}
CALIBRATION = Calibration(LogisticModel(700, NOTHING), LogisticModel(0.0, {**NOTHING, "relevance": 1.0}), {})
ANSWERS = 3.0  # .95
MAY_ANSWER = -1.0  # .27
IRRELEVANT = -20.0

WATER = "what temperature should the water have?"
DESCALING = "How often must I descale the machine?"
WITH_WHAT = "and with what?"


class ScriptedReader:
    """Marks the words that are told for each question, in the passages that hold them, with their relevance."""

    def __init__(self, script: dict[str, tuple[str, float]], asked: dict[str, int]) -> None:
        """`asked` gets the number of passages read for each question."""
        self.script = script
        self.asked = asked

    async def read(self, question: str, passages: Sequence[FoundPassage]) -> list[Reading | None]:
        self.asked[question] = len(passages)
        return [self._reading(found, *self.script.get(question, ("\0", IRRELEVANT))) for found in passages]

    def _reading(self, found: FoundPassage, words: str, relevance: float) -> Reading:
        for place, block in enumerate(found.passage.blocks):
            if (start := block.text.find(words)) >= 0:
                return Reading(relevance, place, (start, start + len(words)))
        return Reading(IRRELEVANT, 0, (0, 1))


Scripted = Callable[..., QAEngine]


@pytest.fixture
def scripted(application) -> Scripted:
    """Make an engine over the application's index: `scripted({question: (words, relevance)}, threshold=0.5)`."""

    def make(script: dict[str, tuple[str, float]], asked: dict[str, int] | None = None, **settings: float) -> QAEngine:
        answering = application.answering
        chosen = AnswerSettings(**{"threshold": 0.5, "suggest_threshold": 0.15, **settings})
        reader = ScriptedReader(script, {} if asked is None else asked)
        return QAEngine(answering.retriever, reader, CALIBRATION, answering.conversations, chosen, scopes=Scopes())

    return make


async def test_what_is_sure_is_answered(scripted):
    """The words are bold where they stand, and are the span."""
    answer = await scripted({WATER: ("92 to 96 degrees", ANSWERS)}).answer(ask(WATER))
    assert (answer.outcome, answer.answered) == (Outcome.ANSWERED, True)
    assert answer.text == "Use water at **92 to 96 degrees**. It should be soft. Hard water makes the cup taste flat."
    assert (answer.span, answer.confidence) == ("92 to 96 degrees", pytest.approx(0.953, abs=0.001))


async def test_what_may_answer_is_suggested(scripted):
    """Marked as unsure, with the section and its place; it doesn't count as answered."""
    answer = await scripted({WATER: ("92 to 96 degrees", MAY_ANSWER)}).answer(ask(WATER))
    assert (answer.outcome, answer.answered) == (Outcome.SUGGESTED, False)
    assert answer.text.startswith(f"{UNSURE}\n\nUse water at **92 to 96 degrees**.")
    assert answer.citations[0].lines == (5, 5)
    assert answer.confidence == pytest.approx(0.269, abs=0.001)


async def test_two_sections_that_come_close_are_shown_combined(application, scripted, folder_of):
    """Each below its name and with its citation, whether they are sure or not; one that is far behind is not shown."""
    prices = {
        f"{place}.md": f"# The {place}\n\nA cup of tea costs {n} euros." for n, place in enumerate(("gate", "pond"), 3)
    }
    folder_of({**prices, "trains.md": "# Trains\n\nTrains leave at noon."})
    await application.indexer.index_folder(application.settings.knowledge.folder)
    tea = "What does a cup of tea cost?"
    answer = await scripted({tea: ("costs", MAY_ANSWER)}).answer(ask(tea))
    assert answer.outcome is Outcome.SUGGESTED
    [one, other] = sorted(
        ("The gate", "A cup of tea **costs** 3 euros.", "The pond", "A cup of tea **costs** 4 euros.")[n : n + 2]
        for n in (0, 2)
    )
    texts = [f"**{a[0]}**\n\n{a[1]}\n\n**{b[0]}**\n\n{b[1]}" for a, b in ((one, other), (other, one))]
    assert answer.text in [f"{UNSURE_OF_SEVERAL}\n\n{text}" for text in texts]
    assert {citation.document for citation in answer.citations} == {"gate.md", "pond.md"}
    answer = await scripted({tea: ("costs", ANSWERS)}).answer(ask(tea))
    assert (answer.outcome, answer.text in texts) == (Outcome.ANSWERED, True)
    assert {citation.document for citation in answer.citations} == {"gate.md", "pond.md"}


async def test_a_suggestion_shows_a_third_section(application, scripted, folder_of):
    """An answer shows two at most, and so does what would be the answer at a lower threshold."""
    folder_of(
        {f"{place}.md": f"# The {place}\n\nA cup of tea costs {place} euros." for place in ("one", "two", "three")}
    )
    await application.indexer.index_folder(application.settings.knowledge.folder)
    tea = "What does a cup of tea cost?"
    suggested = await scripted({tea: ("costs", MAY_ANSWER)}).consider(ask(tea), forced=True)
    assert suggested.answer.outcome is Outcome.SUGGESTED
    assert suggested.answer.text.startswith(UNSURE_OF_SEVERAL)
    assert {citation.document for citation in suggested.answer.citations} == {"one.md", "two.md", "three.md"}
    assert all(f"**The {place}**\n\nA cup" in suggested.answer.text for place in ("one", "two", "three"))
    assert suggested.forced is not None and len(suggested.forced.citations) == 2
    answered = await scripted({tea: ("costs", ANSWERS)}).answer(ask(tea))
    assert answered.text == suggested.forced.text


async def test_a_section_that_says_nothing_is_not_suggested_beside(application, scripted, folder_of):
    """Nor does another passage stand below its name."""
    folder_of(
        {
            "gate.md": "# The gate\n\nA cup of tea costs 3 euros.",
            "pond.md": "# The pond\n\nA cup of tea by the old pond costs this much:",
            "trains.md": "# Trains\n\nTrains leave at noon.",
        }
    )
    await application.indexer.index_folder(application.settings.knowledge.folder)
    tea = "What does a cup of tea cost?"
    considered = await scripted({tea: ("A cup", MAY_ANSWER)}).consider(ask(tea))
    gate, pond = considered.candidates[:2]
    assert (gate.hit.found.document, pond.hit.found.document) == ("gate.md", "pond.md")
    assert gate.rank - pond.rank < _BESIDE_MARGIN
    assert considered.answer.text == f"{UNSURE}\n\n**A cup** of tea costs 3 euros."
    assert [citation.document for citation in considered.answer.citations] == ["gate.md"]


async def test_what_is_neither_is_declined(scripted):
    """No citation and no span; what is near is named, without a claim that the documents don't answer."""
    answer = await scripted({}).answer(ask(WATER))
    assert (answer.outcome, answer.answered) == (Outcome.DECLINED, False)
    assert answer.text.startswith(f"{NOT_FOUND} The nearest I found: “Brewing guide › Water”")
    assert (answer.span, answer.citations, answer.more) == (None, (), "")


@pytest.mark.parametrize(
    "text", ["What is the capital of France?", "zxcvb qwrt", "who won the football match", *HOSTILE]
)
async def test_what_is_not_even_near_is_refused(scripted, text):
    """Nothing is named that has nothing to do with it."""
    answer = await scripted({}).answer(ask(text))
    assert (answer.outcome, answer.text) == (Outcome.DECLINED, REFUSAL)


async def test_each_bound_decides(scripted):
    """What reaches it is over it; where both are the same nothing is suggested."""
    script = {WATER: ("92", MAY_ANSWER)}

    async def outcome(**bounds: float) -> Outcome:
        return (await scripted(script, **bounds).consider(ask(WATER))).answer.outcome

    assert await outcome(threshold=0.26) is Outcome.ANSWERED
    assert await outcome(threshold=0.27) is Outcome.SUGGESTED
    assert await outcome(suggest_threshold=0.26) is Outcome.SUGGESTED
    assert await outcome(suggest_threshold=0.27) is Outcome.DECLINED
    assert await outcome(threshold=0.27, suggest_threshold=0.27) is Outcome.DECLINED


async def test_an_answer_that_is_withheld_is_composed_on_request(scripted):
    """For the evaluation, as if every bound were at 0; the outcome stays."""
    engine = scripted({WATER: ("92 to 96 degrees", -3.0)})
    considered = await engine.consider(ask(WATER), forced=True)
    assert considered.answer.outcome is Outcome.DECLINED
    assert considered.forced.answered and "**92 to 96 degrees**" in considered.forced.text
    assert (await engine.consider(ask(WATER))).forced is None


async def test_another_product_s_price_is_never_sure(application, scripted, folder_of):
    """However relevant the reader finds it."""
    folder_of({"prices.md": "# Pumps\n\nThe P-300 costs 90 euros.\n"})
    await application.indexer.index_folder(application.settings.knowledge.folder)
    script = {f"How much is the P-{number}?": ("90 euros", 9.0) for number in (300, 400)}
    assert (await scripted(script).answer(ask("How much is the P-300?", "a"))).outcome is Outcome.ANSWERED
    assert (await scripted(script).answer(ask("How much is the P-400?", "b"))).outcome is Outcome.SUGGESTED


async def test_as_many_passages_are_read_as_the_settings_say(scripted):
    """In one batch, at most; the others are named as unread."""
    asked: dict[str, int] = {}
    brewing = "the guide to brewing"  # all of it is
    considered = await scripted({brewing: ("92", ANSWERS)}, asked, read_passages=2).consider(ask(brewing))
    assert asked == {brewing: 2}
    assert (len(considered.candidates), len(considered.judged.unread)) == (2, 2)


async def test_a_question_is_cut_where_nobody_types_on(scripted):
    """For searching and reading."""
    asked: dict[str, int] = {}
    await scripted({}, asked).answer(ask("water " * 100_000))
    assert [len(question) for question in asked] == [2000]


async def test_what_follows_in_the_section_is_there_on_request(application, scripted, folder_of):
    """The text is short, and `more` has the rest."""
    rest = f"Then {'wait a moment and ' * 90}go on."
    folder_of({"pump.md": f"# Pump\n\nThe pump is red.\n\n{rest}\n"})
    await application.indexer.index_folder(application.settings.knowledge.folder)
    answer = await scripted({"Which colour has the pump?": ("red", ANSWERS)}).answer(ask("Which colour has the pump?"))
    assert (answer.text, answer.more) == ("The pump is **red**.", rest)


async def test_progress_and_times_tell_the_stages(scripted):
    """What a person sees while waiting, and what the log line says."""
    stages = []
    answer = await scripted({}).answer(ask(WATER), lambda update: stages.append(update.stage))
    assert stages == [Stage.SEARCHING, Stage.READING]
    assert set(answer.timings_ms) == {"conversation", "search", "read", "compose", "total"}


def test_the_map_names_the_stages_of_the_engine_in_their_order():
    """So that the code can be read along it."""
    stages = re.search(r"interpret ▶.*", (Path(__file__).parents[2] / "ARCHITECTURE.md").read_text())[0].split(" ▶ ")
    assert [name[1:] for name in vars(QAEngine) if name[1:] in stages] == stages
    assert " -> ".join(stages) in qa.__doc__


# --- follow-ups -----------------------------------------------------------------------------------------------------------

FOLLOW_UP = {
    DESCALING: ("every three months", ANSWERS),
    f"{WITH_WHAT} {DESCALING}": ("citric acid", ANSWERS),
    f"{WATER} {DESCALING}": ("every three months", ANSWERS),
    WATER: ("92 to 96 degrees", ANSWERS),
}


async def test_a_follow_up_is_understood_from_what_was_said_before(scripted):
    """What alone says nothing finds its passage through the earlier question, in its own conversation only."""
    engine = scripted(FOLLOW_UP)
    await engine.answer(ask(DESCALING, "one"))
    assert "**citric acid**" in (await engine.answer(ask(WITH_WHAT, "one"))).text
    assert (await engine.answer(ask(WITH_WHAT, "two"))).outcome is Outcome.DECLINED


async def test_a_forgotten_conversation_is_not_referred_to(application, scripted):
    """After /new a question stands alone."""
    engine = scripted(FOLLOW_UP)
    await engine.answer(ask(DESCALING))
    await application.answering.conversations.forget("c")
    assert (await engine.answer(ask(WITH_WHAT))).outcome is Outcome.DECLINED


async def test_a_reply_refers_to_the_message_that_it_replies_to(scripted):
    """Without any turn stored."""
    answer = await scripted(FOLLOW_UP).answer(ask(WITH_WHAT, replied_to=DESCALING))
    assert "**citric acid**" in answer.text


async def test_another_subject_is_answered_as_if_it_were_asked_first(scripted):
    """What was said before takes nothing away from a question that stands alone."""
    engine = scripted(FOLLOW_UP)
    first = await engine.consider(ask(WATER))
    await engine.answer(ask(DESCALING))
    later = await engine.consider(ask(WATER))
    assert later.answer.confidence == pytest.approx(first.answer.confidence)
    assert (later.answer.text, later.answer.citations) == (first.answer.text, first.answer.citations)
    assert later.judged.interpretation == first.judged.interpretation


async def test_an_announced_other_subject_is_no_follow_up(scripted):
    """However sure the bot would be of the follow-up."""
    engine = scripted({DESCALING: ("every three months", ANSWERS), WATER: ("92 to 96 degrees", ANSWERS)})
    await engine.answer(ask(DESCALING))
    considered = await engine.consider(ask(f"Unrelated: {WATER}"))
    assert considered.judged.interpretation.text == WATER
    assert "92 to 96" in considered.answer.text.replace("**", "")


@pytest.mark.parametrize(
    ("question", "alone", "together", "taken_alone"),
    [
        (WATER, 0.5, 0.4, True),
        (WATER, 0.4, 0.5, False),
        (WATER, 0.5, 0.5, True),
        ("how hot should it be?", 0.5, 0.4, False),  # .62 is not much surer than .60
        ("how hot should it be?", 2.0, 0.4, True),  # .88 is
        (WATER, -2.5, -9.0, False),  # .08 would be declined either way
    ],
)
async def test_what_is_surer_decides_whether_it_is_a_follow_up(scripted, question, alone, together, taken_alone):
    """Much surer, if the question points back."""
    script = {
        DESCALING: ("every three months", ANSWERS),
        question: ("92 to 96 degrees", alone),
        # What the search puts first for the two together: with few words, a question leans on the one before.
        f"{question} {DESCALING}": ("92 to 96 degrees" if question == WATER else "every three months", together),
    }
    asked: dict[str, int] = {}
    engine = scripted(script, asked)
    await engine.answer(ask(DESCALING))
    considered = await engine.consider(ask(question))
    assert (considered.judged.interpretation.text == question) is taken_alone
    assert set(asked) == set(script)


async def test_chatter_after_an_answer_is_still_declined(scripted):
    """What was said before does not carry an off-topic remark over the threshold."""
    engine = scripted(FOLLOW_UP)
    await engine.answer(ask(DESCALING))
    assert (await engine.answer(ask("who won the football match yesterday"))).outcome is Outcome.DECLINED


@pytest.mark.parametrize(("relevance", "remembered"), [(ANSWERS, [WATER]), (MAY_ANSWER, [WATER]), (IRRELEVANT, [])])
async def test_declined_questions_are_not_followed_up(application, scripted, relevance, remembered):
    """A question that was not answered does not lead the next one astray; nor is one remembered that is only considered."""
    engine = scripted({WATER: ("92", relevance)})
    await engine.consider(ask(WATER))
    assert await application.stores.journal.conversations.turns("c", newer_than=0, limit=9) == []
    await engine.answer(ask(WATER))
    assert [
        turn.question for turn in await application.stores.journal.conversations.turns("c", newer_than=0, limit=9)
    ] == remembered
