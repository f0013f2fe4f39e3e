"""The check of generated drafts: what the passages say is kept, everything else is not shown to anybody."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.core.documents import Block, Form, FoundPassage, Passage
from bot.core.errors import EngineBusy, WeightsError
from bot.core.messages import Phrased
from bot.core.settings import GroundingSettings
from bot.engine.grounding import Grounded, Grounding
from bot.engine.support import NAMES, SHIPPED, WORD_NAMES, SupportModel
from bot.inference.workers import AsyncEncoder, AsyncReader, InferenceWorker, Models

QUESTION = "When was the harbour bridge opened, and what may cross it?"
TEXT = (
    "The harbour bridge was opened in March 1932 by Premier Jack Lang and carries 200,000 cars a day. It is 134 metres high. "
    "Pedestrians may not use the western side. The toll was raised from 3 to 4 dollars in 2009. All trains stop at "
    "Milsons Point before they cross the bridge."
)


def found(*texts: str, title: str = "Harbour bridge", form: Form = Form.PARAGRAPH) -> FoundPassage:
    blocks = tuple(Block(form, text) for text in texts)
    return FoundPassage("bridge.md", title, None, (0, 0), Passage(blocks, (), "\n".join(texts)))


PASSAGES = [found(TEXT)]


@pytest.fixture
async def grounding(models: Models) -> AsyncIterator[Grounding]:
    """With the real encoder and the reader that ships with the bot."""
    worker = InferenceWorker("inference", lambda: models, capacity=64)
    yield Grounding(AsyncEncoder(worker), AsyncReader(worker), GroundingSettings())
    await worker.close()


@pytest.fixture
def by_words() -> Grounding:
    """Without any model, as on a machine that has none."""
    return Grounding(None, None, GroundingSettings())


TRUE = (
    ("When was the harbour bridge opened?", "The harbour bridge was opened in March 1932."),
    ("Who opened the bridge?", "Premier Jack Lang opened the harbour bridge in March 1932."),
    ("How many cars use the bridge?", "The bridge carries 200000 cars each day."),
    ("How high is the bridge?", "The bridge is 134 m high."),
    ("Which side may pedestrians not use?", "Pedestrians can't use the western side."),
    ("When was the toll raised?", "In 2009, the toll was raised from $3 to $4."),
    ("Where do all trains stop?", "All trains stop at Milsons Point before crossing the bridge."),
)
FALSE = (
    ("number", "The harbour bridge carries 300,000 cars a day."),
    ("date", "The harbour bridge was opened in March 1933."),
    ("date", "The harbour bridge was opened in May 1932 by Premier Jack Lang."),
    ("date", "The harbour bridge was opened in March 2009 by Premier Jack Lang."),
    ("name", "The harbour bridge was opened in March 1932 by Premier Jack Smith."),
    ("name", "All trains stop at Central Station before they cross the bridge."),
    ("unit", "The bridge is 134 feet high."),
    ("unit", "The bridge carries 200,000 cars a week."),
    ("negation", "Pedestrians may use the western side."),
    ("negation", "The harbour bridge was not opened in March 1932 by Premier Jack Lang."),
    ("opposite", "All trains stop at Milsons Point after they cross the bridge."),
)


@pytest.mark.parametrize(("question", "sentence"), TRUE)
async def test_what_the_passages_say_is_kept(
    grounding: Grounding, by_words: Grounding, question: str, sentence: str
) -> None:
    """Other words for the same, other forms of numbers and units, and another order are no reason to drop a sentence."""
    kept = Grounded(sentence, Phrased.KEPT)
    assert await grounding.check(sentence, PASSAGES, question) == kept
    assert await by_words.check(sentence, PASSAGES, question) == kept


@pytest.mark.parametrize(("kind", "sentence"), FALSE)
async def test_a_changed_sentence_is_caught_with_its_kind(
    grounding: Grounding, by_words: Grounding, kind: str, sentence: str
) -> None:
    """One number, name, date, unit, negation or opposite makes a sentence false, and the reason says which."""
    for each in (grounding, by_words):
        checked = await each.check(sentence, PASSAGES, QUESTION)
        assert (checked.text, checked.outcome) == ("", Phrased.REPLACED)
        assert kind in checked.reasons


async def test_what_the_passages_dont_speak_of_is_caught(grounding: Grounding, by_words: Grounding) -> None:
    """A sentence of general knowledge is dropped although it names what was asked about."""
    for sentence in (
        "The harbour bridge is a popular wedding venue with excellent catering.",
        "Python is a programming language that was designed for readability.",
    ):
        assert (await by_words.check(sentence, PASSAGES, QUESTION)).outcome is Phrased.REPLACED
        assert (await grounding.check(sentence, PASSAGES, QUESTION)).outcome is Phrased.REPLACED


@pytest.mark.parametrize(("question", "_answer"), TRUE[1:5])
async def test_what_is_true_of_something_else_is_no_answer(grounding: Grounding, question: str, _answer: str) -> None:
    """The passages say it, but nobody asked."""
    said = "All trains stop at Milsons Point before they cross the bridge."
    assert await grounding.check(said, PASSAGES, question) == Grounded("", Phrased.REPLACED, ("beside_the_question",))


async def test_only_unsupported_sentences_are_left_out(grounding: Grounding) -> None:
    """With `trim`, the true sentences around a false one stay, in their order and with their layout."""
    draft = "The bridge is 134 metres high. It was opened in 1952.\n\nPedestrians may not use the western side."
    assert await grounding.check(draft, PASSAGES, "How high is the bridge?") == Grounded(
        "The bridge is 134 metres high.\n\nPedestrians may not use the western side.", Phrased.TRIMMED, ("date",)
    )


async def test_one_unsupported_sentence_replaces_the_draft_if_so_set() -> None:
    """With `replace`, a false sentence leaves nothing, and the generation may be stopped; pleasantries don't."""
    strict = Grounding(None, None, GroundingSettings(unsupported="replace"))
    checking = strict.checking(PASSAGES, QUESTION)
    draft = "Sure! The bridge is 134 metres high. It was opened in 1952. "
    assert await checking.so_far(draft) == "The bridge is 134 metres high."
    assert not checking.is_rejected
    assert await checking.so_far(f"{draft}Pedestrians") == ""
    assert checking.is_rejected
    assert await checking.whole(draft) == Grounded("", Phrased.REPLACED, ("filler", "date"))


