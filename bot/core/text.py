"""Small operations on text that several packages share: sentences, words, plurals, Markdown without markup, text made safe."""

import re
from collections.abc import Callable
from functools import lru_cache

Span = tuple[int, int]
"""(start, end) of characters, as in a slice."""

# A full stop after one of these, or after a single capital letter, doesn't end a sentence.
_ABBREVIATIONS = frozenset(
    """
    al approx art cf ch co corp dept dr e.g eg eq etc ex fig figs gen gov i.e ie inc jr lt ltd mr mrs ms mt no nos op
    p pp prof ref rev sec sen sr st v vol vs u.s u.k u.n e.u a.m p.m jan feb mar apr jun jul aug sep sept oct nov dec
    bzw ca ggf z
    """.split()
)
# Marks of references such as [3] may stand behind it.
_SENTENCE_END = re.compile(
    r"(?<![.!?…])([.!?…]++)(?:\[\w{1,4}\])*+[\"'”’)\]*_`]*+(?=\s++(\S))|[。！？]++[」』”’]*+|\n[ \t]*+\n"
)
_LAST_WORD = re.compile(r"[\w.]+$")


def sentences(text: str) -> list[Span]:
    """Return the spans of the sentences in a text, in order, without surrounding white space."""
    spans = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        if (match[2] or "").islower() or (match[1] == "." and _is_no_end(text, start, match.start())):
            continue
        spans.append((start, match.end()))
        start = match.end()
    spans.append((start, len(text)))
    return [span for span in (stripped(text, span) for span in spans) if span[0] < span[1]]


def _is_no_end(text: str, start: int, stop: int) -> bool:
    """Return whether the full stop at `stop` belongs to an abbreviation, to initials, or to an item's number at `start`."""
    found = _LAST_WORD.search(text, max(start, stop - 20), stop)
    if found is None:
        return False
    word = found.group()
    if word.isdecimal() and len(word) <= 3 and not text[start : found.start()].strip():
        return True
    return word.lower() in _ABBREVIATIONS or all(len(part) == 1 and part.isupper() for part in word.split("."))


def stripped(text: str, span: Span) -> Span:
    """Return the span without white space at its ends."""
    start, end = span
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


HTML_COMMENT = re.compile(r"<!--(?:(?!<!--|-->).)*+-->", re.DOTALL)

# Each pattern stops at the next mark of its kind and never backtracks, so hostile text takes no more time than other text.
_TARGET = r"\([^()\n]*+(?:\([^()\n]*+\)[^()\n]*+)*+\)"
_STRONG = re.compile(r"(?<!\\)\*\*(?=[^\s*])([^*]++)(?<=[^\s\\])\*\*")
_MARKUP = [
    (HTML_COMMENT, " "),
    (re.compile(r"^[ \t]*+(?:`{3,}+[^`\n]*+|~{3,}+.*)$", re.MULTILINE), ""),  # code fences
    (re.compile(r"^[ \t]*+(?:\|[ \t|:-]*+|:?-{2,}+:?[ \t]*+(?:\|[ \t|:-]*+)?)$", re.MULTILINE), ""),  # table rules
    (  # HTML, and code and addresses, whose brackets aren't markup
        re.compile(
            r"(?<!`)(`{1,3})(?!`)(.+?)(?<!`)\1(?!`)|<([a-z]++:[^<>\s]++|[^<>\s@]++@[^<>\s]++)>|</?[a-zA-Z][\w:.-]*+(?:[\s/][^<>]*+)?>",
            re.DOTALL,
        ),
        r"\2\3",
    ),
    (re.compile(rf"(?<!\\)!\[([^\[\]]*+)\]{_TARGET}"), r"\1"),  # images, which may stand within links
    (re.compile(rf"(?<!\\)\[([^\[\]]*+)\]{_TARGET}"), r"\1"),
    (re.compile(r"(?<![\w\\])!?\[([^\[\]]++)\]\[[^\[\]\n]*+\]"), r"\1"),
    (re.compile(r"^[ \t]*+(?:>[ \t]?)++", re.MULTILINE), ""),
    (re.compile(r"^[ \t]*+(?:[-*+•]|\d{1,3}[.)])[ \t]++", re.MULTILINE), ""),  # list markers
    (_STRONG, r"\1"),
    (re.compile(r"(?<![\w*\\])\*(?=[^\s*])([^*]++)(?<=[^\s\\])\*(?![\w*])"), r"\1"),
    (_STRONG, r"\1"),  # the one that held the other
    (re.compile(r"~~(?=[^\s~])([^~]++)(?<=\S)~~"), r"\1"),
    (re.compile(r"(?<![\w\\])_{1,2}(?=\S)([^_]++)(?<=[^\s\\])_{1,2}(?!\w)"), r"\1"),
    (re.compile(r"\\([!-/:-@\[-`{-~])"), r"\1"),  # escapes
    (re.compile(r"\|"), " "),
]


