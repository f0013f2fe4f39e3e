"""Updates from the poll or the webhook: each is taken in once, and passed to the part that handles its kind.

An update is confirmed when its question is in the journal. Short replies such as help are sent in the background; confirming
waits for them for 1.5 seconds at most.
"""

from collections.abc import Sequence

import structlog
from telegram import Bot, Message, Update
from telegram.constants import ChatType

from bot.adapters.backend import Backend
from bot.adapters.outcomes import MessageOutcome, note_outcome
from bot.adapters.recent import Recent
from bot.adapters.telegram.addressing import (
    PLATFORM,
    Caller,
    Command,
    author_of,
    caller_of,
    command_in,
    for_another_bot,
)
from bot.adapters.telegram.buttons import Buttons
from bot.adapters.telegram.chats import Chats
from bot.adapters.telegram.commands import Commands, carried_out
from bot.adapters.telegram.incoming import Incoming
from bot.adapters.telegram.inline import InlineQueries
from bot.adapters.telegram.replies import Background, Replies
from bot.adapters.texts import OUR_FAULT
from bot.core.errors import StorageError
from bot.core.text import safe

_log = structlog.stdlib.get_logger(__name__)
_REMEMBERED = 5000  # updates whose repetition is recognised; a webhook repeats them
# Whoever forwards a message lends it no rights of theirs: somebody else has written it.
_FORWARDED = "This was forwarded, so I don't act on it. Write the command, or send the file, yourself."


class Updates:
    """Takes in updates and passes them on: messages, commands, documents, presses, inline queries, memberships."""

    def __init__(
        self,
        backend: Backend,
        bot: Bot,
        *,
        incoming: Incoming,
        commands: Commands,
        buttons: Buttons,
        inline: InlineQueries,
        chats: Chats,
        replies: Replies,
        background: Background,
    ) -> None:
        self._settings = backend.settings.telegram
        self._bot = bot
        self._incoming = incoming
        self._commands = commands
        self._buttons = buttons
        self._inline = inline
        self._chats = chats
        self._replies = replies
        self._background = background
        self._handled = Recent[int, None](_REMEMBERED)

    async def handle(self, updates: Sequence[Update]) -> None:
        """Take in updates. On return they may be confirmed. Raises StorageError if they could not be kept."""
        for update in updates:
            if update.update_id in self._handled:
                note_outcome(PLATFORM, MessageOutcome.REPEATED)
                continue
            try:
                await self._take(update)
            except StorageError:
                raise
            except Exception:
                _log.exception("an update failed and is left out", update=update.update_id)
                if (message := update.effective_message) and message.chat.type == ChatType.PRIVATE:
                    self._replies.say(message, OUR_FAULT)
                else:
                    note_outcome(PLATFORM, MessageOutcome.FAILED)
            self._handled[update.update_id] = None
        await self._background.settle()

    async def _take(self, update: Update) -> None:
        if message := update.message or update.edited_message:
            await self._take_message(message, edited=update.message is None)
        elif update.callback_query:
            self._background.start(self._buttons.pressed(update.callback_query))
        elif update.inline_query and self._settings.inline:
            self._inline.take(update.inline_query)
        elif update.my_chat_member:
            await self._chats.membership_changed(update.my_chat_member)

    async def _take_message(self, message: Message, *, edited: bool) -> None:
        if message.migrate_to_chat_id:
            await self._chats.mark_moved(message.chat_id, message.migrate_to_chat_id)
            note_outcome(PLATFORM, MessageOutcome.CARRIED_OUT)
            return
        author = author_of(message)
        if author is None:
            note_outcome(PLATFORM, MessageOutcome.WRITTEN_BY_BOT)
            return
        if for_another_bot(message, self._bot.bot):
            note_outcome(PLATFORM, MessageOutcome.FOR_ANOTHER_BOT)
            return
        await self._chats.mark_reachable(message.chat_id)
        caller = caller_of(message, author, shared_conversations=self._settings.shared_conversations)
        command = command_in(message, self._bot.bot)
        adds_document = message.document and self._commands.may("add", caller)
        acts = adds_document or (command is not None and command.name != "ask")
        action = "add" if adds_document else command.name if command is not None else "ask"
        if acts and edited:
            note_outcome(PLATFORM, MessageOutcome.LATE_EDIT)
        elif message.forward_origin is not None and not self._commands.may(action, caller, forwarded=True):
            if caller.private:
                self._replies.say(message, _FORWARDED)
            else:
                note_outcome(PLATFORM, MessageOutcome.NOT_ADDRESSED)
        elif command is not None and command.name != "ask":
            await self._take_command(message, caller, command)
        elif message.document and adds_document:
            work = self._commands.add_document(self._bot, message.document, message.caption or "")
            self._replies.say_result(message, carried_out(work))
        else:
            await self._incoming.take(message, caller, command, edited=edited)

    async def _take_command(self, message: Message, caller: Caller, command: Command) -> None:
        handler = self._commands.handler(command.name, caller)
        if handler is None:
            if caller.private:
                self._replies.say(message, f"There is no command /{safe(command.name)}; /help lists them.")
            else:
                note_outcome(PLATFORM, MessageOutcome.UNKNOWN_COMMAND)
            return
        work = carried_out(handler(caller, command.rest))
        if self._commands.takes_long(command.name):
            self._replies.say_result(message, work)
        else:
            self._replies.say(message, await work)  # carried out before the update is confirmed
