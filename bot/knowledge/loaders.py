"""One loader a format, found by suffix: the bytes of a file -> its Document of blocks.

A loader keeps the text as it stands, markup included, because answers quote it word for word. It never opens, runs or
fetches anything. What it can't read it refuses with a DocumentError that says what to do.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import yaml
from markdown_it import MarkdownIt

from bot.documents import Block, Document, Form, Locator
from bot.errors import DocumentError
from bot.text import HTML_COMMENT

Loader = Callable[[str, bytes], Document]
"""(path relative to the folder, content) -> Document. Raises DocumentError."""


def load(path: str, content: bytes) -> Document:
    """Read one file with the loader for its suffix."""
    loader = LOADERS.get(PurePosixPath(path).suffix.lower())
    if loader is None:
        raise DocumentError(f"this format isn't read; these are: {', '.join(sorted(LOADERS))}")
    return loader(path, content)


# --- Markdown ---------------------------------------------------------------------------------------------------------

# Blocks alone: of what stands within them only headings are ever taken apart, which also spares the time for the rest.
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
# What is longer is a paragraph that happens to stand above a line of dashes.
_LONGEST_HEADING = 300  # characters


def load_markdown(path: str, content: bytes) -> Document:
    front_matter, source, warnings = _front_matter(_decode(content))
    headings, blocks = _markdown_blocks(source)
    title = front_matter.get("title") or next(filter(None, headings), None) or _title_from_path(path)
    return Document(
        path=path,
        title=title,
        blocks=tuple(_without_title(block, title) for block in blocks),
        url=front_matter.get("url") or None,
        language=front_matter.get("language") or None,
        warnings=tuple(warnings),
    )


def _markdown_blocks(source: str) -> tuple[list[str], list[Block]]:
    """All headings in order, and the blocks, each under the headings that hold at its place."""
    lines = source.split("\n")
    references: dict[str, Any] = {}
    tokens = _MARKDOWN.parse(source, references)
    headings: list[str] = []
    path: list[tuple[int, str]] = []  # (level, heading), outermost first
    blocks: list[Block] = []
    for position, token in enumerate(tokens):
        if token.level != 0 or token.map is None:
            continue
        if token.type == "heading_open" and len(markdown := tokens[position + 1].content) <= _LONGEST_HEADING:
            level, heading = int(token.tag[1:]), _plain_heading(markdown, references)
            path = [(above, text) for above, text in path if above < level] + [(level, heading)]
            headings.append(heading)
        elif form := _FORMS.get(token.type):
            first, last = _without_blank_ends(lines, *token.map)
            text = "\n".join(lines[first:last])
            if not text.strip() or (token.type == "html_block" and not HTML_COMMENT.sub("", text).strip()):
                continue
            heading_path = tuple(text for _, text in path if text)
            blocks.append(Block(form, text, heading_path, Locator(lines=(first + 1, last))))
    return headings, blocks


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
    return (
        {key: _well_formed(value).strip() for key, value in known.items() if isinstance(value, str)},
        source,
        warnings,
    )


def _without_title(block: Block, title: str) -> Block:
    """The document's title stands beside every heading path, so a path that begins with it would say it twice."""
    if block.heading[:1] != (title,):
        return block
    return replace(block, heading=block.heading[1:])


# --- plain text -------------------------------------------------------------------------------------------------------

_LIST_ITEM = re.compile(r"\s*(?:[-*+•]|\d{1,3}[.)])\s+\S")


def load_text(path: str, content: bytes) -> Document:
    """Paragraphs are what blank lines separate; one whose first line looks like a list item is a list."""
    blocks = []
    for first, paragraph in _paragraphs(_decode(content).split("\n")):
        form = Form.LIST if _LIST_ITEM.match(paragraph[0]) and len(paragraph) > 1 else Form.PARAGRAPH
        locator = Locator(lines=(first + 1, first + len(paragraph)))
        blocks.append(Block(form, "\n".join(paragraph), locator=locator))
    return Document(path, _title_from_path(path), tuple(blocks))


