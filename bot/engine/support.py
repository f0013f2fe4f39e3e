"""Estimate the probability that passages support a sentence.

Like the confidence of an answer, it comes from a logistic model of a few scores that a person can understand. A sentence is
compared with the few sentences of the passages that share most of its words: by numbers, dates, names, negations and opposites.
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
from bot.engine.claims import (
    EXACT,
    OPPOSITES,
    Token,
    TokenKind,
    may_negate,
    normalised,
    tokens,
    weight,
    without_lead_in,
)
from bot.engine.logistic import LogisticModel

SHIPPED = Path(__file__).parent.parent / "models" / "grounding" / "support.json"

# A sentence with a smaller share of its words in the passages is unsupported, even if it is about the same subject.
LEAST_SAID = 0.35
# A sentence is compared with at most this many sentences of the passages.
_MOST_SENTENCES = 3
# The context of a token is this many content words to either side, in the sentence and in the passages.
_NEAR, _NEAR_THERE = 3, 5
# A negation is looked for within this many words before and after a word.
_BEFORE, _AFTER = 5, 3
# A negation applies to this many content words after it.
_SCOPE = 2
# A substitution has at most this many tokens, and up to _FLANK equal tokens on each side count for it.
_LONGEST_SUBSTITUTION = 6
_FLANK = 3
# A sentence is sparsely covered if the nearest sentences have less than this share of its words.
_ENOUGH = 0.6
# The length of the runs of content words whose coverage is measured.
_RUN = 5
# Phrases such as "not only" negate nothing.
_NOTHING_NEGATED = frozenset("only just merely simply necessarily".split())
# A restatement of a list often counts its items, so an unknown number up to this weighs less.
_SMALL = 12


@dataclass(frozen=True, slots=True)
class Support:
    """The scores for and against the support of a sentence, each at most 1.

    For it: `anywhere` is the weighted share of its content words in the passages, and `asked` of those in the question only.
    `least_covered_run` is the smallest share of any few consecutive words in one of the nearest sentences. `cosine` is the
    similarity in meaning, or None without an encoder.

    Against it, for each exact kind of tokens: one is nowhere in the passages (`missing`), another token of the nearest
    sentences fits its context better (`rival`), or it stands where a nearest sentence in the same wording has another token
    (`replaced`; likewise for a word and its opposite, and for a negation). `moved`: an exact token of a nearest sentence stands
    elsewhere. `sparse`: the nearest sentences have too few of its words. `unit_mismatch`: a number has another unit there.
    `negation`: only one side has one.
    """

    anywhere: float = 0.0
    asked: float = 0.0
    least_covered_run: float = 0.0
    cosine: float | None = None
    number_missing: float = 0.0
    number_rival: float = 0.0
    number_replaced: float = 0.0
    date_missing: float = 0.0
    date_rival: float = 0.0
    date_replaced: float = 0.0
    name_missing: float = 0.0
    name_rival: float = 0.0
    name_replaced: float = 0.0
    unit_missing: float = 0.0
    unit_rival: float = 0.0
    opposite_replaced: float = 0.0
    negation_replaced: float = 0.0
    moved: float = 0.0
    sparse: float = 0.0
    unit_mismatch: float = 0.0
    negation: float = 0.0


# `anywhere` has no weight, but a bound (LEAST_SAID).
NAMES = tuple(field.name for field in fields(Support) if field.name != "anywhere")
_SCORES = frozenset((*NAMES, "anywhere"))
WORD_NAMES = tuple(name for name in NAMES if name != "cosine")


class TokenizedText:
    """A sentence, or another short text, with its tokens.

    `positions` has the indexes in `tokens` by key, and `content` those of the content words, in order.
    """

    def __init__(self, text: str, inherited: Iterable[str] = ()) -> None:
        """`inherited`: keys of tokens in its context, such as the heading or the header of a table."""
        self.text = normalised(text)
        self.tokens = tokens(self.text)
        self.inherited = frozenset(inherited)
        self.content = [position for position, token in enumerate(self.tokens) if token.is_content]
        self.initials = "".join(self.text[token.start].upper() for token in self.tokens)
        self.positions: dict[str, list[int]] = defaultdict(list)
        for position, token in enumerate(self.tokens):
            self.positions[token.key].append(position)

    @property
    def is_negated(self) -> bool:
        """Whether the number of its negations is odd."""
        return sum(token.kind is TokenKind.NEGATION for token in self.tokens) % 2 == 1

    def around(self, position: int, reach: int) -> frozenset[str]:
        """Return the keys of up to `reach` content words before a token and as many after it."""
        before = [self.tokens[other].key for other in self.content if other < position][-reach:]
        after = [self.tokens[other].key for other in self.content if other > position][:reach]
        return frozenset((*before, *after)) - {self.tokens[position].key}

    def negated(self, position: int, other: "TokenizedText") -> bool:
        """Whether a token is near a negation, or near a word that may stand for one and is not in the other sentence."""
        near = self.tokens[max(0, position - _BEFORE) : position] + self.tokens[position + 1 : position + 1 + _AFTER]
        return any(
            token.kind is TokenKind.NEGATION or (token.key not in other.positions and may_negate(self.text, token))
            for token in near
        )

    def scopes(self) -> Iterator[list[int]]:
        """Yield the positions of the content words that each negation applies to."""
        for position, token in enumerate(self.tokens):
            following = self.tokens[position + 1].key if position + 1 < len(self.tokens) else ""
            if token.kind is TokenKind.NEGATION and following not in _NOTHING_NEGATED:
                yield [other for other in self.content if other > position][:_SCOPE]


class Passages:
    """The sentences of the passages with an index of their tokens. Made once for each draft.

    `containing` has the numbers of the sentences by the key of a token in them.
    """

    def __init__(self, passages: Sequence[FoundPassage], question: str = "") -> None:
        self.sentences: list[TokenizedText] = []
        self.headings: set[str] = set()
        for found in passages:
            head = TokenizedText(" . ".join((found.title, *found.passage.heading)))
            self.headings |= set(head.positions)
            for block in found.passage.blocks:
                self.sentences += _sentences_of(block, head.positions)
        self.containing: dict[str, list[int]] = defaultdict(list)
        for number, sentence in enumerate(self.sentences):
            for key in sentence.positions:
                self.containing[key].append(number)
        self.asked_only = frozenset(key for key in TokenizedText(question).positions if key not in self)

    def __contains__(self, key: object) -> bool:
        """Whether a token key is in the sentences, the titles or the headings."""
        return key in self.containing or key in self.headings

    def carried_over(self, claim: TokenizedText) -> bool:
        """Whether a claim has a name of the question that the passages don't have: the question may take it for granted."""
        return any(
            token.kind is TokenKind.NAME and token.key in self.asked_only and not self.is_acronym(token, claim)
            for token in claim.tokens
        )

    def is_acronym(self, token: Token, claim: TokenizedText) -> bool:
        """Whether a token consists of the initials of consecutive words in the claim or in a sentence of the passages."""
        letters = claim.text[token.start : token.end].rstrip("s")
        return (
            len(letters) > 1
            and letters.isupper()
            and any(letters in sentence.initials for sentence in (claim, *self.sentences))
        )

    def weight(self, token: Token) -> float:
        """Return the weight of a token, which is higher the fewer sentences contain it."""
        count = len(self.sentences)
        rare = math.log(1 + count / max(1, len(self.containing.get(token.key, ())))) / math.log(1 + max(1, count))
        return weight(token) * (0.3 + 0.7 * rare)

    def nearest(self, claim: TokenizedText) -> list[TokenizedText]:
        """Return the few sentences that together cover most words of the claim, best first."""
        wanted = {claim.tokens[position].key: self.weight(claim.tokens[position]) for position in claim.content}
        chosen: list[TokenizedText] = []
        while wanted and len(chosen) < _MOST_SENTENCES:
            gains: dict[int, float] = defaultdict(float)
            for key, worth in wanted.items():
                for number in self.containing.get(key, ()):
                    gains[number] += worth
            if not gains:
                break
            best = max(gains, key=lambda number: (gains[number] - 0.01 * len(self.sentences[number].content), -number))
            if chosen and gains[best] < 0.15 * sum(wanted.values()):
                break
            chosen.append(self.sentences[best])
            wanted = {key: worth for key, worth in wanted.items() if key not in self.sentences[best].positions}
        return chosen


