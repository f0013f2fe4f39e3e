"""The reader with the model that ships: the words of the document, and where they stand."""

import pytest

from bot.core.documents import Block, Form, FoundPassage, Passage
from bot.core.messages import QueryVariant
from bot.inference.reader import ExtractiveReader
from bot.inference.workers import AsyncReader, InferenceWorker


def found(*blocks: Block, title: str = "Guide", heading: tuple[str, ...] = ()) -> FoundPassage:
    body = "\n".join(block.text for block in blocks)
    return FoundPassage("guide.md", title, None, (0, 0), Passage(blocks, heading, body))


def paragraph(text: str) -> FoundPassage:
    return found(Block(Form.PARAGRAPH, text))


@pytest.fixture
async def reader(models):
    lane = InferenceWorker("inference", lambda: models, capacity=8)
    yield ExtractiveReader(AsyncReader(lane))
    await lane.close()


def words(passages: list[FoundPassage], reading) -> str:
    return passages[reading.passage].passage.blocks[reading.block].text[slice(*reading.span)]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("when was the roof repaired", "1987"),
        ("Where does the library stand?", "old town"),
        ("what time does it open", "nine"),
    ],
)
async def test_the_words_that_answer_are_found(reader, question, answer):
    """Among sentences on one subject, the fact itself."""
    text = "The library stands in the old town. It opens at nine in the morning. Its roof was repaired in 1987."
    [best, *_] = await reader.read([QueryVariant(question)], [paragraph(text)])
    assert answer in text[slice(*best.span)]
    assert len(text[slice(*best.span)]) < 30
    assert best.score > 0


async def test_the_passage_that_answers_comes_first(reader):
    """Passages that don't answer get a lower score, below zero where they have nothing to do with the question."""
    passages = [
        paragraph("Bread is baked from flour, water and yeast in a hot oven."),
        paragraph("The bridge was built by Anna Lind in 1921. It crosses the river in three arches."),
    ]
    readings = await reader.read([QueryVariant("Who built the bridge?")], passages)
    assert (readings[0].passage, words(passages, readings[0])) == (1, "Anna Lind")
    assert max(reading.score for reading in readings if reading.passage == 0) < 0


async def test_spans_are_places_in_the_blocks_own_text(reader):
    """Markup, other blocks, title and headings move nothing: the words stand exactly there."""
    blocks = (
        Block(Form.PARAGRAPH, "Tickets are sold at **the gate**. See [prices](prices.md)."),
        Block(Form.LIST, "- adults pay *12 euros*\n- children pay 5 euros"),
        Block(Form.TABLE, "| day | opens |\n| --- | --- |\n| Monday | 10:00 |\n| Friday | 9:30 |"),
    )
    passages = [found(*blocks, title="Zoo", heading=("Visit", "Prices"))]
    [best, *_] = await reader.read([QueryVariant("how much do children pay")], passages)
    assert best.block == 1
    assert "5 euros" in words(passages, best)
    [best, *_] = await reader.read([QueryVariant("where are tickets sold?")], passages)
    assert (best.block, "gate" in words(passages, best)) == (0, True)


async def test_neither_title_nor_heading_nor_a_stored_question_is_an_answer(reader):
    """They are read, but what answers must stand in a block."""
    pair = Block(Form.PAIR, "At six.", context="When does dinner start?")
    passages = [found(pair, title="Dinner at seven", heading=("Eight o'clock",))]
    readings = await reader.read([QueryVariant("when does dinner start")], passages)
    assert {words(passages, reading) for reading in readings} <= {"At six.", "At six", "At", "six", "six.", "."}


async def test_a_stored_question_that_resembles_the_one_asked_speaks_for_its_answer(reader):
    """Even where the answer is a bare no; another question about the same things does not."""
    pair = Block(Form.PAIR, "No.", context="Is my data sent anywhere, for example to a cloud?")
    [best, *_] = await reader.read([QueryVariant("is my data sent to a cloud?")], [found(pair)])
    assert (best.score > 0, pair.text[slice(*best.span)]) == (True, "No.")
    other = await reader.read([QueryVariant("who pays for the data centre?")], [found(pair)])
    assert max(reading.score for reading in other) < 0


async def test_a_heading_that_asks_the_question_speaks_for_what_stands_below_it(reader):
    """As people write handbooks: the words below a question need not repeat it."""
    paragraphs = [Block(Form.PARAGRAPH, "Turn the valve to the left."), Block(Form.PARAGRAPH, "Wear gloves.")]
    asked = found(*paragraphs, heading=("Heating", "What if the boiler makes noise?"))
    readings = await reader.read([QueryVariant("what if the boiler makes a noise")], [asked])
    assert max(reading.score for reading in readings if reading.block == 0) > 0
    other = found(*paragraphs, heading=("Heating", "When is the chimney swept?"))
    readings = await reader.read([QueryVariant("what if the boiler makes a noise")], [other])
    assert max(reading.score for reading in readings) < 0


@pytest.mark.parametrize(
    "blocks",
    [
        ["Can I bring my dog into the museum? On a leash. Other animals stay outside.", "Cameras are welcome."],
        ["Can I bring my dog into the museum?", "On a leash. Other animals stay outside."],
        ["**Can I bring my dog into the museum?**", "And a cat?", "On a leash. Cats too."],
    ],
)
async def test_a_question_in_running_text_is_no_answer_but_what_follows_it_is(reader, blocks):
    """The words of a question are the likest to those of whoever asks it again, and tell them nothing."""
    passages = [found(*(Block(Form.PARAGRAPH, text) for text in blocks))]
    [best, *others] = await reader.read([QueryVariant("Can I bring my dog into the museum?")], passages)
    assert words(passages, best).rstrip(".") == "On a leash"
    assert not any(words(passages, reading).endswith("?") for reading in others)


@pytest.mark.parametrize("below", [[], [Block(Form.PARAGRAPH, "On a leash.", heading=("Elsewhere",))]])
async def test_a_question_without_an_answer_below_it_answers_nothing(reader, below):
    """What stands in the next section is not its answer."""
    passages = [found(Block(Form.PARAGRAPH, "Can I bring my dog into the museum?"), *below)]
    readings = await reader.read([QueryVariant("can I bring my dog?")], passages)
    assert "museum" not in " ".join(words(passages, reading) for reading in readings)


async def test_a_follow_up_is_read_with_what_it_refers_to(reader):
    """The variant that says more is the one that is read."""
    text = "Trams run every ten minutes. Buses run every hour. Trams cost two euros."
    variants = [QueryVariant("how often?", 0.25), QueryVariant("how often? I want to take a bus", 0.75)]
    [best, *_] = await reader.read(variants, [paragraph(text)])
    assert "hour" in text[slice(*best.span)]


async def test_nothing_to_read_gives_nothing(reader):
    """No passages, or passages without text, are no error."""
    assert await reader.read([QueryVariant("anything")], []) == []
    assert await reader.read([QueryVariant("anything")], [paragraph("  ")]) == []
    assert await reader.read([QueryVariant("")], [paragraph("")]) == []
