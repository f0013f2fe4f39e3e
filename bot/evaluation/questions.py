"""Read the files of an evaluation: questions with their right answers, and documents to index for them.

The files are JSON Lines in UTF-8; blank lines are ignored. Every error in a file raises a DocumentError that names the file,
the line and the fix. All functions block: call them in a thread.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from bot.core.documents import Document
from bot.core.errors import DocumentError
from bot.knowledge.formats.markup.markdown import load as load_markdown


class QuestionKind(StrEnum):
    """The expected behaviour of the bot."""

    ANSWERABLE = "answerable"
    FOLLOWUP = "followup"  # answerable in the context of its history
    UNANSWERABLE = "unanswerable"  # on the subject of the documents, but not answered there
    OFFTOPIC = "offtopic"

    @property
    def expects_answer(self) -> bool:
        return self in (QuestionKind.ANSWERABLE, QuestionKind.FOLLOWUP)


class KeyLines(NamedTuple):
    """The first and last line of a part of a document that holds a good answer."""

    document: str
    first: int
    last: int


class EarlierMessage(NamedTuple):
    """One earlier message. `role` is "user" or "assistant"."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class EvaluationQuestion:
    """A question with its right answer, as far as it is known.

    `answers` are gold spans, any of which is right. It is empty if the question is unanswerable, and None if it is answerable
    but no span is known; then there may be a free-form `reference`. `doc_ids` are the documents that hold the answer, any of
    which is right; empty if unknown. `related` are documents that only look right. `history` has the earlier messages, oldest
    first.

    For questions to a help desk, `key` are short texts: a useful answer contains one of them, or all if `key_all`. `places` are
    the parts of documents that it may quote, and `subtype` is the kind of help ("howto", "fact", ...).
    """

    id: str
    question: str
    kind: QuestionKind
    answers: tuple[str, ...] | None = None
    doc_ids: frozenset[str] = frozenset()
    history: tuple[EarlierMessage, ...] = ()
    reference: str | None = None
    related: frozenset[str] = frozenset()
    subtype: str | None = None
    key: tuple[str, ...] = ()
    key_all: bool = False
    places: tuple[KeyLines, ...] = ()


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """The files of one evaluation: questions with either the documents or the knowledge folder to answer them from."""

    name: str
    questions: Path
    documents: Path | None = None
    knowledge: Path | None = None

    @classmethod
    def of_folder(cls, folder: Path) -> "QuestionSet":
        """Return the set in a folder. Raises DocumentError if a file is missing."""
        files = folder / "questions.jsonl", folder / "documents.jsonl"
        for file in files:
            if not file.is_file():
                raise DocumentError(f"{file}: not there; a set is a folder with questions.jsonl and documents.jsonl")
        return cls(folder.name, *files)

    @classmethod
    def of_folders(cls, folders: Sequence[Path]) -> "list[QuestionSet]":
        """Return the sets in some folders, named by their paths if two have the same name. Raises DocumentError."""
        names = Counter(folder.name for folder in folders)
        found = [(folder, cls.of_folder(folder)) for folder in folders]
        return [each if names[folder.name] == 1 else replace(each, name=str(folder)) for folder, each in found]


def load_questions(file: Path) -> list[EvaluationQuestion]:
    """Return the questions of a file in its order, at least one.

    Only `question` is required. `id` defaults to the line's number. `kind` defaults to "unanswerable" if `answers` is `[]`,
    else to "followup" if there is a `history`, else to "answerable". Raises DocumentError.
    """
    questions = [_question(line) for line in _lines(file)]
    if not questions:
        raise DocumentError(f'{file}: there is no question in it; write one a line, such as {{"question": "..."}}')
    return questions


def load_documents(file: Path) -> list[Document]:
    """Return the documents of a file in its order, possibly none. `id` becomes the path, `text` is read as Markdown.

    Raises DocumentError.
    """
    return [_document(line) for line in _lines(file)]


