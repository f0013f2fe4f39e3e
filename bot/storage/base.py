"""What the application needs kept, as protocols small enough for another database to stand behind them.

Two stores, because they differ in worth: knowledge can be made again from the documents, the journal can't. All methods
are coroutines, may be called from any task, and raise StorageError where the database can't do what was asked.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bot.core.documents import Document, FoundPassage, Passage
from bot.core.messages import Address, Answer, Policy, Question, Turn

Scores = npt.NDArray[np.float32]

# In the data folder: tuned models, each in a folder of its own that never changes, and the record of what is active.
GENERATORS = "generators"

# --- knowledge --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileState:
    """What tells whether a file has changed. `recipe` names how it was cut into passages."""

    path: str
    size: int  # bytes
    modified_ns: int
    content_hash: str
    recipe: str


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file: its passages, or the `problem` that left it without any."""

    path: str
    passages: int
    problem: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """One file as the index has it, also when it could not be read (`document` is None then, `problem` says why)."""

    state: FileState
    document: Document | None
    passages: tuple[Passage, ...]
    vector_keys: tuple[str, ...]  # one a passage: the hash of its embedded text
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class IndexSummary:
    documents: int
    passages: int
    encoder: str | None  # the identity of the encoder that made the vectors; None before the first index


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A passage as the index keeps it."""

    document: str
    title: str
    language: str | None
    passage: Passage


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """One variant of a question: its unit vector, and its words for the keyword index."""

    vector: Scores  # float32 [dimension]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage found. `score` is what it was ranked by; `cosines` has one entry a query."""

    found: FoundPassage
    score: float
    cosines: tuple[float, ...]


Rank = Callable[[Scores, Scores], Scores]
"""(cosine [queries, candidates], BM25 [queries, candidates], 0 where no word is shared) -> score [candidates]."""


class KnowledgeStore(Protocol):
    """Documents, passages and vectors. A search sees the index before a change or after it, never half of one."""

    async def files(self) -> list[tuple[FileState, FileReport]]:
        """Every file that the index knows, by path."""

    async def summary(self) -> IndexSummary: ...

    async def known_vectors(self, encoder: str, keys: Sequence[str]) -> set[str]:
        """Those of the keys for which a vector of this encoder is stored already."""

    async def add_vectors(self, encoder: str, vectors: Mapping[str, Scores]) -> None:
        """Store vectors ahead of the change that will use them, so that an interrupted indexing resumes."""

    async def change(
        self,
        encoder: str,
        changed: Sequence[IndexedFile],
        removed: Sequence[str],
        touched: Sequence[FileState],
        *,
        keep_vectors: bool = False,
    ) -> None:
        """Put files in, replacing what stood under their paths, take paths out, and note new sizes and times of files
        whose content is the same, all in one transaction. Vectors that nothing uses any more are dropped, unless a further
        change is about to need them (`keep_vectors`)."""

    async def search(
        self, encoder: str, queries: Sequence[SearchQuery], rank: Rank, limit: int, candidates: int
    ) -> list[Hit]:
        """The best `limit` passages, best first, ranked over the best `candidates` by cosine and by BM25 of each query.

        Raises IndexUnavailable where there is no index, or one made by another encoder.
        """

    async def passages(self, document: str, first: int, last: int) -> list[Passage]:
        """The passages of a document at the places `first` to `last`, both included, in order."""

    async def stored(self) -> list[StoredPassage]:
        """Every passage of the index, in the order of documents and places."""

    async def noted(self, key: str) -> str | None:
        """What was noted under a key, about the index as a whole."""

    async def note(self, key: str, value: str) -> None: ...

    async def close(self) -> None: ...


# --- journal ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pending:
    """An accepted question that is not delivered yet, with its answer where the engine was done already.

    `revision` counts how often the question was edited: what is noted for an older one is not wanted any more.
    """

    id: int
    question: Question
    answer: Answer | None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class PartState:
    """A part of an answer whose sending has begun.

    `message` is the platform's id of the message that holds it, None where the sending was not acknowledged. Not `current`:
    that message holds a placeholder, or the part of an answer before the question was edited.
    """

    message: str | None
    current: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """A question with its answer, as kept for the buttons below it."""

    question: Question
    answer: Answer


