"""Markdown as Telegram shows it, and long answers as several messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.telegram.formatting import LONGEST_MESSAGE, RichText, from_markdown, linked, plain, split
from tests.platforms.telegram_markup import formatted, piece, units


def kept_by_service(rich: RichText) -> list[tuple[str, str]]:
    """The entities that the service keeps, as (kind, covered text). Fails if it refuses the text."""
    entities = [entity.to_dict() for entity in rich.entities]
    result = formatted(rich.text, None, entities)
    assert len(result.entities) == len(entities)
    return [(entity["type"], piece(rich.text, entity)) for entity in result.entities]


@pytest.mark.parametrize(
    ("markdown", "text", "entities"),
    [
        ("plain < & > text", "plain < & > text", []),
        ("**bold** and *italic*", "bold and italic", [("bold", "bold"), ("italic", "italic")]),
        ("**bold *both***", "bold both", [("bold", "bold both"), ("italic", "both")]),
        ("~~gone~~", "gone", [("strikethrough", "gone")]),
        ("# Title\n\ntext", "Title\n\ntext", [("bold", "Title")]),
        ("wrapped\nline  \nbreak", "wrapped line\nbreak", []),
        ("- one\n- two", "• one\n• two", []),
        ("3. three\n4. four", "3. three\n4. four", []),
        ("- one\n  - deeper\n- two", "• one\n   • deeper\n• two", []),
        ("use `x < y`", "use x < y", [("code", "x < y")]),
        ("```python\nif x:\n\n    y()\n```", "if x:\n\n    y()", [("pre", "if x:\n\n    y()")]),
        ("> quoted\n> > twice", "quoted\n\ntwice", [("blockquote", "quoted\n\ntwice")]),
        ("[site](https://a.b/c)", "site (https://a.b/c)", [("text_link", "site")]),
        (
            "<https://a.b/c> [a.b/c](https://a.b/c)",
            "https://a.b/c a.b/c",
            [("text_link", "https://a.b/c"), ("text_link", "a.b/c")],
        ),
        ("[mail us](mailto:us@a.b)", "mail us (us@a.b)", []),
        ("[x](tg://user?id=1) [y](javascript:z)", "x [y](javascript:z)", []),
        ("[file](other.md) ![logo](x.png)", "file logo", []),
        ("[bad](javascript:alert(1))", "[bad](javascript:alert(1))", []),
        ("😀 **bold**", "😀 bold", [("bold", "bold")]),
        ("| a | b |\n|---|---|\n| 1 | 22 |", "a  b\n1  22", [("pre", "a  b\n1  22")]),
        ("before\n\n---\n\nafter", "before\n\n———\n\nafter", []),
    ],
)
def test_markdown_becomes_text_and_entities(markdown, text, entities):
    """Every kind of markup that a document may hold."""
    rich = from_markdown(markdown)
    assert rich.text == text
    assert kept_by_service(rich) == entities


@pytest.mark.parametrize(
    "markup", ["**never closed", "<b>html</b> & <i>", "`a ``b", "[x](", "_a *b_ c*", "</div>", "&lt;&amp"]
)
def test_unbalanced_markup_is_shown_as_it_is(markup):
    """Nothing is lost, nothing is refused."""
    rich = from_markdown(markup)
    kept_by_service(rich)
    assert set("".join(filter(str.isalnum, rich.text))) == set("".join(filter(str.isalnum, markup.replace("&lt;", ""))))


def test_a_wide_table_is_told_row_by_row():
    """Each cell behind the name of its column: nobody can read more than forty columns on a phone."""
    cell = "long words in a cell"
    rich = from_markdown(f"| name | meaning | more |\n|-|-|-|\n| one | {cell} | {cell} |\n| two | | {cell} |")
    assert rich.text == f"name: one\nmeaning: {cell}\nmore: {cell}\n\nname: two\nmore: {cell}"
    assert kept_by_service(rich) == []


def test_characters_that_act_are_left_out():
    """A name that turns the reading direction around, or an escape sequence."""
    assert plain("a\u202eb\x1b[1m").text == "ab[1m"
    assert from_markdown("a\u202eb\x00").text in ("ab", "ab\ufffd")


def test_only_addresses_that_lead_somewhere_become_links():
    """The service would drop the others without a word."""
    assert kept_by_service(linked(plain("x"), "https://a.b")) == [("text_link", "x")]
    assert linked(plain("x"), "file.md") == linked(plain("x"), None) == plain("x")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("x" * 4095, 1),
        ("x" * 4096, 1),
        ("x" * 4097, 2),
        ("😀" * 2047 + "x", 1),
        ("😀" * 2048, 1),
        ("😀" * 2048 + "x", 2),
        ("x" + "😀" * 2048, 2),
    ],
)
def test_the_limit_is_met_exactly(text, parts):
    """4096 UTF-16 units in a message, of which an emoji takes two."""
    found = split(plain(text))
    assert len(found) == parts
    assert "".join(part.text for part in found) == text
    assert max(units(part.text) for part in found) <= LONGEST_MESSAGE


def test_blocks_are_kept_whole_where_they_fit():
    """Code that fits into a message is not torn, also at its blank lines."""
    code = "\n\n".join(f"line {n}" for n in range(390))
    rich = from_markdown(f"{'words ' * 100}\n\n```\n{code}\n```\n\nafter")
    first, second = split(rich)
    assert first.text == ("words " * 100).strip()
    assert second.text.startswith(code)
    assert kept_by_service(second) == [("pre", code)]


def test_formatting_that_is_cut_goes_on_in_the_next_part():
    """Code longer than a message is code in all of its parts."""
    code = "\n".join(f"line {n:04}" for n in range(1000))
    parts = split(from_markdown(f"```sh\n{code}\n```"))
    assert len(parts) == 3
    assert "\n".join(part.text for part in parts) == code
    for part in parts:
        assert kept_by_service(part) == [("pre", part.text)]
        assert part.entities[0].language == "sh"


def test_text_is_cut_between_sentences_rather_than_within():
    """Where there are no blocks to cut between."""
    first, *_ = split(plain("This is a sentence of some words. " * 300))
    assert first.text.endswith("words.")


def test_no_letter_loses_its_accent_and_no_emoji_is_torn():
    """Where there is nothing else to cut at."""
    family = "👨\u200d👩\u200d👧"
    parts = split(plain(family * 1000))
    assert all(part.text.replace(family, "") == "" for part in parts)
    assert all(not part.text.startswith("\u0301") for part in split(plain("e\u0301" * 4096)))


@given(
    st.lists(st.sampled_from([*"ab 😀\n*_`[]()<>#-|>&1.", "\n\n", "```", "**", "- ", "https://a.b"]), max_size=200),
    st.integers(4, 60),
)
def test_whatever_a_document_holds_is_taken_by_the_service_and_nothing_is_lost(pieces, limit):
    """Any mix of markup, split anywhere."""
    rich = from_markdown("".join(pieces))
    parts = split(rich, limit)
    assert "".join("".join(part.text for part in parts).split()) == "".join(rich.text.split())
    for part in parts:
        assert units(part.text) <= limit
        if part.text:
            kept_by_service(part)


def test_no_part_has_more_entities_than_a_message_takes():
    """Telegram drops the rest, and with it the formatting; each item keeps its own."""
    items = 130
    parts = split(from_markdown("\n".join(f"- **name {n}** is `code {n}`" for n in range(items))))
    assert all(len(part.entities) <= 100 for part in parts)
    assert sum(len(part.entities) for part in parts) == 2 * items
    assert "\n".join(part.text for part in parts).count("\n") == items - 1


def test_an_announcement_is_not_left_alone():
    parts = split(from_markdown("First.\n\nThese are there:\n\n" + "\n".join(f"- item {n}" for n in range(20))), 150)
    assert not any(part.text.endswith("there:") for part in parts)


def test_rows_without_their_header_stay_rows():
    """As a citation quotes them."""
    assert from_markdown("| a | b |\n| c | d |").text == "| a | b |\n| c | d |"
