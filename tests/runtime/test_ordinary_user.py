"""An ordinary user, to whom permissions are denied: every command names the file and the fix, and leaves all as it is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ordinary_user import as_ordinary_user

ROOT = Path(__file__).parents[2]
PREAMBLE = """
import asyncio, sys
from pathlib import Path
from bot.core.errors import BotError
from bot.storage.data_folder import alone_in, back_up, restore
from bot.storage.sqlite.journal import SqliteJournal
folder = Path(sys.argv[1])
def served():
    with alone_in(folder):
        pass
try:
    {attempt}
except BotError as error:
    print(error)
"""
WAYS = {
    "to serve": "served()",
    "to open the journal": "asyncio.run(SqliteJournal.open(folder))",
    "to back it up": "back_up(folder, folder.parent / 'backup.tar.gz')",
    "to restore": "restore(folder.parent / 'other.tar.gz', folder)",
}


@pytest.mark.parametrize(
    ("way", "mode"), [(way, mode) for way in WAYS for mode in (0, 0o555) if (way, mode) != ("to back it up", 0o555)]
)
def test_a_data_folder_without_permission_is_told_with_its_name_and_the_fix(tmp_path, way, mode):
    """One sentence, no traceback, and the folder is as it was."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "journal.sqlite3").touch(0o600 if mode else 0)
    data.chmod(mode)
    script = PREAMBLE.format(attempt=WAYS[way])
    tried = subprocess.run(
        as_ordinary_user(sys.executable, "-c", script, str(data)), capture_output=True, text=True, timeout=100, cwd=ROOT
    )
    data.chmod(0o755)
    assert tried.stderr == ""
    assert str(tmp_path) in tried.stdout
    assert "ermission" in tried.stdout or "unable to open" in tried.stdout
    assert [file.name for file in data.iterdir()] == ["journal.sqlite3"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "knowledge").mkdir()
    (tmp_path / "knowledge" / "guide.md").write_text("# Brewing\n\nUse water at 92 to 96 degrees.\n")
    (tmp_path / "bot.toml").write_text("[encoder]\nmodel = 'none'\n")
    return tmp_path


def run(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        as_ordinary_user(sys.executable, "-m", "bot", *arguments),
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=200,
    )


DENIED = {
    "the settings": ("bot.toml", 0, ("index",)),
    "the knowledge folder": ("knowledge", 0, ("index",)),
    "the data folder, read-only": ("data", 0o555, ("run",)),
    "the journal": ("data/journal.sqlite3", 0, ("run",)),
    "the index, read-only": ("data/index.sqlite3", 0o444, ("index",)),
    "the lock of a running bot": ("data/bot.lock", 0, ("run",)),
}


@pytest.mark.parametrize("what", DENIED)
def test_what_is_not_permitted_ends_a_command_with_one_message(place, what):
    """It names the file and what was refused; there is no traceback, and nothing else is changed."""
    path, mode, arguments = DENIED[what]
    if path.startswith("data"):
        (place / "data").mkdir()
        for name in ("journal.sqlite3", "index.sqlite3", "bot.lock"):
            (place / "data" / name).touch(0o600)
    (place / path).chmod(mode)
    done = run(place, *arguments)
    (place / path).chmod(0o755)
    assert done.returncode in (1, 2), done
    assert "Traceback" not in done.stderr
    assert path in done.stderr
    assert any(word in done.stderr for word in ("ermission", "readonly", "unable to open")), done.stderr


def test_a_document_without_permission_is_named_and_the_others_are_indexed(place):
    """The report has the fix, and the bot answers from the others."""
    (place / "knowledge" / "secret.md").write_text("Nobody reads this.")
    (place / "knowledge" / "secret.md").chmod(0)
    done = run(place, "index")
    assert "check its permissions" in " ".join(done.stdout.split())
    assert "secret.md" in done.stdout
    assert json.loads(run(place, "ask", "how hot should the water be?", "--json").stdout)["outcome"] == "answered"
