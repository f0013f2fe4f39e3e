"""JSON files of trainings, each written as a whole or not at all."""

import json
import os
from pathlib import Path
from typing import Any, cast

from bot.core.errors import TrainingError


def read_json(file: Path) -> dict[str, Any] | None:
    """Read the object in a file; None if there is no file. Raises TrainingError if it is damaged."""
    try:
        return cast(dict[str, Any], json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise TrainingError(f"{file} is damaged: remove it, and repeat the command that makes it.") from error


def write_json(file: Path, data: object) -> None:
    """Write a file and sync it to the disk. Raises OSError."""
    unfinished = file.with_name(f".{file.name}.unfinished")
    with unfinished.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(data, indent=2) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(file)
