"""What the Bot API does with formatted text: HTML parsed as strictly as the real service does it, entities checked, and all
lengths counted in UTF-16 units."""

import re
from dataclasses import dataclass
from html import unescape
from typing import Any

LONGEST_TEXT = 4096  # UTF-16 units, after parsing
LONGEST_CAPTION = 1024
MOST_ENTITIES = 100  # further ones are dropped
_TAGS = {
    **dict.fromkeys(("b", "strong"), "bold"),
    **dict.fromkeys(("i", "em"), "italic"),
    **dict.fromkeys(("u", "ins"), "underline"),
    **dict.fromkeys(("s", "strike", "del"), "strikethrough"),
    "code": "code",
    "pre": "pre",
    "a": "text_link",
    "tg-spoiler": "spoiler",
    "blockquote": "blockquote",
}
_PIECE = re.compile(r"<(/?)([^\s<>/]*)([^<>]*)>|&(?:#\d+|#x[0-9a-fA-F]+|lt|gt|amp|quot);|.", re.DOTALL)
_ATTRIBUTE = re.compile(r"""\s+([\w-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?""")


class Refused(Exception):
    """A call that the service answers with an error."""

    def __init__(self, code: int, description: str, **parameters: int) -> None:
        self.code = code
        self.description = description
        self.parameters = parameters
        super().__init__(f"{code} {description}")


@dataclass(frozen=True)
class Formatted:
    text: str
    entities: list[dict[str, Any]]


def units(text: str) -> int:
    """The length in UTF-16 units."""
    return len(text.encode("utf-16-le")) // 2


def piece(text: str, entity: dict[str, Any]) -> str:
    """The part of the text that an entity covers."""
    start = entity["offset"] * 2
    return text.encode("utf-16-le")[start : start + entity["length"] * 2].decode("utf-16-le")


def formatted(
    text: str, parse_mode: str | None, entities: list[dict[str, Any]] | None, longest: int = LONGEST_TEXT
) -> Formatted:
    """The text as it is kept. Raises Refused as the service does."""
    match parse_mode:
        case None:
            result = Formatted(text, _checked(text, entities or []))
        case "HTML":
            result = _parsed_html(text)
        case _:
            raise Refused(400, "Bad Request: unsupported parse_mode")
    if not result.text.strip():
        raise Refused(400, "Bad Request: message text is empty")
    if units(result.text) > longest:
        raise Refused(400, "Bad Request: message is too long")
    return result


def _checked(text: str, entities: list[dict[str, Any]]) -> list[dict[str, Any]]:
    encoded = text.encode("utf-16-le")
    kept = []
    for entity in entities[:MOST_ENTITIES]:
        start, end = entity["offset"], entity["offset"] + entity["length"]
        if start < 0 or entity["length"] <= 0 or end * 2 > len(encoded):
            continue
        for place, verb in ((start, "begins"), (end, "ends")):
            if 0xDC <= (encoded[place * 2 + 1 : place * 2 + 2] or b"\0")[0] <= 0xDF:
                raise Refused(400, f"Bad Request: entity {verb} in a middle of a UTF-16 symbol at byte offset {place}")
        if entity["type"] == "text_link" and not re.match(r"(https?|tg)://[^\s/]", entity["url"]):
            continue
        kept.append(entity)
    return kept


def _parsed_html(source: str) -> Formatted:
    text = ""
    entities: list[dict[str, Any]] = []
    open_tags: list[tuple[str, int, dict[str, str]]] = []
    for match in _PIECE.finditer(source):
        closing, tag, attributes = match[1], match[2], match[3]
        if tag is None:
            if match[0] == "<":
                raise _cant_parse(f"Unsupported start tag at byte offset {match.start()}")
            text += unescape(match[0])
        elif not closing:
            if tag.lower() not in _TAGS:
                raise _cant_parse(f'Unsupported start tag "{tag}" at byte offset {match.start()}')
            found = {name: first or second or third for name, first, second, third in _ATTRIBUTE.findall(attributes)}
            open_tags.append((tag.lower(), units(text), found))
        else:
            if not open_tags:
                raise _cant_parse(f"Unexpected end tag at byte offset {match.start()}")
            expected, start, found = open_tags.pop()
            if tag.lower() != expected:
                raise _cant_parse(f'Unmatched end tag at byte offset {match.start()}, expected "</{expected}>"')
            if units(text) > start:
                entity = {"type": _TAGS[expected], "offset": start, "length": units(text) - start}
                entities.append(entity | ({"url": found.get("href", "")} if expected == "a" else {}))
    if open_tags:
        raise _cant_parse(f"Can't find end tag corresponding to start tag {open_tags[-1][0]!r}")
    return Formatted(text, entities)


def _cant_parse(reason: str) -> Refused:
    return Refused(400, f"Bad Request: can't parse entities: {reason}")
