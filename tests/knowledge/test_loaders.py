"""Files -> blocks, in every format: the forms survive, and each refusal says what to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.documents import Document, Form
from bot.core.errors import DocumentError
from bot.knowledge.loaders import LOADERS, load
from tests.knowledge.document_writers import (
    WRITERS,
    parts_of,
)
from tests.knowledge.formats.reading import GUIDE, STEPS, TABLE, read, refusal


@pytest.mark.parametrize("suffix", [".html", ".rst", ".docx", ".pdf", ".epub"])
def test_headings_lists_tables_and_code_survive(suffix):
    """Whatever the format, the blocks are those of the Markdown that it was made of, under the same headings."""
    content = WRITERS[suffix]("Bread guide", parts_of(GUIDE))
    document = load(f"a{suffix}", content)
    kept = [
        block for block in document.blocks if block.text != "Header of every page"
    ]  # of a single page, who can tell
    assert document.title == "Bread guide"
    assert [(block.form, block.heading) for block in kept] == [
        (Form.PARAGRAPH, ()),
        (Form.PARAGRAPH, ("Dough",)),
        (Form.LIST, ("Dough",)),
        (Form.TABLE, ("Dough", "Temperatures")),
        (Form.PARAGRAPH, ("Dough", "Temperatures")),
        (Form.CODE, ("Dough", "Temperatures")),
        (Form.PARAGRAPH, ("Storing",)),
        (Form.LIST, ("Storing",)),
    ]
    by_form = {block.form: block.text for block in reversed(kept)}
    assert (by_form[Form.LIST], by_form[Form.TABLE]) == (STEPS, TABLE)
    assert by_form[Form.CODE] == "def bake():\n    oven.heat(250)\n\n    return bread"
    assert kept[-1].text == "- A paper bag\n- A pot of clay\n- A linen cloth"


@pytest.mark.parametrize(
    ("suffix", "places"),
    [
        (".pdf", ["page 1"] * 8),
        (".docx", [f"paragraph {n}" for n in (1, 1, 2, 1, 2, 3, 1, 2)]),
        (".epub", [f"paragraph {n}" for n in (1, 1, 2, 1, 2, 3, 1, 2)]),
    ],
)
def test_blocks_say_where_they_stand(suffix, places):
    """The page of a PDF; without pages, the number below the heading."""
    document = load(f"a{suffix}", WRITERS[suffix]("Bread guide", parts_of(GUIDE)))
    assert [str(block.locator) for block in document.blocks if "every page" not in block.text] == places


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


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("a.html", b"<div>" * 20_000 + b"text"),
        ("a.html", b"<ul><li>" * 5_000 + b"text"),
        ("a.html", b"<table><tr><td>" * 3_000 + b"text"),
        ("a.rst", "\n".join(" " * n + "text" for n in range(400)).encode()),
        ("a.md", b"> " * 20_000 + b"text"),
        ("a.json", b"[" * 100_000),
    ],
)
def test_deep_nesting_ends(path, content):
    """Refused or read, but not for ever and not with a crash."""
    try:
        document = load(path, content)
    except DocumentError as error:
        assert str(error)
    else:
        assert len(str(document)) < 10 * len(content) + 1000


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
