"""The container, the compose file and the systemd unit, held against the program. No engine builds them here."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from bot.cli import app
from bot.core.settings import PLAIN_VARIABLES, Settings, all_settings
from bot.runtime import daemon

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["bot"]
UNIT = (ROOT / "deploy" / "knowledge-bot.service").read_text()
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def instructions(kind: str) -> list[str]:
    """The arguments of every instruction of a kind, in the last stage."""
    final = DOCKERFILE.rpartition("\nFROM ")[2].replace("\\\n", " ")
    return re.findall(rf"^{kind}\s+(.*)$", final, re.MULTILINE)


def test_the_image_runs_a_command_that_exists_as_nobody_in_particular():
    """The same for its health check."""
    assert instructions("ENTRYPOINT") == ['["knowledge-bot"]']
    assert instructions("CMD") == ['["run"]']
    [check] = instructions("HEALTHCHECK")
    assert check.endswith('CMD ["knowledge-bot", "health"]')
    assert {"run", "health"} <= set(COMMANDS)
    [user] = instructions("USER")
    assert re.fullmatch(r"[1-9]\d{4}:[1-9]\d{4}", user), "a number, so that an orchestrator can see that it isn't root"
    assert instructions("STOPSIGNAL") == ["SIGTERM"]


def test_the_labels_say_what_the_project_says():
    """The licence and the sentence about it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [labels] = instructions("LABEL")
    told = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', labels))
    assert told == {"title": project["name"], "description": project["description"], "licenses": project["license"]}


def test_what_is_copied_exists_and_is_let_through_and_nothing_else_is():
    """A .env or a data folder that lies about never gets into an image."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    copied = {
        source
        for arguments in re.findall(r"^COPY\s+(?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for source in [part for part in arguments.split() if not part.startswith("--")][:-1]
    }
    assert copied == allowed
    assert all((ROOT / source).exists() for source in copied)


def test_the_build_installs_what_the_project_asks_for():
    """Through the constraints and the lock, from wheels, each from one index."""
    assert DOCKERFILE.count("-c constraints.txt") >= 2
    assert "--require-hashes -r requirements.lock" in DOCKERFILE
    assert "extra-index" not in DOCKERFILE + (ROOT / "Makefile").read_text(), "no index may stand in for another"
    assert "apt-get" not in DOCKERFILE
    assert "PIP_ONLY_BINARY=:all:" in DOCKERFILE


@pytest.mark.parametrize(
    "text", [DOCKERFILE, (ROOT / "compose.yaml").read_text(), UNIT], ids=["Dockerfile", "compose", "unit"]
)
def test_every_variable_that_is_named_is_a_setting(text):
    """And no token has a value."""
    known = {f"BOT_{section}__{key}".upper() for section, key, _, _ in all_settings()}
    assert set(re.findall(r"\bBOT_[A-Z_]+\b", text)) <= known
    assert set(re.findall(r"\b(?:DISCORD|TELEGRAM)_TOKEN\b", text)) <= set(PLAIN_VARIABLES)
    assert not re.search(r"TOKEN[=:] *(?!\.\.\.)[\w-]{6,}", text)


def test_the_volumes_of_the_compose_file_are_those_of_the_image():
    """So that nothing is lost with a container, and its root can be read-only."""
    [volumes] = instructions("VOLUME")
    mounted = {volume.split(":")[1] for volume in COMPOSE["volumes"]}
    assert mounted == {*re.findall(r'"([^"]+)"', volumes), "/bot/knowledge"}
    assert COMPOSE["read_only"] is True
    assert COMPOSE["tmpfs"] == ["/tmp"]  # noqa: S108
    assert COMPOSE["cap_drop"] == ["ALL"]


def test_whoever_stops_the_bot_waits_longer_than_it_takes():
    """Otherwise running answers are cut off."""
    longest = Settings().shutdown.grace_seconds + daemon._CLOSING
    assert float(COMPOSE["stop_grace_period"].rstrip("s")) > longest
    assert float(re.search(r"TimeoutStopSec=(\d+)", UNIT)[1]) > longest  # type: ignore[index]


def test_wrong_settings_are_not_started_again():
    """The exit code is the one that the program has for them."""
    assert re.search(r"RestartPreventExitStatus=2$", UNIT, re.MULTILINE)
