"""Do the passages say what a sentence says? What speaks for it and against it, and the probability that they do.

A logistic model of scores that a person can understand, like the confidence of an answer. A sentence is laid beside the few
sentences of the passages that have most of its words; numbers, dates, names, negations and opposites are compared there.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from bot.core.documents import Block, Form, FoundPassage
from bot.core.errors import WeightsError
from bot.core.text import line_spans, list_items, plain, sentences
from bot.engine.claims import EXACT, OPPOSITES, Kind, Token, negates, normalised, tokens, weight

SHIPPED = Path(__file__).parent.parent / "models" / "grounding" / "support.json"

# A sentence of whose words a smaller share stands in the passages says something else, however near its subject is.
LEAST_SAID = 0.35
# A restatement draws on so many sentences of the passages at most.
_MOST_SENTENCES = 3
# Words that carry meaning and stand so far apart belong together, in the sentence and in the passages.
_NEAR, _NEAR_THERE = 3, 5
# Among so many words before and after a word stands what negates it.
_BEFORE, _AFTER = 5, 3
# So many words behind a negation are what it negates.
_SCOPE = 2
# What is put in place of something else has so many tokens at most, and is recognised by so many around it.
_LONGEST_PUT = 6
_FLANK = 3
# With this share of its words beside it a sentence is no longer sparsely covered.
_ENOUGH = 0.6
# Words in a row of which some at least must be said together.
_RUN = 5
# "Not only" and its like negate nothing.
_NOTHING_NEGATED = frozenset("only just merely simply necessarily".split())
# A count up to this is often made by whoever restates a list.
_SMALL = 12


@dataclass(frozen=True, slots=True)
class Support:
    """What speaks for a sentence and against it.

    For it: the share of its weight in words that stands `anywhere` in the passages, or else in the question (`asked`); the
    smallest share in a few words in a row that stands in the sentences beside it (`thinnest`); the resemblance in meaning, None
    where nothing can tell it (`cosine`).

    Against it, by kind: an exact word that stands nowhere (`missing`), not in the sentences beside it (`far`), or among other
    words there (`moved`), and how much better another one fits its place (`rival`) or has it where both go along (`put`);
    exact words elsewhere in a sentence that goes along (`shifted`); how much is missing to a fair share of its words
    (`sparse`); a number that `counts` something else; a negation or an opposite on one side only.
    """

    anywhere: float = 0.0
    asked: float = 0.0
    thinnest: float = 0.0
    cosine: float | None = None
    number_missing: float = 0.0
    number_far: float = 0.0
    number_rival: float = 0.0
    date_missing: float = 0.0
    date_far: float = 0.0
    date_rival: float = 0.0
    name_missing: float = 0.0
    name_far: float = 0.0
    name_moved: float = 0.0
    name_rival: float = 0.0
    unit_missing: float = 0.0
    unit_far: float = 0.0
    unit_rival: float = 0.0
    number_put: float = 0.0
    date_put: float = 0.0
    name_put: float = 0.0
    unit_put: float = 0.0
    opposite_put: float = 0.0
    negation_put: float = 0.0
    shifted: float = 0.0
    sparse: float = 0.0
    counts: float = 0.0
    negation: float = 0.0
    opposite: float = 0.0


NAMES = tuple(field.name for field in fields(Support))
WORD_NAMES = tuple(name for name in NAMES if name != "cosine")


class Text:
    """A sentence with its tokens, and where each of them stands."""

    def __init__(self, text: str, lent: Iterable[str] = ()) -> None:
        """`lent`: keys that it shares with what announces it, such as a heading or a table's header."""
        self.text = normalised(text)
        self.tokens = tokens(self.text)
        self.lent = frozenset(lent)
        self.content = [place for place, token in enumerate(self.tokens) if token.carries]
        self.initials = "".join(self.text[token.start].upper() for token in self.tokens)
        self.places: dict[str, list[int]] = defaultdict(list)
        for place, token in enumerate(self.tokens):
            self.places[token.key].append(place)

    def around(self, place: int, reach: int) -> frozenset[str]:
        """The keys of up to `reach` words that carry meaning before a token, and as many after it."""
        before = [self.tokens[other].key for other in self.content if other < place][-reach:]
        after = [self.tokens[other].key for other in self.content if other > place][:reach]
        return frozenset((*before, *after)) - {self.tokens[place].key}

    def negated(self, place: int, other: "Text") -> bool:
        """Whether near a token is a negation, or a word that may stand for one and that the other text doesn't have."""
        near = self.tokens[max(0, place - _BEFORE) : place] + self.tokens[place + 1 : place + 1 + _AFTER]
        return any(
            token.kind is Kind.NEGATION or (token.key not in other.places and negates(self.text, token))
            for token in near
        )

    def scopes(self) -> Iterator[list[int]]:
        """For each negation the places of the words behind it that it negates."""
        for place, token in enumerate(self.tokens):
            following = self.tokens[place + 1].key if place + 1 < len(self.tokens) else ""
            if token.kind is Kind.NEGATION and following not in _NOTHING_NEGATED:
                yield [other for other in self.content if other > place][:_SCOPE]


