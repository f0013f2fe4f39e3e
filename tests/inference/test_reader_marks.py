"""The reader over a model whose marks are known: which words of which block answer, and how relevant a passage is."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.documents import Block, Form, FoundPassage, Passage
from bot.core.text import Span, stripped
from bot.inference.encoder import Encoder
from bot.inference.reader import ExtractiveReader, PassageText, Reading
from bot.inference.span_model import ScoredSpan, SpanQuery, SpanScores
from bot.inference.workers import AsyncReader, InferenceWorker, Models


def found(*blocks: Block, title: str = "Guide", heading: tuple[str, ...] = ()) -> FoundPassage:
    body = "\n".join(block.text for block in blocks)
    return FoundPassage("guide.md", title, None, (0, 0), Passage(blocks, heading, body))


def paragraph(text: str) -> FoundPassage:
    return found(Block(Form.PARAGRAPH, text))


class MarkingModel:
    """Marks the given words wherever they stand in a context, in the order given; a context is as relevant as it is long."""

    description: dict[str, Any] = {}  # noqa: RUF012 - as SpanModel has it

    def __init__(self, *words: str) -> None:
        self.words = words
        self.tasks: list[SpanQuery] = []

    def read(self, tasks: Sequence[SpanQuery]) -> list[SpanScores]:
        self.tasks += tasks
        return [SpanScores(float(len(task.context)), tuple(self._marked(task.context))) for task in tasks]

    def _marked(self, context: str) -> list[ScoredSpan]:
        places = [(context.find(words), len(words)) for words in self.words]
        return [ScoredSpan((at, at + length), -float(n)) for n, (at, length) in enumerate(places) if at >= 0]


async def read(encoder: Encoder, model: Any, question: str, *passages: FoundPassage) -> list[Reading | None]:
    worker: InferenceWorker[Models] = InferenceWorker("inference", lambda: Models(encoder, model), capacity=8)
    readings = await ExtractiveReader(AsyncReader(worker)).read(question, passages)
    await worker.close()
    return readings


def words(passage: FoundPassage, reading: Reading | None) -> str:
    assert reading is not None
    return passage.passage.blocks[reading.block].text[slice(*reading.span)]


async def test_each_passage_has_its_reading_in_its_place(encoder):
    """None for one without an answer; the relevance is the model's, and puts nothing into another order."""
    passages = [paragraph("It opens at nine."), paragraph("Bread is baked."), paragraph("At nine, or later, it opens.")]
    first, second, third = await read(encoder, MarkingModel("nine"), "when does it open", *passages)
    assert second is None
    assert (words(passages[0], first), words(passages[2], third)) == ("nine", "nine")
    assert (first.relevance, third.relevance) == (
        len("Guide\nIt opens at nine."),
        len("Guide\nAt nine, or later, it opens."),
    )


async def test_a_passage_is_read_with_its_title_and_headings(encoder):
    """And with the stored question or the header rows, each before its block; answers are looked for behind the headings."""
    model = MarkingModel()
    pair = Block(Form.PAIR, "At six.", context="When is dinner?")
    await read(encoder, model, "dinner?", found(pair, Block(Form.LIST, "- soup"), heading=("Day", "Evening")))
    context = "Guide\nDay > Evening\nWhen is dinner?\nAt six.\n- soup"
    assert model.tasks == [SpanQuery("dinner?", context, context.index("When"))]


async def test_spans_are_places_in_the_blocks_own_text(encoder):
    """Markup, other blocks, title and headings move nothing: the words stand exactly there."""
    blocks = (
        Block(Form.PARAGRAPH, "Tickets are sold at **the gate**. See [prices](prices.md)."),
        Block(Form.LIST, "- adults pay *12 euros*\n- children pay 5 euros"),
        Block(Form.TABLE, "| Friday | 9:30 |", context="| day | opens |\n| --- | --- |"),
    )
    passage = found(*blocks, title="Zoo", heading=("Visit", "Prices"))
    for number, said in enumerate(("**the gate**", "children pay 5 euros", "9:30")):
        [reading] = await read(encoder, MarkingModel(said), "?", passage)
        assert (reading.block, words(passage, reading)) == (number, said)


