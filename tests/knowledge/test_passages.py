"""Blocks -> passages: everything fits, nothing is lost or doubled, and parts know where they stand."""

import re
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.documents import Block, Document, Form, Locator, Passage, embedded_text
from bot.knowledge.loaders import load
from bot.knowledge.passages import LARGEST_PREFIX_SHARE, introduces, searched_text, split

LARGEST = 60


def count_tokens(texts: Sequence[str]) -> list[int]:
    """Like an encoder's: every mark is a token, and so is every four letters of a word."""
    return [sum((len(token) + 3) // 4 for token in re.findall(r"\w+|[^\w\s]", text)) for text in texts]


def passages(source: str, path: str = "doc.md", largest: int = LARGEST) -> list[Passage]:
    return split(load(path, source.encode()), count_tokens, largest)


def parts(found: Sequence[Passage]) -> list[Block]:
    return [block for passage in found for block in passage.blocks]


def size(document: Document, passage: Passage) -> int:
    [tokens] = count_tokens([embedded_text(document.title, passage.heading, passage.body)])
    return tokens


# --- what is embedded -------------------------------------------------------------------------------------------------


def test_the_encoder_sees_where_a_passage_stands():
    """Title, heading path and text, each on a line, without what is empty."""
    assert embedded_text("Guide", ("A", "B"), "text") == "Guide\nA > B\ntext"
    assert embedded_text("Guide", (), "text") == "Guide\ntext"
    assert embedded_text("Guide", (), "") == "Guide"


def test_a_block_is_searched_with_its_context_and_without_markup():
    """A stored pair by its question too, a part of a table by its header."""
    assert searched_text(Block(Form.PAIR, "**Yes.**", context="May *I*?")) == "May I?\nYes."
    assert searched_text(Block(Form.PARAGRAPH, "a [link](x)")) == "a link"


def test_short_blocks_under_one_heading_are_one_passage():
    """Its body is their plain text, its blocks are as they stand."""
    [passage] = passages("# T\n\n## H\n\na **b**\n\n- c\n- d\n")
    assert passage.heading == ("H",)
    assert passage.body == "a b\nc\nd"
    assert [block.text for block in passage.blocks] == ["a **b**", "- c\n- d"]
    assert all(block.part == (0, 1) for block in passage.blocks)


def test_a_new_heading_begins_a_new_passage():
    """Also where both would fit into one, and where an earlier path comes again."""
    found = passages("# T\na\n## H\nb\n# T\nc\n### H\nd")
    assert [(passage.heading, passage.body) for passage in found] == [
        ((), "a"),
        (("H",), "b"),
        ((), "c"),
        (("H",), "d"),
    ]


def test_a_document_without_blocks_has_no_passages():
    """Headings alone say nothing."""
    assert passages("# T\n\n## H\n") == []


def test_stored_pairs_stay_apart():
    """Each is one passage, however short."""
    found = passages("question,answer\na,b\nc,d\n", "faq.csv")
    assert [passage.body for passage in found] == ["a\nb", "c\nd"]
    mixed = Document(
        "x", "T", (Block(Form.PARAGRAPH, "p"), Block(Form.PAIR, "b", context="a"), Block(Form.PARAGRAPH, "q"))
    )
    assert [passage.body for passage in split(mixed, count_tokens, LARGEST)] == ["p", "a\nb", "q"]


# --- what announces a list --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("To do so:", Form.LIST, True),
        ("**To do so:**", Form.CODE, True),
        ("_So:_ \n", Form.TABLE, True),
        ("To do so.", Form.LIST, False),
        ("To do so:", Form.PARAGRAPH, False),
        ("To do so:", Form.PAIR, False),
    ],
)
def test_a_paragraph_that_ends_in_a_colon_introduces_what_follows(text, form, expected):
    """Markup around the colon doesn't matter."""
    assert introduces(Block(Form.PARAGRAPH, text), Block(form, "x")) is expected
    assert not introduces(Block(Form.LIST, text), Block(form, "x"))


def test_an_announcement_stays_with_its_list():
    """Rather than at the end of the passage before it, which it would fit into."""
    before = "word " * 50
    found = passages(f"# T\n\n{before}\n\nDo this:\n\n- {'one ' * 10}\n- two\n")
    assert [len(passage.blocks) for passage in found] == [1, 2]
    assert found[1].blocks[0].text == "Do this:"


