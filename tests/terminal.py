"""A terminal that tests print to, and what text of others must not do to it."""

import io
import re
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import pytest

# Everything that a terminal obeys: the sequences that rich writes for styles are taken out of the text beforehand.
DRIVES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\U000e0000-\U000e0fff\ud800-\udfff]")
STYLES = re.compile(r"\x1b\[[0-9;]*m")


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
