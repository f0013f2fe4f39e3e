"""The program as an ordinary user, to whom permissions are denied, also where the tests run as root, to whom none are."""

import os
import shutil
import subprocess

import pytest

# The rights of root are its capabilities. A program that is started without them is denied what an ordinary owner is.
_WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")


def as_ordinary_user(*arguments: str) -> list[str]:
    """The command line that runs a program without root's rights. Skips the test where they can't be given up."""
    if os.name != "posix":
        pytest.skip("there are no permissions to deny")
    if os.geteuid():
        return [*arguments]
    if not shutil.which("setpriv") or subprocess.run([*_WITHOUT_RIGHTS, "true"], capture_output=True).returncode:
        pytest.skip("root can't give up its rights here")
    return [*_WITHOUT_RIGHTS, *arguments]
