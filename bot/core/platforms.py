"""The names of the platforms, as settings, addresses and commands use them. Whatever lists platforms reads them here."""

from enum import StrEnum


class Platform(StrEnum):
    """The platforms that take a token. Each has a section of its own in the settings."""

    DISCORD = "discord"
    TELEGRAM = "telegram"


class AskedOn(StrEnum):
    """Where questions come from: the platforms, programs and browsers by HTTP, and the terminal of this machine."""

    DISCORD = Platform.DISCORD.value
    TELEGRAM = Platform.TELEGRAM.value
    HTTP = "http"
    TERMINAL = "terminal"
