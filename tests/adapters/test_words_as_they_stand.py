"""The words of a document arrive as they stand: what people see, and copy, is what the document holds."""

import csv
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters import screen
from bot.adapters.discord import rendering as discord
from bot.adapters.telegram import rendering as telegram
from bot.core.documents import Form, FoundPassage, Passage
from bot.core.markup import Markup, Piece
from bot.core.messages import Answer, Outcome
from bot.engine.compose import compose
from bot.engine.sections import Section
from bot.knowledge.loaders import LOADERS, load
from tests.knowledge.document_writers import WRITERS, Code, Grid, Paragraph
from tests.platforms import discord_markup

# Each is ordinary text of a document, and markup to some reader of Markdown.
LINES = (
    "The module is called __init__.py and loads __main__.py too.",
    r"Logs lie at \\fileserver\logs\_daily\*.log on Windows.",
    "Patterns are *.bak and **/*.old and snake_case_name.",
    "Rooms cost 3*4*5 ~~ about ~~ 60 ||each|| day.",
    "Write <name> or <@123> or @everyone, never [a](b).",
    "See https://example.org/a_b_c/__d__ for more, and R&amp;D.",
    "#general is a channel, and C# is a language.",
    "1. is a number, 2) another one.",
    "- is a dash.",
    "> is greater, >= too.",
    "-# is nothing.",
    "| is a bar, || are two.",
    "The end is a backslash \\",
)
TEXTS = tuple(suffix for suffix in LOADERS if suffix not in (".md", ".markdown", ".mdx"))


def file_of(suffix: str, text: str) -> bytes:
    """A file with one paragraph, or with one pair of which the text is the answer."""
    match suffix:
        case ".txt" | ".text":
            return text.encode()
        case ".csv" | ".tsv":
            stream = io.StringIO()
            csv.writer(stream, delimiter="," if suffix == ".csv" else "\t").writerows(
                [("question", "answer"), ("What?", text)]
            )
            return stream.getvalue().encode()
        case ".json" | ".jsonl":
            return json.dumps({"question": "What?", "answer": text}).encode()
        case ".pdf":
            return WRITERS[suffix]("Title", [Paragraph("Before it."), Paragraph(text), Paragraph("After it.")])
        case _:
            return WRITERS.get(suffix, WRITERS[".html"])("Title", [Paragraph(text)])


def answered(path: str, content: bytes, words: str = "") -> Answer:
    """The answer with the whole document, in which `words` answer."""
    document = load(path, content)
    blocks = document.blocks
    found = FoundPassage(path, document.title, None, (0, 0), Passage(blocks, blocks[0].heading, ""))
    place = next((number for number, block in enumerate(blocks) if words in block.text), 0)
    start = blocks[place].text.index(words)
    composed = compose("What?", Section(found, blocks, place, (start, start + len(words)), (place, place)))
    return Answer(Outcome.ANSWERED, composed.text, "ref", composed.span, citations=(), pieces=composed.pieces)


def on_telegram(answer: Answer) -> str:
    return "\n\n".join(part.text for part in telegram.parts_of(answer, late=False))


def on_discord(answer: Answer) -> str:
    return "\n\n".join(map(discord_markup.shown, discord.render(answer).parts))


def at_the_terminal(answer: Answer) -> str:
    console = screen.Screen(file=io.StringIO(), width=1000)
    console.print(screen.shown(answer.pieces))
    return "\n".join(line.rstrip() for line in console.file.getvalue().rstrip("\n").split("\n"))


EVERYWHERE = pytest.mark.parametrize("shown_on", [on_telegram, on_discord, at_the_terminal])


@EVERYWHERE
@pytest.mark.parametrize("suffix", [suffix for suffix in TEXTS if suffix not in (".xls", ".ods", ".docm", ".xlsm")])
@pytest.mark.parametrize("line", LINES)
def test_the_text_of_every_format_is_shown_as_it_stands(suffix, line, shown_on):
    """None of these formats is Markdown."""
    answer = answered(f"a{suffix}", file_of(suffix, line))
    if suffix == ".pdf":  # the header of its only page is text too
        assert f" {line} After it." in " ".join(shown_on(answer).split())
    else:
        assert shown_on(answer) == answer.text == line


@EVERYWHERE
def test_lines_of_a_text_stay_lines(shown_on):
    """An address, a poem, a table drawn with spaces."""
    text = "Name:    Ann\n  Street:  1 Main_St_\n* not a list\n7. nor this"
    assert shown_on(answered("a.txt", text.encode())) == text


