"""The steps that connect the bot to a platform, for `knowledge-bot setup` and for the console."""

from collections.abc import AsyncIterator
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bot.adapters.checking import check_platform
from bot.core.diagnosis import Diagnosis
from bot.core.errors import SettingsError
from bot.core.settings import DEFAULT_FILE, Settings, variables_of, variables_set
from bot.core.settings.writing import write_secret


class PlatformSetup:
    """The set-up of one platform with one token: check the token, keep it, invite the bot, wait for the first message.

    It imports the library of the platform, which takes a second: make it in a thread where an event loop runs.
    """

    def __init__(self, platform: str, settings: Settings, config: Path | None, token: str = "") -> None:
        """`token`: a new one, or empty for that of the settings. `config`: the settings file, None for the default one.

        Raises SettingsError where a new token would have no effect.
        """
        self._guide: Any = import_module(f"bot.adapters.{platform}.setup")
        self._platform = platform
        self._file = config or Path(DEFAULT_FILE)
        self._settings = settings
        if token:
            require_no_variable(platform)
            chosen = getattr(settings, platform)
            changed = chosen.model_copy(update={"token": SecretStr(token)})
            self._settings = settings.model_copy(update={platform: changed})

    @property
    def preparation(self) -> str:
        """Some lines that explain how to get a token."""
        return str(self._guide.PREPARATION)

    @property
    def how_to_write(self) -> str:
        """The end of a sentence that begins with “Now” and explains how to send the bot a first message."""
        return str(self._guide.HOW_TO_WRITE)

    def check(self) -> AsyncIterator[Diagnosis]:
        """Ask the platform about the token, and about the intents, permissions or modes that the bot needs."""
        return check_platform(self._settings, self._platform, online=True)

    def keep(self) -> str:
        """Write the token into the settings file and return a line that says so. Blocking. Raises SettingsError."""
        write_secret(self._file, self._platform, "token", self._chosen.token.get_secret_value())
        return f"The token stands in {self._file} now, which only you can read. Keep it to yourself: it is a password."

    async def invitation(self) -> list[str]:
        """Return lines with the links by which people reach the bot or add it to their places; links are indented."""
        return list(await self._guide.invitation(self._chosen))

    async def first_message(self) -> str:
        """Wait for the first message to the bot and return a line on it. Raises SettingsError where none can come."""
        return str(await self._guide.first_message(self._chosen))

    @property
    def _chosen(self) -> Any:
        return getattr(self._settings, self._platform)


def require_no_variable(platform: str) -> None:
    """Raise SettingsError where the environment would win over a token in the settings file."""
    if found := sorted(variables_set().intersection(variables_of((platform, "token")))):
        raise SettingsError([f"{found[0]} is set in the environment and wins over the settings file: unset it first"])
