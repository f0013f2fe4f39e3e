"""The codes in the texts of Discord for emoji, people, roles, channels, commands and times, and their words."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

_EMOJI = re.compile(r"<a?:(\w+):\d+>")
_USER = re.compile(r"<@!?(\d+)>")
_ROLE = re.compile(r"<@&(\d+)>")
_CHANNEL = re.compile(r"<#(\d+)>")
_TIME = re.compile(r"<t:(-?\d+)(?::\w)?>")
_COMMAND = re.compile(r"</([^:<>]+):\d+>")
# With the comma or colon behind it at the beginning of a line, and the blank before it within one.
_ADDRESSED = re.compile(r"^[ \t]*(?:<@!?\d+>[\s,:;]*)+|[ \t]*<@!?\d+>", re.MULTILINE)

NameOf = Callable[[str], str | None]
"""Returns the name of a person, a role or a channel by its id; None if it isn't known."""


def without_codes(text: str, *, person: NameOf, role: NameOf, channel: NameOf) -> str:
    """Replace the codes by words and names."""
    text = _EMOJI.sub(r":\1:", text)
    text = _USER.sub(lambda code: f"@{person(code[1]) or 'somebody'}", text)
    text = _ROLE.sub(lambda code: f"@{role(code[1]) or 'a role'}", text)
    text = _CHANNEL.sub(lambda code: f"#{channel(code[1]) or 'a channel'}", text)
    return _COMMAND.sub(r"/\1", _TIME.sub(_in_words, text))


def without_people(text: str) -> str:
    """Take out the codes for people."""
    return _ADDRESSED.sub("", text)


def _in_words(code: re.Match[str]) -> str:
    """Return the date that a code for a time shows, which the client writes in the time zone of each reader."""
    try:
        return f"{datetime.fromtimestamp(int(code[1]), UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return "a time"