@pytest.mark.parametrize("marked", ["seven", "Eight o'clock", "dinner start"])
async def test_neither_title_nor_heading_nor_a_stored_question_is_an_answer(encoder, marked):
    """They are read, but what answers must stand in a block: the next best words do."""
    pair = Block(Form.PAIR, "At six.", context="When does dinner start?")
    passage = found(pair, title="Dinner at seven", heading=("Eight o'clock",))
    assert await read(encoder, MarkingModel(marked), "when", passage) == [None]
    [reading] = await read(encoder, MarkingModel(marked, "six"), "when", passage)
    assert words(passage, reading) == "six"


async def test_of_words_in_two_blocks_the_longer_part_answers(encoder):
    """Nothing is quoted across blocks."""
    passage = found(Block(Form.PARAGRAPH, "Open on Monday."), Block(Form.PARAGRAPH, "And all of Tuesday too."))
    [reading] = await read(encoder, MarkingModel("Monday.\nAnd all of Tuesday"), "when", passage)
    assert (reading.block, words(passage, reading)) == (1, "And all of Tuesday")


# --- questions in running text ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "texts",
    [
        ["Can I bring my dog? On a leash. Other animals stay outside.", "Cameras are welcome."],
        ["Can I bring my dog?", "On a leash. Other animals stay outside."],
        ["**Can I bring my dog?**", "And a cat?", "On a leash. Cats too."],
    ],
)
async def test_a_question_in_running_text_is_no_answer_but_what_follows_it_is(encoder, texts):
    """The words of a question are the likest to those of whoever asks it again, and tell them nothing."""
    passage = found(*(Block(Form.PARAGRAPH, text) for text in texts))
    [reading] = await read(encoder, MarkingModel("my dog"), "may I bring my dog", passage)
    assert words(passage, reading) == "On a leash."


async def test_a_question_above_a_list_is_answered_by_all_of_it(encoder):
    """So is one above a table or code: any part would be chosen by nothing."""
    passage = found(Block(Form.PARAGRAPH, "What may I bring?"), Block(Form.LIST, "- a dog\n- a cat"))
    [reading] = await read(encoder, MarkingModel("may I bring"), "what may I bring", passage)
    assert (reading.block, words(passage, reading)) == (1, "- a dog\n- a cat")


@pytest.mark.parametrize("below", [[], [Block(Form.PARAGRAPH, "On a leash.", heading=("Elsewhere",))]])
async def test_a_question_without_an_answer_below_it_answers_nothing(encoder, below):
    """What stands in the next section is not its answer."""
    passage = found(Block(Form.PARAGRAPH, "Can I bring my dog?"), *below)
    assert await read(encoder, MarkingModel("my dog"), "my dog?", passage) == [None]


async def test_words_of_a_statement_stay_as_they_are(encoder):
    """Though a question follows."""
    passage = paragraph("Dogs are on a leash. And cats?")
    [reading] = await read(encoder, MarkingModel("a leash"), "dogs", passage)
    assert words(passage, reading) == "a leash"


# --- places -----------------------------------------------------------------------------------------------------------

blocks = st.lists(
    st.builds(
        Block, st.just(Form.PARAGRAPH), st.text("ab \n|é🦓", max_size=12), context=st.sampled_from(["", "| h |"])
    ),
    max_size=4,
)


@given(blocks=blocks, title=st.text("Tt ", max_size=6), data=st.data())
def test_any_span_comes_back_as_words_of_a_block(blocks: list[Block], title: str, data: st.DataObject) -> None:
    """Never outside of it and never blank, and the words are those of the passage's own text."""
    text = PassageText(found(*blocks, title=title))
    start = data.draw(st.integers(0, len(text.text)))
    end = data.draw(st.integers(start, len(text.text)))
    place = text.locate((start, end))
    if place is not None:
        said = blocks[place[0]].text[slice(*place[1])]
        assert said == said.strip() != ""
        assert said in text.text[start:end]


@given(blocks=blocks, data=st.data())
def test_words_of_a_block_are_found_where_they_stand(blocks: list[Block], data: st.DataObject) -> None:
    """Without the white space at their ends, whatever stands before the block."""
    text = PassageText(found(*blocks))
    at = text.begin
    for number, block in enumerate(blocks):
        at += len(block.context) + 1 if block.context else 0
        assert text.text[at : at + len(block.text)] == block.text
        start = data.draw(st.integers(0, len(block.text)))
        span: Span = stripped(block.text, (start, data.draw(st.integers(start, len(block.text)))))
        expected = (number, span) if span[0] < span[1] else None
        assert text.locate((at + span[0], at + span[1])) == expected
        at += len(block.text) + 1
