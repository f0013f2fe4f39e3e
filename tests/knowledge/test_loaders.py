"""Files -> blocks: each stands in its file at the lines named, and each refusal says what to do."""

import json
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bot.core.documents import Block, Document, Form
from bot.core.errors import DocumentError
from bot.knowledge.loaders import LOADERS, load


def read(path: str, text: str | bytes) -> Document:
    return load(path, text.encode() if isinstance(text, str) else text)


def markdown(*lines: str) -> Document:
    return read("guide.md", "\n".join(lines))


def texts(document: Document) -> list[str]:
    return [block.text for block in document.blocks]


def only(document: Document) -> Block:
    [block] = document.blocks
    return block


def refusal(path: str, content: str | bytes) -> str:
    with pytest.raises(DocumentError) as raised:
        read(path, content)
    return str(raised.value)


def assert_lines_are_right(document: Document, text: str) -> None:
    """The lines that a block names are its text; a heading that is a block is without its marks."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for block in document.blocks:
        assert block.locator.lines is not None
        first, last = block.locator.lines
        written = "\n".join(lines[first - 1 : last])
        assert block.text == written or block.text in written.strip("# \t")


# --- Markdown: headings -----------------------------------------------------------------------------------------------


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


# --- Markdown: blocks -------------------------------------------------------------------------------------------------

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


# --- Markdown: front matter -------------------------------------------------------------------------------------------


def test_front_matter_names_title_address_and_language():
    """The first heading is then a heading like any other, and lines are counted from the file's beginning."""
    document = markdown(
        *("---", "title: 'A: guide'", "url: https://x.org/a", "language: de", "tags: [a, b]", "---", "# Other", "text")
    )
    assert (document.title, document.url, document.language) == ("A: guide", "https://x.org/a", "de")
    assert (only(document).text, only(document).locator.lines) == ("text", (8, 8))
    assert only(document).heading == ("Other",)
    assert document.warnings == ()


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("title: 1.10", "1.10"),
        ("title: 2024-02-30", "2024-02-30"),
        ("title: yes", "yes"),
        ('title: "\\ud83d\\ude00 smile"', "😀 smile"),
        ('title: "lone \\ud83d"', "lone \ufffd"),
        ("title:", "Guide"),
        ("title: ''", "Guide"),
        ("date: 2024-13-45", "Guide"),
        ("# only a comment", "Guide"),
        ("", "Guide"),
    ],
)
def test_values_of_front_matter_are_the_text_that_stands_there(written, title):
    """No number, date or truth value is made of them, and none of them can be wrong."""
    document = markdown("---", written, "---", "text")
    assert (document.title, texts(document), document.warnings) == (title, ["text"], ())
    document.title.encode()


@pytest.mark.parametrize("broken", ["title: a: b", "title: [a", "\ttitle: a", "{{ template }}: }", "[" * 5000])
def test_broken_front_matter_is_passed_over_with_a_warning(broken):
    """The text is read all the same, at the right lines."""
    document = markdown("---", broken, "---", "", "text")
    assert document.warnings == ("the front matter is not valid YAML and was passed over",)
    assert (document.title, only(document).text, only(document).locator.lines) == ("Guide", "text", (5, 5))


def test_a_value_that_is_no_text_is_passed_over_with_a_warning():
    """The other keys count; an alias that grows to millions of texts costs nothing."""
    bomb = [
        "a: &a [x, x]",
        *(f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]" for a, b in zip("abcdefghi", "bcdefghij", strict=True)),
    ]
    document = markdown("---", *bomb, "title: *j", "language: en", "---", "text")
    assert document.warnings == ("`title` in the front matter is not a text and was passed over",)
    assert (document.title, document.language) == ("Guide", "en")


def test_front_matter_may_be_toml():
    """As Hugo and Zola write it; what we don't know may have any form."""
    document = markdown(
        *("+++", 'title = "Zoo: guide"', 'url = "https://zoo.example/guide"', "date = 2031-05-02", "weight = 30"),
        *("[extra]", 'tags = ["a"]', "+++", "text"),
    )
    assert (document.title, document.url, document.warnings) == ("Zoo: guide", "https://zoo.example/guide", ())
    assert (only(document).text, only(document).locator.lines) == ("text", (9, 9))
    broken = markdown("+++", "title = Zoo", "+++", "text")
    assert broken.warnings == ("the front matter is not valid TOML and was passed over",)
    assert texts(broken) == ["text"]


