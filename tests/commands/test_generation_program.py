"""The commands of generation, started as a person starts them; and the hub, as a local server."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bot.core.settings import GeneratorSettings
from bot.inference.prompter import load_prompter
from bot.inference.prompts import Excerpt, PromptContent
from bot.inference.templates import SHIPPED

pytestmark = pytest.mark.timeout(600)
_COMMIT = "0123456789abcdef0123456789abcdef01234567"


def knowledge_bot(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1", **environment},
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


@pytest.mark.parametrize("kind", ["llama", "dialogpt", "gpt2", "t5", "bart"])
def test_the_prompt_of_a_question_is_shown_token_for_token(tiny, command, folder_of, tmp_path, kind):
    """Found and judged as for an answer, with the number of tokens; the weights are not even read."""
    folder_of({"boiler.md": "# Boiler\n\nThe boiler weighs 62 kilograms.\n"})
    model = tmp_path / "model"
    shutil.copytree(tiny(kind), model)
    (model / "model.safetensors").write_bytes(b"no weights")
    told = {"BOT_GENERATOR__PROVIDER": "local", "BOT_GENERATOR__MODEL": str(model)}
    shown = command("generate", "--show-prompt", "how much does the boiler weigh?", **told)
    assert shown.returncode == 0, shown.stderr
    prompter = load_prompter(model, GeneratorSettings(model=str(model)))
    excerpt = Excerpt("Boiler", "The boiler weighs 62 kilograms.")
    content = PromptContent("how much does the boiler weigh?", (excerpt,), (), GeneratorSettings().persona)
    tokens = prompter.encode(content).tokens
    assert shown.stdout == f"{prompter.text(tokens)}\n"
    most, new = prompter.token_limits
    assert (
        f"{len(tokens)} tokens of at most {most}, in the style {prompter.style}; up to {new} may follow" in shown.stderr
    )


def test_the_prompt_for_a_server_is_shown_with_its_roles(command, folder_of):
    """Its tokens are an estimate."""
    folder_of({"boiler.md": "# Boiler\n\nThe boiler weighs 62 kilograms.\n"})
    shown = command("generate", "--show-prompt", "how much does the boiler weigh?", BOT_GENERATOR__PROVIDER="openai")
    assert shown.stdout.startswith("[system]\nYou answer questions")
    assert "[user]\nDocument:\n\n# Boiler\n\nThe boiler weighs 62 kilograms." in shown.stdout
    assert re.match(r"about \d+ tokens of at most 1500, in the style chat", shown.stderr)


def test_no_prompt_is_shown_where_no_model_is_asked(tiny, command, folder_of):
    """And the reason is said; so is that of a broken file of prompts."""
    folder_of({"boiler.md": "# Boiler\n\nThe boiler weighs 62 kilograms.\n", "prompts.toml": "[chat]\nuser = 'x'\n"})
    told = {"BOT_GENERATOR__PROVIDER": "local", "BOT_GENERATOR__MODEL": tiny("llama")}
    shown = command("generate", "--show-prompt", "who won the chess championship of 1972?", **told)
    assert (shown.returncode, shown.stdout) == (0, "")
    assert "No model is asked: the question is declined" in shown.stderr
    broken = command(
        "generate", "--show-prompt", "how heavy is the boiler?", BOT_GENERATOR__PROMPTS="knowledge/prompts.toml", **told
    )
    assert broken.returncode == 2
    assert "prompts.toml: line 2: chat.user: {documents} is missing" in broken.stderr


def test_the_wording_that_ships_can_be_printed_to_change_it(command):
    """Byte for byte."""
    assert command("models", "prompts").stdout == SHIPPED.read_text(encoding="utf-8")
