"""Find what is wrong with a draft by itself: roles of a prompt, echoes, loops, fillers, denials and other languages."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from bot.core.documents import FoundPassage
from bot.core.messages import NO_ANSWER
from bot.core.text import plain, words
from bot.engine.claims import TokenKind, normalised, tokens
from bot.knowledge.checks import detect_language

# A role and a colon at the beginning of a line, or a special token of any of the usual templates.
_ROLE = re.compile(
    r"^[ \t]*[#*\[<|]{0,3}"
    r"(?P<role>user|human|assistant|bot|question|answer|q|a|context|passage \d+)"
    r"[\]>*|]{0,3}:(?!/)[*]{0,2}|<\|[\w ]{1,30}\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:eos|bos|pad|unk)>|<(?:start|end)_of_turn>",
    re.IGNORECASE | re.MULTILINE,
)
_OWN_ROLES = frozenset({"assistant", "answer", "a", "bot"})
_FILLER = re.compile(
    r"(?:(?:sure|certainly|of course|okay|ok|great|absolutely|thanks|thank you|hello|hi)\b[\w ,']{0,40}[.!,]*"
    r"|(?:i )?hope (?:this|that|it) (?:helps|answers)\b.{0,60}"
    r"|(?:please )?(?:let me know|feel free|don't hesitate)\b.{0,120}"
    r"|(?:i'd|i would|i'll|i can|i'm|i am) (?:be )?(?:\w+ )?(?:happy|glad|here|help)\b.{0,80}"
    r"|(?:sure|yes)?,? ?(?:here(?:'s| is| are)|the following (?:is|are))\b[\w ']{0,60}:"
    r"|(?:is|was) there anything else\b.{0,60})",
    re.IGNORECASE,
)
_DENIAL = re.compile(
    r"(?:unfortunately,? |sorry,? |i'm sorry,? (?:but )?|i am sorry,? (?:but )?|however,? )*"
    r"(?:i (?:do not|can not|don't|can't|cannot|am unable to|could not|couldn't) (?:have|know|find|answer|provide)\b"
    r"|(?:the )?(?:provided |given )?(?:document|passage|context|text|information)s? (?:\w+ )?(?:do|does|did) ?(?:not|n't)\b)"
    r".*",
    re.IGNORECASE | re.DOTALL,
)
_LONGEST_LOOP = 12  # words
# Letters of a script that the passages hardly use, as a share of all letters of a sentence.
_MAX_FOREIGN_SHARE = 0.3


def strip_roles(draft: str, source: str) -> tuple[str, bool]:
    """Return the draft up to the first marker of another role and without a leading marker of its own, and whether it had any.

    A marker that is also in the documents is kept as text.
    """
    marked = False
    if (own := _ROLE.match(draft)) and _is_own(own) and own.group().strip() not in source:
        draft, marked = draft[own.end() :], True
    for match in _ROLE.finditer(draft):
        if match.group().strip() not in source:
            return draft[: match.start()], True
    return draft, marked


def _is_own(marker: re.Match[str]) -> bool:
    return (marker["role"] or "").lower() in _OWN_ROLES or marker["role"] is None


def draft_problem(draft: str, passages: Sequence[FoundPassage]) -> str:
    """Return the reason why the draft as a whole is no answer, or "" if it may be one."""
    if not words(draft):
        return "empty"
    own = detect_language(draft)
    theirs = own and detect_language("\n".join(found.passage.body for found in passages))
    return "language" if own and theirs and own != theirs else ""


def sentence_problem(piece: str, question: str, source: str) -> str:
    """Return the reason why a piece is no statement about the documents, or "" if it may be one."""
    said = words(plain(piece))
    if _loops(said):
        return "repetition"
    if _foreign_script(piece, source):
        return "language"
    if said == words(question) or _restates(piece, question):
        return "echo"
    if piece.rstrip().endswith(("?", "？")):
        return "question"
    if is_filler(piece):
        return "filler"
    return NO_ANSWER if _DENIAL.fullmatch(normalised(piece).strip()) else ""


def is_filler(piece: str) -> bool:
    """Whether a piece is a phrase of politeness or an announcement."""
    return _FILLER.fullmatch(normalised(piece).strip()) is not None


# The answer to a yes-or-no question, or to a choice between things that it names, may consist of its own words.
_CLOSED_QUESTION = re.compile(
    r"(?:^|[.!?,;:]\s+|\b(?:so|and|but|hey|hi|hello)\s+)"
    r"(?:is|are|am|was|were|do|does|did|can|could|will|would|should|shall|may|might|must|has|have|had|need)(?:n't)?\b|\bor\b",
    re.IGNORECASE,
)
# "When you ..." begins a condition.
_OPEN_QUESTION = re.compile(
    r"\b(?:what|why|how|where|which|who|whose|whom|when(?!\s+(?:i|you|we|they|he|she|it|the|an?|my|your)\b))\b",
    re.IGNORECASE,
)


def is_closed(question: str) -> bool:
    """Whether a question asks for yes or no, or names the things to choose from."""
    return _CLOSED_QUESTION.search(question) is not None


def _restates(piece: str, question: str) -> bool:
    """Whether a sentence only repeats the words of an open question, unless it ends with a colon."""
    if piece.rstrip().endswith(":") or is_closed(question) or ("?" in question and not _OPEN_QUESTION.search(question)):
        return False
    asked = {token.key for token in tokens(normalised(question))}
    said = [
        token.key for token in tokens(normalised(plain(piece))) if token.is_content or token.kind is TokenKind.NEGATION
    ]
    return bool(said) and asked.issuperset(said)


def _loops(said: Sequence[str]) -> bool:
    """Whether a text repeats itself: one word four times in a row, several words three times, or a phrase too often."""
    for length in range(1, _LONGEST_LOOP + 1):
        times = 4 if length == 1 else 3
        run = 0
        for position in range(length, len(said)):
            run = run + 1 if said[position] == said[position - length] else 0
            if run >= length * (times - 1):
                return True
    often = Counter(zip(said, said[1:], said[2:], strict=False))
    return len(said) >= 20 and max(often.values(), default=0) > max(3, len(said) // 8)


def repetitions(texts: Sequence[str]) -> Iterator[int]:
    """Yield the numbers of the pieces that repeat an earlier one."""
    seen: set[tuple[str, ...]] = set()
    for number, text in enumerate(texts):
        said = tuple(words(plain(text)))
        if said and said in seen:
            yield number
        seen.add(said)


def _foreign_script(piece: str, source: str) -> bool:
    scripts = Counter(_scripts(piece))
    foreign = scripts.keys() - {script for script, count in Counter(_scripts(source)).items() if count > 3}
    return sum(scripts[script] for script in foreign) > _MAX_FOREIGN_SHARE * max(1, scripts.total())


def _scripts(text: str) -> Iterator[str]:
    """Yield the script of each letter, by the first word of its Unicode name."""
    for letter in filter(str.isalpha, text):
        yield "LATIN" if letter.isascii() else unicodedata.name(letter, "UNKNOWN").partition(" ")[0]
