"""The stores of the journal: accepted questions, the parts of their answers, conversations, feedback, and chats' settings."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from bot.core.messages import Address, Answer, Policy, Question, Turn
from bot.storage.base.history import EntryStore, HistoryStore


@dataclass(frozen=True, slots=True)
class Pending:
    """An accepted question whose answer is not delivered yet. `answer` is None until the engine has made it.

    `revision` counts the edits of the question. Writes for an older revision are ignored or raise Superseded.
    """

    id: int
    question: Question
    answer: Answer | None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class PartState:
    """A part of an answer whose sending has begun.

    `message` is the platform's id of the message that holds the part, None if the sending was not acknowledged. `current` is
    False if that message holds a placeholder or the answer to an earlier revision. `repeated`: a sending was not acknowledged,
    so another message may hold the part too.
    """

    message: str | None
    current: bool
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """A question with its answer, kept for the buttons below the answer."""

    question: Question
    answer: Answer


@dataclass(frozen=True, slots=True)
class Declined:
    """A question that the documents didn't answer, with the answer that said so, or with the suggestion that somebody found
    to be none."""

    id: int
    question: Question
    answer: Answer
    at: float  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class Feedback:
    """One person's rating of one answer. `stored` is None once question and answer have been erased."""

    reference: str
    platform: str
    author: str
    helpful: bool
    reason: str
    at: float  # seconds since the epoch
    stored: KeptAnswer | None

    def to_json(self) -> dict[str, Any]:
        """Return the fields, with the texts of question and answer in place of `stored`."""
        fields = asdict(self)
        del fields["stored"]
        texts = (self.stored.question.text, self.stored.answer.text) if self.stored else (None, None)
        return fields | {"question": texts[0], "answer": texts[1]}


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The numbers of a person's questions, turns and ratings that were erased."""

    questions: int
    turns: int
    feedback: int


class QuestionStore(Protocol):
    """Every accepted question until its answer is delivered, and for a limited time after that.

    An accepted question survives a crash and a power failure. After a power failure its answer may have to be made again.
    """

    async def known(self, address: Address) -> bool:
        """Return whether this message was accepted before."""

    async def accept(self, question: Question) -> int | None:
        """Store a question. Returns its id, or None if its message was accepted before."""

    async def pending(self) -> list[Pending]:
        """Return the questions whose answers are not delivered, oldest first."""

    async def revise(self, question: Question) -> Pending | None:
        """Replace the question with the same address, to be answered again.

        Returns None if that question isn't kept, or has the same text.
        """

    async def answered(self, question_id: int, revision: int, answer: Answer) -> None:
        """Store the answer that the engine has made. Raises Superseded if the question was edited or is done."""

    async def done(self, question_id: int, revision: int, *, keep: bool) -> None:
        """Mark a question as delivered, or as given up. `keep=False` erases its texts; the message's key stays.

        Does nothing if `revision` is not the latest.
        """


class PartStore(Protocol):
    """The parts of answers: which were sent, in which messages, and which may or may not have arrived.

    A part whose sending has begun is known even after a power failure. The message that holds it may be lost then, so that the
    part is in doubt.
    """

    async def placed(self, address: Address, message: str) -> bool:
        """Note that a placeholder was sent, which the first part of the answer replaces.

        Returns False if the question was answered or withdrawn meanwhile, or the first part is being sent, so that nothing will
        replace it.
        """

    async def takes_placeholder(self, address: Address) -> bool:
        """Return whether a placeholder may be sent: a question waits for its answer, of which no message holds, or may
        hold, a part.

        An earlier answer to an edited question counts as such a part, and so does a placeholder.
        """

    async def part_begins(self, question_id: int, revision: int, part: int) -> PartState | None:
        """Note that a part is about to be sent, and return its state until now, None for a new part. Raises Superseded."""

    async def part_unsent(self, question_id: int, part: int) -> None:
        """Note that a part was certainly not sent, which undoes `part_begins`."""

    async def part_sent(self, question_id: int, revision: int, part: int, message: str) -> None:
        """Note which message holds a part."""

    async def left_over(self, question_id: int, parts: int) -> list[str]:
        """Return the messages of an earlier answer at the places from `parts` on."""

    async def in_doubt(self) -> int:
        """Return the number of parts that may or may not have arrived. They will be sent again, marked as repeated."""


