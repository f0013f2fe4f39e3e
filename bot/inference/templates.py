"""The wording of prompts: `prompts.toml`, and a file of the operator's that changes parts of it.

A template is a text with names in braces, such as `{question}`, which `fill` replaces. Other braces are plain text.
"""

import hashlib
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from bot.core.errors import SettingsError

SHIPPED = Path(__file__).with_name("prompts.toml")
_NAME = re.compile(r"\{(\w+)\}")


def fill(template: str, **values: str) -> str:
    """Return the template with its names replaced. Names in the values stay as they are."""
    return _NAME.sub(lambda name: values.get(name[1], name[0]), template)


def _naming(*names: str, needs: Sequence[str] = ()) -> AfterValidator:
    """Validate that a template, or several together, has no other names than these, and all that it needs."""

    def check(given: Any) -> Any:
        template = given if isinstance(given, str) else "".join(given)
        for name in _NAME.findall(template):
            if name not in names:
                known = ", ".join(f"{{{one}}}" for one in names)
                raise ValueError(f"{{{name}}} is not filled in here; write one of {known}")
        for name in needs:
            if f"{{{name}}}" not in template:
                raise ValueError(f"{{{name}}} is missing, so the model would not see it; put it in")
        return given

    return AfterValidator(check)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Example(_Part):
    """A question with passages and the answer that a model should give."""

    documents: str
    question: str
    answer: str


class ChatTemplates(_Part):
    """The messages of models for chats."""

    system: Annotated[str, _naming("persona", "abstain", "language")]
    user: Annotated[str, _naming("documents", "question", needs=("documents", "question"))]
    document: Annotated[str, _naming("place", "text", needs=("text",))]
    stop: tuple[str, ...]
    examples: tuple[Example, ...] = ()


class DialogueTemplates(_Part):
    """The turns of models that continue a dialogue."""

    turns: Annotated[tuple[str, ...], _naming("documents", "question", needs=("question",))]


class CompletionTemplates(_Part):
    """The text that base models continue."""

    introduction: Annotated[str, _naming("persona", "language")]
    prompt: Annotated[str, _naming("documents", "turns", "question", needs=("documents", "question"))]
    turn: Annotated[str, _naming("question", "answer", needs=("question", "answer"))]
    stop: tuple[str, ...]
    examples: tuple[Example, ...] = ()


class QuestionTemplates(_Part):
    """The input of encoder-decoders that answer questions."""

    prompt: Annotated[str, _naming("documents", "question", needs=("documents", "question"))]


class SummaryTemplates(_Part):
    """The input of encoder-decoders that summarise."""

    prompt: Annotated[str, _naming("documents", "question", needs=("documents",))]


class Templates(_Part):
    """The templates of all styles; a section has the name of its style."""

    language: Annotated[str, _naming("language", needs=("language",))]
    abstain: str
    chat: ChatTemplates
    dialogue: DialogueTemplates
    completion: CompletionTemplates
    question: QuestionTemplates
    summary: SummaryTemplates

    def stops(self, style: str) -> tuple[str, ...]:
        """Return the texts that end an answer in a style."""
        return tuple(getattr(getattr(self, style), "stop", ()))

    @property
    def without_examples(self) -> "Templates":
        """Return the templates for a prompt that is too long: without examples and without the introduction of base models."""
        chat = self.chat.model_copy(update={"examples": ()})
        completion = self.completion.model_copy(update={"examples": (), "introduction": ""})
        return self.model_copy(update={"chat": chat, "completion": completion})

    def fingerprint(self, style: str) -> str:
        """Return a short hash of the templates of a style."""
        content = self.model_dump_json(include={style, "language", "abstain"})
        return hashlib.sha256(content.encode()).hexdigest()[:12]


@cache
def shipped_templates() -> Templates:
    return Templates.model_validate(_shipped())


def load_templates(file: Path | None) -> Templates:
    """Return the shipped templates, changed by a file. Blocking.

    Raises SettingsError, which names each wrong line and its fix.
    """
    if file is None:
        return shipped_templates()
    text = _text_of(file)
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _wrong(file, f'{error}. Texts stand in quotes, several lines in """.') from error
    try:
        return Templates.model_validate(_changed(_shipped(), given))
    except ValidationError as error:
        problems = [(_line(text, one["loc"]), ".".join(map(str, one["loc"])), _said(one)) for one in error.errors()]
        raise _wrong(file, *(f"line {line}: {key}: {problem}" for line, key, problem in sorted(problems))) from error


def _shipped() -> dict[str, Any]:
    return tomllib.loads(SHIPPED.read_text(encoding="utf-8"))


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _wrong(file, f"line {line}: it is no UTF-8; save the file in that encoding") from error
    except OSError as error:
        raise _wrong(
            file, f"it can't be read ({error.strerror}); `knowledge-bot models prompts` prints one to begin with"
        ) from error


def _wrong(file: Path, *problems: str) -> SettingsError:
    return SettingsError([f"generator.prompts: {file}: {problem}" for problem in problems])


def _changed(shipped: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the shipped tables with the keys of the given ones in them."""
    return dict(shipped) | {
        key: _changed(shipped[key], value) if isinstance(value, dict) and isinstance(shipped.get(key), dict) else value
        for key, value in given.items()
    }


def _said(problem: Any) -> str:
    """Return the text of a problem that pydantic found."""
    if problem["type"] == "extra_forbidden":
        part = Templates.model_fields
        for key in problem["loc"][:-1]:
            kind = part[key].annotation if key in part else Example
            part = getattr(kind, "model_fields", Example.model_fields)
        return f"there is no such key; there are {', '.join(part)}"
    return str(problem["msg"]).removeprefix("Value error, ")


_HEADER = re.compile(r"\s*\[\[?\s*([\w. ]+?)\s*\]\]?\s*(?:#.*)?$")


def _line(text: str, path: Sequence[str | int]) -> int:
    """Return the number of the line that sets a key, or else of the header of its table, or 1."""
    *tables, key = path
    section = ".".join(name for name in tables if isinstance(name, str))
    number_of_table = next((name for name in tables if isinstance(name, int)), 0)
    header, seen, found = "", Counter[str](), 1
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _HEADER.match(line):
            header = match[1]
            seen[header] += 1
        if header != section or seen[header] > number_of_table + 1 or (section and seen[header] <= number_of_table):
            continue
        if re.match(rf"\s*\[*\s*{re.escape(str(key))}\s*[=\]]", line):
            return number
        if match:
            found = number
    return found
