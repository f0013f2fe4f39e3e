"""Remember conversations, and interpret a question in the context of the earlier ones.

A follow-up ("and on Windows?") is searched both unchanged and joined with the earlier questions that it may refer to. The fewer
content words a question has, the more the joined variant counts. Every question is also searched by itself, and the passages
found decide whether it is a follow-up. Only answered questions are kept, for as long as the settings say.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bot.core import clock
from bot.core.messages import Answer, Outcome, QueryVariant, Question, Turn
from bot.core.settings import ConversationSettings
from bot.core.text import STOP_WORDS, words
from bot.storage.base import ConversationStore

# A question with this many content words is complete by itself.
_WORDS_TO_STAND_ALONE = 2
_WEIGHT_TO_STAND_ALONE = 0.5
_REMEMBERED = (Outcome.ANSWERED, Outcome.SUGGESTED)
# Erasing expired turns with each question would cost as much as storing the turn.
_ERASURE_INTERVAL = 60.0  # seconds
_REFERRING_WORDS = frozenset("it its that this these those they them their he him his she her one ones there".split())


@dataclass(frozen=True, slots=True)
class Interpretation:
    """One interpretation of a question: the search uses its `variants`, the reader its `text`."""

    variants: tuple[QueryVariant, ...]
    text: str


class Conversations:
    """Reads and stores the turns of conversations, and interprets questions in their context."""

    def __init__(self, store: ConversationStore, settings: ConversationSettings) -> None:
        self._store = store
        self._settings = settings
        self._erased_at = -math.inf  # on the monotonic clock

    async def interpretations(self, question: Question) -> list[Interpretation]:
        """Return the interpretations of a question: as a follow-up if there is a context, and last by itself."""
        alone = Interpretation((QueryVariant(question.text),), question.text)
        context = [turn.question for turn in await self.turns(question)]
        if question.replied_to:
            context.append(question.replied_to)
        if not context:
            return [alone]
        weight, text = _weight_alone(question.text), joined(context, question.text)
        variants = QueryVariant(question.text, weight), QueryVariant(text, 1 - weight)
        return [Interpretation(variants, text), alone]

    async def remember(self, question: Question, answer: Answer) -> None:
        """Store an answered or suggested question for follow-ups, and erase expired turns from time to time."""
        if answer.outcome not in _REMEMBERED or not self._settings.turns or question.earlier is not None:
            return
        if time.monotonic() > self._erased_at + _ERASURE_INTERVAL:
            await self.forget_expired()
        await self._store.add_turn(question.conversation, Turn(question.text, answer.text), clock.now(), question)

    async def forget(self, conversation: str) -> None:
        """Erase the turns of a conversation."""
        await self._store.forget(conversation)

    async def forget_expired(self) -> None:
        """Erase the turns that are older than the settings allow."""
        self._erased_at = time.monotonic()
        await self._store.forget_before(clock.now() - self._settings.expire_seconds)

    async def turns(self, question: Question) -> Sequence[Turn]:
        """Return the earlier turns, oldest first: the question's own if it has any, else the stored unexpired ones."""
        if not self._settings.turns:
            return []
        if question.earlier is not None:
            return question.earlier[-self._settings.turns :]
        since = clock.now() - self._settings.expire_seconds
        return await self._store.turns(question.conversation, newer_than=since, limit=self._settings.turns)


def points_back(text: str) -> bool:
    """Whether a question refers to earlier ones: it has a word such as "it" or "there", or only stop words."""
    said = set(words(text))
    return bool(said & _REFERRING_WORDS) or not said - STOP_WORDS


def _weight_alone(text: str) -> float:
    """Return the weight of a question without its context: from 0 (`and how do I change it?`) to 0.5, equal to that with it."""
    said = set(words(text))
    own = len(said - STOP_WORDS) - bool(said & _REFERRING_WORDS)
    return _WEIGHT_TO_STAND_ALONE * min(1.0, max(0, own) / _WORDS_TO_STAND_ALONE)


def joined(context: Sequence[str], text: str) -> str:
    """Join a follow-up with its context, latest first. The encoder cuts off the end, so the follow-up goes first."""
    return " ".join([text, *reversed(context)])
