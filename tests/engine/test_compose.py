"""What of a passage is shown, and that the citation leads to exactly those words."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.documents import Block, Form, FoundPassage, Locator, Passage
from bot.core.text import Span, line_spans, list_items, sentences
from bot.engine.compose import (
    Composed,
    answering_block,
    cite_passage,
    compose,
    parts_to_fetch,
    wants_all,
    with_whole_block,
)
from bot.knowledge.loaders import load
from bot.knowledge.passages import split

FACT = "when is it open?"
HOW_TO = "How do I do it?"


def count_words(texts: Sequence[str]) -> list[int]:
    """A fake encoder's tokens: words and marks."""
    return [len(re.findall(r"\w+|[^\w\s]", text)) for text in texts]


def found_in(source: str, path: str = "doc.md", url: str | None = None) -> FoundPassage:
    """The first section of a document as one passage, nothing of it split."""
    document = load(path, source.encode())
    passage = split(document, count_words, 1_000_000)[0]
    return FoundPassage(path, document.title, url, (0, 0), passage)


def answer(question: str, source: str, words: str) -> Composed:
    """What is composed where the reader chose the piece with these words."""
    found = found_in(source)
    place, span = next(
        (place, span)
        for place, block in enumerate(found.passage.blocks)
        for span in units(block)
        if words in block.text[slice(*span)]
    )
    place, chosen = answering_block(question, found, place, span)
    return compose(question, found, place, chosen)


def units(block: Block) -> list[Span]:
    """The pieces that a reader may choose."""
    if block.form is Form.LIST:
        return list_items(block.text)
    if block.form is Form.TABLE:
        return line_spans(block.text)
    if block.form is Form.PARAGRAPH:
        return sentences(block.text)
    return [(0, len(block.text))]


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
        "could you tell me how it works?",
        "HOW'S it done",
        "hello, show me the options",
    ],
)
def test_some_questions_want_all_of_it(question):
    """How-tos and lists are not answered by one item."""
    assert wants_all(question)


@pytest.mark.parametrize(
    "question",
    ["When is it open?", "How much is it?", "how many users", "Who wrote it?", "What is the limit?", "Which port?", ""],
)
def test_other_questions_want_one_fact(question):
    """A sentence is enough."""
    assert not wants_all(question)


# --- paragraphs -------------------------------------------------------------------------------------------------------


def test_a_fact_is_answered_by_its_sentence():
    """Nothing around it, and the line where it stands."""
    composed = answer(FACT, "# T\n\nFirst one.\nIt opens at\nnine. Last one.\n", "First")
    assert (composed.text, composed.span, composed.citation.lines) == ("First one.", "First one.", (3, 3))


@pytest.mark.parametrize("begins", ["It opens", "This opens", "**They** open", "If so, it opens", "However, it opens"])
def test_a_sentence_that_leans_back_brings_the_one_before_it(begins):
    """The answer stands out in bold, where it has no markup of its own; the quote is the answer alone."""
    composed = answer(FACT, f"Zero. The shop is small. {begins} at nine. Then it closes.", "nine")
    sentence = f"{begins} at nine."
    shown = sentence if "**" in begins else f"**{sentence}**"
    assert (composed.text, composed.span) == (f"The shop is small. {shown}", sentence)
    assert composed.citation.quote == sentence


def test_a_first_sentence_that_leans_back_stands_alone():
    """There is nothing before it to bring."""
    assert answer(FACT, "It opens at nine. Later it closes.", "nine").text == "It opens at nine."


def test_a_sentence_over_two_lines_is_cited_with_both():
    """The quote keeps the line break."""
    composed = answer(FACT, "# T\n\n\nZero. The shop\nopens at nine. End.", "nine")
    assert (composed.text, composed.citation.lines) == ("The shop\nopens at nine.", (4, 5))


def test_a_how_to_gets_the_whole_paragraph():
    """The sentence that answers is in bold."""
    composed = answer(HOW_TO, "Zero. Turn the knob. Wait.", "knob")
    assert composed.text == "Zero. **Turn the knob.** Wait."
    assert composed.citation.quote == "Turn the knob."


