"""The shares of false statements that the check of generated sentences catches, and of true ones that it keeps.

    python benchmarks/grounding.py [--sets FOLDER] [--fit FILE] [--sample 0.25]

FOLDER holds evaluation sets, each with documents.jsonl and questions.jsonl. True restatements are the sentences of the
`reference` answers of mtrag, clapnq and awsdocs, as they are, against the passages that they were written from; some say more
than these passages do, and count as rejected all the same. Quotes are sentences of the documents of all sets. False statements
are made from both by rule: a number, a name, a date, a unit changed, a negation put in or taken out; beside these an opposite
put in place of a word. Half of the numbers, dates and names that are put in stand elsewhere in the same passages. A name is
also carried over from a question: another one stands in both, and nowhere in the passages.

The articles of each set are divided in two halves. --fit fits the weights on the first one and writes them to FILE; the
figures of both are printed.
"""

import argparse
import asyncio
import hashlib
import random
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize

from bot.core.documents import FoundPassage
from bot.core.settings import EncoderSettings, GroundingSettings, ModelsSettings, ReaderSettings
from bot.core.text import content_words, plain, sentences, share_of_words, stems
from bot.engine.claims import UNITS
from bot.engine.grounding import Grounding
from bot.engine.support import LEAST_SAID, NAMES, SHIPPED, WORD_NAMES, LogisticModel, Support, SupportModel
from bot.evaluation.questions import EvaluationQuestion, load_documents, load_questions
from bot.inference.encoder import Encoder, load_encoder
from bot.inference.span_model import load_span_model
from bot.inference.workers import AsyncEncoder, AsyncReader, InferenceWorker, Models
from bot.knowledge.passages import split

RESTATED = ("mtrag", "clapnq", "awsdocs")
QUOTED = ("squad2", "doc2dial", "covidqa", "clapnq", "mtrag", "awsdocs")
QUOTES_PER_SET = 120
MOST_PASSAGES = 5  # as answer.read_passages
PASSAGE_TOKENS = 200  # as knowledge.passage_tokens


@dataclass(frozen=True, slots=True)
class Statement:
    """A true sentence, or a false one with the kind of change in it. `origin`: the true sentence that was changed."""

    text: str
    question: str
    passages: tuple[FoundPassage, ...]
    set: str
    side: int
    kind: str
    origin: str = ""
    made_from: str = ""

    @property
    def true(self) -> bool:
        return not self.origin


def side_of(article: str) -> int:
    """Which half an article belongs to."""
    return hashlib.sha256(article.encode()).digest()[0] % 2


# --- true statements --------------------------------------------------------------------------------------------------


PassagesOf = Callable[[str], Sequence[FoundPassage]]


def true_statements(folder: Path, encoder: Encoder) -> list[Statement]:
    statements: list[Statement] = []
    for name in dict.fromkeys((*RESTATED, *QUOTED)):
        questions = load_questions(folder / name / "questions.jsonl")
        passages_of = cutter(folder / name / "documents.jsonl", encoder)
        if name in RESTATED:
            statements += restatements(name, questions, passages_of)
        if name in QUOTED:
            statements += quotes(name, questions, passages_of)
    return statements


def cutter(file: Path, encoder: Encoder) -> PassagesOf:
    """The passages of a document by its path, as the index has them."""
    documents = {document.path: document for document in load_documents(file)}

    @cache
    def passages_of(path: str) -> tuple[FoundPassage, ...]:
        document = documents[path]
        return tuple(
            FoundPassage(path, document.title, None, (number, number), passage)
            for number, passage in enumerate(split(document, encoder.count_tokens, PASSAGE_TOKENS))
        )

    return passages_of


def restatements(name: str, questions: Sequence[EvaluationQuestion], passages_of: PassagesOf) -> Iterator[Statement]:
    sides = halves(questions)
    for question in questions:
        if not (question.kind.expects_answer and question.reference and question.doc_ids):
            continue
        passages = [passage for path in sorted(question.doc_ids) for passage in passages_of(path)]
        if name == "awsdocs":  # whole pages: those of their passages that would be read
            passages = nearest(f"{question.question} {' '.join(question.answers or ())}", passages)
        for text in statements_of(question.reference):
            yield Statement(text, question.question, tuple(passages), name, sides[question.id], "restatement")