def _paragraphs(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """(index of the first line, lines) of each run of lines that are not blank."""
    run: list[str] = []
    number = -1
    for number, line in enumerate(lines):
        if line.strip():
            run.append(line)
        elif run:
            yield number - len(run), run
            run = []
    if run:
        yield number + 1 - len(run), run


# --- stored question-answer pairs -------------------------------------------------------------------------------------

_QUESTION_KEYS = ("question", "q", "prompt")
_ANSWER_KEYS = ("answer", "a", "response")
_PAIRS_WANTED = "expected question-answer pairs: each with a `question` and an `answer`"


_DELIMITERS = ",;\t|"


def load_csv(path: str, content: bytes) -> Document:
    """A table whose header names a question and an answer column. Rows count as in a spreadsheet, the header's too."""
    text = _decode(content)
    first_line = text.lstrip("\n").partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    rows, row_begins = [], 1
    try:
        for number, row in enumerate(reader, start=1):
            row_begins = reader.line_num + 1
            if any(map(str.strip, row)):
                rows.append((number, row))
    except csv.Error as error:
        raise DocumentError(
            f"not valid CSV in the row that begins at line {row_begins} ({error}); look there for a double quote that is "
            "not closed, or not doubled within a quoted cell"
        ) from error
    [(_, header), *cells] = rows or [(1, [])]
    records = [(number, dict(zip(header, row, strict=False))) for number, row in cells]
    too_long = [number for number, row in cells if any(map(str.strip, row[len(header) :]))]
    warnings = [f"more cells than the header has, the rest left out: row {_listed(too_long)}"] if too_long else []
    found = f"found the columns: {', '.join(header)}" if header else ""
    return _pairs_document(path, records, found, warnings)


def load_jsonl(path: str, content: bytes) -> Document:
    """One object a line; the row is the line's number."""
    lines = enumerate(_decode(content).split("\n"), start=1)
    return _pairs_document(path, [(number, _parse_json(line, number)) for number, line in lines if line.strip()])


def load_json(path: str, content: bytes) -> Document:
    """A list of objects, or one object that maps each question to its answer; the row is the pair's number."""
    data = _parse_json(_decode(content))
    if _pair(data):
        data = [data]
    elif isinstance(data, dict) and all(isinstance(value, str) for value in data.values()):
        data = [{"question": question, "answer": answer} for question, answer in data.items()]
    if not isinstance(data, list):
        raise DocumentError(f"{_PAIRS_WANTED}, as a list of objects or as one object from question to answer")
    return _pairs_document(path, list(enumerate(data, start=1)))


def _parse_json(text: str, first_line: int = 1) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {first_line + error.lineno - 1}, column {error.colno}"
        raise DocumentError(f"not valid JSON at {place} ({error.msg}); correct it there") from error
    except (ValueError, RecursionError) as error:
        what = "a number is too long or brackets are nested too deeply"
        raise DocumentError(f"can't be read as JSON from line {first_line} on: {what}; correct it there") from error


def _pairs_document(
    path: str, records: list[tuple[int, Any]], found: str = "", warnings: Sequence[str] = ()
) -> Document:
    blocks, skipped = [], []
    for number, record in records:
        pair = _pair(record)
        if pair is None:
            skipped.append(number)
        else:
            blocks.append(Block(Form.PAIR, pair[1], locator=Locator(row=number), context=pair[0]))
    if not blocks:
        raise DocumentError("; ".join(filter(None, (_PAIRS_WANTED, found, "" if records else "there are none"))))
    if skipped:
        warnings = [*warnings, f"without a question or an answer, passed over: row {_listed(skipped)}"]
    return Document(path, _title_from_path(path), tuple(blocks), warnings=tuple(warnings))


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:10])) + (", ..." if len(numbers) > 10 else "")


def _pair(record: Any) -> tuple[str, str] | None:
    """The question and the answer of a record, or None where one is missing or empty."""
    if not isinstance(record, Mapping):
        return None
    by_name = {str(key).strip().lower(): value for key, value in record.items() if key is not None}
    question = next((by_name[key] for key in _QUESTION_KEYS if by_name.get(key)), None)
    answer = next((by_name[key] for key in _ANSWER_KEYS if by_name.get(key)), None)
    if not isinstance(question, str) or not isinstance(answer, str) or not question.strip() or not answer.strip():
        return None
    return _well_formed(question).strip(), _well_formed(answer).strip()


# --- shared -----------------------------------------------------------------------------------------------------------


def _decode(content: bytes) -> str:
    """UTF-8 text with lines that end in a line feed. A form feed or another odd separator does not end a line."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(f"not UTF-8 text (byte {error.start + 1}); save it with UTF-8 encoding") from error
    if "\0" in text:
        raise DocumentError("this is a binary file, not text; convert it to Markdown or plain text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _well_formed(text: str) -> str:
    """The text with the halves of characters that an escape such as `\\ud83d` makes joined, or replaced where one is alone."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _title_from_path(path: str) -> str:
    """`guides/getting-started.md` -> `Getting started`."""
    words = re.sub(r"[-_\s]+", " ", PurePosixPath(path).stem).strip()
    return words[:1].upper() + words[1:] if words else path


LOADERS: Mapping[str, Loader] = {
    ".md": load_markdown,
    ".markdown": load_markdown,
    ".txt": load_text,
    ".csv": load_csv,
    ".json": load_json,
    ".jsonl": load_jsonl,
}
