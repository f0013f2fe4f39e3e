"""The environment variables that settings are read from."""

import os
from typing import Any

from bot.core.platforms import Platform

ENVIRONMENT_PREFIX = "BOT_"
DELIMITER = "__"
CONFIG_VARIABLE = "BOT_CONFIG"
"""The variable that names the settings file. It is no setting itself."""

PLAIN_VARIABLES = {
    **{f"{platform.upper()}_TOKEN": (platform.value, "token") for platform in Platform},
    "OPENAI_API_KEY": ("generator", "api_key"),
}
"""Common names of some settings, such as DISCORD_TOKEN. The variable with the prefix wins over them."""


def variable_of(path: tuple[str, ...]) -> str:
    """Return the variable with the prefix of (section, key)."""
    return ENVIRONMENT_PREFIX + DELIMITER.join(path).upper()


def variables_of(path: tuple[str, ...]) -> list[str]:
    """Return the names of the variables that (section, key) is read from. The first of them that has a value wins."""
    return [variable_of(path), *(name for name, setting in PLAIN_VARIABLES.items() if setting == path)]


def plain_values() -> dict[str, Any]:
    """Return the values of PLAIN_VARIABLES that are set, by section and key."""
    return {
        section: {key: os.environ[name]} for name, (section, key) in PLAIN_VARIABLES.items() if os.environ.get(name)
    }
