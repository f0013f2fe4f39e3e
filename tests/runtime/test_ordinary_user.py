"""An ordinary user, to whom permissions are denied; the tests themselves may run as root, to whom none are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

# Everything is imported first: the somebody else may not even read the interpreter's own files.
PREAMBLE = """
import asyncio, os, sys
from pathlib import Path
from bot.core.errors import BotError
from bot.storage.data_folder import alone_in, back_up, restore
from bot.storage.sqlite.journal import SqliteJournal
folder = Path(sys.argv[1])
os.setgid(65534)
os.setuid(65534)
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


def attempted(folder: Path, attempt: str) -> subprocess.CompletedProcess[str]:
    script = PREAMBLE.format(attempt=attempt)
    return subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("mode", [0o000, 0o555])
@pytest.mark.parametrize("way", WAYS)
def test_a_data_folder_of_somebody_else_is_told_with_its_name_and_the_fix(tmp_path, way, mode):
    """One sentence, no traceback, and the folder is as it was."""
    for above in (tmp_path, *tmp_path.parents[:2]):
        above.chmod(0o755)
    data = tmp_path / "data"
    data.mkdir()
    (data / "journal.sqlite3").touch(0o600)
    data.chmod(mode)
    tried = attempted(data, WAYS[way])
    assert tried.stderr == ""
    assert str(tmp_path) in tried.stdout
    assert "ermission" in tried.stdout or "unable to open" in tried.stdout
    assert [file.name for file in data.iterdir()] == ["journal.sqlite3"]