@pytest.mark.parametrize(
    "paragraph",
    [
        "**Zero. One knob. Two.**",
        "**Zero *one. One knob. Two* two**",
        "*Zero. One knob. Two*",
        "_Zero. One knob. Two_",
        "`zero. One knob. two`",
        "[Zero. One knob. Two](a.md)",
        "~~Zero. One knob. Two~~",
        "Zero. Turn *the knob.* Two.",
        "Zero. Turn `knob`. Two.",
        "Zero. See [the knob](a.md). Two.",
        "Zero. Press <kbd>knob</kbd>. Two.",
        "> Zero. Turn\n> the knob. Two.",
        "> Turn the knob. Zero.",
        "零。转动knob。二二。",
    ],
)
def test_bold_never_breaks_markup(paragraph):
    """The paragraph is shown as it is where stars would end up within other markup, or would not be read as bold."""
    assert answer(HOW_TO, paragraph, "knob").text == paragraph


def test_bold_may_run_over_the_end_of_a_line():
    """Where a line of the source ends means nothing to a reader."""
    assert answer(HOW_TO, "Zero. Turn\nthe knob. Two.", "knob").text == "Zero. **Turn\nthe knob.** Two."


def test_a_paragraph_that_is_the_answer_is_not_all_bold():
    """Bold shows what matters among the rest."""
    assert answer(HOW_TO, "Turn the knob.", "knob").text == "Turn the knob."


# --- lists, tables, code, pairs ---------------------------------------------------------------------------------------

LIST = "1. Turn it off.\n2. Wait.\n   - a minute\n\n3. Turn it on."
LONG_LIST = "\n".join(f"- item number {n} of a list that nobody wants to read" for n in range(40))
TABLE = "| Name | Value |\n|---|---|\n| a | 1 |\n| b | 2 |"
LONG_TABLE = "\n".join([TABLE, *(f"| name of row {n} | its value is {n} |" for n in range(40))])


@pytest.mark.parametrize("block", [LIST, TABLE])
@pytest.mark.parametrize("question", [FACT, HOW_TO])
def test_a_short_list_or_table_is_shown_whole(question, block):
    """A part of it would be harder to understand."""
    composed = answer(question, f"# T\n\n{block}\n\nEnd.", "Wait" if block == LIST else "| b")
    assert composed.text == composed.citation.quote == block
    assert composed.span in block
    assert composed.citation.lines == (3, 2 + len(block.split("\n")))


def test_a_how_to_gets_the_whole_list_with_its_announcement():
    """The quote is the list; what announces it is shown above it."""
    composed = answer(HOW_TO, f"# T\n\nDo this:\n\n{LONG_LIST}", "number 30 ")
    assert composed.text == f"Do this:\n\n{LONG_LIST}"
    assert (composed.span, composed.citation.lines) == (LONG_LIST, (5, 44))


@pytest.mark.parametrize("question", [FACT, HOW_TO])
@pytest.mark.parametrize("block", [LIST, LONG_LIST, TABLE, "```\ncode\n```", "    code"])
def test_an_announcement_is_answered_with_what_it_announces(question, block):
    """For it says nothing by itself."""
    composed = answer(question, f"# T\n\nSome words. Do this:\n\n{block}\n\nEnd.", "Do this")
    assert composed.text.startswith("Some words. Do this:\n\n")
    assert block in composed.text
    assert composed.span == block.strip()
    assert composed.citation.lines == (5, 4 + len(block.split("\n")))


def test_another_sentence_of_an_announcement_is_answered_by_itself():
    """Only its end announces, unless everything is asked for."""
    source = f"The shop opens at nine. Do this:\n\n{LIST}"
    assert answer(FACT, source, "nine").text == "The shop opens at nine."
    assert answer(HOW_TO, source, "nine").text == source


def test_a_fact_from_a_long_list_is_its_item():
    """With its announcement, and with the lines of the item alone."""
    composed = answer(FACT, f"Do this:\n\n{LONG_LIST}", "number 30 ")
    assert composed.text == "Do this:\n\n- item number 30 of a list that nobody wants to read"
    assert composed.span == "- item number 30 of a list that nobody wants to read"
    assert composed.citation.lines == (33, 33)


def test_a_fact_from_a_long_table_is_its_row_below_the_header():
    """The quote is the row."""
    composed = answer(FACT, LONG_TABLE, "row 7 ")
    assert composed.text == "| Name | Value |\n|---|---|\n| name of row 7 | its value is 7 |"
    assert composed.span == "| name of row 7 | its value is 7 |"
    assert composed.citation.lines == (12, 12)


