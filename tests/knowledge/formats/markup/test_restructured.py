"""reStructuredText and what Sphinx adds to it: nothing is dropped, and no other file is read."""

from bot.core.documents import Document, Form
from bot.knowledge.loaders import load
from tests.knowledge.document_writers import (
    Bullets,
    Code,
    Heading,
    Paragraph,
    write_rst,
)
from tests.knowledge.formats.reading import texts


def rst(*lines: str) -> Document:
    return load("a.rst", "\n".join(lines).encode())


def test_rst_never_reads_another_file(tmp_path):
    """Includes, raw files and tables from files are what makes docutils dangerous by default."""
    (tmp_path / "secret.txt").write_text("secret,words")
    secret = tmp_path / "secret.txt"
    document = rst(
        f".. include:: {secret}",
        "",
        f".. raw:: html\n   :file: {secret}",
        "",
        f".. csv-table::\n   :file: {secret}",
        "",
        f".. literalinclude:: {secret}",
        "",
        "Harmless.",
    )
    assert texts(document) == ["Harmless."]
    assert "secret,words" not in str(document)


def test_what_sphinx_adds_is_read_as_its_text():
    """Unknown directives and roles would be dropped with all they hold."""
    document = rst(
        "Guide",
        "=====",
        "",
        "See :ref:`the doors <doors>`, :class:`~bot.Door` and :doc:`more`.",
        "",
        ".. versionadded:: 2.0",
        "   It opens by itself.",
        "",
        ".. code-block:: python",
        "   :linenos:",
        "",
        "   door.open()",
        "",
        ".. note:: Mind the gap.",
        "",
        ".. toctree::",
        "   other",
    )
    assert [(block.form, block.text) for block in document.blocks] == [
        (Form.PARAGRAPH, "See the doors, `bot.Door` and more."),
        (Form.PARAGRAPH, "Added in version 2.0: It opens by itself."),
        (Form.CODE, "door.open()"),
        (Form.PARAGRAPH, "Mind the gap."),
    ]


def test_boxes_conditions_and_changes_of_rst_are_read():
    """With their titles, the words that Sphinx writes, and the lines of the file; a table of contents says nothing."""
    document = rst(
        *("Doors", "=====", "", ".. contents:: Inside", "", ".. topic:: Keys", "", "   Ask *Ida*.", ""),
        *(".. admonition:: Mind", "", "   It is heavy.", "", ".. only:: html", "", "   Shown on the web.", ""),
        *(".. deprecated:: 3.1", "   Use ``gate.open``.", "", ".. versionadded:: 2.5", "", "Hinges", "------", "Two."),
    )
    assert [(block.text, block.locator.lines) for block in document.blocks] == [
        ("Keys", (6, 6)),
        ("Ask Ida.", (8, 8)),
        ("Mind", (10, 10)),
        ("It is heavy.", (12, 12)),
        ("Shown on the web.", (16, 16)),
        ("Deprecated since version 3.1: Use `gate.open`.", (18, 19)),
        ("Added in version 2.5.", (21, 21)),
        ("Two.", (25, 25)),
    ]


def test_notes_and_links_of_rst_are_no_marks_in_the_text():
    """A note is a paragraph; an address stays with its words, a name of a heading doesn't need one."""
    document = rst(
        *("Doors [1]_ open at six, see `the plan <https://doors.example/plan>`_ and https://doors.example.", ""),
        *(".. [1] Not on Sundays.", "", ".. include:: more.rst"),
    )
    assert texts(document) == [
        "Doors open at six, see [the plan](https://doors.example/plan) and https://doors.example.",
        "Not on Sundays.",
    ]
    assert document.warnings == ("other files that it includes aren't read with it: `more.rst`",)


def test_lines_of_rst_are_found_again():
    """A quote must be found with a text editor."""
    source = write_rst(
        "T", [Heading(1, "T"), Paragraph("One two."), Bullets(((0, "a"), (0, "b"))), Code("x = 1\ny = 2")]
    )
    lines = source.decode().split("\n")
    for block in load("a.rst", source).blocks:
        first, last = block.locator.lines
        stands_there = " ".join(lines[first - 1 : last])
        assert all(word in stands_there for word in block.text.replace("- ", "").split()), block
