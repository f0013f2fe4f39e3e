"""CSV and TSV: rows become stored pairs or a table, and each fault is told with its row."""

import pytest

from bot.core.documents import Form
from tests.knowledge.formats.reading import (
    pairs,
    read,
    refusal,
)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_of_every_delimiter(delimiter):
    """The header shows which one it is, however often others stand in the cells."""
    rows = [["Question", "Answer"], ["one, two; three | four\tfive?", "a, b, c; d; e | f\tg"], ["x", "y"]]
    text = "\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    assert pairs(read("faq.csv", text)) == [(2, rows[1][0], rows[1][1]), (3, "x", "y")]


def test_quoted_cells_keep_line_breaks_quotes_and_delimiters():
    """A stored answer of several lines is one row, as in a spreadsheet."""
    document = read("faq.csv", 'question,answer\r\n"Who says ""hi"", and why?","One:\r\n- a, b\r\n\r\n- c"\r\nx,y\r\n')
    assert pairs(document) == [(2, 'Who says "hi", and why?', "One:\n- a, b\n\n- c"), (3, "x", "y")]


def test_apostrophes_are_no_quotes():
    """However many there are."""
    text = "question,answer\nHow do I set 'mode'?,\"Use 'fast', then 'go'.\"\nWhat's 'x'?,It's 'y'\n"
    assert pairs(read("faq.csv", text)) == [
        (2, "How do I set 'mode'?", "Use 'fast', then 'go'."),
        (3, "What's 'x'?", "It's 'y'"),
    ]


@pytest.mark.parametrize(
    "header",
    [
        "question,answer",
        "Questions,Answers",
        "Q,A",
        " prompt , response ",
        '"QUESTION", "ANSWER"',
        "\ufeffquestion,answer",
    ],
)
def test_columns_have_their_usual_names(header):
    """Case, spaces and a byte order mark don't matter."""
    assert pairs(read("faq.csv", f"{header}\nx,y\n")) == [(2, "x", "y")]


def test_columns_may_stand_in_any_order_among_others():
    """Columns of other names are passed over."""
    assert pairs(read("faq.csv", "id,answer,topic,question\n1,y,t,x\n")) == [(2, "x", "y")]


def test_rows_count_as_in_a_spreadsheet():
    """Blank rows count and are no mistake; a row without question or answer is named."""
    document = read("faq.csv", "\nquestion,answer\na,b\n\n,,\n  ,d\nc\ne, f \n")
    assert pairs(document) == [(3, "a", "b"), (8, "e", "f")]
    assert document.warnings == ("without a question or an answer, passed over: row 6, 7",)


def test_an_answer_that_ran_over_its_cell_is_reported():
    """A comma outside quotes cuts it; the operator must know."""
    document = read("faq.csv", "question,answer\na,First b, then c\nd,e,,\n")
    assert pairs(document) == [(2, "a", "First b"), (3, "d", "e")]
    assert document.warnings == ("more cells than the header has, the rest left out: row 2",)


def test_many_rows_with_a_fault_are_not_all_listed():
    """Ten of them show what is wrong."""
    document = read("faq.csv", "question,answer\na,b\n" + "c,\n" * 50)
    assert document.warnings == (
        "without a question or an answer, passed over: row 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, ...",
    )


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("question,answer\n,x\n", "found the columns: question, answer"),
        ("question,answer\n", "found the columns: question, answer; there are none"),
        ("", "there are none"),
        ("\n \n", "there are none"),
    ],
)
def test_a_csv_of_pairs_without_any_is_refused_with_what_was_found(content, found):
    """So that its author sees the difference."""
    wanted = "expected question-answer pairs: each with a `question` and an `answer`"
    assert refusal("faq.csv", content) == f"{wanted}; {found}"


def test_other_columns_are_a_table():
    """As they are in a spreadsheet, with its numbers of rows; a line that only names the delimiter is none."""
    document = read("boats.csv", "sep=;\nBoat;Berth\nHeron;7, south\n\nTern;9\n")
    assert [(block.form, block.text, block.context, block.locator.row) for block in document.blocks] == [
        (Form.TABLE, "| Boat | Berth |\n| --- | --- |\n| Heron | 7, south |", "", 1),
        (Form.TABLE, "| Tern | 9 |", "| Boat | Berth |\n| --- | --- |", 4),
    ]
    assert document.title == "Boats"


def test_a_tsv_is_read_like_a_csv():
    """Its delimiter is the tab, whatever else stands in its cells."""
    assert pairs(read("faq.tsv", "question\tanswer\nHow, when?\tNow, so.\n")) == [(2, "How, when?", "Now, so.")]


@pytest.mark.parametrize("row", ['"never closed,y', 'x,"a" b "c"', 'x,"y" z'])
def test_broken_quotes_are_refused_with_their_row(row):
    """Otherwise the rest of the file would silently become one cell."""
    assert refusal("faq.csv", f'question,answer\n"one\ntwo",y\n{row}\na,b\nc,d\n').startswith(
        "not valid CSV in the row that begins at line 4 ("
    )
