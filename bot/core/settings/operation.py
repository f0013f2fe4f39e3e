"""The settings of the process: its data folder, its end and its log."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from bot.core.settings.values import Folder, Seconds, SettingsSection


class StorageSettings(SettingsSection):
    """The data folder, and how long questions are kept in it."""

    folder: Folder = Field(
        Path("data"), description="Where the index and the journal are kept. Change it to keep them on another disk."
    )
    answer_days: float = Field(
        30,
        ge=0,
        description="Days for which a delivered answer is kept with its question, so that its buttons work and an edited "
        "question is answered again. 0: erased once it is delivered. Lower it where less of what people ask "
        "may be kept.",
    )


class ShutdownSettings(SettingsSection):
    """The stop of the bot."""

    grace_seconds: Seconds = Field(
        10,
        description="Seconds for running answers to finish when the bot is stopped. Raise it where answers take longer.",
    )


class LogSettings(SettingsSection):
    """The log."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least severe lines logged. Choose debug to look for a fault."
    )
    format: Literal["auto", "console", "json"] = Field(
        "auto",
        description="Form of the log lines. auto: for people on a terminal, JSON elsewhere. Choose json where a program "
        "reads them from a terminal.",
    )