@pytest.mark.parametrize("end", ["---", "...", "---  "])
def test_front_matter_may_end_with_dots_or_with_the_file(end):
    """A document of front matter alone has no blocks."""
    document = markdown("---", "title: T", end)
    assert (document.title, document.blocks) == ("T", ())


def test_text_between_two_rules_is_no_front_matter():
    """A document may begin with a rule."""
    document = markdown("---", "", "Some text.", "", "---", "", "- more")
    assert (texts(document), document.warnings) == (["Some text.", "- more"], ())
    assert texts(markdown("---", "never closed")) == ["never closed"]
    assert texts(markdown("", "---", "title: T", "", "---")) == ["title: T"]


# --- plain text -------------------------------------------------------------------------------------------------------


def test_blank_lines_divide_a_text():
    """Each paragraph has the lines at which it stands; the last one needs no line end."""
    document = read("my-notes.txt", "\n\none\ntwo\n \t\n\n  three\n\nfour")
    assert document.title == "My notes"
    assert [(block.text, block.locator.lines) for block in document.blocks] == [
        ("one\ntwo", (3, 4)),
        ("  three", (7, 7)),
        ("four", (9, 9)),
    ]


@pytest.mark.parametrize(
    ("paragraph", "form"),
    [
        ("- a\n- b", Form.LIST),
        ("1. a\n2. b", Form.LIST),
        ("  • a\n  • b", Form.LIST),
        ("3) a\n   more", Form.LIST),
        ("- alone", Form.PARAGRAPH),
        ("-5 degrees\nand more", Form.PARAGRAPH),
        ("1984. A year\nand more", Form.PARAGRAPH),
        ("# no heading\n---", Form.PARAGRAPH),
    ],
)
def test_a_paragraph_that_begins_like_a_list_is_one(paragraph, form):
    """Nothing else of Markdown counts in a plain text."""
    assert only(read("a.txt", paragraph)).form is form


@given(st.text(alphabet=st.sampled_from("ab \n\n\t\x0c\x1c\u2028\u00a0-1.")))
def test_lines_of_a_text_are_right(source):
    """Odd separators end no line, and no letter is lost."""
    document = read("a.txt", source)
    assert_lines_are_right(document, source)
    assert "".join("".join(texts(document)).split()) == "".join(source.split())


# --- CSV --------------------------------------------------------------------------------------------------------------


def pairs(document: Document) -> list[tuple[int | None, str, str]]:
    assert all(block.form is Form.PAIR and block.locator.lines is None for block in document.blocks)
    return [(block.locator.row, block.context, block.text) for block in document.blocks]


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


# --- JSON and JSON lines ----------------------------------------------------------------------------------------------


def test_json_may_be_a_list_or_a_mapping_or_one_pair():
    """The row is the pair's number."""
    listed = [{"question": "x", "answer": "y", "id": 1}, {"Q": " a ", "A": "b\n"}]
    assert pairs(read("faq.json", json.dumps(listed))) == [(1, "x", "y"), (2, "a", "b")]
    assert pairs(read("faq.json", '{"x": "y", "a": "b"}')) == [(1, "x", "y"), (2, "a", "b")]
    assert pairs(read("faq.json", '{"question": "x", "answer": "y"}')) == [(1, "x", "y")]


def test_pairs_are_found_within_other_objects():
    """Exports wrap them, one list or several."""
    wrapped = {"version": 2, "faqs": [{"question": "x", "answer": "y"}]}
    assert pairs(read("faq.json", json.dumps(wrapped))) == [(1, "x", "y")]
    grouped = {
        "groups": [{"name": "A", "items": [{"q": "x", "a": "y"}]}, {"name": "B", "items": [{"q": "v", "a": "w"}]}]
    }
    assert pairs(read("faq.json", json.dumps(grouped))) == [(1, "x", "y"), (2, "v", "w")]


