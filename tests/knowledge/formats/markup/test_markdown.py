"""Markdown: each block stands in its file at the lines named."""

import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bot.core.documents import Document, Form
from tests.knowledge.formats.reading import (
    assert_lines_are_right,
    markdown,
    read,
    texts,
)


def headings(document: Document) -> list[tuple[str, ...]]:
    return [block.heading for block in document.blocks]


def test_blocks_stand_under_their_headings():
    """The path goes from the outermost heading to the innermost; the title is not said twice."""
    document = markdown("# Bread", "", "a", "", "## Dough", "b", "### Time", "c", "## Oven", "d")
    assert document.title == "Bread"
    assert headings(document) == [(), ("Dough",), ("Dough", "Time"), ("Oven",)]
    assert [block.locator.lines for block in document.blocks] == [(3, 3), (6, 6), (8, 8), (10, 10)]


def test_skipped_levels_leave_no_gap_in_the_path():
    """A heading ends all that are as deep or deeper, however deep they were."""
    document = markdown("# T", "#### deep", "a", "## b", "c", "### d", "e", "# T2", "f")
    assert headings(document) == [("deep",), ("b",), ("b", "d"), ("T2",)]


def test_underlined_headings_count_like_the_others():
    """Equals signs make level one, dashes level two; the underline belongs to the heading."""
    document = markdown("Bread", "=====", "a", "", "Dough", "---", "b")
    assert (document.title, headings(document), texts(document)) == ("Bread", [(), ("Dough",)], ["a", "b"])


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("# The `make run` *way* **on** ~~it~~", "The make run way on ~~it~~"),
        ("# [Linked](https://x.org) and [named][ref] ###", "Linked and named"),
        ("# A &amp; B &lt;C&gt; \\# 1", "A & B <C> # 1"),
        ("# Text <em>with</em> tags", "Text with tags"),
        ("# ![The logo](logo.png)", "The logo"),
        ("#\tTab  and   spaces", "Tab and spaces"),
        ("Two lines  \nwith a *hard* break\n===", "Two lines with a hard break"),
        ("Two lines\nwith a soft break\n===", "Two lines with a soft break"),
        ("# snake_case_name 2*3*4", "snake_case_name 234"),
    ],
)
def test_headings_lose_their_markup(heading, expected):
    """The path is for people and for the index."""
    assert markdown(heading, "", "text", "", "[ref]: https://x.org").title == expected


def test_a_repeated_first_heading_is_left_out_of_the_path_each_time():
    """It is the title, which stands beside every path anyway."""
    document = markdown("# Bread", "a", "# Bread", "b", "## Dough", "c", "# Other", "d")
    assert headings(document) == [(), (), ("Dough",), ("Other",)]


def test_an_empty_heading_is_no_title_and_adds_nothing():
    """The next heading with a text is the title."""
    document = markdown("#", "a", "## Real", "b")
    assert (document.title, headings(document)) == ("Real", [(), ()])


@pytest.mark.parametrize("path", ["how-to/getting_started.md", "getting-started.MARKDOWN"])
def test_without_any_heading_the_file_name_is_the_title(path):
    """Dashes and underscores become spaces."""
    assert read(path, "text").title == "Getting started"


def test_headings_within_quotes_and_lists_are_part_of_those():
    """Only what stands at the top level divides a document."""
    document = markdown("# T", "> # quoted", "> text", "", "- # item", "- b")
    assert [(block.form, block.heading) for block in document.blocks] == [(Form.PARAGRAPH, ()), (Form.LIST, ())]


def test_a_long_paragraph_above_dashes_is_no_heading():
    """Its words must be found and quoted; as a heading they would only crowd every passage."""
    paragraph = "A sentence of a long paragraph. " * 20
    document = markdown("# T", "", paragraph.strip(), "---", "", "after")
    assert texts(document) == [f"{paragraph.strip()}\n---", "after"]
    assert headings(document) == [(), ()]


# --- blocks -----------------------------------------------------------------------------------------------------------

