"""The settings, with unit, default and help, read from `bot.toml` and the environment.

The environment wins over the file: `BOT_ANSWER__THRESHOLD=0.6` is `threshold` in the section `[answer]`. All problems are
reported at once. Relative paths count from the folder of the settings file, or from the working folder without one.

`schema` has the whole, made of the sections in `documents`, `models`, `answering`, `platforms` and `operation`. `loading` reads
it from the `file` and the `environment`, and `problems` describes the mistakes in them.
"""

from bot.core.settings.answering import (
    AnswerSettings,
    ConversationSettings,
    GroundingSettings,
    LimitsSettings,
    QueueSettings,
    RetrievalSettings,
)
from bot.core.settings.documents import KnowledgeSettings, SourceSettings
from bot.core.settings.environment import CONFIG_VARIABLE, ENVIRONMENT_PREFIX, PLAIN_VARIABLES, variables_of
from bot.core.settings.erasing import erase_secret_variables, variables_set
from bot.core.settings.file import DEFAULT_FILE
from bot.core.settings.loading import load_settings, origins
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
from bot.core.settings.schema import Settings, all_settings, source_settings

__all__ = [
    "CONFIG_VARIABLE",
    "DEFAULT_FILE",
    "ENVIRONMENT_PREFIX",
    "PLAIN_VARIABLES",
    "AdministrationSettings",
    "AnswerSettings",
    "ConversationSettings",
    "DiscordSettings",
    "EncoderSettings",
    "FinetuningSettings",
    "GeneratorSettings",
    "GroundingSettings",
    "HttpSettings",
    "KnowledgeSettings",
    "LimitsSettings",
    "LogSettings",
    "ModelsSettings",
    "QueueSettings",
    "ReaderSettings",
    "RetrievalSettings",
    "Settings",
    "ShutdownSettings",
    "SourceSettings",
    "StorageSettings",
    "TasksSettings",
    "TelegramSettings",
    "all_settings",
    "erase_secret_variables",
    "load_settings",
    "origins",
    "source_settings",
    "variables_of",
    "variables_set",
]