def quotes(name: str, questions: Sequence[EvaluationQuestion], passages_of: PassagesOf) -> Iterator[Statement]:
    """Sentences of the documents that questions are asked about, one a question."""
    sides = halves(questions)
    chance = random.Random(name)  # noqa: S311 - chance that can be repeated
    asked = [question for question in questions if question.kind.expects_answer and question.doc_ids]
    for question in chance.sample(asked, min(QUOTES_PER_SET, len(asked))):
        passages = passages_of(min(question.doc_ids))
        place = chance.randrange(len(passages))
        around = passages[max(0, place - 2) : place + 3]
        said = [text for text in statements_of(plain(passages[place].passage.body)) if 6 <= len(text.split()) <= 45]
        if said:
            yield Statement(chance.choice(said), question.question, tuple(around), name, sides[question.id], "quote")


def halves(questions: Sequence[EvaluationQuestion]) -> Mapping[str, int]:
    """Return the half of each question by its id. Questions of one article or conversation are in the same half."""
    group: dict[str, str] = {}

    def root(key: str) -> str:
        while group.setdefault(key, key) != key:
            key = group[key]
        return key

    for question in questions:
        first = question.history[0].text if question.history else question.question
        for article in map(article_of, sorted(question.doc_ids)):
            group[root(f"article {article}")] = root(f"said {first}")
    return {
        question.id: side_of(root(f"said {question.history[0].text if question.history else question.question}"))
        for question in questions
    }


def article_of(path: str) -> str:
    """The passages of one article have its id with their place in it behind it."""
    return re.sub(r"(?:/p\d+|(?:-\d+)+)$", "", path)


def nearest(text: str, passages: Sequence[FoundPassage]) -> list[FoundPassage]:
    wanted = stems(plain(text))
    best = sorted(passages, key=lambda found: -len(wanted & stems(found.passage.body)))[:MOST_PASSAGES]
    return sorted(best, key=lambda found: found.positions)


def statements_of(text: str) -> list[str]:
    """The sentences of a text that say something: more than two words, and no question."""
    found = [line[start:end] for line in text.splitlines() for start, end in sentences(line)]
    return [said for said in found if len(said.split()) > 2 and not said.endswith("?") and content_words(said)]


# --- false statements -------------------------------------------------------------------------------------------------

_NUMBER = re.compile(r"(?<![\w.,-])\d+(?:[.,]\d+)*(?![\w-])(?![.,]\d)")
_YEAR = re.compile(r"(?<![\w.,-])(?:1[5-9]|20)\d\d(?![\w-])(?![.,]\d)")
_MONTHS = "January February March April June July August September October November December".split()
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_NAMED_DATE = re.compile(rf"\b(?:{'|'.join((*_MONTHS, *_DAYS))})\b")
_NAME = re.compile(r"(?<=[a-z,] )(?:[A-Z][\w&]*[a-z0-9][\w&]*)(?: (?:[A-Z][\w&]+))*")
_SPELLED = "two three four five six seven eight nine ten eleven twelve".split()
_SPELLED_NUMBER = re.compile(rf"\b(?:{'|'.join(_SPELLED)})\b")
_FAMILIES = [
    family.split(" / ")
    for family in (
        "seconds / minutes / hours / days / weeks / months / years / decades / centuries",
        "second / minute / hour / day / week / month / year / decade / century",
        "km / miles / metres / meters / feet / inches / kilometres / kilometers / cm / mm / mi / ft / m / yards",
        "kg / grams / pounds / tons / tonnes / ounces / mg / g / lb",
        "KB / MB / GB / TB / kilobytes / megabytes / gigabytes / terabytes / KiB / MiB / GiB / TiB / bytes / bits",
        "million / billion / thousand / trillion / hundred",
        "% / dollars / euros / people / percent / degrees",
        "$ / € / £",
        "liters / litres / gallons / ml",
        "Hz / kHz / MHz / GHz",
        "acres / hectares",
    )
]
_COUNTED = re.compile(
    r"(?:\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|few|several|many))[ -]?"
    r"(?P<unit>[A-Za-z]+|%)(?!\w)|(?P<sign>[$€£])(?= ?\d)"
)
_AUXILIARY = re.compile(
    r"\b(?:is|are|was|were|can|could|will|would|should|must|may|might|has|have|had|does|do|did)\b"
    r"(?! (?:not|n't|no|never)\b)(?!n't)"
)
_NOT = re.compile(r"(?:(?<=\w)n't\b| (?:not|never|n't)\b(?! only))")