@pytest.mark.parametrize("code", ["```sh\nmake run\n```", "~~~\n```\nmake run\n```\n~~~", "````\nmake run\n````\n"])
def test_fenced_code_is_shown_as_it_stands(code):
    """Whole, whatever was asked."""
    composed = answer(FACT, f"Run:\n\n{code}\nEnd.", "make run")
    assert composed.text == f"Run:\n\n{code.strip()}"
    assert composed.span == composed.citation.quote == code.strip()


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
    """Nobody reads it in a chat: the item that answers is enough, even for a how-to."""
    items = "\n".join(f"- item number {n} {'word ' * 20}" for n in range(100))
    assert answer(HOW_TO, items, "number 50 ").span.startswith("- item number 50 word")


def test_a_stored_pair_gets_its_answer():
    """With markup and lines as they were stored, and its row."""
    found = found_in('question,answer\na,b\nHow?,"So:\n- **x**\n- y"\n', "faq.csv")
    found = FoundPassage("faq.csv", "Faq", None, (1, 1), Passage(load_pairs()[1:], (), ""))
    composed = compose(FACT, found, 0, (0, 3))
    assert composed.text == composed.span == composed.citation.quote == "So:\n- **x**\n- y"
    assert (composed.citation.row, composed.citation.lines) == (3, None)


def load_pairs() -> tuple[Block, ...]:
    return load("faq.csv", b'question,answer\na,b\nHow?,"So:\n- **x**\n- y"\n').blocks


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
    assert compose(FACT, found, 0, (0, 5), base_url).citation.url == expected


def test_a_citation_names_title_and_headings():
    """As people see them."""
    citation = answer(FACT, "# The *title*\n## One\n### Two\n\ntext.", "text").citation
    assert (citation.document, citation.title, citation.heading) == ("doc.md", "The title", ("One", "Two"))
    assert (citation.page, citation.row) == (None, None)


def test_pages_are_kept():
    """For formats that have them."""
    block = Block(Form.PARAGRAPH, "Zero. One.", locator=Locator(page=3))
    found = FoundPassage("a.pdf", "A", None, (0, 0), Passage((block,), (), ""))
    citation = compose(FACT, found, 0, (6, 10)).citation
    assert (citation.page, citation.lines, citation.quote) == (3, None, "One.")


def test_a_whole_passage_is_cited_from_its_first_line_to_its_last():
    """With all its blocks."""
    citation = cite_passage(found_in("# T\n\nOne.\n\n- two\n- three\n"), "https://x.org")
    assert (citation.lines, citation.quote, citation.url) == ((3, 6), "One.\n\n- two\n- three", "https://x.org/doc.md")
    assert cite_passage(found_in("question,answer\na,b\n", "faq.csv")).lines is None


# --- blocks that were split -------------------------------------------------------------------------------------------


def split_and_found(source: str, words: str, path: str = "doc.md", largest: int = 40) -> tuple[FoundPassage, int, Span]:
    """A document cut into small passages; the passage, block and unit in which these words stand."""
    document = load(path, source.encode())
    for position, passage in enumerate(split(document, count_words, largest)):
        for place, block in enumerate(passage.blocks):
            for span in units(block):
                if words in block.text[slice(*span)]:
                    return FoundPassage(path, document.title, None, (position, position), passage), place, span
    raise AssertionError(f"{words!r} stands nowhere")


def whole(source: str, words: str, path: str = "doc.md", largest: int = 40) -> tuple[FoundPassage, int, Span | None]:
    """The same with its block put together again, as the engine does it."""
    found, place, span = split_and_found(source, words, path, largest)
    reach = parts_to_fetch(found.passage.blocks[place])
    if reach is None:
        return found, place, span
    around = split(load(path, source.encode()), count_words, largest)
    first, last = found.positions
    return with_whole_block(found, place, span, around[max(0, first - reach[0]) : last + reach[1] + 1])


SPLIT = {
    "list": "\n".join(f"{n}. step number {n} of the way" for n in range(1, 13)),
    "loose list": "\n\n".join(f"- step number {n} of the way\n\n  with more to say" for n in range(1, 13)),
    "one endless item": "- step number 7 " + " ".join(f"word{n}" for n in range(90)) + "\n- end",
    "table": "\n".join(["| a | b |", "|---|---|", *(f"| step | number {n} of |" for n in range(1, 13))]),
    "code": "\n".join(["```", *(f"step = 'number {n} of'  # way\n" for n in range(1, 13)), "```"]),
    "one endless line": "```\nstep number 7 "
    + " ".join(f"word{n}" for n in range(90))
    + "\n"
    + "x" * 300
    + "\nend\n```",
    "tilde": "\n".join(["~~~~sh", *(f"step number {n} of ```" for n in range(1, 13)), "~~~~"]),
    "indented": "\n".join(f"    step number {n} of the way" for n in range(1, 13)),
}