def test_a_pair_may_have_several_phrasings():
    """Each is searched; an answer of several texts is all of them."""
    listed = [{"questions": ["x?", " y? "], "answers": ["One.", "Two."]}, {"question": ["z?"], "answer": "Three."}]
    assert pairs(read("faq.json", json.dumps(listed))) == [(1, "x?\ny?", "One.\nTwo."), (2, "z?", "Three.")]


def test_articles_are_sections():
    """A title, a text, and what else the object says in words."""
    listed = {"articles": [{"id": 7, "title": "Lift", "body": "It carries ten.", "floor": 2, "tags": ["a"]}]}
    blocks = read("a.json", json.dumps(listed)).blocks
    assert [(block.form, block.heading, block.text, block.locator.row) for block in blocks] == [
        (Form.PARAGRAPH, ("Lift",), "It carries ten.", 1),
        (Form.LIST, ("Lift",), "- floor: 2", 1),
    ]


@pytest.mark.parametrize("path", ["a.json", "a.jsonl"])
def test_objects_of_plain_values_are_a_table(path):
    """Of the columns that any of them has."""
    records = [{"boat": "Heron", "berth": 7}, {"boat": "Tern", "berth": None, "owner": True}]
    text = "\n".join(map(json.dumps, records)) if path.endswith("l") else json.dumps(records)
    assert only(read(path, text)).text == (
        "| boat | berth | owner |\n| --- | --- | --- |\n| Heron | 7 |  |\n| Tern |  | true |"
    )


def test_json_lines_count_their_lines():
    """Blank lines count; what is no pair is named."""
    document = read(
        "faq.jsonl", '\n{"question": "x", "answer": "y\u2028z"}\n\n[1]\n{"question": "a"}\n{"q": "", "a": "b"}'
    )
    assert pairs(document) == [(2, "x", "y\u2028z")]
    assert document.warnings == ("without a question or an answer, passed over: row 4, 5, 6",)


def test_half_a_character_in_json_is_replaced():
    """It could neither be stored nor shown; a whole one written as two escapes stays."""
    document = read("faq.jsonl", '{"question": "a \\ud83d b", "answer": "\\ud83d\\ude00 \\udc00"}')
    assert pairs(document) == [(1, "a \ufffd b", "😀 \ufffd")]


@pytest.mark.parametrize(
    ("path", "content", "expected"),
    [
        ("a.jsonl", '{"question": "x", "answer": "y"}\n\n{"question": oops}', "not valid JSON at line 3, column 14 ("),
        ("a.json", '[\n{"question": "x",\n "answer": "y",}\n]', "not valid JSON at line 3, column 16 ("),
        ("a.json", "", "not valid JSON at line 1, column 1 ("),
        ("a.jsonl", "{}\n" + "9" * 5000, "can't be read as JSON from line 2 on: a number is too long"),
        ("a.json", "[" * 100_000, "can't be read as JSON from line 1 on: a number is too long or brackets are nested"),
        ("a.json", '"text"', "expected question-answer pairs: each with a `question` and an `answer`, as a list"),
        ("a.json", '{"x": ["y"]}', "expected question-answer pairs: each with a `question` and an `answer`, as a list"),
        ("a.json", "[]", "expected question-answer pairs: each with a `question` and an `answer`; there are none"),
        ("a.jsonl", "", "expected question-answer pairs: each with a `question` and an `answer`; there are none"),
        ("a.jsonl", '{"foo": "x"}', "expected question-answer pairs: each with a `question` and an `answer`"),
    ],
)
def test_broken_json_is_refused_with_its_place(path, content, expected):
    """The line is the file's, and there is only one line in the message."""
    message = refusal(path, content)
    assert message.startswith(expected)
    assert message.count("line") <= 1


# --- all formats ------------------------------------------------------------------------------------------------------


TEXTS = [
    ".csv",
    ".htm",
    ".html",
    ".json",
    ".jsonl",
    ".markdown",
    ".md",
    ".mdx",
    ".rst",
    ".text",
    ".tsv",
    ".txt",
    ".xhtml",
]