def false_statements(true: Sequence[Statement]) -> Iterator[Statement]:
    """Each true statement with one thing changed, once for each kind of change that it allows."""
    names: dict[tuple[str, int], list[str]] = defaultdict(list)
    others: dict[tuple[str, int], list[Statement]] = defaultdict(list)
    for statement in true:
        names[statement.set, statement.side] += _NAME.findall(statement.text)
        others[statement.set, statement.side].append(statement)
    for statement in true:
        chance = random.Random(statement.text)  # noqa: S311
        if other := _about_something_else(statement, others[statement.set, statement.side], chance):
            yield replace(
                statement, passages=other.passages, kind="elsewhere", origin=statement.text, made_from=statement.kind
            )
            if (grafted := _grafted(statement.text, other.text)) is not None:
                yield replace(statement, text=grafted, kind="grafted", origin=statement.text, made_from=statement.kind)
        source = " ".join(found.passage.body for found in statement.passages)
        for kind, change in CHANGES.items():
            elsewhere = names[statement.set, statement.side]
            changed = change(statement.text, source, elsewhere, chance)
            if changed is not None and changed != statement.text:
                yield replace(statement, text=changed, kind=kind, origin=statement.text, made_from=statement.kind)
    for statement in true:
        if (carried := _carried_over(statement, names[statement.set, statement.side])) is not None:
            yield carried


def _about_something_else(statement: Statement, others: Sequence[Statement], chance: random.Random) -> Statement | None:
    """The one about another article of the same set whose passages, of a sample, have most of the statement's words."""
    documents = {found.document for found in statement.passages}
    wanted = stems(statement.text)
    candidates = [
        other
        for other in chance.sample(others, min(40, len(others)))
        if not documents & {found.document for found in other.passages}
    ]
    return max(
        candidates,
        key=lambda other: len(wanted & stems(" ".join(found.passage.body for found in other.passages))),
        default=None,
    )


def _carried_over(statement: Statement, names: Sequence[str]) -> Statement | None:
    """A name that the statement has from its question, replaced in both by one that the passages don't have."""
    source = " ".join(found.passage.body for found in statement.passages)
    shared = [name for name in _NAME.findall(statement.text) if name in statement.question]
    others = [name for name in names if name not in source and name not in statement.question]
    if not shared or not others:
        return None
    chance = random.Random(statement.text)  # noqa: S311
    name, other = chance.choice(shared), chance.choice(others)
    return replace(
        statement,
        text=statement.text.replace(name, other),
        question=statement.question.replace(name, other),
        kind="carried over",
        origin=statement.text,
        made_from=statement.kind,
    )


