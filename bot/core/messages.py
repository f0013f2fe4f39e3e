"""The plain data that crosses the borders between rooms, and the protocols at the seams.

Frozen and made of JSON types throughout, so that a question and its answer survive a restart in the journal.
Knows no platform, no model and no database.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Address:
    """Where an answer goes: enough for the adapter to deliver it after a restart.

    `platform`, `chat` and `message` together name one asking message for ever; `details` is the adapter's own, plain JSON.
    """

    platform: str
    chat: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str]:
        """What names the asking message, without the details."""
        return self.platform, self.chat, self.message


@dataclass(frozen=True, slots=True)
class Question:
    """One message that asks something. Questions of one `conversation` are answered in the order they came."""

    text: str
    conversation: str
    author: str  # the platform's id of the user, by which the bot limits, and forgets on request
    address: Address
    received_at: datetime  # with a time zone
    replied_to: str | None = None  # the text of the message that this one replies to
    earlier: tuple[Turn, ...] | None = None
    """What was said before, where whoever asks says so; None: the bot remembers it."""
    deadline: float | None = field(default=None, compare=False)
    """Until when an answer is worth having, by `time.monotonic`: what takes longer is to be left out. The dispatcher says so to
    the engine; it means nothing to another process, so it is not kept."""

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline, not below 0; infinity where there is none."""
        return math.inf if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def to_json(self) -> dict[str, Any]:
        fields = asdict(self) | {"received_at": self.received_at.isoformat()}
        del fields["deadline"]
        return fields

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Question:
        return cls(
            **dict(data)
            | {
                "address": Address(**data["address"]),
                "received_at": datetime.fromisoformat(data["received_at"]),
                "earlier": _turns(data.get("earlier")),
            }
        )


def _turns(data: Sequence[Mapping[str, str]] | None) -> tuple[Turn, ...] | None:
    return None if data is None else tuple(Turn(**turn) for turn in data)


class Outcome(StrEnum):
    ANSWERED = "answered"
    SUGGESTED = "suggested"  # a section that may answer, marked as unsure
    DECLINED = "declined"  # nothing in the documents comes near
    SMALL_TALK = "small_talk"
    FAILED = "failed"  # an error of ours: the text says so, with the reference
    STOPPED = "stopped"  # whoever asked has stopped it


@dataclass(frozen=True, slots=True)
class Citation:
    """The proof of an answer: `quote` stands in the document's extracted text exactly like this, at the place named."""

    document: str
    title: str
    heading: tuple[str, ...]
    lines: tuple[int, int] | None
    page: int | None
    row: int | None
    quote: str
    url: str | None
    paragraph: int | None = None  # below the last heading

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Citation:
        lines = data["lines"]
        return cls(**dict(data) | {"heading": tuple(data["heading"]), "lines": (lines[0], lines[1]) if lines else None})


class Phrased(StrEnum):
    """What became of the words that a language model wrote."""

    KEPT = "kept"  # the documents support every sentence
    TRIMMED = "trimmed"  # sentences without support were left out
    REPLACED = "replaced"  # by the words of the documents
    FAILED = "failed"  # no words came: the documents are quoted


