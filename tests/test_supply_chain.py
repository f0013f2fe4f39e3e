"""What is installed: the tested versions, with the sums of their files and their licences."""

import re
import sys
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import licences  # noqa: E402

LOCK = (ROOT / "requirements.lock").read_text()


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_has_the_tested_versions_with_their_sums():
    """After a change of constraints.txt: make lock."""
    tested = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    tested = {normal(name): version for name, version in tested.items()}
    locked = {normal(name): version for name, version in licences.locked().items()}
    del locked["setuptools"]  # pip leaves it out of its lists
    assert {name: tested.get(name) for name in locked} == locked
    with_sums = re.findall(r"^([\w.-]+)==\S+(?: ;[^\n]*)? \\\n    --hash=sha256:[0-9a-f]{64}", LOCK, re.MULTILINE)
    assert with_sums == list(licences.locked())


def test_the_lock_has_all_that_the_program_needs():
    """Each dependency of each, but for PyTorch, which has an index of its own."""
    have = {*map(normal, licences.locked()), *licences.LEFT_OUT}
    for name in ("knowledge-bot", *licences.locked()):
        needed = map(Requirement, requires(name) or ())
        for one in needed:
            if one.marker is None or one.marker.evaluate({"extra": ""}):
                assert normal(one.name) in have, f"{name} needs {one.name}: make lock"


def test_the_licences_are_listed():
    """After a change of what is installed: make licences."""
    assert (ROOT / "docs" / "licences.md").read_text() == licences.page()
    assert "python-telegram-bot (LGPL-3.0-only)" in licences.page()
