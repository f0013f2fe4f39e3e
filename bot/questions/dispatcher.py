"""The way of a question between adapter and engine: admission -> queue -> engine -> delivery.

Every accepted question is in the journal until its answer is delivered, so that `resume` takes up the questions that a crash or
a stop has left unanswered.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable

from bot.core.messages import Adapter, Engine, Outcome
from bot.core.settings import LimitsSettings, QueueSettings
from bot.observability import metrics
from bot.questions.admission import Admission
from bot.questions.counts import QuestionCounts
from bot.questions.delivery import AnswerDelivery
from bot.questions.queue import QuestionQueue
from bot.storage.base import Journal


class Dispatcher:
    """Admission, queue and delivery, put together: takes questions from any adapter and answers each once."""

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        settings: QueueSettings,
        *,
        limits: LimitsSettings | None = None,
        keep: Collection[Outcome] = frozenset(Outcome),
        ready: asyncio.Event | None = None,
    ) -> None:
        """Put the parts together.

        `limits`: None for no limits. `keep`: with which outcome question and answer are kept once delivered, for edits, buttons
        and the list of gaps. `ready`: until it is set the engine is not asked, and no deadline begins.
        """
        self._counts = counts = QuestionCounts()
        self._questions = journal.questions
        self._adapters: dict[str, Adapter] = {}
        delivery = AnswerDelivery(journal, keep=keep, counts=counts)
        self.queue = QuestionQueue(
            engine, journal.questions, settings, delivery, self._adapters, ready=ready, counts=counts
        )
        self.admission = Admission(journal, self.queue, settings, limits=limits, counts=counts)
        metrics.UNFINISHED.set_function(lambda: self.admission.unfinished)

    @property
    def counts(self) -> Counter[str]:
        """Return the counts since the start, see `QuestionCounts.since_start`."""
        return self._counts.since_start

    def register(self, adapters: Iterable[Adapter]) -> None:
        """Make adapters known, by name, as the ones to deliver through: before the first question, but after the dispatcher is
        made, because they need its admission."""
        self._adapters.update((adapter.name, adapter) for adapter in adapters)

    async def resume(self) -> int:
        """Queue the questions that were unanswered at the last stop, and return their number."""
        pending = await self._questions.pending()
        for one in pending:
            self.queue.add(one)
        self._counts.resumed(len(pending))
        return len(pending)

    async def close(self, grace_seconds: float) -> None:
        """Accept no more questions, give running ones the grace to finish, and leave the rest to the next start."""
        self.admission.close()
        await self.queue.close(grace_seconds)