@pytest.mark.parametrize("name", SPLIT)
def test_a_split_block_is_whole_again_before_it_is_quoted(name):
    """Form, text, lines and the place of the answer are those of the original, to the character."""
    source = f"# T\n\nSome words before.\n\n{SPLIT[name]}\n\nEnd."
    found, place, span = whole(source, "number 7 ")
    block = found.passage.blocks[place]
    assert (block.text, block.part, block.context) == (SPLIT[name], (0, 1), "")
    assert block.locator.lines == (5, 4 + len(SPLIT[name].split("\n")))
    assert span is not None and "number 7 " in block.text[slice(*span)]
    composed = compose(HOW_TO, found, place, span)
    assert SPLIT[name].strip() in composed.text
    assert composed.citation.quote == SPLIT[name].strip()


def test_a_long_stored_answer_is_whole_again():
    """A stored pair gets its answer, however long it was for the encoder."""
    stored = " ".join(f"Sentence number {n} of it." for n in range(1, 20)) + "\n\n- a\n- b"
    found, place, span = whole(f'question,answer\nx,y\nHow?,"{stored}"\n', "number 7 ", "faq.csv")
    composed = compose(FACT, found, place, span)
    assert composed.text == composed.citation.quote == stored
    assert composed.citation.row == 3


def test_what_stands_around_a_split_block_stays():
    """Its announcement above, its neighbours below, and no part twice."""
    source = f"# T\n\nDo this:\n\n{SPLIT['list']}\n\nEnd."
    around = split(load("doc.md", source.encode()), count_words, 40)
    all_of_it = FoundPassage("doc.md", "T", None, (0, 9), Passage(tuple(b for p in around for b in p.blocks), (), ""))
    last = max(n for n, block in enumerate(all_of_it.passage.blocks) if block.form is Form.LIST)
    joined, place, _ = with_whole_block(all_of_it, last, None, around)
    assert [block.text for block in joined.passage.blocks] == ["Do this:", SPLIT["list"], "End."]
    assert compose(HOW_TO, joined, place, None).text == f"Do this:\n\n{SPLIT['list']}"


def test_the_right_one_of_two_split_blocks_is_put_together():
    """Also where both are cut into as many parts."""
    other = SPLIT["list"].replace("way", "other way")
    found, place, _ = whole(
        f"{SPLIT['list']}\n\n<!-- -->\n\n{other}\n\n<!-- -->\n\n{SPLIT['list']}", "number 7 of the other"
    )
    assert found.passage.blocks[place].text == other


def test_a_split_block_whose_other_parts_are_gone_stays_as_it_is():
    """The document has changed since the search: what was found is still true."""
    found, place, span = split_and_found(f"# T\n\n{SPLIT['list']}", "number 7 ")
    assert with_whole_block(found, place, span, [found.passage]) == (found, place, span)
    assert with_whole_block(found, place, span, []) == (found, place, span)


@pytest.mark.parametrize("words", ["number 1 ", "number 20 ", "number 40 "])
def test_a_part_of_far_too_much_code_gets_the_fences_that_it_lacks(words):
    """It is quoted word for word, the fence that it has included."""
    source = "\n".join(["```sh", *(f"echo step number {n} of ``` the way" for n in range(1, 41)), "```"])
    found, place, span = split_and_found(source, words, largest=32)
    assert parts_to_fetch(found.passage.blocks[place]) is None
    composed = compose(FACT, found, place, span)
    opening, *_, closing = composed.text.split("\n")
    assert opening.removesuffix("sh") == closing and set(closing) == {"`"}
    assert composed.text.count(closing) == (2 if len(closing) > 3 else composed.text.count("```"))
    assert composed.span in composed.text


def test_a_row_of_a_split_table_is_shown_below_the_header():
    """Also where the table is too long to be put together."""
    source = "\n".join([TABLE, *(f"| name of row {n} | its value is {n} |" for n in range(200))])
    found, place, span = split_and_found(source, "row 150 ")
    composed = compose(FACT, found, place, span)
    assert composed.text.startswith("| Name | Value |\n|---|---|\n")
    assert "| name of row 150 | its value is 150 |" in composed.text
    assert composed.citation.quote in source and composed.citation.lines is not None


