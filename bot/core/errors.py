"""The errors of the application: one class for each decision that a caller can take.

BotError                    its text may be shown to a person as it stands
├── SettingsError           the operator must change a setting: exit status 2
├── DocumentError           this one file can't be read: report it, go on with the others
├── TrainingError           a training can't begin or go on: name the file or option
├── WeightsError            a model's weights are missing or damaged: name the fix, run without it or exit
├── ModelsLoading           the models are not there yet: try again in a moment
├── GenerationFailed        a language model has written nothing that can be used: quote the documents
├── IndexUnavailable        there is nothing to search yet: index first
├── StorageError            the data folder can't be used: name the file and the cause
├── EngineBusy              too much is waiting: ask again later
├── RateLimited             this author or chat asks too often: wait so many seconds
├── Undeliverable           the platform will never take this answer: give it up
└── DeadlineExceeded        the work took longer than it was given

Everything else is a bug: it is logged with its traceback, and the user gets one neutral sentence with a reference.
"""

from collections.abc import Sequence


def to_install(extra: str) -> str:
    """What to do where the packages of an extra are missing. The program isn't on a package index, so it is installed again
    from its own folder, with what is new."""
    return f'in the folder of the project: .venv/bin/pip install -c constraints.txt -e ".[{extra}]"'


class BotError(Exception):
    """Base of all errors that name a cause and a fix; `str(error)` may be shown to a person."""


class SettingsError(BotError):
    """One or more settings are wrong; `problems` names each with its place and its fix."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class DocumentError(BotError):
    """A document can't be read. The text says why and what to do about it."""


class TrainingError(BotError):
    """A training can't begin or go on. The text says why and what to do about it."""


class WeightsError(BotError):
    """A model's weights are missing, incomplete or not the ones that were pinned."""


class ModelsLoading(BotError):
    """The bot has just been started, and this needs its models."""

    def __init__(self) -> None:
        super().__init__("The bot has just been started and is still loading its models. Please try again in a moment.")


class GenerationFailed(BotError):
    """A language model fails, hangs, or is not to be had. The text says why; no text of a user is in it."""


class IndexUnavailable(BotError):
    """No index can be searched, or the one there was built with another encoder."""


class StorageError(BotError):
    """The database can't be opened, read or written."""


class EngineBusy(BotError):
    """`waiting` jobs are in line already, which is as many as are admitted."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting
        super().__init__(f"{waiting} questions are waiting already. Please ask again in a moment.")


class RateLimited(BotError):
    """Too many questions came from one author or one chat; in `seconds` the next one is welcome."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            f"That was a lot of questions in a short time. Please ask again in {max(1, round(seconds))} seconds."
        )


class Undeliverable(BotError):
    """The platform will never take this answer: its chat is gone, or the bot may not write there any more."""


class DeadlineExceeded(BotError):
    """The work was not done within `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"This took longer than {seconds:g} seconds and was given up. Please ask again.")
