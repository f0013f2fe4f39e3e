"""Checks requests against the published description of Discord's HTTP API, where that is present beside the repository."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

FOLDER = Path(__file__).parents[2].parent / "shared" / "specs"
DISCORD = FOLDER / "discord-openapi.json"
_SNOWFLAKE = 10**15  # from here on an integer is an id, which the real service takes as well as text


@cache
def discord_spec() -> "DiscordSpec | None":
    return DiscordSpec(json.loads(DISCORD.read_text())) if DISCORD.is_file() else None


class DiscordSpec:
    """The OpenAPI description of Discord's HTTP API."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._paths = [
            (re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path) + "$"), path, methods)
            for path, methods in spec["paths"].items()
        ]
        self._paths.sort(key=lambda entry: entry[1].count("{"))  # a literal path before one with places to fill in
        self._registry = Registry().with_resource("spec", Resource(spec, DRAFT202012))
        self._validators: dict[tuple[str, str], jsonschema.Draft202012Validator | None] = {}

    def problems(self, method: str, path: str, body: Any) -> Iterator[str]:
        """The reasons for which Discord would refuse a request; `path` without the version."""
        for pattern, template, methods in self._paths:
            if pattern.match(path) and method.lower() in methods:
                validator = self._validator(template, method.lower(), methods[method.lower()])
                if validator is not None and body is not None:
                    for error in validator.iter_errors(_with_text_ids(body)):
                        yield f"{method} {template}: {error.json_path}: {error.message[:300]}"
                return
        yield f"{method} {path}: there is no such route"

    def _validator(self, template: str, method: str, operation: Any) -> "jsonschema.Draft202012Validator | None":
        key = (template, method)
        if key not in self._validators:
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is None:
                self._validators[key] = None
            else:
                schema = _absolute(content["schema"])
                self._validators[key] = jsonschema.Draft202012Validator(schema, registry=self._registry)
        return self._validators[key]


def _absolute(schema: Any) -> Any:
    """References into the description as references into the registered resource."""
    if isinstance(schema, dict):
        return {
            key: f"spec{value}" if key == "$ref" and value.startswith("#") else _absolute(value)
            for key, value in schema.items()
        }
    return [_absolute(item) for item in schema] if isinstance(schema, list) else schema


def _with_text_ids(body: Any) -> Any:
    if isinstance(body, dict):
        body = {key: _with_text_ids(value) for key, value in body.items()}
        for attachment in body.get("attachments") or ():  # numbered, which the real service takes as well as text
            attachment["id"] = str(attachment["id"])
        if "channel_types" in body:  # media channels, which the description doesn't list for options
            body["channel_types"] = [kind for kind in body["channel_types"] if kind != 16]
        return body
    if isinstance(body, list):
        return [_with_text_ids(value) for value in body]
    return str(body) if isinstance(body, int) and not isinstance(body, bool) and abs(body) >= _SNOWFLAKE else body