async def test_list_items_stand_and_fall_one_by_one(by_words: Grounding) -> None:
    """A false item goes with its marker; the others keep theirs."""
    draft = "- The bridge is 134 metres high.\n- The bridge is 900 metres high.\n- Pedestrians may not use the western side."
    checked = await by_words.check(draft, PASSAGES, QUESTION)
    assert checked.text.splitlines() == [
        "- The bridge is 134 metres high.",
        "",
        "- Pedestrians may not use the western side.",
    ]
    assert checked.reasons == ("number",)


async def test_code_must_stand_in_the_passages_line_by_line(by_words: Grounding) -> None:
    """A command is never nearly right."""
    passages = [
        found("Run the installer:", title="Setup"),
        found("```\npip install bridge\nbridge --start\n```", form=Form.CODE),
    ]
    right, wrong = "```\npip install bridge\n```", "```\npip install bridges\n```"
    assert await by_words.check(right, passages, "How?") == Grounded(right, Phrased.KEPT)
    assert await by_words.check(wrong, passages, "How?") == Grounded("", Phrased.REPLACED, ("code",))


async def test_a_few_words_must_be_those_that_the_reader_marks(grounding: Grounding) -> None:
    """ "2009" stands in the passage but answers another question."""
    question = "When was the harbour bridge opened?"
    assert (await grounding.check("March 1932", PASSAGES, question)).outcome is Phrased.KEPT
    assert (await grounding.check("In 1932.", PASSAGES, question)).outcome is Phrased.KEPT
    assert (await grounding.check("In 2009.", PASSAGES, question)).outcome is Phrased.REPLACED
    assert (await grounding.check("Sure! 2009.", PASSAGES, question)).outcome is Phrased.REPLACED
    assert (await grounding.check("No.", PASSAGES, question)).outcome is Phrased.REPLACED


