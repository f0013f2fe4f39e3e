"""The protection of a process's memory and environment, in processes of their own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc and prctl are of Linux")
ROOT = Path(__file__).parent.parent.parent
LOOK = """
import ctypes, json, os, resource, subprocess
from pathlib import Path
from bot.commands.common import settings_of
from bot.core.process import protect_memory

protect_memory()
settings = settings_of(None)
print(json.dumps({
    "read": sorted(settings.secrets),
    "environ": sorted(os.environ),
    "children": subprocess.run(["/usr/bin/env"], capture_output=True, text=True).stdout,
    "kernel": Path("/proc/self/environ").read_bytes().decode(),
    "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),
    "core": resource.getrlimit(resource.RLIMIT_CORE),
}))
"""


def test_secrets_leave_the_environment_and_nothing_dumps_the_memory(tmp_path):
    """They are read once; after that no child has them, and the kernel shows them to no other program."""
    environment = {
        "PATH": "/usr/bin",
        "PYTHONPATH": str(ROOT),
        "DISCORD_TOKEN": "discord-secret",
        "BOT_TELEGRAM__TOKEN": "telegram-secret",
        "bot_http__token": "secret-of-the-http-server",
        "BOT_LOG__LEVEL": "error",
    }
    done = subprocess.run([sys.executable, "-c", LOOK], env=environment, cwd=tmp_path, capture_output=True, timeout=60)
    found = json.loads(done.stdout)
    assert found["read"] == ["discord-secret", "secret-of-the-http-server", "telegram-secret"]
    assert "BOT_LOG__LEVEL" in found["environ"]
    assert not [name for name in found["environ"] if "TOKEN" in name.upper()]
    assert "BOT_LOG__LEVEL=error" in found["children"] and "BOT_LOG__LEVEL=error" in found["kernel"]
    assert "secret" not in found["children"] + found["kernel"]
    assert (found["dumpable"], found["core"]) == (0, [0, 0])
