"""What of a section is shown, and that the citation leads to exactly those words."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.documents import Block, Form, FoundPassage, Locator, Passage
from bot.core.text import Span
from bot.engine.compose import SUGGESTION_LENGTH, ComposedSection, cite_passage, compose, wants_steps
from bot.engine.sections import Section
from bot.knowledge.loaders import load
from tests.engine.test_sections import BLOCKS as SPLIT_BLOCKS
from tests.engine.test_sections import SPLIT, index_of

FACT = "when is it open?"
HOW_TO = "How do I do it?"


def found_in(source: str, path: str = "doc.md", url: str | None = None) -> FoundPassage:
    """A document as one passage, nothing of it split."""
    document = load(path, source.encode())
    blocks = document.blocks
    return FoundPassage(path, document.title, url, (0, 0), Passage(blocks, blocks[0].heading, ""))


def section_in(found: FoundPassage, words: str) -> Section:
    """The section with the place of these words, as if the search had found their block alone."""
    for place, block in enumerate(found.passage.blocks):
        if (start := block.text.find(words)) >= 0:
            return Section(found, found.passage.blocks, place, (start, start + len(words)), (place, place))
    raise AssertionError(f"{words!r} stands nowhere")


def answer(question: str, source: str, words: str, base_url: str = "") -> ComposedSection:
    """The answer where the reader has marked these words."""
    return compose(question, section_in(found_in(source), words), base_url)


def words_of(count: int, word: str = "word") -> str:
    """A sentence of so many words."""
    return f"Some {' '.join(f'{word}{n}' for n in range(count))}."


# --- the question -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "question",
    [
        "How do I install it?",
        "how to brew coffee",
        "ok, how can I stop it?",
        "What are the limits?",
        "which formats are read?",
        "List all commands",
        "please explain the settings",
        "What steps are needed?",
        "What do I need to build it?",
        "could you tell me how it works? how does it start?",
        "HOW'S it done",
        "hello, show me the options",
        "why does it stop",
        "it doesn't start any more",
        "error: database is locked",
        "the upload fails",
    ],
)
def test_some_questions_want_steps(question):
    """How-tos, lists and symptoms are not answered by one item."""
    assert wants_steps(question)


@pytest.mark.parametrize(
    "question",
    ["When is it open?", "How much is it?", "how many users", "Who wrote it?", "What is the limit?", "Which port?", ""],
)
def test_other_questions_want_one_fact(question):
    """A paragraph is enough."""
    assert not wants_steps(question)


# --- how much of a section --------------------------------------------------------------------------------------------

SHORT = "# T\n\nFirst one. It opens at nine.\n\nLast one.\n"
# Two paragraphs and more than fits with them, before and after.
LONG = "\n\n".join(
    ["# T", words_of(90, "before"), "First one. It opens at nine.", words_of(90, "after"), words_of(100, "end")]
)


@pytest.mark.parametrize("question", [FACT, HOW_TO])
def test_a_short_section_is_shown_whole(question):
    """A part of it is harder to understand. The words that answer are bold, and the quote is the document's."""
    composed = answer(question, SHORT, "nine")
    assert composed.text == "First one. It opens at **nine**.\n\nLast one."
    assert (composed.span, composed.more) == ("nine", "")
    assert (composed.citation.lines, composed.citation.quote) == ((3, 5), "First one. It opens at nine.\n\nLast one.")


@pytest.mark.parametrize("question", [FACT, HOW_TO])
def test_of_a_long_section_what_follows_and_then_what_stands_before_is_shown_as_far_as_it_fits(question):
    """Whole blocks, up to what people read in a chat. The rest is there for those who ask for it."""
    composed = answer(question, LONG, "nine")
    assert composed.text == f"First one. It opens at **nine**.\n\n{words_of(90, 'after')}"
    assert composed.more == words_of(100, "end")
    last = answer(question, f"{LONG}\n\nLast one.", "Last one")
    assert last.text.startswith("Some end0") and last.text.endswith("**Last one**.")
    assert (last.citation.lines, last.more) == ((9, 11), "")