def _sentences_of(block: Block, head: Iterable[str]) -> Iterator[TokenizedText]:
    """Yield the sentences, list items or table rows of a block, each with the keys of its context."""
    inherited = {*head, *TokenizedText(plain(block.context)).positions} if block.context else set(head)
    pieces = list_items(block.text) if block.form is Form.LIST else line_spans(block.text)
    if block.form in (Form.PARAGRAPH, Form.PAIR):
        pieces = [(0, len(block.text))]
    if block.form is Form.TABLE:
        inherited |= set(TokenizedText(plain(block.text.partition("\n")[0])).positions)
    for start, end in pieces:
        text = normalised(" ".join(plain(block.text[start:end]).split()))
        for first, last in sentences(text):
            yield TokenizedText(without_lead_in(text[first:last]), inherited)


def compare(claim: TokenizedText, passages: Passages, nearest: Sequence[TokenizedText]) -> Support:
    """Return the scores of a claim by its words, compared with those of the nearest sentences; `cosine` is left out."""
    beside = {key for sentence in nearest for key in (*sentence.positions, *sentence.inherited)}
    found = [claim.tokens[position] for position in claim.content]
    total = sum(map(passages.weight, found)) or 1.0

    def share(keys: Iterable[str]) -> float:
        """Return the weighted share of the claim's content words that are among the keys."""
        there = set(keys)
        return sum(passages.weight(token) for token in found if token.key in there) / total

    anywhere = share((*passages.containing, *passages.headings))
    scores: dict[str, float] = {
        "anywhere": anywhere,
        "asked": min(anywhere, share(passages.asked_only)),
        "least_covered_run": _least_covered_run(claim, nearest),
        "sparse": max(0.0, 1 - share(beside) / _ENOUGH),
        "unit_mismatch": max((_unit_mismatch(token, nearest) for token in found if token.unit), default=0.0),
        "negation": _negation_mismatch(claim, nearest),
    }
    scores |= _substitutions(claim, nearest)
    for kind in EXACT:
        positions = [position for position in claim.content if claim.tokens[position].kind is kind]
        scores[f"{kind}_missing"] = max((_missing(claim, position, passages) for position in positions), default=0.0)
        scores[f"{kind}_rival"] = max((_rival(claim, position, nearest) for position in positions), default=0.0)
    return Support(**{name: score for name, score in scores.items() if name in _SCORES})


