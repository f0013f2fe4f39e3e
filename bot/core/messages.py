"""The data that packages exchange about a question and its answer, and the protocols of services and adapters.

The data are frozen and made of JSON types, so that a question and its answer survive a restart in the journal.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from bot.core.markup import Markup, Piece, text_of


@dataclass(frozen=True, slots=True)
class Address:
    """The destination of an answer, complete enough for the adapter to deliver it after a restart.

    `platform`, `chat` and `message` together identify the asking message for ever; `details` is JSON of the adapter's own.
    """

    platform: str
    chat: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str]:
        """The identity of the asking message: (platform, chat, message)."""
        return self.platform, self.chat, self.message


@dataclass(frozen=True, slots=True)
class Question:
    """One message that asks something. Questions of one `conversation` are answered in the order of their arrival."""

    text: str
    conversation: str
    author: str  # the platform's id of the user, for limits and erasure
    address: Address
    received_at: datetime  # with a time zone
    replied_to: str | None = None  # the text of the message that this one replies to
    earlier: tuple[Turn, ...] | None = None
    """Earlier turns that the caller passes along; None: the bot remembers them itself."""
    deadline: float | None = field(default=None, compare=False)
    """The time by `time.monotonic` until which an answer is of use: stages that take longer are left out. It means nothing to
    another process, so it is not stored."""

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline, at least 0; infinity without a deadline."""
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
    """What came of a question."""

    ANSWERED = "answered"
    SUGGESTED = "suggested"  # a section that may answer, marked as unsure
    DECLINED = "declined"  # the documents don't answer
    SMALL_TALK = "small_talk"
    FAILED = "failed"  # an error of the bot: the text says so, with the reference
    STOPPED = "stopped"  # stopped by its author


@dataclass(frozen=True, slots=True)
class Citation:
    """The source of an answer. `quote` is in the document's extracted text word for word, at the given place."""

    document: str
    title: str
    heading: tuple[str, ...]
    lines: tuple[int, int] | None
    page: int | None
    row: int | None
    quote: str
    url: str | None
    paragraph: int | None = None  # below the last heading
    markup: Markup = Markup.MARKDOWN  # of the quote
    # In the text, as [2], behind each sentence that comes from here; None for a single source.
    number: int | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Citation:
        lines = data["lines"]
        return cls(
            **dict(data)
            | {
                "heading": tuple(data["heading"]),
                "lines": (lines[0], lines[1]) if lines else None,
                "markup": Markup(data.get("markup", Markup.MARKDOWN)),
            }
        )


class Phrased(StrEnum):
    """The fate of a language model's draft."""

    KEPT = "kept"  # the documents support every sentence
    TRIMMED = "trimmed"  # sentences without support were left out
    REPLACED = "replaced"  # by the words of the documents
    FAILED = "failed"  # no draft came: the documents are quoted


NO_ANSWER = "no_answer"
"""The reason for leaving out a sentence which says that the passages don't answer the question."""


@dataclass(frozen=True, slots=True)
class Phrasing:
    """The language model that was to phrase an answer, the fate of its draft, and the reasons, without any text of the question
    or the documents."""

    model: str
    outcome: Phrased
    reasons: tuple[str, ...] = ()

    @property
    def shown(self) -> bool:
        """Whether the answer's text is the model's."""
        return self.outcome in (Phrased.KEPT, Phrased.TRIMMED)

    @property
    def abstains(self) -> bool:
        """Whether the model wrote nothing but that the passages don't answer the question."""
        return self.outcome is Phrased.REPLACED and self.reasons == (NO_ANSWER,)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Phrasing:
        return cls(data["model"], Phrased(data["outcome"]), tuple(data["reasons"]))


