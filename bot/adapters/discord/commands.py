"""The commands: /ask and "Answer this", /help, /new, /privacy and /forget me for everybody, /bot for operators.

Those for tasks are in `tasks`.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import discord
import structlog
from discord import app_commands

from bot.adapters.discord.actions import Actions, Interaction
from bot.adapters.discord.addressing import PLATFORM, address_of, conversation_in, text_of
from bot.adapters.discord.connection import Client
from bot.adapters.discord.rendering import escaped
from bot.adapters.discord.responses import failure, respond, respond_anyway
from bot.adapters.discord.tasks import task_commands
from bot.adapters.privacy import memory_text, privacy_text
from bot.adapters.texts import MOST_GAPS, NO_GAPS, POLICIES, erased_text, file_line
from bot.core.errors import BotError, DocumentError
from bot.core.rights import Role
from bot.core.settings import Settings
from bot.core.text import counted, safe
from bot.storage.base import PlatformStore
from bot.tasks.policy import STATES

_log = structlog.stdlib.get_logger(__name__)
_LONGEST_QUESTION = 2000  # characters
_MOST_FEEDBACK = 20
_MOST_CHOICES = 25
_SYNCED = "commands"  # the note with the hash of the commands that Discord has

_POLICIES = [
    app_commands.Choice(name=name, value=value)
    for name, value in (
        ("when it is addressed (mention)", "mention"),
        ("every question (always)", "always"),
        ("new forum posts (forum)", "forum"),
        ("never (off)", "off"),
        ("as elsewhere (default)", "default"),
    )
]

HELP = """\
I answer questions from this server's own documents, in their own words, and say where they stand. If they don't answer a \
question, I say so.

**Ways to ask**
- `/ask` with a question; `private: True` shows the answer to you only
- mention me in a message, reply to one of my answers, or write to me directly
- on a message: Apps → **Answer this**

A reply to an answer, or a message in its thread, is a follow-up question. Edit your question, and I revise the answer; delete \
it, and I delete the answer.

Where an operator allows it, `/summarise` says in short what was written here or what a document says; more is in the \
menu of a message, under Apps.

`/new` starts a new conversation, `/privacy` says what is kept, `/forget me` erases what you have asked.
"""
_PRIVACY = """\
**What is kept**
- Your question and my answer are {kept}.
- {memory}
- What you say about an answer (helpful or not, and why) is kept as long as the answer.

Messages that are not for me are not kept, and the log holds no text. {shared}

