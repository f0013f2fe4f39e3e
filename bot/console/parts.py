"""The parts of the bot that the console shows and changes."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bot.core.diagnosis import Diagnosis
from bot.core.platforms import Platform
from bot.core.settings import Settings
from bot.observability.health import Health
from bot.questions.administration import Administration
from bot.questions.entries import Entries
from bot.storage.base import HistoryStore


class Setup(Protocol):
    """The steps that connect the bot to one platform with one token; see `adapters.setting_up.PlatformSetup`."""

    @property
    def preparation(self) -> str: ...

    @property
    def how_to_write(self) -> str: ...

    def check(self) -> AsyncIterator[Diagnosis]: ...

    def keep(self) -> str: ...

    async def invitation(self) -> list[str]: ...

    async def first_message(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the running bot. `config` is the settings file, None for the default one. `models` returns a description of
    each model that is loaded, by its role. `make_setup` makes the set-up of a platform with a token, empty for that of the
    settings; it blocks for a second, and raises SettingsError where a new token would have no effect."""

    administration: Administration
    entries: Entries
    health: Health
    models: Callable[[], Mapping[str, Mapping[str, object]]]
    make_setup: Callable[[Platform, str], Setup]
    config: Path | None = None

    @property
    def settings(self) -> Settings:
        return self.administration.settings

    @property
    def history(self) -> HistoryStore:
        return self.administration.journal.history
