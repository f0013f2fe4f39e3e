"""Text of documents, users and errors on a terminal: it is shown as it stands and drives nothing."""

import io
import json
import re
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, Group
from rich.markdown import Markdown
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from bot import cli
from bot.adapters.screen import Screen, markdown
from bot.commands import common
from bot.commands.answers import _print_feedback, _print_gaps
from bot.commands.documents import _print_passages, _print_report
from bot.core.documents import Locator
from bot.core.errors import BotError
from bot.core.messages import Address, Answer, Citation, Outcome, Question
from bot.engine.gaps import Gap
from bot.knowledge.checks import Finding
from bot.knowledge.indexer import FileReport, IndexReport, Review
from bot.storage.base import Feedback, KeptAnswer

# What rich, a terminal and a reader's eye could take for something other than text.
HOSTILE = [
    "Entries of [/etc/hosts]",
    "old [/b].md",
    "[link=http:evil.example]invoice.md[/link]",
    "[red]warning[/] :warning: [@click=app.quit]x",
    "\x1b]8;;http://evil.example\x1b\\invoice.md\x1b]8;;\x1b\\",
    "\x1b[2J\x1b[31mgone\x9b31m",
    "read\u202egpj.exe",
    "half \ud800 a pair",
    "tags\U000e0041\U000e0042 and\u2028a line",
]
# Everything that a terminal obeys: the sequences that rich writes for styles are taken out of the text beforehand.
DRIVES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\U000e0000-\U000e0fff\ud800-\udfff]")
STYLES = re.compile(r"\x1b\[[0-9;]*m")
hostile = pytest.mark.parametrize("text", HOSTILE)


def shown(*renderables, style: str | None = None) -> str:
    """The output for a colourful terminal."""
    screen = io.StringIO()
    Screen(file=screen, width=200, force_terminal=True).print(*renderables, style=style)
    return screen.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True, scope="module")
def colours():
    """The terminal can show colours and links."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {"TERM": "xterm-256color", "COLUMNS": "200"}.items():
            patched.setenv(name, value)
        for name in ("NO_COLOR", "CI", "FORCE_COLOR", "COLORTERM"):
            patched.delenv(name, raising=False)
        yield


@contextmanager
def terminal():
    """Standard output and standard error, as a terminal whose value is what it got."""
    screen = Terminal()
    with redirect_stdout(screen), redirect_stderr(screen):
        yield screen


def assert_harmless(text: str, visible: str) -> None:
    plain = STYLES.sub("", text)
    assert not DRIVES.search(plain)
    if not DRIVES.search(visible):
        assert visible in " ".join(plain.split())


@hostile
def test_found_passages_are_shown_as_they_stand(text):
    """A heading of a document is the title of a rule."""
    citation = Citation("a.md", text, (text,), (1, 2), None, None, f"Plain words. {text}", None)
    with terminal() as screen:
        _print_passages([(0.5, citation)])
    assert_harmless(screen.getvalue(), text)


@hostile
def test_the_report_on_files_names_them_as_they_are(text):
    """Their names, their warnings, what the checks found and why golden questions got worse."""
    report = IndexReport((FileReport(text, 1, None, (text,)),), (), (), 0, 0.1, {text: 2}, Review(True, (text,)))
    with terminal() as screen:
        _print_report(report, [Finding(text, Locator((1, 1)), text)])
    assert_harmless(screen.getvalue(), text)


@hostile
def test_feedback_and_gaps_are_shown_as_people_wrote_them(text):
    """Reasons, questions and names of documents."""
    asked = Question(text, "c", "ann", Address("test", "chat", "1"), datetime.now(UTC))
    answer = Answer(Outcome.DECLINED, text, "ref")
    with terminal() as screen:
        _print_feedback([Feedback(text, "test", "ann", False, text, 0.0, KeptAnswer(asked, answer))])
        _print_gaps([Gap((text, "other"), 0.1, (text,), 0.0)])
    assert_harmless(screen.getvalue(), text)


@hostile
def test_an_error_and_a_told_line_drive_no_terminal(monkeypatch, text):
    """An error may quote a document or a server."""

    def fails() -> None:
        raise BotError(text)

    monkeypatch.setattr(cli, "app", fails)
    with terminal() as screen:
        assert cli.run_command() == common.ExitCode.FAILURE
        common.say(f"{text}: removed")
    assert_harmless(screen.getvalue(), text)


@hostile
def test_json_holds_every_character_and_drives_no_terminal(text):
    """Unprintable characters are escaped, as JSON can."""
    with terminal() as screen:
        common.print_json({text: text})
    assert not DRIVES.search(screen.getvalue())
    assert json.loads(screen.getvalue()) == {text: text}


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