LIBRARY = [
    found(
        "Members may borrow a telescope for 17 days. Guests may not borrow one. The catalogue works without internet. "
        "A card is valid for 30 months, and a visitor's pass for 12 hours. Loans are recorded at counter 8 by the librarian.",
        title="Library",
    )
]
BORROW, OFFLINE = "Can guests borrow a telescope?", "Can I use the catalogue without internet?"


@pytest.mark.parametrize(
    ("question", "draft", "text"),
    [
        (BORROW, "No, guests may not borrow one.", "No, guests may not borrow one."),
        (BORROW, "No. Guests may not borrow one.", "No. Guests may not borrow one."),
        (BORROW, "Yes. Guests may not borrow one.", "Guests may not borrow one."),
        (BORROW, "Yes, guests may borrow one.", ""),
        (OFFLINE, "Yes. The catalogue works without internet.", "Yes. The catalogue works without internet."),
        (OFFLINE, "No, the catalogue works without internet.", "The catalogue works without internet."),
        (OFFLINE, "No. The catalogue works without internet. ", "The catalogue works without internet."),
        (OFFLINE, "No, you cannot use the catalogue without internet.", ""),
        (OFFLINE, "Yes.", ""),
    ],
)
async def test_a_yes_or_no_must_agree_with_the_sentence_behind_it(
    grounding: Grounding, question: str, draft: str, text: str
) -> None:
    """A wrong one is left out, also while the draft is being written; a negation in the question turns its meaning round."""
    checked = await grounding.check(draft, LIBRARY, question)
    assert checked.text == text
    if text and text != draft:
        assert checked == Grounded(text, Phrased.TRIMMED, ("negation",))
        assert await grounding.checking(LIBRARY, question).so_far(f"{draft.rstrip()} Loans are") == text


async def test_a_no_that_the_passages_say_is_kept_with_its_sentence(by_words: Grounding) -> None:
    """As stored answers often begin, whether or not their sentence is negated."""
    said = "No. The catalogue computes on the ordinary processor."
    passages = [found(f"{said} A graphics card would not be used.")]
    assert await by_words.check(said, passages, "Will it use my graphics card?") == Grounded(said, Phrased.KEPT)
    refused = "No. Many of the old plugins could not be supported."
    passages = [found(f"{refused} Others have been ported.")]
    assert await by_words.check(refused, passages, "Will my old plugins work?") == Grounded(refused, Phrased.KEPT)


async def test_code_within_a_sentence_must_stand_in_the_passages(by_words: Grounding) -> None:
    """Letter by letter; the question is no witness for a command or a file."""
    passages = [found("Run `bridge setup telegram` and keep `bot.toml` for yourself.")]
    question = "How do I set up `slack`?"
    right = "Run `bridge setup telegram` and keep `bot.toml`."
    assert (await by_words.check(right, passages, question)).text == right
    for wrong in ("Run `bridge setup slack`.", "Keep `slack.toml` for yourself.", "Run `bridge setup` for `slack`."):
        assert await by_words.check(wrong, passages, question) == Grounded("", Phrased.REPLACED, ("code",))


async def test_a_wrong_yes_or_no_replaces_the_draft_if_so_set() -> None:
    """As any other sentence that the passages contradict."""
    strict = Grounding(None, None, GroundingSettings(unsupported="replace"))
    checked = await strict.check("Yes. Guests may not borrow one.", LIBRARY, BORROW)
    assert checked == Grounded("", Phrased.REPLACED, ("negation",))


async def test_a_no_without_a_mark_is_part_of_its_sentence(by_words: Grounding) -> None:
    """So it isn't taken for an answer, and its negation is compared."""
    checked = await by_words.check(
        "No trains stop at Milsons Point before they cross the bridge.", PASSAGES, "What stops?"
    )
    assert checked.outcome is Phrased.REPLACED