class Passages:
    """What the passages say, sentence by sentence; made once for a draft."""

    def __init__(self, passages: Sequence[FoundPassage], question: str = "") -> None:
        self.texts: list[Text] = []
        self.beside: set[str] = set()
        for found in passages:
            head = Text(" . ".join((found.title, *found.passage.heading)))
            self.beside |= set(head.places)
            for block in found.passage.blocks:
                self.texts += _texts(block, head.places)
        self.places: dict[str, list[int]] = defaultdict(list)
        for number, text in enumerate(self.texts):
            for key in text.places:
                self.places[key].append(number)
        self.asked_only = frozenset(key for key in Text(question).places if not self.say(key))

    def say(self, key: str) -> bool:
        return key in self.places or key in self.beside

    def abbreviates(self, token: Token, claim: Text) -> bool:
        """Whether a token is made of the initials of words that follow each other, here or there."""
        letters = claim.text[token.start : token.end].rstrip("s")
        return len(letters) > 1 and letters.isupper() and any(letters in text.initials for text in (claim, *self.texts))

    def weight(self, token: Token) -> float:
        """What a token counts: more the fewer sentences have it."""
        count = len(self.texts)
        rare = math.log(1 + count / max(1, len(self.places.get(token.key, ())))) / math.log(1 + max(1, count))
        return weight(token) * (0.3 + 0.7 * rare)

    def nearest(self, claim: Text) -> list[Text]:
        """The few sentences that together have most of the sentence's words, the best first."""
        wanted = {claim.tokens[place].key: self.weight(claim.tokens[place]) for place in claim.content}
        chosen: list[Text] = []
        while wanted and len(chosen) < _MOST_SENTENCES:
            gains: dict[int, float] = defaultdict(float)
            for key, worth in wanted.items():
                for number in self.places.get(key, ()):
                    gains[number] += worth
            if not gains:
                break
            best = max(gains, key=lambda number: (gains[number] - 0.01 * len(self.texts[number].content), -number))
            if chosen and gains[best] < 0.15 * sum(wanted.values()):
                break
            chosen.append(self.texts[best])
            wanted = {key: worth for key, worth in wanted.items() if key not in self.texts[best].places}
        return chosen


def _texts(block: Block, head: Iterable[str]) -> Iterator[Text]:
    """The sentences, list items or table rows of a block. What announces them is lent to each."""
    lent = {*head, *Text(plain(block.context)).places} if block.context else set(head)
    pieces = list_items(block.text) if block.form is Form.LIST else line_spans(block.text)
    if block.form in (Form.PARAGRAPH, Form.PAIR):
        pieces = [(0, len(block.text))]
    if block.form is Form.TABLE:
        lent |= set(Text(plain(block.text.partition("\n")[0])).places)
    for start, end in pieces:
        text = normalised(" ".join(plain(block.text[start:end]).split()))
        for first, last in sentences(text):
            yield Text(text[first:last], lent)


