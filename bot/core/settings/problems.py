"""Descriptions of wrong settings: the place, the cause and the fix of each."""

import json
import os
from collections.abc import Iterator

from bot.core.settings.environment import CONFIG_VARIABLE, DELIMITER, ENVIRONMENT_PREFIX, variable_of
from bot.core.settings.file import SettingsFile
from bot.core.settings.schema import SOURCES, Settings, all_settings
from bot.core.settings.suggestions import advice

# Replacements for messages of pydantic that only programmers understand, by kind of error.
_MESSAGES = {
    "model_type": "this is a section, which begins with its name in brackets on a line of its own",
    "path_type": "input should be a path, in quotes",
    "string_pattern_mismatch": "input should begin with http:// or https:// and have no spaces",
}


def described(file: SettingsFile, location: tuple[int | str, ...], kind: str, message: str) -> str:
    """Return an error of pydantic's validation as a sentence that begins with its place in the file or the environment."""
    path = tuple(str(part) for part in location)
    setting = path[:3] if path[0] == SOURCES else path[:2]  # without the number of an item in a list
    variable = variable_of(setting)
    in_environment = any(value and name.upper() == variable for name, value in os.environ.items())
    place = f"environment variable {variable}" if in_environment else f"{file.place(setting)}: {'.'.join(path)}"
    if kind == "extra_forbidden":
        return f"{place}: there is no such setting{advice(path, in_environment)}"
    if path == (SOURCES,) and kind == "tuple_type":
        return f"{place}: each source begins with [[{SOURCES}]] on a line of its own"
    message = _MESSAGES.get(kind, message.removeprefix("Value error, "))
    return f"{place}: {message[:1].lower()}{message[1:]}"


def wrong_variables() -> Iterator[str]:
    """Yield a problem for each variable with our prefix that names no setting, or whose list can't be read.

    A wrong key of a section, and a wrong value, are found by the validation.
    """
    lists = {variable_of((section, key)) for section, key, default, _ in all_settings() if isinstance(default, tuple)}
    for name, value in os.environ.items():
        if not name.upper().startswith(ENVIRONMENT_PREFIX) or name == CONFIG_VARIABLE:
            continue
        path = tuple(name[len(ENVIRONMENT_PREFIX) :].lower().split(DELIMITER))
        if path[0] not in Settings.model_fields or path[0] == SOURCES or len(path) != 2:
            yield f"environment variable {name}: there is no such setting{advice(path, in_environment=True)}"
        elif name.upper() in lists and value and not _is_json(value):
            yield f'environment variable {name}: a list stands in brackets, and texts in quotes: [1, 2] or ["a", "b"]'


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