@dataclass(frozen=True, slots=True)
class Declined:
    """A question that the documents didn't answer, with the answer that said so."""

    question: Question
    answer: Answer
    at: float  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class Feedback:
    """What one person thought of one answer. Question and answer are None once they have been erased."""

    reference: str
    platform: str
    author: str
    helpful: bool
    reason: str
    at: float  # seconds since the epoch
    stored: Stored | None

    def to_json(self) -> dict[str, Any]:
        """With the texts in place of the whole question and answer."""
        fields = asdict(self)
        del fields["stored"]
        texts = (self.stored.question.text, self.stored.answer.text) if self.stored else (None, None)
        return fields | {"question": texts[0], "answer": texts[1]}


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much of one person was erased."""

    questions: int
    turns: int
    feedback: int


class Journal(Protocol):
    """Every accepted question until its answer is delivered, and for some time after that. Durable: what a method has
    returned from survives a crash. After a power failure an answer may have to be made again, and a part that has arrived may
    be in doubt, but no accepted question is lost and no part that was begun is unknown."""

    async def known(self, address: Address) -> bool:
        """Whether this message was accepted before."""

    async def accept(self, question: Question) -> int | None:
        """The new entry's id, or None where this message was accepted before."""

    async def pending(self) -> list[Pending]:
        """What a crash or a stop has left undone, oldest first."""

    async def revise(self, question: Question) -> Pending | None:
        """Put an edited question in the place of the one with its address, to be answered again. None where that one is not
        kept (any more) or has the same text."""

    async def withdraw(self, address: Address) -> int | None:
        """Erase the texts of a question, its turn and its feedback; nothing will be sent for it any more. The entry's id, or
        None where the message was never accepted."""

    async def take_parts(self, entry: int) -> list[str]:
        """Take out of a withdrawn entry the ids of the messages that were sent for it, in order."""

    async def answered(self, entry: int, revision: int, answer: Answer) -> None:
        """The engine is done; what is left is the delivery. Raises Superseded."""

    async def placed(self, address: Address, message: str) -> None:
        """A placeholder was sent, which the first part of the answer is to replace."""

    async def place(self, address: Address) -> str | None:
        """The message that the first part of the answer will replace: a placeholder, or the answer before an edit."""

    async def part_begins(self, entry: int, revision: int, part: int) -> PartState | None:
        """What was known of a part until now, when its sending begins, or None. Raises Superseded."""

    async def part_unsent(self, entry: int, part: int) -> None:
        """The sending that has begun has certainly not gone out: as if it had not begun."""

    async def part_sent(self, entry: int, revision: int, part: int, message: str) -> None: ...

    async def left_over(self, entry: int, parts: int) -> list[str]:
        """The messages of an earlier answer in the places from `parts` on."""

    async def done(self, entry: int, revision: int, *, keep: bool) -> None:
        """Delivered, or given up for good. The texts are erased unless they are to be kept for a while; the message's key
        stays. Does nothing for another revision than the last."""

    async def erase_older(self, than: float, *, keys_older_than: float) -> None:
        """Erase what was done before `than` (seconds since the epoch), and feedback that is older. Of what was done before
        `keys_older_than` the keys go too, by which a repeated event is recognised."""

    async def in_doubt(self) -> int:
        """How many parts of answers may have arrived or not: they will be sent again and say so."""

    async def reclaim(self) -> int:
        """Give a part of the space that was erased back to the disk: so many bytes; 0 where there is none (any more)."""

    async def stored(self, platform: str, reference: str) -> Stored | None:
        """The question and the answer with this reference, if they are kept (still)."""

    async def asked(self, address: Address) -> tuple[Question, Answer | None] | None:
        """The question with this address, with its answer where there is one; None where it isn't kept (any more)."""

    async def declined(self, limit: int) -> list[Declined]:
        """The latest kept questions that the documents didn't answer, newest first."""

    async def answered_by(self, platform: str, message: str) -> Question | None:
        """The question that a message of ours answers, as long as it is kept."""

    async def add_feedback(self, platform: str, reference: str, author: str, *, helpful: bool, reason: str) -> bool:
        """Keep what somebody thinks of an answer, in place of what they thought before. False: the answer isn't kept."""

    async def feedback(self, limit: int) -> list[Feedback]:
        """The latest feedback, newest first."""

    async def feedback_counts(self) -> tuple[int, int]:
        """(helpful, not helpful)"""

    async def forget_author(self, platform: str, author: str) -> Forgotten:
        """Erase what somebody has asked, also what is not answered yet, their turns and their feedback."""

    async def close(self) -> None: ...


class ConversationStore(Protocol):
    """What was said before, for follow-up questions."""

    async def turns(self, conversation: str, *, newer_than: float, limit: int) -> list[Turn]:
        """The last `limit` turns since `newer_than` (seconds since the epoch), oldest first."""

    async def add_turn(self, conversation: str, turn: Turn, at: float, asked: Question | None = None) -> None:
        """Keep a turn. `asked` is the question that it came from: editing or deleting that replaces or erases the turn."""

    async def forget(self, conversation: str) -> None: ...

    async def forget_older(self, than: float) -> None: ...


class PlatformStore(Protocol):
    """What the adapters need kept over restarts: the policies of chats, and small notes of their own."""

    async def policy(self, platform: str, chats: Sequence[str]) -> Policy | None:
        """The policy of the first of the chats (a thread, its channel) that has one."""

    async def policies(self, platform: str) -> dict[str, Policy]:
        """All that were set, by chat."""

    async def set_policy(self, platform: str, chat: str, policy: Policy | None) -> None:
        """None: back to the default."""

    async def move_chat(self, platform: str, old: str, new: str) -> None:
        """A chat has got another id: its policy goes along."""

    async def note(self, platform: str, key: str) -> str | None:
        """What was noted under a key."""

    async def set_note(self, platform: str, key: str, value: str | None) -> None:
        """None: take it away."""
