"""The buttons below an answer. They work after a restart, because everything they need is kept under the answer's reference."""

import asyncio

import structlog
from telegram import CallbackQuery, MaybeInaccessibleMessage, Message
from telegram.error import TelegramError

from bot.adapters.recent import Recent
from bot.adapters.telegram import PLATFORM
from bot.adapters.telegram.chats import Chats
from bot.adapters.telegram.places import Place, topic_of
from bot.adapters.telegram.rendering import HELPFUL, MORE, NOT_HELPFUL, PASSAGE, more_of, passages_of
from bot.adapters.telegram.sending import Sender
from bot.core.errors import BotError, Undeliverable
from bot.core.messages import NotSent
from bot.storage.base import AnswerStore

_log = structlog.stdlib.get_logger(__name__)
_TOO_OLD = "This answer isn't kept any more."
_REMEMBERED = 1000  # answers of which something was shown lately that is not shown again


class Buttons:
    """Carries out the presses of buttons: feedback, and showing the passages behind an answer and the rest of its section."""

    def __init__(self, answers: AnswerStore, sender: Sender, chats: Chats) -> None:
        self._answers = answers
        self._sender = sender
        self._chats = chats
        self._shown = Recent[tuple[str, str], None](_REMEMBERED)  # by kind of button and reference

    async def pressed(self, query: CallbackQuery) -> None:
        """Carry out a press and answer its query, also after a failure: until then the app shows that it waits."""
        said, alert = "Something went wrong on our side.", True
        try:
            said, alert = await self._carry_out(query)
        except BotError as error:
            said = str(error)[:200]
        except Exception:
            _log.exception("a button failed")
        try:
            await query.answer(said, show_alert=alert)
        except TelegramError as error:  # it was pressed too long ago
            _log.debug("a button press was not answered", error=type(error).__name__)

    async def _carry_out(self, query: CallbackQuery) -> tuple[str, bool]:
        """(the text to show, whether it has to be dismissed)"""
        kind, _, reference = (query.data or "").partition(":")
        if query.message is None or not await self._belongs(reference, str(query.message.chat.id)):
            return _TOO_OLD, True
        if kind in (HELPFUL, NOT_HELPFUL):
            return await self._note_feedback(reference, str(query.from_user.id), helpful=kind == HELPFUL)
        if kind in (PASSAGE, MORE):
            return await self._show(kind, query.message, reference)
        return "I don't know this button any more.", True

    async def _belongs(self, reference: str, chat: str) -> bool:
        """Whether the answer is kept and was given in this chat: a forged reference must not open another one."""
        stored = await self._answers.stored(PLATFORM, reference)
        return stored is not None and chat in (
            stored.question.address.chat,
            await self._chats.current_id(stored.question.address.chat),
        )

    async def _note_feedback(self, reference: str, author: str, *, helpful: bool) -> tuple[str, bool]:
        if not await self._answers.add_feedback(PLATFORM, reference, author, helpful=helpful, reason=""):
            return _TOO_OLD, True
        return "Thank you!" if helpful else "Thank you. The operator will see it.", False

    async def _show(self, kind: str, below: MaybeInaccessibleMessage, reference: str) -> tuple[str, bool]:
        """Reply with the passages behind an answer, or with the rest of its section."""
        if (kind, reference) in self._shown:
            return "It is shown further down already.", False
        stored = await self._answers.stored(PLATFORM, reference)
        if stored is None or (kind == MORE and not stored.answer.more):
            return _TOO_OLD, True
        self._shown[kind, reference] = None
        topic = topic_of(below) if isinstance(below, Message) else stored.question.address.details["topic"]
        place = Place(below.chat.id, topic, below.message_id)
        try:
            for part in await asyncio.to_thread(passages_of if kind == PASSAGE else more_of, stored.answer):
                await self._sender.send(place, part)
        except (TelegramError, Undeliverable, NotSent):
            self._shown.pop((kind, reference), None)
            raise
        return "", False
