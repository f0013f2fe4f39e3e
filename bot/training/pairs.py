"""Data for fine-tuning: questions, answers in the documents' own words, and the passages that a model is shown for them.

The index gives stored pairs and headings with the text below them; if the operator allows it, chats give answers that people
found helpful. Refusals are questions with passages of *other* documents. The split is by document, so that the model sees
nothing of the held-out ones. The result is a folder of JSON Lines that a person can edit and `datasets` can open.
"""

import asyncio
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from tempfile import mkdtemp
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bot.core.documents import Block, Form, FoundPassage
from bot.core.errors import TrainingError
from bot.core.text import counted, sentences, share_of_words, stems, words
from bot.engine.phrasing import excerpts
from bot.engine.qa import REFUSAL
from bot.evaluation.own_questions import heading_question, lone_question
from bot.inference.prompts import Excerpt
from bot.knowledge.passages import introduces
from bot.runtime.application import Application
from bot.storage.base import StoredPassage
from bot.training.files import read_lines

Progress = Callable[[int, int], None]

TRAIN, VALIDATION, HELD_OUT = "train", "validation", "held_out"
SPLITS = (TRAIN, VALIDATION, HELD_OUT)
# Shares of the questions; a document is never divided.
_SHARES = {HELD_OUT: 0.2, VALIDATION: 0.1}
_FEWEST_DOCUMENTS = 3
FEWEST_QUESTIONS = 30
# An answer from a paragraph is as short as prompts ask for; a list is whole.
_MOST_SENTENCES = 3
_LONGEST_ANSWER = 600  # characters
_SHORTEST_ANSWER = 3  # words
# One refusal for this many answers.
_ANSWERS_A_REFUSAL = 4
# A passage with this share of the answer's words may well answer.
_ANSWERED = 0.6
_MOST_FEEDBACK = 10_000
_SIDE_BY_SIDE = 8  # questions asked at once


class Origin(StrEnum):
    """The origin of a question."""

    PAIR = "pair"  # a stored pair
    HEADING = "heading"
    CHAT = "chat"  # from a chat, with an answer that was found helpful
    REFUSAL = "refusal"  # the passages don't answer it


