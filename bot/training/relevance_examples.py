"""Training examples for the relevance model: questions with passages of documents, some of which answer them.

The data are JSON Lines in one folder:

    sections*.jsonl    {"source", "path", "title", "headings", "text"}: the text under one heading path, in reading order
    questions*.jsonl   {"id", "question", "subtype", "key", "answer"}: a question about the section of that id (`section_id`);
                       `answer` are the first and past-the-last character of the part of its text that answers, `key` those
                       of the words that matter most; null and empty where `subtype` is "unanswerable"
    squad.jsonl        paragraphs of encyclopedia articles with questions, some of which look answerable and are not

Each source is indexed and searched by the bot's own code, so that the passages that don't answer are those that the search
confuses with the right ones.
"""

import hashlib
import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bot.core.documents import Document, FoundPassage
from bot.core.errors import TrainingError
from bot.core.messages import QueryVariant
from bot.core.text import Span, plain
from bot.inference.reader import PassageText
from bot.knowledge.formats.markup.markdown import load as load_markdown
from bot.knowledge.search import Retriever
from bot.storage.base import Hit
from bot.training.files import read_objects

UNANSWERABLE = "unanswerable"
_PASSAGES = 12  # of a question, about as many as the bot reads
# An unlabelled passage with the key words may answer too, so it is left out. Shorter key words prove nothing.
_TELLING_KEY = 8  # characters
# One section in this many gives its heading as a question. These are easy, because the passage holds the heading.
_HEADINGS = 12
# Generated questions abound; these limits are per source, and for the encyclopedia.
_MOST = {"faq": 60, "heading": 22}
_MOST_OF_ENCYCLOPEDIA = 900