def test_less_is_shown_of_each_of_several_sections():
    """The rest follows on request, as below an answer."""
    paragraphs = [words_of(25, f"part{n}x") for n in range(3)]
    section = section_in(found_in("\n\n".join(paragraphs)), "part0x3")
    assert compose(FACT, section).more == ""
    composed = compose(FACT, section, length=SUGGESTION_LENGTH)
    assert composed.text.replace("**", "") == "\n\n".join(paragraphs[:2])
    assert composed.more == paragraphs[2]


def test_of_a_long_section_the_passage_found_is_shown_first():
    """All of it is like the question, the words before the marked ones too."""
    section = section_in(found_in("\n\n".join(words_of(90, name) for name in "abcdef")), "d7")
    composed = compose(FACT, replace(section, found_blocks=(2, 3)))
    shown = [paragraph[5] for paragraph in composed.text.split("\n\n")]
    assert shown == ["c", "d"]
    assert composed.more.startswith("Some e0")


@pytest.mark.parametrize("begins", ["It opens", "This opens", "**They** open", "If so, it opens", "However, it opens"])
def test_a_paragraph_that_leans_back_brings_the_one_before_it(begins):
    """It can't be understood without."""
    composed = answer(FACT, f"{words_of(300)}\n\nThe shop is small.\n\n{begins} at nine.\n\n{words_of(300)}", "nine")
    assert composed.text == f"The shop is small.\n\n{begins} at **nine**."
    assert composed.citation.quote == f"The shop is small.\n\n{begins} at nine."


def test_a_first_paragraph_that_leans_back_stands_alone():
    """There is nothing before it to bring."""
    assert answer(FACT, f"It opens at nine.\n\n{words_of(300)}", "nine").text == "It opens at **nine**."


def test_a_paragraph_too_long_for_a_chat_is_cut_between_sentences():
    """The sentence that answers with those around it; the rest follows on request."""
    before, after = words_of(70, "before"), words_of(130, "after")
    composed = answer(FACT, f"{before} The shop\nopens at nine. {after}", "nine")
    assert composed.text == f"{before} The shop\nopens at **nine**."
    assert (composed.citation.lines, composed.more.strip()) == ((1, 2), after)


# --- bold -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "paragraph",
    [
        "**Zero. One knob. Two.**",
        "**Zero *one. One knob. Two* two**",
        "*Zero. One knob. Two*",
        "_Zero. One knob. Two_",
        "`zero. One knob. two`",
        "~~Zero. One knob. Two~~",
        "Zero. Turn *the knob.* Two.",
        "Zero. Turn `knob`. Two.",
        "零。转动knob二。",
        "Zero. Many knobs. Two.",
        "Zero. Turn(knob). Two.",
        "Zero. Turn a.knob. Two.",
        "knob",
    ],
)
def test_bold_never_breaks_markup(paragraph):
    """The paragraph is shown as it is where stars would end up within other markup, would not be read as bold, or would mark
    all there is."""
    words = next(filter(paragraph.__contains__, ("(knob)", ".knob", "knob")))
    composed = answer(HOW_TO, paragraph, words)
    assert (composed.text, composed.span) == (paragraph, words)


@pytest.mark.parametrize(
    ("paragraph", "words", "shown"),
    [
        ("Zero. See [the knob](a.md). Two.", "knob", "Zero. See [the knob](https://x.org/a.md). Two."),
        ("Zero. See [it](knob.md). Two.", "knob", "Zero. See [it](https://x.org/knob.md). Two."),
        ("Press <kbd>the knob</kbd>. Two.", "<kbd>the knob</kbd>", "Press the knob. Two."),
        ("Zero. Turn the | knob", "the | knob", "Zero. Turn the | knob"),
        ("Zero. Turn\nthe knob. Two.", "Turn\nthe knob", "Zero. **Turn\nthe knob**. Two."),
    ],
)
def test_bold_never_breaks_links_or_tags(paragraph, words, shown):
    """Where a line of the source ends means nothing to a reader."""
    assert answer(HOW_TO, paragraph, words, "https://x.org").text == shown


@pytest.mark.parametrize("marker", ["-", "2.", "*", "+"])
@pytest.mark.parametrize("words", ["{} children", "12 euros\n{} children", "{0} adults pay 12 euros\n{0} children"])
def test_a_list_marker_is_never_bold(marker, words):
    """It would be a marker no more."""
    source = f"{marker} adults pay 12 euros\n{marker} children pay 5 euros"
    assert answer(FACT, source, words.format(marker)).text == source


