"""Checks calls against the published description of the Bot API, where that is present beside the repository."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parents[3] / "shared" / "specs" / "telegram-api.json"
_PLAIN = {"Integer": int, "String": str, "Boolean": bool}


@cache
def description() -> Mapping[str, Any] | None:
    """The description, or None where it is not present."""
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else None


def parameter_types(method: str) -> dict[str, list[str]]:
    """The types of the parameters of a method, as far as the description is there."""
    known = (description() or {}).get("methods", {}).get(method, {})
    return {field["name"]: field["types"] for field in known.get("fields", [])}


def problems(method: str, parameters: Mapping[str, Any]) -> Iterator[str]:
    """The faults of a call, in sentences; none if the description is not present."""
    api = description()
    if api is None:
        return
    if method not in api["methods"]:
        yield f"there is no method {method}"
        return
    yield from _fields(method, api["methods"][method].get("fields", []), parameters)


def _fields(place: str, fields: list[dict[str, Any]], values: Mapping[str, Any]) -> Iterator[str]:
    known = {field["name"]: field for field in fields}
    for name in values.keys() - known.keys():
        yield f"{place} has no {name}"
    for name, field in known.items():
        if name in values:
            yield from _value(f"{place}.{name}", field["types"], values[name])
        elif field["required"]:
            yield f"{place} lacks {name}"


def _value(place: str, types: list[str], value: Any) -> Iterator[str]:
    """Nothing if the value is of one of the types, else what is wrong with it as the last of them."""
    wrong: list[str] = []
    for kind in types:
        wrong = list(_one_type(place, kind, value))
        if not wrong:
            return
    yield from wrong


def _one_type(place: str, kind: str, value: Any) -> Iterator[str]:
    api = description() or {}
    if kind.startswith("Array of "):
        if not isinstance(value, list):
            yield f"{place} is no list"
            return
        for number, item in enumerate(value):
            yield from _value(f"{place}[{number}]", [kind.removeprefix("Array of ")], item)
    elif kind in _PLAIN:
        if not isinstance(value, _PLAIN[kind]) or (kind == "Integer" and isinstance(value, bool)):
            yield f"{place} should be {kind} and is {value!r:.60}"
    elif kind in api["types"]:
        if not isinstance(value, dict):
            yield f"{place} should be a {kind}"
            return
        described = api["types"][kind]
        if subtypes := described.get("subtypes"):
            yield from _subtype(place, subtypes, value)
        else:
            yield from _fields(place, described.get("fields", []), value)


def _subtype(place: str, subtypes: list[str], value: dict[str, Any]) -> Iterator[str]:
    """The faults of a value as the subtype that fits it best."""
    api = description() or {}
    tried = [list(_fields(place, api["types"][name].get("fields", []), value)) for name in subtypes]
    yield from min(tried, key=len, default=[])
