"""The commands of generation, started as a person starts them; and the hub, as a local server."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(600)
_COMMIT = "0123456789abcdef0123456789abcdef01234567"


def knowledge_bot(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=250,  # seconds, on a machine that does much else
        check=False,
    )


@pytest.fixture
def hub(tiny):
    """A Hugging Face hub that has one model, `owner/tiny`."""
    folder = Path(tiny("gpt2"))
    files = {file.name: file.read_bytes() for file in folder.iterdir()}

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._serve(body=False)

        def do_GET(self) -> None:
            self._serve(body=True)

        def log_message(self, *_: object) -> None:
            pass

        def _serve(self, body: bool) -> None:
            path = self.path.partition("?")[0]
            name = path.rpartition("/")[2]
            if path.startswith("/api/models/owner/tiny"):
                if "/tree/" in path:
                    listing: object = [
                        {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}
                        for name, data in files.items()
                    ]
                else:
                    siblings = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
                    listing = {"id": "owner/tiny", "sha": _COMMIT, "siblings": siblings, "private": False, "tags": []}
                self._send(200, json.dumps(listing).encode(), body, {"Content-Type": "application/json"})
            elif path.startswith("/owner/tiny/resolve/") and name in files:
                data = files[name]
                etag = hashlib.sha1(data).hexdigest()  # noqa: S324 - what the hub names files by
                self._send(200, data, body, {"ETag": f'"{etag}"', "X-Repo-Commit": _COMMIT})
            else:
                self._send(404, b"{}", body, {"X-Error-Code": "RepoNotFound"})

        def _send(self, status: int, data: bytes, body: bool, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(data))}).items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_model_is_got_to_know_from_the_command_line(tiny, command):
    """Raw text goes on as the settings say; wrong ones are named like their options."""
    written = command("generate", "The quick", "--model", tiny("llama"), "--max-new-tokens", "6")
    assert written.returncode == 0, written.stderr
    assert written.stdout.strip()
    again = command("generate", "The quick", "--model", tiny("llama"), "--max-new-tokens", "6")
    assert again.stdout == written.stdout
    wrong = command("generate", "x", "--temperature", "9", "--max-new-tokens", "0")
    assert wrong.returncode == 2
    assert "--temperature: " in wrong.stderr
    assert "--max-new-tokens: " in wrong.stderr


def test_missing_weights_are_one_clear_line(tmp_path):
    """Without asking any network."""
    found = knowledge_bot("generate", "x", folder=tmp_path, HF_HOME=str(tmp_path / "hf"))
    assert found.returncode == 1
    assert len(found.stderr.strip().splitlines()) == 1
    assert "knowledge-bot models download microsoft/DialoGPT-medium" in found.stderr


def test_answers_come_without_weights_with_one_line_that_says_so(tmp_path):
    """The product is the quotation."""
    (tmp_path / "knowledge").mkdir()
    (tmp_path / "knowledge" / "boiler.md").write_text("# Boiler\n\nThe boiler costs 42 euros.\n")
    environment = {"BOT_GENERATOR__PROVIDER": "local", "HF_HOME": str(tmp_path / "hf"), "BOT_LOG__FORMAT": "json"}
    asked = knowledge_bot("ask", "How much does the boiler cost?", "--json", folder=tmp_path, **environment)
    answer = json.loads(asked.stdout)
    assert (answer["answer"], answer["phrasing"]["outcome"]) == ("The boiler costs **42 euros**.", "failed")
    lines = [line for line in asked.stderr.splitlines() if "documents are quoted" in line]
    assert len(lines) == 1


def test_models_are_fetched_listed_used_and_removed(hub, tmp_path):
    """From the hub into the cache, and out of it."""
    environment = {
        "HF_ENDPOINT": hub,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",  # other tests have loaded models in this process, which sets it
        "BOT_GENERATOR__PROVIDER": "local",
        "BOT_GENERATOR__MODEL": "owner/tiny",
    }

    def listed() -> dict[str, object]:
        models = knowledge_bot("models", "--json", folder=tmp_path, **environment)
        assert models.returncode == 0, models.stderr
        return {model["role"]: model for model in json.loads(models.stdout)}["generator"]

    assert "models download owner/tiny" in str(listed()["missing"])
    fetched = knowledge_bot("models", "download", folder=tmp_path, **environment)
    assert fetched.returncode == 0, fetched.stderr
    there = listed()
    assert there["missing"] == ""
    assert there["memory"] < there["size"]
    written = knowledge_bot("generate", "The quick", "--max-new-tokens", "3", folder=tmp_path, **environment)
    assert written.returncode == 0, written.stderr
    gone = knowledge_bot("models", "remove", "owner/tiny", folder=tmp_path, **environment)
    assert "MB freed" in gone.stdout, gone.stderr
    assert listed()["missing"]
    again = knowledge_bot("models", "remove", "owner/tiny", folder=tmp_path, **environment)
    assert (again.returncode, "not there" in again.stderr) == (1, True)


def test_a_hub_that_is_not_there_or_has_no_such_model_is_told(hub, tmp_path):
    """In one line each."""
    environment = {"HF_HOME": str(tmp_path / "hf")}
    absent = knowledge_bot("models", "download", "owner/other", folder=tmp_path, HF_ENDPOINT=hub, **environment)
    assert (absent.returncode, "owner/other could not be fetched" in absent.stderr) == (1, True)
    nowhere = "http://127.0.0.1:9"
    offline = knowledge_bot("models", "download", "owner/tiny", folder=tmp_path, HF_ENDPOINT=nowhere, **environment)
    assert (offline.returncode, "could not be fetched" in offline.stderr) == (1, True)
    assert "Traceback" not in offline.stderr
