"""The steps that connect the bot to a platform, for `knowledge-bot setup` and for the console.

This module loads the libraries of the platforms, which takes a second: import it in a thread where an event loop runs.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from bot.adapters.checking import check_platform
from bot.adapters.discord import setup as discord
from bot.adapters.telegram import setup as telegram
from bot.core.diagnosis import Diagnosis
from bot.core.errors import SettingsError
from bot.core.platforms import Platform
from bot.core.settings import DEFAULT_FILE, Settings, variables_of, variables_set
from bot.core.settings.writing import write_secret


@dataclass(frozen=True, slots=True)
class Guide:
    """The way to a bot on one platform. See the properties and methods of PlatformSetup, which have the same names."""

    preparation: str
    how_to_write: str
    invitation: Callable[[Settings], Awaitable[list[str]]]
    first_message: Callable[[Settings], Awaitable[str]]


_GUIDES = {
    Platform.DISCORD: Guide(
        discord.PREPARATION,
        discord.HOW_TO_WRITE,
        lambda settings: discord.invitation(settings.discord),
        lambda settings: discord.first_message(settings.discord),
    ),
    Platform.TELEGRAM: Guide(
        telegram.PREPARATION,
        telegram.HOW_TO_WRITE,
        lambda settings: telegram.invitation(settings.telegram),
        lambda settings: telegram.first_message(settings.telegram),
    ),
}


class PlatformSetup:
    """The set-up of one platform with one token: check the token, keep it, invite the bot, wait for the first message."""

    def __init__(self, platform: Platform, settings: Settings, config: Path | None, token: str = "") -> None:
        """`token`: a new one, or empty for that of the settings. `config`: the settings file, None for the default one.

        Raises SettingsError where a new token would have no effect.
        """
        self._guide = _GUIDES[platform]
        self._platform = platform
        self._file = config or Path(DEFAULT_FILE)
        self._settings = settings
        if token:
            require_no_variable(platform)
            changed = settings.of_platform(platform).model_copy(update={"token": SecretStr(token)})
            self._settings = settings.model_copy(update={platform: changed})

    @property
    def preparation(self) -> str:
        """Some lines that explain how to get a token."""
        return self._guide.preparation

    @property
    def how_to_write(self) -> str:
        """The end of a sentence that begins with “Now” and explains how to send the bot a first message."""
        return self._guide.how_to_write

    def check(self) -> AsyncIterator[Diagnosis]:
        """Ask the platform about the token, and about the intents, permissions or modes that the bot needs."""
        return check_platform(self._settings, self._platform, online=True)

    def keep(self) -> str:
        """Write the token into the settings file and return a line that says so. Blocking. Raises SettingsError."""
        token = self._settings.of_platform(self._platform).token.get_secret_value()
        write_secret(self._file, self._platform, "token", token)
        return f"The token stands in {self._file} now, which only you can read. Keep it to yourself: it is a password."

    async def invitation(self) -> list[str]:
        """Return lines with the links by which people reach the bot or add it to their places; links are indented."""
        return await self._guide.invitation(self._settings)

    async def first_message(self) -> str:
        """Wait for the first message to the bot and return a line on it. Raises SettingsError where none can come."""
        return await self._guide.first_message(self._settings)


def require_no_variable(platform: Platform) -> None:
    """Raise SettingsError where the environment would win over a token in the settings file."""
    if found := sorted(variables_set().intersection(variables_of((platform, "token")))):
        raise SettingsError([f"{found[0]} is set in the environment and wins over the settings file: unset it first"])
