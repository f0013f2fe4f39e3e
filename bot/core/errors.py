"""The errors of the application, one class for each decision that a caller can make.

BotError                    its text may be shown to a person
├── SettingsError           the operator must change a setting: exit status 2
├── DocumentError           this one file can't be read: report it, go on with the others
├── SourceError             a website or repository can't be fetched: keep the files fetched before, try again later
├── TrainingError           a training can't begin or continue: name the file or option
├── WeightsError            a model's weights are missing or damaged: name the fix, run without it or exit
├── ModelsLoading           the models are not loaded yet: try again in a moment
├── GenerationFailed        a language model wrote nothing usable: quote the documents
├── IndexUnavailable        no index can be searched: index first
├── StorageError            the data folder can't be used: name the file and the cause
├── EngineBusy              too many questions are waiting: ask again later
├── RateLimited             this author or chat asks too often: wait the given seconds
├── Undeliverable           the platform will never take this answer: give it up
└── DeadlineExceeded        the work took longer than its limit

Every other exception is a bug. It is logged with its traceback, and the user gets a neutral sentence with a reference.
"""

from collections.abc import Sequence

from bot.core.text import counted


def to_install(extra: str) -> str:
    """Return how to install the packages of an extra, from the program's own folder: it isn't on a package index."""
    return f'in the folder of the project: .venv/bin/pip install -c constraints.txt -e ".[{extra}]"'


class BotError(Exception):
    """The base of the errors that name a cause and a fix. `str(error)` may be shown to a person."""


class SettingsError(BotError):
    """One or more settings are wrong; `problems` names each with its place and its fix."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class DocumentError(BotError):
    """A document can't be read. The text names the cause and the fix."""


class SourceError(BotError):
    """A source can't be fetched. The text names the cause and the fix; the files fetched before stay."""


class TrainingError(BotError):
    """A training can't begin or continue. The text names the cause and the fix."""


class WeightsError(BotError):
    """A model's weights are missing, incomplete, or not the pinned ones."""


class ModelsLoading(BotError):
    """The bot has just been started and its models are not loaded yet."""

    def __init__(self) -> None:
        super().__init__("The bot has just been started and is still loading its models. Please try again in a moment.")


class GenerationFailed(BotError):
    """A language model fails, hangs or is not available. The text says why, without any text of a user."""


class IndexUnavailable(BotError):
    """No index exists, or another encoder made it."""


class StorageError(BotError):
    """The database can't be opened, read or written."""


class EngineBusy(BotError):
    """The queue is full: `waiting` questions are in it."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting
        questions = counted(waiting, "question is", "questions are")
        super().__init__(f"{questions} waiting already. Please ask again in a moment.")


class RateLimited(BotError):
    """Too many questions came from one author or one chat. The next one is accepted in `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        wait = counted(max(1, round(seconds)), "second")
        super().__init__(f"That was a lot of questions in a short time. Please ask again in {wait}.")


class Undeliverable(BotError):
    """The platform will never accept this answer: the chat is gone, or the bot may no longer write in it."""


class DeadlineExceeded(BotError):
    """The work was not done within `seconds` seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"This took longer than {counted(seconds, 'second')} and was given up. Please ask again.")
