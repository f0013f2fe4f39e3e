"""The front matter of Markdown, YAML between `---` or TOML between `+++`: the title, the address and the language."""

import re
import tomllib
import urllib.parse
from typing import Any

import yaml

from bot.knowledge.formats.decoding import well_formed

_YAML = re.compile(r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_TOML = re.compile(r"\A\+\+\+[ \t]*\n(.*?)^\+\+\+[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)


def front_matter(text: str) -> tuple[dict[str, str], str, list[str]]:
    """Return the keys that we know, the text without the front matter, and warnings about it.

    It is emptied rather than cut off, so that line numbers stay those of the file. Lines between two rules at the start
    that are no list of keys are ordinary text.
    """
    match, language = _YAML.match(text) or _TOML.match(text), "YAML" if text.startswith("---") else "TOML"
    if match is None:
        return {}, text, []
    source = "\n" * match.group().count("\n") + text[match.end() :]
    try:
        data = _parsed(match.group(1), language)
    except (yaml.YAMLError, tomllib.TOMLDecodeError, RecursionError):
        return {}, source, [f"the front matter is not valid {language} and was passed over"]
    if not isinstance(data, dict):
        return {}, text, []
    known = {key: data[key] for key in ("title", "url", "language") if key in data}
    warnings = [
        f"`{key}` in the front matter is not a text and was passed over"
        for key, value in known.items()
        if not isinstance(value, str)
    ]
    texts = {key: well_formed(value).strip() for key, value in known.items() if isinstance(value, str)}
    if (url := texts.get("url")) and not _is_web_address(url):
        line = 1 + text[: match.start(1)].count("\n") + _line_of_key("url", match.group(1))
        warnings.append(
            f"`url` in the front matter is no web address and was passed over (line {line}); it should be like "
            "https://example.org/page"
        )
        del texts["url"]
    return texts, source, warnings


def _parsed(written: str, language: str) -> Any:
    if language == "TOML":
        return tomllib.loads(written)
    # Every value is the text that stands there: 1.10 stays 1.10, and no date can be wrong.
    return yaml.load(written, Loader=yaml.BaseLoader) or {}  # noqa: S506  (it makes nothing but texts)


def _line_of_key(key: str, written: str) -> int:
    """Return the line of a key in the front matter, from 0."""
    lines = written.split("\n")
    return next((number for number, line in enumerate(lines) if line.strip().startswith(key)), 0)


def _is_web_address(url: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(url)
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", url) and parts.port != 0
        )
    except ValueError:
        return False
