"""Sheets -> tables: whoever asks for a cell gets it with the names of its row and column."""

import pytest

from bot.core.documents import Block, Form
from bot.inference.encoder import WordEncoder
from bot.knowledge.formats.outline import Outline
from bot.knowledge.formats.tables import Cell, Merge, grid_text, laid_out, merged, write_sheet
from bot.knowledge.passages import split
from tests.knowledge.formats.reading import told


def sheet(*rows: tuple[object, ...], merges: tuple[Merge, ...] = ()) -> list[Block]:
    outline = Outline()
    write_sheet(merged([[str(cell) for cell in row] for row in rows], merges), outline)
    return list(outline.document("boats.xlsx", "Boats").blocks)


BERTHS = "| Boat | Berth |\n| --- | --- |"


def test_a_title_over_the_columns_names_the_table():
    """Merged, it is a heading, so that each part of a long table has it; otherwise it is a line of its own."""
    rows = (("Berths 2031", "", ""), ("Boat", "Berth", ""), ("Heron", "7", ""))
    assert told(sheet(*rows, merges=(Merge(0, 0, 0, 2),))) == [("Berths 2031", "", f"{BERTHS}\n| Heron | 7 |", 2)]
    assert told(sheet(*rows)) == [("", "", "Berths 2031", 1), ("", "", f"{BERTHS}\n| Heron | 7 |", 2)]


def test_merged_cells_are_said_in_each_row_and_column_that_they_cover():
    """A row without the label of its group says nothing."""
    rows = (("Pier", "Boat", "Berth"), ("North", "Heron", "7"), ("", "Tern", "8"), ("South", "closed in winter", ""))
    [block] = sheet(*rows, merges=(Merge(1, 0, 2, 0), Merge(3, 1, 3, 2)))
    assert block.text.split("\n")[2:] == [
        "| North | Heron | 7 |",
        "| North | Tern | 8 |",
        "| South | closed in winter | closed in winter |",
    ]


@pytest.mark.parametrize("merges", [(Merge(0, 1, 0, 2), Merge(0, 3, 0, 4), Merge(0, 0, 1, 0)), ()])
def test_several_header_rows_become_one(merges):
    """With their cells merged, or left empty beside the first."""
    upper = ("Pier" if merges else "", "2030", "", "2031", "")
    lower = ("" if merges else "Pier", "Boats", "Guests", "Boats", "Guests")
    [block] = sheet(upper, lower, ("North", 12, 40, 14, 38), merges=merges)
    assert block.text == (
        "| Pier | 2030 Boats | 2030 Guests | 2031 Boats | 2031 Guests |\n| --- | --- | --- | --- | --- |\n"
        "| North | 12 | 40 | 14 | 38 |"
    )
    assert block.locator.row == 2
    assert block.located(block.text.index("| North"), len(block.text)).row == 3


@pytest.mark.parametrize(
    "rows",
    [
        (("Boat", "Owner", "Berth"), ("Heron", "", "7"), ("Tern", "Mara", "8")),
        (("", "Monday", "Tuesday"), ("Cook", "Mara", "Tom"), ("Guard", "Ida", "Jo")),
        (("Boat", "Contact", ""), ("Heron", "Mara", "0170 1"), ("Tern", "Tom", "0170 2")),
    ],
)
def test_a_row_below_the_header_is_no_header(rows):
    """Gaps alone make none."""
    [block] = sheet(*rows)
    assert block.text.count("\n") == len(rows)
    assert block.text.startswith(f"| {' | '.join(rows[0])} |\n| ---")


def test_what_follows_an_empty_row_keeps_the_header_and_its_numbers():
    """Empty rows set groups apart; with a header of its own it is another table."""
    blocks = sheet(("Boat", "Berth"), ("Heron", 7), (), ("Tern", 8), ("Gull", 9), (), ("Crew", "Phone"), ("Mara", 11))
    assert told(blocks) == [
        ("", "", f"{BERTHS}\n| Heron | 7 |", 1),
        ("", BERTHS, "| Tern | 8 |\n| Gull | 9 |", 4),
        ("", "", "| Crew | Phone |\n| --- | --- |\n| Mara | 11 |", 7),
    ]
    assert blocks[1].located(blocks[1].text.index("| Gull"), len(blocks[1].text)).row == 5


def test_each_part_of_a_long_table_has_the_header():
    """Also of a group that follows an empty row."""
    rows = [("Boat", "Berth"), ("Heron", 7), (), *((f"Boat number {n}", n) for n in range(200))]
    outline = Outline()
    write_sheet(merged([[str(cell) for cell in row] for row in rows], ()), outline)
    passages = split(outline.document("boats.xlsx", "Boats"), WordEncoder().count_tokens, 120)
    parts = [block for passage in passages for block in passage.blocks][1:]
    assert len(parts) > 5
    assert {part.context for part in parts} == {BERTHS}
    assert [part.locator.row for part in parts[:2]] == [4, 4 + parts[0].text.count("| Boat")]


def test_pairs_go_on_below_an_empty_row():
    """A sheet of questions is one sheet of questions."""
    blocks = sheet(("Question", "Answer"), ("When?", "Now."), (), ("Where?", "Here."))
    assert [(block.form, block.context, block.text, block.locator.row) for block in blocks] == [
        (Form.PAIR, "When?", "Now.", 2),
        (Form.PAIR, "Where?", "Here.", 4),
    ]


def test_cells_that_reach_over_rows_and_columns_shift_the_others():
    """As in HTML: each takes the next columns that are free."""
    grid = laid_out([[Cell("a", 2), Cell("b", 1, 2)], [Cell("c"), Cell("d")], [Cell("e", 3)]])
    assert grid.rows == [["a", "", "b"], ["c", "d", "b"], ["e", "", ""]]
    assert grid.spans == {(0, 0): 1, (2, 0): 2}


def test_a_cell_that_is_a_row_by_itself_covers_all_columns():
    """Unless it goes on below, or one above reaches into its row."""
    grid = laid_out([[Cell("a")], [Cell("b", 1, 2), Cell("c")], [Cell("d")], [Cell("e", 1, 2)], [Cell("f")]])
    assert grid.spans == {(0, 0): 1}
    assert grid.rows[2:] == [["b", "d"], ["e"], ["e", "f"]]


def test_rows_of_header_cells_are_the_header():
    """Whatever stands in them; where all are, the table doesn't say."""
    head = [[Cell("Boat", 1, 2, header=True), Cell("2031", 2, header=True)], [Cell(n, header=True) for n in ("1", "2")]]
    body = [Cell("Heron", header=True), Cell("7"), Cell("9")]
    assert laid_out(head).headers == 0
    assert grid_text(laid_out([*head, body])) == ("| Boat | 2031 1 | 2031 2 |\n| --- | --- | --- |\n| Heron | 7 | 9 |")


def test_hostile_spans_end():
    """However much they claim to cover."""
    grid = laid_out([[Cell("x", 10**9, 10**9)] * 50 for _ in range(50)])
    assert max(map(len, grid.rows)) <= 2_000
    assert sum(map(len, laid_out([[Cell("x", 10**9)] * 2] * 10_000).rows)) < 3_000_000
    everything = [Merge(0, 0, 10**9, 10**9)] * 100_000
    assert merged([["x"] for _ in range(1000)], everything).rows[-1] == ["x"]
