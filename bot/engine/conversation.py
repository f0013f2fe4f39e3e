"""What was said before, and how a follow-up question becomes searchable.

A follow-up ("and on Windows?") is searched both as it stands and joined with the earlier questions that it may refer to;
the rankings are fused, so a change of subject is not lost in what was said before. The less a question says by itself, the
more the joined variant counts; one that says enough is taken by itself where it has no answer as a follow-up, or a
much less sure one. Only answered questions are kept, for as long as the settings say.
"""

import math
import time
from collections.abc import Sequence

from bot.core.messages import Answer, QueryVariant, Question, Turn
from bot.core.settings import ConversationSettings
from bot.core.text import STOP_WORDS, words
from bot.storage.base import ConversationStore

# A question with so many words that carry meaning can stand alone.
_WORDS_TO_STAND_ALONE = 2
_WEIGHT_TO_STAND_ALONE = 0.5
# A write for each question, only to find nothing to erase, would cost as much as keeping the turn.
_BETWEEN_ERASURES = 60.0  # seconds
_POINTING_BACK = frozenset("it its that this these those they them their he him his she her one ones there".split())


class Conversations:
    def __init__(self, store: ConversationStore, settings: ConversationSettings) -> None:
        self._store = store
        self._settings = settings
        self._forgotten_at = -math.inf  # on the monotonic clock

    async def variants(self, question: Question) -> list[QueryVariant]:
        """What to search for: the question as it stands first, then with what it refers to, if there is anything."""
        context = [turn.question for turn in await self.turns(question)]
        if question.replied_to:
            context.append(question.replied_to)
        if not context:
            return [QueryVariant(question.text)]
        alone = _weight_alone(question.text)
        return [QueryVariant(question.text, alone), QueryVariant(joined(context, question.text), 1 - alone)]

    async def remember(self, question: Question, answer: Answer) -> None:
        """Keep an answered question for follow-ups, and drop what has expired."""
        if not answer.answered or not self._settings.turns or question.earlier is not None:
            return
        if time.monotonic() > self._forgotten_at + _BETWEEN_ERASURES:
            await self.forget_expired()
        await self._store.add_turn(question.conversation, Turn(question.text, answer.text), time.time(), question)

    async def forget(self, conversation: str) -> None:
        await self._store.forget(conversation)

    async def forget_expired(self) -> None:
        self._forgotten_at = time.monotonic()
        await self._store.forget_older(time.time() - self._settings.expire_seconds)

    async def turns(self, question: Question) -> Sequence[Turn]:
        """What was said before this question, oldest first: as whoever asks says, or what is remembered and has not expired."""
        if not self._settings.turns:
            return []
        if question.earlier is not None:
            return question.earlier[-self._settings.turns :]
        since = time.time() - self._settings.expire_seconds
        return await self._store.turns(question.conversation, newer_than=since, limit=self._settings.turns)


def may_stand_alone(variants: Sequence[QueryVariant]) -> bool:
    """Whether a question with these variants says enough to be no follow-up, although something was said before."""
    return len(variants) > 1 and variants[0].weight >= _WEIGHT_TO_STAND_ALONE


def _weight_alone(text: str) -> float:
    """Between 0 (`and how do I change it?`) and 0.5, where the question as it stands counts as much as with its context."""
    said = set(words(text))
    own = len(said - STOP_WORDS) - bool(said & _POINTING_BACK)
    return _WEIGHT_TO_STAND_ALONE * min(1.0, max(0, own) / _WORDS_TO_STAND_ALONE)


def joined(context: Sequence[str], text: str) -> str:
    """A follow-up with what it refers to, as one text. The encoder cuts off the end, so the follow-up itself goes first."""
    return " ".join([text, *reversed(context)])