def compare(claim: Text, passages: Passages, nearest: Sequence[Text]) -> Support:
    """What speaks for a sentence and against it, by the words of those that are nearest to it; the meaning is left out."""
    beside = {key for text in nearest for key in (*text.places, *text.lent)}
    found = [claim.tokens[place] for place in claim.content]
    total = sum(map(passages.weight, found)) or 1.0

    def share(keys: Iterable[str]) -> float:
        there = set(keys)
        return sum(passages.weight(token) for token in found if token.key in there) / total

    anywhere = share((*passages.places, *passages.beside))
    scores: dict[str, float] = {
        "anywhere": anywhere,
        "asked": min(anywhere, share(passages.asked_only)),
        "thinnest": _thinnest(claim, nearest),
        "sparse": max(0.0, 1 - share(beside) / _ENOUGH),
        "counts": max((_other_unit(token, nearest) for token in found if token.unit), default=0.0),
        "negation": _negation(claim, nearest),
        "opposite": _opposite(claim, nearest),
    }
    scores |= _put(claim, nearest)
    for kind in EXACT:
        places = [place for place in claim.content if claim.tokens[place].kind is kind]
        exact = _exact(claim, places, nearest, beside, passages)
        scores |= {f"{kind}_{name}": value for name, value in exact.items() if f"{kind}_{name}" in NAMES}
    return Support(**scores)


def _exact(
    claim: Text, places: Sequence[int], nearest: Sequence[Text], beside: set[str], passages: Passages
) -> dict[str, float]:
    """Of the numbers, or the dates, or the names: whether they stand where they should."""
    scores = dict.fromkeys(("missing", "far", "moved", "rival"), 0.0)
    said = {token.key for token in claim.tokens}
    for place in places:
        token = claim.tokens[place]
        fit = _fit(claim, place, token.key, nearest)
        rival = max((_fit(claim, place, key, nearest) for key in _others(token.kind, said, nearest)), default=0.0)
        worth = 0.5 if _is_small_count(token) else 1.0
        scores["rival"] = max(scores["rival"], rival - fit)
        if not passages.say(token.key) and not passages.abbreviates(token, claim):
            scores["missing"] = max(scores["missing"], worth)
        elif token.key not in beside:
            scores["far"] = max(scores["far"], worth)
        elif token.kind is not Kind.NAME or not any(token.key in text.lent for text in nearest):
            scores["moved"] = max(scores["moved"], worth * (1 - fit))
    return scores


def _put(claim: Text, nearest: Sequence[Text]) -> dict[str, float]:
    """What was put in place of something else where the sentence goes along with one of those beside it."""
    scores = dict.fromkeys(
        (
            "number_put",
            "date_put",
            "name_put",
            "unit_put",
            "opposite_put",
            "negation_put",
            "shifted",
        ),
        0.0,
    )
    said = [token.key for token in claim.tokens]
    for text in nearest[:2]:
        matcher = SequenceMatcher(None, said, [token.key for token in text.tokens], autojunk=False)
        operations = matcher.get_opcodes()
        for number, (operation, first, last, start, stop) in enumerate(operations):
            if operation == "equal" or last - first > _LONGEST_PUT or stop - start > _LONGEST_PUT:
                continue
            around = [operations[place] for place in (number - 1, number + 1) if 0 <= place < len(operations)]
            strength = sum(min(_FLANK, other[2] - other[1]) for other in around) / (2 * _FLANK)
            for name in _kinds_put(claim.tokens[first:last], text.tokens[start:stop]):
                scores[f"{name}_put"] = max(scores[f"{name}_put"], strength)
            if any(token.exact and token.key in text.places for token in claim.tokens[first:last]):
                scores["shifted"] = max(scores["shifted"], strength * matcher.ratio())
    return scores


def _kinds_put(here: Sequence[Token], there: Sequence[Token]) -> Iterator[str]:
    """The kinds of what one text has in place of the other's words."""
    if any(token.kind is Kind.NEGATION for token in here) != any(token.kind is Kind.NEGATION for token in there):
        yield "negation"
    keys = {token.key for token in there}
    if any(keys & OPPOSITES.get(token.key, frozenset()) for token in here):
        yield "opposite"
    kinds = {token.kind for token in here}
    if any(token.carries for token in here) and any(token.carries for token in there):
        yield from (str(kind) for kind in EXACT if kind in kinds)


def _is_small_count(token: Token) -> bool:
    return token.kind is Kind.NUMBER and not token.unit and token.key.isdecimal() and int(token.key) <= _SMALL


def _others(kind: Kind, said: set[str], nearest: Sequence[Text]) -> set[str]:
    """The exact words of a kind in the sentences beside it that the sentence doesn't have."""
    return {token.key for text in nearest for token in text.tokens if token.kind is kind} - said