def _grafted(text: str, other: str) -> str | None:
    """The first half of one sentence with the last half of another."""
    first, last = text.split(), other.split()
    if min(len(first), len(last)) < 8:
        return None
    return " ".join((*first[: len(first) // 2], *last[len(last) // 2 :]))


def exchanged(text: str, _source: str, _names: Sequence[str], chance: random.Random) -> str | None:
    """Two names, or two numbers, in each other's place."""
    for pattern in (_NAME, _NUMBER):
        places = [place for place in pattern.finditer(text) if not _numbers_an_item(text, place)]
        pairs = [
            (one, two)
            for number, one in enumerate(places)
            for two in places[number + 1 :]
            if not stems(one.group()) & stems(two.group())
            and not re.fullmatch(r"[\s,]*(?:and|or|,)?\s*", text[one.end() : two.start()])
        ]
        if pairs:
            one, two = chance.choice(pairs)
            return f"{text[: one.start()]}{two.group()}{text[one.end() : two.start()]}{one.group()}{text[two.end() :]}"
    return None


def another_number(text: str, source: str, _names: Sequence[str], chance: random.Random) -> str | None:
    dated = {match.span() for match in _YEAR.finditer(text)}
    places = [
        match for match in _NUMBER.finditer(text) if match.span() not in dated and not _numbers_an_item(text, match)
    ]
    places += list(_SPELLED_NUMBER.finditer(text))
    if not places:
        return None
    place = chance.choice(places)
    if place.group() in _SPELLED:
        return _put(text, place, chance.choice([word for word in _SPELLED if word != place.group()]))
    there = {match.group() for match in _NUMBER.finditer(source) if not _YEAR.fullmatch(match.group())}
    others = sorted(there - set(_NUMBER.findall(text)))
    if others and chance.random() < 0.5:
        return _put(text, place, chance.choice(others))
    return _put(text, place, _other_digits(place.group(), chance))


def _numbers_an_item(text: str, match: re.Match[str]) -> bool:
    """Whether a number stands before an item of a list: its own, or the next one's where lists were run together."""
    alone = not text[: match.start()].strip("([*- ") or re.fullmatch(r"[.)]?\s*", text[match.end() :]) is not None
    return alone and len(match.group()) < 3


def _other_digits(number: str, chance: random.Random) -> str:
    """A number that looks like this one: one of its figures is another."""
    places = [place for place, character in enumerate(number) if character.isdigit()]
    place = chance.choice(places)
    figure = chance.choice([figure for figure in "123456789" if figure != number[place]])
    return number[:place] + figure + number[place + 1 :]


def another_date(text: str, source: str, _names: Sequence[str], chance: random.Random) -> str | None:
    places = [*_YEAR.finditer(text), *_NAMED_DATE.finditer(text)]
    if not places:
        return None
    place = chance.choice(places)
    said = place.group()
    if not said.isdigit():
        return _put(
            text, place, chance.choice([name for name in (_MONTHS if said in _MONTHS else _DAYS) if name != said])
        )
    others = sorted(set(_YEAR.findall(source)) - set(_YEAR.findall(text)))
    if others and chance.random() < 0.5:
        return _put(text, place, chance.choice(others))
    return _put(text, place, str(int(said) + chance.choice([-30, -10, -7, -3, -2, -1, 1, 2, 3, 7, 10])))


def another_name(text: str, source: str, names: Sequence[str], chance: random.Random) -> str | None:
    dates = {*_MONTHS, *_DAYS, "May"}
    places = [place for place in _NAME.finditer(text) if not set(place.group().split()) & dates]
    if not places:
        return None
    place = chance.choice(places)
    own = set(stems(text))
    there = sorted({name for name in _NAME.findall(source) if not stems(name) & own and name not in dates})
    others = (
        there
        if there and chance.random() < 0.5
        else [name for name in names if not stems(name) & own and name not in dates]
    )
    return _put(text, place, chance.choice(others)) if others else None


def another_unit(text: str, _source: str, _names: Sequence[str], chance: random.Random) -> str | None:
    places = []
    for match in _COUNTED.finditer(text):
        group = "unit" if match["unit"] else "sign"
        family = next((family for family in _FAMILIES if match[group] in family), None)
        if family:
            same = UNITS.get(match[group].lower(), match[group])
            others = [
                unit
                for unit in family
                if UNITS.get(unit.lower(), unit) != same and unit.lower() != match[group].lower()
            ]
            places.append((match.span(group), others))
    if not places:
        return None
    (start, end), others = chance.choice(places)
    other = chance.choice(others)
    return f"{text[:start]}{' ' if text[start] == '%' and text[start - 1] != ' ' else ''}{other}{text[end:]}"


def negated(text: str, _source: str, _names: Sequence[str], chance: random.Random) -> str | None:
    """Take out a negation, or put one into a sentence without."""
    if found := _NOT.search(text):
        without = text[: found.start()] + text[found.end() :]
        return re.sub(r"\bca\b", "can", re.sub(r"\bwo\b", "will", without))
    if re.search(r"\b(?:no|cannot|neither|nor|none|without)\b", text, re.IGNORECASE):
        return None
    places = list(_AUXILIARY.finditer(text))
    if not places:
        return None
    place = places[0] if chance.random() < 0.5 else chance.choice(places)
    return f"{text[: place.end()]} {chance.choice(['not', 'not', 'never'])}{text[place.end() :]}"


def opposed(text: str, _source: str, _names: Sequence[str], chance: random.Random) -> str | None:
    """A word replaced by one that says the opposite, or more or less than it."""
    places = [match for match in re.finditer(r"\b[a-z]+\b", text) if match.group() in _SWAPPED]
    if not places:
        return None
    place = chance.choice(places)
    return _put(text, place, _SWAPPED[place.group()])


_SWAPPED = {
    one: other
    for first, second in (
        ("more", "fewer"),
        ("before", "after"),
        ("higher", "lower"),
        ("largest", "smallest"),
        ("increase", "decrease"),
        ("increased", "decreased"),
        ("always", "sometimes"),
        ("first", "last"),
        ("most", "few"),
        ("many", "few"),
        ("enable", "disable"),
        ("allow", "prevent"),
        ("include", "exclude"),
        ("required", "optional"),
        ("with", "without"),
        ("northern", "southern"),
        ("east", "west"),
        ("public", "private"),
        ("better", "worse"),
    )
    for one, other in zip(first.split(), second.split(), strict=False)
}
_SWAPPED |= {other: one for one, other in _SWAPPED.items() if other not in ("few", "sometimes")}
_SWAPPED |= {"all": "some", "some": "all", "every": "no"}


def _put(text: str, place: re.Match[str], other: str) -> str:
    return text[: place.start()] + other + text[place.end() :]


Change = Callable[[str, str, Sequence[str], random.Random], str | None]
CHANGES: Mapping[str, Change] = {
    "number": another_number,
    "name": another_name,
    "negation": negated,
    "unit": another_unit,
    "date": another_date,
    "opposite": opposed,
    "exchanged": exchanged,
}


# --- examining, fitting, reporting ------------------------------------------------------------------------------------

Outcome = tuple[str, ...] | Support
"""The reasons, where no scores were needed, or the scores."""
REQUIRED = ("number", "name", "negation", "unit", "date")
# What a false statement of a kind counts in the fit; a true restatement counts as much as all of them need to balance.
_WEIGHTS = {"elsewhere": 0.3, "grafted": 0.25, "opposite": 0.2, "exchanged": 0.2, "quote": 0.5}
_RIDGE = 1e-5
# What may only speak for a sentence; everything else may only speak against it.
_FOR = frozenset({"asked", "least_covered_run", "cosine"})
# At most so many true restatements are rejected in the half that is fitted on; the other half may bring somewhat more.
_REJECTED = 0.145


async def examined(statements: Sequence[Statement], encoder: AsyncEncoder, reader: AsyncReader) -> list[Outcome]:
    """Return the outcome of each statement, through the real workers."""
    grounding = Grounding(encoder, reader, GroundingSettings())
    together: dict[tuple[tuple[FoundPassage, ...], str], list[int]] = defaultdict(list)
    for number, statement in enumerate(statements):
        together[statement.passages, statement.question].append(number)
    outcomes: dict[int, Outcome] = {}
    places = asyncio.Semaphore(32)  # so many sets of passages are held in memory at once

    async def examine(passages: tuple[FoundPassage, ...], question: str, numbers: Sequence[int]) -> None:
        async with places:
            checking = grounding.checking(passages, question)
            for number in numbers:
                outcomes[number] = await checking.examine(statements[number].text)

    await asyncio.gather(*(examine(*key, numbers) for key, numbers in together.items()))
    return [outcomes[number] for number in range(len(statements))]


def fit(statements: Sequence[Statement], outcomes: Sequence[Outcome]) -> SupportModel:
    """Fit both models on the first half, without the statements that are refused before any score."""
    outcomes = [
        ("not_in_passages",) if isinstance(outcome, Support) and outcome.anywhere < LEAST_SAID else outcome
        for outcome in outcomes
    ]
    first = [
        (statement, outcome)
        for statement, outcome in zip(statements, outcomes, strict=True)
        if statement.side == 0 and isinstance(outcome, Support)
    ]
    restated = [
        outcome
        for statement, outcome in zip(statements, outcomes, strict=True)
        if statement.side == 0 and statement.kind == "restatement"
    ]
    return SupportModel(
        with_meaning=numbers_for(NAMES, first, restated),
        by_words=numbers_for(WORD_NAMES, first, restated),
        provenance={
            "sets": sorted({statement.set for statement, _ in first}),
            "half": "the first one of the articles of each set",
            "true": sum(statement.true for statement, _ in first),
            "false": sum(not statement.true for statement, _ in first),
            "made_at": datetime.now(UTC).strftime("%Y-%m-%d"),
            "made_by": "benchmarks/grounding.py --fit",
        },
    )


def numbers_for(
    names: Sequence[str], fitting: Sequence[tuple[Statement, Support]], restated: Sequence[Outcome]
) -> LogisticModel:
    """Logistic regression in which each weight has the sign that its score has by its meaning. A probability of 0.5 is put
    where as many true restatements are rejected as may be."""
    scores = np.array([[getattr(found, name) for name in names] for _, found in fitting])
    sign = np.array([1.0 if statement.true else -1.0 for statement, _ in fitting])
    weight = np.array([_WEIGHTS.get(statement.kind, 1.0) for statement, _ in fitting])
    weight[sign > 0] *= weight[sign < 0].sum() / weight[sign > 0].sum()
    weight /= weight.sum()

    def loss(numbers: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        margin = sign * (scores @ numbers[1:] + numbers[0])
        slope = -weight * sign / (1 + np.exp(margin))
        value = (weight * np.logaddexp(0, -margin)).sum() + _RIDGE * (numbers[1:] ** 2).sum()
        return value, np.concatenate([[slope.sum()], scores.T @ slope + 2 * _RIDGE * numbers[1:]])

    bounds = [(None, None), *((0, None) if name in _FOR else (None, 0) for name in names)]
    found = minimize(
        loss, np.zeros(len(names) + 1), jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": 5000}
    )
    weights = {name: round(float(value), 3) for name, value in zip(names, found.x[1:], strict=True)}
    logits = [
        sum(weights[name] * getattr(outcome, name) for name in names)
        if isinstance(outcome, Support)
        else -np.inf
        if outcome
        else np.inf
        for outcome in restated
    ]
    return LogisticModel(round(-float(np.quantile(logits, _REJECTED, method="lower")), 3), weights)


def report(
    name: str, statements: Sequence[Statement], outcomes: Sequence[Outcome], model: SupportModel, threshold: float
) -> Table:
    """By kind and half: how many of the false are caught and how many of the true are rejected."""
    rejected = [
        model.probability(outcome) < threshold if isinstance(outcome, Support) else bool(outcome)
        for outcome in outcomes
    ]
    kept = {
        (statement.text, statement.passages)
        for statement, gone in zip(statements, rejected, strict=True)
        if statement.true and not gone
    }
    counts: dict[tuple[str, int], list[bool]] = defaultdict(list)
    for statement, gone in zip(statements, rejected, strict=True):
        for row in rows_of(statement, (statement.origin, statement.passages) in kept):
            counts[row, statement.side].append(gone)
    table = Table(f"rejected, {name}", "first half (fitted on)", "other half")
    for row in ROWS:
        table.add_row(row, *(share_of(counts[row, side]) for side in (0, 1)), end_section=row in ENDS)
    return table


ROWS = (
    *("true: restatements", *(f"true: restatements of {name}" for name in RESTATED), "true: quotes"),
    *(f"false: {kind}" for kind in REQUIRED),
    *("false: these five", "false: these five, of quotes", "false: these five, of restatements"),
    "false: these five, where the true one is kept",
    *(f"false: {kind}" for kind in ("opposite", "exchanged", "grafted", "elsewhere", "carried over")),
)
ENDS = ("true: quotes", "false: date", "false: these five, where the true one is kept")


def rows_of(statement: Statement, true_one_is_kept: bool) -> Iterator[str]:
    if statement.kind == "restatement":
        yield from ("true: restatements", f"true: restatements of {statement.set}")
    elif statement.kind == "quote":
        yield "true: quotes"
    else:
        yield f"false: {statement.kind}"
        if statement.kind in REQUIRED:
            yield "false: these five"
            yield f"false: these five, of {statement.made_from}s"
            if true_one_is_kept:
                yield "false: these five, where the true one is kept"


def share_of(gone: Sequence[bool]) -> str:
    return f"{sum(gone) / len(gone):.3f}  ({sum(gone)} of {len(gone)})" if gone else "-"


async def run(folder: Path, file: Path | None, sample: float) -> None:
    console = Console()
    models = load_encoder(EncoderSettings(), ModelsSettings()), load_span_model(ReaderSettings(), ModelsSettings())
    true = true_statements(folder, models[0])
    chance = random.Random(0)  # noqa: S311
    statements = [
        statement
        for statement in (*true, *false_statements(true))
        if statement.kind in ("restatement", "carried over") or chance.random() < sample
    ]
    worker = InferenceWorker("inference", lambda: Models(*models), capacity=1000)
    try:
        encoder, reader = AsyncEncoder(worker), AsyncReader(worker)
        outcomes = await examined(statements, encoder, reader)
        if file is not None:
            fit(statements, outcomes).save(file)
        model = SupportModel.load(file or SHIPPED)
        threshold = GroundingSettings().threshold
        console.print(report("with encoder and reader", statements, outcomes, model, threshold))
        lexical = [replace(found, cosine=None) if isinstance(found, Support) else found for found in outcomes]
        console.print(report("by words alone", statements, lexical, model, threshold))
        console.print(await beside_the_question(true, Grounding(encoder, reader, GroundingSettings())))
        console.print(await speed(true, encoder, reader))
    finally:
        await worker.close()


async def beside_the_question(true: Sequence[Statement], grounding: Grounding) -> Table:
    """Of whole reference answers, and of other sentences of the passages that answer: how many count as no answer."""
    references: dict[tuple[str, str], list[Statement]] = defaultdict(list)
    for statement in true:
        if statement.kind == "restatement":
            references[statement.set, statement.question].append(statement)
    counts: dict[str, list[list[bool]]] = {name: [[], []] for name in RESTATED}
    chance = random.Random(0)  # noqa: S311 - chance that can be repeated
    for (name, question), said in references.items():
        reference = " ".join(statement.text for statement in said)
        passages = nearest(f"{question} {reference}", said[0].passages)
        checking = grounding.checking(passages, question)
        found = (text for passage in passages for text in statements_of(plain(passage.passage.body)))
        others = [text for text in found if share_of_words(stems(text), stems(reference)) < _ANOTHER]
        counts[name][0].append(not await checking.answers(reference))
        if others:
            counts[name][1].append(not await checking.answers(chance.choice(others)))
    table = Table("replaced as no answer to the question", "reference answers", "other sentences of the passages")
    for name, gone in counts.items():
        table.add_row(name, *map(share_of, gone))
    return table


# A sentence that shares fewer of its words with a reference answer says something else.
_ANOTHER = 0.3


async def speed(true: Sequence[Statement], encoder: AsyncEncoder, reader: AsyncReader) -> Table:
    """Milliseconds a sentence, one draft at a time: the sentences of a reference answer together."""
    drafts: dict[tuple[tuple[FoundPassage, ...], str], list[str]] = defaultdict(list)
    for statement in true:
        if statement.kind == "restatement":
            drafts[statement.passages, statement.question].append(statement.text)
    table = Table("milliseconds a sentence", "p50", "p95")
    for name, parts in (("words only", (None, None)), ("with encoder and reader", (encoder, reader))):
        grounding = Grounding(*parts, GroundingSettings())
        taken = []
        for (passages, question), texts in list(drafts.items())[:100]:
            started = time.perf_counter()
            await grounding.check("\n".join(texts), passages, question)
            taken.append((time.perf_counter() - started) * 1000 / len(texts))
        table.add_row(name, f"{statistics.median(taken):.1f}", f"{statistics.quantiles(taken, n=20)[18]:.1f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=Path, default=Path(__file__).parents[2] / "shared" / "eval", metavar="FOLDER")
    parser.add_argument("--fit", type=Path, metavar="FILE", help="fit the weights and write them to this file")
    parser.add_argument(
        "--sample", type=float, default=1.0, help="the share of quotes and of most false statements that is examined"
    )
    options = parser.parse_args()
    asyncio.run(run(options.sets, options.fit, options.sample))


if __name__ == "__main__":
    main()
