"""The cell that a question asks for: by the row that it names and the head of a column."""

import pytest

from bot.core.documents import Block, Form
from bot.engine.tables import cell_asked_for

BOATS = """| Boat | Berth | Skipper | May sail at night |
|---|---|---|---|
| Tern | B-12 | Anna Berg | yes |
| Grey heron | B-21 | Otto Lind | no |
| Old Tern | C-3 | Anna Holm | |"""


def asked(question: str, text: str = BOATS, context: str = "") -> str | None:
    span = cell_asked_for(question, Block(Form.TABLE, text, context=context))
    return None if span is None else text[slice(*span)]


@pytest.mark.parametrize(
    ("question", "cell"),
    [
        ("What is the berth of the Grey Heron?", "B-21"),
        ("Who is the skipper of the heron?", "Otto Lind"),
        ("Which boat has the berth C-3?", "Old Tern"),
        ("Which boat lies at B-12?", "Tern"),
        ("berth of otto lind", "B-21"),
        ("May the grey heron sail at night?", "no"),
        (
            "Where does Otto Lind live?",
            "| Grey heron | B-21 | Otto Lind | no |".strip("| "),
        ),  # the row, for no column is named
    ],
)
def test_the_cell_stands_where_row_and_column_meet(question, cell):
    """The column by which the row was found is not the one that is asked for."""
    assert asked(question) == cell


@pytest.mark.parametrize(
    ("question", "cell"),
    [
        ("Which boat may sail at night?", "Tern"),
        ("which boats may not sail at night", "Grey heron"),
        ("Which boat sails?", None),
        ("Which boat has a berth?", None),
    ],
)
def test_a_column_of_yes_and_no_tells_which_row_has_it(question, cell):
    """Only where the question names all of its head, and where it is one row."""
    assert asked(question) == cell


@pytest.mark.parametrize(
    "question", ["Which boats are there?", "What is the berth of the pelican?", "What does Anna sail?"]
)
def test_no_row_or_two_rows_named_give_no_cell(question):
    """Then the reader's words stay as they are."""
    assert asked(question) is None


def test_a_later_part_of_a_long_table_has_its_head_above_it():
    """As the index keeps it; its own first line is a row."""
    head, rule, *rows = BOATS.split("\n")
    assert asked("What is the berth of the tern?", rows[0], f"{head}\n{rule}") == "B-12"


def test_an_escaped_bar_parts_no_cells_and_a_broken_row_is_none():
    text = "| Command | Does |\n|---|---|\n| a \\| b | pipes into b |\n| broken |"
    assert asked("Which command pipes?", text) == "a \\| b"
    assert asked("what is broken", text) is None
