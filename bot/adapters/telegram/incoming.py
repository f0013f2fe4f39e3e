"""Takes in messages: makes a Question of each that addresses the bot, and submits it for admission."""

import asyncio
from datetime import datetime

from telegram import Bot, Message

from bot.adapters.backend import Backend
from bot.adapters.outcomes import MessageOutcome, note_outcome
from bot.adapters.recent import Recent
from bot.adapters.telegram.addressing import (
    PLATFORM,
    Caller,
    Command,
    is_unasked,
    question_text,
    replied_text,
    replies_to,
)
from bot.adapters.telegram.chats import Chats
from bot.adapters.telegram.places import Sent, message_key, topic_of
from bot.adapters.telegram.replies import Replies
from bot.core import clock
from bot.core.errors import EngineBusy, RateLimited
from bot.core.messages import Address, Policy, Question

_ALBUMS = 1000  # that are remembered
# Seconds between the tries to have a question of a backlog accepted while the queue is full.
_BACKLOG_PAUSE = 0.5
_KEPT = 90_000.0  # seconds, a little more than the day for which the service keeps updates
_STALE = 600.0  # seconds after which a question that waited while the bot was away counts as late
_TEXT_ONLY = "I answer questions that are written. Just write one; /help says more."
_HINT = "Yes? Write your question behind my name, or reply to a message that asks it. /help says more."


class Incoming:
    """Turns messages that address the bot into questions and has them accepted, revised or refused."""

    def __init__(self, backend: Backend, bot: Bot, chats: Chats, replies: Replies) -> None:
        self._admission = backend.admission
        self._answers = backend.journal.answers
        self._bot = bot
        self._chats = chats
        self._replies = replies
        self._albums = Recent[str, None](_ALBUMS)
        self._not_ready_at = 0.0  # when the bot was last seen getting ready, in seconds since the epoch

    async def take(self, message: Message, caller: Caller, command: Command | None, *, edited: bool) -> None:
        """Take in a message; `command` is its /ask. On return, its question is in the journal or refused.

        Raises StorageError if it could not be kept.
        """
        policy = await self._chats.policy_for(message)
        if policy is Policy.OFF:
            note_outcome(PLATFORM, MessageOutcome.CHAT_OFF)
            return
        text = command.rest if command else question_text(message, self._bot.bot, policy)
        if command and not text:  # in reply to a message: the text of that is asked
            text = replied_text(message) or ""
        if text:
            self._note_album(message)
            unasked = command is None and is_unasked(message, self._bot.bot)
            question = await self._question(message, caller, text, unasked=unasked, edited=edited)
            await self._admit(message, question, edited=edited)
        elif text is not None and self._note_album(message):
            note_outcome(PLATFORM, MessageOutcome.NO_WORDS)
        elif text is not None and not edited and (message.effective_attachment or command or not caller.private):
            self._replies.say(message, _TEXT_ONLY if caller.private else _HINT)
        else:
            note_outcome(PLATFORM, MessageOutcome.NOT_ADDRESSED if text is None else MessageOutcome.NO_WORDS)

    def _note_album(self, message: Message) -> bool:
        """Note the album of a message. Returns whether another picture of it came before: an album gets one reply."""
        album = message.media_group_id
        known = album in self._albums
        if album is not None:
            self._albums[album] = None
        return known

    # --- the question

    async def _question(self, message: Message, caller: Caller, text: str, *, unasked: bool, edited: bool) -> Question:
        asked_at = _asked_at(message, edited=edited)
        earlier = await self._followed_up(message)
        details = {
            "topic": topic_of(message),
            "private": caller.private,
            "late": clock.now() - asked_at.timestamp() > _STALE,
            "author": caller.author,
            "unasked": unasked,
            "asked_in": caller.conversation,  # another one than the question's, if that follows up an answer to somebody else
        }
        return Question(
            text=text,
            conversation=earlier.conversation if earlier else caller.conversation,
            author=caller.author,
            address=Address(PLATFORM, str(message.chat_id), message_key(message.message_id, self._bot.id), details),
            received_at=asked_at,
            replied_to=earlier.text if earlier and message.quote is None else replied_text(message),
        )

    async def _followed_up(self, message: Message) -> Question | None:
        """Return the question, of any author, whose answer the message replies to."""
        replied = message.reply_to_message
        if replied is None or not replies_to(message, self._bot.bot):
            return None
        sent = Sent(message.chat_id, replied.message_id, self._bot.id)
        return await self._answers.answered_by(PLATFORM, str(sent))

    # --- admission

    async def _admit(self, message: Message, question: Question, *, edited: bool) -> None:
        """Revise or accept a question, or reply with the reason why it isn't accepted."""
        try:
            if edited and await self._admission.revise(question):
                note_outcome(PLATFORM, MessageOutcome.ACCEPTED)
                return
            accepted = await self._accept(question, _asked_at(message, edited=edited))
            note_outcome(PLATFORM, MessageOutcome.ACCEPTED if accepted else MessageOutcome.REPEATED)
        except (EngineBusy, RateLimited) as refusal:
            self._replies.say(message, str(refusal))

    async def _accept(self, question: Question, asked_at: datetime) -> bool:
        """Accept a question. While the queue is full, one of a backlog or from before the bot was ready waits for room.

        Telegram keeps the updates behind it meanwhile. Returns False if the message was accepted before. Raises EngineBusy for
        any other question, and RateLimited.
        """
        while True:
            if not self._admission.ready:
                self._not_ready_at = clock.now()
            try:
                return await self._admission.accept(question)
            except EngineBusy:
                if not question.address.details["late"] and asked_at.timestamp() > self._not_ready_at:
                    raise
            await asyncio.sleep(_BACKLOG_PAUSE)


def _asked_at(message: Message, *, edited: bool) -> datetime:
    return clock.plausible_time((message.edit_date if edited else None) or message.date, _KEPT)