class _Line:
    """One object of a file. The methods check the values that they return, and raise DocumentError."""

    def __init__(self, file: Path, number: int, text: str) -> None:
        self.number = number
        self._file = file
        self._values = self._parsed(text)

    def _parsed(self, text: str) -> Mapping[str, Any]:
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise self.wrong(f"not valid JSON ({error.msg}, character {error.pos + 1}); correct it there") from error
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets in brackets
            raise self.wrong("not JSON that can be read; write it as in the other lines") from error
        if not isinstance(values, dict):
            raise self.wrong('expected one object in braces, such as {"question": "..."}')
        return values

    def wrong(self, problem: str) -> DocumentError:
        """Return the error for a problem of this line."""
        return DocumentError(f"{self._file} line {self.number}: {problem}")

    def text(self, key: str) -> str:
        """Return a required text."""
        text = self.optional_text(key)
        if text is None:
            raise self.wrong(f"`{key}` is missing or empty")
        return text

    def optional_text(self, key: str) -> str | None:
        """Return a text, or None if it is missing, null or blank."""
        value = self._values.get(key)
        if value is None:
            return None
        text = self._checked_text(value, f"`{key}`")
        return text if text.strip() else None

    def texts(self, key: str) -> tuple[str, ...] | None:
        """Return a list of texts, none of them blank, or None if it is missing or null."""
        values = self._list(key)
        if values is None:
            return None
        texts = tuple(self._checked_text(value, f"each of `{key}`") for value in values)
        if not all(text.strip() for text in texts):
            raise self.wrong(f"one of `{key}` is empty; fill it in or take it out")
        return texts

    def ids(self, key: str) -> frozenset[str]:
        """Return the ids under the plural of `key`, or else the one under `key`."""
        one = self.optional_text(key)
        return frozenset(self.texts(f"{key}s") or ([one] if one else []))

    def history(self) -> tuple[EarlierMessage, ...]:
        """Return the earlier messages of the conversation, none if they are missing."""
        return tuple(map(self._said, self._list("history") or ()))

    def flag(self, key: str) -> bool:
        """Return a Boolean, False if it is missing or null."""
        value = self._values.get(key)
        if value not in (None, True, False):
            raise self.wrong(f"`{key}` must be true or false")
        return bool(value)

    def places(self) -> tuple[KeyLines, ...]:
        """Return the lines that hold a good answer, none if they are missing."""
        return tuple(map(self._place, self._list("places") or ()))

    def identity(self) -> str:
        """Return the `id`, which may be an integer in the file, or else the line's number."""
        value = self._values.get("id")
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return self.optional_text("id") or str(self.number)

    def _list(self, key: str) -> list[Any] | None:
        value = self._values.get(key)
        if value is not None and not isinstance(value, list):
            raise self.wrong(f"`{key}` must be a list in square brackets")
        return value

    def _place(self, place: Any) -> KeyLines:
        match place:
            case {"doc_id": str(document), "lines": [int(first), int(last)]}:
                return KeyLines(document, first, last)
        raise self.wrong("each of `places` must be an object with a `doc_id` and `lines`, such as [12, 15]")

    def _said(self, turn: Any) -> EarlierMessage:
        if not isinstance(turn, dict) or turn.get("role") not in ("user", "assistant"):
            raise self.wrong('each of `history` must be an object with a `role` ("user" or "assistant") and a `text`')
        return EarlierMessage(turn["role"], self._checked_text(turn.get("text"), "the `text` of each of `history`"))

    def _checked_text(self, value: Any, what: str) -> str:
        if not isinstance(value, str):
            raise self.wrong(f"{what} must be a text in quotes")
        try:
            value.encode()
        except UnicodeEncodeError as error:  # half of an escaped surrogate pair, which no model or database takes
            raise self.wrong(f"{what} has a broken character at position {error.start + 1}") from error
        return value


def _question(line: _Line) -> EvaluationQuestion:
    answers, history = line.texts("answers"), line.history()
    kind = _kind(line, answers, history)
    return EvaluationQuestion(
        id=line.identity(),
        question=line.text("question"),
        kind=kind,
        answers=(answers or None) if kind.expects_answer else (),
        doc_ids=line.ids("doc_id"),
        history=history,
        reference=line.optional_text("reference"),
        related=line.ids("related_doc_id"),
        subtype=line.optional_text("subtype"),
        key=line.texts("key") or (),
        key_all=line.flag("key_all"),
        places=line.places(),
    )


def _kind(line: _Line, answers: tuple[str, ...] | None, history: tuple[EarlierMessage, ...]) -> QuestionKind:
    given = line.optional_text("kind")
    if given is None:
        if answers == ():
            return QuestionKind.UNANSWERABLE
        return QuestionKind.FOLLOWUP if history else QuestionKind.ANSWERABLE
    try:
        return QuestionKind(given)
    except ValueError as error:
        raise line.wrong(f"`kind` is {given!r}; it must be one of {', '.join(QuestionKind)}") from error


def _document(line: _Line) -> Document:
    path = line.text("id")
    try:
        document = load_markdown(path, line.text("text").encode())
    except DocumentError as error:
        raise line.wrong(str(error)) from error
    return replace(document, title=line.text("title"), url=line.optional_text("url") or document.url)


def _lines(file: Path) -> Iterator[_Line]:
    """Yield the objects of a file. Raises DocumentError if two have the same `id`."""
    seen: dict[str, int] = {}
    for number, text in enumerate(_read(file).split("\n"), start=1):
        if not text.strip():
            continue
        line = _Line(file, number, text)
        if (first := seen.setdefault(line.identity(), number)) != number:
            raise line.wrong(f"its `id` is that of line {first} already; give it another")
        yield line


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DocumentError(f"{file}: can't be read ({error.strerror or error}); check the path") from error
    except UnicodeDecodeError as error:
        raise DocumentError(f"{file}: not UTF-8 text (byte {error.start + 1}); save it with UTF-8 encoding") from error