def _fit(claim: Text, place: int, key: str, nearest: Sequence[Text]) -> float:
    """How much of what stands around a token stands around `key` in the sentences beside it, from 0 to 1."""
    context = claim.around(place, _NEAR) & {key for text in nearest for key in text.places}
    if not context:
        return 0.5 if any(key in text.places for text in nearest) else 0.0
    return max(
        (
            len(context & text.around(there, _NEAR_THERE)) / len(context)
            for text in nearest
            for there in text.places.get(key, ())
        ),
        default=0.0,
    )


def _thinnest(claim: Text, nearest: Sequence[Text]) -> float:
    """The smallest share of words, in any run of a few of the sentence, that stand in one of the sentences beside it."""
    keys = [claim.tokens[place].key for place in claim.content]
    there = [[key in text.places or key in text.lent for key in keys] for text in nearest]
    runs = range(max(1, len(keys) - _RUN + 1))
    shares = [
        max((sum(row[run : run + _RUN]) for row in there), default=0) / max(1, min(_RUN, len(keys))) for run in runs
    ]
    return min(shares)


def _other_unit(token: Token, nearest: Sequence[Text]) -> float:
    """Whether the number counts something else there: 1 where it does, 0.5 where that isn't said."""
    there = [text.tokens[place].unit for text in nearest for place in text.places.get(token.key, ())]
    if not there or token.unit in there:
        return 0.0
    return 1.0 if any(there) else 0.5


def _negation(claim: Text, nearest: Sequence[Text]) -> float:
    """Whether one side negates what the other doesn't."""
    return max(
        (
            *(_unmatched(claim, scope, nearest) for scope in claim.scopes()),
            *(_unmatched(text, scope, [claim]) for text in nearest[:1] for scope in text.scopes()),
        ),
        default=0.0,
    )


def _unmatched(negating: Text, scope: Sequence[int], others: Sequence[Text]) -> float:
    """Whether what is negated here is said there, among the same words, and not negated: 1 where it is, 0.5 where it isn't said
    at all."""
    there = [
        (len(negating.around(word, _NEAR) & other.around(place, _NEAR_THERE)), other.negated(place, negating))
        for other in others
        for word in scope
        for place in other.places.get(negating.tokens[word].key, ())
    ]
    if not there:
        return 0.5
    closest = max(common for common, _ in there)
    return 0.0 if any(negated for common, negated in there if common == closest) else 1.0


def _opposite(claim: Text, nearest: Sequence[Text]) -> float:
    """Whether the opposite of a word stands in its place."""
    said = claim.places
    worst = 0.0
    for place, token in enumerate(claim.tokens):
        for opposite in OPPOSITES.get(token.key, ()):
            if opposite not in said and any(opposite in text.places for text in nearest):
                worst = max(worst, _fit(claim, place, opposite, nearest) - _fit(claim, place, token.key, nearest))
    return worst


@dataclass(frozen=True, slots=True)
class Numbers:
    """A logistic model: the weight of each score of Support, by name."""

    intercept: float
    weights: Mapping[str, float]

    def probability(self, found: Support) -> float:
        logit = self.intercept + sum(weight * getattr(found, name) for name, weight in self.weights.items())
        return 1 / (1 + math.exp(-max(-700.0, min(700.0, logit))))


@dataclass(frozen=True, slots=True)
class SupportModel:
    """Scores -> probability, with the meaning and `by_words` alone, and what both were fitted on, to be read."""

    with_meaning: Numbers
    by_words: Numbers
    provenance: Mapping[str, Any]

    @classmethod
    def load(cls, file: Path = SHIPPED) -> "SupportModel":
        """Raises WeightsError where the file is not what `save` writes."""
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            with_meaning, by_words = (_numbers(data[part], names) for part, names in _PARTS.items())
            return cls(with_meaning, by_words, data["provenance"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(f"{file} is damaged ({error}); install the bot again.") from error

    def save(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def probability(self, found: Support) -> float:
        """The probability that the passages say so, between 0 and 1; 0 where they hardly have any of its words, or
        don't have one of its figures at all."""
        if found.anywhere < LEAST_SAID or max(found.number_missing, found.date_missing) >= 1:
            return 0.0
        return (self.by_words if found.cosine is None else self.with_meaning).probability(found)


_PARTS = {"with_meaning": NAMES, "by_words": WORD_NAMES}


def _numbers(data: Mapping[str, Any], names: Sequence[str]) -> Numbers:
    if set(data["weights"]) != set(names):
        raise ValueError(f"its weights are {', '.join(data['weights'])}")
    return Numbers(float(data["intercept"]), {**data["weights"]})
