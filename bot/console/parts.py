"""What the pages of the console show and change."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.core.settings import Settings
from bot.observability.health import Health
from bot.questions.administration import Administration
from bot.questions.entries import Entries
from bot.storage.base import HistoryStore


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the running bot that the console looks at. `config` is the settings file, None for the default one.
    `models` returns a description of each model that is loaded, by its role."""

    administration: Administration
    entries: Entries
    health: Health
    models: Callable[[], Mapping[str, Mapping[str, object]]]
    config: Path | None = None

    @property
    def settings(self) -> Settings:
        return self.administration.settings

    @property
    def history(self) -> HistoryStore:
        return self.administration.journal.history
