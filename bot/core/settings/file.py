"""The settings file: its values and their places in it."""

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

from bot.core.errors import SettingsError

DEFAULT_FILE = "bot.toml"


class SettingsFile:
    """The content of a settings file; empty if the file doesn't exist. Raises SettingsError if it can't be read."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lines: list[str] = []
        self.data: dict[str, Any] = {}
        if not file.is_file():
            return
        try:
            text = file.read_text(encoding="utf-8-sig")  # some editors put a mark at the beginning
            self.data = tomllib.loads(text)
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError([f"{file}: can't be read: {error}"]) from error
        except tomllib.TOMLDecodeError as error:
            raise SettingsError([f"{file}: not valid TOML: {error}; text values stand in quotes"]) from error
        self._lines = text.split("\n")

    def place(self, path: tuple[str, ...]) -> str:
        """Return `bot.toml line 7` for (section, key), or the file alone if the line can't be found."""
        section: tuple[str, ...] = ()
        blocks: Counter[str] = Counter()
        for number, line in enumerate(self._lines, start=1):
            if header := re.match(r"\s*\[(\[?)\s*([^\]]+?)\s*\]", line):
                repeated, name = header.groups()
                section = (name, str(blocks[name])) if repeated else (name,)
                blocks[name] += 1
                if path == section:
                    return f"{self._file} line {number}"
            elif section == path[:-1] and re.match(rf"\s*[\"']?{re.escape(path[-1])}[\"']?\s*=", line):
                return f"{self._file} line {number}"
        return str(self._file)
