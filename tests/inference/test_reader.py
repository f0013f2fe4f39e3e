"""The reader by similarity, with the real encoder."""

from bot.documents import Block, Form, Passage
from bot.inference.reader import SimilarityReader
from bot.messages import Wording


def passage(*blocks: Block) -> Passage:
    return Passage(blocks, (), "\n".join(block.text for block in blocks))


async def test_the_sentence_that_answers_comes_first(lane):
    """Among sentences on one subject, the one with the fact."""
    text = "The library stands in the old town. It opens at nine in the morning. Its roof was repaired in 1987."
    reader = SimilarityReader(lane)
    [best, *_] = await reader.read([Wording("when was the roof repaired")], [passage(Block(Form.PARAGRAPH, text))])
    assert text[slice(*best.span)] == "Its roof was repaired in 1987."
    assert best.shared == 1
    assert 0 < best.cosine <= 1


async def test_each_form_is_read_in_its_own_pieces(lane):
    """List items and table rows stand for themselves, code and stored answers as a whole."""
    blocks = (
        Block(Form.LIST, "- red wine\n  from Spain\n- white wine"),
        Block(Form.TABLE, "| wine | price |\n| --- | --- |\n| red | 5 |\n| white | 6 |"),
        Block(Form.CODE, "```\npour()\n\ndrink()\n```"),
        Block(Form.PAIR, "At six.", context="When does dinner start?"),
    )
    readings = await SimilarityReader(lane).read([Wording("wine")], [passage(*blocks)])
    read = sorted((reading.block, blocks[reading.block].text[slice(*reading.span)]) for reading in readings)
    assert read == [
        (0, "- red wine\n  from Spain"),
        (0, "- white wine"),
        (1, "| red | 5 |"),
        (1, "| white | 6 |"),
        (2, "```\npour()\n\ndrink()\n```"),
        (3, "At six."),
    ]


async def test_a_stored_pair_is_judged_by_its_question(lane):
    """The answer itself may share no word with what is asked."""
    pairs = [
        passage(Block(Form.PAIR, "At six.", context="When does dinner start?")),
        passage(Block(Form.PAIR, "Dinner is wine and cheese.", context="What is served?")),
    ]
    [best, *_] = await SimilarityReader(lane).read([Wording("what time does dinner start")], pairs)
    assert best.passage == 0
    assert best.cosine > 0.8


async def test_a_part_of_a_table_is_read_from_its_first_row(lane):
    """Only the first part of a split table begins with header rows."""
    part = Block(Form.TABLE, "| red | 5 |\n| white | 6 |", context="| wine | price |\n| --- | --- |", part=(1, 2))
    readings = await SimilarityReader(lane).read([Wording("price of red wine")], [passage(part)])
    assert len(readings) == 2
    assert part.text[slice(*readings[0].span)] == "| red | 5 |"


async def test_every_wording_has_its_say(lane):
    """A follow-up is read both as it stands and with what it refers to."""
    text = "Trams run every ten minutes. Buses run every hour. Trams cost two euros."
    reader = SimilarityReader(lane)
    wordings = [
        Wording("and what do they cost?", 0.25),
        Wording("and what do they cost? How often do trams run?", 0.75),
    ]
    [best, *_] = await reader.read(wordings, [passage(Block(Form.PARAGRAPH, text))])
    assert text[slice(*best.span)] == "Trams cost two euros."


async def test_nothing_to_read_gives_nothing(lane):
    """No passages, or passages without text, are no error."""
    assert await SimilarityReader(lane).read([Wording("anything")], []) == []
    assert await SimilarityReader(lane).read([Wording("anything")], [passage(Block(Form.PARAGRAPH, "  "))]) == []
