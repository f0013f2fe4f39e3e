"""Training examples for the reader: a question, a context, and the spans of it that answer, or none.

The sources are files of JSON lines in one folder:

    qamr-sentences.jsonl, qamr-questions.jsonl   single sentences, and questions with a span of one of them
    squad.jsonl, fairytaleqa.jsonl               paragraphs, and questions with a span of one of them or with none
    selqa.jsonl                                  sections as sentences, and questions with the numbers of those that answer

Chats and documents look different from these sources, so the examples are changed to resemble them: questions with typing
errors, as keywords or without a question mark, contexts with title, headings and Markdown, and many questions whose answer is
missing from a context that looks right.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bot.core.errors import TrainingError
from bot.core.text import STOP_WORDS, Span, content_words, words
from bot.training.files import read_objects

FILES = ("qamr-sentences.jsonl", "qamr-questions.jsonl", "squad.jsonl", "fairytaleqa.jsonl", "selqa.jsonl")
_HELD_OUT = 25  # one context in this many is held out for evaluation


@dataclass(frozen=True, slots=True)
class ReadingExample:
    """One question about one context. Any of the `targets` answers it; without targets the context doesn't.

    `loose`: the answer lies somewhere within a target (a sentence, say) instead of being all of it. When reading is measured,
    answers before character `begin` (in a title, say) don't count.
    """

    question: str
    context: str
    targets: tuple[Span, ...] = ()
    loose: bool = False
    begin: int = 0


@dataclass(frozen=True, slots=True)
class _Labelled:
    """A question about a context of a source. `others` are contexts on the same subject."""

    question: str
    context: str
    targets: tuple[Span, ...]
    title: str
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    neighbours: tuple[int, ...]  # the sentences nearest in meaning, nearest first


@dataclass(frozen=True, slots=True)
class _Section:
    """A section as sentences; those in `answers` answer the question."""

    question: str
    title: str
    sentences: tuple[str, ...]
    answers: tuple[int, ...]


class Sources:
    """The labelled data of a folder; a part of it is held out for evaluation."""

    def __init__(self, folder: Path, neighbours: Callable[[Sequence[str]], Sequence[Sequence[int]]]) -> None:
        """Read the files. `neighbours` returns for each text the numbers of those nearest in meaning. Raises TrainingError."""
        self._sentences, self._asked = _qamr(folder, neighbours)
        squad, tales = _paragraphs(folder / "squad.jsonl"), _paragraphs(folder / "fairytaleqa.jsonl")
        self._squad, held_squad = _divided(squad)
        self._tales, held_tales = _divided(tales)
        self._sections = _selqa(folder / "selqa.jsonl")
        if not all((self._asked, self._squad, self._tales, self._sections)):
            raise TrainingError(f"{folder}: each file must have questions, and those of paragraphs about two or more.")
        self._contexts = [item.context for item in self._squad + self._tales]
        self._names = _names(self._squad)
        self.held_out = {
            "squad": [ReadingExample(item.question, item.context, item.targets) for item in held_squad],
            "fairytaleqa": [ReadingExample(item.question, item.context, item.targets) for item in held_tales],
        }

    def sentence_examples(self, count: int, seed: int) -> list[ReadingExample]:
        """Make questions about single sentences, in paragraphs of sentences that are near in meaning or random."""
        chance = random.Random(seed)  # noqa: S311 - reproducible on purpose
        asked = _cycled(self._asked, count, chance)
        return [self._finished(self._among_others(question, chance), chance) for question in asked]

    def paragraph_examples(self, count: int, seed: int) -> list[ReadingExample]:
        """Make questions about real paragraphs and sections, some of them with a paragraph that doesn't answer."""
        chance = random.Random(seed)  # noqa: S311 - reproducible on purpose
        share = {"squad": 0.4, "tales": 0.17, "sections": 0.08, "sentences": 0.32, "chatter": 0.03}
        amounts = {name: round(count * part) for name, part in share.items()}
        examples = [
            *(self._about_paragraph(item, chance) for item in _cycled(self._squad, amounts["squad"], chance)),
            *(self._about_paragraph(item, chance) for item in _cycled(self._tales, amounts["tales"], chance)),
            *(_about_section(item, chance) for item in _cycled(self._sections, amounts["sections"], chance)),
            *(self._among_others(item, chance) for item in _cycled(self._asked, amounts["sentences"], chance)),
            *(self._chatter(chance) for _ in range(amounts["chatter"])),
        ]
        chance.shuffle(examples)
        return [self._finished(example, chance) for example in examples]

    def _among_others(self, asked: tuple[int, str, Span], chance: random.Random) -> ReadingExample:
        number, question, target = asked
        sentence = self._sentences[number]
        count = chance.randint(0, 4)
        others = []
        for _ in range(count):
            near = sentence.neighbours and chance.random() < 0.65
            other = chance.choice(sentence.neighbours) if near else chance.randrange(len(self._sentences))
            if other != number and other not in others:
                others.append(other)
        texts = [self._sentences[other].text for other in others]
        if texts and chance.random() < 0.25:
            return ReadingExample(question, _joined(texts, chance)[0])
        place = chance.randint(0, len(texts))
        texts.insert(place, sentence.text)
        context, starts = _joined(texts, chance)
        start = starts[place]
        return ReadingExample(question, context, ((start + target[0], start + target[1]),))

    def _about_paragraph(self, item: _Labelled, chance: random.Random) -> ReadingExample:
        example = ReadingExample(item.question, item.context, item.targets)
        if item.targets:
            fate = chance.random()
            if item.others and fate < 0.14:  # another paragraph of the article, mostly the most similar one
                nearest = max(chance.sample(item.others, min(6, len(item.others))), key=_likeness(item.question))
                if not any(item.context[slice(*span)].lower() in nearest.lower() for span in item.targets):
                    example = ReadingExample(item.question, nearest)
            elif fate < 0.24 and (twisted := self._twisted(item, chance)):
                example = ReadingExample(twisted, item.context)
        if item.title and chance.random() < 0.4:
            example = _below(f"{item.title}\n", example)
        return example

    def _twisted(self, item: _Labelled, chance: random.Random) -> str | None:
        """Return the question with a name, number or word replaced, so that the context no longer answers it; or None."""
        ways = [self._other_number, self._other_name, _opposite]
        chance.shuffle(ways)
        for way in ways:
            if twisted := way(item, chance):
                return twisted
        return None

    def _other_number(self, item: _Labelled, chance: random.Random) -> str | None:
        numbers = re.findall(r"\b\d{2,4}\b", item.question)
        if not numbers:
            return None
        number = chance.choice(numbers)
        other = str(int(number) + chance.choice((-1, 1)) * chance.randint(1, max(2, int(number) // 20)))
        return None if other in item.context else re.sub(rf"\b{number}\b", other, item.question)

    def _other_name(self, item: _Labelled, chance: random.Random) -> str | None:
        names = [name for name in _names_in(item.question) if name in item.context]
        if not names:
            return None
        name, other = chance.choice(names), chance.choice(self._names)
        return None if other in item.context else item.question.replace(name, other)

    def _chatter(self, chance: random.Random) -> ReadingExample:
        """Make a question that is unrelated to its context: small talk, a command, or about something else."""
        if chance.random() < 0.6:
            return ReadingExample(_chatter(chance), chance.choice(self._contexts))
        question = chance.choice((chance.choice(self._squad), chance.choice(self._tales))).question
        return ReadingExample(question, self._sentences[chance.randrange(len(self._sentences))].text)

    def _finished(self, example: ReadingExample, chance: random.Random) -> ReadingExample:
        return replace(_marked_up(example, chance), question=as_in_chat(example.question, chance))


# --- reading the files ------------------------------------------------------------------------------------------------


def _rows(file: Path, *fields: str) -> Iterator[dict[str, Any]]:
    """Yield the objects in a file. Raises TrainingError if one lacks a field."""
    return read_objects(file, fields, f"The folder of the data must hold {', '.join(FILES)}.")


def _qamr(
    folder: Path, neighbours: Callable[[Sequence[str]], Sequence[Sequence[int]]]
) -> tuple[list[_Sentence], list[tuple[int, str, Span]]]:
    """Return the sentences, and each question as (number of its sentence, text, span of the answer)."""
    rows = list(_rows(folder / "qamr-sentences.jsonl", "id", "text"))
    texts = [row["text"] for row in rows]
    sentences = [_Sentence(text, tuple(near)) for text, near in zip(texts, neighbours(texts), strict=True)]
    numbers = {row["id"]: number for number, row in enumerate(rows)}
    file = folder / "qamr-questions.jsonl"
    asked = []
    for row in _rows(file, "sentence_id", "question", "answer", "start"):
        if row["sentence_id"] not in numbers:
            raise TrainingError(f"{file}: there is no sentence {row['sentence_id']!r} in qamr-sentences.jsonl")
        target = row["start"], row["start"] + len(row["answer"])
        asked.append((numbers[row["sentence_id"]], row["question"], target))
    return sentences, asked


def _paragraphs(file: Path) -> list[_Labelled]:
    rows = list(_rows(file, "context_id", "question", "answer", "context"))
    contexts: dict[str, dict[str, None]] = {}
    for row in rows:
        contexts.setdefault(row["context_id"].split("/")[0], {})[row["context"]] = None
    labelled = []
    for row in rows:
        source = row["context_id"].split("/")[0]
        answer = row["answer"]
        targets = () if answer is None else ((row["start"], row["start"] + len(answer)),)
        others = tuple(context for context in contexts[source] if context != row["context"])
        labelled.append(_Labelled(row["question"], row["context"], targets, source.replace("_", " "), others))
    return labelled


def _selqa(file: Path) -> list[_Section]:
    sections = []
    for row in _rows(file, "question", "article", "section", "sentences", "answers"):
        sentences, answers = tuple(row["sentences"]), tuple(row["answers"])
        if not all(0 <= answer < len(sentences) for answer in answers):
            raise TrainingError(f"{file}: an answer of {row['question']!r} is none of its {len(sentences)} sentences")
        sections.append(_Section(row["question"], f"{row['article']}\n{row['section']}".strip(), sentences, answers))
    return sections


def _divided(items: list[_Labelled]) -> tuple[list[_Labelled], list[_Labelled]]:
    """Return (for training, held out). Each context is on one side only, also in `others`."""
    contexts = list(dict.fromkeys(item.context for item in items))
    held_out = set(contexts[::_HELD_OUT])
    training = [
        replace(item, others=tuple(other for other in item.others if other not in held_out))
        for item in items
        if item.context not in held_out
    ]
    return training, [item for item in items if item.context in held_out]


# --- making the examples ----------------------------------------------------------------------------------------------


def _cycled(items: Sequence[Any], count: int, chance: random.Random) -> list[Any]:
    """Return `count` items in random order, each of them equally often, give or take one."""
    chosen: list[Any] = []
    while len(chosen) < count:
        chosen += chance.sample(items, min(len(items), count - len(chosen)))
    return chosen


def _joined(texts: Sequence[str], chance: random.Random) -> tuple[str, list[int]]:
    """Join sentences to a paragraph, or sometimes a list or several paragraphs. Returns the text and where each begins."""
    form = chance.random()
    before, between = ("- ", "\n- ") if form < 0.12 else ("", "\n\n") if form < 0.2 else ("", " ")
    context, starts = before, []
    for number, text in enumerate(texts):
        context += between if number else ""
        starts.append(len(context))
        context += text
    return context, starts


def _about_section(section: _Section, chance: random.Random) -> ReadingExample:
    """Make an example of some consecutive sentences of a section, in most cases with an answering one."""
    place = chance.choice(section.answers) if section.answers else 0
    first = max(0, place - chance.randint(0, 5))
    window = list(range(first, min(len(section.sentences), place + chance.randint(1, 6))))
    if chance.random() < 0.25 and len(window) > len(section.answers):
        window = [number for number in window if number not in section.answers]
    context, starts = _joined([section.sentences[number] for number in window], chance)
    targets = tuple(
        (start, start + len(section.sentences[number]))
        for number, start in zip(window, starts, strict=True)
        if number in section.answers
    )
    example = ReadingExample(section.question, context, targets, loose=True)
    return _below(f"{section.title}\n", example) if chance.random() < 0.4 else example


def _below(prefix: str, example: ReadingExample) -> ReadingExample:
    targets = tuple((start + len(prefix), end + len(prefix)) for start, end in example.targets)
    return replace(example, context=prefix + example.context, targets=targets)


def _likeness(question: str) -> Callable[[str], int]:
    asked = frozenset(content_words(question))
    return lambda context: len(asked & frozenset(words(context)))


_NAME = re.compile(r"(?<=\s)[A-Z][a-z]{2,}(?:\s[A-Z][a-z]+)*")  # not the first word of a question
_OPPOSITES = [
    ("first", "last"),
    ("most", "least"),
    ("largest", "smallest"),
    ("highest", "lowest"),
    ("oldest", "youngest"),
    ("before", "after"),
    ("increase", "decrease"),
    ("more", "less"),
    ("north", "south"),
    ("east", "west"),
    ("won", "lost"),
    ("began", "ended"),
    ("begin", "end"),
    ("above", "below"),
    ("early", "late"),
    ("male", "female"),
    ("public", "private"),
    ("allowed", "forbidden"),
    ("support", "oppose"),
    ("always", "never"),
]
_OPPOSITE = {word: other for pair in _OPPOSITES for word, other in (pair, pair[::-1])}
# Kept in keyword questions: without these words a twisted question would be the right one again.
_DECISIVE = {"not", *_OPPOSITE}


def _names_in(question: str) -> list[str]:
    return _NAME.findall(question)


def _names(items: Sequence[_Labelled]) -> list[str]:
    return sorted({name for item in items for name in _names_in(item.question)})


def _opposite(item: _Labelled, chance: random.Random) -> str | None:
    found = [word for word in re.findall(r"[a-z]+", item.question) if word in _OPPOSITE]
    if found:
        word = chance.choice(found)
        return re.sub(rf"\b{word}\b", _OPPOSITE[word], item.question, count=1)
    negated = re.sub(r"\b(did|does|do|is|was|were|are|can|could|has|have)\b", r"\1 not", item.question, count=1)
    return negated if negated != item.question and chance.random() < 0.3 else None


_GREETINGS = (
    "hi|hello|hey there|good morning|thanks a lot|thank you|bye|see you|ok cool|lol|who are you|how are you".split("|")
)
_COMMANDS = (
    "tell me a joke|play some music|turn the lights off|set an alarm for {n}|remind me to call {who} at {n}|"
    "book a table for {n}|what's the weather like in {where}|translate this into {language}|call {who}|"
    "what time is it in {where}|add milk to my shopping list|order a taxi to {where}|write a poem about {thing}|"
    "how do I cook {thing}|what is {n} times {n}|show me pictures of {thing}|how far is it to {where}|"
    "find a cheap flight to {where}|how much is my {thing}|where is my {thing}|why was my {thing} declined|"
    "I lost my {thing}, what now|can I get a refund for my {thing}|what's the meaning of life|flip a coin|"
    "when is {who}'s birthday|how many calories are in {thing}|is {thing} open today|change my password|sing me a song|"
    "what's your favourite {thing}|do you have any pets|how old are you|are you a robot|stop it|repeat that, please"
).split("|")
_FILLINGS = {
    "n": "two|three|seven|twelve|half past nine|20".split("|"),
    "who": "mum|Anna|my boss|John|the doctor".split("|"),
    "where": "Lisbon|Chicago|the station|Tokyo|town".split("|"),
    "language": "Spanish|French|German|Japanese".split("|"),
    "thing": "card|lasagna|order|phone|coffee|the gym|car insurance|parcel|bank account|pizza|horses|salary".split("|"),
}


def _chatter(chance: random.Random) -> str:
    pattern = chance.choice(_GREETINGS if chance.random() < 0.2 else _COMMANDS)
    return re.sub(r"{(\w+)}", lambda slot: chance.choice(_FILLINGS[slot[1]]), pattern)


def as_in_chat(question: str, chance: random.Random) -> str:
    """Return the question as people type it. (The tokenizer ignores case.)"""
    if chance.random() < 0.05:
        question = " ".join(word for word in words(question) if word not in STOP_WORDS or word in _DECISIVE)
    elif chance.random() < 0.3:
        question = question.rstrip(" ?")
    if chance.random() < 0.06:
        for _ in range(chance.randint(1, 2)):
            question = _mistyped(question, chance)
    return question


def _mistyped(text: str, chance: random.Random) -> str:
    """Return the text with one letter within a word left out, doubled, or exchanged with the next."""
    places = [match.start() for match in re.finditer(r"(?<=[a-z])[a-z](?=[a-z]{2})", text)]
    if not places:
        return text
    place = chance.choice(places)
    letter, following = text[place], text[place + 1]
    return text[:place] + chance.choice((following, letter * 2 + following, following + letter)) + text[place + 2 :]


def _marked_up(example: ReadingExample, chance: random.Random) -> ReadingExample:
    """Return the example with Markdown marks around some words of its context, or with a heading above it, or unchanged."""
    if chance.random() < 0.1:
        insertions: list[tuple[int, str]] = []
        for word in re.finditer(r"[A-Za-z]{4,}", example.context):
            if chance.random() < 0.04:
                before, after = chance.choice((("**", "**"), ("*", "*"), ("`", "`"), ("[", "](https://example.org/a)")))
                insertions += [(word.start(), before), (word.end(), after)]
        example = _with_insertions(example, insertions)
    if chance.random() < 0.1:
        heading = " > ".join(re.findall(r"[A-Z][a-z]+", example.context)[:2])
        example = _below(f"{heading}\n", example)
    return example


def _with_insertions(example: ReadingExample, insertions: Sequence[tuple[int, str]]) -> ReadingExample:
    """Insert texts into the context at rising positions. Text inserted at the border of a target stays outside it."""
    pieces, done = [], 0
    for place, text in insertions:
        pieces += [example.context[done:place], text]
        done = place
    pieces.append(example.context[done:])

    def moved(target: Span) -> Span:
        start, end = target
        return (
            start + sum(len(text) for place, text in insertions if place <= start),
            end + sum(len(text) for place, text in insertions if place < end),
        )

    return replace(example, context="".join(pieces), targets=tuple(moved(target) for target in example.targets))
