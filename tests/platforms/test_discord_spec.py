"""The published description of Discord's API, which the local server holds every request against."""

import pytest

from tests.platforms.discord_description import DISCORD, discord_spec

NOBODY = {"parse": []}


@pytest.fixture
def spec():
    spec = discord_spec()
    if spec is None:
        pytest.skip(f"requests are not held against Discord's description: {DISCORD.name} is not at hand")
    return spec


def test_a_right_request_has_no_problems(spec):
    """Ids as integers are fine, as they are for the real service."""
    reference = {"message_id": 1573657018202324992, "fail_if_not_exists": False}
    body = {"content": "x", "allowed_mentions": NOBODY, "message_reference": reference}
    assert list(spec.problems("POST", "/channels/1/messages", body)) == []
    assert list(spec.problems("GET", "/users/@me", None)) == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/channels/1/messages", {"content": "x" * 4001}),
        ("POST", "/channels/1/messages", {"content": "x", "nonce": "n" * 26}),
        ("POST", "/channels/1/messages", {"content": "x", "allowed_mentions": {"parse": ["nobody"]}}),
        ("POST", "/channels/1/messages/2/threads", {"name": "x" * 101}),
        ("PUT", "/applications/1/commands", [{"name": "x", "description": "y" * 101}]),
        ("POST", "/channels/1/no-such-thing", {}),
    ],
)
def test_what_discord_would_refuse_is_a_problem(spec, method, path, body):
    """Lengths, enumerations, unknown routes."""
    assert list(spec.problems(method, path, body))