def test_an_announcement_alone_waits_for_no_list_that_does_not_fit():
    """A passage is never empty, and never too long."""
    found = passages(f"# T\n\nDo this:\n\n- {'one ' * 58}\n")
    assert [passage.blocks[0].form for passage in found] == [Form.PARAGRAPH, Form.LIST]


# --- splitting --------------------------------------------------------------------------------------------------------


def test_a_long_paragraph_is_cut_between_sentences():
    """No part begins or ends within one."""
    sentence = "This is sentence number {} of a very long paragraph."
    found = passages(" ".join(sentence.format(n) for n in range(40)))
    assert len(found) > 5
    for block in parts(found):
        assert block.text.startswith("This is") and block.text.rstrip().endswith("paragraph.")


def test_a_long_list_is_cut_between_items():
    """Nested items stay with theirs."""
    items = [f"{n}. item number {n} of many\n    - nested one\n    - nested two" for n in range(1, 20)]
    blocks = parts(passages("\n".join(items)))
    assert len(blocks) > 3
    assert all(re.match(r"\d+\. ", block.text) and block.text.rstrip().endswith("two") for block in blocks)


def test_a_long_table_is_cut_between_rows_and_each_part_knows_the_header():
    """The header is searched with every part, and quoted with none but the first."""
    rows = [f"| name {n} | value {n} |" for n in range(60)]
    found = passages("\n".join(["| Name | Value |", "|---|---|", *rows]))
    first, *others = parts(found)
    assert first.context == "" and first.text.startswith("| Name | Value |\n|---|---|\n| name 0")
    assert len(others) > 3
    for part in others:
        assert part.context == "| Name | Value |\n|---|---|"
        assert all(line in rows for line in part.text.rstrip("\n").split("\n"))
    assert all(passage.body.startswith("Name Value\nname") for passage in found)


def test_long_code_is_cut_between_lines():
    """Fences stay where they are."""
    code = "\n".join(["```", *(f"call_number({n})  # comment" for n in range(40)), "```"])
    blocks = parts(passages(code))
    assert len(blocks) > 3
    assert all(block.text.endswith("\n") for block in blocks[:-1])


def test_a_long_stored_answer_is_found_by_its_question_in_every_part():
    """The question is the context of each."""
    answer = " ".join(f"This is sentence {n}." for n in range(40))
    found = passages(f"question,answer\nHow so?,{answer}\n", "faq.csv")
    assert len(found) > 3
    for passage in found:
        [block] = passage.blocks
        assert (block.form, block.context, block.locator) == (Form.PAIR, "How so?", Locator(row=2))
        assert passage.body.startswith("How so?\nThis is")


def test_a_word_without_end_is_cut_within():
    """There is no better place."""
    found = passages("x" * 10_000)
    assert "".join(block.text for block in parts(found)) == "x" * 10_000
    assert all(passage.body for passage in found)


def test_very_long_headings_leave_room_for_the_text():
    """They may make a passage too long, but never the text itself."""
    found = passages(f"# T\n\n## {'heading ' * 30}\n\n{'word ' * 200}")
    sizes = count_tokens([passage.body for passage in found])
    assert max(sizes) <= LARGEST * 0.65 + 1
    assert min(sizes[:-1]) > 10


WORDS = st.sampled_from(
    ["a", "word", "incomprehensibility", "Yes.", "e.g.", "No!", "**bold**", "`code`", "x" * 300, "第一句。"]
)


@st.composite
def sentences_of(draw, most: int) -> str:
    return " ".join(draw(st.lists(WORDS, min_size=1, max_size=most)))


