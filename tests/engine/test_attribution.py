"""The passages that the sentences of a text come from."""

import pytest

from bot.core.documents import Block, Form, FoundPassage, Passage
from bot.engine.attribution import attributed, unmarked


def passage(text: str) -> FoundPassage:
    return FoundPassage("a.md", "A", None, (0, 0), Passage((Block(Form.PARAGRAPH, text),), (), text))


PASSAGES = [passage("The boiler costs 42 euros."), passage("The lamp is 35 metres long.")]


@pytest.mark.parametrize(
    ("text", "expected", "numbers"),
    [
        ("The lamp is 35 metres long.", "The lamp is 35 metres long.", [1]),
        (
            "The lamp is 35 metres long. The boiler costs 42 euros!",
            "The lamp is 35 metres long [1]. The boiler costs 42 euros [2]!",
            [1, 0],
        ),
        ("- the *lamp* is long\n- the boiler costs 42", "- the *lamp* is long [1]\n- the boiler costs 42 [2]", [1, 0]),
        ("```\nlamp metres\n```\nThe boiler costs.", "```\nlamp metres\n```\nThe boiler costs.", [0]),
        ("| lamp |\n|---|\n| metres |", "| lamp |\n|---|\n| metres |", [0]),
    ],
)
def test_sentences_are_marked_where_there_are_several_sources(text, expected, numbers):
    assert attributed(text, PASSAGES) == (expected, numbers)


@pytest.mark.parametrize(
    ("draft", "expected"),
    [
        ("It opens at nine [1].", "It opens at nine."),
        ("It opens at nine[2]. [1]", "It opens at nine."),
        ("See [1](https://a.example).", "See [1](https://a.example)."),
        ("Read `argv[1]` of list[0] [3].", "Read `argv[1]` of list."),
    ],
)
def test_the_marks_of_a_model_are_taken_out(draft, expected):
    """Those that the passages have too are none."""
    assert unmarked(draft, "Pass the name as `argv[1]`.") == expected
