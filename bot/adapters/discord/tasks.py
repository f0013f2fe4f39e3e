"""The commands for tasks: /summarise, /translate and /task, and the menu of a message. Each result is for its asker only."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import discord
from discord import app_commands

from bot.adapters.discord.actions import Actions, Interaction
from bot.adapters.discord.addressing import address_of, readable
from bot.core.errors import BotError
from bot.tasks.registry import TASKS, Task
from bot.tasks.sources import ChatLine, Source, source_of_messages, source_of_text

_MOST_MESSAGES, _MESSAGES = 200, 50
_LONGEST_TEXT = 6000  # characters of an option, as Discord allows
_ID = re.compile(r"(?:.*/)?(\d{15,22})")  # at the end of a link, or alone
_NO_TEXT = (
    "There is no text there that I can see. Without the Message Content intent I see only messages that mention me."
)

Command = app_commands.Command[Any, Any, None]
MakeSource = Callable[[], Awaitable[Source]]


def task_commands(actions: Actions) -> Iterator[Command | app_commands.ContextMenu]:
    """Yield the commands, and the menus of the tasks that have one."""
    yield _summarise(actions)
    yield _translate(actions)
    yield _task(actions)
    for task in TASKS.values():
        if task.menu:
            yield _menu(actions, task)


def _summarise(actions: Actions) -> Command:
    @app_commands.command(name="summarise", description="What the last messages here, or a document, say in short.")
    @app_commands.describe(
        messages=f"How many of the last messages. Default: {_MESSAGES}.",
        document="Instead: the path of a document.",
        section="Only the section of the document with this heading.",
    )
    async def summarise(
        interaction: Interaction,
        messages: app_commands.Range[int, 1, _MOST_MESSAGES] = _MESSAGES,
        document: str = "",
        section: str = "",
    ) -> None:
        async def source() -> Source:
            if document:
                tasks = actions.backend.task_service.tasks
                return await tasks.document(document, section, address_of(interaction))
            return await _latest(interaction, interaction.channel, messages)

        await actions.run_task(interaction, "summarise", source)

    return summarise


def _translate(actions: Actions) -> Command:
    @app_commands.command(name="translate", description="Translate a text; for a message see its menu, under Apps.")
    @app_commands.describe(text="The text.")
    async def translate(interaction: Interaction, text: app_commands.Range[str, 1, _LONGEST_TEXT]) -> None:
        await actions.run_task(interaction, "translate", _given(text))

    return translate


def _task(actions: Actions) -> Command:
    @app_commands.command(name="task", description="Say what is in a text or a message, such as its mood or names.")
    @app_commands.describe(
        task="What to do.", text="The text.", message="Instead: the link or the id of a message in this channel."
    )
    @app_commands.choices(task=[app_commands.Choice(name=task.about, value=task.name) for task in TASKS.values()])
    async def task(
        interaction: Interaction,
        task: app_commands.Choice[str],
        text: app_commands.Range[str, 1, _LONGEST_TEXT] | None = None,
        message: str = "",
    ) -> None:
        async def source() -> Source:
            return await _linked(interaction, message)

        await actions.run_task(interaction, task.value, _given(text) if text else source)

    return task


def _menu(actions: Actions, task: Task) -> app_commands.ContextMenu:
    async def on_message(interaction: Interaction, message: discord.Message) -> None:
        async def source() -> Source:
            thread = interaction.client.get_channel(message.id)  # one that was begun from a message has its id
            if task.name == "summarise" and isinstance(thread, discord.Thread):
                return await _latest(interaction, thread, _MOST_MESSAGES, above=message)
            return await asyncio.to_thread(source_of_text, readable(message, message.content))

        await actions.run_task(interaction, task.name, source)

    return app_commands.ContextMenu(name=task.menu, callback=on_message)


# --- sources ----------------------------------------------------------------------------------------------------------


def _given(text: str) -> MakeSource:
    return lambda: asyncio.to_thread(source_of_text, text)


async def _latest(
    interaction: Interaction, channel: Any, count: int, *, above: discord.Message | None = None
) -> Source:
    """Return the last messages of people in the channel of an interaction, or in a public thread below it.

    Such a thread has the permissions of the channel. Raises BotError if the user, or the bot, may not read the messages.
    """
    _require_history(interaction)
    try:
        messages = [message async for message in channel.history(limit=count)]
    except discord.Forbidden as error:
        raise BotError("I may not read the messages here: I lack the permission Read Message History.") from error
    said = [
        ChatLine(message.author.display_name, readable(message, message.content))
        for message in (*messages, *([above] if above else []))
        if message.content.strip() and not message.author.bot
    ]
    if not said:
        raise BotError(_NO_TEXT)
    return await asyncio.to_thread(source_of_messages, said[::-1])


async def _linked(interaction: Interaction, link: str) -> Source:
    """Return a message of the channel of an interaction. Raises BotError as `_latest` does."""
    found = _ID.fullmatch(link.strip())
    channel: Any = interaction.channel
    if found is None or channel is None:
        raise BotError("Give a text, or the link of a message in this channel (Copy Message Link in its menu).")
    _require_history(interaction)
    try:
        message = await channel.fetch_message(int(found[1]))
    except (discord.NotFound, discord.Forbidden) as error:
        raise BotError("There is no such message in this channel, or I may not read it.") from error
    if not message.content.strip():
        raise BotError(_NO_TEXT)
    return await asyncio.to_thread(source_of_text, readable(message, message.content))


def _require_history(interaction: Interaction) -> None:
    if interaction.guild_id is not None and not interaction.permissions.read_message_history:
        raise BotError("You may not read the earlier messages of this channel, so I don't read them to you.")


# --- responses --------------------------------------------------------------------------------------------------------


def stop_view(stop: Callable[[], bool], user: int, seconds: float) -> discord.ui.View:
    """Return a button that stops a task for as long as this may take. Nobody else sees it; a restart ends the task anyway."""
    view = discord.ui.View(timeout=seconds)
    button: discord.ui.Button[discord.ui.View] = discord.ui.Button(emoji="⏹️", label="Stop")

    async def pressed(interaction: Interaction) -> None:
        if interaction.user.id == user:
            stop()
        await interaction.response.defer()

    button.callback = pressed  # type: ignore[method-assign]
    return view.add_item(button)
