"""What commands print of documents, users and errors: it is shown as it stands and drives no terminal."""

import json
from datetime import UTC, datetime

import pytest

from bot import cli
from bot.commands import common
from bot.commands.answers import print_feedback, print_gaps
from bot.commands.documents import print_passages, print_report
from bot.core.documents import Locator
from bot.core.errors import BotError
from bot.core.messages import Address, Answer, Citation, Outcome, Question
from bot.engine.gaps import Gap
from bot.knowledge.checks import Finding
from bot.knowledge.indexer import FileReport, IndexReport, Review
from bot.storage.base import Feedback, KeptAnswer
from tests.terminal import DRIVES, assert_harmless, colours, terminal  # noqa: F401

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
hostile = pytest.mark.parametrize("text", HOSTILE)


@hostile
def test_found_passages_are_shown_as_they_stand(text):
    """A heading of a document is the title of a rule."""
    citation = Citation("a.md", text, (text,), (1, 2), None, None, f"Plain words. {text}", None)
    with terminal() as screen:
        print_passages([(0.5, citation)])
    assert_harmless(screen.getvalue(), text)


@hostile
def test_the_report_on_files_names_them_as_they_are(text):
    """Their names, their warnings, what the checks found and why golden questions got worse."""
    report = IndexReport((FileReport(text, 1, None, (text,)),), (), (), 0, 0.1, {text: 2}, Review(True, (text,)))
    with terminal() as screen:
        print_report(report, [Finding(text, Locator((1, 1)), text)])
    assert_harmless(screen.getvalue(), text)


@hostile
def test_feedback_and_gaps_are_shown_as_people_wrote_them(text):
    """Reasons, questions and names of documents."""
    asked = Question(text, "c", "ann", Address("test", "chat", "1"), datetime.now(UTC))
    answer = Answer(Outcome.DECLINED, text, "ref")
    with terminal() as screen:
        print_feedback([Feedback(text, "test", "ann", False, text, 0.0, KeptAnswer(asked, answer))])
        print_gaps([Gap((text, "other"), 0.1, (text,), 0.0)])
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
