"""Admission: accepts or refuses questions, and edits, stops and withdraws accepted ones.

A question is acknowledged once the journal has it. It is refused where it could not be answered in time, where too many wait
already, or where its author or chat asks too often.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from bot.core.errors import EngineBusy, RateLimited
from bot.core.messages import Address, Question
from bot.core.settings import LimitsSettings, QueueSettings
from bot.questions.counts import QuestionCounts
from bot.questions.limits import QuestionLimits
from bot.questions.queue import QuestionQueue
from bot.questions.work import Reason
from bot.storage.base import Forgotten, Journal, Pending

T = TypeVar("T")


class Admission:
    """Accepts questions, and revises or withdraws accepted ones."""

    def __init__(
        self,
        journal: Journal,
        queue: QuestionQueue,
        settings: QueueSettings,
        *,
        limits: LimitsSettings | None,
        counts: QuestionCounts,
    ) -> None:
        """Admit questions to `queue`. `limits`: None for no limits."""
        self._journal = journal
        self._queue = queue
        self._settings = settings
        self._limits = QuestionLimits(limits) if limits else None
        self._counts = counts
        self._accepting = 0  # questions on their way into the journal
        self._open = True

    @property
    def ready(self) -> bool:
        """Return whether questions are answered. Until the models are loaded and there is an index they are only taken in."""
        return self._queue.ready

    @property
    def unfinished(self) -> int:
        """Return the number of accepted questions that are not delivered yet."""
        return self._accepting + self._queue.unfinished

    @property
    def waiting(self) -> int:
        """Return the number of accepted questions that the engine has not answered yet."""
        return self._accepting + self._queue.unanswered

    async def accept(self, question: Question) -> bool:
        """Take a question in; when this returns, it is in the journal. False: this message was accepted before.

        Raises EngineBusy if too many questions wait already or the bot is stopping, RateLimited if its author or chat asks too
        often, and StorageError if it could not be kept; the caller says so to the user.
        """
        try:
            entry = await self._admitted(question, self._journal.questions.accept)
        except (EngineBusy, RateLimited) as refusal:
            if await self._journal.questions.known(question.address):
                return False
            reason = "busy" if isinstance(refusal, EngineBusy) else "limited"
            self._counts.refused(question, reason)
            raise
        if entry is None:
            if self._limits:
                self._limits.take_back(question)
            return False
        self._counts.accepted(question)
        self._queue.add(Pending(entry, question, answer=None))
        return True

    async def revise(self, question: Question) -> bool:
        """Answer an edited question again, in place of the answer to the question with the same address. Messages that were
        sent for it are edited. Returns False if the text is the same, or if the question isn't kept (any more).

        Raises what `accept` raises; the old answer stands then.
        """
        pending = await self._admitted(question, self._journal.questions.revise)
        if pending is None:
            return False
        self._counts.revised()
        if work := self._queue.find(question.address):
            work.end(Reason.DROPPED)
        self._queue.add(pending)
        return True

    async def withdraw(self, address: Address) -> list[str]:
        """Erase a deleted question with its turn, and drop its answer if that is still to come.

        Returns the ids of the messages that were sent for it, which the adapter is to delete.
        """
        entry = await self._journal.erasure.withdraw(address)
        if entry is None:
            return []
        self._counts.withdrawn()
        works = self._queue.find_all(lambda work: work.address.key == address.key)
        await asyncio.gather(*(work.dropped() for work in works))
        messages = await self._journal.erasure.take_parts(entry, address)
        await self._journal.erasure.scrub()
        return messages

    async def stop(self, address: Address) -> bool:
        """Stop the work on a question; its answer says so. Returns False if the question is not in work (any more)."""
        work = self._queue.find(address)
        if work is None or work.reason is not None or work.answered:
            return False
        work.end(Reason.STOPPED)
        return True

    async def forget(self, platform: str, author: str) -> Forgotten:
        """Erase the questions of an author on a platform, with turns and feedback, and drop answers that are still to come."""
        forgotten = await self._journal.erasure.forget_author(platform, author)
        if theirs := self._queue.find_all(
            lambda work: (work.address.platform, work.question.author) == (platform, author)
        ):
            await asyncio.gather(*(work.dropped() for work in theirs))
            await self._journal.erasure.forget_author(platform, author)  # the engine may have been quicker
        return forgotten

    def count(self, platform: str, chat: str, author: str) -> None:
        """Count something else that a person asks for like a question. Raises RateLimited, and EngineBusy if the bot stops."""
        if not self._open:
            raise EngineBusy(self.waiting)
        if self._limits:
            self._limits.count(Question("", "", author, Address(platform, chat, ""), datetime.now(UTC)))

    def close(self) -> None:
        """Refuse every question from now on."""
        self._open = False

    async def _admitted(self, question: Question, keep: Callable[[Question], Awaitable[T]]) -> T:
        if not self._open or self._is_too_much(question):
            raise EngineBusy(self.waiting)
        if self._limits:
            self._limits.count(question)
        self._accepting += 1
        try:
            return await keep(question)
        finally:
            self._accepting -= 1

    def _is_too_much(self, question: Question) -> bool:
        """Return whether the capacity is used up for a question, or it could not be answered in time.

        Nobody may have more questions waiting than the capacity that is left: one author or chat takes half of it at most, two
        a third each, and a newcomer always finds some.
        """
        left = self._settings.capacity - self.waiting
        if left <= 0:
            return True
        if self._limits and self._queue.unanswered_beside(question) >= left:
            return True
        return self._queue.expected_wait(question) > self._settings.deadline_seconds