@dataclass(frozen=True, slots=True)
class Phrasing:
    """Which language model was to phrase an answer, what became of it, and why, in words without any text of the question
    or the documents."""

    model: str
    outcome: Phrased
    reasons: tuple[str, ...] = ()

    @property
    def shown(self) -> bool:
        """Whether the answer's text is the model's."""
        return self.outcome in (Phrased.KEPT, Phrased.TRIMMED)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Phrasing:
        return cls(data["model"], Phrased(data["outcome"]), tuple(data["reasons"]))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine says to one question. `text` is Markdown; `span`, if it is set, stands in it word for word.

    `confidence` is between 0 and 1. `retrieved` names the documents found, best first, each once, ten at most.
    `timings_ms` has one entry a stage. `reference` is the short id that the log line of this question carries too. `late`: it
    took so long, mostly because the bot was away, that it should come with a word about that. `phrasing` is None where no
    language model was asked. `more` is what follows the answer in the same section, Markdown, for those who ask for it.
    """

    outcome: Outcome
    text: str
    reference: str
    span: str | None = None
    confidence: float = 0.0
    citations: tuple[Citation, ...] = ()
    retrieved: tuple[str, ...] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    late: bool = False
    phrasing: Phrasing | None = None
    more: str = ""

    @property
    def answered(self) -> bool:
        return self.outcome is Outcome.ANSWERED

    @property
    def from_documents(self) -> bool:
        """Whether the text is from the documents, sure or not, so that it has sources and can be rated."""
        return self.outcome in (Outcome.ANSWERED, Outcome.SUGGESTED)

    def to_json(self) -> dict[str, Any]:
        """The form that people and programs read too: `text` is called `answer` there, beside `answered`."""
        fields = asdict(self)
        return {"outcome": self.outcome.value, "answered": self.answered, "answer": fields.pop("text")} | fields

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Answer:
        """Also of what an earlier version wrote, which knew of no `phrasing`."""
        fields = {name: value for name, value in data.items() if name not in ("answered", "answer")}
        phrasing = data.get("phrasing")
        return cls(
            **fields
            | {
                "text": data["answer"],
                "outcome": Outcome(data["outcome"]),
                "citations": tuple(map(Citation.from_json, data["citations"])),
                "retrieved": tuple(data["retrieved"]),
                "phrasing": Phrasing.from_json(phrasing) if phrasing else None,
            }
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier question of a conversation and what was answered to it."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class QueryVariant:
    """One way to put a question. The weights of all variants of a question add up to 1."""

    text: str
    weight: float = 1.0


class Stage(StrEnum):
    """How far a question has come."""

    STARTING = "starting"  # the bot has just been started, and gets its models and its index ready
    QUEUED = "queued"
    SEARCHING = "searching"
    READING = "reading"
    WRITING = "writing"  # a generator is phrasing the answer


@dataclass(frozen=True, slots=True)
class Update:
    """Progress of one question. `text` is what there is to show at this stage: the place in the line (1: next), or the
    sentences written so far that the documents support."""

    stage: Stage
    text: str = ""


Progress = Callable[[Update], None]
"""Told by the engine, on the event loop; must return at once."""


class Engine(Protocol):
    async def answer(self, question: Question, progress: Progress) -> Answer:
        """Answer one question. Raises a BotError only where no answer at all can be given."""


class Policy(StrEnum):
    """When the bot answers in a chat in which several people talk."""

    MENTION = "mention"  # when it is addressed
    ALWAYS = "always"  # every question, but not what people say to each other
    FORUM = "forum"  # the first message of a new post
    OFF = "off"  # never


@dataclass(frozen=True, slots=True)
class Sending:
    """How a part is to go out.

    `repeated`: an earlier try was cut off without an acknowledgement, so the part may have arrived: mark it as repeated.
    `replaces`: the platform's id of a message to edit in place, be it a placeholder or this part of an answer that has been
    revised. If that message is gone, send a new one. Editing again does no harm, so `repeated` is False then.
    """

    repeated: bool = False
    replaces: str | None = None


class Delivery(Protocol):
    """One answer on its way out, as the journal knows it: which of its parts have been sent already."""

    async def send_part(self, part: int, send: Callable[[Sending], Awaitable[str]]) -> str:
        """Send part number `part` (from 0) unless it was sent before, and return the platform's id of the sent message.

        What `send` raises goes through; the part then counts as in doubt, but not after NotSent. Raises Superseded, which
        must go through too, where the question was edited or deleted meanwhile.
        """

    async def left_over(self, parts: int) -> list[str]:
        """The ids of messages of an earlier, longer answer that this one of `parts` parts has no use for: delete them."""


class NotSent(Exception):
    """A part has certainly not gone out: raised by what `Delivery.send_part` awaits, so that the part is not in doubt."""


class Superseded(Exception):
    """The question was edited or deleted meanwhile: this answer is not wanted any more."""


class Service(Protocol):
    """What the daemon keeps running."""

    @property
    def name(self) -> str: ...

    async def run(self) -> None:
        """Work until there is no more to do, or until cancelled. Raises a BotError where starting again is of no use."""


@runtime_checkable
class Connecting(Protocol):
    """A service that needs a connection to work: that it runs doesn't say that it is connected."""

    @property
    def trouble(self) -> str | None:
        """Why it does not work at the moment, for operators; None where it does."""


@runtime_checkable
class Closing(Protocol):
    """A service that holds something when it doesn't run, for what is still delivered then."""

    async def close(self) -> None:
        """Let go of it: nothing comes any more."""


@runtime_checkable
class Adapter(Service, Protocol):
    """One platform, as the daemon and the dispatcher know it. Its name is the one that its addresses carry; it runs until
    the platform has no more to give."""

    async def deliver(self, address: Address, answer: Answer, delivery: Delivery) -> None:
        """Send the answer, part by part, through `delivery.send_part`. May be called again for the same answer.

        Raises Undeliverable where trying again is of no use; after any other error it is called again.
        """

    async def progress(self, address: Address, update: Update) -> None:
        """Show how far the question has come. Never essential: what it raises is logged and dropped."""