@dataclass(frozen=True, slots=True)
class TrainingPassage:
    """A passage as the model reads it; its own text starts at `begin`. `spans` are the key words of a right passage."""

    text: str
    begin: int
    right: bool
    spans: tuple[Span, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "TrainingPassage":
        return cls(data["text"], data["begin"], data["right"], tuple((start, end) for start, end in data["spans"]))


@dataclass(frozen=True, slots=True)
class Group:
    """A question with the passages that the search found, best first. None is right if the question has no answer."""

    question: str
    source: str
    subtype: str
    candidates: tuple[TrainingPassage, ...]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Group":
        candidates = tuple(TrainingPassage.from_json(candidate) for candidate in data["candidates"])
        return cls(data["question"], data["source"], data["subtype"], candidates)


@dataclass(frozen=True, slots=True)
class TrainingSection:
    source: str
    path: str
    title: str
    headings: tuple[str, ...]
    text: str

    @property
    def id(self) -> str:
        return section_id(self.source, self.path, self.headings, self.text)


@dataclass(frozen=True, slots=True)
class _SectionQuestion:
    """A question about a section, with the lines of its document that answer it, or None."""

    question: str
    subtype: str
    document: str
    keys: tuple[str, ...]
    lines: tuple[int, int] | None
    without_heading: bool = False  # the heading is the question, so it is taken off the right passage


def section_id(source: str, path: str, headings: Sequence[str], text: str) -> str:
    """Return the id of a section in the files of questions."""
    return hashlib.sha1("\x1f".join([source, path, *headings, text[:80]]).encode()).hexdigest()[:12]  # noqa: S324


def load_groups(file: Path) -> list[Group]:
    return [Group.from_json(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def save_groups(file: Path, groups: Sequence[Group]) -> None:
    """Write the groups to a file, as a whole or not at all."""
    beside = file.with_name(f"{file.name}.new")
    lines = (json.dumps(asdict(group), ensure_ascii=False) for group in groups)
    beside.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    beside.replace(file)


class Documentation:
    """The sections and questions in a folder of training data, by source."""

    def __init__(self, folder: Path) -> None:
        """Read the files. Raises TrainingError if one is missing or malformed."""
        self._sections: dict[str, list[TrainingSection]] = defaultdict(list)
        for row in _rows(folder, "sections*.jsonl", ("source", "path", "title", "headings", "text")):
            section = TrainingSection(row["source"], row["path"], row["title"], tuple(row["headings"]), row["text"])
            self._sections[section.source].append(section)
        self._questions: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in _rows(folder, "questions*.jsonl", ("id", "question", "subtype", "key", "answer")):
            self._questions[row["id"]].append(row)

    @property
    def sources(self) -> list[str]:
        return sorted(self._sections)

    def documents(self, source: str) -> "tuple[list[Document], list[_SectionQuestion]]":
        """Return the documents of a source, built from its sections, and the questions about them."""
        texts: dict[str, list[str]] = {}
        titles: dict[str, str] = {}
        above: dict[str, tuple[str, ...]] = {}
        asked: list[_SectionQuestion] = []
        for number, section in enumerate(self._sections[source]):
            path = section.path
            if path not in texts:
                texts[path], titles[path], above[path] = [f"# {section.title}", ""], section.title, ()
            lines = texts[path]
            for depth, heading in enumerate(section.headings[:5]):
                if section.headings[: depth + 1] != above[path][: depth + 1]:
                    lines += [f"{'#' * (depth + 2)} {heading}", ""]
            above[path] = section.headings
            first = len(lines) + 1
            lines += [*section.text.split("\n"), ""]
            asked += self._asked_about(section, first, number)
        documents = [
            replace(load_markdown(path, "\n".join(lines).encode()), title=titles[path]) for path, lines in texts.items()
        ]
        return documents, asked

    def _asked_about(self, section: TrainingSection, first: int, number: int) -> "Iterator[_SectionQuestion]":
        """Yield the questions about a section whose text begins on line `first` of the document."""
        for row in self._questions[section.id]:
            lines = None
            if row["subtype"] != UNANSWERABLE:
                start, end = row["answer"]
                before = section.text.count("\n", 0, start)
                lines = (first + before, first + before + section.text.count("\n", start, end))
            keys = tuple(section.text[start:end] for start, end in row["key"])
            yield _SectionQuestion(row["question"], row["subtype"], section.path, keys, lines)
        if section.headings:
            heading = plain(section.headings[-1])
            whole = (first, first + section.text.count("\n"))
            if heading.endswith("?"):
                yield _SectionQuestion(heading, "faq", section.path, (), whole, without_heading=True)
            elif number % _HEADINGS == 0 and len(heading.split()) > 1:
                every_other = number // _HEADINGS % 2 == 0
                yield _SectionQuestion(f"{heading}?", "heading", section.path, (), whole, without_heading=every_other)


async def ask(
    retriever: Retriever, source: str, asked: Sequence[_SectionQuestion], progress: Callable[[int], None]
) -> list[Group]:
    """Search for each question and label the passages found. Questions whose answer isn't found are left out."""
    groups = []
    for number, one in enumerate(asked):
        variants = [QueryVariant(one.question)]
        hits = await retriever.search(variants, await retriever.encode(variants), 3 * _PASSAGES, hidden=frozenset())
        group = _group(source, one, hits)
        if group is not None:
            groups.append(group)
        progress(number + 1)
    return groups


def _group(source: str, one: _SectionQuestion, hits: Sequence[Hit]) -> Group | None:
    right, others = [], []
    for hit in hits:
        if _is_right(one, hit.found):
            right.append(hit.found)
        elif not _may_answer(one, hit.found):
            others.append(hit.found)
    if one.lines is not None and not right:
        return None  # the search can't find it, so the model never reads it
    chosen = [*right[:2], *others[: _PASSAGES - min(2, len(right))]]
    order = {id(hit.found): number for number, hit in enumerate(hits)}
    chosen.sort(key=lambda found: order[id(found)])
    wanted = {id(found) for found in right}
    candidates = tuple(_candidate(one, found, right=id(found) in wanted) for found in chosen)
    return Group(one.question, source, one.subtype, candidates)


def _is_right(one: _SectionQuestion, found: FoundPassage) -> bool:
    """Whether a passage holds the lines of the answer, and its key words if it has any."""
    if one.lines is None or found.document != one.document:
        return False
    places = [block.locator.lines for block in found.passage.blocks]
    first, last = one.lines
    if not any(place and place[0] <= last and place[1] >= first for place in places):
        return False
    text = _folded("\n".join(block.text for block in found.passage.blocks))
    return not one.keys or any(_folded(key) in text for key in one.keys)


def _may_answer(one: _SectionQuestion, found: FoundPassage) -> bool:
    """Whether a passage that isn't labelled right may answer as well."""
    if one.without_heading and found.document == one.document and one.lines is not None:
        lines = found.passage.blocks[0].locator.lines
        return lines is not None and one.lines[0] <= lines[0] <= one.lines[1]
    text = _folded("\n".join(block.text for block in found.passage.blocks))
    return any(len(key) >= _TELLING_KEY and _folded(key) in text for key in one.keys)


def _folded(text: str) -> str:
    return re.sub(r"[\s*_`>|\\]+", " ", text).lower().strip()


def _candidate(one: _SectionQuestion, found: FoundPassage, *, right: bool) -> TrainingPassage:
    if right and one.without_heading:
        found = replace(found, passage=replace(found.passage, heading=found.passage.heading[:-1]))
    read = PassageText(found)
    spans = []
    for key in one.keys if right else ():
        at = read.text.lower().find(key.lower(), read.begin)
        if at >= 0:
            spans.append((at, at + len(key)))
    return TrainingPassage(read.text, read.begin, right, tuple(spans))


def encyclopedia_groups(file: Path, chance: random.Random, size: int = 4) -> list[Group]:
    """Make a group of each question in squad.jsonl: its paragraph and others of the same article, `size` in all.

    The paragraph of a question without an answer looks right and isn't.
    """
    rows = list(_rows(file.parent, file.name, ("context_id", "question", "answer", "start", "context")))
    article: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        name = row["context_id"].split("/")[0]
        if row["context"] not in article[name]:
            article[name].append(row["context"])
    groups = []
    for row in rows:
        name = row["context_id"].split("/")[0]
        others = [context for context in article[name] if context != row["context"]]
        answer = row["answer"]
        if answer is not None:
            others = [context for context in others if answer.lower() not in context.lower()]
        spans = ((row["start"], row["start"] + len(answer)),) if answer is not None else ()
        own = TrainingPassage(row["context"], 0, answer is not None, spans)
        beside = chance.sample(others, min(size - 1, len(others)))
        candidates = (own, *(TrainingPassage(context, 0, right=False) for context in beside))
        groups.append(Group(row["question"], "squad", "fact" if answer is not None else UNANSWERABLE, candidates))
    return groups


def sampled(groups: Mapping[str, Sequence[Group]], encyclopedia: Path, chance: random.Random) -> list[Group]:
    """Choose the groups to train on, from each source and the encyclopedia (squad.jsonl). Raises TrainingError."""
    chosen: list[Group] = []
    for of_source in groups.values():
        chosen += (group for group in of_source if group.subtype not in _MOST)
        for subtype, most in _MOST.items():
            made = [group for group in of_source if group.subtype == subtype]
            chosen += chance.sample(made, min(most, len(made)))
    others = encyclopedia_groups(encyclopedia, chance)
    return chosen + chance.sample(others, min(_MOST_OF_ENCYCLOPEDIA, len(others)))


def written(groups: Sequence[Group]) -> list[Group]:
    """Return the groups whose question a person wrote, which measure a model."""
    return [group for group in groups if group.subtype not in _MOST]


def _rows(folder: Path, pattern: str, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the objects in the files of this pattern. Raises TrainingError if one lacks a key."""
    files = sorted(folder.glob(pattern))
    if not files:
        raise TrainingError(f"{folder}: there is no {pattern} in it, which the training needs.")
    for file in files:
        yield from read_objects(file, keys, "Check the folder of the data.")