@dataclass(frozen=True, slots=True)
class TuningExample:
    """A question and the answer to learn. `passages` are shown to the model, best first; `document` holds the answer."""

    question: str
    answer: str
    kind: Origin
    document: str
    passages: tuple[Excerpt, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The numbers of examples and documents in each split, and of repeated questions, which were left out."""

    counts: Mapping[str, Counter[Origin]]
    documents: Mapping[str, int]
    repeated: int


@dataclass(frozen=True, slots=True)
class _Draft:
    """A question with its answer, and the passage that holds it: number `place` of `document`."""

    question: str
    answer: str
    kind: Origin
    document: str
    place: int

    @property
    def key(self) -> str:
        return " ".join(words(self.question))


# --- making -----------------------------------------------------------------------------------------------------------


async def prepare(application: Application, output: Path, progress: Progress = lambda _done, _total: None) -> Prepared:
    """Make the data from the index, in a new folder. Asks `application` every question, so it must have no generator.

    Raises TrainingError if the folder exists, or if the documents give too few questions.
    """
    if await asyncio.to_thread(output.exists):
        raise TrainingError(f"{output} is there already: name another folder (--output), or remove it.")
    stored = _by_document(await application.stores.knowledge.stored())
    drafts = [draft for document, passages in stored.items() for draft in _questions(document, passages)]
    if application.settings.finetuning.chat_messages:
        drafts += await _from_chats(application, stored)
    distinct = {draft.key: draft for draft in reversed(_likeliest_first(drafts)) if draft.key}
    kept = [draft for draft in drafts if distinct.get(draft.key) is draft]
    _require_enough(kept)
    splits = split_of([draft.document for draft in kept])
    examples: dict[str, list[TuningExample]] = {split: [] for split in SPLITS}
    visible = {split: _visible(split, splits) for split in SPLITS}
    for first in range(0, len(kept), _SIDE_BY_SIDE):
        chosen = kept[first : first + _SIDE_BY_SIDE]
        made = await asyncio.gather(
            *(_examples(application, stored, draft, splits[draft.document], visible) for draft in chosen)
        )
        for draft, both in zip(chosen, made, strict=True):
            examples[splits[draft.document]] += both
        progress(first + len(chosen), len(kept))
    await asyncio.to_thread(write, output, examples)
    return Prepared(
        {split: Counter(example.kind for example in examples[split]) for split in SPLITS},
        {split: list(splits.values()).count(split) for split in SPLITS},
        len(drafts) - len(kept),
    )


def _by_document(stored: Sequence[StoredPassage]) -> dict[str, list[StoredPassage]]:
    found: dict[str, list[StoredPassage]] = {}
    for passage in stored:
        found.setdefault(passage.document, []).append(passage)
    return found


def _likeliest_first(drafts: Sequence[_Draft]) -> list[_Draft]:
    """Sort stored pairs first, so that they win over headings with the same question."""
    return sorted(drafts, key=lambda draft: list(Origin).index(draft.kind))


def _require_enough(drafts: Sequence[_Draft]) -> None:
    documents = len({draft.document for draft in drafts})
    if len(drafts) < FEWEST_QUESTIONS or documents < _FEWEST_DOCUMENTS:
        raise TrainingError(
            f"The index gives {counted(len(drafts), 'question')} from {counted(documents, 'document')}; fine-tuning needs at "
            f"least {FEWEST_QUESTIONS} from {_FEWEST_DOCUMENTS}, and some hundred to be of any use. Add documents with "
            "headings, or files of questions with answers, and run `knowledge-bot index`."
        )


def split_of(documents: Sequence[str]) -> dict[str, str]:
    """Assign documents to splits by a hash of their paths. `documents` has one entry per question."""
    sizes = Counter(documents)
    order = sorted(sizes, key=lambda path: hashlib.sha256(path.encode()).digest())
    splits = dict.fromkeys(order, TRAIN)
    for split, share in _SHARES.items():
        wanted, got = share * len(documents), 0
        left = [path for path in order if splits[path] == TRAIN]
        for path in left:
            # The first that fits, or the last of all: no split may be empty.
            if abs(got + sizes[path] - wanted) < abs(got - wanted) or (not got and path == left[-1]):
                splits[path] = split
                got += sizes[path]
    return splits


def _visible(split: str, splits: Mapping[str, str]) -> frozenset[str]:
    """Return the documents whose passages examples of a split may show: training shows none that are held out."""
    seen = SPLITS[: SPLITS.index(split) + 1]
    return frozenset(document for document, other in splits.items() if other in seen)


def _questions(document: str, passages: Sequence[StoredPassage]) -> Iterator[_Draft]:
    """Yield every stored pair, and every heading, as a question, with the beginning of the text below it."""
    blocks = [(place, block) for place, stored in enumerate(passages) for block in stored.passage.blocks]
    for place, block in blocks:
        if block.form is Form.PAIR and block.part == (0, 1):
            yield from _draft(block.context, block.text, Origin.PAIR, document, place)
    below = [(place, block) for place, block in blocks if block.form is not Form.PAIR and block.heading]
    for heading, found in groupby(below, key=lambda one: one[1].heading):
        section = list(found)
        question = heading_question(heading[-1], passages[0].title)
        yield from _draft(
            question, _beginning([block for _, block in section]), Origin.HEADING, document, section[0][0]
        )


def _draft(question: str, answer: str, kind: Origin, document: str, place: int) -> Iterator[_Draft]:
    if question.strip() and len(words(answer)) >= _SHORTEST_ANSWER and len(answer) <= _LONGEST_ANSWER:
        yield _Draft(question.strip(), answer, kind, document, place)


def _beginning(blocks: Sequence[Block]) -> str:
    """Return the answer at the beginning of a section: some sentences or a whole list, empty for code and tables.

    A model never phrases code or tables, so it doesn't learn them.
    """
    first = blocks[0]
    if first.form is Form.LIST and first.part == (0, 1):
        return first.text.strip()
    if first.form is not Form.PARAGRAPH:
        return ""
    if len(blocks) > 1 and introduces(first, blocks[1]):
        whole = blocks[1].form is Form.LIST and blocks[1].part == (0, 1)
        return f"{_line(first.text)}\n\n{blocks[1].text.strip()}" if whole else ""
    return _line(" ".join(first.text[slice(*span)] for span in sentences(first.text)[:_MOST_SENTENCES]))


def _line(text: str) -> str:
    """Return the text without the line breaks of its file, which a model shouldn't learn."""
    return " ".join(text.split())


async def _from_chats(application: Application, stored: Mapping[str, Sequence[StoredPassage]]) -> list[_Draft]:
    """Return questions whose answers people found helpful, if the quoted passage is still in the index."""
    drafts: list[_Draft] = []
    for one in await application.stores.journal.answers.feedback(_MOST_FEEDBACK):
        if not one.helpful or one.stored is None or not one.stored.answer.citations:
            continue
        question, answer = one.stored.question, one.stored.answer
        cited = answer.citations[0]
        texts = ["\n".join(block.text for block in found.passage.blocks) for found in stored.get(cited.document, ())]
        place = next((place for place, text in enumerate(texts) if cited.quote in text), None)
        if place is not None:
            said = answer.text.replace("**", "")  # the bold marks are the bot's own
            drafts += _draft(question.text, said, Origin.CHAT, cited.document, place)
    return drafts


async def _examples(
    application: Application,
    stored: Mapping[str, Sequence[StoredPassage]],
    draft: _Draft,
    split: str,
    visible: Mapping[str, Collection[str]],
) -> list[TuningExample]:
    """Return the question with the passages that the bot would show a model, and for some questions a refusal."""
    count = application.settings.generator.passages
    considered = await application.answering.engine.consider(lone_question(draft.question))
    hits = considered.judged.hits if considered.judged else []
    found = [hit.found for hit in hits if hit.found.document in visible[split]]
    shown = found[:count]
    if not any(_holds(one, draft) for one in shown):
        right = stored[draft.document][draft.place]
        passage = FoundPassage(draft.document, right.title, None, (draft.place, draft.place), right.passage)
        shown = [*found[: count - 1], passage]
    examples = [TuningExample(draft.question, draft.answer, draft.kind, draft.document, excerpts(shown))]
    elsewhere = [one for one in found if one.document != draft.document and not _may_answer(one, draft)][:count]
    if split != HELD_OUT and elsewhere and _chosen(draft):
        examples.append(TuningExample(draft.question, REFUSAL, Origin.REFUSAL, draft.document, excerpts(elsewhere)))
    return examples


def _holds(found: FoundPassage, draft: _Draft) -> bool:
    return found.document == draft.document and found.positions[0] <= draft.place <= found.positions[1]


def _may_answer(found: FoundPassage, draft: _Draft) -> bool:
    return share_of_words(stems(draft.answer), stems(found.passage.body)) >= _ANSWERED


def _chosen(draft: _Draft) -> bool:
    """Return whether a question gets a refusal: one in `_ANSWERS_A_REFUSAL`, always the same ones."""
    return hashlib.sha256(draft.key.encode()).digest()[0] % _ANSWERS_A_REFUSAL == 0


# --- files ------------------------------------------------------------------------------------------------------------

_README = """\
---
configs:
- config_name: default
  data_files:
{files}
---

# Data for fine-tuning

Made by `knowledge-bot finetune prepare` from the documents of the bot. Each file has one example a line, as JSON. Read them
before you train, and correct, add or delete lines as you like: what stands here is what the model learns.

| File | What for |
|---|---|
| `train.jsonl` | what the model learns from |
| `validation.jsonl` | what tells when to stop |
| `held_out.jsonl` | what the tuned model is compared on; nothing of these documents may stand in the other two |

| Field | Meaning |
|---|---|
| `question` | what is asked |
| `answer` | what the model is to write; `{refusal}` where the passages don't answer |
| `kind` | `pair`: a stored pair; `heading`: a heading of a document; `chat`: asked in a chat; `refusal`: not answered here |
| `document` | the document that holds the answer |
| `passages` | what the model is shown with the question, best first: where it stands (`place`) and what it says (`text`) |

With the Python package `datasets`: `load_dataset("path/of/this/folder")`.
"""

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class _Passage(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    place: str
    text: _Text


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    question: _Text
    answer: _Text
    kind: Annotated[Origin, Field(strict=False)]
    document: _Text
    passages: Annotated[list[_Passage], Field(min_length=1)]

    def example(self) -> TuningExample:
        shown = tuple(Excerpt(passage.place, passage.text) for passage in self.passages)
        return TuningExample(self.question, self.answer, self.kind, self.document, shown)


def write(folder: Path, examples: Mapping[str, Sequence[TuningExample]]) -> None:
    """Write the folder, with all of its files or not at all. Raises TrainingError."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
        try:
            for split in SPLITS:
                lines = (json.dumps(asdict(example), ensure_ascii=False) + "\n" for example in examples[split])
                (unfinished / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
            files = "\n".join(f"  - split: {split}\n    path: {split}.jsonl" for split in SPLITS)
            (unfinished / "README.md").write_text(_README.format(files=files, refusal=REFUSAL), encoding="utf-8")
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        raise TrainingError(f"{folder} can't be written ({error.strerror}): name another folder (--output).") from error


def load(folder: Path, split: str) -> list[TuningExample]:
    """Read the examples of a split. Raises TrainingError with file and line."""
    file = folder / f"{split}.jsonl"
    lines = read_lines(file, "Make the data with `knowledge-bot finetune prepare`.")
    return [_parsed(file, number, line) for number, line in lines]


def _parsed(file: Path, number: int, line: str) -> TuningExample:
    try:
        return _Record.model_validate_json(line).example()
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise TrainingError(f"{file} line {number}: {f'`{place}`: ' if place else ''}{first['msg']}") from error


def load_for_training(folder: Path) -> tuple[list[TuningExample], list[TuningExample]]:
    """Return (train, validation). Raises TrainingError, also if one of their questions is held out."""
    held_out = {" ".join(words(example.question)) for example in load(folder, HELD_OUT)}
    both = load(folder, TRAIN), load(folder, VALIDATION)
    for split, examples in zip((TRAIN, VALIDATION), both, strict=True):
        for example in examples:
            if " ".join(words(example.question)) in held_out:
                raise TrainingError(
                    f"{folder / split}.jsonl: the question {example.question!r} is held out too, so that the comparison would "
                    "flatter: remove it from one of the files."
                )
    if not both[1] or len(both[0]) < FEWEST_QUESTIONS // 2:
        raise TrainingError(
            f"{folder}: {counted(len(both[0]), 'example')} to learn from and {len(both[1])} to tell when to stop; at least "
            f"{FEWEST_QUESTIONS // 2} and 1 are needed, and some hundred to be of any use."
        )
    return both


def fingerprint(folder: Path, *splits: str) -> str:
    """Return a hash of the files of some splits. Raises TrainingError."""
    examples = [asdict(example) for split in splits for example in load(folder, split)]
    return hashlib.sha256(json.dumps(examples, ensure_ascii=False).encode()).hexdigest()
