"""Text of documents, users and errors on a terminal: it is shown as it stands and drives nothing."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, Group
from rich.markdown import Markdown
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from bot.adapters.screen import Screen, markdown
from tests.terminal import DRIVES, STYLES, colours  # noqa: F401


def shown(*renderables, style: str | None = None) -> str:
    """The output for a colourful terminal."""
    screen = io.StringIO()
    Screen(file=screen, width=200, force_terminal=True).print(*renderables, style=style)
    return screen.getvalue()


def test_a_link_shows_where_it_leads():
    """Not clickable text that hides it: the address stands there."""
    shown_text = shown(Markdown("Pay [your bank](https://evil.example/pay) now.", hyperlinks=True))
    assert "\x1b]8" not in shown_text
    assert "your bank (https://evil.example/pay)" in STYLES.sub(
        "", shown(markdown("Pay [your bank](https://evil.example/pay) now."))
    )


def test_styles_of_our_own_are_kept():
    """The border takes text, not looks."""
    assert shown("note", style="yellow") == "\x1b[33mnote\x1b[0m\n"
    assert shown(Text("note", style="bold")) == "\x1b[1mnote\x1b[0m\n"


MARKUP = st.sampled_from(["[", "]", "/", "[/]", "[b]", "[link=", "http:x", ":smile:", "\x1b", "\x9b", "\\", "`", "\n"])


@given(st.lists(MARKUP | st.text(max_size=4), max_size=8).map("".join))
def test_no_text_is_markup_wherever_it_is_put(text):
    """In a line, a rule, a cell, a heading, a title, a frame, in Markdown and in a group of these."""
    table = Table(text, title=text, caption=text)
    table.add_row(text)
    for renderable in (text, Text(text), Rule(text), table, Padding(text, 1), Group(text, Rule(text)), Markdown(text)):
        assert not DRIVES.search(STYLES.sub("", shown(renderable)))
    if text.isascii() and text.isprintable():
        assert shown(text).rstrip("\n") == shown(Text(text)).rstrip("\n")


def test_a_plain_console_is_what_the_border_guards_from():
    """The attack, on rich as it comes."""
    with pytest.raises(Exception, match="doesn't match any open tag"):
        Console(file=io.StringIO()).print(Rule("Entries of [/etc/hosts]"))


def test_an_indented_text_ends_where_its_words_end():
    """Also in a line that was broken, so that what is copied holds no spaces of the layout."""
    out = io.StringIO()
    Screen(file=out, width=20).print_indented(Text("a long question that is broken\nand goes on"))
    assert out.getvalue().splitlines() == ["  a long question", "  that is broken", "  and goes on"]