@pytest.mark.parametrize(
    ("draft", "right"),
    [
        ("The answer is 30 months.", True),
        ("It is valid for 30 months.", True),
        ("A card is valid for 30 months.", True),
        ("The answer is 12 hours.", False),
        ("The answer is 30 hours.", False),
        ("It isn't valid for 30 months.", False),
        ("The card is valid.", False),
    ],
)
async def test_a_short_answer_may_be_a_sentence_with_words_of_the_question(
    grounding: Grounding, draft: str, right: bool
) -> None:
    """What it adds to them must be what the reader marks."""
    checked = await grounding.check(draft, LIBRARY, "How long is a card valid?")
    assert (checked.text == draft) is right


async def test_a_name_from_the_question_needs_the_passages(grounding: Grounding, by_words: Grounding) -> None:
    """A question may take for granted what isn't so; other words of it are other words for what the passages say."""
    for each in (grounding, by_words):
        wrong = await each.check(
            "The librarian records loans in Berlin.", LIBRARY, "Where are loans in Berlin recorded?"
        )
        assert (wrong.outcome, wrong.reasons) == (Phrased.REPLACED, ("name",))
        right = "The librarian records loans at counter 8."
        assert (await each.check(right, LIBRARY, "Where are loans recorded?")).text == right


async def test_steps_are_shown_all_or_not_at_all(by_words: Grounding) -> None:
    """Whoever follows them would miss one; a point of another list may be left out."""
    steps = "Drain the boiler. Remove the two screws of the lid. Close the valve."
    passages = [
        found("1. Drain the boiler.\n2. Remove the two screws of the lid.\n3. Close the valve.", form=Form.LIST)
    ]
    question = "How is the boiler opened?"
    draft = "1. Drain the boiler.\n2. Call Mister Smith in Vienna.\n3. Close the valve."
    assert await by_words.check(draft, passages, question) == Grounded("", Phrased.REPLACED, ("name",))
    points = draft.replace("1.", "-").replace("2.", "-").replace("3.", "-")
    left = await by_words.check(points, passages, question)
    assert (left.text, left.outcome) == ("- Drain the boiler.\n\n- Close the valve.", Phrased.TRIMMED)
    whole = "1. Drain the boiler.\n2. Remove the two screws of the lid.\n3. Close the valve."
    assert (await by_words.check(whole, [found(steps)], question)).text == whole


@pytest.mark.parametrize(
    ("question", "said", "restated"),
    [
        ("Why do all trains stop before the bridge?", "All trains stop before the bridge.", True),
        ("Why do all trains stop before the bridge?", "All trains stop because they are before the bridge.", True),
        ("The trains stop before the bridge and I don't know why", "The trains stop before the bridge.", True),
        ("How high is the bridge?", 'The question is "How high is the bridge?".', False),  # a word of its own
        ("How high is the bridge?", "The bridge is 134 metres high.", False),
        ("Which trains stop before the bridge?", "No trains stop before the bridge.", False),
        ("How do trains stop before the bridge?", "To stop trains before the bridge:", False),
        ("Do all trains stop before the bridge?", "All trains stop before the bridge.", False),
        ("When I take a train, does it stop before the bridge?", "The train stops before the bridge.", False),
        ("all trains stop before the bridge?", "All of the trains stop before the bridge.", False),
        ("What stops before the bridge, cars or trains?", "Trains stop before the bridge.", False),
    ],
)
async def test_what_only_says_the_question_again_answers_no_open_one(
    by_words: Grounding, question: str, said: str, restated: bool
) -> None:
    """As a statement, with a "because" perhaps. A question for yes or no, or for one of two, is answered by its own words."""
    checking = by_words.checking(PASSAGES, question)
    assert (await checking.sentence(said) == ("echo",)) is restated


