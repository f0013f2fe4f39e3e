"""False statements made from true ones by rule: one thing is changed in each."""

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from benchmarks.grounding_statements import Statement
from bot.core.text import stems
from bot.engine.claims import UNITS

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
