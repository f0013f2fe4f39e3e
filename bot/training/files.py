"""JSON files of trainings, each written as a whole or not at all, and files with a JSON object on each line."""

import json
import os
from collections.abc import Collection, Iterator
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


def read_lines(file: Path, fix: str) -> list[tuple[int, str]]:
    """Return (number, text) of each line that isn't blank. Raises TrainingError, with `fix` where the file can't be read."""
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise TrainingError(f"{file} can't be read ({error.strerror}). {fix}") from error
    except UnicodeDecodeError as error:
        raise TrainingError(f"{file}: not UTF-8 text (byte {error.start + 1}); save it with that encoding.") from error
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def read_objects(file: Path, keys: Collection[str], fix: str) -> Iterator[dict[str, Any]]:
    """Yield the object on each line. Raises TrainingError, as `read_lines`, and if an object lacks a key."""
    for number, line in read_lines(file, fix):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise TrainingError(f"{file} line {number}: not valid JSON ({error})") from error
        if missing := [key for key in keys if key not in row] if isinstance(row, dict) else keys:
            raise TrainingError(
                f"{file} line {number}: not an object with {', '.join(keys)}: it has no {', '.join(missing)}"
            )
        yield row


def write_json(file: Path, data: object) -> None:
    """Write a file and sync it to the disk. Raises OSError."""
    unfinished = file.with_name(f".{file.name}.unfinished")
    with unfinished.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(data, indent=2) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(file)