@pytest.mark.parametrize(
    ("draft", "reason"),
    [
        ("", "empty"),
        (" \n...\n", "empty"),
        ("bridge bridge bridge bridge bridge", "repetition"),
        (
            "The bridge was opened and the bridge was opened and the bridge was opened and the bridge was opened.",
            "repetition",
        ),
        (QUESTION, "echo"),
        (QUESTION.rstrip("?"), "echo"),
        ("Would you like to know more about the harbour bridge?", "question"),
        ("Sure, I can help with that!", "filler"),
        ("I hope this helps.", "filler"),
        ("I don't know when the harbour bridge was opened.", "no_answer"),
        ("The documents do not mention the harbour bridge.", "no_answer"),
        ("Мост был открыт в марте 1932 года.", "language"),
        ("大桥于1932年3月开通。", "language"),
        ("User: When was the harbour bridge opened?", "role"),
        ("<|endoftext|><|endoftext|>", "role"),
        ("The harbour bridge was opened in March 1932 by the", "cut_off"),
    ],
)
async def test_what_is_no_answer_is_replaced_and_named(by_words: Grounding, draft: str, reason: str) -> None:
    """Loops, echoes, pleasantries, other scripts and markers of roles are recognised without any model."""
    checked = await by_words.check(draft, PASSAGES, QUESTION)
    assert (checked.text, checked.outcome) == ("", Phrased.REPLACED)
    assert reason in checked.reasons


async def test_another_language_is_named() -> None:
    """A long draft in another language of the same script is replaced, and the reason is its language."""
    draft = (
        "Die Hafenbrücke wurde im März 1932 eröffnet. Fußgänger dürfen die westliche Seite nicht benutzen, und alle Züge "
        "halten an der Station Milsons Point, bevor sie die Brücke überqueren. Die Maut wurde im Jahr 2009 erhöht."
    )
    checked = await Grounding(None, None, GroundingSettings()).check(draft, PASSAGES, QUESTION)
    assert checked == Grounded("", Phrased.REPLACED, ("language",))


@pytest.mark.parametrize(
    ("draft", "text", "reason"),
    [
        (
            "The bridge is 134 metres high. The bridge is 134 metres high.",
            "The bridge is 134 metres high.",
            "repetition",
        ),
        ("The bridge is 134 metres high. The toll was raised from 3 to", "The bridge is 134 metres high.", "cut_off"),
        ("The bridge is 134 metres high. The toll was raised", "The bridge is 134 metres high.", "cut_off"),
        ("Answer: The bridge is 134 metres high.", "The bridge is 134 metres high.", "role"),
        ("The bridge is 134 metres high.\nUser: Thanks! Is it safe?", "The bridge is 134 metres high.", "role"),
        ("The bridge is 134 metres high.<|im_end|>\n<|im_start|>user", "The bridge is 134 metres high.", "role"),
        ("Sure! The bridge is 134 metres high. I hope this helps!", "The bridge is 134 metres high.", "filler"),
    ],
)
async def test_what_surrounds_an_answer_is_trimmed(by_words: Grounding, draft: str, text: str, reason: str) -> None:
    """What a model writes before and after its answer goes, the answer stays."""
    assert await by_words.check(draft, PASSAGES, QUESTION) == Grounded(text, Phrased.TRIMMED, (reason,))


async def test_a_marker_that_the_documents_have_is_text(by_words: Grounding) -> None:
    """Documents about prompts may be quoted."""
    sentence = "The marker <|im_end|> closes each message of the template."
    assert (await by_words.check(sentence, [found(sentence)], "What closes a message?")).outcome is Phrased.KEPT


