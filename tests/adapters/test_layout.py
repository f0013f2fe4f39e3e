"""Sources as a line of text, and text that does nothing but show."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.layout import locator_text, safe, source_line
from bot.messages import Citation


def citation(
    lines: tuple[int, int] | None = None,
    page: int | None = None,
    row: int | None = None,
    title: str = "Guide",
    heading: tuple[str, ...] = ("Installing", "Update"),
    document: str = "docs/guide.md",
) -> Citation:
    return Citation(document, title, heading, lines, page, row, quote="text", url=None)


@pytest.mark.parametrize(
    ("cited", "expected"),
    [
        (citation(lines=(12, 14)), "Guide › Installing › Update (docs/guide.md, lines 12-14)"),
        (citation(lines=(12, 12)), "Guide › Installing › Update (docs/guide.md, line 12)"),
        (citation(page=3, heading=()), "Guide (docs/guide.md, page 3)"),
        (citation(row=7, heading=()), "Guide (docs/guide.md, row 7)"),
        (citation(), "Guide › Installing › Update (docs/guide.md)"),
        (citation(row=1, title="Two\nlines", heading=()), "Two lines (docs/guide.md, row 1)"),
        (citation(heading=(), title="\x1b[31mred", document="\u202egpj.md"), "[31mred (gpj.md)"),
    ],
)
def test_a_source_is_one_line(cited, expected):
    """Title, headings, file and place; nothing in them can drive a terminal."""
    assert source_line(cited) == expected


def test_a_place_is_said_in_the_unit_of_its_format():
    """Lines before page before row; nothing where the format has none."""
    assert locator_text(citation(lines=(1, 2), page=3, row=4)) == "lines 1-2"
    assert locator_text(citation(page=3, row=4)) == "page 3"
    assert locator_text(citation()) == ""


def test_text_keeps_its_letters_and_lines():
    """Accents, emoji with joiners, right-to-left letters, tabs and line feeds are no danger."""
    text = "Grüße, Ελλάδα, שלום, 👩‍👩‍👧, e\u0301\n\tindented `code` <b>"
    assert safe(text) == text


@given(st.text())
def test_safe_text_has_no_character_that_acts(text):
    """No control characters but tab and line feed, nothing that reorders what is read, and no letter is lost."""
    shown = safe(text)
    assert all(unicodedata.category(character) != "Cc" or character in "\t\n" for character in shown)
    assert not any(
        unicodedata.bidirectional(c) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"} for c in shown
    )
    assert [c for c in shown if c.isalnum()] == [c for c in text if c.isalnum()]
    assert safe(shown) == shown


@given(st.text(), st.text(), st.text())
def test_a_source_is_one_line_whatever_its_names(title, heading, document):
    """Names come from files of anyone."""
    line = source_line(citation(title=title, heading=(heading,), document=document))
    assert len(line.split("\n")) == 1
    assert safe(line) == line
