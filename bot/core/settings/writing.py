"""Writing a setting into the settings file, with all the rest left as it is, comments too."""

import os
import tomllib
from pathlib import Path
from tempfile import NamedTemporaryFile

import tomlkit
from tomlkit.exceptions import TOMLKitError

from bot.core.errors import SettingsError


def write_secret(file: Path, section: str, key: str, value: str) -> None:
    """Set `key` of a section in the file, which is made if there is none, and leave it readable for its owner alone.

    Raises SettingsError, and leaves the file as it was, where it can't be read or written.
    """
    try:
        text = file.read_text(encoding="utf-8-sig") if file.exists() else ""
        document = tomlkit.parse(text)
        document.setdefault(section, tomlkit.table())[key] = value
        written = tomlkit.dumps(document)
        tomllib.loads(written)
        _replace(file, written)
    except (OSError, UnicodeDecodeError, TOMLKitError, tomllib.TOMLDecodeError, TypeError) as error:
        raise SettingsError([f"{file}: {section}.{key} can't be written there ({error}); write it yourself"]) from error


def _replace(file: Path, text: str) -> None:
    """Write beside the file first, so that a full disk or a kill leaves the old one whole."""
    target = file.resolve()  # a link stays one
    with NamedTemporaryFile("w", dir=target.parent, prefix=f".{target.name}-", delete=False, encoding="utf-8") as new:
        try:
            new.write(text)
            new.flush()
            os.fsync(new.fileno())
            Path(new.name).replace(target)  # its mode is 0600
        except BaseException:
            Path(new.name).unlink(missing_ok=True)
            raise