@st.composite
def documents(draw) -> str:
    """A Markdown file of blocks that are short, long and far too long."""

    def block() -> str:
        kind = draw(
            st.sampled_from(["heading", "paragraph", "announced", "list", "table", "code", "unbroken", "wrapped"])
        )
        line = sentences_of(draw(st.sampled_from([3, 12, 40])))
        lines = [draw(line) for _ in range(draw(st.integers(1, 8)))]
        match kind:
            case "heading":
                return f"{'#' * draw(st.integers(1, 4))} {draw(sentences_of(3))[:40]}"
            case "paragraph":
                return lines[0]
            case "wrapped":
                return "\n".join(lines)
            case "announced":
                return "Do this:\n\n" + "\n".join(f"1. {text}" for text in lines)
            case "list":
                return "\n".join(f"{'  ' * (number % 2)}- {text}" for number, text in enumerate(lines))
            case "table":
                return "\n".join(["| a | b |", "|---|---|", *(f"| {text} | 1 |" for text in lines)])
            case "code":
                return "\n".join(["```", "", *(f"  {text}\n" for text in lines), "```"])
            case _:
                return "y" * draw(st.integers(1, 10_000))

    # A comment keeps two lists from growing into one.
    return "\n\n<!-- -->\n\n".join(block() for _ in range(draw(st.integers(1, 5))))


@settings(deadline=None)  # a busy machine is no fault of the code
@given(documents(), st.integers(40, 120))
def test_every_passage_fits_and_all_of_them_are_the_document(source, largest):
    """For any document: nothing is too long, lost, doubled, or has a wrong place."""
    document = load("doc.md", source.encode())
    found = split(document, count_tokens, largest)
    blocks = parts(found)
    for passage in found:
        assert passage.blocks
        [prefix] = count_tokens([embedded_text(document.title, passage.heading, "")])
        beyond = max(0, prefix - int(LARGEST_PREFIX_SHARE * largest))  # of title and headings that are very long
        assert size(document, passage) <= largest + beyond
        assert all(block.heading == passage.heading for block in passage.blocks)
    assert_whole(blocks, document.blocks)
    lines = source.split("\n")
    for block in blocks:
        assert block.locator.lines is not None
        first, last = block.locator.lines
        assert block.text.strip() in "\n".join(lines[first - 1 : last])
        assert last - first == block.text.rstrip().count("\n")


def assert_whole(blocks: list[Block], originals: Sequence[Block]) -> None:
    """The parts of each block follow each other, are numbered, and one after the other are its text."""
    blocks = list(blocks)
    for original in originals:
        count = blocks[0].part[1]
        run, blocks = blocks[:count], blocks[count:]
        assert [block.part for block in run] == [(number, count) for number in range(count)]
        assert "".join(block.text for block in run) == original.text
        assert {block.form for block in run} == {original.form}
        assert run[0].locator.lines[0] == original.locator.lines[0]
        assert run[-1].locator.lines[1] == original.locator.lines[1]
    assert blocks == []


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (Form.PARAGRAPH, "word " * 100_000),
        (Form.PARAGRAPH, "This is a sentence. " * 20_000),
        (Form.PARAGRAPH, "x" * 500_000),
        (Form.PARAGRAPH, "word\n" * 100_000),
        (Form.PAIR, "A. b\n\n" * 30_000),
        (Form.LIST, "- item\n" * 20_000),
        (Form.CODE, "code line\n" * 20_000),
        (Form.TABLE, "| cell |\n" * 20_000),
    ],
    ids=["words", "sentences", "one word", "lines", "answer", "list", "code", "table"],
)
def test_a_long_block_is_split_in_time_that_grows_with_their_length(form, text):
    """Not with its square, which would be 16 times as long for the whole as for a quarter; and still nothing is lost."""

    def count_quickly(texts: Sequence[str]) -> list[int]:
        return [len(text) // 4 for text in texts]

    def timed(text: str) -> tuple[float, list[Passage]]:
        block = Block(form, text, locator=Locator(lines=(1, text.count("\n") + 1)))
        started = time.thread_time()
        found = split(Document("a.md", "A", (block,)), count_quickly, 200)
        return time.thread_time() - started, found

    quarter, _ = timed(text[: len(text) // 4])
    whole, found = timed(text)
    assert whole < 8 * quarter + 0.2
    assert "".join(block.text for block in parts(found)) == text
    assert len(found) > 50


def test_many_blocks_are_put_together_in_seconds():
    """Also where they are so small that all of them fit into one passage."""
    blocks = (Block(Form.PARAGRAPH, "<br>"),) * 10_000
    started = time.thread_time()
    [passage] = split(Document("a.md", "A", blocks), count_tokens, 200)
    assert time.thread_time() - started < 4
    assert len(passage.blocks) == 10_000
