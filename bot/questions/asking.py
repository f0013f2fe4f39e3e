"""Asks the engine, and makes an answer of its error if it raises one."""

import asyncio

import structlog

from bot.core.errors import BotError, DeadlineExceeded
from bot.core.messages import Answer, Engine, Outcome, Progress, Question
from bot.core.references import new_reference

_log = structlog.stdlib.get_logger(__name__)


async def ask(engine: Engine, question: Question, progress: Progress, *, seconds: float, deadline: float) -> Answer:
    """Ask the engine and return its answer, or an answer that names the error.

    `seconds`: the time after which the engine is cancelled. `deadline`: the seconds that the text for the user names.
    """
    reference = new_reference()
    try:
        try:
            async with asyncio.timeout(seconds):
                return await engine.answer(question, progress)
        except TimeoutError as error:
            raise DeadlineExceeded(deadline) from error
    except BotError as error:
        _log.warning("no answer", reference=reference, error=type(error).__name__)
        return _failed(f"{error}", reference)
    except Exception:
        _log.exception("failure", reference=reference)
        return _failed("Something went wrong on our side. Please ask again, or tell the operator.", reference)


def overdue(deadline: float) -> Answer:
    """Return the answer to a question that got no slot within the deadline (seconds)."""
    return _failed(str(DeadlineExceeded(deadline)), new_reference())


def expired() -> Answer:
    """Return the answer to a question that is too old to be answered."""
    text = "You asked this long ago, while I was away. Please ask again if you still want to know."
    return Answer(Outcome.FAILED, text, new_reference())


def stopped() -> Answer:
    """Return the answer to a question that its author has stopped."""
    return Answer(Outcome.STOPPED, "Stopped.", new_reference())


def _failed(text: str, reference: str) -> Answer:
    return Answer(Outcome.FAILED, f"{text} (reference {reference})", reference)