@pytest.mark.parametrize(
    ("form", "part", "reach"),
    [
        (Form.LIST, (0, 1), None),
        (Form.LIST, (0, 3), (1, 2)),
        (Form.TABLE, (2, 3), (3, 0)),
        (Form.CODE, (1, 12), (2, 10)),
        (Form.PAIR, (1, 2), (2, 0)),
        (Form.CODE, (1, 13), None),
        (Form.PARAGRAPH, (0, 3), None),
    ],
)
def test_only_the_missing_parts_are_fetched(form, part, reach):
    """And the passage before, for the announcement. None of a paragraph, of whose sentences each stands for itself, and none
    of what is too long to be shown."""
    assert parts_to_fetch(Block(form, "x", part=part)) == reach


# --- every citation is true -------------------------------------------------------------------------------------------

BLOCKS = [
    "A sentence. It leans back. **Bold one.** Last\none here.",
    "  Indented words. And more.",
    "Do this:",
    "> Quoted. Words.\nlazy",
    *SPLIT.values(),
    LIST,
    LONG_LIST,
    TABLE,
    LONG_TABLE,
    "word " * 200 + "end.",
]


@settings(deadline=None)  # a busy machine is no fault of the code
@given(st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=6), st.sampled_from([FACT, HOW_TO]), st.data())
def test_the_quote_stands_in_the_document_at_the_lines_named(blocks, question, data):
    """Whatever the document, the passage and the span: every line named holds a part of the quote, and no other does."""
    source = "# T\n\n" + "\n\n<!-- -->\n\n".join(blocks) + "\n"
    around = split(load("doc.md", source.encode()), count_words, data.draw(st.integers(40, 200)))
    position = data.draw(st.integers(0, len(around) - 1))
    found = FoundPassage("doc.md", "T", None, (position, position), around[position])
    place = data.draw(st.integers(0, len(found.passage.blocks) - 1))
    chosen = data.draw(st.sampled_from(units(found.passage.blocks[place])))
    place, span = answering_block(question, found, place, chosen)
    reach = parts_to_fetch(found.passage.blocks[place])
    if reach is not None:
        nearby = around[max(0, position - reach[0]) : position + reach[1] + 1]
        found, place, span = with_whole_block(found, place, span, nearby)
    composed = compose(question, found, place, span)
    citation = composed.citation
    assert composed.span and composed.span in citation.quote
    assert citation.quote and citation.quote == citation.quote.strip()
    assert citation.quote in composed.text.replace("**", "") or citation.quote in composed.text
    assert citation.lines is not None
    first, last = citation.lines
    cited = source.split("\n")[first - 1 : last]
    assert citation.quote in "\n".join(cited)
    assert citation.quote.count("\n") == last - first


# --- the exact words --------------------------------------------------------------------------------------------------


def words_of(source: str, words: str, question: str = FACT) -> Composed:
    """What is composed where the reader marked just these words."""
    found = found_in(source)
    place, start = next(
        (place, block.text.index(words)) for place, block in enumerate(found.passage.blocks) if words in block.text
    )
    place, chosen = answering_block(question, found, place, (start, start + len(words)))
    return compose(question, found, place, chosen)


def test_the_words_that_answer_are_bold_in_their_sentence():
    """The sentence is quoted, the words are the span."""
    composed = words_of("# T\n\nZero. The shop opens at nine on Mondays. End.", "nine")
    assert composed.text == "The shop opens at **nine** on Mondays."
    assert (composed.span, composed.citation.quote) == ("nine", "The shop opens at nine on Mondays.")


def test_words_over_two_sentences_bring_both():
    """Nothing is cut in the middle."""
    composed = words_of("Zero. It is red. It is round. End.", "red. It is round")
    assert composed.citation.quote == "It is red. It is round."


def test_words_in_a_list_are_bold_in_their_item():
    """A short list is shown whole."""
    composed = words_of("# T\n\n- adults pay 12 euros\n- children pay 5 euros", "5 euros")
    assert composed.text == "- adults pay 12 euros\n- children pay **5 euros**"
    assert composed.span == "5 euros"


@pytest.mark.parametrize(
    "words", ["- children", "12 euros\n- children", "- adults pay 12 euros\n- children pay 5 euros"]
)
def test_a_list_marker_is_never_bold(words):
    """It would be a marker no more."""
    source = "- adults pay 12 euros\n- children pay 5 euros"
    assert words_of(source, words).text == source


def test_a_how_to_shows_all_of_a_list_without_bold():
    """Every step counts."""
    assert words_of("1. Turn it off.\n2. Wait.", "Wait", HOW_TO).text == "1. Turn it off.\n2. Wait."
