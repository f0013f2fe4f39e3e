"""Reword questions made from documents, as people ask them without having read the documents.

A language model rewords them if there is one. Otherwise rules do: everyday synonyms, without stop words.
"""

import asyncio
import hashlib
import re
from collections.abc import Callable, Sequence
from contextlib import aclosing
from itertools import pairwise

from bot.core.errors import BotError
from bot.core.text import STOP_WORDS, stems, words
from bot.evaluation.own_questions import OwnQuestion
from bot.inference.generator import Generator
from bot.inference.prompts import harmless, strip_thoughts

# Each word of a line is replaced by the next one, which has the same form and is usually more common.
_SYNONYMS = """
install, set up
installing, setting up
installation, setup
delete, remove, get rid of
deleting, removing, getting rid of
deleted, removed
error, problem
errors, problems
failure, problem
troubleshooting, problems
fix, repair, solve
configure, change
configuring, changing
configuration, settings
price, cost
prices, costs
pricing, costs
fee, charge
create, make
creating, making
add, put in
adding, putting in
show, display
enable, turn on
enabling, turning on
disable, turn off
disabling, turning off
start, launch
starting, launching
stop, quit
stopping, quitting
update, upgrade
updating, upgrading
updates, upgrades
use, work with
using, working with
choose, pick
choosing, picking
find, look up
finding, looking up
send, submit
sending, submitting
purchase, buy
request, ask for
requesting, asking for
allowed, permitted
required, needed
requirements, what is needed
prerequisites, needed before
obtain, get hold of
folder, directory
folders, directories
directory, folder
directories, folders
image, picture
images, pictures
application, program
examples, samples
example, sample
overview, basics
introduction, basics
employees, staff
compensation, pay
salary, pay
vacation, holiday
assistance, help
restrictions, limits
limitations, limits
location, place
connect, link
connecting, linking
store, keep
storing, keeping
"""
_QUESTION_WORDS = frozenset({"who", "whose", "when", "where", "why", "no", "not"})  # stop words that a question needs

_MAX_WORDS = 30
_MAX_CHARACTERS = 240
_BEGINNING = 400  # characters of a section in the prompt
_LABEL = "In other words:"
_PROMPT = """\
Put each question into other words, as somebody asks it who has not read the text. Keep its meaning. Answer with one line.

Text: Copies of the collection are kept in the folder archive for thirty days.
Question: Retention of copies (Archive)
In other words: how long are old copies kept?

Text: To delete a reader's card, open Cards, choose the card and press Delete.
Question: How do I delete a card?
In other words: how can I get rid of a library card that nobody needs any more?

Text: {text}
Question: {question}
In other words:"""

Progress = Callable[[int, int], None]


async def reworded(
    questions: Sequence[OwnQuestion],
    generator: Generator | None,
    within_seconds: float,
    progress: Progress = lambda _done, _total: None,
) -> tuple[list[str], int]:
    """Return the reworded questions, and how many of them the generator reworded. Never fails.

    The rules replace unusable texts. They also take over for the rest once the generator has failed or has taken longer than
    `within_seconds` for one question.
    """
    texts, by_model = [], 0
    for number, question in enumerate(questions, start=1):
        text = ""
        if generator is not None:
            try:
                async with asyncio.timeout(within_seconds):
                    text = await _by_model(generator, question)
            except (BotError, TimeoutError):
                generator = None
        by_model += bool(text)
        texts.append(text or by_rules(question))
        progress(number, len(questions))
    return texts, by_model


# --- by a language model ----------------------------------------------------------------------------------------------


async def _by_model(generator: Generator, question: OwnQuestion) -> str:
    """Return the line that the generator writes, empty if it is unusable. Raises EngineBusy and GenerationFailed."""
    beginning = " ".join(question.beginning[:_BEGINNING].split())
    prompt = _PROMPT.format(text=harmless(beginning), question=harmless(question.text))
    written = ""
    async with aclosing(generator.stream(prompt)) as pieces:
        async for piece in pieces:
            written += piece
            if "\n" in strip_thoughts(written).lstrip() or len(written) > 10 * _MAX_CHARACTERS:
                break
    line = next(iter(strip_thoughts(written).strip().splitlines()), "").removeprefix(_LABEL).strip(" \"'“”*")
    return line if _is_rewording(line, question) else ""


def _is_rewording(line: str, question: OwnQuestion) -> bool:
    """Whether a line is a short rewording about the section that keeps its numbers and isn't copied from the prompt."""
    about = stems(f"{question.title} {question.subject} {question.beginning}")
    return (
        1 < len(words(line)) <= _MAX_WORDS
        and len(line) <= _MAX_CHARACTERS
        and words(line) != words(question.text)
        and line not in _PROMPT
        and not re.match(r"(?:Text|Question|Answer):", line)
        and bool(stems(line) & about)
        and _details(question.subject) <= _details(line)
    )


def _details(text: str) -> set[str]:
    """Return the words with a digit: codes, versions and numbers, which have to be kept."""
    return {word for word in words(text) if any(character.isdigit() for character in word)}


# --- by rules ---------------------------------------------------------------------------------------------------------


def by_rules(question: OwnQuestion) -> str:
    """Return the content words of a question in lower case, with synonyms. A hash decides whether the title is left out."""
    without_title = question.is_plain and _half(question.text)
    asked = [_EVERYDAY.get(word, word) for word in _content_words(question.subject)]
    named = [] if without_title else _content_words(question.title)  # titles keep their words
    return " ".join(dict.fromkeys((*asked, *named))) or question.text.lower()


def _content_words(text: str) -> list[str]:
    """Return the content words and question words in lower case."""
    return [word for word in words(text) if word in _QUESTION_WORDS or word not in STOP_WORDS]


def _half(text: str) -> bool:
    return hashlib.sha256(text.encode()).digest()[0] % 2 == 0


_EVERYDAY = {word: other for line in _SYNONYMS.strip().splitlines() for word, other in pairwise(line.split(", "))}
