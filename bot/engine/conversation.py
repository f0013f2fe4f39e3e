"""What was said before, and the ways to take a question that comes after it.

A follow-up ("and on Windows?") is searched both as it stands and joined with the earlier questions that it may refer to. The
less a question says by itself, the more the joined variant counts. Every question is also taken by itself: what it finds
decides whether it is a follow-up at all. Only answered questions are kept, for as long as the settings say.
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

# A question with so many words that carry meaning can stand alone.
_WORDS_TO_STAND_ALONE = 2
_WEIGHT_TO_STAND_ALONE = 0.5
_REMEMBERED = (Outcome.ANSWERED, Outcome.SUGGESTED)
# A write for each question, only to find nothing to erase, would cost as much as keeping the turn.
_BETWEEN_ERASURES = 60.0  # seconds
_POINTING_BACK = frozenset("it its that this these those they them their he him his she her one ones there".split())


@dataclass(frozen=True, slots=True)
class Interpretation:
    """One way to take a question: `variants` are searched for, `text` is what passages are read for."""

    variants: tuple[QueryVariant, ...]
    text: str


class Conversations:
    def __init__(self, store: ConversationStore, settings: ConversationSettings) -> None:
        self._store = store
        self._settings = settings
        self._forgotten_at = -math.inf  # on the monotonic clock

    async def interpretations(self, question: Question) -> list[Interpretation]:
        """The ways to take a question: by itself last, and as a follow-up before that where anything was said before."""
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
        """Keep a question that was answered, surely or not, for follow-ups, and drop what has expired."""
        if answer.outcome not in _REMEMBERED or not self._settings.turns or question.earlier is not None:
            return
        if time.monotonic() > self._forgotten_at + _BETWEEN_ERASURES:
            await self.forget_expired()
        await self._store.add_turn(question.conversation, Turn(question.text, answer.text), clock.now(), question)

    async def forget(self, conversation: str) -> None:
        await self._store.forget(conversation)

    async def forget_expired(self) -> None:
        self._forgotten_at = time.monotonic()
        await self._store.forget_older(clock.now() - self._settings.expire_seconds)

    async def turns(self, question: Question) -> Sequence[Turn]:
        """What was said before this question, oldest first: as whoever asks says, or what is remembered and has not expired."""
        if not self._settings.turns:
            return []
        if question.earlier is not None:
            return question.earlier[-self._settings.turns :]
        since = clock.now() - self._settings.expire_seconds
        return await self._store.turns(question.conversation, newer_than=since, limit=self._settings.turns)


def points_back(text: str) -> bool:
    """Whether a question has a word such as "it" or "there", or too few words of its own, so that it needs what came before."""
    said = set(words(text))
    return bool(said & _POINTING_BACK) or not said - STOP_WORDS


def _weight_alone(text: str) -> float:
    """Between 0 (`and how do I change it?`) and 0.5, where the question as it stands counts as much as with its context."""
    said = set(words(text))
    own = len(said - STOP_WORDS) - bool(said & _POINTING_BACK)
    return _WEIGHT_TO_STAND_ALONE * min(1.0, max(0, own) / _WORDS_TO_STAND_ALONE)


def joined(context: Sequence[str], text: str) -> str:
    """A follow-up with what it refers to, as one text. The encoder cuts off the end, so the follow-up itself goes first."""
    return " ".join([text, *reversed(context)])
