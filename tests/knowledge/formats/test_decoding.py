"""Text in any encoding: it is recognised, and what is no text is refused."""

import pytest

from tests.knowledge.formats.reading import read, refusal, texts

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