def _missing(claim: TokenizedText, position: int, passages: Passages) -> float:
    """Return 1 if an exact token is nowhere in the passages, 0.5 if it is a small count, else 0."""
    token = claim.tokens[position]
    if token.key in passages or passages.is_acronym(token, claim):
        return 0.0
    return 0.5 if _is_small_count(token) else 1.0


def _rival(claim: TokenizedText, position: int, nearest: Sequence[TokenizedText]) -> float:
    """Return how much better another token of the same kind fits the context of an exact token, from 0 to 1."""
    token = claim.tokens[position]
    others = {other.key for sentence in nearest for other in sentence.tokens if other.kind is token.kind}
    rivals = (_context_overlap(claim, position, key, nearest) for key in others - set(claim.positions))
    return max(0.0, max(rivals, default=0.0) - _context_overlap(claim, position, token.key, nearest))


def _substitutions(claim: TokenizedText, nearest: Sequence[TokenizedText]) -> dict[str, float]:
    """Return the scores of tokens that replace others where the claim otherwise follows one of the nearest sentences."""
    scores: dict[str, float] = defaultdict(float)
    said = [token.key for token in claim.tokens]
    for sentence in nearest[:2]:
        matcher = SequenceMatcher(None, said, [token.key for token in sentence.tokens], autojunk=False)
        operations = matcher.get_opcodes()
        for number, (operation, first, last, start, stop) in enumerate(operations):
            if operation == "equal" or last - first > _LONGEST_SUBSTITUTION or stop - start > _LONGEST_SUBSTITUTION:
                continue
            around = [operations[position] for position in (number - 1, number + 1) if 0 <= position < len(operations)]
            strength = sum(min(_FLANK, other[2] - other[1]) for other in around) / (2 * _FLANK)
            for name in _substituted_kinds(claim.tokens[first:last], sentence.tokens[start:stop]):
                scores[f"{name}_replaced"] = max(scores[f"{name}_replaced"], strength)
            if any(token.is_exact and token.key in sentence.positions for token in claim.tokens[first:last]):
                scores["moved"] = max(scores["moved"], strength * matcher.ratio())
    return scores


def _substituted_kinds(here: Sequence[Token], there: Sequence[Token]) -> Iterator[str]:
    """Yield the kinds of substitution when the tokens `here` of one text replace the tokens `there` of the other."""
    if any(token.kind is TokenKind.NEGATION for token in here) != any(
        token.kind is TokenKind.NEGATION for token in there
    ):
        yield "negation"
    keys = {token.key for token in there}
    if any(keys & OPPOSITES.get(token.key, frozenset()) for token in here):
        yield "opposite"
    kinds = {token.kind for token in here}
    if any(token.is_content for token in here) and any(token.is_content for token in there):
        yield from (str(kind) for kind in EXACT if kind in kinds)