@pytest.mark.parametrize("shown_on", [on_telegram, on_discord])
@pytest.mark.parametrize("suffix", [".docx", ".html"])
def test_code_of_a_document_is_shown_as_it_stands(suffix, shown_on):
    """Stars and backticks in it too."""
    code = "echo `date` **/*.py\nls __pycache__ # *"
    assert shown_on(answered(f"a{suffix}", WRITERS[suffix]("Title", [Code(code)]))) == code


@pytest.mark.parametrize("shown_on", [on_telegram, on_discord])
@pytest.mark.parametrize("suffix", [".docx", ".html", ".xlsx"])
def test_cells_of_a_table_are_shown_as_they_stand(suffix, shown_on):
    """Between the columns that the platform draws."""
    rows = (("File", "Means"), ("__init__.py", "a|b *c*"), ("\\_x\\", "`tick"))
    said = shown_on(answered(f"a{suffix}", WRITERS[suffix]("Title", [Grid(rows)])))
    assert {cell for row in rows for cell in row} <= set(re.split(r" {2,}|\n", said))


WORDS = st.lists(
    st.sampled_from(
        [
            *" ".join(LINES).split(),
            "`",
            "``",
            "`a`",
            "***",
            "__",
            "_a",
            "a_",
            "\\\\",
            ":x:",
            "<t:1>",
            "</a:1>",
            "&lt;",
            "```",
        ]
    ),
    min_size=1,
    max_size=12,
)


@given(WORDS, st.sampled_from([" ", "\n"]), st.data())
def test_any_plain_text_is_shown_as_it_stands(words, between, data):
    """With a part of it in bold, wherever that is."""
    text = between.join(words)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    bold = (start, end) if text[start:end].strip() == text[start:end] != "" else None
    answer = Answer(Outcome.ANSWERED, text, "ref", pieces=(Piece(text, Markup.PLAIN, bold),))
    assert on_telegram(answer) == text
    assert on_discord(answer) == text
    as_markdown = Answer(Outcome.ANSWERED, answer.pieces[0].as_markdown(), "ref")
    assert on_telegram(as_markdown) == text


def test_the_words_that_answer_are_bold():
    """Of a text that is no Markdown as of one that is."""
    answer = answered("a.txt", b"The file is called __init__.py here.", "__init__.py")
    [part] = telegram.parts_of(answer, late=False)
    assert [(mark.kind, part.text[mark.start : mark.end]) for mark in part.marks] == [("bold", "__init__.py")]
    assert discord.render(answer).parts == ("The file is called **\\_\\_init\\_\\_.py** here.",)


def test_code_in_a_line_of_a_page_is_code():
    """HTML marks it, and the loader keeps that."""
    answer = answered("a.html", b"<p>Run <code>a_b *</code> twice_a_day.</p>")
    [part] = telegram.parts_of(answer, late=False)
    assert part.text == "Run a_b * twice_a_day."
    assert [(mark.kind, part.text[mark.start : mark.end]) for mark in part.marks] == [("code", "a_b *")]
    assert on_discord(answer) == "Run a_b * twice_a_day."


def test_a_text_of_the_bots_own_is_plain():
    """It names documents as they are called."""
    assert Answer(Outcome.DECLINED, "a_b_c", "ref").pieces == (Piece("a_b_c", Markup.PLAIN),)
    assert Answer(Outcome.SMALL_TALK, "**hi**", "ref").pieces == (Piece("**hi**", Markup.MARKDOWN),)


def test_pieces_of_another_text_are_none_of_this_one():
    """Where a text is replaced, its markup is."""
    answer = Answer(Outcome.ANSWERED, "a", "ref", pieces=(Piece("b", Markup.PLAIN),))
    assert answer.pieces == (Piece("a"),)


def test_tables_of_documents_are_found_as_tables():
    """What the test of their cells stands on."""
    assert load("a.docx", WRITERS[".docx"]("T", [Grid((("a", "b"), ("c", "d")))])).blocks[0].form is Form.TABLE


def test_what_begins_a_line_and_is_bold_is_no_list_item():
    """The client reads what is between the stars as if it stood alone."""
    answer = Answer(Outcome.ANSWERED, "- The", "ref", pieces=(Piece("- The", Markup.PLAIN, (0, 3)),))
    assert on_discord(answer) == "- The"
