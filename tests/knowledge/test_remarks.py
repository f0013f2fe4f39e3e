"""Remarks put together by what they are about, as the report of an indexing shows them."""

from bot.core.documents import Locator
from bot.knowledge.checks import Finding
from bot.knowledge.remarks import Remark, by_kind
from bot.storage.base import FileReport


def test_what_is_not_read_comes_first_and_then_what_is_said_most_often():
    """Remarks that differ in names, places and numbers are of one kind."""
    files = [
        FileReport("a.md", 1, None, ("there is no text below the heading “Setup” (line 3)",)),
        FileReport(
            "b.md", 1, None, ("there is no text below the heading “Use of it” (line 17)", "the sheet “X” was left out")
        ),
        FileReport("c.doc", 0, "this format isn't read; save it as DOCX"),
        FileReport("d.doc", 0, "this format isn't read; save it as DOCX"),
    ]
    findings = [
        Finding("a.md", Locator((5, 6)), "says nearly the same as sub/c.txt, lines 1-2: keep one of them"),
        Finding("b.md", Locator((9, 9)), "says nearly the same as sub/d.txt, line 7: keep one of them"),
        Finding("b.md", Locator((11, 11)), "says nearly the same as e.md: keep one of them"),
    ]
    unread, twins, headings, sheet = by_kind(files, findings)
    assert (unread.unread, unread.text) == (True, "this format isn't read; save it as DOCX")
    assert unread.remarks == (Remark("c.doc", ""), Remark("d.doc", ""))
    assert twins.text == "says nearly the same as …: keep one of them"
    assert twins.remarks[0] == Remark("a.md, lines 5-6", "sub/c.txt, lines 1-2")
    assert headings.remarks == (Remark("a.md", "“Setup”, line 3"), Remark("b.md", "“Use of it”, line 17"))
    assert sheet.text == "the sheet “X” was left out"


def test_nothing_to_remark_on_is_nothing():
    assert by_kind([FileReport("a.md", 1)]) == []
