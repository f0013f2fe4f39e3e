"""Turns requests into questions, and passes answers to the requests that wait for them.

The answer goes into the response, so a client that disconnects withdraws its question. A client with an `Idempotency-Key` may
come back for the answer, even after a restart: its question is always finished, and the same key never asks twice.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from http import HTTPStatus
from typing import Annotated

import structlog
from fastapi import Header, Request

from bot.adapters.backend import Backend
from bot.adapters.http.anonymous import AnonymousLimits
from bot.adapters.http.bodies import require_short
from bot.core import clock
from bot.core.errors import BotError
from bot.core.messages import Address, Answer, Outcome, Question, Turn, Update
from bot.http.problems import Problem

PLATFORM = "http"
_log = structlog.stdlib.get_logger(__name__)
# Seconds of silence after which a stream sends a sign of life, so that proxies keep it open.
_KEEP_ALIVE = 15.0
# Seconds that a request may wait beyond the deadline of its question, for models that are still being loaded.
_FOR_LOADING = 240.0

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        description="A name of your own for this request. Repeating the request with the same key gives the answer of the "
        "first one, as long as it is kept, and never asks twice.",
    ),
]
Event = Update | Answer | Problem


class Waiting:
    """A request that waits for its answer, with its queue of events."""

    def __init__(self, question: Question, *, keyed: bool) -> None:
        self.question = question
        self.keyed = keyed
        self.watch: asyncio.Task[None] | None = None
        self._events: asyncio.Queue[Event] = asyncio.Queue()

    def put(self, event: Event) -> None:
        self._events.put_nowait(event)

    async def next(self) -> Event | None:
        """Return the next event, or None after `_KEEP_ALIVE` seconds without one."""
        try:
            async with asyncio.timeout(_KEEP_ALIVE):
                return await self._events.get()
        except TimeoutError:
            return None


class Requests:
    """The waiting requests: asks their questions, and passes each answer to all requests that wait for it."""

    def __init__(self, backend: Backend, count_tokens: Callable[[Sequence[str]], list[int]]) -> None:
        """`count_tokens` is called in a thread."""
        self._anonymous = AnonymousLimits(backend.settings.limits)
        self.count_tokens = count_tokens
        self._admission = backend.admission
        self._answers = backend.journal.answers
        self._timeout = backend.settings.queue.deadline_seconds + _FOR_LOADING
        self._waiting: dict[tuple[str, str, str], list[Waiting]] = {}  # by the key of the question's address
        self._withdrawals: set[asyncio.Task[None]] = set()
        self._stopping = False

    def waits(self, address: Address) -> bool:
        """Whether a request waits for the answer to a question."""
        return address.key in self._waiting

    def put(self, address: Address, event: Update | Answer) -> None:
        """Pass an event to all requests that wait for a question."""
        for waiting in self._waiting.get(address.key, ()):
            waiting.put(event)

    def refuse(self) -> None:
        """Refuse new requests, and end the waiting ones with a problem. Clients with a key may come back for their answer."""
        self._stopping = True
        for waiting in [one for several in self._waiting.values() for one in several]:
            waiting.put(_stopping())

    async def close(self) -> None:
        """Wait until all abandoned questions are withdrawn."""
        await asyncio.gather(*self._withdrawals)

    async def begin(
        self,
        request: Request,
        text: str,
        user: str,
        key: str | None,
        *,
        conversation: str | None = None,
        earlier: tuple[Turn, ...] | None = None,
    ) -> Waiting:
        """Ask a question, for `answer` or `events`. Raises Problem if it is too long or isn't admitted."""
        if self._stopping:
            raise _stopping()
        require_short(text, earlier or ())
        message = uuid.uuid4().hex
        question = Question(
            text=text,
            conversation=conversation or f"{PLATFORM}:{message}",
            author=user,
            address=Address(PLATFORM, user, f"key:{key}" if key else message, {"keyed": key is not None}),
            received_at=clock.utc_now(),
            earlier=earlier,
        )
        waiting = Waiting(question, keyed=key is not None)
        self._waiting.setdefault(question.address.key, []).append(waiting)
        try:
            self._anonymous.count(question, request)
            if not await self._admission.accept(question):
                self._anonymous.take_back(question, request)
                await self._join(waiting)
        except BotError as error:
            self._leave(waiting)
            raise Problem.of(error) from error
        except BaseException:
            self._leave(waiting)
            raise
        waiting.watch = asyncio.create_task(self._watch(waiting, request), name="http-request")
        return waiting

    async def _join(self, waiting: Waiting) -> None:
        """Wait for the answer to an earlier question with the same key, or take it if it exists already."""
        known = await self._answers.asked(waiting.question.address)
        if known is None:
            raise Problem(
                HTTPStatus.CONFLICT,
                "This Idempotency-Key was used before, and its answer is not kept any more. Give another key.",
            )
        question, answer = known
        if (question.text, question.earlier) != (waiting.question.text, waiting.question.earlier):
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "This Idempotency-Key belongs to another question. Give every question a key of its own.",
            )
        if answer is not None:
            waiting.put(answer)

    async def answer(self, waiting: Waiting) -> Answer:
        """Wait for the answer. Raises Problem if the question fails."""
        async for event in self.events(waiting):
            if isinstance(event, Problem):
                raise event
            if isinstance(event, Answer):
                return event
        raise AssertionError("events end with an answer or a problem")

    async def events(self, waiting: Waiting) -> AsyncIterator[Event | None]:
        """Yield the events for a request: progress, then an answer or a problem; None after a while without one."""
        done = False
        try:
            while not done:
                event = await waiting.next()
                done = isinstance(event, Answer | Problem)
                if isinstance(event, Answer):
                    self._leave(waiting)
                elif done:
                    self._abandon(waiting)
                yield _checked(event)
        finally:
            if not done:
                self._abandon(waiting)

    async def _watch(self, waiting: Waiting, request: Request) -> None:
        """Abandon the question when the client disconnects, or after the time limit."""
        try:
            async with asyncio.timeout(self._timeout):
                while (await request.receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            detail = f"There was no answer within {self._timeout:g} seconds."
            waiting.put(Problem(HTTPStatus.GATEWAY_TIMEOUT, detail))
        else:
            waiting.put(Problem(HTTPStatus.BAD_REQUEST, "Whoever asked is gone."))
        self._abandon(waiting)

    def _leave(self, waiting: Waiting) -> bool:
        """Remove a request from the waiting ones; return whether it was one of them."""
        key = waiting.question.address.key
        others = self._waiting.get(key, [])
        if waiting not in others:
            return False
        others.remove(waiting)
        if not others:
            del self._waiting[key]
        if waiting.watch is not None and waiting.watch is not asyncio.current_task():
            waiting.watch.cancel()
        return True

    def _abandon(self, waiting: Waiting) -> None:
        """Stop waiting for the answer, and withdraw the question unless a client may come back for it with a key."""
        if self._leave(waiting) and not waiting.keyed:
            withdrawal = asyncio.create_task(self._withdraw(waiting.question.address), name="http-withdrawal")
            self._withdrawals.add(withdrawal)
            withdrawal.add_done_callback(self._withdrawals.discard)

    async def _withdraw(self, address: Address) -> None:
        try:
            await self._admission.withdraw(address)
        except BotError as error:
            _log.warning("a question was not withdrawn", error=str(error))


def conversation_of(user: str, name: str) -> str:
    """Return the conversation that a user has given a name."""
    # As JSON, for with a character between them another user and conversation could have the same name.
    return f"{PLATFORM}:{json.dumps([user, name])}"


def _checked(event: Event | None) -> Event | None:
    """Return the event, an answer that reports an error as a problem."""
    if isinstance(event, Answer) and event.outcome in (Outcome.FAILED, Outcome.STOPPED):
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, event.text, reference=event.reference)
    return event


def _stopping() -> Problem:
    detail = "The bot is being stopped. Please ask again in a moment."
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "5"})
