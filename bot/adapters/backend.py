"""What stands behind the adapters: handlers of messages, commands and buttons call it in the same way on every platform."""

from dataclasses import dataclass

from bot.core.settings import Settings
from bot.questions.administration import Administration
from bot.questions.admission import Admission
from bot.storage.base import Journal
from bot.tasks.service import TaskService


@dataclass(frozen=True, slots=True)
class Backend:
    """The parts of the bot that adapters call. There is one for the process."""

    settings: Settings
    journal: Journal
    admission: Admission
    administration: Administration
    task_service: TaskService
