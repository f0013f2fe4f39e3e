"""Loading the settings from the settings file and the environment, and the origin of each."""

from pathlib import Path

import pydantic_settings
from pydantic import ValidationError

from bot.core.errors import SettingsError
from bot.core.settings.environment import variables_of
from bot.core.settings.erasing import variables_set
from bot.core.settings.file import DEFAULT_FILE, SettingsFile
from bot.core.settings.problems import described, wrong_variables
from bot.core.settings.schema import Settings, all_settings


def load_settings(file: Path | None = None) -> Settings:
    """Load the settings from `file` (default: `bot.toml` in the working folder, if there is one) and the environment.

    Raises SettingsError with every problem: its place, its cause and its fix.
    """
    if file is not None and not file.is_file():
        raise SettingsError([f"{file}: there is no such settings file; check the path, or leave it out"])
    file = file or Path(DEFAULT_FILE)
    source = SettingsFile(file)
    problems = list(wrong_variables())
    try:
        settings = Settings(**source.data)
    except ValidationError as error:
        problems += [described(source, detail["loc"], detail["type"], detail["msg"]) for detail in error.errors()]
    except pydantic_settings.SettingsError:  # a variable that no value can be read from, which is among the problems
        if not problems:
            raise
    if problems:
        raise SettingsError(problems)
    return _with_absolute_paths(settings, file.absolute().parent)


def origins(file: Path | None = None) -> dict[tuple[str, str], str]:
    """Return the origin of each setting that isn't left at its default: an environment variable, or a line of the file.

    `file` as for `load_settings`, which has read it. Raises SettingsError.
    """
    source = SettingsFile(file or Path(DEFAULT_FILE))
    present = variables_set()
    found = {}
    for section, key, _, _ in all_settings():
        path = (section, key)
        if variable := next((name for name in variables_of(path) if name in present), None):
            found[path] = f"environment variable {variable}"
        elif key in source.data.get(section, ()):
            found[path] = source.place(path)
    return found


def _with_absolute_paths(settings: Settings, base: Path) -> Settings:
    """Return the settings with their relative paths counted from `base`."""
    for name, key, _, _ in all_settings():
        section = getattr(settings, name)
        if isinstance(path := getattr(section, key), Path):
            settings = settings.model_copy(update={name: section.model_copy(update={key: base / path})})
    sources = tuple(
        source.model_copy(update={"file": base / source.file}) if source.file else source for source in settings.sources
    )
    return settings.model_copy(update={"sources": sources})
