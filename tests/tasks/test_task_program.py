"""`knowledge-bot task`, as people use it."""

import io
import json
import sys

import pytest


@pytest.fixture
def pages(tmp_path):
    folder = tmp_path / "knowledge"
    folder.mkdir()
    (folder / "guide.md").write_text(
        "# Guide\n\n## Water\n\nUse soft water at 92 degrees. It is fresh.\n", encoding="utf-8"
    )
    (tmp_path / "notes.txt").write_text("The boiler weighs forty kilograms.\n", encoding="utf-8")


@pytest.fixture
def moods(tiny) -> str:
    return tiny("moods")


@pytest.mark.usefixtures("pages")
def test_a_document_a_file_a_text_and_what_comes_from_a_pipe(command, monkeypatch):
    """Each is summarised in its own words."""
    assert (
        "• Use soft water at 92 degrees. (Water, line 5)"
        in command("task", "summarise", "--document", "guide.md").stdout
    )
    assert "• The boiler weighs forty kilograms." in command("task", "summarise", "notes.txt").stdout
    assert "• The lamp is green." in command("task", "summarise", "The lamp is green.").stdout
    monkeypatch.setattr(sys, "stdin", io.StringIO("The pump is loud."))
    told = json.loads(command("task", "summarise", "-", "--json").stdout)
    assert told["details"]["sentences"] == [{"text": "The pump is loud.", "place": "", "quoted": True}]


@pytest.mark.usefixtures("pages")
def test_the_mood_of_a_text_and_of_questions(command, moods):
    """With a model; where no questions are kept, that is said."""
    model = {"BOT_TASKS__SENTIMENT_MODEL": moods}
    assert command("task", "sentiment", "It is great.", **model).stdout.startswith("POSITIVE: ")
    none = command("task", "sentiment", "--questions", "discord:1", **model)
    assert (none.returncode, "none are kept" in none.stderr) == (1, True)


def test_what_is_wrong_is_said_with_its_mend(command):
    """An unknown task, a missing model, nothing to work on."""
    assert "there are summarise, translate" in command("task", "sing", "x").stderr
    missing = command("task", "translate", "x")
    assert (missing.returncode, "models download google-t5/t5-small" in missing.stderr) == (2, True)
    assert "Give one thing to work on" in command("task", "summarise").stderr
    assert "only files have sections" in command("task", "summarise", "x", "--section", "y").stderr


def test_tasks_are_allowed_in_a_chat_from_the_command_line(command):
    """Beside its policy, which stays as it is."""
    assert command("policy", "discord", "7", "on", "--tasks").stdout == "7: on\n"
    assert command("policy", "discord").stdout == ""
    assert command("policy", "discord", "--tasks").stdout == "7: on\n"
    assert command("policy", "discord", "7", "default", "--tasks").stdout == ""
