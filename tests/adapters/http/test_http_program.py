"""The whole program, as an operator starts it: real processes, the real models, a real kill -9, the real OpenAI client."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx
import openai
import pytest

pytestmark = pytest.mark.timeout(400)  # a machine that does much else takes a minute to start a process
QUESTION = "how hot should the water be?"
ANSWER = "92 to 96 degrees"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "knowledge").mkdir()
    (tmp_path / "knowledge" / "guide.md").write_text("# Brewing guide\n\n## Water\n\nUse water at 92 to 96 degrees.\n")
    return tmp_path


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


# The program, whose models are never loaded: their thread computes for as long as the process lives.
LOADS_FOR_EVER = """
import torch
from bot.cli import main
from bot.runtime import loading

def load_models(_settings):
    weights = torch.ones(300, 300)
    while True:
        weights @ weights

loading.load_models = load_models
main()
"""


@contextmanager
def running(
    place: Path, port: int, *, program: tuple[str, str] = ("-m", "bot"), **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A bot without a platform and without a terminal."""
    with (place / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *program, "run"],
            cwd=place,
            env=os.environ | {"BOT_HTTP__PORT": str(port), "OMP_NUM_THREADS": "1"} | environment,
            stdin=subprocess.DEVNULL,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until_ready(port: int) -> None:
    end = time.monotonic() + 180
    while time.monotonic() < end:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("the bot did not get ready")


def journalled(place: Path) -> int:
    """How many questions the journal has."""
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(place / "data" / "journal.sqlite3")) as db:
        return db.execute("SELECT count(*) FROM questions").fetchone()[0]
    return 0


def test_without_a_platform_and_a_terminal_the_program_answers_by_http(place, port, command):
    """It says how to ask, answers clients, tells how it is, and stops cleanly; nothing that was asked is in the log."""
    with running(place, port) as process:
        wait_until_ready(port)
        told = httpx.post(f"http://127.0.0.1:{port}/v1/answers", json={"question": QUESTION}, timeout=30).json()
        assert told["span"] == ANSWER
        with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none") as client:
            completion = client.chat.completions.create(
                model="knowledge-bot", messages=[{"role": "user", "content": QUESTION}]
            )
        assert ANSWER in completion.choices[0].message.content
        assert completion.usage.prompt_tokens > 5
        asked = command("health", "--ready", BOT_HTTP__PORT=str(port))
        assert asked.returncode == 0
        assert "http: ready" in asked.stdout
        assert json.loads(command("health", "--json", BOT_HTTP__PORT=str(port)).stdout)["status"] == "ready"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    log = (place / "log").read_text()
    assert f"curl http://127.0.0.1:{port}/v1/answers" in log
    assert '"event": "question"' in log
    assert "hot" not in log
    assert "Traceback" not in log


def test_a_key_gets_its_answer_after_kill_9(place, port):
    """An accepted question is answered by the next start, once."""
    key = {"Idempotency-Key": "after-the-crash"}
    url = f"http://127.0.0.1:{port}/v1/answers"
    with running(place, port, BOT_ENCODER__MODEL="none") as process:
        end = time.monotonic() + 90
        while not journalled(place):  # as soon as it listens: the models are still being loaded, and questions wait
            assert time.monotonic() < end
            with suppress(httpx.TransportError):
                httpx.post(url, json={"question": QUESTION}, headers=key, timeout=1)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with running(place, port, BOT_ENCODER__MODEL="none"):
        wait_until_ready(port)
        first = httpx.post(url, json={"question": QUESTION}, headers=key, timeout=30).json()
        again = httpx.post(url, json={"question": QUESTION}, headers=key, timeout=30).json()
        figures = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert first["span"] == ANSWER
    assert again == first
    assert 'knowledge_bot_questions_accepted_total{platform="http"}' not in figures


def test_beyond_this_machine_the_program_does_not_start_without_a_token(place, command):
    """With the fix, and the exit code of wrong settings."""
    done = command("run", BOT_HTTP__HOST="0.0.0.0")  # noqa: S104
    assert done.returncode == 2
    assert "set http.token (openssl rand -hex 32 makes one)" in done.stderr


def test_a_taken_port_ends_a_bot_that_has_nothing_else(place):
    """With the fix and nothing else, although a model is being loaded, which can't be stopped."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = subprocess.run(
            [sys.executable, "-c", LOADS_FOR_EVER, "run"],
            cwd=place,
            env=os.environ | {"BOT_HTTP__PORT": str(taken.getsockname()[1])},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=100,
        )
    assert done.returncode == 2
    heading, problem = done.stderr.splitlines()
    assert heading == "Please correct the settings:"
    assert problem.startswith("http.host, http.port: ")
    assert problem.endswith("; choose another port")


def test_a_signal_ends_a_bot_whose_models_are_being_loaded(place, port):
    """With success, as at any other time."""
    with running(place, port, program=("-c", LOADS_FOR_EVER)) as process:
        end = time.monotonic() + 100
        while b'"started"' not in (place / "log").read_bytes():
            assert time.monotonic() < end
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert "terminate called" not in (place / "log").read_text()


def test_health_fails_where_no_bot_runs(place, port, command):
    """In one line, and not where something else answers either."""
    done = command("health", BOT_HTTP__PORT=str(port))
    assert done.returncode == 1
    assert f"No bot answers at 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_http_there_is_nothing_to_serve(place, command):
    """The message names every way out."""
    done = command("run", BOT_HTTP__ENABLED="false")
    assert done.returncode == 2
    assert "http.enabled" in done.stderr