def plain(text: str) -> str:
    """Return Markdown text without its markup, for searching and comparing, never for quoting."""
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    return re.sub(r"[ \t]*\n\s*", "\n", re.sub(r"[ \t]+", " ", text)).strip()


_WORD = re.compile(r"\w+(?:['’.-]\w+)*")

STOP_WORDS = frozenset(
    """
    a about after all also am an and any are as at be because been before being but by can could did do does doing for
    from get give had has have having he her hers him his how i if in into is it its just let may me might mine more
    most must my no nor not of on or our ours please she should so some such tell than that the their theirs them then
    there these they this those to too us was we were what when where which while who whom whose why will with would
    you your yours i'm it's don't doesn't didn't can't isn't aren't what's that's i've i'd you're
    """.split()
)


def words(text: str) -> list[str]:
    """Return the words of a text in lower case, in order."""
    return [match.group().lower().replace("’", "'") for match in _WORD.finditer(text)]


def content_words(text: str) -> list[str]:
    """Return the words of a text without stop words, or all of them if there are only stop words."""
    everything = words(text)
    return [word for word in everything if word not in STOP_WORDS] or everything


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Return a rough English stem, the same for `installs`, `installed` and `installing`. Only for comparing texts."""
    for suffix, kept in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", "e"), ("s", ""), ("ly", "")):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3 and not word.endswith("ss"):
            word = word[: len(word) - len(suffix)] + kept
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def stems(text: str) -> frozenset[str]:
    """Return the stems of the content words of a text."""
    return frozenset(stem(word) for word in content_words(text))


def share_of_words(wanted: frozenset[str], present: frozenset[str]) -> float:
    """Return the share of the wanted words that are present, between 0 and 1."""
    return len(wanted & present) / max(1, len(wanted))


def line_spans(text: str, joined: Callable[[str], bool] = lambda _: False) -> list[Span]:
    """Return the spans of the lines. A blank line, or one for which `joined` holds, is part of the line before it."""
    spans: list[Span] = []
    start = 0
    for line in text.split("\n"):
        end = start + len(line)
        if spans and (not line.strip() or joined(line)):
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
        start = end + 1
    return spans


_LIST_MARKER = re.compile(r"([ \t]*+)(?:[-*+•]|\d{1,9}[.)])(?=\s|$)")


def list_items(text: str) -> list[Span]:
    """Return the spans of the top-level items of a list, each with its further lines."""
    depth = len(text) - len(text.lstrip(" \t"))

    def joined(line: str) -> bool:
        marker = _LIST_MARKER.match(line)
        return marker is None or len(marker[1]) > depth

    return line_spans(text, joined)


def counted(count: float, singular: str, plural: str = "") -> str:
    """Return a number with its noun: `1 passage`, `2 passages`. `plural` is for irregular nouns."""
    noun = singular if count == 1 else plural or f"{singular}s"
    return f"{count:g} {noun}" if isinstance(count, float) else f"{count} {noun}"


# Control characters could drive a terminal, bidirectional ones change the order in which text is read, and invisible ones hide
# in a word or an address; tags, which are invisible too, can carry whole sentences. Joiners stay: emoji and some scripts need
# them. Half a surrogate pair is no character, and can't be sent or printed.
UNSAFE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e"
    r"\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff]"
)
_LINE_ENDS = str.maketrans("\u2028\u2029", "  ")


def safe(text: str) -> str:
    """Return text of a document or a user without control characters, invisible characters and changes of direction."""
    if text.isascii() and text.isprintable():  # as most texts are: a page is made of thousands
        return text
    return UNSAFE.sub("", text.translate(_LINE_ENDS))