@pytest.mark.parametrize("suffix", TEXTS)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\0b", "this is a binary file, not text; convert it to a format that is read"),
        (b"\xff\xfe\0\xd8", "begins like UTF-16 but isn't (byte 3); save it with UTF-8 encoding"),
        (b"\x81\x01\x02\x03" * 9, "not UTF-8 text (byte 1); save it with UTF-8 encoding"),
    ],
)
def test_what_is_no_text_is_refused(suffix, content, message):
    """With the place and the way out."""
    assert refusal(f"a{suffix}", content) == message


WESTERN = "Le café du marché est fermé à Noël. Où êtes-vous allés après l'été ? À bientôt, très chère Zoë."
CYRILLIC = "Дверь открывается в восемь часов утра и закрывается поздно вечером."


@pytest.mark.parametrize(
    ("text", "encoding", "guessed"),
    [
        (WESTERN, "latin-1", "cp1252"),
        (WESTERN, "cp1252", "cp1252"),
        (CYRILLIC, "cp1251", "cp1251"),
        ("会議は三階で行われます。入口は一階にあります。", "shift_jis", "cp932"),
    ],
)
def test_other_encodings_are_recognised_and_remarked_on(text, encoding, guessed):
    """The guess may be wrong, so its author is told."""
    document = read("a.txt", text.encode(encoding))
    assert texts(document) == [text]
    assert document.warnings == (f"not UTF-8 but probably {guessed}, and read as that",)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(encoding):
    """That is sure, so there is nothing to remark."""
    document = read("a.txt", WESTERN.encode(encoding))
    assert (texts(document), document.warnings) == ([WESTERN], ())


def test_few_broken_bytes_leave_the_rest_of_utf_8_as_it_is():
    """One bad character must not turn all others of a file into nonsense."""
    document = read("a.txt", (WESTERN * 3).encode() + b" \xff")
    assert texts(document) == [f"{WESTERN * 3} \ufffd"]
    assert document.warnings[0].startswith("1 byte is not UTF-8 (byte ")
    [remark] = read("b.txt", (WESTERN * 6).encode() + b" \xff\xff").warnings
    assert remark.startswith("2 bytes are not UTF-8, the first of them byte ")


def test_a_page_is_read_in_the_encoding_that_it_declares():
    """Old pages say theirs in the head."""
    page = f'<html><head><meta charset="windows-1251"></head><body><p>{CYRILLIC}</p></body></html>'
    assert texts(read("a.html", page.encode("cp1251"))) == [CYRILLIC]


@pytest.mark.parametrize("path", ["a.md", "a.txt"])
@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b" \r\n\t"])
def test_an_empty_file_has_no_blocks(path, content):
    """That this is a problem is for the index to say."""
    assert load(path, content) == Document(path, "A", ())


@pytest.mark.parametrize("path", ["a.png", "a", "md", "a.md.exe"])
def test_an_unknown_format_is_refused_with_those_that_are_known(path):
    """The suffix decides, in any case of letters."""
    assert refusal(path, "") == f"this format isn't read; these are: {', '.join(sorted(LOADERS))}"
    assert read("A.MD", "# T").title == "T"


@pytest.mark.parametrize(
    ("path", "other"), [("a.doc", "DOCX"), ("a.RTF", "DOCX"), ("a.odp", "PPTX"), ("a.mobi", "EPUB")]
)
def test_a_document_of_another_format_is_refused_with_the_one_to_save_it_in(path, other):
    """Whoever has put a letter there wants answers from it."""
    assert refusal(path, "") == f"this format isn't read; save it as {other}"


@given(st.binary(max_size=200), st.sampled_from(sorted(LOADERS)))
def test_no_bytes_raise_anything_but_a_document_error(content, suffix):
    """One file must never stop the indexing of the others."""
    try:
        document = load(f"a{suffix}", content)
    except DocumentError:
        return
    "".join(block.text + block.context for block in document.blocks).encode()


@given(
    st.text(alphabet=st.sampled_from("{}[]\",;:|\n\t\\u1quesntioawr'd8 0\x1c-"), max_size=200),
    st.sampled_from(sorted(LOADERS)),
)
def test_no_text_raises_anything_but_a_document_error(content, suffix):
    """Nor must one that looks almost right."""
    try:
        document = load(f"a{suffix}", f"question,answer\n{content}".encode())
    except DocumentError:
        return
    assert all(block.text.encode() and block.text == block.text.strip("\n") for block in document.blocks)
