"""The loader for Markdown (CommonMark with tables and front matter). Blocks keep the text and the lines of the file."""

import re
import urllib.parse
from typing import Any

import yaml
from markdown_it import MarkdownIt

from bot.core.documents import Document, Form, Locator
from bot.core.text import HTML_COMMENT
from bot.knowledge.formats.decoding import decode, well_formed
from bot.knowledge.formats.directives import without_directives
from bot.knowledge.formats.outline import LONGEST_HEADING, Outline

# The parser of blocks. Inline markup is parsed in headings only, which saves time.
_MARKDOWN = MarkdownIt("commonmark").enable("table").disable("inline")
_INLINE = MarkdownIt("commonmark")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_FORMS = {
    "paragraph_open": Form.PARAGRAPH,
    "blockquote_open": Form.PARAGRAPH,
    "html_block": Form.PARAGRAPH,
    "bullet_list_open": Form.LIST,
    "ordered_list_open": Form.LIST,
    "fence": Form.CODE,
    "code_block": Form.CODE,
    "table_open": Form.TABLE,
    "heading_open": Form.PARAGRAPH,  # one that is too long for a heading
}


def load(path: str, content: bytes) -> Document:
    text, warnings = decode(content)
    front_matter, source, remarks = _front_matter(text)
    outline = Outline(warnings=[*warnings, *remarks])
    _write_blocks(without_directives(source), outline)
    return outline.document(path, front_matter.get("title"), front_matter.get("url"), front_matter.get("language"))


def _write_blocks(source: str, outline: Outline) -> None:
    lines = source.split("\n")
    references: dict[str, Any] = {}
    tokens = _MARKDOWN.parse(source, references)
    for position, token in enumerate(tokens):
        if token.level != 0 or token.map is None:
            continue
        # A line of dashes below it makes a heading even of a long paragraph.
        if token.type == "heading_open" and len(markdown := tokens[position + 1].content) <= LONGEST_HEADING:
            locator = Locator(lines=(token.map[0] + 1, token.map[1]))
            outline.heading(int(token.tag[1:]), _plain_heading(markdown, references), locator)
        elif form := _FORMS.get(token.type):
            first, last = _without_blank_ends(lines, *token.map)
            text = "\n".join(lines[first:last])
            if token.type == "html_block" and not HTML_COMMENT.sub("", text).strip():
                continue
            outline.block(form, text, Locator(lines=(first + 1, last)))


def _without_blank_ends(lines: list[str], first: int, last: int) -> tuple[int, int]:
    while last > first and not lines[last - 1].strip():
        last -= 1
    while first < last and not lines[first].strip():
        first += 1
    return first, last


def _plain_heading(markdown: str, references: dict[str, Any]) -> str:
    """The text of a heading without its markup; for an image, its description."""
    [inline] = _INLINE.parseInline(markdown, references)
    shown = ("text", "code_inline", "image", "softbreak", "hardbreak")
    kept = (child.content for child in inline.children or () if child.type in shown)
    return " ".join("".join(part or " " for part in kept).split())


def _front_matter(text: str) -> tuple[dict[str, str], str, list[str]]:
    """The keys that we know, the text without the front matter, and what is wrong with it.

    It is emptied rather than cut off, so that line numbers stay those of the file. What stands between two rules at the
    start and is no list of keys is ordinary text.
    """
    match = _FRONT_MATTER.match(text)
    if match is None:
        return {}, text, []
    source = "\n" * match.group().count("\n") + text[match.end() :]
    try:
        # Every value is the text that stands there: 1.10 stays 1.10, and no date can be wrong.
        data = yaml.load(match.group(1), Loader=yaml.BaseLoader) or {}  # noqa: S506  (it makes nothing but texts)
    except (yaml.YAMLError, RecursionError):
        return {}, source, ["the front matter is not valid YAML and was passed over"]
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


def _line_of_key(key: str, front_matter: str) -> int:
    """The line of a key in the front matter, from 0."""
    lines = front_matter.split("\n")
    return next((number for number, line in enumerate(lines) if line.strip().startswith(key)), 0)


def _is_web_address(url: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(url)
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", url) and parts.port != 0
        )
    except ValueError:
        return False
