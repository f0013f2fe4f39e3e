"""Advice for settings that don't exist: a similar name, or to remove them."""

import difflib

from bot.core.settings.environment import variable_of
from bot.core.settings.schema import SOURCES, Settings, all_settings, source_settings

# Removed settings, each with the one to see instead, if there is one; never suggest a similar name for these.
_FORMER = {
    "discord.messages": "",
    "encoder.dtype": "",
    "generator.retries": "",
    "generator.stall_seconds": "generator.deadline_seconds, a third of which it is",
    "http.body_bytes": "",
    "http.connections": "",
    "http.timeout_seconds": "queue.deadline_seconds, after which a request still waits for 4 minutes",
    "limits.window_seconds": "",
    "models.stuck_seconds": "",
    "queue.late_seconds": "",
    "reader.dtype": "",
    "retrieval.passages": "answer.read_passages, which it follows",
    "telegram.poll_seconds": "",
    "telegram.stale_questions": "queue.expire_seconds, which closes late questions at 600",
    "telegram.stale_seconds": "",
    "telegram.webhook_secret": "",
}
_REMOVE_IT = "remove it (bot.example.toml lists all settings)"


def advice(path: tuple[str, ...], in_environment: bool) -> str:
    """Return the end of a sentence that begins with `there is no such setting`, for a path such as (section, key)."""
    name = ".".join(path)
    if name in _FORMER:
        return f" any more; see {_FORMER[name]}" if _FORMER[name] else f" any more; {_REMOVE_IT}"
    known: dict[str, tuple[str, ...]] = {f"{section}.{key}": (section, key) for section, key, _, _ in all_settings()}
    if not in_environment:
        known |= {section: (section,) for section in Settings.model_fields}
    if path[0] == SOURCES and len(path) == 3:
        known = {key: (key,) for _, key, _, _ in source_settings()}
        name = path[2]
    elif path[0] in Settings.model_fields and len(path) == 2:
        known = {key: (path[0], key) for section, key, _, _ in all_settings() if section == path[0]}
        name = path[1]
    for close in difflib.get_close_matches(name, known, n=1, cutoff=0.6):
        return f"; did you mean {variable_of(known[close]) if in_environment else '.'.join(known[close])}?"
    return f"; {_REMOVE_IT}"
