"""Sources as a line of text, and text that does nothing but show."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.layout import locator_text, source_line, split_markdown, utf16_length
from bot.core.messages import Citation
from bot.core.text import safe


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


def test_what_is_invisible_is_left_out():
    """A zero-width space hides a word, but the joiner of an emoji stays."""
    assert safe("ev\u200bery\u2060one \ufeffa\u00adb 👩\u200d👧") == "everyone ab 👩\u200d👧"


# --- cutting ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "units"), [("abc", 3), ("漢字", 2), ("😀", 2), ("e\u0301", 2), ("\ud83d", 1)])
def test_lengths_are_counted_in_utf_16(text, units):
    """As the platforms do."""
    assert utf16_length(text) == units


@pytest.mark.parametrize("unit", ["a", "漢", "😀", "e\u0301", "👩\u200d👩\u200d👧", "🇩🇪"])
@pytest.mark.parametrize("length", [1999, 2000, 2001])
def test_no_part_is_too_long_and_no_character_is_cut(unit, length):
    """At the very limit, whatever a character consists of; a text that fits stays whole."""
    count = length // utf16_length(unit)
    text = unit * count + "x" * (length - count * utf16_length(unit))
    parts = split_markdown(text, 2000)
    assert len(parts) == (1 if length <= 2000 else 2)
    assert all(utf16_length(part) <= 2000 for part in parts)
    assert "".join(parts) == text
    assert parts[0].replace(unit, "").strip("x") == ""


def test_paragraphs_are_kept_together():
    """The cut is at the blank line, though more would have fitted."""
    paragraphs = [letter * 20 for letter in "abc"]
    assert split_markdown("\n\n".join(paragraphs), 50) == ["\n\n".join(paragraphs[:2]), paragraphs[2]]


def test_a_long_paragraph_is_cut_between_lines_then_between_words():
    """Nothing but the blank between them is lost."""
    assert split_markdown("- item\n" * 10, 40) == ["\n".join(["- item"] * 5)] * 2
    parts = split_markdown("word " * 30, 40)
    assert {word for part in parts for word in part.split(" ") if word} == {"word"}


def test_code_that_is_cut_is_closed_and_opened_again():
    """Each part is a code block of its own language; text around it stays around it."""
    code = "\n".join(f"print({n})" for n in range(20))
    parts = split_markdown(f"Run:\n```python\n{code}\n\nlast\n```\nDone.", 100)
    assert all(part.count("```") in (0, 2) for part in parts)
    assert parts[0].startswith("Run:")
    assert all(part.startswith("```python\n") for part in parts[1:-1])
    inside = [line for part in parts for line in part.split("\n") if line and not line.startswith("```")]
    assert inside == ["Run:", *code.split("\n"), "last", "Done."]


def test_a_code_block_that_is_never_closed_is_closed():
    """The rest of the message must not become code."""
    assert split_markdown("```\ncode", 100) == ["```\ncode\n```"]


def test_a_long_answer_is_cut_quickly_and_completely():
    """30,000 characters of one line without blanks, and of hostile marks."""
    assert "".join(split_markdown("x" * 30_000, 2000)) == "x" * 30_000
    zalgo = "a" + "\u0301" * 9000
    assert "".join(split_markdown(zalgo, 2000)) == zalgo
    assert len(split_markdown("\n\n".join(["p" * 1500] * 20), 2000)) == 20


@given(st.text(alphabet="ab `~\n😀\u0301|-#", max_size=400), st.integers(min_value=32, max_value=80))
def test_every_text_fits_and_keeps_its_letters(text, limit):
    """No part is too long or blank, no letter is lost, and every part closes the code that it opens."""
    parts = split_markdown(text, limit)
    assert all(utf16_length(part) <= limit and part.strip() for part in parts)
    for letter in "ab😀":
        if "`" not in text and "~" not in text:
            assert sum(part.count(letter) for part in parts) == text.count(letter)


def test_an_announcement_goes_with_what_it_announces():
    """Whether that fits into one part with it, or into one without it, or into none."""
    for items in (4, 10, 30):
        list_of_items = "\n".join(f"- item number {n}" for n in range(items))
        parts = split_markdown(f"{'word ' * 30}\n\nThese are there:\n\n{list_of_items}", 190)
        assert not any(part.endswith("there:") for part in parts)
        assert [line for part in parts for line in part.split("\n") if line.startswith("-")] == list_of_items.split(
            "\n"
        )
        assert all(len(part) <= 190 for part in parts)


def test_an_announcement_of_code_stays_before_its_fence():
    code = "\n".join(f"run {n}" for n in range(60))
    parts = split_markdown(f"Do this:\n\n```sh\n{code}\n```", 100)
    assert parts[0].startswith("Do this:\n\n```sh\nrun 0\n")
    assert all(len(part) <= 100 and part.count("```") == 2 for part in parts)
