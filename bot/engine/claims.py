"""Split a sentence into tokens that can be compared: words, numbers with their units, dates, names and negations.

The word lists are English; numbers are read in any language. Works on plain text without markup. Tokens are only for comparing,
never for quoting.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from bot.core.text import STOP_WORDS, stem


class TokenKind(StrEnum):
    """The type of a token, which decides how exactly it has to match."""

    WORD = "word"
    NUMBER = "number"
    DATE = "date"  # a year, a month or a day of the week
    NAME = "name"
    UNIT = "unit"
    NEGATION = "negation"
    STOP = "stop"


EXACT = (TokenKind.NUMBER, TokenKind.DATE, TokenKind.NAME, TokenKind.UNIT)
"""The kinds of tokens that have to match exactly."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token and its characters `start` to `end` in the text.

    Two tokens with the same `key` mean the same. `unit` is the unit of a number, or empty if it is unknown.
    """

    key: str
    kind: TokenKind
    start: int
    end: int
    unit: str = ""

    @property
    def is_content(self) -> bool:
        """Whether the token is a content word, not a stop word or a negation."""
        return self.kind not in (TokenKind.STOP, TokenKind.NEGATION)

    @property
    def is_exact(self) -> bool:
        """Whether the token has to match exactly."""
        return self.kind in EXACT


_MONTHS = "january february march april may june july august september october november december".split()
_DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_DATES = {name: name[:3] for name in (*_MONTHS, *_DAYS)} | {
    name[:3]: name[:3] for name in (*_MONTHS, *_DAYS) if name not in ("may", "march", "sunday", "saturday")
}
_DATES |= {"sept": "sep"}
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SPELLED = {name: str(value) for value, name in enumerate(_ONES)}
_SPELLED |= {name: str(10 * value) for value, name in enumerate(_TENS, start=2)}
_SPELLED |= {"third": "3", "fourth": "4", "fifth": "5", "sixth": "6", "twice": "2", "dozen": "12", "both": "2"}
# These are also pronouns or ordinals, so they are compared as words, not as numbers.
_WORDLIKE = frozenset("one both third".split())
_MULTIPLES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "k": 1000}

_UNITS = {
    "%": "% percent pct per-cent percentage",
    "$": "$ dollar dollars usd us$",
    "€": "€ euro euros eur",
    "£": "£ pound-sterling gbp",
    "¥": "¥ yen jpy yuan rmb",
    "cent": "cent cents ¢",
    "km": "km kilometer kilometers kilometre kilometres kms",
    "m": "m meter meters metre metres",
    "cm": "cm centimeter centimeters centimetre centimetres",
    "mm": "mm millimeter millimeters millimetre millimetres",
    "mi": "mi mile miles",
    "ft": "ft foot feet",
    "in": "inch inches",
    "yd": "yard yards",
    "acre": "acre acres",
    "ha": "ha hectare hectares",
    "kg": "kg kilogram kilograms kilo kilos",
    "g": "g gram grams",
    "mg": "mg milligram milligrams",
    "lb": "lb lbs pound pounds",
    "oz": "oz ounce ounces",
    "t": "ton tons tonne tonnes",
    "l": "l liter liters litre litres",
    "ml": "ml milliliter milliliters millilitre millilitres",
    "gal": "gallon gallons",
    "s": "s sec secs second seconds",
    "ms": "ms millisecond milliseconds",
    "min": "min mins minute minutes",
    "h": "h hr hrs hour hours",
    "day": "day days",
    "week": "week weeks",
    "month": "month months",
    "year": "year years yr yrs",
    "decade": "decade decades",
    "century": "century centuries",
    "b": "byte bytes",
    "bit": "bit bits",
    "kb": "kb kib kilobyte kilobytes",
    "mb": "mb mib megabyte megabytes",
    "gb": "gb gib gigabyte gigabytes",
    "tb": "tb tib terabyte terabytes",
    "hz": "hz hertz",
    "khz": "khz kilohertz",
    "mhz": "mhz megahertz",
    "ghz": "ghz gigahertz",
    "w": "w watt watts",
    "kw": "kw kilowatt kilowatts",
    "mw": "mw megawatt megawatts",
    "v": "v volt volts",
    "°c": "°c celsius",
    "°f": "°f fahrenheit",
    "degree": "degree degrees",
    "people": "people persons",
    "mph": "mph",
    "kmh": "km/h kph kmh",
}
UNITS = {name: unit for unit, names in _UNITS.items() for name in names.split()}
_CURRENCIES = frozenset("$€£¥")

_NEGATIONS = frozenset(
    "not no never none nobody nothing nowhere neither nor without cannot n't hardly barely unable impossible".split()
)
# Words that may stand for a negation. They match a negation in the other text, but never require one.
_NEGATING = re.compile(
    r"(?:lack|fail|prevent|prohibit|forbid|forbidden|refus|den[iy]|avoid|exclud|except|instead|rather|absen|unavailabl|"
    r"unsupport|disallow|only|few|little|stop|reject|ignor|un(?:able|til|less))"
)


def _opposites(groups: str) -> dict[str, frozenset[str]]:
    """Return the opposites of each word, as token keys: the words on the other sides of a slash, with one group a line."""
    found: dict[str, set[str]] = {}
    for line in groups.strip().splitlines():
        sides = [{_key(word) for word in side.split()} for side in line.split("/")]
        for number, side in enumerate(sides):
            others = set().union(*(other for position, other in enumerate(sides) if position != number))
            for word in side:
                found.setdefault(word, set()).update(others - side)
    return {word: frozenset(others) for word, others in found.items()}


def _key(word: str) -> str:
    return word if word in STOP_WORDS else stem(word)


# Words that reverse a statement when one replaces the other.
OPPOSITES = _opposites(
    """
    all every each always entire whole / some several certain sometimes often many most few occasionally partly / none never
    many most numerous often / few fewer rarely
    only solely exclusively / also additionally
    more greater higher larger bigger longer above over increased / less fewer lower smaller shorter below under decreased
    most greatest highest largest biggest longest maximum max / least fewest lowest smallest shortest minimum min
    best better / worst worse
    before earlier prior previously / after later following subsequently
    first earliest oldest begin began beginning start started / last latest newest end ended ending final stop stopped
    increase increases increased increasing rise rises rose grow grew raise raised / decrease decreases decreased decreasing
        fall falls fell shrink shrank reduce reduces reduced drop dropped decline declined
    enable enables enabled enabling / disable disables disabled disabling
    allow allows allowed permit permitted accept accepted / prevent prevents prevented forbid forbidden reject rejected deny
        denied prohibit prohibited block blocked
    include includes included including / exclude excludes excluded excluding
    required mandatory compulsory / optional voluntary
    public / private
    internal inside / external outside
    open opened / close closed
    north northern / south southern
    east eastern / west western
    left / right
    true / false
    positive / negative
    success successful succeed / failure failed fail unsuccessful
    possible able / impossible unable
    legal / illegal
    safe / unsafe dangerous
    easy / difficult hard
    fast faster quickly / slow slower slowly
    early / late
    high / low
    large big / small
    long / short
    strong / weak
    common frequent usual usually / rare rarely uncommon
    same identical / different
    new / old
    add added adding attach / remove removed removing delete deleted detach
    buy bought purchase / sell sold sale
    win won / lose lost
    with / without
    won / lost
    supported / unsupported
    manual manually / automatic automatically
    temporary temporarily / permanent permanently
    upper top / lower bottom
    gain gained / loss lose
    male men man boy / female women woman girl
    input / output
    parent / child
    day / night
    hot / cold
    up / down
    free / paid
    majority / minority
    directly / indirectly
    """.replace("\n        ", " ")
)

_TOKEN = re.compile(
    r"(?P<currency>[$€£¥])|(?P<number>\d++(?:[.,]\d++)*+)|(?P<word>[^\W\d_]\w*+(?:[-.'/&][^\W_]\w*+)*+)|(?P<mark>[%°])"
)
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")
_NEGATED = re.compile(r"\b(?:(ca)n't|(wo)n't|(\w+)n't)\b", re.IGNORECASE)
_ORDINAL = re.compile(r"(?:st|nd|rd|th|s)\b", re.IGNORECASE)


# "No" needs a mark behind it: "no trains stop" is a statement.
_LEAD_IN = re.compile(
    r"^(?:(?:no[,;:.!]+|(?:yes|sure|certainly|of course|indeed|okay|ok|well)\b[,;:.! ]+) *|the answer is:? )+(?=\w)",
    re.IGNORECASE,
)


def without_lead_in(text: str) -> str:
    """Return a normalised sentence without words in front of it such as "Yes," and "The answer is"."""
    return _LEAD_IN.sub("", text)


def normalised(text: str) -> str:
    """Return the text with variants of the same mark unified: quotes, dashes, thousands separators, "n't" and "not"."""
    text = text.replace("’", "'").replace("``", '"').replace("''", '"').replace("\u00a0", " ")
    text = re.sub(r"[\u2010-\u2015\u2212]", "-", text)
    text = re.sub(r"(?<=\w) (?=n't\b)", "", text)  # some corpora are tokenised: "did n't"
    text = re.sub(r"(?<=\d) , (?=\d{3}\b)|(?<=\d),(?=\d{3}\b)", "", text)  # thousands
    text = re.sub(r"(?<=\w) (?='(?:s|re|ve|ll|d|m)\b)", "", text)
    text = re.sub(r"(?<=\w) - (?=\w)", "-", text)
    text = re.sub(r"\b([A-Za-z])\.(?=[A-Za-z]\.)", r"\1", text)  # U.S. -> US.
    text = re.sub(r"(?<=[a-z)][.!?])(?=[A-Z][a-z])", " ", text)  # a missing space
    return _NEGATED.sub(lambda match: f"{(match[1] and 'can') or (match[2] and 'will') or match[3]} not", text)


def tokens(text: str) -> list[Token]:
    """Return the tokens of a normalised text, in order."""
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        said = match.group()
        if match["currency"]:
            found.append(Token(said, TokenKind.STOP, start, end, said))
        elif match["mark"]:
            _attach_unit(found, "%" if said == "%" else "°")
        elif match["number"]:
            unit = found[-1].unit if found and found[-1].key in _CURRENCIES and found[-1].end >= start - 1 else ""
            found.append(_number_token(said, start, end, unit, text))
        elif _CJK.match(said):
            found += [
                Token(character, TokenKind.WORD, start + position, start + position + 1)
                for position, character in enumerate(said)
            ]
        else:
            found += _word_tokens(said, start, found, text)
    return _with_shared_units(found)


def _with_shared_units(found: list[Token]) -> list[Token]:
    """Give the unit of the second number to the first, as in "3 to 4 dollars"."""
    for position in range(len(found) - 2, -1, -1):
        token = found[position]
        following = found[position + 1 : position + 3]
        if following[0].key in ("to", "and", "or"):
            following = following[1:]
        if token.kind is TokenKind.NUMBER and not token.unit and following and following[0].unit:
            found[position] = replace(token, unit=following[0].unit)
    return found


def _number_token(said: str, start: int, end: int, unit: str, text: str) -> Token:
    value = said.replace(",", "") if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", said) else said.replace(",", ".")
    if value.count(".") <= 1:
        whole, _, part = value.partition(".")
        value = (whole.lstrip("0") or "0") + (f".{part.rstrip('0')}" if part.rstrip("0") else "")
    year = re.fullmatch(r"1[0-9]{3}|20[0-9]{2}", said) is not None and not unit
    following = text[end : end + 2]
    if year and not re.match(r" ?[%°]", following):
        return Token(value, TokenKind.DATE, start, end)
    return Token(value, TokenKind.NUMBER, start, end, unit)


def _attach_unit(found: list[Token], unit: str) -> None:
    """Set the unit of the last token, if it is a number without one."""
    if found and found[-1].kind in (TokenKind.NUMBER, TokenKind.DATE) and not found[-1].unit:
        last = found[-1]
        found[-1] = Token(last.key, TokenKind.NUMBER, last.start, last.end, unit)


def _word_tokens(said: str, start: int, found: list[Token], text: str) -> Iterator[Token]:
    lower = said.lower().removesuffix("'s")
    end = start + len(said)
    last = found[-1] if found else None
    beside = last is not None and start - last.end <= 1 and last.kind in (TokenKind.NUMBER, TokenKind.DATE)
    if last is not None and beside and last.end == start and _ORDINAL.fullmatch(said):
        return
    if (
        last is not None
        and beside
        and lower in _MULTIPLES
        and last.kind is TokenKind.NUMBER
        and last.key.count(".") <= 1
    ):
        value = round(float(last.key) * _MULTIPLES[lower], 6)
        found[-1] = Token(f"{value:.6f}".rstrip("0").rstrip("."), TokenKind.NUMBER, last.start, end, last.unit)
        return
    if beside and lower in UNITS:
        _attach_unit(found, UNITS[lower])
        yield Token(UNITS[lower], TokenKind.UNIT, start, end)
        return
    if "-" in said and (parts := said.split("-")) and len(parts) > 1:
        position = start
        for part in parts:
            yield from _word_tokens(part, position, found, text) if part else ()
            position += len(part) + 1
        return
    if lower in _NEGATIONS:
        yield Token("not", TokenKind.NEGATION, start, end)
    elif lower in _DATES and said[:1].isupper():
        yield Token(_DATES[lower], TokenKind.DATE, start, end)
    elif lower in _SPELLED and lower not in _WORDLIKE:
        yield Token(_SPELLED[lower], TokenKind.NUMBER, start, end)
    elif lower in STOP_WORDS:
        yield Token(lower, TokenKind.STOP, start, end)
    elif lower in UNITS and (len(lower) > 3 or lower == "day") and lower not in ("second", "pound", "foot"):
        yield Token(UNITS[lower], TokenKind.UNIT, start, end)
    elif _is_name(said, start, text):
        yield Token(stem(lower), TokenKind.NAME, start, end)
    else:
        yield Token(stem(lower), TokenKind.WORD, start, end)


def _is_name(said: str, start: int, text: str) -> bool:
    """Whether a word is written like a name: with a digit, an inner capital, or a capital that doesn't begin a sentence."""
    if any(character.isupper() for character in said[1:]) or any(character.isdigit() for character in said):
        return True
    before = text[:start].rstrip(" \"'([*_#>-")
    return said[:1].isupper() and bool(before) and before[-1] not in ".!?:;\n|•"


def may_negate(text: str, token: Token) -> bool:
    """Whether a token is a negation or a word that may stand for one."""
    return token.kind is TokenKind.NEGATION or _NEGATING.match(text[token.start : token.end].lower()) is not None


def weight(token: Token) -> float:
    """Return the weight of a token in a comparison of two sentences."""
    return 1.5 if token.is_exact else 1.0 if token.is_content else 0.0