Delete your question to erase it with its answer; `/forget me` erases all of yours.
"""


def command_tree(client: discord.Client, actions: Actions) -> "KnowledgeTree":
    """Return the tree of all commands of a client."""
    tree = KnowledgeTree(client)
    for command in (_ask(actions), _answer_this(actions), _help(actions), _new(actions), _privacy(actions)):
        tree.add_command(command)
    tree.add_command(_Forget(actions))
    tree.add_command(_Bot(actions))
    for command in task_commands(actions):
        tree.add_command(command)
    return tree


class KnowledgeTree(app_commands.CommandTree[discord.Client]):
    """The commands. They are sent to Discord only if they have changed, because it accepts about 200 changes a day."""

    async def sync_if_changed(self, store: PlatformStore) -> None:
        """Send the commands to Discord if they have changed. A failure is logged; Discord keeps the old ones."""
        described = json.dumps([command.to_dict(self) for command in self.get_commands()], sort_keys=True, default=str)
        state = f"{self.client.application_id}:{hashlib.sha256(described.encode()).hexdigest()}"
        if await store.note(PLATFORM, _SYNCED) == state:
            return
        try:
            await self.sync()
        except discord.HTTPException as error:
            _log.warning("commands not sent to Discord; tried again at the next start", status=error.status)
            return
        await store.set_note(PLATFORM, _SYNCED, state)
        _log.info("commands sent to Discord")

    async def interaction_check(self, interaction: Interaction) -> bool:
        """Note that the task handles a command. Returns that it may."""
        cast(Client, interaction.client).note_handler()
        return True

    async def on_error(self, interaction: Interaction, error: app_commands.AppCommandError) -> None:
        """Respond to a command that failed with a line about the error."""
        cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
        if isinstance(cause, app_commands.CheckFailure | app_commands.CommandNotFound):
            text = "This command is not there any more, or not for you."
        else:
            text = failure(cause)
        await respond_anyway(interaction, text)


# --- for everybody ----------------------------------------------------------------------------------------------------


def _ask(actions: Actions) -> app_commands.Command[Any, Any, None]:
    @app_commands.command(name="ask", description="Ask the documents a question.")
    @app_commands.describe(question="The question.", private="Whether only you see the answer.")
    async def ask(
        interaction: Interaction,
        question: app_commands.Range[str, 1, _LONGEST_QUESTION],
        private: bool = actions.backend.settings.discord.private,
    ) -> None:
        await actions.ask(interaction, question, private=private)

    return ask


def _answer_this(actions: Actions) -> app_commands.ContextMenu:
    async def answer_this(interaction: Interaction, message: discord.Message) -> None:
        if text := text_of(message).strip():
            await actions.ask(interaction, text[:_LONGEST_QUESTION], private=actions.backend.settings.discord.private)
        else:
            await interaction.response.send_message("There is no text in this message.", ephemeral=True)

    return app_commands.ContextMenu(name="Answer this", callback=answer_this)


def _help(_: Actions) -> app_commands.Command[Any, Any, None]:
    @app_commands.command(name="help", description="What the bot can do, and how to ask.")
    async def show_help(interaction: Interaction) -> None:
        await interaction.response.send_message(HELP, ephemeral=True)

    return show_help


def _new(actions: Actions) -> app_commands.Command[Any, Any, None]:
    @app_commands.command(name="new", description="Start a new conversation: nothing said before is referred to.")
    async def new(interaction: Interaction) -> None:
        await interaction.response.defer(ephemeral=True)
        for private in (False, True):
            await actions.forget_conversation(
                conversation_in(interaction.channel, interaction.user.id, private=private)
            )
        await respond(interaction, "This is a new conversation now.")

    return new


def _privacy(actions: Actions) -> app_commands.Command[Any, Any, None]:
    @app_commands.command(name="privacy", description="What the bot keeps of what you ask, and for how long.")
    async def privacy(interaction: Interaction) -> None:
        await interaction.response.send_message(_privacy_text(actions.backend.settings), ephemeral=True)

    return privacy


def _privacy_text(settings: Settings) -> str:
    days = settings.storage.answer_days
    buttons = "so that the buttons work and an edited question is answered again"
    return _PRIVACY.format(
        kept=f"kept for {counted(days, 'day')}, {buttons}" if days else "erased once the answer is delivered",
        memory=memory_text(settings),
        shared=escaped(privacy_text(settings)),
    )


class _Forget(app_commands.Group):
    def __init__(self, actions: Actions) -> None:
        super().__init__(name="forget", description="Erase what you have asked.")
        self._actions = actions

    @app_commands.command(
        name="me", description="Erase your questions, their answers, your conversations and your feedback."
    )
    async def me(self, interaction: Interaction) -> None:
        await interaction.response.defer(ephemeral=True)
        forgotten = await self._actions.forget(str(interaction.user.id))
        await respond(interaction, f"{erased_text(forgotten)} Messages in Discord stay until you delete them.")


# --- for operators ----------------------------------------------------------------------------------------------------


class _Bot(app_commands.Group):
    """The commands for operators. Managers of a server see them too, and may set its policy."""

    def __init__(self, actions: Actions) -> None:
        super().__init__(
            name="bot",
            description="Administer the bot.",
            default_permissions=discord.Permissions(manage_guild=True),
        )
        self._actions = actions
        self._backend = actions.backend

    @app_commands.command(name="status", description="What the bot answers from, what waits, what people think of it.")
    async def status(self, interaction: Interaction) -> None:
        async def work() -> str:
            return "\n".join(map(escaped, (await self._backend.administration.status()).lines()))

        await self._operate(interaction, work)

    @app_commands.command(name="policy", description="When the bot answers in a channel, or in the whole server.")
    @app_commands.describe(
        policy="Left out: show it.", channel="Default: this channel.", server="The whole server instead of one channel."
    )
    @app_commands.choices(policy=_POLICIES)
    async def policy(
        self,
        interaction: Interaction,
        policy: app_commands.Choice[str] | None = None,
        channel: discord.TextChannel | discord.ForumChannel | discord.Thread | discord.VoiceChannel | None = None,
        server: bool = False,
    ) -> None:
        place = interaction.guild if server else channel or interaction.channel

        async def work() -> str:
            if place is None or interaction.guild is None:
                return "Policies are for the channels of a server."
            if policy is not None:
                platforms = self._backend.journal.platforms
                await platforms.set_policy(PLATFORM, str(place.id), POLICIES[policy.value])
            kept = (await self._backend.journal.platforms.policies(PLATFORM)).get(str(place.id))
            there = "the whole server" if server else f"<#{place.id}>"
            return f"Policy of {there}: **{kept}**" if kept else f"{there} has no policy of its own."

        await self._operate(interaction, work)

    @app_commands.command(name="tasks", description="Whether tasks such as /summarise may be used in a channel.")
    @app_commands.describe(
        state="Left out: show it.", channel="Default: this channel.", server="The whole server instead of one channel."
    )
    @app_commands.choices(state=[app_commands.Choice(name=state, value=state) for state in STATES])
    async def tasks(
        self,
        interaction: Interaction,
        state: app_commands.Choice[str] | None = None,
        channel: discord.TextChannel | discord.ForumChannel | discord.Thread | discord.VoiceChannel | None = None,
        server: bool = False,
    ) -> None:
        place = interaction.guild if server else channel or interaction.channel

        async def work() -> str:
            if place is None:
                return "This conversation belongs to no server; leave `server` out."
            policy = self._backend.task_service.policy
            if state is not None:
                await policy.set(PLATFORM, str(place.id), state.value)
            kept = (await policy.states(PLATFORM)).get(str(place.id))
            there = "the whole server" if server else f"<#{place.id}>"
            return f"Tasks in {there}: **{kept}**" if kept else f"Nothing was set for tasks in {there}."

        await self._operate(interaction, work)

    @app_commands.command(name="reload", description="Read new and changed documents, and report on every file.")
    async def reload(self, interaction: Interaction) -> None:
        async def work() -> str:
            report = await self._backend.administration.reload()
            return "\n".join(map(escaped, (report.summary, *map(file_line, report.files))))

        await self._operate(interaction, work)

    @app_commands.command(name="add", description="Add a document to what the bot answers from.")
    @app_commands.describe(file="The document.", path="Where it goes among the documents. Default: its name.")
    async def add(self, interaction: Interaction, file: discord.Attachment, path: str = "") -> None:
        async def work() -> str:
            await self._backend.administration.require_addable(path or file.filename, file.size)
            try:
                content = await file.read()
            except discord.HTTPException as error:
                raise DocumentError(f"{file.filename}: Discord doesn't hand it out; please try again") from error
            return escaped(file_line(await self._backend.administration.add_document(path or file.filename, content)))

        await self._operate(interaction, work)

    @app_commands.command(name="remove", description="Delete a document and take it out of what the bot answers from.")
    @app_commands.describe(path="The document.")
    async def remove(self, interaction: Interaction, path: str) -> None:
        async def work() -> str:
            await self._backend.administration.remove_document(path)
            return f"{escaped(path)}: removed"

        await self._operate(interaction, work)

    @remove.autocomplete("path")
    async def _paths(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        if not self._actions.may("remove", interaction):
            return []
        paths = [file.path for file in await self._backend.administration.documents()]
        fitting = [path for path in paths if current.lower() in path.lower() and len(path) <= 100]
        return [app_commands.Choice(name=path, value=path) for path in fitting[:_MOST_CHOICES]]

    @app_commands.command(name="gaps", description="What was asked and the documents don't answer, grouped by meaning.")
    async def gaps(self, interaction: Interaction) -> None:
        async def work() -> str:
            gaps = (await self._backend.administration.gaps())[:MOST_GAPS]
            return "\n".join(f"- {escaped(safe(str(gap)))}" for gap in gaps) or NO_GAPS

        await self._operate(interaction, work)

    @app_commands.command(name="explain", description="Why a question is answered as it is, or why not.")
    @app_commands.describe(question="The question.")
    async def explain(self, interaction: Interaction, question: str) -> None:
        async def work() -> str:
            explanation = await self._backend.administration.explain(question, address_of(interaction))
            return "\n".join(f"- {escaped(safe(line))}" for line in explanation.lines())

        await self._operate(interaction, work)

    @app_commands.command(name="feedback", description="What people thought of the last answers.")
    async def feedback(self, interaction: Interaction) -> None:
        async def work() -> str:
            given = await self._backend.journal.answers.feedback(_MOST_FEEDBACK)
            lines = (
                f"{'👍' if one.helpful else '👎'} {escaped(one.stored.question.text if one.stored else '(erased)')}"
                + (f"\n-# {escaped(one.reason)}" if one.reason else "")
                for one in given
            )
            return "\n".join(lines) or "There is no feedback yet."

        await self._operate(interaction, work)

    async def _operate(self, interaction: Interaction, work: Callable[[], Awaitable[str]]) -> None:
        """Respond with the result of `work`, if the user may carry out the command."""
        await interaction.response.defer(ephemeral=True)
        roles = [Role.MODERATOR] if interaction.permissions.manage_guild else []
        if interaction.command is None or not self._actions.may(interaction.command.name, interaction, *roles):
            await respond(interaction, "This is for the operators of the bot (`discord.operators`).")
            return
        try:
            text = await work()
        except BotError as error:
            text = f"⚠️ {escaped(str(error))}"
        await respond(interaction, text)
