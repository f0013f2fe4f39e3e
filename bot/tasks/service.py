"""The tasks as adapters use them: for a person in a chat, where they are allowed, and within that person's limits."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bot.tasks.policy import TaskPolicy
from bot.tasks.results import TaskResult
from bot.tasks.runner import Owner, Tasks
from bot.tasks.sources import Source


@dataclass(frozen=True, slots=True)
class TaskService:
    """`count` counts a task as a question of an author in a chat, (platform, chat, author), and raises RateLimited."""

    tasks: Tasks
    policy: TaskPolicy
    count: Callable[[str, str, str], None]

    async def do(
        self, name: str, source: Callable[[], Awaitable[Source]], *, platform: str, chats: Sequence[str], author: str
    ) -> TaskResult:
        """Do a task in a chat. `source` is called only if the task is allowed. `chats`: the ids of the chat and of its parents.

        Raises RateLimited, BotError if the task isn't allowed here, and the errors of `Tasks.run`.
        """
        await self.policy.require(platform, chats)
        self.count(platform, chats[0], author)
        return await self.tasks.run(name, await source(), Owner(platform, author))
