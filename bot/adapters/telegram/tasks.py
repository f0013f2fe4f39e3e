"""The commands for tasks: summaries, translations and extractions. Texts are those of the message that is replied to,
or behind the command; a bot on Telegram can't read earlier messages.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from bot.adapters.backend import Backend
from bot.adapters.telegram.addressing import PLATFORM, Caller, address_of
from bot.core.text import safe
from bot.knowledge.loaders import LOADERS
from bot.tasks.policy import STATES
from bot.tasks.registry import TASKS
from bot.tasks.runner import Owner
from bot.tasks.sources import Source, source_of_text

COMMANDS = ("summarise", "translate", "task")
_USE = "Reply to a message with /{name}, or write the text behind it."
_SUMMARISE_USE = "Reply to a message with /summarise, or name a document: /summarise guides/setup.md, Linux"
_TASK_USE = "Reply to a message with /task and what to do with it:\n{tasks}"
_ALLOW_USE = f"Give the chat's id and one of {', '.join(STATES)}: /tasks -1001234 on"


class TaskCommands:
    """Carries out the commands. Each raises BotError."""

    def __init__(self, backend: Backend) -> None:
        self._desk = backend.task_service
        self.handlers: Mapping[str, Callable[[Caller, str], Awaitable[str]]] = {
            "summarise": self._summarise,
            "translate": self._translate,
            "task": self._task,
            "tasks": self._allow,
        }

    def stop(self, caller: Caller) -> bool:
        """Stop the task of the caller. Returns False if none is running."""
        return self._desk.tasks.stop(Owner(PLATFORM, caller.author))

    async def _allow(self, caller: Caller, rest: str) -> str:
        """Set whether tasks may be used in a chat, for an operator."""
        chat, state = chat_and_word(caller, rest)
        if state not in STATES:
            states = await self._desk.policy.states(PLATFORM)
            return "\n".join((*(f"{chat}: {kept}" for chat, kept in states.items()), _ALLOW_USE))
        await self._desk.policy.set(PLATFORM, chat, state)
        return f"In the chat {chat} tasks are from now on: {state}."

    async def _summarise(self, caller: Caller, rest: str) -> str:
        path, _, section = rest.partition(",")
        if path.strip().lower().endswith(tuple(LOADERS)):
            document = self._desk.tasks.document
            return await self._done(
                "summarise", caller, lambda: document(path.strip(), section.strip(), address_of(caller))
            )
        text = caller.replied or rest
        return await self._with("summarise", caller, text) if text else _SUMMARISE_USE

    async def _translate(self, caller: Caller, rest: str) -> str:
        text = caller.replied or rest
        return await self._with("translate", caller, text) if text else _USE.format(name="translate")

    async def _task(self, caller: Caller, rest: str) -> str:
        name, _, text = rest.partition(" ")
        text = caller.replied or text
        if name.lower() not in TASKS or not text.strip():
            return _TASK_USE.format(tasks="\n".join(f"/task {task.name}: {task.about}" for task in TASKS.values()))
        return await self._with(name.lower(), caller, text)

    async def _with(self, name: str, caller: Caller, text: str) -> str:
        return await self._done(name, caller, lambda: asyncio.to_thread(source_of_text, text))

    async def _done(self, name: str, caller: Caller, source: Callable[[], Awaitable[Source]]) -> str:
        chats = [str(caller.chat)]
        result = await self._desk.do(name, source, platform=PLATFORM, chats=chats, author=caller.author)
        return safe(result.text)


def chat_and_word(caller: Caller, rest: str) -> tuple[str, str]:
    """Return (chat, word) behind a command about a chat, by default this group; ("", "") if it has another form."""
    words = rest.lower().split()
    if not caller.private and len(words) == 1:
        words = [str(caller.chat), *words]
    if len(words) != 2 or not words[0].lstrip("-").isdecimal():
        return "", ""
    return words[0], words[1]