def _is_small_count(token: Token) -> bool:
    return token.kind is TokenKind.NUMBER and not token.unit and token.key.isdecimal() and int(token.key) <= _SMALL


def _context_overlap(claim: TokenizedText, position: int, key: str, nearest: Sequence[TokenizedText]) -> float:
    """Return how much of the context of a token is also around `key` in the nearest sentences, from 0 to 1."""
    context = claim.around(position, _NEAR) & {key for sentence in nearest for key in sentence.positions}
    if not context:
        return 0.5 if any(key in sentence.positions for sentence in nearest) else 0.0
    return max(
        (
            len(context & sentence.around(there, _NEAR_THERE)) / len(context)
            for sentence in nearest
            for there in sentence.positions.get(key, ())
        ),
        default=0.0,
    )


def _least_covered_run(claim: TokenizedText, nearest: Sequence[TokenizedText]) -> float:
    """Return the smallest share of words, over all short runs of the claim, that one of the nearest sentences has."""
    keys = [claim.tokens[position].key for position in claim.content]
    there = [[key in sentence.positions or key in sentence.inherited for key in keys] for sentence in nearest]
    runs = range(max(1, len(keys) - _RUN + 1))
    shares = [
        max((sum(row[run : run + _RUN]) for row in there), default=0) / max(1, min(_RUN, len(keys))) for run in runs
    ]
    return min(shares)


def _unit_mismatch(token: Token, nearest: Sequence[TokenizedText]) -> float:
    """Return 1 if the number has another unit in the nearest sentences, 0.5 if it has none there, else 0."""
    there = [
        sentence.tokens[position].unit for sentence in nearest for position in sentence.positions.get(token.key, ())
    ]
    if not there or token.unit in there:
        return 0.0
    return 1.0 if any(there) else 0.5


def _negation_mismatch(claim: TokenizedText, nearest: Sequence[TokenizedText]) -> float:
    """Return the score of a negation on one side only, from 0 to 1."""
    return max(
        (
            *(_unmatched_negation(claim, scope, nearest) for scope in claim.scopes()),
            *(_unmatched_negation(sentence, scope, [claim]) for sentence in nearest[:1] for scope in sentence.scopes()),
        ),
        default=0.0,
    )


def _unmatched_negation(negating: TokenizedText, scope: Sequence[int], others: Sequence[TokenizedText]) -> float:
    """Return 1 if the others have the negated words in the same context without a negation, 0.5 if they lack them, else 0."""
    there = [
        (len(negating.around(word, _NEAR) & other.around(position, _NEAR_THERE)), other.negated(position, negating))
        for other in others
        for word in scope
        for position in other.positions.get(negating.tokens[word].key, ())
    ]
    if not there:
        return 0.5
    closest = max(common for common, _ in there)
    return 0.0 if any(negated for common, negated in there if common == closest) else 1.0


@dataclass(frozen=True, slots=True)
class SupportModel:
    """The models that turn scores into a probability: `with_meaning` uses `cosine`, `by_words` doesn't.

    `provenance` describes the data that they were fitted on, for people to read.
    """

    with_meaning: LogisticModel
    by_words: LogisticModel
    provenance: Mapping[str, Any]

    @classmethod
    def load(cls, file: Path = SHIPPED) -> "SupportModel":
        """Load a model that `save` wrote. Raises WeightsError if the file is missing or damaged."""
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            with_meaning, by_words = (LogisticModel.from_json(data[part], names) for part, names in _PARTS.items())
            return cls(with_meaning, by_words, data["provenance"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(f"{file} is damaged ({error}); install the bot again.") from error

    def save(self, file: Path) -> None:
        """Write the models to a file that `load` reads. Raises OSError."""
        file.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def probability(self, found: Support) -> float:
        """Return the probability of support, between 0 and 1.

        It is 0 if the passages have too few of the words, or lack one of the numbers or dates.
        """
        if found.anywhere < LEAST_SAID or max(found.number_missing, found.date_missing) >= 1:
            return 0.0
        return (self.by_words if found.cosine is None else self.with_meaning).probability(found)


_PARTS = {"with_meaning": NAMES, "by_words": WORD_NAMES}