def test_a_marker_further_in_is_never_bold():
    """Of a list within a list."""
    source = "- above\n  - children pay 5 euros\n- end"
    assert answer(FACT, source, "- children pay 5").text == source


def test_words_in_a_list_are_bold_in_their_item():
    """A short list is shown whole."""
    composed = answer(FACT, "# T\n\n- adults pay 12 euros\n- children pay 5 euros", "5 euros")
    assert composed.text == "- adults pay 12 euros\n- children pay **5 euros**"
    assert composed.span == "5 euros"


# --- lists, tables, code, pairs ---------------------------------------------------------------------------------------

LIST = "1. Turn it off.\n2. Wait.\n   - a minute\n\n3. Turn it on."
LONG_LIST = "\n".join(f"- item number {n} of a list that nobody wants to read" for n in range(40))


def test_of_a_table_with_many_rows_the_one_that_was_asked_for_is_shown():
    """Below its head; the whole table comes on request. A table that is read at a glance stays whole."""
    rows = [f"| desk {number} | room {number}0 |" for number in range(12)]
    table = "\n".join(["| Desk | Room |", "|---|---|", *rows])
    composed = answer("Which room is desk 11 in?", table, "desk 3")
    assert composed.text == "| Desk | Room |\n|---|---|\n| desk 11 | **room 110** |"
    assert (composed.citation.quote, composed.more) == (rows[11], table)
    short = "\n".join(["| Desk | Room |", "|---|---|", *rows[:4]])
    assert answer("Which room is desk 2 in?", short, "desk 3").text == short.replace("room 20", "**room 20**")


def test_the_head_of_a_table_is_never_marked():
    """It answers nothing."""
    assert answer("Where is the value?", TABLE, "Value").text == TABLE


TABLE = "| Name | Value |\n|---|---|\n| a | 1 |\n| b | 2 |"
LONG_TABLE = "\n".join([TABLE, *(f"| name of row {n} | its value is {n} |" for n in range(40))])


@pytest.mark.parametrize("block", [LIST, TABLE])
@pytest.mark.parametrize("question", [FACT, HOW_TO])
def test_a_short_list_or_table_is_shown_whole(question, block):
    """A part of it would be harder to understand."""
    composed = answer(question, f"# T\n\n{block}", "off" if block == LIST else "1 |")
    assert composed.text.replace("**", "") == composed.citation.quote == block
    assert composed.citation.lines == (3, 2 + len(block.split("\n")))


def test_a_how_to_gets_the_whole_list_with_its_announcement():
    """Steps are complete."""
    composed = answer(HOW_TO, f"# T\n\nDo this:\n\n{LONG_LIST}\n\nEnd.", "number 30")
    assert composed.text.replace("**", "") == f"Do this:\n\n{LONG_LIST}"
    assert (composed.citation.lines, composed.more) == ((3, 44), "End.")


@pytest.mark.parametrize("question", [FACT, HOW_TO])
@pytest.mark.parametrize("block", [LIST, LONG_LIST, TABLE, "```\ncode\n```", "    code"])
def test_an_announcement_is_answered_with_what_it_announces(question, block):
    """For it says nothing by itself; and nothing more of a long section than that."""
    composed = answer(
        question, f"# T\n\n{words_of(300)}\n\nSome words. Do this:\n\n{block}\n\n{words_of(300)}", "Do this"
    )
    assert composed.text.startswith("Some words. **Do this**:\n\n")
    assert block in composed.text
    assert composed.citation.lines == (5, 6 + len(block.split("\n")))
    assert composed.more == words_of(300)


@pytest.mark.parametrize("announcement", ["Then run this:", "Then comes a script."])
def test_no_answer_ends_with_an_announcement(announcement):
    """Where what is announced is too long, the announcement is left for those who ask for more."""
    announced = "\n".join(["```", *("a line of code" for _ in range(250)), "```"])
    composed = answer(HOW_TO, f"Turn the knob.\n\n{announcement}\n\n{announced}", "knob")
    assert composed.text == "Turn the **knob**."
    assert composed.more == f"{announcement}\n\n{announced}"