class AnswerStore(Protocol):
    """Kept questions with their answers, and people's feedback on them."""

    async def stored(self, platform: str, reference: str) -> KeptAnswer | None:
        """Return the question and the answer with this reference, None if they aren't kept."""

    async def asked(self, address: Address) -> tuple[Question, Answer | None] | None:
        """Return the question with this address and its answer, if it has one; None if the question isn't kept."""

    async def answered_by(self, platform: str, message: str) -> Question | None:
        """Return the question that one of the bot's messages answers, None if it isn't kept."""

    async def declined(self, limit: int) -> list[Declined]:
        """Return the latest kept questions that the documents didn't answer, newest first: those that were declined, and
        those with a suggestion that somebody has rated as not helpful."""

    async def vectors(self, question_ids: Sequence[int], encoder: str) -> dict[int, bytes]:
        """Return the vectors of those of these questions for which this encoder's are kept."""

    async def keep_vectors(self, texts: Mapping[int, str], vectors: Mapping[int, bytes], encoder: str) -> None:
        """Keep the vectors of questions, as long as the questions themselves; not of those that have another text by now."""

    async def latest(self, platform: str, chat: str, limit: int) -> list[Question]:
        """Return the latest kept questions of a chat, or with an empty `chat` of the whole platform, newest first."""

    async def add_feedback(self, platform: str, reference: str, author: str, *, helpful: bool, reason: str) -> bool:
        """Store a person's rating of an answer, in place of an earlier one. Returns False if the answer isn't kept."""

    async def feedback(self, limit: int) -> list[Feedback]:
        """Return the latest feedback, newest first."""

    async def feedback_counts(self) -> tuple[int, int]:
        """Return the numbers of ratings: (helpful, not helpful)."""


class Erasure(Protocol):
    """Erasure: of one question, of one person, and of all that is older than it should be kept."""

    async def withdraw(self, address: Address) -> int | None:
        """Erase the texts of a question, its turn and its feedback, and stop its delivery.

        Returns the question's id, or None if the message was never accepted.
        """

    async def take_parts(self, question_id: int, address: Address) -> list[str]:
        """Remove the parts of a withdrawn question. Returns the ids of the messages that hold them, in order."""

    async def forget_author(self, platform: str, author: str) -> Forgotten:
        """Erase a person's questions, unanswered ones included, their turns and their feedback.

        When this returns, they are in none of the journal's files. Raises StorageError if that can't be had at the moment.
        """

    async def erase_before(self, time: float, *, keys_before: float) -> None:
        """Erase questions that were done, and feedback that was given, before `time` (seconds since the epoch).

        Also delete the message keys, used to recognise repeated events, of questions that were done before `keys_before`.
        """

    async def scrub(self, *, rewrite: bool = False) -> bool:
        """Remove the copies of erased texts that the database's log still holds. False: to be tried again.

        `rewrite`: those in unused bytes of the file too, unless it is so large that questions would wait for it.
        """

    async def reclaim(self) -> int:
        """Return a part of the erased space to the disk. Returns the number of bytes, 0 if none is left to return."""


class ConversationStore(Protocol):
    """The turns of conversations, which follow-up questions refer to."""

    async def turns(self, conversation: str, *, newer_than: float, limit: int) -> list[Turn]:
        """Return the last `limit` turns since `newer_than` (seconds since the epoch), oldest first."""

    async def add_turn(self, conversation: str, turn: Turn, at: float, asked: Question | None = None) -> None:
        """Store a turn. Editing or deleting the question `asked` that it came from replaces or erases it."""

    async def forget(self, conversation: str) -> None:
        """Erase the turns of one conversation."""

    async def forget_before(self, time: float) -> None:
        """Erase the turns of all conversations from before `time` (seconds since the epoch)."""


class PlatformStore(Protocol):
    """The policies of chats, and small notes of the adapters' own, by platform."""

    async def policy(self, platform: str, chats: Sequence[str]) -> Policy | None:
        """Return the policy of the first of the chats that has one. List a thread before its channel."""

    async def policies(self, platform: str) -> dict[str, Policy]:
        """Return all policies that were set, by chat."""

    async def set_policy(self, platform: str, chat: str, policy: Policy | None) -> None:
        """Set the policy of a chat; None removes it."""

    async def move_chat(self, platform: str, old: str, new: str) -> None:
        """Move the policy of a chat to its new id."""

    async def note(self, platform: str, key: str) -> str | None:
        """Return the note under a key, or None."""

    async def set_note(self, platform: str, key: str, value: str | None) -> None:
        """Store a note under a key; None removes it."""


class Journal(Protocol):
    """The journal as a whole: each of its stores, for callers that need several of them."""

    @property
    def questions(self) -> QuestionStore: ...

    @property
    def parts(self) -> PartStore: ...

    @property
    def answers(self) -> AnswerStore: ...

    @property
    def erasure(self) -> Erasure: ...

    @property
    def conversations(self) -> ConversationStore: ...

    @property
    def platforms(self) -> PlatformStore: ...

    @property
    def history(self) -> HistoryStore: ...

    @property
    def entries(self) -> EntryStore: ...

    async def put_back(self) -> bool:
        """Write the journal's files again, with all that is in them, if they were deleted under it. Returns whether they were.

        Raises StorageError where other files stand in their place; nothing is accepted any more then.
        """

    async def close(self) -> None:
        """Close the database. Closing twice does nothing."""
