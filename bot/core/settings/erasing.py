"""Erasing secrets from the environment, once they were read."""

import os

from pydantic import SecretStr

from bot.core.process import erase_variable
from bot.core.settings.environment import variables_of
from bot.core.settings.schema import all_settings

# The names of the variables that had a value before it was erased.
_erased: set[str] = set()


def erase_secret_variables() -> None:
    """Take the secrets out of the environment, so that no child process and no other program finds them."""
    secret = {
        name
        for section, key, default, _ in all_settings()
        if isinstance(default, SecretStr)
        for name in variables_of((section, key))
    }
    for name in [name for name in os.environ if name.upper() in secret]:
        if os.environ[name]:
            _erased.add(name.upper())
        erase_variable(name)


def variables_set() -> set[str]:
    """Return the names of the environment variables that have a value, or had one that was erased, in upper case."""
    return {name.upper() for name, value in os.environ.items() if value} | _erased