@pytest.mark.parametrize("announced", [LONG_LIST, "```\n" + "a line of code\n" * 120 + "```"])
def test_a_short_paragraph_announces_without_a_colon(announced):
    """But one that ends its section doesn't announce the list of the next."""
    source = f"## Sizes\n\nIt depends on the room.\n\n{announced}"
    assert answer(FACT, source, "depends").text.endswith(f"on the room.\n\n{announced}")
    apart = source.replace("room.", "room.\n\n### Others")
    assert answer(FACT, apart, "depends").text == "It **depends** on the room."


def test_a_short_answer_takes_in_the_next_block_of_its_section():
    """But not that of the next section, nor one that is far too long."""
    fix = words_of(120, "fix")
    source = f"{words_of(80)}\n\nThe gate {words_of(50, 'jams')}.\n\n{fix}\n\n{words_of(300)}"
    composed = answer(FACT, f"{words_of(200)}\n\n{source}", "gate")
    assert composed.text.endswith(f"\n\n{fix}")
    assert composed.more == words_of(300)


def test_the_targets_of_links_do_not_count():
    """Nobody reads them, so that they don't take the place of an answer, nor of the other items of a list."""
    items = "\n".join(
        f"- [guide {n}](https://docs.example.org/a/long/way/to/the/guide/of/number/{n})" for n in range(40)
    )
    source = f"Sick leave isn't paid out.\n\nSee also the guides here, which say it all in other words.\n\n{items}"
    assert len(source) > 1500
    composed = answer(FACT, source, "guide 7")
    assert composed.text.startswith("Sick leave isn't paid out.")
    assert "[guide 0]" in composed.text and "[guide 39]" in composed.text


def test_a_log_does_not_crowd_out_what_to_do_about_it():
    """The error message is shown with the fix that stands below it."""
    log = "\n".join(["```", *("a line of the log" for _ in range(50)), "error: no gate", "```"])
    composed = answer(
        "error: no gate. What now?",
        f"If the gate is missing:\n\n{log}\n\nThen order a gate.\n\n{words_of(300)}",
        "no gate",
    )
    assert composed.text.endswith("```\n\nThen order a gate.")


def test_a_fact_from_a_long_list_stands_among_whole_items():
    """With its announcement and those around it that fit, and with their lines alone; the rest follows on request."""
    composed = answer(FACT, f"Do this:\n\n{LONG_LIST}", "number 10 ")
    said = composed.text.replace("**", "")
    items = said.removeprefix("Do this:\n\n").split("\n")
    first = LONG_LIST.split("\n").index(items[0])
    assert LONG_LIST.split("\n")[first : first + len(items)] == items
    assert "**number 10**" in composed.text and 800 < len(said) < 950
    assert composed.citation.lines == (1, 2 + first + len(items))
    assert composed.more.strip() == "\n".join(LONG_LIST.split("\n")[first + len(items) :])


def test_a_fact_from_a_long_table_is_its_row_below_the_header():
    """The quote is the row; so is what follows below the header."""
    composed = answer(FACT, LONG_TABLE, "name of row 7")
    assert composed.text == "| Name | Value |\n|---|---|\n| **name of row 7** | its value is 7 |"
    assert composed.citation.quote == "| name of row 7 | its value is 7 |"
    assert composed.citation.lines == (12, 12)
    assert composed.more.startswith("| Name | Value |\n|---|---|\n| name of row 8 |")


@pytest.mark.parametrize("code", ["```sh\nmake run\n```", "~~~\n```\nmake run\n```\n~~~", "````\nmake run\n````\n"])
def test_fenced_code_is_shown_as_it_stands(code):
    """Whole, whatever was asked, and nothing in it is bold."""
    composed = answer(FACT, f"Run:\n\n{code}\nEnd.", "make run")
    assert composed.text == f"Run:\n\n{code.strip()}\n\nEnd."
    assert (composed.span, composed.form) == ("make run", Form.CODE)


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("    make run\n\n    make test", "```\n    make run\n\n    make test\n```"),
        ("    ```\n    inner\n    ```", "````\n    ```\n    inner\n    ```\n````"),
        ("~~~~py\nnever closed", "~~~~py\nnever closed\n~~~~"),
    ],
)
def test_code_without_fences_gets_them(code, shown):
    """So that every platform shows it as code, to the last line and no further."""
    composed = answer(FACT, code, code.strip()[:4])
    assert composed.text == shown
    assert composed.span in composed.text


