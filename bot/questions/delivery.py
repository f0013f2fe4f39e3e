"""Answers on their way out: answer -> journal -> adapter, again and again until each has arrived.

Every part of an answer is noted in the journal before and after it is sent, so that a part which has arrived is not sent again,
neither by the next attempt nor after a restart.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from itertools import repeat
from typing import Any

import structlog

from bot.core.errors import Undeliverable
from bot.core.messages import Adapter, Answer, NotSent, Outcome, Sending, Superseded
from bot.questions.counts import QuestionCounts
from bot.questions.work import Work
from bot.storage.base import Journal, PartStore, Pending

_log = structlog.stdlib.get_logger(__name__)
# Seconds between two attempts to deliver an answer: half a day of them. After the last one it waits for the next start.
_PAUSES = (1.0, 5.0, 15.0, 60.0, *repeat(300.0, 144))


class AnswerDelivery:
    """Delivers answers through the adapters of their platforms."""

    def __init__(self, journal: Journal, *, keep: Collection[Outcome], counts: QuestionCounts) -> None:
        """Deliver and note it in the journal. `keep`: with which outcome question and answer are kept once delivered."""
        self._journal = journal
        self._keep = keep
        self._counts = counts

    async def deliver(self, work: Work, answer: Answer) -> None:
        """Deliver the answer and count it. An answer that doesn't arrive is kept for the next start, unless it never can.

        Raises Superseded where the question was edited or deleted meanwhile, and StorageError.
        """
        delivered = await self._until_arrived(work, answer)
        self._counts.done(work.question, answer, work.waited, delivered=delivered)
        _log.info("question", **_log_line(work, answer), delivered=delivered)

    async def _until_arrived(self, work: Work, answer: Answer) -> bool:
        if work.adapter is None:
            _log.warning("answer kept: its platform is not running", platform=work.address.platform)
            return False
        for pause in (*_PAUSES, None):
            with work.sending():
                arrived = await self._attempt(work.adapter, work.pending, answer, pause)
            if arrived is not None:
                return arrived
            if pause is not None:
                await asyncio.sleep(pause)
        return False

    async def _attempt(self, adapter: Adapter, pending: Pending, answer: Answer, pause: float | None) -> bool | None:
        """Try once. True: it has arrived; False: it never will; None: it may the next time."""
        address = pending.question.address
        delivery = _JournalledDelivery(self._journal.parts, pending, self._counts)
        try:
            await adapter.deliver(address, answer, delivery)
        except Superseded:
            raise
        except Undeliverable as error:
            _log.warning("answer given up", reference=answer.reference, reason=str(error))
            await self._journal.questions.done(pending.id, pending.revision, keep=False)
            return False
        except Exception as error:
            self._counts.delivery_failed(pending.question)
            _log.warning("delivery failed", reference=answer.reference, error=type(error).__name__, retry_seconds=pause)
            return None
        await self._journal.questions.done(pending.id, pending.revision, keep=answer.outcome in self._keep)
        return True


def _log_line(work: Work, answer: Answer) -> dict[str, Any]:
    phrasing = answer.phrasing
    return {
        "reference": answer.reference,
        "platform": work.address.platform,
        "outcome": answer.outcome.value,
        "waited_ms": round(work.waited * 1000, 1),
        **({"phrased": phrasing.outcome.value, "reasons": phrasing.reasons} if phrasing else {}),
        **{f"{stage}_ms": milliseconds for stage, milliseconds in answer.timings_ms.items()},
    }


class _JournalledDelivery:
    """A Delivery that notes each part in the journal before and after it is sent."""

    def __init__(self, parts: PartStore, pending: Pending, counts: QuestionCounts) -> None:
        self._parts = parts
        self._entry = pending.id
        self._revision = pending.revision
        self._counts = counts

    async def send_part(self, part: int, send: Callable[[Sending], Awaitable[str]]) -> str:
        known = await self._parts.part_begins(self._entry, self._revision, part)
        if known is not None and known.message is not None and known.current:
            return known.message
        replaces = known.message if known is not None else None
        if known is not None and replaces is None:  # it is in doubt whether it has arrived
            self._counts.repeated()
        try:
            message = await send(Sending(known is not None and known.repeated, replaces))
        except NotSent:
            if known is None:
                await self._parts.part_unsent(self._entry, part)
            raise
        await self._parts.part_sent(self._entry, self._revision, part, message)
        return message

    async def left_over(self, parts: int) -> list[str]:
        return await self._parts.left_over(self._entry, parts)