async def test_a_draft_is_shown_sentence_by_sentence(grounding: Grounding) -> None:
    """While a draft grows, only sentences that have ended and are supported are seen, and none is examined twice."""
    draft = "The bridge is 134 metres high. It was opened in 1952. Pedestrians may not use the western side."
    checking = grounding.checking(PASSAGES, QUESTION)
    examined: list[str] = []
    examine = checking.examine

    async def counted(sentence: str, *, alone: bool = False):  # type: ignore[no-untyped-def]
        examined.append(sentence)
        return await examine(sentence, alone=alone)

    checking.examine = counted  # type: ignore[method-assign]
    shown = [await checking.so_far(draft[:length]) for length in range(0, len(draft) + 1, 7)]
    assert list(dict.fromkeys(shown)) == ["", "The bridge is 134 metres high."]
    assert await checking.whole(draft) == await grounding.check(draft, PASSAGES, QUESTION)
    assert len(examined) == len(set(examined)) == 3


async def test_one_sentence_can_be_asked_about(by_words: Grounding) -> None:
    """The reasons of a single sentence, none where it is supported."""
    checking = by_words.checking(PASSAGES, QUESTION)
    assert await checking.sentence("The bridge is 134 metres high.") == ()
    assert await checking.sentence("The bridge is 135 metres high.") == ("number",)


async def test_reasons_hold_no_text(grounding: Grounding) -> None:
    """Whatever is in a draft, its reasons are of a small set of words that may be logged."""
    kinds = set(
        "number date name unit negation opposite order not_in_passages code empty repetition echo question filler no_answer "
        "language role cut_off".split()
    )
    for _, sentence in FALSE:
        assert (
            set((await grounding.check(f"{sentence} Secret token 12345 of Mallory.", PASSAGES, QUESTION)).reasons)
            <= kinds
        )


async def test_without_passages_nothing_is_supported(grounding: Grounding) -> None:
    """A draft that was made from nothing is replaced."""
    assert (await grounding.check("The bridge is 134 metres high.", [], QUESTION)).outcome is Phrased.REPLACED


async def test_the_threshold_decides() -> None:
    """With 0 every statement passes, with 1 none does."""
    for threshold, outcome in ((0.0, Phrased.KEPT), (1.0, Phrased.REPLACED)):
        grounding = Grounding(None, None, GroundingSettings(threshold=threshold))
        assert (await grounding.check("The bridge was painted last summer.", PASSAGES, QUESTION)).outcome is outcome


async def test_a_full_worker_is_an_error_that_the_caller_can_take(models: Models) -> None:
    """The caller falls back to the quote, as with any busy model."""
    worker = InferenceWorker("inference", lambda: models, capacity=0)
    grounding = Grounding(AsyncEncoder(worker), None, GroundingSettings())
    with pytest.raises(EngineBusy):
        await grounding.check(TRUE[0][1], PASSAGES, QUESTION)
    await worker.close()


@pytest.mark.slow
async def test_many_drafts_are_checked_side_by_side_without_holding_the_loop_up(grounding: Grounding) -> None:
    """The fixture that watches the loop fails this test if a check computes on it."""
    long = [found(*(f"{TEXT} Room {number} is blue." for number in range(40)))]
    draft = " ".join(sentence for _, sentence in TRUE)
    checked = await asyncio.gather(*(grounding.check(draft, long, QUESTION) for _ in range(8)))
    assert {each.outcome for each in checked} == {Phrased.KEPT}


def test_the_shipped_numbers_are_complete_and_say_where_they_come_from() -> None:
    """A weight for every score, of the sign that its meaning has, with what they were fitted on."""
    model = SupportModel.load(SHIPPED)
    assert set(model.with_meaning.weights) == set(NAMES)
    assert set(model.by_words.weights) == set(WORD_NAMES)
    assert model.with_meaning.weights["name_missing"] < 0 < model.with_meaning.weights["cosine"]
    assert model.provenance["made_by"] == "benchmarks/grounding.py --fit"


def test_damaged_numbers_are_refused_with_the_fix(tmp_path: Path) -> None:
    """Half a file, or one of another version, is no model."""
    file = tmp_path / "support.json"
    file.write_text(json.dumps({"intercept": 0.0, "weights": {"covered": 1.0}, "provenance": {}}))
    with pytest.raises(WeightsError, match="install the bot again"):
        SupportModel.load(file)
