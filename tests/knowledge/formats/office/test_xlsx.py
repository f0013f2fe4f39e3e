"""Spreadsheets: a cell is read as the program shows it, and what is hidden is left out."""

import io
import zipfile
from collections.abc import Callable

import pytest
import xlsxwriter
from xlsxwriter.workbook import Workbook

from bot.core.documents import Document, Form
from bot.knowledge.formats.office.cell_marks import unit_of
from bot.knowledge.loaders import load
from tests.knowledge.formats.reading import told


def workbook(write: Callable[[Workbook], None]) -> Document:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        write(book)
    return load("boats.xlsx", stream.getvalue())


def sheet(*rows: tuple, name: str = "Prices", hidden: bool = False) -> bytes:
    import xlsxwriter

    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        worksheet = book.add_worksheet(name)
        for number, row in enumerate(rows):
            worksheet.write_row(number, 0, row)
        if hidden:
            secret = book.add_worksheet("Secret")
            secret.write(0, 0, "hidden words")
            secret.hide()
    return stream.getvalue()


def test_a_sheet_is_a_table_whose_rows_are_told():
    """Each row keeps the number that the spreadsheet shows, also when the table is cut; hidden sheets stay hidden."""
    document = load("a.xlsx", sheet((), ("Item", "Price"), ("Tea", 3.0), ("Cake", 4.25), hidden=True))
    [block] = document.blocks
    assert (block.form, block.heading) == (Form.TABLE, ("Prices",))
    assert block.text == "| Item | Price |\n| --- | --- |\n| Tea | 3 |\n| Cake | 4.25 |"
    start = block.text.index("| Cake")
    assert block.located(start, len(block.text)).row == 4


def test_a_sheet_of_questions_and_answers_holds_stored_pairs():
    """As a CSV file with these columns does."""
    document = load("a.xlsx", sheet(("Question", "Answer"), ("When?", "Now."), ("Where?", "")))
    [block] = document.blocks
    assert (block.form, block.context, block.text, block.locator.row) == (Form.PAIR, "When?", "Now.", 2)


@pytest.mark.parametrize(
    ("code", "number", "text"),
    [
        ("0%", 0.15, "15%"),
        ("0.0\\ %", 0.155, "15.5 %"),
        ("0%", 0.0725, "7.25%"),
        ('#,##0.00 "€"', 7.5, "7.50 €"),
        ('#,##0.00 "€"', 12, "12 €"),
        ('_-* #,##0.00\\ [$€-407]_-;\\-* #,##0.00\\ [$€-407]_-;_-* "-"??\\ [$€-407]_-', -4.25, "-4.25 €"),
        ("[$$-409]#,##0;[Red]-[$$-409]#,##0", 1200, "$1200"),
        ('0.0" kg"', 2.5, "2.5 kg"),
        ('General" pieces"', 3, "3 pieces"),
        ("00000", 471, "00471"),
    ],
)
def test_numbers_keep_the_units_of_their_formats(code, number, text):
    """But they aren't rounded."""
    assert unit_of(code).text(number) == text


@pytest.mark.parametrize(
    "code", ["General", "0.00", "#,##0", "@", "dd.mm.yyyy", 'h:mm" Uhr"', '0.0,,"M"', "# ?/?", "0.00E+00", ""]
)
def test_formats_that_only_round_or_do_more_are_no_units(code):
    """In thousands, as a fraction or as a date, the number isn't the one that is shown."""
    assert unit_of(code) is None


def test_units_times_and_formulas_of_a_file():
    """A formula that nobody has computed has no result, whatever number stands in the file."""

    def write(book: Workbook) -> None:
        worksheet = book.add_worksheet("Prices")
        worksheet.write_row(0, 0, ("Boat", "Discount", "Opens", "Left", "Sum"))
        worksheet.write(1, 0, "Heron")
        worksheet.write(1, 1, 0.2, book.add_format({"num_format": "0%"}))
        worksheet.write(1, 2, 0.375, book.add_format({"num_format": "hh:mm"}))
        worksheet.write_formula(1, 3, "=B2-C2")
        worksheet.write_formula(1, 4, "=1+1", None, 2)

    document = workbook(write)
    [block] = document.blocks
    assert block.text.split("\n")[2] == "| Heron | 20% | 09:00 | (not calculated) | 2 |"
    assert document.warnings == (
        "1 formula of the sheet “Prices” without a stored result: D2; open the file in a spreadsheet program and save it",
    )


def test_a_sheet_with_broken_xml_is_read_as_far_as_it_goes():
    """The marks are lost, the values aren't."""
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        worksheet = book.add_worksheet()
        worksheet.write_row(0, 0, ("Boat", "Share"))
        worksheet.write(1, 0, "Heron")
        worksheet.write(1, 1, 0.5, book.add_format({"num_format": "0%"}))
    broken = io.BytesIO()
    with zipfile.ZipFile(stream) as whole, zipfile.ZipFile(broken, "w") as archive:
        for name in whole.namelist():
            archive.writestr(name, whole.read(name).replace(b"</worksheet>", b"<pageSetup a='1' a='2'/></worksheet>"))
    [block] = load("boats.xlsx", broken.getvalue()).blocks
    assert block.text.split("\n")[2] == "| Heron | 0.5 |"


def test_hidden_rows_and_columns_are_left_out_and_named():
    """As hidden sheets are. What a filter hides, or a folded outline, is there for everybody."""

    def write(book: Workbook) -> None:
        worksheet = book.add_worksheet("Codes")
        for number, row in enumerate(
            (("Gate", "Code", "Note"), ("North", 11, "x"), ("South", 22, "y"), ("East", 33, "z"))
        ):
            worksheet.write_row(number, 0, row)
        worksheet.set_row(2, None, None, {"hidden": True})
        worksheet.set_row(3, None, None, {"hidden": True, "level": 1})
        worksheet.set_column(2, 2, None, None, {"hidden": True})
        filtered = book.add_worksheet("Filtered")
        for number, row in enumerate((("Gate", "Code"), ("North", 11), ("South", 22))):
            filtered.write_row(number, 0, row)
        filtered.autofilter(0, 0, 2, 1)
        filtered.filter_column(0, "x == North")
        filtered.set_row(2, None, None, {"hidden": True})
        secret = book.add_worksheet("Secret")
        secret.write(0, 0, "hidden words")
        secret.hide()

    document = workbook(write)
    header = "| Gate | Code |\n| --- | --- |"
    assert told(list(document.blocks)) == [
        ("Codes", "", f"{header}\n| North | 11 |", 1),
        ("Codes", header, "| East | 33 |", 4),
        ("Filtered", "", f"{header}\n| North | 11 |\n| South | 22 |", 1),
    ]
    assert document.warnings == (
        "hidden rows of the sheet “Codes” were left out: 3",
        "hidden columns of the sheet “Codes” were left out: C",
        "the hidden sheet “Secret” was left out",
    )
