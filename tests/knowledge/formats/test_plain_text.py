"""Plain text: paragraphs and lists, at the lines named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.documents import Form
from tests.knowledge.formats.reading import (
    assert_lines_are_right,
    only,
    read,
    texts,
)


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
