"""The whole of the settings, and a list of them."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pydantic import SecretStr, field_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from bot.core.platforms import Platform
from bot.core.settings.answering import (
    AnswerSettings,
    ConversationSettings,
    GroundingSettings,
    LimitsSettings,
    QueueSettings,
    RetrievalSettings,
)
from bot.core.settings.documents import KnowledgeSettings, SourceSettings
from bot.core.settings.environment import DELIMITER, ENVIRONMENT_PREFIX, plain_values
from bot.core.settings.models import (
    EncoderSettings,
    FinetuningSettings,
    GeneratorSettings,
    ModelsSettings,
    ReaderSettings,
    TasksSettings,
)
from bot.core.settings.operation import LogSettings, ShutdownSettings, StorageSettings
from bot.core.settings.platforms import AdministrationSettings, DiscordSettings, HttpSettings, TelegramSettings
from bot.core.settings.values import SettingsSection

SOURCES = "sources"
"""The section that may stand in the settings file any number of times."""


class Settings(BaseSettings):
    """The whole configuration. Immutable; made by `load_settings`."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter=DELIMITER,
        env_ignore_empty=True,
    )

    knowledge: KnowledgeSettings = KnowledgeSettings()
    storage: StorageSettings = StorageSettings()
    models: ModelsSettings = ModelsSettings()
    encoder: EncoderSettings = EncoderSettings()
    reader: ReaderSettings = ReaderSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    answer: AnswerSettings = AnswerSettings()
    generator: GeneratorSettings = GeneratorSettings()
    grounding: GroundingSettings = GroundingSettings()
    tasks: TasksSettings = TasksSettings()
    finetuning: FinetuningSettings = FinetuningSettings()
    conversation: ConversationSettings = ConversationSettings()
    queue: QueueSettings = QueueSettings()
    limits: LimitsSettings = LimitsSettings()
    administration: AdministrationSettings = AdministrationSettings()
    discord: DiscordSettings = DiscordSettings()
    telegram: TelegramSettings = TelegramSettings()
    http: HttpSettings = HttpSettings()
    shutdown: ShutdownSettings = ShutdownSettings()
    log: LogSettings = LogSettings()
    sources: tuple[SourceSettings, ...] = ()

    @field_validator("sources")
    @classmethod
    def _named_once(cls, sources: tuple[SourceSettings, ...]) -> tuple[SourceSettings, ...]:
        names = Counter(source.name for source in sources)
        for name in (name for name, count in names.items() if count > 1):
            raise ValueError(f"two sources are called {name}; give each a name of its own")
        return sources

    @property
    def platforms(self) -> list[Platform]:
        """The platforms whose token is set."""
        return [platform for platform in Platform if self.of_platform(platform).token.get_secret_value()]

    def of_platform(self, platform: Platform) -> DiscordSettings | TelegramSettings:
        """Return the section of a platform."""
        sections: dict[Platform, DiscordSettings | TelegramSettings] = {
            Platform.DISCORD: self.discord,
            Platform.TELEGRAM: self.telegram,
        }
        return sections[platform]

    @property
    def secrets(self) -> list[str]:
        """The values of all secret settings that are set."""
        values = [getattr(getattr(self, section), key) for section, key, _, _ in all_settings()]
        return [
            *(value.get_secret_value() for value in values if isinstance(value, SecretStr) and value),
            *(source.secret for source in self.sources if source.secret),
        ]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the environment before the arguments, which are the content of the file."""
        return env_settings, InitSettingsSource(settings_cls, plain_values()), init_settings


def all_settings() -> Iterator[tuple[str, str, Any, str]]:
    """Yield (section, key, default, help) of every setting, in the order of the example file, but for those of sources."""
    for section, field in Settings.model_fields.items():
        if isinstance(field.default, SettingsSection):
            yield from _settings_of(section, type(field.default))


def source_settings() -> Iterator[tuple[str, str, Any, str]]:
    """Yield ("sources", key, default, help) of every setting that a source has."""
    return _settings_of(SOURCES, SourceSettings)


def _settings_of(name: str, section: type[SettingsSection]) -> Iterator[tuple[str, str, Any, str]]:
    for key, setting in section.model_fields.items():
        yield name, key, setting.default, setting.description or ""