@dataclass(frozen=True, slots=True)
class Answer:
    """The engine's answer to one question.

    `span`, if set, is a part of `text` word for word. `confidence` is between 0 and 1. `retrieved` names the documents found,
    best first, each once, ten at most. `timings_ms` has one entry per stage. `reference` is the short id in the log line of
    this question. `late`: it took so long, mostly because the bot was away, that the answer should mention it. `phrasing` is
    None if no language model was asked. `more` is the rest of the section, shown on request.

    `pieces` and `more_pieces` make up `text` and `more`, with the markup of each part. Where they don't, for they were left out
    or the text was replaced, a text from the documents is Markdown, and one of the bot's own plain.
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
    pieces: tuple[Piece, ...] = ()
    more_pieces: tuple[Piece, ...] = ()

    def __post_init__(self) -> None:
        # The bot's own texts name documents and commands, which may look like Markdown; small talk is written in it.
        own = not self.from_documents and self.outcome is not Outcome.SMALL_TALK
        for name, text, pieces in (("pieces", self.text, self.pieces), ("more_pieces", self.more, self.more_pieces)):
            if text_of(pieces) != text:
                object.__setattr__(self, name, (Piece(text, Markup.PLAIN if own else Markup.MARKDOWN),))

    def saying(self, pieces: Iterable[Piece], more: Iterable[Piece] = ()) -> Answer:
        """Return the answer with another text."""
        pieces, more = tuple(pieces), tuple(more)
        return replace(self, text=text_of(pieces), pieces=pieces, more=text_of(more), more_pieces=more)

    @property
    def answered(self) -> bool:
        return self.outcome is Outcome.ANSWERED

    @property
    def from_documents(self) -> bool:
        """Whether the text is from the documents, sure or not: it has sources and can be rated."""
        return self.outcome in (Outcome.ANSWERED, Outcome.SUGGESTED)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, which people and programs read too: it has `answer` for `text`, and `answered`."""
        fields = asdict(self)
        return {"outcome": self.outcome.value, "answered": self.answered, "answer": fields.pop("text")} | fields

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Answer:
        """Read the JSON form, also that of earlier versions, which has no `phrasing` and no pieces."""
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
                "pieces": tuple(map(Piece.from_json, data.get("pieces", ()))),
                "more_pieces": tuple(map(Piece.from_json, data.get("more_pieces", ()))),
            }
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier question of a conversation and its answer."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class QueryVariant:
    """One way to put a question. The weights of all variants of a question add up to 1."""

    text: str
    weight: float = 1.0


class Stage(StrEnum):
    """The stage of a question on its way."""

    STARTING = "starting"  # the bot was just started and is loading models and index
    QUEUED = "queued"
    SEARCHING = "searching"
    READING = "reading"
    WRITING = "writing"  # a generator is phrasing the answer


@dataclass(frozen=True, slots=True)
class Update:
    """The progress of one question.

    `text` is the content to show: the place in the queue (1: next), or the supported sentences written so far.
    """

    stage: Stage
    text: str = ""


Progress = Callable[[Update], None]
"""Called by the engine on the event loop; must return at once."""


class Engine(Protocol):
    """Answers questions."""

    async def answer(self, question: Question, progress: Progress) -> Answer:
        """Answer one question. Raises a BotError only if no answer at all can be given."""


class Policy(StrEnum):
    """When the bot answers in a chat with several people."""

    MENTION = "mention"  # when it is addressed
    ALWAYS = "always"  # every question, but not what people say to each other
    FORUM = "forum"  # the first message of a new post
    OFF = "off"  # never


@dataclass(frozen=True, slots=True)
class Sending:
    """How to send a part of an answer.

    `repeated`: an earlier try was cut off without an acknowledgement, so the part, or an earlier version of it, may stand in
    another message; mark it as repeated. `replaces`: the platform's id of a message to edit instead, a placeholder or an
    earlier version of this part. If that message is gone, send a new one.
    """

    repeated: bool = False
    replaces: str | None = None


class Delivery(Protocol):
    """The delivery of one answer. The journal records which of its parts have been sent."""

    async def send_part(self, part: int, send: Callable[[Sending], Awaitable[str]]) -> str:
        """Send part number `part` (from 0) by `send`, unless it was sent before; return the platform's id of the message.

        Errors of `send` propagate; except after NotSent, the part then counts as in doubt. Raises Superseded if the question
        was edited or deleted meanwhile, which callers must let propagate.
        """

    async def left_over(self, parts: int) -> list[str]:
        """Return the ids of messages to delete: those of an earlier answer with more than `parts` parts."""


class NotSent(Exception):
    """A part was certainly not sent. Raised by the `send` of `Delivery.send_part`, so that the part is not in doubt."""


class Superseded(Exception):
    """The question was edited or deleted, so its answer is not wanted any more."""


class Service(Protocol):
    """A part of the program that the daemon keeps running."""

    @property
    def name(self) -> str: ...

    async def run(self) -> None:
        """Work until the work is done, or until cancelled. Raises a BotError if starting again is of no use."""


@runtime_checkable
class Connecting(Protocol):
    """A service that needs a connection, and may run without being connected."""

    @property
    def trouble(self) -> str | None:
        """The reason why it doesn't work at the moment, for operators; None if it works."""


@runtime_checkable
class Closing(Protocol):
    """A service that holds resources after `run` has ended, for answers that are still delivered."""

    async def close(self) -> None:
        """Release them: no more answers come."""


@runtime_checkable
class Adapter(Service, Protocol):
    """A platform. Its name is the `platform` of its addresses. `run` ends when no more questions can come."""

    async def deliver(self, address: Address, answer: Answer, delivery: Delivery) -> None:
        """Send the parts of the answer by `delivery.send_part`. May be called again for the same answer.

        Raises Undeliverable if trying again is of no use; after any other error it is called again.
        """

    async def progress(self, address: Address, update: Update) -> None:
        """Show the progress of a question. Not essential: its errors are logged and dropped."""