def test_a_far_too_long_list_is_not_shown_whole():
    """Nobody reads it in a chat, not even for a how-to."""
    items = "\n".join(f"- item number {n} {'word ' * 20}".rstrip() for n in range(100))
    composed = answer(HOW_TO, items, "number 50 ")
    assert "- item **number 50** word" in composed.text
    assert len(composed.text) < 1000
    assert set(composed.text.replace("**", "").split("\n")) <= set(items.split("\n"))


def test_a_stored_pair_gets_its_answer():
    """With markup and lines as they were stored, and its row, however long it is."""
    stored = f"So:\n- **x**\n- {words_of(300)}"
    found = found_in(f'question,answer\na,b\nHow?,"{stored}"\n', "faq.csv")
    composed = compose(FACT, Section(found, found.passage.blocks[1:], 0, (0, 3), (0, 0)))
    assert composed.text.replace("**", "") == stored.replace("**", "")
    assert (composed.span, composed.citation.quote) == ("So:", stored)
    assert (composed.citation.row, composed.citation.lines, composed.more) == (3, None, "")


def test_markup_is_made_readable_but_quoted_as_it_is():
    """Raw tags and relative links mean nothing in a chat."""
    source = "Press <kbd>Esc</kbd> at nine, see [here](b.md)."
    composed = answer(FACT, source, "nine", "https://x.org")
    assert composed.text == "Press Esc at **nine**, see [here](https://x.org/b.md)."
    assert composed.citation.quote == source


# --- the citation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "base_url", "expected"),
    [
        (None, "", None),
        (None, "https://x.org/docs", "https://x.org/docs/a/how%20to%20%231.md"),
        (None, "https://x.org/docs/", "https://x.org/docs/a/how%20to%20%231.md"),
        ("https://y.org", "", "https://y.org"),
        ("https://y.org", "https://x.org", "https://y.org"),
    ],
)
def test_a_citation_links_to_its_document(url, base_url, expected):
    """To the document's own address, or below the folder's, in which odd file names are escaped."""
    found = found_in("Text.", "a/how to #1.md", url)
    assert compose(FACT, section_in(found, "Text"), base_url).citation.url == expected


def test_a_citation_names_title_and_headings():
    """As people see them."""
    citation = answer(FACT, "# The *title*\n## One\n### Two\n\ntext.", "text").citation
    assert (citation.document, citation.title, citation.heading) == ("doc.md", "The title", ("One", "Two"))
    assert (citation.page, citation.row) == (None, None)


def test_pages_are_kept():
    """For formats that have them."""
    block = Block(Form.PARAGRAPH, "Zero. One.", locator=Locator(page=3))
    found = FoundPassage("a.pdf", "A", None, (0, 0), Passage((block,), (), ""))
    citation = compose(FACT, section_in(found, "One")).citation
    assert (citation.page, citation.lines, citation.quote) == (3, None, "Zero. One.")


def test_a_whole_passage_is_cited_from_its_first_line_to_its_last():
    """With all its blocks."""
    citation = cite_passage(found_in("# T\n\nOne.\n\n- two\n- three\n"), "https://x.org")
    assert (citation.lines, citation.quote, citation.url) == ((3, 6), "One.\n\n- two\n- three", "https://x.org/doc.md")
    assert cite_passage(found_in("question,answer\na,b\n", "faq.csv")).lines is None


# --- sections that were split -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPLIT)
def test_a_split_block_is_answered_whole(name):
    """With its announcement, and the quote is the document's."""
    source = f"# T\n\nDo this:\n\n{SPLIT[name]}\n"
    composed = compose(HOW_TO, index_of(source).section("number 7"))
    assert composed.citation.quote == f"Do this:\n\n{SPLIT[name].strip()}"
    assert SPLIT[name].strip() in composed.text.replace("**", "")


