"""The reader with the model that ships: the words of the document, and where they stand."""

import pytest

from bot.core.documents import Block, Form, FoundPassage, Passage
from bot.inference.reader import ExtractiveReader
from bot.inference.workers import AsyncReader, InferenceWorker


def found(*blocks: Block, title: str = "Guide", heading: tuple[str, ...] = ()) -> FoundPassage:
    body = "\n".join(block.text for block in blocks)
    return FoundPassage("guide.md", title, None, (0, 0), Passage(blocks, heading, body))


def paragraph(text: str) -> FoundPassage:
    return found(Block(Form.PARAGRAPH, text))


@pytest.fixture
async def reader(models):
    worker = InferenceWorker("inference", lambda: models, capacity=8)
    yield ExtractiveReader(AsyncReader(worker))
    await worker.close()


def words(passage: FoundPassage, reading) -> str:
    return passage.passage.blocks[reading.block].text[slice(*reading.span)]


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
    [reading] = await reader.read(question, [paragraph(text)])
    assert answer in text[slice(*reading.span)]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Which train goes to platform 12b?", "Otter"),
        ("How many seats are there in the Badger?", "80"),
        ("How many seats has the Otter?", "120"),
        ("how long does the trip with the Lynx take", "55 minutes"),
    ],
)
async def test_of_sentences_built_alike_the_one_about_the_thing_itself_answers(reader, question, answer):
    """Each of them has a number of the right kind."""
    text = (
        "The train Otter with 120 seats goes to platform 12b and takes 35 minutes. The train Badger with 80 seats goes to "
        "platform 12c and takes 45 minutes. The train Lynx with 60 seats goes to platform 14a and takes 55 minutes."
    )
    [reading] = await reader.read(question, [paragraph(text)])
    assert answer in text[slice(*reading.span)]


async def test_the_passage_that_answers_is_more_relevant(reader):
    """There is one reading a passage, in their order; one that has nothing to do with the question is below zero."""
    passages = [
        paragraph("Bread is baked from flour, water and yeast in a hot oven."),
        paragraph("The bridge was built by Anna Lind in 1921. It crosses the river in three arches."),
    ]
    bread, bridge = await reader.read("Who built the bridge?", passages)
    assert words(passages[1], bridge) == "Anna Lind"
    assert bread.relevance < 0
    assert bread.relevance + 1 < bridge.relevance


async def test_spans_are_places_in_the_blocks_own_text(reader):
    """Markup, other blocks, title and headings move nothing: the words stand exactly there."""
    blocks = (
        Block(Form.PARAGRAPH, "Tickets are sold at **the gate**. See [prices](prices.md)."),
        Block(Form.LIST, "- adults pay *12 euros*\n- children pay 5 euros"),
        Block(Form.TABLE, "| day | opens |\n| --- | --- |\n| Monday | 10:00 |\n| Friday | 9:30 |"),
    )
    passage = found(*blocks, title="Zoo", heading=("Visit", "Prices"))
    [reading] = await reader.read("how much do children pay?", [passage])
    assert (reading.block, "5 euros" in words(passage, reading)) == (1, True)
    [reading] = await reader.read("where are tickets sold?", [passage])
    assert (reading.block, "gate" in words(passage, reading)) == (0, True)


async def test_neither_title_nor_heading_nor_a_stored_question_is_an_answer(reader):
    """They are read, but what answers must stand in a block."""
    passage = found(
        Block(Form.PAIR, "At six.", context="When does dinner start?"),
        title="Dinner at seven",
        heading=("Eight o'clock",),
    )
    [reading] = await reader.read("when does dinner start", [passage])
    assert words(passage, reading) in {"At six.", "At six", "At", "six", "six.", "."}


async def test_a_stored_question_speaks_for_its_answer(reader):
    """Even where the answer is a bare no; more than for a question about the same things."""
    pair = found(Block(Form.PAIR, "No.", context="Is my data sent anywhere, for example to a cloud?"))
    [asked] = await reader.read("is my data sent to a cloud?", [pair])
    [other] = await reader.read("who pays for the data centre?", [pair])
    assert asked.relevance > other.relevance


async def test_a_heading_speaks_for_what_stands_below_it(reader):
    """As people write handbooks: the words below a question need not repeat it."""
    paragraphs = [Block(Form.PARAGRAPH, "Turn the valve to the left."), Block(Form.PARAGRAPH, "Wear gloves.")]
    asked = found(*paragraphs, heading=("Heating", "What if the boiler makes noise?"))
    other = found(*paragraphs, heading=("Heating", "When is the chimney swept?"))
    below, elsewhere = await reader.read("what if the boiler makes a noise", [asked, other])
    assert below.relevance > elsewhere.relevance


@pytest.mark.parametrize(
    "blocks",
    [
        ["Can I bring my dog into the museum? On a leash. Other animals stay outside.", "Cameras are welcome."],
        ["Can I bring my dog into the museum?", "On a leash. Other animals stay outside."],
        ["**Can I bring my dog into the museum?**", "And a cat?", "On a leash. Cats too."],
    ],
)
async def test_a_question_in_running_text_is_no_answer(reader, blocks):
    """The words of a question are the likest to those of whoever asks it again, and tell them nothing."""
    passage = found(*(Block(Form.PARAGRAPH, text) for text in blocks))
    [reading] = await reader.read("Can I bring my dog into the museum?", [passage])
    assert "museum" not in words(passage, reading)


@pytest.mark.parametrize("below", [[], [Block(Form.PARAGRAPH, "On a leash.", heading=("Elsewhere",))]])
async def test_a_question_without_an_answer_below_it_answers_nothing(reader, below):
    """What stands in the next section is not its answer."""
    passage = found(Block(Form.PARAGRAPH, "Can I bring my dog into the museum?"), *below)
    [reading] = await reader.read("can I bring my dog?", [passage])
    assert reading is None or "museum" not in words(passage, reading)


async def test_nothing_to_read_gives_nothing(reader):
    """No passages, or passages without text, are no error."""
    assert await reader.read("anything", []) == []
    assert await reader.read("anything", [paragraph("  ")]) == [None]
    assert await reader.read("", [paragraph("")]) == [None]