BLOCKS = {
    "paragraph": (Form.PARAGRAPH, "A paragraph\nof two lines."),
    "indented paragraph": (Form.PARAGRAPH, "  Up to three\n   spaces."),
    "list": (Form.LIST, "- one\n- two\n  - nested\n    1. deeper\n- three"),
    "loose list": (Form.LIST, "1. one\n\n   with a second paragraph\n\n2. two\n\n       code\n\n3. three"),
    "list with lazy lines": (Form.LIST, "* one\ngoes on\n* two"),
    "list with code": (Form.LIST, "- run:\n\n  ```\n  # make\n\n  make\n  ```\n- done"),
    "table": (Form.TABLE, "| a | b |\n|---|:-:|\n| 1 | 2 \\| 3 |"),
    "table without edges": (Form.TABLE, "a | b\n--|--\n1 | 2"),
    "fenced code": (Form.CODE, "```sh\n# not a heading\n\n- not a list\n\n\necho\n```"),
    "tilde fence": (Form.CODE, "~~~\n```\n# no\n```\n~~~"),
    "empty fence": (Form.CODE, "```\n```"),
    "indented code": (Form.CODE, "    # not a heading\n\n    code\n\tmore"),
    "quote": (Form.PARAGRAPH, "> # quoted\n> text\n>\n> - item\nlazy end"),
    "placeholder": (Form.PARAGRAPH, "<your-name>\n# no heading here"),
    "form feed": (Form.PARAGRAPH, "one\x0ctwo\x0bthree\u2028four\x85five"),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_every_form_keeps_its_text(name):
    """A block is quoted as it stands: with markup, blank lines and indentation."""
    form, text = BLOCKS[name]
    document = markdown("# Title", "", text, "", "", "End.")
    assert document.title == "Title"
    block = document.blocks[0]
    assert (block.form, block.text) == (form, text)
    assert block.locator.lines == (3, 2 + len(text.split("\n")))
    assert document.blocks[-1].text == "End."


def test_what_is_not_shown_to_readers_is_left_out():
    """Comments, rules and link targets are no text."""
    document = markdown("a", "", "<!-- a\n\n# comment -->", "", "***", "", "[ref]: https://x.org", "", "b")
    assert texts(document) == ["a", "b"]
    assert document.blocks[1].locator.lines == (11, 11)


def test_html_is_read_as_what_it_says():
    """Its headings, tables and paragraphs are those of any other page, at the lines of this file."""
    document = markdown(
        *('<h1 align="center">Zoo</h1>', "", "Open *daily*.", "", "<details>", "<summary>Fees?</summary>", ""),
        *("- five euros", "", "</details>", "", "<table>", "<tr><th>Who</th><th>Fee</th></tr>", ""),
        *("<tr><td>Adults</td><td>9</td></tr>", "</table>", "", "<!-- note --> <b>shown</b>"),
    )
    assert document.title == "Zoo"
    assert [block.heading[-1:] for block in document.blocks] == [(), ("Fees?",), (), ()]
    assert [(block.text, block.locator.lines) for block in document.blocks] == [
        ("Open *daily*.", (3, 3)),
        ("- five euros", (8, 8)),
        ("| Who | Fee |\n| --- | --- |\n| Adults | 9 |", (12, 15)),
        ("shown", (18, 18)),
    ]


def test_links_that_are_defined_elsewhere_keep_their_addresses():
    """A part of a document is shown without its definitions; code and images of the same look are no links."""
    document = markdown(
        *("See [the *map*][map], [Map][] and [map]; `[map]` and [x] stay.", "", "[MAP]: https://zoo.example/map 'Map'")
    )
    target = "(https://zoo.example/map)"
    assert texts(document) == [f"See [the *map*]{target}, [Map]{target} and [map]{target}; `[map]` and [x] stay."]


def test_footnotes_stand_below_what_refers_to_them():
    """At their own lines, under the heading of what they are about, and without marks; each is read once."""
    document = markdown(
        *(
            "# Zoo",
            "## Fees[^all]",
            "Adults pay nine[^1], again nine[^1].",
            "",
            "- children[^2]",
            "",
            "## End",
            "Bye[^none].",
        ),
        *(
            "",
            "[^1]: Six in winter,",
            "on all days.",
            "[^2]: Below four.",
            "",
            "    Two at most.",
            "",
            "[^all]: Since May.",
        ),
        *("", "[^9]: Nobody refers to this.", "", "```", "[^1]: code", "```"),
    )
    assert [(block.heading, block.text, block.locator.lines) for block in document.blocks] == [
        (("Fees",), "Since May.", (16, 16)),
        (("Fees",), "Adults pay nine, again nine.", (3, 3)),
        (("Fees",), "Six in winter,\non all days.", (10, 11)),
        (("Fees",), "- children", (5, 5)),
        (("Fees",), "Below four.\n\nTwo at most.", (12, 14)),
        (("End",), "Bye[^none].", (8, 8)),
        (("End",), "[^9]: Nobody refers to this.", (18, 18)),
        (("End",), "```\n[^1]: code\n```", (20, 22)),
    ]


def test_notes_that_refer_to_each_other_end():
    document = markdown("a[^1]", "", "[^1]: b[^2]", "[^2]: c[^1]")
    assert texts(document) == ["a", "b", "c"]


def test_headings_that_say_something_are_read_where_nothing_stands_below():
    """Notices are often written so. A question or a mere name says nothing."""
    document = markdown(
        "# Zoo", "## Closed on all Mondays", "## Where is the lion?", "## Fees", "## Lions", "Fed at two."
    )
    assert [(block.heading, block.text, block.locator.lines) for block in document.blocks] == [
        ((), "Closed on all Mondays", (2, 2)),
        (("Lions",), "Fed at two.", (6, 6)),
    ]
    assert len(document.warnings) == 3


@pytest.mark.parametrize(
    "text", ["```\nnever closed\n\nstill code", "- item\n\n```\ncode", "<!-- never closed\n\ntext"]
)
def test_unclosed_blocks_go_on_to_the_end(text):
    """Nothing after them gets lost."""
    assert "\n\n".join(texts(markdown(text))) == text


@st.composite
def markdown_files(draw):
    """(source, the texts of its blocks): any blocks in any order, with blank lines between them."""
    source, blocks = "", []
    for name in draw(st.lists(st.sampled_from([*BLOCKS, "heading", "underlined", "comment", "rule"]), max_size=12)):
        text = {
            "heading": "## A *heading*",
            "underlined": "Underlined\nheading\n---",
            "comment": "<!-- a\ncomment -->",
            "rule": "* * *",
        }.get(name)
        if text is None:
            text = BLOCKS[name][1]
            blocks.append(text)
        # A line of text between any two keeps lists and code from growing together.
        blocks.append("Between.")
        source += text + "\n" * draw(st.integers(2, 4)) + "Between." + "\n" * draw(st.integers(2, 3))
    return source, blocks


@settings(deadline=None)  # a busy machine is no fault of the code
@given(markdown_files())
def test_every_block_of_a_markdown_file_is_found_where_it_stands(file):
    """Nothing is lost, doubled or moved, and the lines named are those of the file."""
    source, blocks = file
    document = markdown(source)
    assert texts(document) == blocks
    assert_lines_are_right(document, source)


MARKS = "ab #*-_`>|=~<!+1.)([]:&\\\n\n\n \t\x0c\u00a0"


@settings(deadline=None)  # a busy machine is no fault of the code
@given(st.text(alphabet=st.sampled_from(MARKS), max_size=200))
def test_lines_are_right_whatever_the_markdown(source):
    """Also where it is none that anybody would write. Links of wikis and definitions are rewritten, so not these."""
    assume("[[" not in source and "]:" not in source and "==" not in source)
    document = markdown(source)
    assert_lines_are_right(document, source)
    assert all(block.text.strip() for block in document.blocks)
    spans = [block.locator.lines for block in document.blocks]
    assert spans == sorted(spans) and len(set(spans)) == len(spans)


@settings(deadline=None)  # a busy machine is no fault of the code
@given(st.text(alphabet=st.sampled_from(MARKS), max_size=100), st.sampled_from(["\r\n", "\r"]), st.booleans())
def test_line_ends_and_byte_order_marks_change_nothing(source, line_end, mark):
    """Files come from every editor; the quote has line feeds."""
    written = ("\ufeff" if mark else "") + source.replace("\n", line_end)
    assert markdown(written) == markdown(source)
    assert read("a.txt", written) == read("a.txt", source)


@pytest.mark.parametrize("piece", ["[", "![", "<!--", "*", "`", "&", "[a](", "<a ", "\\", "# [", "|", "> "])
def test_hostile_markdown_takes_no_longer_than_any_other(piece):
    """100,000 characters of anything are read in a second or so."""
    started = time.thread_time()
    markdown(piece * (100_000 // len(piece)))
    assert time.thread_time() - started < 2