@pytest.mark.parametrize("words", ["number 1 ", "number 100 ", "number 200 "])
def test_a_part_of_far_too_much_code_gets_the_fences_that_it_lacks(words):
    """It is quoted word for word, the fence that it has included."""
    source = "\n".join(["```sh", *(f"echo step number {n} of ```` the way" for n in range(1, 201)), "```"])
    for text in _answer_and_more(compose(FACT, index_of(source, largest=50).section(words))):
        opening, *lines, closing = text.split("\n")
        assert opening.removesuffix("sh") == closing and set(closing) == {"`"}
        assert not any(line.startswith(closing) for line in lines)


def _answer_and_more(composed: ComposedSection) -> list[str]:
    assert composed.span in composed.text
    return [composed.text, *([composed.more] if composed.more else [])]


def test_a_row_of_a_split_table_is_shown_below_the_header():
    """Also where the table is too long to be put together."""
    source = "\n".join([TABLE, *(f"| name of row {n} | its value is {n} |" for n in range(200))])
    composed = compose(FACT, index_of(source).section("name of row 150"))
    assert composed.text == "| Name | Value |\n|---|---|\n| **name of row 150** | its value is 150 |"
    assert composed.citation.quote in source and composed.citation.lines == (155, 155)


def test_rows_below_an_empty_row_are_shown_in_the_table_above_them():
    """With one header, as in the spreadsheet; alone they have it too."""
    found = found_in("Boat,Berth\nHeron,7\n\nTern,8\n\nGull,9\n", "boats.csv")
    table = "| Boat | Berth |\n| --- | --- |\n| Heron | 7 |\n| Tern | 8 |\n| Gull | **9** |"
    assert compose("Which berth has Gull?", section_in(found, "Gull")).text == table
    alone = Section(found, found.passage.blocks[2:], 0, (0, 1), (0, 0))
    assert compose("Which berth has Gull?", alone).text == "| Boat | Berth |\n| --- | --- |\n| Gull | **9** |"


def test_a_citation_reaches_to_a_note_wherever_that_stands():
    """A footnote is read below what refers to it, and may stand far below in the file."""
    composed = answer(FACT, "Open at six[^1].\n\nBring a towel.\n\n[^1]: Not on Sundays.", "six")
    assert composed.text == "Open at **six**.\n\nNot on Sundays.\n\nBring a towel."
    assert composed.citation.lines == (1, 5)


# --- every citation is true -------------------------------------------------------------------------------------------

BLOCKS = [
    "A sentence. It leans back. **Bold one.** Last\none here.",
    "  Indented words. And more.",
    *SPLIT_BLOCKS,
    LIST,
    LONG_LIST,
    TABLE,
    LONG_TABLE,
    "word " * 200 + "end.",
]


@given(
    st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=6),
    st.sampled_from([FACT, HOW_TO]),
    st.integers(40, 200),
    st.data(),
)
def test_the_quote_stands_in_the_document_at_the_lines_named(blocks, question, largest, data):
    """Whatever the document, the passage and the span: each paragraph of the quote stands in the lines named, in order, and
    the first and the last line hold a part of it."""
    source = "# T\n\n" + "\n\n<!-- -->\n\n".join(blocks) + "\n"
    index = index_of(source, largest=largest)
    position = data.draw(st.integers(0, len(index.stored) - 1))
    place = data.draw(st.integers(0, len(index.stored[position].blocks) - 1))
    section = index.section_at(position, place, _words(index.stored[position].blocks[place], data))
    composed = compose(question, section)
    citation = composed.citation
    assert composed.span and composed.span in citation.quote
    assert citation.quote == citation.quote.strip()
    assert citation.lines is not None
    first, last = citation.lines
    lines = source.split("\n")[first - 1 : last]
    quoted = citation.quote.split("\n")
    assert quoted[0] in lines[0] and quoted[-1] in lines[-1]
    cited, reached = "\n".join(lines), 0
    for paragraph in filter(str.strip, citation.quote.split("\n\n")):
        assert paragraph in cited[reached:]
        reached = cited.index(paragraph, reached) + len(paragraph)
        assert paragraph.strip() in composed.text or paragraph.replace("**", "").strip() in composed.text.replace(
            "**", ""
        )


def _words(block: Block, data: st.DataObject) -> Span:
    """Any word of a block."""
    starts = [match for match in range(len(block.text)) if block.text[match].isalnum()]
    start = data.draw(st.sampled_from(starts)) if starts else 0
    return start, start + 1
