"""`knowledge-bot questions`: the same history, in a terminal and as data."""

import asyncio
import csv
import io
import json
from datetime import UTC, datetime

import pytest

from bot.core.messages import Address, Answer, Citation, Outcome, Question
from bot.storage.sqlite.journal import SqliteJournal

PATH = "a/very/long/path/" + "folder-with-a-name/" * 5 + "guide.md"


@pytest.fixture
def asked(tmp_path):
    async def fill():
        journal = await SqliteJournal.open(tmp_path / "data")
        for number, (text, outcome) in enumerate(
            [
                ("=1+1", Outcome.ANSWERED),
                ("Where is it? " * 20, Outcome.SUGGESTED),
                ("Why [red]\x1b[31m?", Outcome.DECLINED),
            ]
        ):
            address = Address("discord", f"chat-{number}", text)
            entry = await journal.questions.accept(Question(text, "c", "a", address, datetime.now(UTC)))
            citation = Citation(PATH, "Guide", (), None, None, None, "x", None)
            retrieved = (PATH,) if outcome is Outcome.DECLINED else ()
            answer = Answer(
                outcome, "word " * 100, f"r{number}", confidence=0.5, citations=(citation,), retrieved=retrieved
            )
            await journal.questions.answered(entry, 0, answer)
            await journal.questions.done(entry, 0, keep=True)
        await journal.answers.add_feedback("discord", "r1", "a", helpful=False, reason="")
        await journal.close()

    asyncio.run(fill())


def test_the_text_fits_80_columns_but_for_paths_which_are_whole(command, asked):
    told = command("questions", COLUMNS="80").stdout
    lines = told.splitlines()
    assert any(line.strip() == PATH for line in lines)
    assert max(len(line) for line in lines if PATH not in line) <= 80
    assert not [line for line in lines if line.endswith(" ")]
    assert "Why [red][31m?" in told  # without what would colour the terminal
    assert "1 wrong" in told


def test_gaps_fit_80_columns_but_for_paths_which_are_whole(command, asked, tmp_path):
    """A suggestion that was found not helpful is a gap, like a declined question."""
    (tmp_path / "knowledge").mkdir()
    lines = command("gaps", COLUMNS="80").stdout.splitlines()
    assert not [line for line in lines if line.endswith(" ")]
    assert lines.count(f"  {PATH}") == 1
    assert max(len(line) for line in lines if PATH not in line) <= 80
    assert "  Why [red][31m?" in lines
    assert sum("1 time  last " in line for line in lines) == 2


def test_filters_and_data(command, asked):
    def texts(*options):
        result = command("questions", "--json", *options)
        assert result.returncode == 0, result.stderr
        return [one["question"][:8] for one in json.loads(result.stdout)]

    assert texts() == ["Why [red", "Where is", "=1+1"]
    assert texts("--outcome", "declined") == ["Why [red"]
    assert texts("--place", "discord/chat-1") == texts("--wrong") == ["Where is"]
    assert texts("--place", "telegram") == texts("--since", "2999-01-01") == []
    assert texts("--since", "2020-01-01", "-k", "1") == ["Why [red"]
    rows = list(csv.DictReader(io.StringIO(command("questions", "--csv").stdout)))
    assert [row["question"][:8] for row in rows] == ["Why [red", "Where is", "'=1+1"]  # which no spreadsheet runs
    assert rows[0]["sources"] == PATH
    assert command("questions", "--outcome", "good").returncode == 2


def test_with_storage_off_it_says_so(command, asked):
    result = command("questions", "--json", BOT_STORAGE__ANSWER_DAYS="0")
    assert "storage.answer_days is 0" in result.stderr
    assert json.loads(result.stdout)
